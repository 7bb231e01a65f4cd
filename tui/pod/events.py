"""The Events tab: what the cluster said of the pod, its owners and its node, on the graph's time axis."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from memtop import wording
from memtop.cluster.errors import Unreachable
from memtop.cluster.event_order import arranged, folded
from memtop.cluster.event_watch import follow
from memtop.cluster.events import Concern, Event, EventsSeen
from memtop.observe.frame import Detail, Frame
from tui.pod.describe import reference
from tui.pod.event_rows import COLUMNS, CONCERNS, EventRows, EventTable
from tui.pod.tab import Ask, PodTab, Subject
from tui.pod.trend import RANGES
from widgets.one_line import OneLine
from widgets.palette import Symbols
from widgets.table import LiveTable
from widgets.time_strip import Happening, Mark, TimeStrip


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
            for number, name in enumerate(RANGES, 1)
        ),
    ]

    class Told(Message):
        """The cluster has told events, or why it cannot."""

        def __init__(self, seen: EventsSeen) -> None:
            super().__init__()
            self.seen = seen

        def can_replace(self, message: Message) -> bool:
            """All events known are told each time, so only the last telling counts."""
            return isinstance(message, EventsTab.Told)

    def __init__(self, subject: Subject, ask: Ask, symbols: Symbols) -> None:
        super().__init__(subject, ask)
        self._seen: EventsSeen | None = None
        self._frame: Frame | None = None
        self._range = "6 h"
        self._memory_only = False
        self._unfolded = False
        self._said = Text()
        ascii_only = symbols == "ascii"
        self.strip = TimeStrip(ascii_only=ascii_only)
        self.table = EventTable(COLUMNS, empty="Asking for events …", ascii_only=ascii_only)
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
            future = self.ask(partial(follow, ref=reference(self.subject), publish=self._tell))
            await asyncio.wrap_future(future)
        except Unreachable as error:
            self._tell(EventsSeen((), (), (str(error),)))

    def show_failure(self, sentence: str) -> None:
        """Says why no more events are told."""
        self._tell(EventsSeen((), (), (sentence,)))

    def _tell(self, seen: EventsSeen) -> None:
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
        told = arranged(events, detail.oom_kills if detail is not None else ())
        shown = [event for event in (*told.own, *told.node) if not self._memory_only or _about_memory(event)]
        others = [folded(told.others), *(told.others if self._unfolded else ())] if told.others else []
        empty = None if self._seen is None else "Nothing was said, as far as the API still knows"
        if self._memory_only and events:
            empty = "Nothing was said of memory; m shows everything"
        self.table.show(EventRows([*shown, *others], now, len(others)), empty=empty)
        marks = [_mark(event, CONCERNS[event.concern][2]) for event in shown if event.last is not None]
        marks += [_mark(event, "ordinary") for event in told.others if event.last is not None]
        if detail is not None:
            marks += [Mark(at, "restart") for at in detail.restarts]
            marks += [Mark(at, "oom") for at in detail.oom_kills]
        self.strip.show(f"Last {self._range}", now - RANGES[self._range], now, marks)
        self._say_selected()
        self._say_notes(len(events), len(shown) + len(told.others))

    def _detail(self) -> Detail | None:
        """The container's restarts and OOM kills, if the frame is about it."""
        detail = self._frame.detail if self._frame is not None else None
        return detail if detail is not None and detail.key == self.subject.key else None

    def _say_notes(self, count: int, shown: int) -> None:
        line = Text()
        if self._seen is not None:
            about = ", ".join(str(ref) for ref in self._seen.about[:4])
            more = f" and {len(self._seen.about) - 4} more" if len(self._seen.about) > 4 else ""
            line.append(f" {shown} of {count} events" if shown != count else f" {count} events", "dim")
            line.append(f" of {about}{more}" if about else "", "dim")
            for note in self._seen.notes:
                line.append(f"  {note}", "warn")
        self.notes.say(line)

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
        names = list(RANGES)
        self.action_range(names[(names.index(self._range) + 1) % len(names)])


def _mark(event: Event, what: Happening) -> Mark:
    """An event on the axis, from the first time to the last."""
    last = event.last or 0.0
    return Mark(last if event.first is None else event.first, what, last)


def _about_memory(event: Event) -> bool:
    return event.concern in {Concern.OOM, Concern.MEMORY}
