"""The columns of the three panes, per container and per workload."""

from __future__ import annotations

from dataclasses import replace

from memtop.observe.view import Column as Order
from memtop.observe.view import Pane
from widgets.columns import Column

_NAMESPACE = Column(Order.NAMESPACE, "NAMESPACE", 11, flex=1, max_width=22, drop=4)
_POD = Column(Order.NAME, "POD", 22, flex=4, max_width=70)
_WORKLOAD = Column(Order.WORKLOAD, "WORKLOAD", 22, flex=4, max_width=70)
_PODS = Column(Order.PODS, "PODS", 5, justify="right", drop=3)
_MEMORY = Column(Order.MEMORY, "MEMORY", 8, justify="right")
_LIMIT = Column(Order.LIMIT, "LIMIT", 8, justify="right", drop=6)
_SHARE = Column(Order.SHARE, "%LIMIT", 7, justify="right")
_BAR = Column("bar", "OF LIMIT", 10, flex=1, max_width=20, drop=7, sortable=False)
_TREND = Column("trend", "LAST HOUR", 9, flex=2, max_width=24, drop=5, sortable=False)
_RATE = Column(Order.RATE, "GROWTH", 12, justify="right", drop=9)
_TIME = Column(Order.TIME_TO_LIMIT, "LIMIT IN", 9, justify="right", drop=10)
_VERDICT = Column(Order.VERDICT, "VERDICT", 15, drop=8)
_STATE = Column(Order.STATE, "STATE", 16, drop=2)
_NODE = Column(Order.NODE, "NODE", 14, flex=1, max_width=24, drop=1)
_RESTARTS = Column(Order.RESTARTS, "RESTARTS", 9, justify="right", drop=5)
_LAST_HOUR = Column(Order.LAST_HOUR, "1H", 4, justify="right")
_REASON = Column("reason", "LAST END", 12, flex=1, max_width=24, sortable=False)
_EXIT = Column("exit", "EXIT", 4, justify="right", drop=6, sortable=False)
_AGO = Column(Order.LAST_END, "WHEN", 12, justify="right")

_BY_POD: dict[Pane, tuple[Column, ...]] = {
    Pane.TOP: (
        _NAMESPACE,
        _POD,
        _MEMORY,
        _LIMIT,
        _SHARE,
        _BAR,
        _TREND,
        _RATE,
        _TIME,
        _VERDICT,
        _STATE,
        _NODE,
    ),
    Pane.RESTARTS: (_NAMESPACE, _POD, _LAST_HOUR, _RESTARTS, _REASON, _EXIT, _AGO, _STATE),
    Pane.GROWTH: (
        replace(_NAMESPACE, drop=3),
        replace(_POD, width=18),
        replace(_VERDICT, drop=0),
        replace(_RATE, drop=0),
        replace(_TIME, drop=0),
        replace(_TREND, drop=4),
        replace(_MEMORY, drop=2),
        replace(_SHARE, drop=1),
    ),
}


_OF_THE_WORST = {Order.SHARE: "WORST%", "bar": "WORST POD", Order.TIME_TO_LIMIT: "WORST IN"}
"""Titles where a row is a workload: its figure is that of the container that is worst off, not of all."""


def columns(pane: Pane, workloads: bool) -> tuple[Column, ...]:
    """What a pane can show, in order.

    Args:
        pane: Which pane.
        workloads: Whether its rows are workloads rather than containers.
    """
    if not workloads:
        return _BY_POD[pane]
    return tuple(
        replace(found, title=_OF_THE_WORST.get(found.key, found.title))
        for column in _BY_POD[pane]
        for found in ((_WORKLOAD, _PODS) if column.key == Order.NAME else (column,))
        if found.key != Order.NODE
    )


def sortable(pane: Pane, workloads: bool) -> list[Order]:
    """What a pane can be sorted by, in the order of its columns."""
    return [Order(column.key) for column in columns(pane, workloads) if column.sortable]


ALPHABETICAL = frozenset({Order.NAMESPACE, Order.NAME, Order.WORKLOAD, Order.NODE, Order.TIME_TO_LIMIT})
"""What is sorted upwards at first: names, and the nearest limit."""
