"""The help screen: the keys that work here, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the help.

    Attributes:
        keys: What to press.
        does: What it does.
        not_now: Why it cannot be used at present; empty if it can.
    """

    keys: str
    does: str
    not_now: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Keys that belong together."""

    title: str
    keys: Sequence[Key]


class Help(ModalScreen[None]):
    """Lists the keys of the screen it was opened on."""

    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > VerticalScroll {
        width: 90%; max-width: 96; height: auto; max-height: 100%;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 2;
    }
    Help Static { width: 100%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", "Close"),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
    ]

    def __init__(self, title: str, groups: Sequence[Group]) -> None:
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
                words = Text(key.does, "dim" if key.not_now else "")
                if key.not_now:
                    words.append(f"  (not now: {key.not_now})", "italic")
                table.add_row(Text(key.keys, "dim" if key.not_now else "bold cyan"), words)
            yield table

    def action_scroll(self, lines: int) -> None:
        """Scrolls the list."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
