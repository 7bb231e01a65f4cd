"""Which row the keys act on: the one a person saw under the cursor when they pressed the key."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

# ruff: noqa: PLC0415  (what draws a frame comes after the first paint, as in the screen)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from memtop.observe.view import View
    from tui.pod.tab import Subject
    from widgets.table import LiveTable

MOMENT = 1.0
"""How long a key still means the row that was there before, in seconds: about what it takes to see that
another one has slid beneath the cursor."""


def subject(table: LiveTable) -> Subject | None:
    """The row under a table's cursor."""
    from tui.overview.cells import PaneRows, name_of
    from tui.pod.tab import Subject

    if not isinstance(table.rows, PaneRows) or not len(table.rows):
        return None
    identity = table.rows.identity_at(table.cursor_row)
    return Subject.of(identity, name_of(identity))


def same_rows(one: View, other: View) -> bool:
    """Whether two views ask for the same rows in the same order, so that what moves has moved by itself."""
    return (one.namespaces, one.filter, one.workloads, one.sorts) == (
        other.namespaces,
        other.filter,
        other.workloads,
        other.sorts,
    )


@dataclass
class Slid:
    """Rows that lost the cursor to another row though nobody moved it.

    Attributes:
        rows: For each table the row that was under the cursor, the key of the one that is there now, and
            when that came, in seconds of the monotonic clock.
    """

    rows: dict[LiveTable, tuple[Subject, Hashable, float]] = field(default_factory=dict)

    def note(self, table: LiveTable, before: Subject | None, asked: bool) -> None:
        """Compares what is under the cursor with what was there before the newest frame.

        Args:
            table: The table.
            before: What was under its cursor.
            asked: Whether other rows were asked for, so that nobody is surprised by another row.
        """
        if asked or before is None:
            self.rows.pop(table, None)
        elif table.cursor_key is not None and table.cursor_key != before.key:
            meant = self.meant(table)
            self.rows[table] = (before if meant is None else meant, table.cursor_key, time.monotonic())

    def meant(self, table: LiveTable) -> Subject | None:
        """The row that a key means if it is not the one under the cursor."""
        before, now, since = self.rows.get(table, (None, None, 0.0))
        return before if table.cursor_key == now and time.monotonic() - since < MOMENT else None
