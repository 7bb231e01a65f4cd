"""A dialog that asks for a few values, and says during typing what is wrong with them or what they mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static
from textual.widgets.input import Selection

from widgets.confirm import PlanLine, plan_grid
from widgets.line_widget import LineWidget
from widgets.styled_text import cut, fit, literal

T = TypeVar("T")
FormValues = Mapping[str, str]
"""What stands in each field, by the field's name."""

_SUBMIT_ID = "submit"
_KEY_STEPS = {"up": -1, "down": 1}
_LABEL_ROOM = 24
_NARROWEST_NOTE = 12


@dataclass(frozen=True, slots=True)
class FormField:
    """One value to type.

    Attributes:
        name: What it is called in `Values`.
        label: What stands before it.
        value: What stands in it at first.
        hint: What to show while it is empty.
        selected: The part of the value that is selected at first, so that typing replaces it: start and end;
            nothing is selected if it is empty.
    """

    name: str
    label: str
    value: str = ""
    hint: str = ""
    selected: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class FormChoice:
    """Values that are offered: ↑ and ↓ put them into the fields.

    Attributes:
        values: What is put where; other fields stay.
        label: What it is called.
        note: What is said beside it.
    """

    values: FormValues
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class FormNote:
    """What is to be said of the values as they stand.

    Attributes:
        problem: Why they will not do, in one sentence; empty if they will.
        field: The name of the field that is meant; empty where it is all of them.
        lines: What the values mean.
    """

    problem: str = ""
    field: str = ""
    lines: Sequence[PlanLine] = ()


class FormValueError(ValueError):
    """What was submitted will not do, as turned out only when something was made of it."""


