"""From rows of containers to rows of workloads and back, in what a screen asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memtop.observe.view import Column, Sort, View

if TYPE_CHECKING:
    from memtop.observe.frame import RowKey


def looking_at(view: View, key: RowKey) -> View:
    """The view of a screen about one row: rows are what that row is, and it is drawn large."""
    from memtop.observe.frame import WorkloadKey  # noqa: PLC0415  (with a frame, after the first paint)

    return replace(grouped(view, isinstance(key, WorkloadKey)), selected=key)


def grouped(view: View, workloads: bool) -> View:
    """The same view with one row per workload, or one per container; its orders are those that correspond."""
    if view.workloads is workloads:
        return view
    sorts = {
        pane: Sort(_counterpart(sort.column, workloads), sort.descending) for pane, sort in view.sorts.items()
    }
    return replace(view, workloads=workloads, sorts=sorts)


def _counterpart(column: Column, workloads: bool) -> Column:
    """The column to sort by instead, where one exists only per container or only per workload."""
    if workloads:
        return Column.WORKLOAD if column in {Column.NAME, Column.NODE} else column
    return Column.NAME if column in {Column.WORKLOAD, Column.PODS} else column
