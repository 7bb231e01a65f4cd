"""What every screen has: frames to show, a list of its keys, commands, and a way to open other screens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from tui.overview.words import header_data
from widgets.dialogs import ScrollingDialog
from widgets.header import StatusHeader
from widgets.styled_text import Symbols

if TYPE_CHECKING:
    from memtop.kube.object_ref import ObjectRef
    from memtop.observe.frame import Frame
    from tui.pod.tab import TabSubject


@dataclass(frozen=True, slots=True)
class HelpKey:
    """One line of the help.

    Attributes:
        keys: What to press.
        description: What it does.
        unavailable: Why it cannot be used at present; empty if it can.
    """

    keys: str
    description: str
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """Keys that belong together."""

    title: str
    keys: Sequence[HelpKey]


class HelpScreen(ScrollingDialog[None]):
    """Lists the keys of the screen it was opened on."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 90%; max-width: 96; height: auto; max-height: 100%;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 2;
    }
    HelpScreen Static { width: 100%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", "Close"),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
    ]

    def __init__(self, title: str, groups: Sequence[KeyGroup]) -> None:
        super().__init__()
        self._title = title
        self._groups = groups

    def compose(self) -> ComposeResult:
        """One table of keys a group."""
        with VerticalScroll() as box:
            box.border_title = self._title
            box.border_subtitle = "↑ ↓ scroll · esc closes"
            yield Static(Lines(*self._parts()))

    def _parts(self) -> Iterator[RenderableType]:
        for number, group in enumerate(self._groups):
            yield Text(f"{chr(10) if number else ''}{group.title}", "bold")
            table = Table.grid(padding=(0, 2))
            table.add_column(width=18, no_wrap=True)
            table.add_column(ratio=1)
            for key in group.keys:
                words = Text(key.description, "dim" if key.unavailable else "")
                if key.unavailable:
                    words.append(f"  (not now: {key.unavailable})", "italic")
                table.add_row(Text(key.keys, "dim" if key.unavailable else "bold cyan"), words)
            yield table


class OpenSubject(Message):
    """Asks the app to open a pod or a workload."""

    def __init__(self, subject: TabSubject) -> None:
        super().__init__()
        self.subject = subject


class OpenScreen(Message):
    """Asks the app to open a screen, unless one about the same is in front."""

    def __init__(self, screen: LiveScreen) -> None:
        super().__init__()
        self.screen = screen


class LiveScreen(Screen[None]):
    """A screen that is told of every frame, with a header about the newest one.

    Args:
        now: The cluster's time, Unix seconds.
        symbols: Which characters are drawn with.
        warnings: What the header must always say.

    Attributes:
        WORDS: Its keys in words: a title and groups.
        header: How the cluster and the sources stand.
        newest: The frame that came last; None before the first.
        frozen: Whether the figures stand still.
    """

    WORDS: ClassVar[tuple[str, Sequence[KeyGroup]]] = ("Keys", ())

    def __init__(self, now: Callable[[], float], symbols: Symbols, warnings: tuple[str, ...]) -> None:
        super().__init__()
        self.header = StatusHeader(ascii_only=symbols == "ascii")
        self.newest: Frame | None = None
        self.frozen = False
        self._now = now
        self._symbols: Symbols = symbols
        self._warnings = warnings

    def tick(self) -> None:
        """Brings the header up to date; the class ``-gone`` is set while the cluster does not answer."""
        data = header_data(self.newest, self._now(), frozen=self.frozen, warnings=self._warnings)
        self.header.show(data)
        self.set_class(bool(data.banner), "-gone")

    def show(self, frame: Frame) -> None:
        """Shows a new frame."""
        raise NotImplementedError

    def is_about_the_same(self, other: Screen[Any]) -> bool:
        """Whether another screen shows the same."""
        return self is other

    @property
    def row(self) -> TabSubject | None:
        """What the keys act on that change a workload; None where there is nothing to act on."""
        return None

    @property
    def marked(self) -> Sequence[TabSubject]:
        """The rows that were marked for one change of all of them, in the order of marking."""
        return ()

    def unmark(self, done: Collection[ObjectRef]) -> None:
        """Takes the marks from the rows of objects that were changed."""


@dataclass(frozen=True, slots=True)
class FigureStyle:
    """How figures are drawn: thresholds as shares of the limit, and the characters for graphs."""

    warn: float
    critical: float
    symbols: Symbols


def key_commands(app: App[int], screen: Screen[object]) -> Iterator[SystemCommand]:
    """What the keys of a screen do, as far as it can be done now; changes have words of their own."""
    for binding in screen.active_bindings.values():
        described = binding.binding
        change = described.action.startswith("app.change")
        if binding.node is screen and binding.enabled and described.description and not change:
            yield SystemCommand(
                described.description,
                f"Key {described.key_display or described.key}",
                lambda action=described.action: app.call_later(app.run_action, action, screen),
            )
