"""The store: one row per container of each live pod, in columns, with the samples of its recent past.

It has one writer, the engine's thread; readers get copies (`memtop.observe.frame`). A row's index, its
*slot*, stays the same for as long as the container lives and is then used again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from memtop.cluster.containers import ContainerFacts, Kind, Mood, container_facts, epoch
from memtop.cluster.objects import Metadata, Node, PartialObject, Pod, PodMetrics
from memtop.cluster.sanitize import sanitize
from memtop.cluster.workloads import Owners, Workload, controller
from memtop.observe.lives import Lives
from memtop.observe.samples import History
from memtop.quantity import QuantityError, parse_bytes

FIRST_SLOTS = 256
FINISHED = frozenset({"Succeeded"})


@dataclass(frozen=True, slots=True)
class Key:
    """Names a row for as long as its pod lives."""

    uid: str
    container: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What of a row does not change while its pod lives, but for the node and what is learned of its owner.

    Attributes:
        key: The row's name.
        namespace: The pod's namespace.
        pod: The pod's name.
        container: The container's name.
        kind: What part the container has in the pod.
        only: Whether it is the pod's only ordinary container, so that the pod's name says it all.
        workload: The controller a person would name.
        node: The node's name, empty before the pod is scheduled.
        labels: The pod's labels.
    """

    key: Key
    namespace: str
    pod: str
    container: str
    kind: Kind
    only: bool
    workload: Workload
    node: str
    labels: dict[str, str]

    def haystack(self) -> str:
        """What a text filter looks through, in lower case."""
        return f"{self.namespace}/{self.pod}/{self.container} {self.workload} {self.node}".lower()


@dataclass(slots=True)
class _PodEntry:
    """A pod and where its containers are kept; `metadata` is cut to what resolving its owner needs."""

    namespace: str
    name: str
    created_at: float
    owner_metadata: Metadata
    slots: dict[str, int]


class Columns:
    """The numbers of every slot; NaN is unknown.

    Attributes:
        working_set: Bytes.
        sampled_at: Time of that sample, Unix seconds.
        limit: Memory limit in bytes.
        request: Memory request in bytes.
        restarts: Restarts since the pod was created.
        started_at: Start of the current run, Unix seconds; NaN while it does not run.
        workload: Number of the workload, as in `Store.workloads`.
        generation: Which container in turn has the slot; 0 before the first.
    """

    FLOATS = ("working_set", "sampled_at", "limit", "request", "started_at")

    def __init__(self, slots: int) -> None:
        self.working_set, self.sampled_at, self.limit, self.request, self.started_at = (
            np.full(slots, np.nan) for _ in self.FLOATS
        )
        self.restarts = np.zeros(slots, np.int32)
        self.workload = np.full(slots, -1, np.int32)
        self.generation = np.zeros(slots, np.int64)

    def grow(self, slots: int) -> None:
        """Makes room for more slots."""
        for name in self.FLOATS:
            old = getattr(self, name)
            setattr(self, name, np.append(old, np.full(slots - len(old), np.nan)))
        extra = slots - len(self.restarts)
        self.restarts = np.append(self.restarts, np.zeros(extra, np.int32))
        self.workload = np.append(self.workload, np.full(extra, -1, np.int32))
        self.generation = np.append(self.generation, np.zeros(extra, np.int64))

    def clear(self, slot: int) -> None:
        """Forgets a slot."""
        for name in self.FLOATS:
            getattr(self, name)[slot] = np.nan
        self.restarts[slot] = 0
        self.workload[slot] = -1


