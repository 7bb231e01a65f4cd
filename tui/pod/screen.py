"""The pod screen: verdict, trend and facts of one container, live."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Footer, Static

from memtop import wording
from memtop.observe.frame import Frame, RowKey
from tui.help import Group, Key
from tui.overview.detail import trend_of
from tui.overview.status import header_data
from tui.pod.facts import fact_lines, verdict_line
from widgets.header import StatusHeader
from widgets.lines import Lines
from widgets.palette import Symbols
from widgets.plot import TrendPlot

HOUR = 3600.0
RANGES = {"1 h": HOUR, "6 h": 6 * HOUR, "24 h": 24 * HOUR, "7 d": 7 * 24 * HOUR}

KEYS = (
    Group(
        "Pod",
        (
            Key("g  1 2 3 4", "range of the graph: 1 h, 6 h, 24 h, 7 d"),
            Key("r", "ask again now"),
            Key("esc", "back"),
        ),
    ),
)


class PodScreen(Screen[None]):
    """One container of one pod (or one workload).

    Args:
        key: Its row.
        title: What a person calls it.
        now: The cluster's time, Unix seconds.
        symbols: Which characters graphs are drawn with.
        warnings: What the header must always say.
    """

    DEFAULT_CSS = """
    PodScreen #verdict { height: 1; background: $panel; }
    PodScreen #body { height: 1fr; }
    PodScreen #facts { width: 44; height: 1fr; padding: 1 1; }
    PodScreen.-narrow #facts { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "dismiss", "Back"),
        Binding("g", "next_range", "Range"),
        *(
            Binding(str(number), f"range('{name}')", name, show=False)
            for number, name in enumerate(RANGES, 1)
        ),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("r", "app.retry", "Ask again now", show=False),
        Binding("q", "app.quit", "Quit"),
    ]
    WORDS = ("Keys of the pod", KEYS)

    def __init__(
        self,
        key: RowKey,
        title: str,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.key = key
        self._title = title
        self._now = now
        self._warnings = warnings
        self._range = "24 h"
        self._frame: Frame | None = None
        self.header = StatusHeader(ascii_only=symbols == "ascii")
        self.verdict = _Line(id="verdict")
        self.plot = TrendPlot(symbols=symbols, empty=f"No sample of {title} yet")
        self.facts = Static(id="facts", markup=False)

    def compose(self) -> ComposeResult:
        """Header, verdict, graph beside facts, footer."""
        yield self.header
        yield self.verdict
        with Horizontal(id="body"):
            yield self.plot
            yield self.facts
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Starts the header's clock."""
        self.set_interval(1.0, self._tick)

    def on_resize(self) -> None:
        """Leaves out the facts where the graph needs the room."""
        self.set_class(self.size.width < 100, "-narrow")

    def show(self, frame: Frame) -> None:
        """Shows what the frame knows of the container."""
        self._frame = frame
        self._tick()
        detail = frame.detail
        if frame.view.selected != self.key:
            return
        if detail is None:
            self.verdict.say(Text(f" {self._title} is gone; what is drawn is the last that was seen", "warn"))
            return
        if detail.row is not None:
            self.verdict.say(verdict_line(frame, detail.row))
            self.facts.update(_table(fact_lines(frame, detail.row)))
        self._draw()

    def _draw(self) -> None:
        frame = self._frame
        if frame is not None and frame.detail is not None and frame.detail.key == self.key:
            self.plot.show(trend_of(frame, since=frame.time - RANGES[self._range]))

    def _tick(self) -> None:
        self.header.show(header_data(self._frame, self._now(), frozen=False, warnings=self._warnings))

    def action_range(self, name: str) -> None:
        """Draws another stretch of time."""
        self._range = name
        self._draw()
        self.notify(f"The last {name}")

    def action_next_range(self) -> None:
        """Draws the next longer stretch, or the shortest again."""
        names = list(RANGES)
        self.action_range(names[(names.index(self._range) + 1) % len(names)])


class _Line(Lines):
    """One line of text."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._text = Text()

    def say(self, text: Text) -> None:
        """Shows other words."""
        if text != self._text:
            self._text = text
            self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the one line."""
        line = self._text.copy()
        line.truncate(width, overflow="ellipsis")
        return [line]


def _table(facts: list[tuple[str, str]]) -> Text:
    text = Text()
    for name, value in facts:
        text.append(f"{name:>12}  ", "dim")
        text.append(f"{value}\n", "" if value != wording.UNKNOWN else "dim")
    return text
