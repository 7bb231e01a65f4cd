"""The objects of a rollout, kept up to date by watches, and the rollout that they add up to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, TypeVar

import msgspec

from memtop.change.rollout_model import (
    Rollout,
    RolloutFacts,
    RolloutPod,
    is_ready,
    is_terminating,
    rollout_pod,
)
from memtop.change.rollout_status import RolloutStatus, rollout_status, workload_condition
from memtop.change.stuck_rollout import stuck_reasons
from memtop.kube.api_errors import (
    CLUSTER_FAILURES,
    ApiError,
    Unreadable,
)
from memtop.kube.api_objects import Node, ObjectMeta, PartialObjectMetadata, Pod
from memtop.kube.client import Client
from memtop.kube.core_events import CoreEvent
from memtop.kube.json_object import Json, mapping, parse_timestamp, text, uid_of
from memtop.kube.lenient_decoding import JSON_ERRORS, decode_lenient
from memtop.kube.list_watch import (
    ApiCollection,
    FullList,
    ObjectChange,
    WatchExpired,
    WatchPosition,
    list_and_watch,
)
from memtop.kube.object_ref import ObjectRef
from memtop.kube.pod_facts import controller_reference, unix_seconds
from memtop.kube.workload_revisions import (
    Revision,
    hash_label,
    revisions_from_controller,
    revisions_from_replica_sets,
)
from memtop.retry import Backoff


@dataclass(frozen=True, slots=True)
class FullObject:
    """An object with all that the API says of it.

    Attributes:
        metadata: Its metadata, read.
        json: The object as the API has it.
    """

    metadata: ObjectMeta
    json: Json


@dataclass
class RolloutObjects:
    """What is known of a workload, its revisions and its pods; filled by the watches.

    Attributes:
        ref: Which workload.
        workload: It, sanitised; None before it was read, and once it is gone.
        deleted: Whether it has been deleted.
        revision_objects: ReplicaSets or ControllerRevisions with its labels, of any owner, by name.
        pods: Its pods (and those of others that look like its own), by name.
        events: Warnings of its namespace about any of these, by uid of the event.
        memory: The working set of each pod, bytes by name.
        nodes: The nodes of pods that are not ready, by name.
        notes: What could not be learned: a sentence each, by what it is about.
    """

    ref: ObjectRef
    workload: Json | None = None
    deleted: bool = False
    revision_objects: dict[str, FullObject] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    events: dict[str, CoreEvent] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def rollout(self, now: float) -> Rollout | None:
        """The rollout at a time (Unix seconds of the cluster's clock); None before the first answer."""
        if self.workload is None:
            return None
        judged = rollout_status(self.workload, self.ref.kind)
        mine = self.own_pods()
        known = self._revisions(self.workload, Counter(map(self._hash, mine)))
        current = next((one for one in known if one.current), None)
        working = {self._hash(pod) for pod in mine if is_ready(pod) and not is_terminating(pod)}
        previous = _replaced_revision(current, known, working)
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
            stuck=stuck_reasons(scene),
            started=_start_time(current, known, scene),
            finished=_finish_time(judged, scene),
            deleted=self.deleted,
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
                for kept in self.revision_objects.values()
                if (owner := controller_reference(kept.metadata)) is not None and owner.uid in makers
            }
        return [
            pod
            for pod in self.pods.values()
            if (owner := controller_reference(pod.metadata)) is not None and owner.uid in makers
        ]

    def _revisions(self, workload: Json, pods: Mapping[str, int]) -> tuple[Revision, ...]:
        kept = [one.json for one in self.revision_objects.values()]
        if self.ref.kind == "Deployment":
            return revisions_from_replica_sets(workload, kept)
        return revisions_from_controller(workload, self.ref.kind, kept, pods)

    def _scene(
        self, workload: Json, judged: RolloutStatus, current: Revision | None, mine: list[Pod], now: float
    ) -> RolloutFacts:
        wanted = current.hash if current is not None else None
        makers = {uid_of(workload)}
        if self.ref.kind == "Deployment" and current is not None and current.name in self.revision_objects:
            makers = {self.revision_objects[current.name].metadata.uid}
        return RolloutFacts(
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

    def _line(self, pod: Pod, numbers: Mapping[str, int], *, new: bool) -> RolloutPod:
        return rollout_pod(pod, new=new, revision=numbers.get(self._hash(pod)), memory=self.memory)


def _replaced_revision(
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


def _start_time(current: Revision | None, known: tuple[Revision, ...], scene: RolloutFacts) -> float | None:
    """When the present rollout began.

    A new revision tells by its creation. One that was gone back to was created long ago: then its first pod
    that is younger than every other revision tells, if there is one.
    """
    if current is None:
        return None
    youngest = max((one.created for one in known if one is not current), default=0.0)
    if current.created > youngest:
        return current.created
    births = (unix_seconds(pod.metadata.creation_timestamp) or 0.0 for pod in scene.new)
    return min((birth for birth in births if birth > youngest), default=None)


def _finish_time(judged: RolloutStatus, scene: RolloutFacts) -> float | None:
    """When it was done: a Deployment says so itself, of the others the last pod to get ready does.

    A Deployment says it also when pods have become unavailable since. A pod that has restarted since tells
    only when it got ready again.
    """
    if scene.kind == "Deployment":
        progress = workload_condition(scene.workload, "Progressing")
        if not judged.observed or text(progress, "reason") != "NewReplicaSetAvailable":
            return None
        moment = parse_timestamp(text(progress, "lastUpdateTime"))
        return moment.timestamp() if moment is not None else None
    restarts = (one.restart_count for pod in scene.new for one in pod.status.container_statuses)
    if not judged.done or any(restarts):
        return None
    times = [
        unix_seconds(one.last_transition_time)
        for pod in scene.new
        for one in pod.status.conditions
        if one.type == "Ready" and one.status == "True"
    ]
    return max((time for time in times if time is not None), default=None)


RETRY_SECONDS = 2.0
"""Least pause after a failure, and between two looks where watching is forbidden."""
"""What can go wrong with a cluster, and is tried again."""

T = TypeVar("T", FullObject, Pod, CoreEvent)


@dataclass(frozen=True)
class FullObjectCollection(ApiCollection[FullObject]):
    """A collection whose objects are wanted whole."""

    def decode_item(self, raw: bytes | msgspec.Raw) -> FullObject:
        """Reads one object, all of it."""
        try:
            metadata = decode_lenient(raw, PartialObjectMetadata, f"an object of {self.path}").metadata
            return FullObject(metadata, mapping(msgspec.json.decode(raw)))
        except JSON_ERRORS as error:
            raise Unreadable(f"an object of {self.path} cannot be read: {error}") from error


class ObjectCache(Generic[T]):
    """Keeps objects by name.

    Args:
        into: Where to.
        most: How many at most; those that came first are given up first.

    Attributes:
        answered: Whether the collection, or why it cannot be had, has been told at all.
    """

    def __init__(self, objects: MutableMapping[str, T], most: int | None = None) -> None:
        self._objects: MutableMapping[str, T] = objects
        self._most = most
        self.answered = False

    def listed(self, items: Iterable[T]) -> None:
        """These are all there are."""
        found = {item.metadata.name: item for item in items}
        self._objects.clear()
        self._objects.update(found)
        self._bound()

    def changed(self, how: str, item: T) -> None:
        """One was ADDED, MODIFIED or DELETED."""
        if how == "DELETED":
            self._objects.pop(item.metadata.name, None)
        else:
            self._objects[item.metadata.name] = item
            self._bound()

    async def fetch_without_list(self) -> bool:
        """Where list and watch are forbidden: whether there was another way to learn the same.

        Raises:
            Exception: One of `CLUSTER_FAILURES`.
        """
        return False

    def _bound(self) -> None:
        while self._most is not None and len(self._objects) > self._most:
            del self._objects[next(iter(self._objects))]


async def follow_collection(
    client: Client,
    collection: ApiCollection[T],
    cache: ObjectCache[T],
    notes: MutableMapping[str, str],
    news: asyncio.Event,
) -> None:
    """Follows a collection until it is cancelled.

    Args:
        client: The connection.
        collection: What to follow.
        cache: Who takes in what is told.
        notes: Where it is said why nothing can be learned at present, by the collection's path.
        news: Is set whenever something was learned, or could not be.
    """
    position, backoff = WatchPosition(), Backoff()
    while True:
        backoff.begin()
        try:
            async for step in list_and_watch(client, collection, position):
                if isinstance(step, FullList):
                    cache.listed(step.items)
                elif isinstance(step, ObjectChange):
                    cache.changed(step.type, step.object)
                backoff.succeeded()
                notes.pop(collection.path, None)
                cache.answered = True
                news.set()
        except WatchExpired as expired:
            position.version = None
            await backoff.wait(expired)
        except CLUSTER_FAILURES as error:
            got_otherwise = await _note_failure(error, collection, cache, notes)
            cache.answered = True
            news.set()
            if got_otherwise:
                backoff.reset()
            await backoff.wait(error, at_least=RETRY_SECONDS)


async def _note_failure(
    error: Exception, collection: ApiCollection[T], keeper: ObjectCache[T], notes: MutableMapping[str, str]
) -> bool:
    """Says why nothing can be learned; returns whether the same was learned in another way."""
    why = str(error)
    if isinstance(error, ApiError) and error.status == HTTPStatus.FORBIDDEN:
        try:
            why = "" if await keeper.fetch_without_list() else why
        except CLUSTER_FAILURES as other:
            why = str(other)
    if why:
        notes[collection.path] = why
    else:
        notes.pop(collection.path, None)
    return not why
