"""All that the watches of a rollout have told so far, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from memtop.cluster.containers import epoch
from memtop.cluster.describe.moment import parse
from memtop.cluster.events import CoreEvent
from memtop.cluster.objects import Metadata, Node, Pod
from memtop.cluster.refs import ObjectRef
from memtop.cluster.revisions import Revision, hash_label, of_controller, of_deployment
from memtop.cluster.tree import Json, text, uid_of
from memtop.cluster.workloads import controller
from memtop.rollout.model import PodLine, Rollout
from memtop.rollout.pods import leaving, pod_line, ready
from memtop.rollout.scene import Scene
from memtop.rollout.status import Status, condition, status
from memtop.rollout.stuck import reasons


@dataclass(frozen=True, slots=True)
class Whole:
    """An object with all that the API says of it.

    Attributes:
        metadata: Its metadata, read.
        json: The object as the API has it.
    """

    metadata: Metadata
    json: Json


@dataclass
class Seen:
    """What is known of a workload, its revisions and its pods; filled by the watches.

    Attributes:
        ref: Which workload.
        workload: It, sanitised; None before it was read, and once it is gone.
        gone: Whether it has been deleted.
        kept: Its ReplicaSets or ControllerRevisions (and those of others that look like its own), by name.
        pods: Its pods (and those of others that look like its own), by name.
        events: Warnings of its namespace about any of these, by uid of the event.
        memory: The working set of each pod, bytes by name.
        nodes: The nodes of pods that are not ready, by name.
        notes: What could not be learned: a sentence each, by what it is about.
    """

    ref: ObjectRef
    workload: Json | None = None
    gone: bool = False
    kept: dict[str, Whole] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    events: dict[str, CoreEvent] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def rollout(self, now: float) -> Rollout | None:
        """What it comes to at a time (Unix seconds of the cluster's clock); None before there is anything."""
        if self.workload is None:
            return None
        judged = status(self.workload, self.ref.kind)
        mine = self.own_pods()
        known = self._revisions(self.workload, Counter(map(self._hash, mine)))
        current = next((one for one in known if one.current), None)
        working = {self._hash(pod) for pod in mine if ready(pod) and not leaving(pod)}
        previous = _previous(current, known, working)
        scene = self._scene(self.workload, judged, current, mine, now)
        numbers = {one.hash: one.number for one in known}
        lines = [
            *(self._line(pod, numbers, new=True) for pod in scene.new),
            *(self._line(pod, numbers, new=False) for pod in scene.old),
        ]
        return Rollout(
            ref=self.ref,
            status=judged,
            revision=current,
            previous=previous,
            pods=tuple(sorted(lines, key=lambda line: (not line.new, line.created or 0.0, line.name))),
            stuck=reasons(scene),
            started=_started(current, known, scene),
            finished=_finished(judged, scene),
            gone=self.gone,
            notes=tuple(dict.fromkeys(self.notes.values())),
        )

    def own_pods(self) -> list[Pod]:
        """The pods that the workload or one of its ReplicaSets controls."""
        if self.workload is None:
            return []
        makers = {uid_of(self.workload)}
        if self.ref.kind == "Deployment":
            makers = {
                kept.metadata.uid
                for kept in self.kept.values()
                if (owner := controller(kept.metadata)) is not None and owner.uid in makers
            }
        return [
            pod
            for pod in self.pods.values()
            if (owner := controller(pod.metadata)) is not None and owner.uid in makers
        ]

    def _revisions(self, workload: Json, pods: Mapping[str, int]) -> tuple[Revision, ...]:
        kept = [one.json for one in self.kept.values()]
        if self.ref.kind == "Deployment":
            return of_deployment(workload, kept)
        return of_controller(workload, self.ref.kind, kept, pods)

    def _scene(
        self, workload: Json, judged: Status, current: Revision | None, mine: list[Pod], now: float
    ) -> Scene:
        wanted = current.hash if current is not None else None
        makers = {uid_of(workload)}
        if self.ref.kind == "Deployment" and current is not None and current.name in self.kept:
            makers = {self.kept[current.name].metadata.uid}
        return Scene(
            workload,
            self.ref.kind,
            judged,
            [pod for pod in mine if self._hash(pod) == wanted],
            [pod for pod in mine if self._hash(pod) != wanted],
            frozenset(makers),
            tuple(self.events.values()),
            self.nodes,
            now,
        )

    def _hash(self, pod: Pod) -> str:
        return (pod.metadata.labels or {}).get(hash_label(self.ref.kind), "")

    def _line(self, pod: Pod, numbers: Mapping[str, int], *, new: bool) -> PodLine:
        return pod_line(pod, new=new, revision=numbers.get(self._hash(pod)), memory=self.memory)


def _previous(
    current: Revision | None, known: tuple[Revision, ...], working: Collection[str]
) -> Revision | None:
    """What is replaced: the newest revision that has ready pods, else any pods, else the one before.

    One whose pods never got ready is no revision to go back to.
    """
    if current is None:
        return None
    others = [one for one in known if one is not current]
    alive = [one for one in others if one.replicas]
    return next((one for one in others if one.hash in working), next(iter(alive or others), None))


def _started(current: Revision | None, known: tuple[Revision, ...], scene: Scene) -> float | None:
    """When the present rollout began.

    A new revision tells by its creation. One that was gone back to was created long ago: then its first pod
    that is younger than every other revision tells, if there is one.
    """
    if current is None:
        return None
    youngest = max((one.created for one in known if one is not current), default=0.0)
    if current.created > youngest:
        return current.created
    births = (epoch(pod.metadata.creation_timestamp) or 0.0 for pod in scene.new)
    return min((birth for birth in births if birth > youngest), default=None)


def _finished(judged: Status, scene: Scene) -> float | None:
    """When it was done: a Deployment says so itself, of the others the last pod to get ready does.

    A Deployment says it also when pods have become unavailable since. A pod that has restarted since tells
    only when it got ready again.
    """
    if scene.kind == "Deployment":
        progress = condition(scene.workload, "Progressing")
        if not judged.seen or text(progress, "reason") != "NewReplicaSetAvailable":
            return None
        moment = parse(text(progress, "lastUpdateTime"))
        return moment.timestamp() if moment is not None else None
    restarts = (one.restart_count for pod in scene.new for one in pod.status.container_statuses)
    if not judged.done or any(restarts):
        return None
    times = [
        epoch(one.last_transition_time)
        for pod in scene.new
        for one in pod.status.conditions
        if one.type == "Ready" and one.status == "True"
    ]
    return max((time for time in times if time is not None), default=None)
