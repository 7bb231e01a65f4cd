"""A dialog that shows a plan in full and asks for a yes or a no; the no has the focus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.table import Table
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from widgets.dialogs import ScrollingDialog
from widgets.styled_text import literal, role_styles

Weight = Literal["plain", "warn", "critical", "command"]
_LABEL_ROOM = 16
_WEIGHT_SIGNS: dict[Weight, str] = {"plain": "", "warn": "! ", "critical": "!! ", "command": ""}
_WEIGHT_RANKS: dict[Weight, int] = {"critical": 0, "warn": 1, "plain": 2, "command": 2}
_WEIGHT_ROLES: dict[Weight, str] = {"plain": "", "warn": "warn", "critical": "critical", "command": "accent"}

_ROOMY_HEIGHT = 30
"""A lower screen has no blank lines to spare between the parts of the dialog."""
_BOX_SHARE, _BORDER_LINES, _LEAST_PLAN = 0.96, 2, 2
"""The share of the screen that the box may take, the lines of its border, the fewest lines of the plan."""


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


def plan_grid(widget: Widget, lines: Sequence[PlanLine]) -> Table:
    """Draws lines with their labels in a column of their own.

    Args:
        widget: In whose colours.
        lines: What to draw; long ones are folded.
    """
    styles = role_styles(widget)
    table = Table.grid(padding=(0, 2))
    table.add_column(max_width=_LABEL_ROOM, justify="right")
    table.add_column(ratio=1, overflow="fold")
    for line in lines:
        style = styles.get(_WEIGHT_ROLES[line.weight], "")
        table.add_row(
            Text(literal(line.label), styles["dim"]),
            Text(_WEIGHT_SIGNS[line.weight] + literal(line.text), style),
        )
    return table


class ConfirmDialog(ScrollingDialog[bool]):
    """Shows a plan, however long; returns whether it was agreed to.

    ``y`` agrees, and so does enter once the focus has been moved to that button; escape, ``n`` and enter
    without moving decline. Where a name has to be typed there is no yes before it is there in full: ``y`` and
    all other letters go into the name.
    """

    DEFAULT_CSS = """
    ConfirmDialog { align: center middle; background: $background 60%; }
    ConfirmDialog > Vertical {
        width: 96%; max-width: 100; height: auto; max-height: 96%;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 1;
    }
    ConfirmDialog VerticalScroll { height: auto; max-height: 40vh; padding: 0 1; scrollbar-size-vertical: 1; }
    ConfirmDialog VerticalScroll Static { width: 100%; height: auto; }
    ConfirmDialog Horizontal { height: 1; margin: 1 0 0 0; align-horizontal: right; }
    ConfirmDialog Button { margin: 0 0 0 2; min-width: 12; }
    ConfirmDialog #command { width: 100%; height: auto; max-height: 4; margin: 1 1 0 1; color: $text-accent; }
    ConfirmDialog #demand { height: auto; margin: 1 1 0 1; color: $text-warning; text-style: bold; }
    ConfirmDialog.-low #command { margin: 0 1; max-height: 3; }
    ConfirmDialog.-low #demand { margin: 0 1; }
    ConfirmDialog.-low Horizontal { margin: 0; }
    ConfirmDialog Input { border: none; height: 1; padding: 0 1; margin: 0 1; background: $boost; }
    ConfirmDialog ToastRack { dock: top; align: right top; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide(True)", "Yes"),
        Binding("escape,n,q", "decide(False)", "No"),
        Binding("left,right", "app.focus_next", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space", "scroll(10)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("c", "copy", show=False),
        Binding("F", "save", show=False),
    ]

    def __init__(
        self,
        title: str,
        lines: Sequence[PlanLine],
        *,
        apply: str | None = "Apply",
        copy: str = "",
        save: Callable[[], Awaitable[None]] | None = None,
        typed: str = "",
        why_typed: str = "",
    ) -> None:
        """Makes a dialog.

        Args:
            title: What is to be agreed to, in a few words.
            lines: The plan; warnings are shown first, the gravest before the others.
            apply: What the button says that agrees; None where there is nothing to agree to.
            copy: The command that does the same: it stays in sight, and ``c`` puts it on the clipboard; empty
                for none.
            save: Has the plan written as a file, on ``F``; None where it cannot be.
            typed: The name that must be typed before there is a yes; empty for none.
            why_typed: Why it must be, as a clause such as ``prod-eu is a protected context``.
        """
        super().__init__()
        self._title = title
        self._lines = sorted(lines, key=lambda line: _WEIGHT_RANKS[line.weight])
        self._apply = apply
        self._copy = copy
        self._save = save
        self._typed = typed if apply else ""
        self._demand = f"{why_typed}: type {typed} to apply" if why_typed else typed
        self._painted = False

    def compose(self) -> ComposeResult:
        """The plan above the two buttons, the harmless one first."""
        with Vertical() as box:
            box.border_title = Text(literal(self._title)).markup
            keys = ["F writes a patch file"] if self._save else []
            keys += [f"c copies the command{'s' if chr(10) in self._copy else ''}"] if self._copy else []
            box.border_subtitle = " · ".join(keys)
            scroll = VerticalScroll(Static(id="plan"), can_focus=False)
            yield scroll
            if self._copy:
                commands = "\n".join(literal(line) for line in self._copy.splitlines())
                yield Static(commands, id="command", markup=False)
            if self._typed:
                yield Static(literal(self._demand), id="demand", markup=False)
                yield Input(id="name", compact=True)
            with Horizontal():
                yield Button("Cancel (esc)" if self._apply else "Close (esc)", id="cancel", compact=True)
                if self._apply:
                    words = self._apply if self._typed else f"{self._apply} (y)"
                    yield Button(
                        words, id="apply", variant="warning", compact=True, disabled=bool(self._typed)
                    )

    def on_mount(self) -> None:
        """Puts the focus on what changes nothing; no word of before lies on the buttons."""
        self.app.clear_notifications()
        self.call_after_refresh(self._seen)
        self.query_one("#plan", Static).update(plan_grid(self, self._lines))
        self.query_one("#name" if self._typed else "#cancel").focus()

    def _seen(self) -> None:
        self._painted = True

    def on_resize(self) -> None:
        """Leaves the plan what the buttons and what belongs to them do not need: these stay in sight."""
        self.set_class(self.size.height < _ROOMY_HEIGHT, "-low")
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        box, plan = self.query_one(Vertical), self.query_one(VerticalScroll)
        others = sum(
            child.outer_size.height + child.styles.margin.height
            for child in box.children
            if child is not plan
        )
        room = int(self.size.height * _BOX_SHARE) - _BORDER_LINES - others
        plan.styles.max_height = max(_LEAST_PLAN, room)

    @property
    def can_confirm(self) -> bool:
        """Whether a yes is possible now: there is none to a plan that nobody can have seen yet."""
        if not self._apply or not self._painted:
            return False
        return not self._typed or self.query_one("#name", Input).value.strip() == self._typed

    def action_decide(self, agreed: bool) -> None:
        """Ends the dialog; there is no yes without anything to agree to, or before the name is typed."""
        if not agreed or self.can_confirm:
            self.dismiss(agreed)

    def action_copy(self) -> None:
        """Puts the command on the clipboard of the terminal (OSC 52)."""
        if self._copy:
            self.app.copy_to_clipboard(self._copy)
            self.notify("The command is on the clipboard, if your terminal lets programs write there")

    def action_save(self) -> None:
        """Has the plan written as a file."""
        if self._save:
            self.run_worker(self._save(), group="save", exclusive=True)

    @on(Input.Changed)
    def _typing(self) -> None:
        self.query_one("#apply", Button).disabled = not self.can_confirm
        self._say(self._demand)

    @on(Input.Submitted)
    def _named(self) -> None:
        """The name alone is not yet the yes: enter only goes on to the button, and says so."""
        if self.can_confirm:
            self.query_one("#apply", Button).focus()
        else:
            self._say(f'! that is not "{self._typed}"')

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Says what enter does now, where that is the yes."""
        if self._typed:
            self._say("press enter again to apply" if event.widget.id == "apply" else self._demand)

    def _say(self, words: str) -> None:
        self.query_one("#demand", Static).update(literal(words))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "apply")
