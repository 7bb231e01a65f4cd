"""The state of the simulated cluster, and the kubelet: pods start, change and end.

Controllers (see `controllers`) decide which pods there should be.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from memtop.demo.api_resources import (
    BY_KIND,
    DISRUPTION_BUDGETS,
    JOBS,
    LIMIT_RANGES,
    NODES,
    PODS,
    QUOTAS,
    REPLICA_SETS,
    REVISIONS,
    Resource,
)
from memtop.demo.cluster_events import EventLog
from memtop.demo.in_place_resize import RETRY, carry_out
from memtop.demo.memory_curves import DAY, seed_of
from memtop.demo.object_metadata import selects, uid_of
from memtop.demo.object_store import Key, Object, Store
from memtop.demo.pod_admission import REQUESTS, NamespaceUsage, Scheduler, SimulatedNode, admit_pod, demand
from memtop.demo.simulated_pod import GRACE, STOPPING, ImageCatalogue, SimulatedPod, containers_of
from memtop.demo.simulated_time import Clock, ScheduledActions

PAST = 2 * DAY  # seconds of past at the start
MAX_DELETED_PODS = 4000  # pods that are remembered after they are gone

Reconcile = Callable[["Cluster", Key, float], None]


class Cluster:
    """All state of the simulated cluster.

    Attributes:
        clock: simulated time.
        seed: the seed of everything random.
        catalogue: which images exist and what they do.
        store: the API objects.
        actions: the scheduled actions.
        events: the core events.
        scheduler: which node has how much room.
        usage: what the pods of each namespace ask for.
        retries: of objects whose pods were refused: when they are created again, and after which delay.
        pods: the live pods.
        departed: pods that are gone but within the past that Prometheus remembers.
        revision: grows whenever the set of pods or their containers changes.
    """

    def __init__(self, clock: Clock, seed: int, catalogue: ImageCatalogue) -> None:
        self.clock = clock
        self.seed = seed
        self.catalogue = catalogue
        self.store = Store()
        self.actions = ScheduledActions(clock)
        self.events = EventLog(self.store, seed)
        self.scheduler = Scheduler()
        self.usage = NamespaceUsage()
        self.retries: dict[tuple[Resource, Key], tuple[float, float]] = {}
        self.pods: dict[Key, SimulatedPod] = {}
        self.deleted_pods: deque[SimulatedPod] = deque(maxlen=MAX_DELETED_PODS)
        self.revision = 0
        self._of_owner: dict[str, dict[Key, SimulatedPod]] = defaultdict(dict)
        self._reconcilers: dict[Resource, Reconcile] = {}
        self._queue: dict[tuple[Resource, Key], None] = {}
        self._reconciling = False
        self._pending: dict[Key, SimulatedPod] = {}
        self._numbers = itertools.count()
        self._births: Counter[Key] = Counter()

    @property
    def hosts(self) -> list[SimulatedNode]:
        """The nodes."""
        return self.scheduler.hosts

    def add_controller(self, resource: Resource, reconcile: Reconcile) -> None:
        """Register the controller of a resource."""
        self._reconcilers[resource] = reconcile

    def next_number(self) -> int:
        """Return a number that has not been returned before."""
        return next(self._numbers)

    def pods_of(self, owner_uid: str) -> list[SimulatedPod]:
        """Return the pods an object controls, oldest first."""
        return list(self._of_owner[owner_uid].values())

    def pods_in_past(self) -> Iterator[SimulatedPod]:
        """Yield all pods that lived within the remembered past."""
        horizon = self.clock.now() - PAST
        while self.deleted_pods and self.deleted_pods[0].gone < horizon:
            self.deleted_pods.popleft()
        yield from self.deleted_pods
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
        prepare: Callable[[SimulatedPod], None] | None = None,
        show: bool = True,
    ) -> SimulatedPod:
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

        Raises:
            ForbiddenError: a LimitRange or a ResourceQuota forbids it.
        """
        if self._reconcilers:  # the workloads built at the start are not checked
            template = self._admitted(namespace, name, template)
        pod = self.preview_pod(namespace, name, template, created, owner=owner, node=node)
        if prepare is not None:
            prepare(pod)
        if not show:
            self.deleted_pods.append(pod)
            return pod
        self.pods[pod.key] = pod
        if pod.evicted is None:
            self._count(pod)
        if owner is None or owner["kind"] == "StatefulSet":
            self._births[pod.key] += 1  # the only names that are used again
        if owner is not None:
            self._of_owner[owner["uid"]][pod.key] = pod
        # While the cluster is built, pods start in the past.
        seen = created if self._reconcilers else self.clock.now()
        self.events.scheduled(pod)
        self.refresh(pod, seen)
        return pod

    def preview_pod(
        self,
        namespace: str,
        name: str,
        template: Mapping[str, Any],
        created: float,
        *,
        owner: Object | None = None,
        node: str | None = None,
    ) -> SimulatedPod:
        """Return the pod `create_pod` would make, without creating it."""
        wanted = demand(template)[REQUESTS]
        host = self.scheduler.choose(wanted) if node is None else self.scheduler.host(node)
        number = seed_of(namespace, name, self.seed)
        pod = SimulatedPod(
            namespace=namespace,
            name=name,
            uid=uid_of(self.seed, "pod", namespace, name, self._births[namespace, name]),
            node=host.name if host else None,
            address=f"10.244.{(number >> 8) % 250 + 1}.{number % 250 + 2}",
            host_address=host.address if host else "",
            created=created,
            template=template,
            labels=template["metadata"].get("labels") or {},
            owner=owner,
        )
        pod.containers = list(containers_of(pod, self.catalogue, self.seed))
        if host is None:
            pod.refuse(self.scheduler.refusal)
        return pod

    def refresh(self, pod: SimulatedPod, at: float) -> None:
        """Store the pod as it is at `at`, and schedule the next refresh."""
        if self.pods.get(pod.key) is not pod:
            return
        self.revision += 1
        self.store.put(PODS, pod.document(at))
        self.events.observed(pod, at)
        self._touch_owner(pod)
        if pod.finished(at) is not None:
            self._uncount(pod, at)
        upcoming = pod.next_change(at)
        if pod.deleted is None and not math.isinf(upcoming):
            # 1 ms later, so that rounding cannot hide the new state.
            self.actions.add(upcoming, lambda moment: self.refresh(pod, moment + 1e-3))
        self.reconcile_queue(at)

    def resize_pod(self, pod: SimulatedPod, containers: list[Object], at: float) -> None:
        """Give a pod's containers other memory in place, now or as soon as that is possible.

        Args:
            pod: which.
            containers: those of its specification as they are to be.
            at: when.
        """
        pod.template = {**pod.template, "spec": {**pod.template["spec"], "containers": containers}}
        pod.generation += 1
        pod.resized = at
        self._carry_out_resize(pod, pod.generation, at)

    def _carry_out_resize(self, pod: SimulatedPod, generation: int, at: float) -> None:
        if self.pods.get(pod.key) is not pod or pod.deleted is not None or pod.generation != generation:
            return
        if not carry_out(pod, self.scheduler, at):
            self.actions.add(at + RETRY, lambda moment: self._carry_out_resize(pod, generation, moment))
        if self.usage.remove(pod.uid):
            self.usage.add(pod.uid, pod.namespace, pod.template)
            self._touch_quotas(pod.namespace)
        self.refresh(pod, at)

    def delete_pod(self, pod: SimulatedPod, at: float, grace: float = GRACE) -> None:
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
            self.actions.add(at + min(grace, STOPPING), lambda moment: self._remove(pod, moment))

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
            for owned_objects in tuple(self.store[child].select(key[0])):
                if any(
                    owner["uid"] == uid
                    for owner in owned_objects.object["metadata"].get("ownerReferences", ())
                ):
                    self.delete_workload(child, owned_objects.key, at)

    def enqueue(self, resource: Resource, key: Key) -> None:
        """Queue an object for its controller."""
        if resource in self._reconcilers:
            self._queue[(resource, key)] = None

    def reconcile_queue(self, at: float) -> None:
        """Run the controllers until the queue is empty."""
        if self._reconciling:
            return
        self._reconciling = True
        try:
            while self._queue:
                resource, key = next(iter(self._queue))
                del self._queue[(resource, key)]
                self._reconcilers[resource](self, key, at)
        finally:
            self._reconciling = False

    def _touch_owner(self, pod: SimulatedPod) -> None:
        for key, budget in self.store[DISRUPTION_BUDGETS].entries.items():
            if key[0] == pod.namespace and selects(budget.object, pod.labels):
                self.enqueue(DISRUPTION_BUDGETS, key)
        if pod.owner is None:
            return
        group = pod.owner["apiVersion"].rpartition("/")[0]
        self.enqueue(BY_KIND[(group, pod.owner["kind"])], (pod.namespace, pod.owner["name"]))

    def _admitted(self, namespace: str, name: str, template: Mapping[str, Any]) -> Mapping[str, Any]:
        ranges, quotas = (
            [entry.object for key, entry in self.store[kind].entries.items() if key[0] == namespace]
            for kind in (LIMIT_RANGES, QUOTAS)
        )
        if not ranges and not quotas:
            return template
        return admit_pod(name, template, ranges, quotas, self.usage.of(namespace))

    def _count(self, pod: SimulatedPod) -> None:
        """Count the pod on its node and in its namespace's quota."""
        wanted = self.usage.add(pod.uid, pod.namespace, pod.template)
        if pod.node is not None:
            self.scheduler.claim(pod.uid, pod.node, wanted[REQUESTS])
        else:
            self._pending[pod.key] = pod
        self._touch_quotas(pod.namespace)

    def _uncount(self, pod: SimulatedPod, at: float) -> None:
        if not self.usage.remove(pod.uid):
            return
        self.scheduler.release(pod.uid)
        self._touch_quotas(pod.namespace)
        for waiting in tuple(self._pending.values()):
            wanted = demand(waiting.template)[REQUESTS]
            host = self.scheduler.choose(wanted)
            if host is not None:
                del self._pending[waiting.key]
                self.scheduler.claim(waiting.uid, host.name, wanted)
                waiting.schedule(host.name, host.address, at)
                waiting.containers = list(containers_of(waiting, self.catalogue, self.seed))
                self.events.scheduled(waiting)
                self.refresh(waiting, at)

    def _touch_quotas(self, namespace: str) -> None:
        for key in self.store[QUOTAS].entries:
            if key[0] == namespace:
                self.enqueue(QUOTAS, key)

    def _remove(self, pod: SimulatedPod, at: float) -> None:
        if self.pods.get(pod.key) is not pod:
            return
        pod.stop(at)
        del self.pods[pod.key]
        if pod.owner is not None:
            self._of_owner[pod.owner["uid"]].pop(pod.key, None)
        self.deleted_pods.append(pod)
        self.events.forget(pod)
        self.revision += 1
        self.store.delete(PODS, pod.key)
        self._touch_owner(pod)
        self._pending.pop(pod.key, None)
        self._uncount(pod, at)
        self.reconcile_queue(at)

    def node_object(self, name: str) -> Object | None:
        """Return a node's API object."""
        entry = self.store.get(NODES, "", name)
        return entry.object if entry is not None else None


