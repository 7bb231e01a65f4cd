"""A list over the screen that narrows down during typing: namespaces, contexts, containers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.containers import Vertical
from textual.fuzzy import FuzzySearch
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from widgets.styled_text import literal
from widgets.table import LiveTable
from widgets.table_parts import Cell, PlacedColumn, TableColumn

V = TypeVar("V", bound=Hashable)
_FUZZY = FuzzySearch()
_MOST_PLACEMENTS = 500
"""Ways to place a query's letters in one label that are ranked. `FuzzySearch` tries every way: ``e-e-e-e-``
in 2,000 names of 60 letters took 4.4 s, and the screen waited for it."""


@dataclass(frozen=True, slots=True)
class PickerItem(Generic[V]):
    """One choice.

    Attributes:
        value: What choosing it returns; no two items share one.
        label: What it is called, and what is searched.
        note: What is said beside it.
        disabled: Why it can't be chosen; empty if it can.
    """

    value: V
    label: str
    note: str = ""
    disabled: str = ""


def fuzzy_match(query: str, label: str) -> tuple[float, Sequence[int]] | None:
    """Looks for the letters of a query in a label, in order, in capitals or not.

    Args:
        query: What was typed.
        label: What is searched.

    Returns:
        A score (more is better) and the positions of the letters. None if a letter is missing. An empty query
        matches every label. A label in which the letters can stand in very many ways matches with a score of
        0 and without positions.
    """
    typed, text = query.lower(), label.lower()
    if not typed:
        return 0, ()
    if typed not in text:
        placements = _placements(typed, text)
        if not placements[-1]:
            return None
        if sum(placements) > _MOST_PLACEMENTS:
            return 0, ()
    score, positions = _FUZZY.match(typed, text)
    return score, positions if len(text) == len(label) else ()  # "İ" is two letters in lower case


def _placements(query: str, text: str) -> list[int]:
    """In how many ways the first 0, 1, 2 … letters of the query can be placed in the text, in order."""
    ways = [1] + [0] * len(query)
    for letter in text:
        for count in range(len(query), 0, -1):
            if query[count - 1] == letter:
                ways[count] += ways[count - 1]
    return ways


class _MatchingItems(Generic[V]):
    """The items that match, best first, as rows of a table."""

    def __init__(self, items: Sequence[PickerItem[V]], query: str) -> None:
        matches = [(found, item) for item in items if (found := fuzzy_match(query, item.label))]
        if query:
            matches.sort(key=lambda match: -match[0][0])
        self.items = [item for _, item in matches]
        self._letters = [letters for (_, letters), _ in matches]
        self._index: dict[Hashable, int] = {item.value: i for i, item in enumerate(self.items)}

    def __len__(self) -> int:
        return len(self.items)

    def key(self, i: int) -> Hashable:
        return self.items[i].value

    def index(self, key: Hashable) -> int | None:
        return self._index.get(key)

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        item = self.items[i]
        label = Text(literal(item.label), "dim" if item.disabled else "")
        for letter in self._letters[i]:
            label.stylize("match", letter, letter + 1)
        note = Text(literal(item.disabled or item.note), "warn" if item.disabled else "dim")
        return [label if column.key == "label" else note for column, _ in columns]


class Picker(ModalScreen[V | None]):
    """Returns the value chosen, or ``None`` when it is left with escape."""

    DEFAULT_CSS = """
    Picker { align: center middle; background: $background 60%; }
    Picker > Vertical {
        width: 80%; max-width: 90; height: 70%; max-height: 30;
        background: $surface; border: round $primary; padding: 0 1;
    }
    Picker Input { border: none; height: 1; padding: 0; background: $surface; margin-bottom: 1; }
    Picker #title { color: $foreground-muted; }
    Picker LiveTable { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("up", "table('cursor(-1)')", "Up", show=False, priority=True),
        Binding("down", "table('cursor(1)')", "Down", show=False, priority=True),
        Binding("pageup", "table('page(-1)')", "Page up", show=False, priority=True),
        Binding("pagedown", "table('page(1)')", "Page down", show=False, priority=True),
    ]

    def __init__(self, title: str, items: Sequence[PickerItem[V]], *, current: V | None = None) -> None:
        """Makes a picker.

        Args:
            title: What is to be chosen.
            items: The choices, in the order to show them while nothing is typed.
            current: The value to start on.
        """
        super().__init__()
        self._title = title
        self._items = tuple(items)
        self._current = current
        self._table = LiveTable(
            [
                TableColumn("label", "Name", 20, flex=3, sortable=False),
                TableColumn("note", "", 12, flex=2, drop_order=1, sortable=False),
            ],
            empty="Nothing matches",
            always_lit=True,
        )

    def compose(self) -> ComposeResult:
        """Lays out the title, the input and the list."""
        with Vertical():
            yield Static(self._title, id="title", markup=False)
            yield Input(placeholder="type to narrow down", compact=True)
            yield self._table

    def on_mount(self) -> None:
        """Shows every choice and starts on the current one."""
        self._table.can_focus = False
        self._table.show(_MatchingItems(self._items, ""))
        if self._current is not None:
            self._table.select(self._current)
        self.query_one(Input).focus()

    def action_table(self, action: str) -> None:
        """Moves the list's cursor while the input keeps the focus."""
        name, step = action.rstrip(")").split("(")
        (self._table.action_page if name == "page" else self._table.action_cursor)(int(step))

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        self._table.show(_MatchingItems(self._items, event.value.strip()))
        self._table.action_first()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._table.action_activate()

    @on(LiveTable.Activated)
    def _choose(self, event: LiveTable.Activated) -> None:
        rows = self._table.rows
        if not isinstance(rows, _MatchingItems) or (at := rows.index(event.key)) is None:
            return
        item = rows.items[at]
        if item.disabled:
            self._table.show(rows, note=f"{item.label}: {item.disabled}")
        else:
            self.dismiss(item.value)


class RoomlessPalette(CommandPalette):
    """Textual's command palette, which can also be used where its list has no room.

    In a window of a few lines ``OptionList._move_page`` fails, since it looks for lines that there are not.
    """

    def _action_command_list(self, action: str) -> None:
        with suppress(KeyError, IndexError, StopIteration):
            super()._action_command_list(action)
