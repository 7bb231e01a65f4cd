"""The columns of the three panes, and the sort order of each pane, kept in a file between runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.private_files import replace_file
from config.sources import state_folder
from memtop.observe.view import DEFAULT_SORTS, OverviewPane, RowSort, SortColumn
from memtop.observe.view import SortColumn as Order
from widgets.table_parts import TableColumn

_NAMESPACE = TableColumn(Order.NAMESPACE, "NAMESPACE", 11, flex=1, max_width=22, drop_order=4)
_POD = TableColumn(Order.NAME, "POD", 24, flex=4, max_width=70)
_WORKLOAD = TableColumn(Order.WORKLOAD, "WORKLOAD", 24, flex=4, max_width=70)
_PODS = TableColumn(Order.PODS, "PODS", 5, justify="right", drop_order=3)
_MEMORY = TableColumn(Order.MEMORY, "MEMORY", 8, justify="right")
_LIMIT = TableColumn(Order.LIMIT, "LIMIT", 8, justify="right", drop_order=6)
_SHARE = TableColumn(Order.SHARE, "%LIMIT", 7, justify="right")
_PRESSURE = TableColumn(Order.PRESSURE, "PRESSURE", 9, justify="right", drop_order=4)
_BAR = TableColumn("bar", "OF LIMIT", 10, flex=1, max_width=20, drop_order=7, sortable=False)
_TREND = TableColumn("trend", "LAST HOUR", 9, flex=2, max_width=24, drop_order=5, sortable=False)
_RATE = TableColumn(Order.RATE, "GROWTH", 11, justify="right", drop_order=9)
_TIME = TableColumn(Order.TIME_TO_LIMIT, "LIMIT IN", 9, justify="right", drop_order=10)
_VERDICT = TableColumn(Order.VERDICT, "VERDICT", 14, drop_order=8)
_STATE = TableColumn(Order.STATE, "STATE", 16, drop_order=2)
_NODE = TableColumn(Order.NODE, "NODE", 14, flex=1, max_width=24, drop_order=1)
_RESTARTS = TableColumn(Order.RESTARTS, "RESTARTS", 9, justify="right", drop_order=5)
_LAST_HOUR = TableColumn(Order.LAST_HOUR, "1H", 4, justify="right")
_REASON = TableColumn("reason", "LAST END", 12, flex=1, max_width=24, sortable=False)
_EXIT = TableColumn("exit", "EXIT", 4, justify="right", drop_order=6, sortable=False)
_AGO = TableColumn(Order.LAST_END, "WHEN", 12, justify="right")

_BY_POD: dict[OverviewPane, tuple[TableColumn, ...]] = {
    OverviewPane.TOP: (
        _NAMESPACE,
        _POD,
        _MEMORY,
        _LIMIT,
        _SHARE,
        _PRESSURE,
        _BAR,
        _TREND,
        _RATE,
        _TIME,
        _VERDICT,
        _STATE,
        _NODE,
    ),
    OverviewPane.RESTARTS: (_NAMESPACE, _POD, _LAST_HOUR, _RESTARTS, _REASON, _EXIT, _AGO, _STATE),
    OverviewPane.GROWTH: (
        replace(_NAMESPACE, drop_order=3),
        replace(_POD, width=20),
        replace(_VERDICT, drop_order=0),
        replace(_RATE, drop_order=0),
        replace(_TIME, drop_order=0),
        replace(_TREND, drop_order=4),
        replace(_MEMORY, drop_order=2),
        replace(_SHARE, drop_order=1),
    ),
}


_TITLES_OF_WORST = {Order.SHARE: "WORST%", "bar": "WORST POD", Order.TIME_TO_LIMIT: "WORST IN"}
"""Titles where a row is a workload: its figure is that of the container that is worst off, not of all."""


def pane_columns(pane: OverviewPane, workloads: bool, pressure: bool = False) -> tuple[TableColumn, ...]:
    """What a pane can show, in order.

    Args:
        pane: Which pane.
        workloads: Whether its rows are workloads rather than containers.
        pressure: Whether anybody exports how long processes wait for memory.
    """
    shown = tuple(column for column in _BY_POD[pane] if pressure or column is not _PRESSURE)
    if not workloads:
        return shown
    return tuple(
        replace(found, title=_TITLES_OF_WORST.get(found.key, found.title))
        for column in shown
        for found in ((_WORKLOAD, _PODS) if column.key == Order.NAME else (column,))
        if found.key != Order.NODE
    )


def sortable_columns(pane: OverviewPane, workloads: bool, pressure: bool = False) -> list[Order]:
    """What a pane can be sorted by, in the order of its columns; see `pane_columns`."""
    return [Order(column.key) for column in pane_columns(pane, workloads, pressure) if column.sortable]


ASCENDING_FIRST = frozenset({Order.NAMESPACE, Order.NAME, Order.WORKLOAD, Order.NODE, Order.TIME_TO_LIMIT})
"""What is sorted upwards at first: names, and the nearest limit."""


def preferences_path(*, demo: bool = False) -> Path:
    """Where it is kept: the platform's state folder; what someone tries in the demo stays there."""
    return state_folder(os.environ) / ("preferences-demo.json" if demo else "preferences.json")


def load_sorts(file: Path) -> dict[OverviewPane, RowSort]:
    """The remembered order of each pane; the default one for what is missing, unreadable or unknown."""
    if not file.is_file():  # reading a FIFO would wait for ever
        return dict(DEFAULT_SORTS)
    try:
        kept: Any = json.loads(file.read_text(encoding="utf-8"))["sorts"]
        return {pane: _sort_from_file(kept.get(pane)) or DEFAULT_SORTS[pane] for pane in OverviewPane}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return dict(DEFAULT_SORTS)


def save_sorts(file: Path, sorts: Mapping[OverviewPane, RowSort]) -> None:
    """Remembers the order of each pane. A state folder that cannot be written loses nothing but this."""
    kept = {"sorts": {pane: [sort.column, sort.descending] for pane, sort in sorts.items()}}
    try:
        replace_file(file, json.dumps(kept).encode())
    except OSError:
        return


def _sort_from_file(kept: object) -> RowSort | None:
    match kept:
        case [str(column), bool(descending)] if column in set(SortColumn):
            return RowSort(SortColumn(column), descending)
        case _:
            return None
