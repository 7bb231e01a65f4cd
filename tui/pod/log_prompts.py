"""The prompts of a log tab: a filter, a time to jump to, a file to save to; one at a time."""

from __future__ import annotations

import time
from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer

from memtop.logs.moments import HINT, zone_name
from widgets.filter_bar import FilterBar

Prompt = Literal["filter", "jump", "save"]
TYPING = 0.15  # seconds after a key until what is typed is told


class LogPrompts(Vertical):
    """Takes no room while no prompt is open."""

    DEFAULT_CSS = """
    LogPrompts { height: auto; }
    LogPrompts FilterBar { display: none; }
    LogPrompts FilterBar.-open { display: block; }
    """

    class Typed(Message):
        """A filter is half typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Entered(Message):
        """A prompt was answered; it stays open until it is closed."""

        def __init__(self, prompt: Prompt, text: str) -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text

    class Closed(Message):
        """A prompt was left."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: dict[Prompt, FilterBar] = {
            "filter": FilterBar(hint="regular expression; capital letters make case matter", id="filter"),
            "jump": FilterBar(f"to ({zone_name(time.time())}) ", hint=HINT, id="jump"),
            "save": FilterBar("save as ", hint="file name", id="save"),
        }
        self._open: Prompt | None = None
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        """One bar a prompt."""
        yield from self._bars.values()

    @property
    def problem(self) -> str:
        """What is wrong with what was typed; empty if nothing is."""
        return self._bars[self._open].problem if self._open is not None else ""

    def complain(self, words: str) -> bool:
        """Says what is wrong beside what was typed; tells whether a prompt is open to say it in."""
        if self._open is None:
            return False
        self._bars[self._open].problem = words
        return True

    def open(self, prompt: Prompt, text: str = "") -> None:
        """Opens a prompt in place of the one that is open."""
        self.close()
        self._open = prompt
        self._bars[prompt].add_class("-open")
        self._bars[prompt].open(text)

    def close(self) -> None:
        """Closes the prompt that is open."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        if self._open is not None:
            self._bars[self._open].remove_class("-open")
            self._open = None

    @on(FilterBar.Changed)
    def _changed(self, event: FilterBar.Changed) -> None:
        event.stop()
        if isinstance(event, FilterBar.Submitted) or self._open != "filter":
            return
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING, lambda: self.post_message(self.Typed(event.text)))

    @on(FilterBar.Submitted)
    def _submitted(self, event: FilterBar.Submitted) -> None:
        event.stop()
        if self._typing is not None:
            self._typing.stop()
        if self._open is not None:
            self.post_message(self.Entered(self._open, event.text))

    @on(FilterBar.Closed)
    def _left(self, event: FilterBar.Closed) -> None:
        event.stop()
        self.close()
        self.post_message(self.Closed())
