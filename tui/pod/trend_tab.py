"""The Trend tab: memory of one container over time, with limit, restarts and OOM kills, and the facts."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

from memtop import wording
from memtop.observe.frame import Frame
from tui.overview.row_details import TIME_RANGES, USUAL_RANGE, fact_lines, readable_range, selected_trend
from tui.pod.tab import AskCluster, PodTab, TabSubject
from widgets.memory_plots import TrendPlot
from widgets.styled_text import Symbols

_NEARLY_ALL = 0.95
"""A range that is covered by this share is covered."""


class TrendTab(PodTab):
    """Graph beside facts."""

    class Reached(Message):
        """Another stretch of time is wanted.

        Attributes:
            subject: Of which row.
            seconds: How far back.
        """

        def __init__(self, subject: TabSubject, seconds: float) -> None:
            super().__init__()
            self.subject = subject
            self.seconds = seconds

    NAME = "Trend"
    KEY = "t"
    DEFAULT_CSS = """
    TrendTab #facts { width: 44; height: 1fr; padding: 0 1; }
    .-narrow TrendTab #facts { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "next_range", "Range"),
        *(
            Binding(str(number), f"range('{name}')", name, show=False)
            for number, name in enumerate(TIME_RANGES, 1)
        ),
    ]

    def __init__(self, subject: TabSubject, ask: AskCluster, symbols: Symbols) -> None:
        super().__init__(subject, ask)
        self.can_focus = True
        self._chosen: str | None = None
        self._frame: Frame | None = None
        self.plot = TrendPlot(symbols=symbols, empty=f"No sample of {subject.title} yet")
        self.facts = Static(id="facts", markup=False)

    def compose(self) -> ComposeResult:
        """Graph beside facts."""
        with Horizontal():
            yield self.plot
            yield self.facts

    def show(self, frame: Frame) -> None:
        """Draws what the frame knows of the container."""
        if frame.detail is None or frame.detail.key != self.subject.key:
            return
        self._frame = frame
        if frame.detail.row is not None:
            self.facts.update(_facts_table(fact_lines(frame, frame.detail.row)))
        self._draw()

    @property
    def _range(self) -> str:
        """What was chosen; until then what can be read."""
        if self._chosen is not None or self._frame is None:
            return self._chosen or USUAL_RANGE
        return readable_range(self._frame.detail, self._frame.time)

    def _draw(self) -> None:
        if self._frame is not None:
            since = self._frame.time - TIME_RANGES[self._range]
            self.plot.show(selected_trend(self._frame, since, _range_note(self._frame, self._range)))

    def action_range(self, name: str) -> None:
        """Draws another stretch of time."""
        self._chosen = name
        self._draw()
        self.post_message(self.Reached(self.subject, self.look_back_seconds))

    def opened(self) -> None:
        """Has the row drawn for as far back as was chosen."""
        self.post_message(self.Reached(self.subject, self.look_back_seconds))

    def closed(self) -> None:
        """Has nothing more asked for the graph's sake."""
        super().closed()
        self.post_message(self.Reached(self.subject, 0.0))

    @property
    def look_back_seconds(self) -> float:
        """Seconds back that are asked for."""
        return TIME_RANGES[self._chosen or USUAL_RANGE]

    def action_next_range(self) -> None:
        """Draws the next longer stretch, or the shortest again."""
        self.action_range(next_range(self._range))


def next_range(name: str) -> str:
    """The next longer stretch of `TIME_RANGES`; after the longest the shortest."""
    names = list(TIME_RANGES)
    return names[(names.index(name) + 1) % len(names)]


def _range_note(frame: Frame, name: str) -> str:
    """Which stretch of time is drawn, and what is missing of it."""
    detail, seconds = frame.detail, TIME_RANGES[name]
    if detail is None:
        return name
    if detail.look_back_note:
        return f"{name}: {detail.look_back_note}"
    known = frame.time - float(detail.times[0]) if len(detail.times) else 0.0
    if not known or known >= _NEARLY_ALL * seconds:
        return name
    return f"{name}: oldest sample {wording.ago(known)}"


def _facts_table(facts: list[tuple[str, str]]) -> Text:
    text = Text()
    for name, value in facts:
        text.append(f"{name:>12}  ", "dim")
        text.append(f"{value}\n", "" if value != wording.UNKNOWN else "dim")
    return text