class FormDialog(ModalScreen[T | None], Generic[T]):
    """Fields above what is said of them; returns what was made of the values, or None if it is left.

    Nothing that was typed is lost while something is made of it: the form stays until that has succeeded.
    """

    DEFAULT_CSS = """
    FormDialog { align: center middle; background: $background 60%; }
    FormDialog > Vertical {
        width: 90%; max-width: 100; height: auto; max-height: 96%;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 1;
    }
    FormDialog Static { width: 100%; height: auto; }
    FormDialog #facts { padding: 0 1; }
    FormDialog .field { height: 1; margin: 1 1 0 1; }
    FormDialog .field > Static { width: auto; color: $foreground-muted; padding: 0 2 0 0; }
    FormDialog .field > Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $boost; }
    FormDialog .problem { padding: 0 1; color: $foreground-muted; min-height: 1; }
    FormDialog .problem.-grave { color: $text-error; text-style: bold; }
    FormDialog #said { padding: 0 1; margin: 0 0 1 0; }
    FormDialog FormChoices { margin: 0 1; }
    FormDialog ToastRack { dock: top; align: right top; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave"),
    ]

    def __init__(
        self,
        title: str,
        fields: Sequence[FormField],
        check: Callable[[FormValues], FormNote],
        make: Callable[[FormValues], Awaitable[T | None]],
        *,
        facts: Sequence[PlanLine] = (),
        choices: Sequence[FormChoice] = (),
        offers: str = "",
        typed: FormValues | None = None,
        complaint: str = "",
        ascii_only: bool = False,
    ) -> None:
        """Makes a form.

        Args:
            title: What it is for.
            fields: What to type.
            check: What is said of values while they are typed; quick, since it is called for every key.
            make: Makes something of values without a problem, and shows it; None goes on with the form. It
                raises `FormValueError` to say why it cannot.
            facts: What is to be known before one types.
            choices: Values to choose from.
            offers: What the choices are, in a few words.
            typed: What was typed into it before, where it is shown once more.
            complaint: What was wrong with that.
            ascii_only: Whether signs must do with ASCII.
        """
        super().__init__()
        self._box = Vertical()
        self._box.border_title = Text(literal(title)).markup
        self._fields = tuple(fields)
        self._check = check
        self._make = make
        self._facts = tuple(facts)
        self._initial = {field.name: field.value for field in fields}
        self._typed = {**self._initial, **(typed or {})}
        self._complaint = complaint
        self.offers = FormChoices(choices, offers, ascii_only=ascii_only)
        self.busy = False
        self._frozen = False

    def compose(self) -> ComposeResult:
        """Facts, fields, what is said, offers."""
        width = max(len(field.label) for field in self._fields)
        with self._box:
            yield Static(id="facts")
            for field in self._fields:
                with Horizontal(classes="field"):
                    yield Static(field.label.rjust(width), markup=False)
                    yield _FormInput(
                        self._typed[field.name],
                        field.hint,
                        id=field.name,
                        compact=True,
                        select_on_focus=not any(field.selected),
                    )
                yield Static(id=f"{field.name}-problem", classes="problem", markup=False)
            yield Static(id="said")
            if self.offers.choices:
                yield self.offers

    def on_mount(self) -> None:
        """Puts the focus into the first field, with the part selected that is most often changed."""
        self.app.clear_notifications()  # which would lie on it
        facts = self.query_one("#facts", Static)
        facts.update(plan_grid(self, self._facts))
        facts.display = bool(self._facts)
        for field in self._fields:
            if any(field.selected) and self._typed == self._initial:
                self._input(field.name).selection = Selection(*field.selected)
        self.set_focus(self._input(self._fields[0].name))  # at once: keys may be on their way
        self._tell()
        self._say(self._complaint)

    @property
    def values(self) -> dict[str, str]:
        """What stands in the fields, without space around it."""
        return {field.name: self._input(field.name).value.strip() for field in self._fields}

    def _input(self, name: str) -> Input:
        return self.query_one(f"#{name}", Input)

    def on_key(self, event: events.Key) -> None:
        """Gives the first field what was typed before it had the focus."""
        if event.is_printable:
            event.stop()
            self._input(self._fields[0].name).post_message(event)

    # -- what is said

    def _say(self, complaint: str = "", *, wanted: bool = False) -> None:
        """Says what is wrong with the values and what they mean.

        What is wrong with values that nobody has touched is a remark and no reproach, unless something
        was to be made of them.
        """
        values = self.values
        said = FormNote(problem=complaint) if complaint else self._check(values)
        at = said.field or self._fields[-1].name
        grave = wanted or bool(complaint) or values != self._initial
        for field in self._fields:
            words = self.query_one(f"#{field.name}-problem", Static)
            mine = said.problem if field.name == at else ""
            words.set_class(grave, "-grave")
            words.update(f"{'! ' if grave else ''}{literal(mine)}" if mine else "")
        told = self.query_one("#said", Static)
        told.update(plan_grid(self, said.lines))
        told.display = bool(said.lines)

    def _tell(self, words: str = "") -> None:
        offered = "↑ ↓ offers · " if self.offers.choices else ""
        fields = "tab next field · " if len(self._fields) > 1 else ""
        self._box.border_subtitle = words or f"{fields}{offered}enter plan · esc leaves"

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.values == self._typed:
            return
        self.offers.go(-1)  # an offer that is changed is typed
        self._typed = self.values
        self._say()

    def takes(self, key: str) -> bool:
        """Whether a key of a field does something: from enter on none does, until what came of it is seen.

        Args:
            key: Its name; escape always does.
        """
        if key == "escape":
            return True
        if self._frozen:
            return False
        self._frozen = key == "enter"
        return True

    @property
    def frozen(self) -> bool:
        """Whether something is made of the values as they stand, which nothing may change meanwhile."""
        return self._frozen

    # -- offers

    def action_offer(self, step: int) -> None:
        """Puts the next choice into the fields; before the first there is what was typed."""
        self._offer(self.offers.at + step)

    def _offer(self, number: int) -> None:
        if not self.offers.choices or self._frozen:
            return
        self.offers.go(number)
        offered = self.offers.choices[self.offers.at].values if self.offers.at >= 0 else {}
        for name, value in {**self._typed, **offered}.items():
            field = self._input(name)
            with field.prevent(Input.Changed):
                field.value = value
            field.cursor_position = len(value)
        self._say()

    def on_form_choices_clicked(self, event: FormChoices.Clicked) -> None:
        """A click is as good as a key."""
        self._offer(event.number)

    # -- what is made of it

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.busy:
            return
        if self._check(self.values).problem:
            self._say(wanted=True)
            self._frozen = False
        else:
            self._work()

    @work(exclusive=True, group=_SUBMIT_ID)
    async def _work(self) -> None:
        self.busy = self._frozen = True
        self._tell("making the plan … · esc stops")
        try:
            made = await self._make(self.values)
        except FormValueError as error:
            self._say(str(error))
        else:
            if made is not None:
                self.dismiss(made)
        finally:
            self.busy = self._frozen = False
            self._tell()

    def action_leave(self) -> None:
        """Stops what is under way; leaves the form if nothing is."""
        if self.busy:
            self.workers.cancel_group(self, _SUBMIT_ID)
        else:
            self.dismiss(None)


class _FormInput(Input):
    """A field that drops what comes after enter, however fast it comes: it was not typed for the field.

    Enter takes effect only after it has gone up to the app, and the next keys would be here before it.
    """

    def _form(self) -> FormDialog[Any]:
        return cast("FormDialog[Any]", self.screen)

    async def _on_key(self, event: events.Key) -> None:
        if not self._form().takes(event.key):
            event.stop()
            event.prevent_default()
        elif event.key in _KEY_STEPS:
            event.stop()
            event.prevent_default()
            self._form().action_offer(_KEY_STEPS[event.key])

    def _on_paste(self, event: events.Paste) -> None:
        if self._form().frozen:
            event.stop()
            event.prevent_default()


class FormChoices(LineWidget):
    """The choices, with the one that stands in the fields marked.

    Attributes:
        choices: What is offered.
        at: Which one stands in the fields; −1 for none.
    """

    DEFAULT_CSS = """
    FormChoices { height: auto; max-height: 10; }
    """

    class Clicked(Message):
        """Someone clicked on a choice."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, choices: Sequence[FormChoice], title: str, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self.at = -1
        self._title = title
        self._mark = ">" if ascii_only else "▸"
        self._first = 0

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As many lines as there are choices, and the title."""
        return len(self.choices) + 1

    def go(self, number: int) -> None:
        """Marks another choice."""
        at = min(max(number, -1), len(self.choices) - 1)
        if at != self.at:
            self.at = at
            self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the title and the choices that fit."""
        room = max(1, height - 1)
        self._first = min(max(self._first, self.at - room + 1), max(self.at, 0))
        names = max((len(choice.label) for choice in self.choices), default=0)
        names = max(_LABEL_ROOM, min(names, width - _NARROWEST_NOTE - 4))
        more = len(self.choices) - self._first - room
        title = self._title + (f"  ({more} more below)" if more > 0 else "")
        lines = [Text(cut(title, width), "dim")]
        for number, choice in enumerate(self.choices[self._first :], self._first):
            chosen = number == self.at
            line = Text(no_wrap=True, end="").append(f"{self._mark if chosen else ' '} ", "accent")
            line.append(fit(literal(choice.label), names), "strong" if chosen else "")
            lines.append(line.append(f"  {cut(literal(choice.note), max(0, width - names - 4))}", "dim"))
        return lines

    def on_click(self, event: events.Click) -> None:
        """Chooses what was clicked on."""
        number = self._first + event.y - 1
        if event.y and number < len(self.choices):
            self.post_message(self.Clicked(number))
