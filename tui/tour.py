"""The tour of ``memtop --demo --tour``: ten steps through an incident, each waiting for the key it names.

It only watches which keys are pressed and says the next step in a strip above the keys: no key is kept from
what it does, and esc ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.text import Text
from textual.css.query import NoMatches

from tui.live_screen import LiveScreen
from widgets.key_and_filter_bars import KeyBar
from widgets.line_widget import OneLine

STRIP_ID: Final = "tour"


@dataclass(frozen=True, slots=True)
class TourStep:
    """One step.

    Attributes:
        key: Textual's name of the key that it waits for.
        shown: What that key is called.
        words: What is to be seen, and what the key does.
    """

    key: str
    shown: str
    words: str


TOUR: Final = (
    TourStep("tab", "tab", "user-service leaks, the header counts it. The next pane is"),
    TourStep("w", "w", "One row per container is too much: one per workload with"),
    TourStep("enter", "enter", "The worst row is selected. Open it with"),
    TourStep("t", "t", "The verdict stands above the tabs with its evidence. Its memory over time is"),
    TourStep("p", "p", "Each tooth ends in an OOM kill. What it said before it died is"),
    TourStep("m", "m", "A long log. Only the lines that speak of memory with"),
    TourStep("e", "e", "“Cannot allocate memory”. What the cluster says of it is"),
    TourStep("b", "b", "Did the last change help?"),
    TourStep("ctrl+s", "ctrl+s", "It still leaks. A report of it for the incident channel with"),
    TourStep("i", "i", "Now ship the fix: the image v2.1.0, a plan, a yes. It begins with"),
)
"""The incident of the demo, from the first look to the fix."""
AFTERWARDS: Final = "That was the tour. After the yes b says whether it holds. esc closes this line."


class GuidedTour:
    """How far somebody is on the tour.

    Attributes:
        place: The step that waits, from 0; the number of steps when all are done.
        ended: Whether it was left.
    """

    def __init__(self) -> None:
        self.place = 0
        self.ended = False

    def pressed(self, key: str) -> None:
        """Sees a key that was pressed; what it does is not this one's concern."""
        if key == "escape":
            self.ended = True
        elif self.place < len(TOUR) and key == TOUR[self.place].key:
            self.place += 1

    @property
    def line(self) -> Text:
        """What the strip says."""
        if self.place == len(TOUR):
            return Text(f" {AFTERWARDS}", "accent")
        step = TOUR[self.place]
        line = Text(no_wrap=True, end="")
        line.append(f" {self.place + 1}/{len(TOUR)}  ", "accent")
        line.append(f"{step.words} ")
        line.append(step.shown, "strong")
        return line

    def draw(self, screen: LiveScreen) -> None:
        """Puts the strip above the keys of a screen, or takes it away once the tour has ended."""
        found = screen.query(f"#{STRIP_ID}").results(OneLine)
        strip = next(iter(found), None)
        if self.ended:
            if strip is not None:
                strip.remove()
            return
        if strip is None:
            try:
                keys = screen.query_one(KeyBar)
            except NoMatches:  # a dialog has none
                return
            strip = OneLine(id=STRIP_ID)
            screen.mount(strip, before=keys)
        strip.show_text(self.line)
