"""The events of a pod as rows of a table."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from memtop import wording
from memtop.cluster.events import Concern, Event
from widgets.columns import Column, Placed
from widgets.rows import Cell
from widgets.table import LiveTable
from widgets.time_strip import Happening

COLUMNS = (
    Column("last", "LAST", 12, sortable=False),
    Column("concern", "", 7, sortable=False),
    Column("reason", "REASON", 16, max_width=26, flex=1, sortable=False),
    Column("object", "OBJECT", 16, max_width=44, flex=2, drop=1, sortable=False),
    Column("count", "COUNT", 6, justify="right", drop=2, sortable=False),
    Column("message", "MESSAGE", 24, flex=6, sortable=False),
)
CONCERNS: dict[Concern, tuple[str, str, Happening]] = {
    Concern.OOM: ("OOM", "critical", "memory"),
    Concern.MEMORY: ("memory", "warn", "memory"),
    Concern.WARNING: ("warning", "warn", "warning"),
    Concern.ORDINARY: ("normal", "dim", "ordinary"),
}
"""What is written of each, its role, and its mark on the time axis."""


class EventTable(LiveTable):
    """A table of which nothing can be opened: the selected event is shown as a whole below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "activate", "Open", show=False),
        Binding("g", "other_range", "Range"),  # as on the Trend tab, and not the first row
    ]

    class OtherRange(Message):
        """Another stretch of time is to be shown."""

    def action_other_range(self) -> None:
        """Asks for another stretch of time."""
        self.post_message(self.OtherRange())


class EventRows:
    """The events as rows of a table.

    Args:
        events: In order.
        now: The cluster's time, Unix seconds.
        faint: How many of the last ones are not the pod's.
    """

    def __init__(self, events: Sequence[Event], now: float, faint: int = 0) -> None:
        self._events = events
        self._now = now
        self._faint_from = len(events) - faint
        self._keys = {self.key(at): at for at in range(len(events))}

    def __len__(self) -> int:
        return len(self._events)

    def event(self, i: int) -> Event:
        """The event of row ``i``."""
        return self._events[i]

    def is_faint(self, i: int) -> bool:
        """Whether row ``i`` tells of other pods."""
        return self._faint_from <= i < len(self._events)

    def key(self, i: int) -> Hashable:
        """What was said, and of what; of the line that stands for others only that it does."""
        event = self._events[i]
        if i == self._faint_from:
            return "others"
        return (event.kind, event.name, event.part, event.reason, event.message, event.warning)

    def index(self, key: Hashable) -> int | None:
        """Finds a row by its key."""
        return self._keys.get(key)

    def cells(self, i: int, columns: Sequence[Placed]) -> Sequence[Cell]:
        """Returns row ``i``."""
        event = self._events[i]
        words, role, _ = CONCERNS[event.concern]
        loud = role if event.concern in {Concern.OOM, Concern.MEMORY} else ""
        if i >= self._faint_from:
            words, role, loud = "others", "dim", "dim"
        cells: dict[str, Cell] = {
            "last": wording.ago(None if event.last is None else self._now - event.last),
            "concern": Text(words, role),
            "reason": Text(event.reason, loud),
            "object": Text(f"{event.kind.lower()}/{event.name}", loud if role == "dim" else ""),
            "count": f"×{event.count}" if event.count > 1 else "",
            "message": Text(event.message, loud),
        }
        return [cells[column.key] for column, _ in columns]
