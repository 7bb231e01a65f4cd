"""The Events tab: the events of the pod, its owners and its node, on the time axis of the graph."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from memtop import wording
from memtop.kube.api_errors import Unreachable
from memtop.kube.core_events import ClusterEvent, EventConcern, KnownEvents, events_of_pod, fold_oom_kills
from memtop.kube.event_watch import follow_events
from memtop.observe.frame import Frame, RowDetail
from tui.overview.row_details import TIME_RANGES
from tui.pod.describe_tab import subject_ref
from tui.pod.tab import AskCluster, PodTab, TabSubject
from tui.pod.trend_tab import next_range
from widgets.line_widget import OneLine
from widgets.styled_text import Symbols
from widgets.table import LiveTable
from widgets.table_parts import Cell, PlacedColumn, TableColumn
from widgets.time_strip import MarkKind, TimeMark, TimeStrip

EVENT_COLUMNS = (
    TableColumn("last", "LAST", 12, sortable=False),
    TableColumn("concern", "", 7, sortable=False),
    TableColumn("reason", "REASON", 16, max_width=26, flex=1, sortable=False),
    TableColumn("object", "OBJECT", 16, max_width=44, flex=2, drop_order=1, sortable=False),
    TableColumn("count", "COUNT", 6, justify="right", drop_order=2, sortable=False),
    TableColumn("message", "MESSAGE", 24, flex=6, sortable=False),
)
CONCERN_SIGNS: dict[EventConcern, tuple[str, str, MarkKind]] = {
    EventConcern.OOM: ("OOM", "critical", "memory"),
    EventConcern.MEMORY: ("memory", "warn", "memory"),
    EventConcern.WARNING: ("warning", "warn", "warning"),
    EventConcern.ORDINARY: ("normal", "dim", "ordinary"),
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

    def __init__(self, events: Sequence[ClusterEvent], now: float, faint: int = 0) -> None:
        self._events = events
        self._now = now
        self._faint_from = len(events) - faint
        self._keys = {self.key(at): at for at in range(len(events))}

    def __len__(self) -> int:
        return len(self._events)

    def event(self, i: int) -> ClusterEvent:
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

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """Returns row ``i``."""
        event = self._events[i]
        words, role, _ = CONCERN_SIGNS[event.concern]
        loud = role if event.concern in {EventConcern.OOM, EventConcern.MEMORY} else ""
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


class EventsTab(PodTab):
    """A strip of time above a table, and the whole of the selected event below.

    Args:
        subject: What the pod screen is about.
        ask: Does something with the cluster.
        symbols: Which characters marks are drawn with.
    """

    NAME = "Events"
    KEY = "e"
    DEFAULT_CSS = """
    EventsTab #said { height: 3; padding: 0 1; color: $foreground; border-top: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "memory", "Memory only"),
        *(
            Binding(str(number), f"range('{name}')", name, show=False)
            for number, name in enumerate(TIME_RANGES, 1)
        ),
    ]

    class Told(Message):
        """The cluster has told events, or why it cannot."""

        def __init__(self, seen: KnownEvents) -> None:
            super().__init__()
            self.seen = seen

        def can_replace(self, message: Message) -> bool:
            """All events known are told each time, so only the last telling counts."""
            return isinstance(message, EventsTab.Told)

    def __init__(self, subject: TabSubject, ask: AskCluster, symbols: Symbols) -> None:
        super().__init__(subject, ask)
        self._seen: KnownEvents | None = None
        self._frame: Frame | None = None
        self._range = "6 h"
        self._memory_only = False
        self._unfolded = False
        self._said = Text()
        ascii_only = symbols == "ascii"
        self.strip = TimeStrip(ascii_only=ascii_only)
        self.table = EventTable(EVENT_COLUMNS, empty="Asking for events …", ascii_only=ascii_only)
        self.notes = OneLine()
        self.said = Static(id="said", markup=False)

    def compose(self) -> ComposeResult:
        """Time strip, table, the selected event, what could not be had."""
        yield self.strip
        yield self.table
        yield self.said
        yield self.notes

    def focus(self, scroll_visible: bool = True) -> EventsTab:
        """Gives the keys to the table."""
        self.table.focus(scroll_visible)
        return self

    def opened(self) -> None:
        """Begins to follow the events."""
        self._draw()
        self._follow()

    def show(self, frame: Frame) -> None:
        """Brings ages and time axis up to date."""
        self._frame = frame
        self._draw()

    @work(exclusive=True, group="events")
    async def _follow(self) -> None:
        try:
            future = self.ask(partial(follow_events, ref=subject_ref(self.subject), publish=self._tell))
            await asyncio.wrap_future(future)
        except Unreachable as error:
            self._tell(KnownEvents((), (), (str(error),)))

    def show_failure(self, sentence: str) -> None:
        """Says why no more events are told."""
        self._tell(KnownEvents((), (), (sentence,)))

    def _tell(self, seen: KnownEvents) -> None:
        """Called on the engine's thread."""
        self.post_message(self.Told(seen))

    def on_events_tab_told(self, message: Told) -> None:
        """Shows the events as they are now."""
        message.stop()
        self._seen = message.seen
        self._draw()

    # -- drawing

    def _draw(self) -> None:
        now = self._frame.time if self._frame is not None else time.time()
        events = self._seen.events if self._seen is not None else ()
        detail = self._detail()
        told = events_of_pod(events, detail.oom_kills if detail is not None else ())
        shown = [
            event for event in (*told.of_pod, *told.node) if not self._memory_only or _is_about_memory(event)
        ]
        others = (
            [fold_oom_kills(told.unmatched_oom_kills), *(told.unmatched_oom_kills if self._unfolded else ())]
            if told.unmatched_oom_kills
            else []
        )
        empty = None if self._seen is None else "Nothing was said, as far as the API still knows"
        if self._memory_only and events:
            empty = "Nothing was said of memory; m shows everything"
        self.table.show(EventRows([*shown, *others], now, len(others)), empty=empty)
        marks = [
            _event_mark(event, CONCERN_SIGNS[event.concern][2]) for event in shown if event.last is not None
        ]
        marks += [
            _event_mark(event, "ordinary") for event in told.unmatched_oom_kills if event.last is not None
        ]
        if detail is not None:
            marks += [TimeMark(at, "restart") for at in detail.restarts]
            marks += [TimeMark(at, "oom") for at in detail.oom_kills]
        self.strip.show(f"Last {self._range}", now - TIME_RANGES[self._range], now, marks)
        self._say_selected()
        self._say_notes(len(events), len(shown) + len(told.unmatched_oom_kills))

    def _detail(self) -> RowDetail | None:
        """The container's restarts and OOM kills, if the frame is about it."""
        detail = self._frame.detail if self._frame is not None else None
        return detail if detail is not None and detail.key == self.subject.key else None

    def _say_notes(self, count: int, shown: int) -> None:
        line = Text()
        if self._seen is not None:
            about = ", ".join(str(ref) for ref in self._seen.involved_objects[:4])
            more = (
                f" and {len(self._seen.involved_objects) - 4} more"
                if len(self._seen.involved_objects) > 4
                else ""
            )
            line.append(f" {shown} of {count} events" if shown != count else f" {count} events", "dim")
            line.append(f" of {about}{more}" if about else "", "dim")
            for note in self._seen.notes:
                line.append(f"  {note}", "warn")
        self.notes.show_text(line)

    @on(LiveTable.Activated)
    def _activated(self, event: LiveTable.Activated) -> None:
        """Shows other pods' OOM kills one by one, or in one line again."""
        event.stop()
        rows = self.table.rows
        if isinstance(rows, EventRows) and rows.is_faint(self.table.cursor_row):
            self._unfolded = not self._unfolded
            self._draw()

    @on(LiveTable.Selected)
    def _selected(self, event: LiveTable.Selected) -> None:
        event.stop()
        self._say_selected()

    def _say_selected(self) -> None:
        rows = self.table.rows
        words = Text()
        if isinstance(rows, EventRows) and len(rows):
            event = rows.event(min(self.table.cursor_row, len(rows) - 1))
            part = f" {event.part}" if event.part else ""
            words = Text(f"{event.reason}: ", "bold").append(event.message)
            if event.count > 1 and event.first is not None and event.last is not None:
                words.append(f"  ×{event.count} in {wording.duration(event.last - event.first)}", "strong")
            words.append(f"  ({event.source or 'nobody'} of {event.kind.lower()}/{event.name}{part})", "dim")
        if words != self._said:
            self._said = words
            self.said.update(words)

    # -- keys

    def action_memory(self) -> None:
        """Shows only what was said of memory, or everything again."""
        self._memory_only = not self._memory_only
        self._draw()

    def action_range(self, name: str) -> None:
        """Shows another stretch of time."""
        self._range = name
        self._draw()

    @on(EventTable.OtherRange)
    def _next_range(self) -> None:
        """Shows the next longer stretch, or the shortest again."""
        self.action_range(next_range(self._range))


def _event_mark(event: ClusterEvent, what: MarkKind) -> TimeMark:
    """An event on the axis, from the first time to the last."""
    last = event.last or 0.0
    return TimeMark(last if event.first is None else event.first, what, last)


def _is_about_memory(event: ClusterEvent) -> bool:
    return event.concern in {EventConcern.OOM, EventConcern.MEMORY}