TICK = 0.05  # real seconds; several changes may fall into one
REPLACED_EVERY = 10  # one of so many changes replaces a pod instead of touching it


async def churn(cluster: Cluster, per_second: float) -> None:
    """Change ordinary pods until cancelled.

    Args:
        cluster: the cluster.
        per_second: changes per real second.
    """
    loop = asyncio.get_running_loop()
    began, done = loop.time(), 0
    names = list(cluster.pods)
    while True:
        await asyncio.sleep(TICK)
        due = int((loop.time() - began) * per_second)
        for number in range(done, due):
            now = cluster.clock.now()
            pod = _replaceable_pod(cluster, names, number, now)
            if pod is None:
                names = list(cluster.pods)
            elif number % REPLACED_EVERY == 0:
                cluster.delete_pod(pod, now)
            else:
                pod.touched = now
                cluster.refresh(pod, now)
        done = due


def _replaceable_pod(
    cluster: Cluster, names: list[tuple[str, str]], number: int, now: float
) -> SimulatedPod | None:
    """Return a pod whose state does not change by itself; None if the names are out of date."""
    for attempt in range(8):
        pod = cluster.pods.get(names[seed_of(cluster.seed, number, attempt) % len(names)])
        if pod is None:
            return None
        replaceable = pod.owner is not None and pod.owner["kind"] == "ReplicaSet"
        if replaceable and pod.deleted is None and math.isinf(pod.next_change(now)) and pod.evicted is None:
            return pod
    return None