class Store:
    """All that is known of the containers in sight.

    Args:
        history: The rings for their samples.
        slots: Room for this many containers at first; more is made as needed.
    """

    def __init__(self, history: History, slots: int = FIRST_SLOTS) -> None:
        self.history = history
        self.columns = Columns(slots)
        self.identities: list[Identity | None] = [None] * slots
        self.states: list[str] = [""] * slots
        self.moods: list[Mood] = [Mood.RUNNING] * slots
        self.lives: dict[int, Lives] = {}
        self.workloads: list[tuple[str, Workload]] = []
        self.pressured_nodes: frozenset[str] = frozenset()
        self._workload_numbers: dict[tuple[str, Workload], int] = {}
        self._free = list(range(slots - 1, -1, -1))
        self._pods: dict[str, _PodEntry] = {}
        self._uid_of: dict[tuple[str, str], str] = {}
        self._owners = Owners()
        self._label_cache: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    # -- what is in it

    @property
    def pods(self) -> int:
        """How many pods are known."""
        return len(self._pods)

    def namespaces(self) -> set[str]:
        """The namespaces that hold a known pod."""
        return {entry.namespace for entry in self._pods.values()}

    def slot_of(self, key: Key) -> int | None:
        """Where a row is kept, or None if its container is gone."""
        entry = self._pods.get(key.uid)
        return None if entry is None else entry.slots.get(key.container)

    # -- pods

    def replace_pods(self, pods: Iterable[Pod], namespace: str | None, now: float) -> None:
        """Takes in a whole list: what is not in it is gone.

        Args:
            pods: Every pod of the namespace.
            namespace: The namespace that was listed; None for all.
            now: The cluster's time.
        """
        seen = set()
        for pod in pods:
            seen.add(pod.metadata.uid)
            self.put_pod(pod, now)
        gone = [
            uid
            for uid, entry in self._pods.items()
            if uid not in seen and namespace in (None, entry.namespace)
        ]
        for uid in gone:
            self.remove_pod(uid)

    def put_pod(self, pod: Pod, now: float) -> None:
        """Takes in one pod as it is now. A pod that has finished its work holds no memory and has no rows."""
        if pod.status.phase in FINISHED:
            self.remove_pod(pod.metadata.uid)
            return
        uid = pod.metadata.uid
        entry = self._pods.get(uid)
        if entry is None:
            entry = self._pods[uid] = _PodEntry(
                sanitize(pod.metadata.namespace),
                sanitize(pod.metadata.name),
                epoch(pod.metadata.creation_timestamp) or now,
                _owner_part(pod.metadata),
                {},
            )
            self._uid_of[entry.namespace, entry.name] = uid
        facts = container_facts(pod)
        named = {fact.name for fact in facts}
        for name in [name for name in entry.slots if name not in named]:
            self._release(entry.slots.pop(name))
        node = sanitize(pod.spec.node_name)
        only = len(pod.spec.containers) == 1
        for fact in facts:
            slot = entry.slots.get(fact.name)
            if slot is None:
                slot = entry.slots[fact.name] = self._take()
            self._put_container(slot, pod, entry, fact, node, only and fact.kind is Kind.CONTAINER, now)

    def remove_pod(self, uid: str) -> None:
        """The pod is gone."""
        entry = self._pods.pop(uid, None)
        if entry is None:
            return
        if self._uid_of.get((entry.namespace, entry.name)) == uid:
            del self._uid_of[entry.namespace, entry.name]
        for slot in entry.slots.values():
            self._release(slot)

    def _put_container(
        self, slot: int, pod: Pod, entry: _PodEntry, fact: ContainerFacts, node: str, only: bool, now: float
    ) -> None:
        known = self.identities[slot]
        if known is None or known.node != node or known.only != only:
            self._identify(
                slot,
                Identity(
                    key=Key(pod.metadata.uid, fact.name),
                    namespace=sys.intern(entry.namespace),
                    pod=entry.name,
                    container=sys.intern(fact.name),
                    kind=fact.kind,
                    only=only,
                    workload=self._owners.workload_of(entry.owner_metadata),
                    node=sys.intern(node),
                    labels=self._shared_labels(pod.metadata.labels),
                ),
            )
        columns = self.columns
        columns.limit[slot] = np.nan if fact.limit is None else fact.limit
        columns.request[slot] = np.nan if fact.request is None else fact.request
        columns.restarts[slot] = fact.restarts
        columns.started_at[slot] = np.nan if fact.started_at is None else fact.started_at
        if fact.started_at is None:
            columns.working_set[slot] = (
                np.nan
            )  # what does not run holds nothing; the sample is of its last life
        self.states[slot] = fact.state
        self.moods[slot] = fact.mood
        if fact.restarts or fact.terminations or slot in self.lives:
            lives = self.lives.get(slot)
            if lives is None:
                lives = self.lives[slot] = Lives(entry.created_at, now)
            lives.observe(fact, now)

    def _identify(self, slot: int, identity: Identity) -> None:
        self.identities[slot] = identity
        where = (identity.namespace, identity.workload)
        number = self._workload_numbers.get(where)
        if number is None:
            if len(self.workloads) > 2 * len(self._pods) + 1000:
                self._renumber_workloads()
            number = self._workload_numbers[where] = len(self.workloads)
            self.workloads.append(where)
        self.columns.workload[slot] = number

    def _renumber_workloads(self) -> None:
        """Drops the numbers of workloads that are gone; short-lived Jobs would add up for ever."""
        live, numbers = np.unique(self.columns.workload, return_inverse=True)
        kept = [self.workloads[number] for number in live if number >= 0]
        self.columns.workload = (numbers - (len(live) - len(kept))).astype(np.int32)
        self.workloads = kept
        self._workload_numbers = {where: number for number, where in enumerate(kept)}

    def _shared_labels(self, labels: dict[str, str] | None) -> dict[str, str]:
        """One dictionary for all pods with the same labels: replicas share theirs."""
        if not labels:
            return {}
        clean = {sys.intern(sanitize(name)): sys.intern(sanitize(value)) for name, value in labels.items()}
        return self._label_cache.setdefault(tuple(sorted(clean.items(), key=itemgetter(0))), clean)

    # -- owners and nodes

    def learn_owner(self, owner: PartialObject) -> None:
        """A ReplicaSet or a Job says who owns it."""
        if self._owners.learn(owner.metadata):
            self._resolve_again({owner.metadata.uid})

    def learn_owners(self, owners: Iterable[PartialObject]) -> None:
        """Many of them at once."""
        news = {owner.metadata.uid for owner in owners if self._owners.learn(owner.metadata)}
        if news:
            self._resolve_again(news)

    def forget_owner(self, uid: str) -> None:
        """A ReplicaSet or a Job is gone; its pods, if any are left, follow."""
        self._owners.forget(uid)

    def _resolve_again(self, owner_uids: set[str]) -> None:
        for entry in self._pods.values():
            owner = controller(entry.owner_metadata)
            if owner is None or owner.uid not in owner_uids:
                continue
            workload = self._owners.workload_of(entry.owner_metadata)
            for slot in entry.slots.values():
                identity = self.identities[slot]
                if identity is not None and identity.workload != workload:
                    self._identify(slot, replace(identity, workload=workload))

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """Takes in a whole list of nodes."""
        self.pressured_nodes = frozenset(
            sanitize(node.metadata.name) for node in nodes if under_memory_pressure(node)
        )

    def put_node(self, node: Node, gone: bool = False) -> None:
        """Takes in one node."""
        name = frozenset({sanitize(node.metadata.name)})
        pressed = not gone and under_memory_pressure(node)
        self.pressured_nodes = self.pressured_nodes | name if pressed else self.pressured_nodes - name

    # -- samples

    def put_metrics(self, metrics: Iterable[PodMetrics], now: float) -> float | None:
        """Takes in one answer of the metrics API as one tick.

        A sample that was seen before, or that was taken before its container's present life began, is no
        news: metrics change every 15 to 60 seconds, however often one asks.

        Returns:
            The time of the newest sample, Unix seconds, or None where there was none.
        """
        columns = self.columns
        values = np.full(len(self.identities), np.nan, np.float32)
        times = np.zeros(len(self.identities))
        newest: float | None = None
        for pod in metrics:
            uid = self._uid_of.get((pod.metadata.namespace, pod.metadata.name))
            if uid is None:
                continue
            slots = self._pods[uid].slots
            taken = pod.timestamp.timestamp()
            if newest is None or taken > newest:
                newest = taken
            for container in pod.containers:
                slot = slots.get(container.name)
                if slot is None or columns.sampled_at[slot] >= taken or columns.started_at[slot] > taken:
                    continue
                try:
                    size = parse_bytes(container.usage.get("memory", ""))
                except QuantityError:
                    continue
                columns.working_set[slot] = size
                columns.sampled_at[slot] = taken
                values[slot] = size
                times[slot] = taken
        self.history.append(now, values, times)
        return newest

    # -- slots

    def live_slots(self) -> npt.NDArray[np.intp]:
        """The slots in use, ascending."""
        return np.flatnonzero(self.columns.workload >= 0)

    def _take(self) -> int:
        if not self._free:
            old = len(self.identities)
            new = old * 2
            self.columns.grow(new)
            self.history.grow(new)
            self.identities.extend([None] * (new - old))
            self.states.extend([""] * (new - old))
            self.moods.extend([Mood.RUNNING] * (new - old))
            self._free.extend(range(new - 1, old - 1, -1))
        slot = self._free.pop()
        self.columns.generation[slot] += 1
        return slot

    def _release(self, slot: int) -> None:
        self.columns.clear(slot)
        self.history.clear(slot)
        self.identities[slot] = None
        self.states[slot] = ""
        self.moods[slot] = Mood.RUNNING
        self.lives.pop(slot, None)
        self._free.append(slot)


def under_memory_pressure(node: Node) -> bool:
    """Whether the node's kubelet reports MemoryPressure."""
    return any(
        condition.type == "MemoryPressure" and condition.status == "True"
        for condition in node.status.conditions
    )


def _owner_part(metadata: Metadata) -> Metadata:
    template = (metadata.labels or {}).get("pod-template-hash")
    return Metadata(
        name=metadata.name,
        labels={"pod-template-hash": template} if template else None,
        owner_references=metadata.owner_references,
    )
