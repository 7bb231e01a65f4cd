"""What the cluster says of its objects: core events, merged and told apart by how much they matter.

A pod's own events come first; what its node says of other pods' OOM kills is folded into one line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from memtop.kube.api_objects import ObjectMeta
from memtop.kube.object_ref import ObjectRef
from memtop.kube.pod_facts import unix_seconds
from memtop.sanitize import sanitize

MAX_EVENTS = 2000
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
_OOM_REASONS = frozenset({"OOMKilling", "SystemOOM", "OOMKilled"})


class EventConcern(StrEnum):
    """How much an event asks for attention."""

    ORDINARY = "ordinary"
    WARNING = "warning"
    MEMORY = "memory"
    OOM = "oom"


@dataclass(frozen=True, slots=True)
class ClusterEvent:
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
    def concern(self) -> EventConcern:
        """Whether it has to do with memory."""
        if self.reason in _OOM_REASONS:
            return EventConcern.OOM
        if self.reason in _MEMORY_REASONS or (self.warning and _MEMORY_WORDS.search(self.message)):
            return EventConcern.MEMORY
        return EventConcern.WARNING if self.warning else EventConcern.ORDINARY


class _EventSeries(msgspec.Struct, rename="camel"):
    count: int | None = None
    last_observed_time: datetime | None = None


class _EventSource(msgspec.Struct, rename="camel"):
    component: str | None = None


class _InvolvedObject(msgspec.Struct, rename="camel"):
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    field_path: str | None = None


class CoreEvent(msgspec.Struct, rename="camel"):
    """A core/v1 Event as it comes over the wire, as far as it is read."""

    metadata: ObjectMeta
    involved_object: _InvolvedObject = msgspec.field(default_factory=_InvolvedObject)
    reason: str | None = None
    message: str | None = None
    type: str | None = None
    source: _EventSource | None = None
    reporting_component: str | None = None
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: _EventSeries | None = None

    def read(self) -> ClusterEvent:
        """What it says, sanitised."""
        first = unix_seconds(self.first_timestamp) or unix_seconds(self.event_time)
        observed = unix_seconds(self.series.last_observed_time) if self.series is not None else None
        count = self.series.count if self.series is not None else self.count
        source = (self.source.component if self.source is not None else None) or self.reporting_component
        return ClusterEvent(
            kind=sanitize(self.involved_object.kind or ""),
            name=sanitize(self.involved_object.name or ""),
            part=sanitize(self.involved_object.field_path or ""),
            warning=self.type == "Warning",
            reason=sanitize(self.reason or ""),
            message=sanitize(self.message or ""),
            source=sanitize(source or ""),
            count=max(1, count or 1),
            first=first,
            last=observed
            or unix_seconds(self.last_timestamp)
            or first
            or unix_seconds(self.metadata.creation_timestamp),
        )


@dataclass(frozen=True, slots=True)
class KnownEvents:
    """All events that are known now.

    Attributes:
        events: Merged, the newest first.
        involved_objects: Whose events were asked for.
        notes: Why some could not be had, a sentence each.
    """

    events: tuple[ClusterEvent, ...]
    involved_objects: tuple[ObjectRef, ...] = ()
    notes: tuple[str, ...] = ()


def merge_events(events: Iterable[ClusterEvent]) -> tuple[ClusterEvent, ...]:
    """One event for all that say the same of the same object, the newest first."""
    same: dict[tuple[object, ...], ClusterEvent] = {}
    for event in events:
        key = (event.kind, event.name, event.part, event.warning, event.reason, event.message)
        known = same.get(key)
        same[key] = event if known is None else _merge_pair(known, event)
    newest = sorted(same.values(), key=lambda event: event.last or 0.0, reverse=True)
    return tuple(newest[:MAX_EVENTS])


def _merge_pair(one: ClusterEvent, other: ClusterEvent) -> ClusterEvent:
    firsts = [time for time in (one.first, other.first) if time is not None]
    lasts = [time for time in (one.last, other.last) if time is not None]
    return ClusterEvent(
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


class EventCollector:
    """The events of several objects, as their watches tell them.

    Args:
        about: Whose events they are.
    """

    def __init__(self, about: Iterable[ObjectRef]) -> None:
        self.about = tuple(about)
        self.notes: dict[str, str] = {}
        self._events: dict[ObjectRef, dict[str, ClusterEvent]] = {}
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
        while len(own) > MAX_EVENTS:
            del own[next(iter(own))]

    def known_events(self) -> KnownEvents:
        """All that is known now."""
        everything = (event for own in self._events.values() for event in own.values())
        return KnownEvents(merge_events(everything), self.about, tuple(dict.fromkeys(self.notes.values())))


KILL_TOLERANCE = 5.0
"""Seconds between a container's end and the node's word of it; the kubelet stamps both within one or two."""
_VICTIM = re.compile(r"victim process: ([^\s,]+)|[Kk]ill(?:ed)? process \d+ \(([^)]+)\)")
_MAX_VICTIMS = 3


@dataclass(frozen=True, slots=True)
class PodEvents:
    """Events in the order in which they matter to one pod.

    Attributes:
        of_pod: Of the pod and its owners, and the node's OOM kills that were this pod's; newest first.
        node: What else the node said; newest first.
        unmatched_oom_kills: OOM kills on the node that match no kill of this pod; newest first.
    """

    of_pod: tuple[ClusterEvent, ...]
    node: tuple[ClusterEvent, ...]
    unmatched_oom_kills: tuple[ClusterEvent, ...]


def events_of_pod(events: Iterable[ClusterEvent], kills: Sequence[float]) -> PodEvents:
    """Tells a pod's own events from its node's.

    The node's words for an OOM kill name a process and no pod, so the time has to tell whose it was.

    Args:
        events: Merged, newest first.
        kills: When containers of the pod were OOM-killed, Unix seconds, as far as known.
    """
    own: list[ClusterEvent] = []
    node: list[ClusterEvent] = []
    others: list[ClusterEvent] = []
    for event in events:
        if event.kind != "Node":
            own.append(event)
        elif event.concern is not EventConcern.OOM:
            node.append(event)
        else:
            (own if _is_own_kill(event, kills) else others).append(event)
    return PodEvents(tuple(own), tuple(node), tuple(others))


def _is_own_kill(event: ClusterEvent, kills: Sequence[float]) -> bool:
    told = [at for at in (event.first, event.last) if at is not None]
    return any(abs(kill - at) <= KILL_TOLERANCE for kill in kills for at in told)


def fold_oom_kills(others: Sequence[ClusterEvent]) -> ClusterEvent:
    """One event that stands for other pods' OOM kills, of which there must be one at least."""
    victims: Counter[str] = Counter()
    for event in others:
        if (found := _VICTIM.search(event.message)) is not None:
            victims[found.group(1) or found.group(2)] += event.count
    whose = ", ".join(f"{name} ×{times}" for name, times in victims.most_common(_MAX_VICTIMS))
    more = " and others" if len(victims) > _MAX_VICTIMS else ""
    return ClusterEvent(
        kind="Node",
        name=others[0].name,
        part="",
        warning=False,
        reason=others[0].reason,
        message="OOM kills on this node at other times than this pod's"
        + (f": {whose}{more}" if whose else ""),
        source=others[0].source,
        count=sum(event.count for event in others),
        first=min((event.first for event in others if event.first is not None), default=None),
        last=max((event.last for event in others if event.last is not None), default=None),
    )
