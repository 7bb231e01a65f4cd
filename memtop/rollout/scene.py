"""What is known around a rollout, for judging why it does not go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from memtop.cluster.events import CoreEvent
from memtop.cluster.objects import Node, Pod
from memtop.cluster.tree import Json
from memtop.rollout.status import Status

FRESH_SECONDS = 900.0
"""What was last told longer ago than this need not be true any more; what is true is told again sooner."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known around a rollout.

    Attributes:
        workload: The workload.
        kind: Its kind.
        status: How far it is.
        new: The pods of the revision that is rolled out.
        old: The pods of other revisions.
        makers: The uids of what creates the new pods: the ReplicaSet, or the workload itself.
        events: The warnings told of pods and makers.
        nodes: The nodes that new pods are on, as far as they may be read.
        now: The cluster's time, Unix seconds.
    """

    workload: Json
    kind: str
    status: Status
    new: Sequence[Pod] = ()
    old: Sequence[Pod] = ()
    makers: frozenset[str] = frozenset()
    events: Sequence[CoreEvent] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    now: float = 0.0

    def told(self, uid: str, reasons: Iterable[str]) -> CoreEvent | None:
        """The newest warning with one of these reasons about an object, if it is still fresh."""
        wanted = set(reasons)
        found = [
            event
            for event in self.events
            if event.involved_object.uid == uid and (event.reason or "") in wanted and self._fresh(event)
        ]
        return max(found, key=last_told, default=None)

    def _fresh(self, event: CoreEvent) -> bool:
        return self.now - last_told(event) <= FRESH_SECONDS


def last_told(event: CoreEvent) -> float:
    """When an event was last told, Unix seconds; 0 where it does not say."""
    return event.read().last or 0.0
