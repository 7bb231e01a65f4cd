"""Which rows a screen asks for, and which row a pressed key means."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from memtop.observe.view import RowSort, SortColumn, View

# ruff: noqa: PLC0415  (what draws a frame comes after the first paint, as in the screen)

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from memtop.kube.object_ref import ObjectRef
    from memtop.observe.frame import Frame, FrameRows, RowKey
    from memtop.observe.view import OverviewPane, View
    from tui.pod.tab import TabSubject
    from widgets.table import LiveTable


def view_of_row(view: View, key: RowKey) -> View:
    """The view of a screen about one row: rows are what that row is, and it is drawn large."""
    from memtop.observe.frame import WorkloadKey

    return replace(grouped_view(view, isinstance(key, WorkloadKey)), selected=key)


def grouped_view(view: View, workloads: bool) -> View:
    """The same view with one row per workload, or one per container; its orders are those that correspond."""
    if view.workloads is workloads:
        return view
    sorts = {
        pane: RowSort(_corresponding_column(sort.column, workloads), sort.descending)
        for pane, sort in view.sorts.items()
    }
    return replace(view, workloads=workloads, sorts=sorts)


def _corresponding_column(column: SortColumn, workloads: bool) -> SortColumn:
    """The column to sort by instead, where one exists only per container or only per workload."""
    if workloads:
        return SortColumn.WORKLOAD if column in {SortColumn.NAME, SortColumn.NODE} else column
    return SortColumn.NAME if column in {SortColumn.WORKLOAD, SortColumn.PODS} else column


SLID_SECONDS = 1.0
"""How long a key still means the row that was there before, in seconds: about what it takes to see that
another one has slid beneath the cursor."""


def row_under_cursor(table: LiveTable) -> TabSubject | None:
    """The row under a table's cursor."""
    from tui.overview.cells import PaneRows, row_name
    from tui.pod.tab import TabSubject

    if not isinstance(table.rows, PaneRows) or not len(table.rows):
        return None
    identity = table.rows.identity_at(table.cursor_row)
    return TabSubject.of(identity, row_name(identity))


def same_rows_asked(one: View, other: View) -> bool:
    """Whether two views ask for the same rows in the same order, so that what moves has moved by itself."""
    return (one.namespaces, one.filter, one.workloads, one.sorts) == (
        other.namespaces,
        other.filter,
        other.workloads,
        other.sorts,
    )


@dataclass
class MovedRows:
    """Rows that lost the cursor to another row though nobody moved it.

    Attributes:
        rows: For each table the row that was under the cursor, the key of the one that is there now, when
            that came, in seconds of the monotonic clock, and how often the cursor had been moved by then.
    """

    rows: dict[LiveTable, tuple[TabSubject, Hashable, float, int]] = field(default_factory=dict)

    def compare(self, table: LiveTable, before: TabSubject | None, asked: bool) -> None:
        """Compares what is under the cursor with what was there before the newest frame.

        Args:
            table: The table.
            before: What was under its cursor.
            asked: Whether other rows were asked for, so that nobody is surprised by another row.
        """
        if asked or before is None:
            self.rows.pop(table, None)
        elif table.cursor_key is not None and table.cursor_key != before.key:
            meant = self.intended_row(table)
            then = time.monotonic()
            self.rows[table] = (before if meant is None else meant, table.cursor_key, then, table.moves)

    def intended_row(self, table: LiveTable) -> TabSubject | None:
        """The row that a key means if it is not the one under the cursor, which nobody has moved since."""
        before, now, since, moves = self.rows.get(table, (None, None, 0.0, 0))
        unmoved = table.cursor_key == now and table.moves == moves
        return before if unmoved and time.monotonic() - since < SLID_SECONDS else None


@dataclass
class MarkedRows:
    """The rows that were marked for one change of all of them.

    Attributes:
        subjects: Each marked row by its key, in the order of marking.
    """

    subjects: dict[RowKey, TabSubject] = field(default_factory=dict)
    _places: dict[RowKey, int] = field(default_factory=dict)

    def toggle(self, subject: TabSubject) -> None:
        """Marks a row, or takes its mark away."""
        if self.subjects.pop(subject.key, None) is None:
            self.subjects[subject.key] = subject

    def add(self, subject: TabSubject) -> None:
        """Marks a row that may be marked already."""
        self.subjects.setdefault(subject.key, subject)

    def remove_changed(self, done: Collection[ObjectRef]) -> None:
        """Takes the marks from the rows whose workload or pod was changed."""
        for key, one in list(self.subjects.items()):
            if one.workload in done or one.pod_ref in done:
                del self.subjects[key]

    def forget_gone(self, frame: Frame) -> list[TabSubject]:
        """Takes the marks from the rows that are there no more, and returns them.

        Rows of the other grouping are in no such frame: they stay marked.
        """
        gone = [
            one
            for key, one in self.subjects.items()
            if _is_workload(key) is frame.view.workloads and self._place(frame.rows, key) is None
        ]
        for one in gone:
            del self.subjects[one.key]
            self._places.pop(one.key, None)
        return gone

    def out_of_sight(self, frame: Frame, pane: OverviewPane) -> int:
        """How many marked rows a pane does not show: by the filter, the namespace, or what it is about."""
        shown = set(frame.pane_rows[pane].tolist()) if self.subjects else set()
        return sum(
            _is_workload(key) is not frame.view.workloads or self._place(frame.rows, key) not in shown
            for key in self.subjects
        )

    def _place(self, rows: FrameRows, key: RowKey) -> int | None:
        """Where among a frame's rows one is: nearly always where it was in the frame before."""
        place = self._places.get(key, -1)
        known = rows.identities[place] if 0 <= place < len(rows.identities) else None
        if known is not None and known.key == key:
            return place
        found = next(
            (row for row, one in enumerate(rows.identities) if one is not None and one.key == key), None
        )
        if found is not None:
            self._places[key] = found
        return found


def _is_workload(key: RowKey) -> bool:
    from memtop.observe.frame import WorkloadKey

    return isinstance(key, WorkloadKey)


def marked_words(count: int, out_of_sight: int, *, filtered: bool) -> str:
    """How many rows are marked, and how many of them are not to be seen; empty without any."""
    if not count:
        return ""
    where = "hidden by the filter" if filtered else "not in this pane"
    return f"{count} marked" + (f", {out_of_sight} {where}" if out_of_sight else "")
