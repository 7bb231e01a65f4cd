"""The store: one row per container of each live pod, in columns, with the samples of its recent past.

It has one writer, the engine's thread; readers get copies (`memtop.observe.frame`). A row's index, its
*slot*, stays the same for as long as the container lives and is then used again.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from memtop.analysis.memory_series import HeapFill
from memtop.history.past_series import NOTICED_WITHIN, ContainerName, KernelFigures, PastSeries
from memtop.kube.api_objects import Node, ObjectMeta, PartialObjectMetadata, Pod, PodMetrics
from memtop.kube.pod_facts import (
    ContainerFacts,
    ContainerKind,
    OwnerIndex,
    Termination,
    Workload,
    container_facts,
    controller_reference,
    unix_seconds,
)
from memtop.observe.sample_rings import SampleHistory
from memtop.observe.slots import (
    KIND_CODES,
    SEVERITY_CODES,
    ContainerIdentity,
    ContainerKey,
    ContainerLives,
    DepartedContainers,
    SlotColumns,
    WordNumbers,
    swap_room,
)
from memtop.quantity import bytes_or_none
from memtop.sanitize import sanitize

INITIAL_SLOTS = 256
GROWTH_FACTOR = 1.25
SPARE_FACTOR = 1.05
MAX_AHEAD = 86_400.0
"""Seconds by which a sample may be ahead of the cluster's clock; a later time is somebody's mistake."""
FINISHED_PHASES = frozenset({"Succeeded"})


@dataclass(slots=True)
class _PodEntry:
    """A pod and where its containers are kept; its metadata is cut to what resolving its owner needs."""

    namespace: str
    name: str
    created_at: float
    owner_metadata: ObjectMeta
    slots: dict[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class MetricsTick:
    """What one answer of the metrics API had that is new.

    Attributes:
        slots: Whose samples, each slot once.
        times: When they were taken, Unix seconds.
        values: Bytes.
        newest: The time of the newest sample of the answer, new or not; None where there was none.
        unread: What is wrong with each sample that was left out.
    """

    slots: npt.NDArray[np.intp]
    times: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    newest: float | None
    unread: tuple[str, ...] = ()


class ContainerStore:
    """All that is known of the containers in sight.

    Args:
        history: The rings for their samples.
        slots: Room for this many containers at first; more is made as needed.

    Attributes:
        columns: The numbers of every slot.
        identities: Who has each slot; None where nobody does.
        last_terminations: How each last ended, or None.
        lives: The ends and starts of those that have ended at least once, by slot.
        full_heaps: The heaps that are full as far as logs tell, by slot.
        departed: Containers that are gone and were OOM-killed not long before.
        states: The words of `SlotColumns.state`.
        namespaces: The names of `SlotColumns.namespace`, those of pods long gone included.
        workloads: Namespace and workload of each number in `SlotColumns.workload`.
        pressured_nodes: Nodes that report MemoryPressure.
        version: Counts up whenever an identity changes, so that what follows from them can be kept.
    """

    def __init__(self, history: SampleHistory, slots: int = INITIAL_SLOTS) -> None:
        self.history = history
        self.columns = SlotColumns(slots)
        self.identities: list[ContainerIdentity | None] = [None] * slots
        self.last_terminations: list[Termination | None] = [None] * slots
        self.lives: dict[int, ContainerLives] = {}
        self.departed = DepartedContainers()
        self.states = WordNumbers()
        self.namespaces = WordNumbers()
        self.workloads: list[tuple[str, Workload]] = []
        self.pressured_nodes: frozenset[str] = frozenset()
        self.version = 0
        self._news_of_ends: set[int] = set()
        self.full_heaps: dict[int, HeapFill] = {}
        self._workload_numbers: dict[tuple[str, Workload], int] = {}
        self._free = list(range(slots - 1, -1, -1))
        self._pods: dict[str, _PodEntry] = {}
        self._uid_of: dict[tuple[str, str], str] = {}
        self._pod_limited: set[str] = set()
        self._owners = OwnerIndex()
        self._label_cache: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    # -- what is in it

    @property
    def pods(self) -> int:
        """How many pods are known."""
        return len(self._pods)

    def live_slots(self) -> npt.NDArray[np.intp]:
        """The slots in use, ascending."""
        return np.flatnonzero(self.columns.workload >= 0)

    def live_namespaces(self) -> list[str]:
        """The namespaces that hold a known container."""
        numbers = self.columns.namespace[self.columns.namespace >= 0]
        # Counting takes a twentieth of the time that sorting takes, with every frame.
        return [self.namespaces.words[number] for number in np.flatnonzero(np.bincount(numbers)).tolist()]

    def slot_of(self, key: ContainerKey) -> int | None:
        """Where a row is kept, or None if its container is gone."""
        entry = self._pods.get(key.uid)
        return None if entry is None else entry.slots.get(key.container)

    def slot_named(self, namespace: str, pod: str, container: str) -> int | None:
        """Where the container of that name is kept, or None if there is none now."""
        uid = self._uid_of.get((namespace, pod))
        return None if uid is None else self._pods[uid].slots.get(container)

    # -- pods

    def keep_only(self, uids: Collection[str], namespace: str | None) -> None:
        """A whole list has been taken in: what was not in it is gone.

        Args:
            uids: Every pod of the namespace.
            namespace: The namespace that was listed; None for all.
        """
        gone = [
            uid
            for uid, entry in self._pods.items()
            if uid not in uids and namespace in (None, entry.namespace)
        ]
        for uid in gone:
            self.remove_pod(uid)

    def reserve(self, pods: int) -> None:
        """Makes room for so many pods at once, each with as many containers as those that are known have."""
        used = len(self.identities) - len(self._free)
        wanted = int(used / max(1, len(self._pods)) * pods * SPARE_FACTOR)
        if wanted > len(self.identities):
            self._grow(wanted)

    def put_pod(self, pod: Pod, now: float) -> None:
        """Takes in one pod as it is now. A pod that has finished its work holds no memory and has no rows."""
        uid = pod.metadata.uid
        if pod.status.phase in FINISHED_PHASES:
            self.remove_pod(uid)
            return
        entry = self._pods.get(uid)
        if entry is None:
            entry = self._pods[uid] = _PodEntry(
                sys.intern(sanitize(pod.metadata.namespace)),
                sanitize(pod.metadata.name),
                unix_seconds(pod.metadata.creation_timestamp) or now,
                self._owners.part(pod.metadata),
                {},
            )
            self._uid_of[entry.namespace, entry.name] = uid
        facts = container_facts(pod)
        self._fit_slots(pod, entry, facts)
        for fact in facts:
            self._put_container(entry.slots[fact.name], entry, fact, now)
        if any(fact.pod_limited for fact in facts):
            self._put_pod_limit(uid, entry, facts)

    def remove_pod(self, uid: str) -> None:
        """The pod is gone."""
        entry = self._pods.pop(uid, None)
        if entry is None:
            return
        self._pod_limited.discard(uid)
        if self._uid_of.get((entry.namespace, entry.name)) == uid:
            del self._uid_of[entry.namespace, entry.name]
        for container, slot in entry.slots.items():
            if slot in self.lives:
                self.departed.add(uid, container, entry.namespace, self.lives[slot])
            self._release(slot)

    def _fit_slots(self, pod: Pod, entry: _PodEntry, facts: tuple[ContainerFacts, ...]) -> None:
        """One slot for each container, with its identity; only node and labels change as a rule."""
        named = {fact.name for fact in facts}
        for name in entry.slots.keys() - named:
            self._release(entry.slots.pop(name))
        node = sys.intern(sanitize(pod.spec.node_name))
        labels = self._shared_labels(pod.metadata.labels)
        if entry.slots.keys() == named and self._node_and_labels(entry) == (node, labels):
            return
        workload = self._owners.workload_of(entry.owner_metadata)
        for fact in facts:
            slot = entry.slots.get(fact.name)
            if slot is None:
                slot = entry.slots[fact.name] = self._take()
            self._identify(
                slot,
                ContainerIdentity(
                    key=ContainerKey(pod.metadata.uid, fact.name),
                    namespace=entry.namespace,
                    pod=entry.name,
                    container=sys.intern(fact.name),
                    kind=fact.kind,
                    is_only_container=len(pod.spec.containers) == 1 and fact.kind is ContainerKind.CONTAINER,
                    workload=workload,
                    node=node,
                    labels=labels,
                ),
            )
            self.columns.first[slot] = fact is facts[0]

    def _node_and_labels(self, entry: _PodEntry) -> tuple[str, dict[str, str]] | None:
        identity = next((self.identities[slot] for slot in entry.slots.values()), None)
        return None if identity is None else (identity.node, identity.labels)

    def _put_container(self, slot: int, entry: _PodEntry, fact: ContainerFacts, now: float) -> None:
        columns = self.columns
        columns.limit[slot] = np.nan if fact.limit is None else fact.limit
        columns.request[slot] = np.nan if fact.request is None else fact.request
        columns.restarts[slot] = fact.restarts
        columns.state[slot] = self.states.number(fact.state_with_notes)
        columns.severity[slot] = SEVERITY_CODES[fact.severity]
        if fact.started_at is None:
            columns.started_at[slot] = np.nan
            columns.working_set[slot] = np.nan  # what does not run holds nothing
        else:
            columns.started_at[slot] = fact.started_at
            if columns.sampled_at[slot] < fact.started_at:
                columns.working_set[slot] = np.nan  # the sample is of its last life
        if fact.restarts or fact.terminations or slot in self.lives:
            lives = self.lives.get(slot)
            if lives is None:
                lives = self.lives[slot] = ContainerLives(entry.created_at, now)
            if lives.observe(fact, now):
                self._news_of_ends.add(slot)
                self.full_heaps.pop(slot, None)  # that was the heap of the life before
            self._put_last_hour(slot, lives, now)

    def _put_pod_limit(self, uid: str, entry: _PodEntry, facts: tuple[ContainerFacts, ...]) -> None:
        """A limit of the pod holds for all its containers together, and is added up once."""
        counted = False
        for fact in facts:
            slot = entry.slots[fact.name]
            self.columns.pod_limit[slot] = fact.limit_of_pod
            counts = fact.limit_of_pod and fact.kind is not ContainerKind.INIT and not counted
            self.columns.limit_counts[slot] = counts
            counted = counted or counts
        if not counted:
            self.columns.limit_counts[list(entry.slots.values())] = True
        self._pod_limited.add(uid)
        self._share_pod_limit(entry)

    def _share_pod_limit(self, entry: _PodEntry) -> None:
        """What the other containers of a pod hold of its limit."""
        slots = np.array(list(entry.slots.values()), np.intp)
        held = np.nan_to_num(self.columns.working_set[slots])
        self.columns.held_by_others[slots] = np.where(self.columns.pod_limit[slots], held.sum() - held, 0.0)

    def _put_last_hour(self, slot: int, lives: ContainerLives, now: float) -> None:
        columns = self.columns
        columns.restarts_hour[slot], columns.restarts_exact[slot] = lives.restarts_within(now)
        columns.ooms_hour[slot] = lives.oom_kills_within(now)
        columns.recheck_at[slot] = lives.next_change(now)
        last = self.last_terminations[slot] = lives.last
        if last is not None:
            columns.failed[slot] = last.exit_code != 0
            columns.last_end[slot] = np.nan if last.finished_at is None else last.finished_at

    def take_news_of_ends(self) -> set[int]:
        """The slots of which another end, or the cause of one, has become known since this was last asked."""
        news, self._news_of_ends = self._news_of_ends, set()
        return news

    def note_last_words(self, slot: int, exit_code: int, out_of_memory: bool) -> None:
        """Takes in whether the log of a life that ended with an exit code spoke of memory at its end."""
        lives = self.lives.get(slot)
        if lives is not None:
            lives.last_words[exit_code] = out_of_memory
            self._news_of_ends.add(slot)

    def note_heap(self, slot: int, full: HeapFill | None) -> None:
        """Takes in whether the heap of what runs now is full, as its log tells; None if it is not."""
        if full is None:
            if self.full_heaps.pop(slot, None) is None:
                return
        else:
            self.full_heaps[slot] = full
        self._news_of_ends.add(slot)

    def note_kernel_figures(self, figures: KernelFigures, now: float) -> None:
        """Takes in what the kernel counts beside memory: kills of children, stalls, swap.

        Args:
            figures: Of all containers that Prometheus knows.
            now: The cluster's time, Unix seconds.
        """
        self.note_child_kills(figures.child_kills, now)
        columns, live = self.columns, self.live_slots()
        columns.pressure[live] = np.nan  # who is not told of is not known
        columns.swap[live] = np.nan if figures.swapped is None else 0.0
        columns.swap_room[live] = 0.0
        for column, told in ((columns.pressure, figures.stalled), (columns.swap, figures.swapped)):
            for name, value in (told or {}).items():
                if (slot := self.slot_named(*name)) is not None:
                    column[slot] = value
        for name, value in (figures.swap_limits or {}).items():
            if (slot := self.slot_named(*name)) is not None:
                columns.swap_room[slot] = swap_room(value, columns.limit[slot], columns.swap[slot])

    def note_child_kills(self, kills: Mapping[ContainerName, int] | None, now: float) -> None:
        """Takes in how often the OOM killer struck in containers that live on: their children died.

        A cgroup that is gone is told of for some minutes more; the kill that ended it is none of a child.

        Args:
            kills: Of the last hour, where there were any; None if nobody counts.
            now: The cluster's time, Unix seconds.
        """
        column = self.columns.child_ooms_hour
        column[self.live_slots()] = np.nan if kills is None else 0
        for name, count in (kills or {}).items():
            slot = self.slot_named(*name)
            if slot is not None and not self.columns.last_end[slot] > now - NOTICED_WITHIN:
                column[slot] = count

    def take_past_ends(self, slot: int, past: PastSeries, now: float) -> None:
        """Takes in how a container fared before it was seen here; see `ContainerLives.take_past`."""
        lives = self.lives.get(slot)
        if lives is not None and past.counted is not None:
            lives.take_past(*past.counted, past.oom_kills)
            self._put_last_hour(slot, lives, now)

    def advance_clock(self, now: float) -> None:
        """Brings up to date what changes by the passing of time alone."""
        for slot in np.flatnonzero(self.columns.recheck_at <= now).tolist():
            self._put_last_hour(slot, self.lives[slot], now)

    def _identify(self, slot: int, identity: ContainerIdentity) -> None:
        self.version += 1
        self.identities[slot] = identity
        self.columns.kind[slot] = KIND_CODES[identity.kind]
        self.columns.namespace[slot] = self.namespaces.number(identity.namespace)
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
        given = tuple(labels.items())
        clean = self._label_cache.get(given)
        if clean is None:
            if len(self._label_cache) > 2 * len(self._pods) + 1000:
                self._label_cache.clear()  # labels of pods long gone
            clean = {sys.intern(sanitize(name)): sys.intern(sanitize(value)) for name, value in given}
            self._label_cache[given] = clean
        return clean

    # -- owners and nodes

    def learn_owners(self, owners: Iterable[PartialObjectMetadata]) -> None:
        """ReplicaSets and Jobs say who owns them."""
        news = {owner.metadata.uid for owner in owners if self._owners.add(owner.metadata)}
        if not news:
            return
        for entry in self._pods.values():
            owner = controller_reference(entry.owner_metadata)
            if owner is None or owner.uid not in news:
                continue
            workload = self._owners.workload_of(entry.owner_metadata)
            for slot in entry.slots.values():
                identity = self.identities[slot]
                if identity is not None and identity.workload != workload:
                    self._identify(slot, replace(identity, workload=workload, _haystack=""))

    def forget_owner(self, uid: str) -> None:
        """A ReplicaSet or a Job is gone; its pods, if any are left, follow."""
        self._owners.forget(uid)

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """Takes in a whole list of nodes."""
        self.pressured_nodes = frozenset(
            sanitize(node.metadata.name) for node in nodes if node.under_memory_pressure
        )

    def put_node(self, node: Node, gone: bool = False) -> None:
        """Takes in one node."""
        name = frozenset({sanitize(node.metadata.name)})
        pressed = not gone and node.under_memory_pressure
        self.pressured_nodes = self.pressured_nodes | name if pressed else self.pressured_nodes - name

    # -- samples

    def put_metrics(self, metrics: Iterable[PodMetrics], now: float) -> MetricsTick:
        """Takes in one answer of the metrics API as one tick.

        A sample that was seen before is no news: metrics change every 15 to 60 seconds, however often one
        asks. One that was taken before the container's present life began belongs to its past, and so does
        one of a container that does not run: that is its last before the end, which is worth keeping. One
        without a time or a size, or with an absurd one, is none.
        """
        slots: list[int] = []
        sizes: list[int] = []
        times: list[float] = []
        newest: float | None = None
        unread: list[str] = []
        for pod in metrics:
            taken = pod.time
            if taken is None or taken > now + MAX_AHEAD:
                when = "no time" if taken is None else "a time in the future"
                unread.append(f"that of {_full_name(pod)} has {when}")
                continue
            if newest is None or taken > newest:
                newest = taken
            uid = self._uid_of.get((sanitize(pod.metadata.namespace), sanitize(pod.metadata.name)))
            if uid is None:
                continue
            its_slots = self._pods[uid].slots
            for container in pod.containers:
                slot = its_slots.get(sanitize(container.name))
                if slot is None:
                    continue
                size = bytes_or_none(container.usage.memory)
                if size is None:
                    if container.usage.memory:
                        unread.append(f"{sanitize(container.usage.memory)} is no memory of {_full_name(pod)}")
                    continue
                sizes.append(size)
                slots.append(slot)
                times.append(taken)
        places, moments = np.array(slots, np.intp), np.array(times)
        news = ~(self.columns.sampled_at[places] >= moments)  # NaN, before the first, is older than all
        values = np.array(sizes, np.float64)
        tick = MetricsTick(places[news], moments[news], values[news], newest, tuple(unread))
        self._put_tick(tick, now)
        return tick

    def _put_tick(self, tick: MetricsTick, now: float) -> None:
        columns = self.columns
        values = np.full(len(self.identities), np.nan, np.float32)
        times = np.zeros(len(self.identities))
        values[tick.slots], times[tick.slots] = tick.values, tick.times
        self.history.append(now, values, times)
        columns.sampled_at[tick.slots] = tick.times
        present = columns.started_at[tick.slots] <= tick.times
        columns.working_set[tick.slots[present]] = tick.values[present]
        for uid in self._pod_limited:
            self._share_pod_limit(self._pods[uid])

    # -- slots

    def _take(self) -> int:
        if not self._free:
            old = len(self.identities)
            self._grow(max(old + INITIAL_SLOTS, int(old * GROWTH_FACTOR)))
        slot = self._free.pop()
        self.columns.generation[slot] += 1
        return slot

    def _grow(self, new: int) -> None:
        old = len(self.identities)
        self.columns.grow(new)
        self.history.grow(new)
        self.identities.extend([None] * (new - old))
        self.last_terminations.extend([None] * (new - old))
        self._free.extend(range(new - 1, old - 1, -1))

    def _release(self, slot: int) -> None:
        self.version += 1
        self.columns.clear(slot)
        self.history.clear(slot)
        self.identities[slot] = None
        self.last_terminations[slot] = None
        self.lives.pop(slot, None)
        self._news_of_ends.discard(slot)
        self.full_heaps.pop(slot, None)
        self._free.append(slot)


def _full_name(sample: PodMetrics) -> str:
    return sanitize(f"{sample.metadata.namespace}/{sample.metadata.name}")
