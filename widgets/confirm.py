"""A plan in full, and a yes or a no to it: nothing is done without the yes, and the no has the focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from widgets.palette import inks
from widgets.text import literal

Weight = Literal["plain", "warn", "critical", "command"]
_SIGNS: dict[Weight, str] = {"plain": "", "warn": "! ", "critical": "!! ", "command": ""}
_ROLES: dict[Weight, str] = {"plain": "", "warn": "warn", "critical": "critical", "command": "accent"}


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of a plan; both texts are shown as they are.

    Attributes:
        label: What the line is about, such as ``image``; empty for a sentence of its own.
        text: What is to be said.
        weight: How much it asks for attention; each weight has a sign as well as a colour.
    """

    label: str
    text: str
    weight: Weight = "plain"


class Confirm(ModalScreen[bool]):
    """Shows a plan, however long; returns whether it was agreed to.

    ``y`` agrees, and so does enter once the focus has been moved to that button; escape, ``n`` and enter
    without moving decline.
    """

    DEFAULT_CSS = """
    Confirm { align: center middle; background: $background 60%; }
    Confirm > Vertical {
        width: 90%; max-width: 100; height: auto; max-height: 90%;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 1;
    }
    Confirm VerticalScroll { height: auto; max-height: 70vh; padding: 0 1; scrollbar-size-vertical: 1; }
    Confirm VerticalScroll Static { width: 100%; height: auto; }
    Confirm Horizontal { height: 1; margin: 1 0 0 0; align-horizontal: right; }
    Confirm Button { margin: 0 0 0 2; min-width: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide(True)", "Yes"),
        Binding("escape,n,q", "decide(False)", "No"),
        Binding("left,right", "app.focus_next", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space", "scroll(10)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[PlanLine], *, apply: str | None = "Apply") -> None:
        """Makes a dialog.

        Args:
            title: What is to be agreed to, in a few words.
            lines: The plan.
            apply: What the button says that agrees; None where there is nothing to agree to.
        """
        super().__init__()
        self._title = title
        self._lines = tuple(lines)
        self._apply = apply

    def compose(self) -> ComposeResult:
        """The plan above the two buttons, the harmless one first."""
        with Vertical() as box:
            box.border_title = Text(literal(self._title)).markup
            scroll = VerticalScroll(Static(id="plan"), can_focus=False)
            yield scroll
            with Horizontal():
                yield Button("Cancel (esc)" if self._apply else "Close (esc)", id="cancel", compact=True)
                if self._apply:
                    yield Button(f"{self._apply} (y)", id="apply", variant="warning", compact=True)

    def on_mount(self) -> None:
        """Puts the focus on the button that changes nothing."""
        self.query_one("#plan", Static).update(self._table())
        self.query_one("#cancel", Button).focus()

    def _table(self) -> Table:
        styles = inks(self)
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, justify="right")
        table.add_column(ratio=1, overflow="fold")
        for line in self._lines:
            style = styles.get(_ROLES[line.weight], "")
            table.add_row(
                Text(literal(line.label), styles["dim"]),
                Text(_SIGNS[line.weight] + literal(line.text), style),
            )
        return table

    def action_decide(self, agreed: bool) -> None:
        """Ends the dialog; there is no yes where there is nothing to agree to."""
        if not agreed or self._apply:
            self.dismiss(agreed)

    def action_scroll(self, lines: int) -> None:
        """Scrolls the plan."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "apply")
