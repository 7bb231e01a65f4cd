"""What the cluster says of its objects: core events, put together and told apart by how much they matter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from memtop.cluster.containers import epoch
from memtop.cluster.objects import Metadata
from memtop.cluster.refs import ObjectRef
from memtop.cluster.sanitize import sanitize

MOST_EVENTS = 2000
"""Kept at most; the API forgets events after an hour by default."""

_MEMORY_REASONS = frozenset(
    {
        "OOMKilling",
        "SystemOOM",
        "OOMKilled",
        "Evicted",
        "EvictionThresholdMet",
        "NodeHasInsufficientMemory",
        "NodeHasSufficientMemory",
        "FreeMemoryFailed",
    }
)
_MEMORY_WORDS = re.compile(r"\b(?:oom|out of memory|insufficient memory|memory)\b", re.IGNORECASE)
_KILLS = frozenset({"OOMKilling", "SystemOOM", "OOMKilled"})


class Concern(StrEnum):
    """How much an event asks for attention."""

    ORDINARY = "ordinary"
    WARNING = "warning"
    MEMORY = "memory"
    OOM = "oom"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was said of an object, once or several times.

    Attributes:
        kind: The object's kind.
        name: The object's name.
        part: Which part of it, such as ``spec.containers{app}``.
        warning: Whether its type is Warning, else Normal.
        reason: The machine's word for it.
        message: The sentence.
        source: Who said it.
        count: How often it was said.
        first: When it was first said, Unix seconds; None where that is not told.
        last: When it was last said, Unix seconds; None where that is not told.
    """

    kind: str
    name: str
    part: str
    warning: bool
    reason: str
    message: str
    source: str
    count: int
    first: float | None
    last: float | None

    @property
    def concern(self) -> Concern:
        """Whether it has to do with memory."""
        if self.reason in _KILLS:
            return Concern.OOM
        if self.reason in _MEMORY_REASONS or (self.warning and _MEMORY_WORDS.search(self.message)):
            return Concern.MEMORY
        return Concern.WARNING if self.warning else Concern.ORDINARY


class _Series(msgspec.Struct, rename="camel"):
    count: int | None = None
    last_observed_time: datetime | None = None


class _Source(msgspec.Struct, rename="camel"):
    component: str | None = None


class _Involved(msgspec.Struct, rename="camel"):
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    field_path: str | None = None


class CoreEvent(msgspec.Struct, rename="camel"):
    """A core/v1 Event as it comes over the wire, as far as it is read."""

    metadata: Metadata
    involved_object: _Involved = msgspec.field(default_factory=_Involved)
    reason: str | None = None
    message: str | None = None
    type: str | None = None
    source: _Source | None = None
    reporting_component: str | None = None
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: _Series | None = None

    def read(self) -> Event:
        """What it says, sanitised."""
        first = epoch(self.first_timestamp) or epoch(self.event_time)
        observed = epoch(self.series.last_observed_time) if self.series is not None else None
        count = self.series.count if self.series is not None else self.count
        source = (self.source.component if self.source is not None else None) or self.reporting_component
        return Event(
            kind=sanitize(self.involved_object.kind or ""),
            name=sanitize(self.involved_object.name or ""),
            part=sanitize(self.involved_object.field_path or ""),
            warning=self.type == "Warning",
            reason=sanitize(self.reason or ""),
            message=sanitize(self.message or ""),
            source=sanitize(source or ""),
            count=max(1, count or 1),
            first=first,
            last=observed or epoch(self.last_timestamp) or first or epoch(self.metadata.creation_timestamp),
        )


@dataclass(frozen=True, slots=True)
class EventsSeen:
    """All events that are known now.

    Attributes:
        events: Merged, the newest first.
        about: Whose events were asked for.
        notes: Why some could not be had, a sentence each.
    """

    events: tuple[Event, ...]
    about: tuple[ObjectRef, ...] = ()
    notes: tuple[str, ...] = ()


def merged(events: Iterable[Event]) -> tuple[Event, ...]:
    """One event for all that say the same of the same object, the newest first."""
    same: dict[tuple[object, ...], Event] = {}
    for event in events:
        key = (event.kind, event.name, event.part, event.warning, event.reason, event.message)
        known = same.get(key)
        same[key] = event if known is None else _together(known, event)
    newest = sorted(same.values(), key=lambda event: event.last or 0.0, reverse=True)
    return tuple(newest[:MOST_EVENTS])


def _together(one: Event, other: Event) -> Event:
    firsts = [time for time in (one.first, other.first) if time is not None]
    lasts = [time for time in (one.last, other.last) if time is not None]
    return Event(
        one.kind,
        one.name,
        one.part,
        one.warning,
        one.reason,
        one.message,
        one.source,
        one.count + other.count,
        min(firsts, default=None),
        max(lasts, default=None),
    )


class EventLog:
    """The events of several objects, as their watches tell them.

    Args:
        about: Whose events they are.
    """

    def __init__(self, about: Iterable[ObjectRef]) -> None:
        self.about = tuple(about)
        self.notes: dict[str, str] = {}
        self._events: dict[ObjectRef, dict[str, Event]] = {}
        self.follow(self.about)

    def follow(self, about: Iterable[ObjectRef]) -> None:
        """Keeps the events of these objects and no others."""
        self.about = tuple(about)
        self._events = {ref: self._events.get(ref, {}) for ref in self.about}

    def listed(self, ref: ObjectRef, events: Iterable[CoreEvent]) -> None:
        """Takes in all events of one object."""
        self._events[ref] = {event.metadata.uid: event.read() for event in events}

    def changed(self, ref: ObjectRef, type_: str, event: CoreEvent) -> None:
        """Takes in one event. What the API forgets (DELETED) has happened all the same, so it stays."""
        own = self._events[ref]
        if type_ != "DELETED":
            own[event.metadata.uid] = event.read()
        while len(own) > MOST_EVENTS:
            del own[next(iter(own))]

    def seen(self) -> EventsSeen:
        """All that is known now."""
        everything = (event for own in self._events.values() for event in own.values())
        return EventsSeen(merged(everything), self.about, tuple(dict.fromkeys(self.notes.values())))
