"""The running cluster: pods come, change and go; everything that looks at them is told.

This is the scheduler and the kubelet. Controllers (see `controllers`) decide which pods there should be.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from memtop.demo.agenda import Agenda
from memtop.demo.clock import Clock
from memtop.demo.curves import DAY, seed_of
from memtop.demo.events import EventLog
from memtop.demo.objects import uid_of
from memtop.demo.pod import GRACE, STOPPING, ImageCatalogue, Pod, containers_of
from memtop.demo.resources import BY_KIND, JOBS, NODES, PODS, REPLICA_SETS, REVISIONS, Resource
from memtop.demo.store import Key, Object, Store

PAST = DAY  # seconds of past at the start
MOST_DEPARTED = 4000  # pods that are remembered after they are gone

Reconcile = Callable[["Cluster", Key, float], None]


@dataclass(frozen=True, slots=True)
class Host:
    """One node: its name, its address, its memory in bytes, and whether it takes ordinary pods."""

    name: str
    address: str
    memory: int
    schedulable: bool = True


class Cluster:
    """All state of the simulated cluster.

    Attributes:
        clock: simulated time.
        seed: what the whole world is drawn from.
        catalogue: which images exist and what they do.
        store: the API objects.
        agenda: what happens next.
        events: the core events.
        pods: the live pods.
        departed: pods that are gone but within the past that Prometheus remembers.
        revision: grows whenever the set of pods or their containers changes.
    """

    def __init__(self, clock: Clock, seed: int, catalogue: ImageCatalogue) -> None:
        self.clock = clock
        self.seed = seed
        self.catalogue = catalogue
        self.store = Store()
        self.agenda = Agenda(clock)
        self.events = EventLog(self.store, seed)
        self.hosts: list[Host] = []
        self.pods: dict[Key, Pod] = {}
        self.departed: deque[Pod] = deque(maxlen=MOST_DEPARTED)
        self.revision = 0
        self._of_owner: dict[str, dict[Key, Pod]] = defaultdict(dict)
        self._reconcilers: dict[Resource, Reconcile] = {}
        self._dirty: dict[tuple[Resource, Key], None] = {}
        self._settling = False
        self._placed = 0
        self._numbers = itertools.count()
        self._births: Counter[Key] = Counter()

    def controls(self, resource: Resource, reconcile: Reconcile) -> None:
        """Let `reconcile` look after the objects of a resource."""
        self._reconcilers[resource] = reconcile

    def next_number(self) -> int:
        """Return a number that has not been returned before."""
        return next(self._numbers)

    def pods_of(self, owner_uid: str) -> list[Pod]:
        """Return the pods an object controls, oldest first."""
        return list(self._of_owner[owner_uid].values())

    def remembered(self) -> Iterator[Pod]:
        """Yield all pods that lived within the remembered past."""
        horizon = self.clock.now() - PAST
        while self.departed and self.departed[0].gone < horizon:
            self.departed.popleft()
        yield from self.departed
        yield from self.pods.values()

    def create_pod(
        self,
        namespace: str,
        name: str,
        template: Mapping[str, Any],
        owner: Object | None,
        created: float,
        *,
        node: str | None = None,
        prepare: Callable[[Pod], None] | None = None,
        show: bool = True,
    ) -> Pod:
        """Create a pod, schedule it, and start it.

        Args:
            namespace: where.
            name: its name.
            template: the pod template it is made from.
            owner: owner reference of its controller.
            created: when, seconds since 1970.
            node: where it must run; by default the nodes take turns.
            prepare: a last change before it is shown.
            show: whether it is stored; a pod of the past that is gone is not.
        """
        pod = self.probe(namespace, name, template, created, owner=owner, node=node)
        if prepare is not None:
            prepare(pod)
        if not show:
            self.departed.append(pod)
            return pod
        self.pods[pod.key] = pod
        if owner is None or owner["kind"] == "StatefulSet":
            self._births[pod.key] += 1  # the only names that come back
        if owner is not None:
            self._of_owner[owner["uid"]][pod.key] = pod
        # While the world is built, pods begin in the past; later on, they are seen as they begin.
        seen = created if self._reconcilers else self.clock.now()
        self.events.scheduled(pod)
        self.refresh(pod, seen)
        return pod

    def probe(
        self,
        namespace: str,
        name: str,
        template: Mapping[str, Any],
        created: float,
        *,
        owner: Object | None = None,
        node: str | None = None,
    ) -> Pod:
        """Return the pod `create_pod` would make, without creating it."""
        host = self._place(node)
        number = seed_of(namespace, name, self.seed)
        pod = Pod(
            namespace=namespace,
            name=name,
            uid=uid_of(self.seed, "pod", namespace, name, self._births[namespace, name]),
            node=host.name,
            address=f"10.244.{(number >> 8) % 250 + 1}.{number % 250 + 2}",
            host_address=host.address,
            created=created,
            template=template,
            labels=template["metadata"].get("labels") or {},
            owner=owner,
        )
        pod.containers = list(containers_of(pod, self.catalogue, self.seed))
        wanted = sum(container.request for container in pod.mains)
        if not any(wanted <= each.memory for each in self.hosts):
            pod.refuse(f"0/{len(self.hosts)} nodes are available: {len(self.hosts)} Insufficient memory.")
        return pod

    def refresh(self, pod: Pod, at: float) -> None:
        """Store the pod as it is at `at`, and look again when it next changes."""
        if self.pods.get(pod.key) is not pod:
            return
        self.revision += 1
        self.store.put(PODS, pod.document(at))
        self.events.observed(pod, at)
        self._touch_owner(pod)
        upcoming = pod.next_change(at)
        if pod.deleted is None and not math.isinf(upcoming):
            # A hair later, so that the new state has begun whatever the rounding.
            self.agenda.add(upcoming, lambda moment: self.refresh(pod, moment + 1e-3))
        self.settle(at)

    def delete_pod(self, pod: Pod, at: float, grace: float = GRACE) -> None:
        """Delete a pod gracefully: it is terminating for a while, then gone.

        Args:
            pod: which.
            at: when.
            grace: seconds it is given; it needs no more than `STOPPING` of them.
        """
        if pod.deleted is not None:
            if grace == 0:
                self._remove(pod, at)
            return
        pod.deleted, pod.grace = at, grace
        self.events.killing(pod, at)
        self.refresh(pod, at)
        if grace == 0:
            self._remove(pod, at)
        else:
            self.agenda.add(at + min(grace, STOPPING), lambda moment: self._remove(pod, moment))

    def delete_workload(self, resource: Resource, key: Key, at: float) -> None:
        """Delete an object and everything it controls, as garbage collection does."""
        entry = self.store.get(resource, *key)
        if entry is None:
            return
        uid = entry.object["metadata"]["uid"]
        self.store.delete(resource, key)
        for pod in self.pods_of(uid):
            self.delete_pod(pod, at)
        for child in (REPLICA_SETS, JOBS, REVISIONS):
            for owned in tuple(self.store[child].select(key[0])):
                if any(owner["uid"] == uid for owner in owned.object["metadata"].get("ownerReferences", ())):
                    self.delete_workload(child, owned.key, at)

    def touch(self, resource: Resource, key: Key) -> None:
        """Have the controller of an object look at it again."""
        if resource in self._reconcilers:
            self._dirty[(resource, key)] = None

    def settle(self, at: float) -> None:
        """Let the controllers work until nothing is left to do."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._dirty:
                resource, key = next(iter(self._dirty))
                del self._dirty[(resource, key)]
                self._reconcilers[resource](self, key, at)
        finally:
            self._settling = False

    def _touch_owner(self, pod: Pod) -> None:
        if pod.owner is None:
            return
        group = pod.owner["apiVersion"].rpartition("/")[0]
        self.touch(BY_KIND[(group, pod.owner["kind"])], (pod.namespace, pod.owner["name"]))

    def _remove(self, pod: Pod, at: float) -> None:
        if self.pods.get(pod.key) is not pod:
            return
        pod.stop(at)
        del self.pods[pod.key]
        if pod.owner is not None:
            self._of_owner[pod.owner["uid"]].pop(pod.key, None)
        self.departed.append(pod)
        self.events.forget(pod)
        self.revision += 1
        self.store.delete(PODS, pod.key)
        self._touch_owner(pod)
        self.settle(at)

    def _place(self, node: str | None) -> Host:
        if node is not None:
            return next(host for host in self.hosts if host.name == node)
        takers = [host for host in self.hosts if host.schedulable]
        self._placed += 1
        return takers[self._placed % len(takers)]

    def node_object(self, name: str) -> Object | None:
        """Return a node's API object."""
        entry = self.store.get(NODES, "", name)
        return entry.object if entry is not None else None
