"""What the simulated Prometheus has scraped: series over the simulated past, sampled when asked for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from memtop.demo.clock import parse_rfc3339
from memtop.demo.cluster import PAST, Cluster
from memtop.demo.pod import Pod
from memtop.demo.promql import rows
from memtop.demo.promql.ast import Matcher
from memtop.demo.promql.rows import KSM, Amount, Row
from memtop.demo.resources import REPLICA_SETS
from memtop.demo.store import Change, Entry

Exposes = Callable[[Pod, float, float], Iterator[Row]]
"""From a pod, now, and the oldest moment remembered to the pod's rows."""

MOST_FORGOTTEN = 2000  # ReplicaSets that are remembered after they are gone


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: its name.
        exposes: what gives a pod's rows; none for metrics that are about no pod.
        amount: what it says of a working set.
        stale: whether Prometheus notices at once that a series has ended (cAdvisor's samples carry their own
            time, so theirs stand for five minutes more).
    """

    name: str
    exposes: tuple[Exposes, ...] = ()
    amount: Amount = lambda level, _: level
    stale: bool = True


@dataclass(slots=True)
class _Known:
    """A pod's rows, as long as they hold: until a run ends or begins, or the pod goes."""

    gone: float
    until: float
    rows: dict[Exposes, tuple[Row, ...]]


class Scraped:
    """All series of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.oldest = cluster.clock.epoch - PAST
        self._known: WeakKeyDictionary[Pod, _Known] = WeakKeyDictionary()
        self._replaced: deque[tuple[Entry, float]] = deque(maxlen=MOST_FORGOTTEN)
        cluster.store[REPLICA_SETS].listeners.add(self._forgotten)

    def select(self, matchers: Iterable[Matcher]) -> list[tuple[Metric, list[Row]]]:
        """Return the rows that fit all matchers, by metric."""
        matchers = tuple(matchers)
        named = [matcher for matcher in matchers if matcher.label == "__name__"]
        others = [matcher for matcher in matchers if matcher.label != "__name__"]
        found = []
        for name, metric in METRICS.items():
            if all(matcher.accepts(name) for matcher in named):
                chosen = [
                    row
                    for row in self._rows(metric, others)
                    if all(matcher.matches(row.labels) for matcher in others)
                ]
                if chosen:
                    found.append((metric, chosen))
        return found

    def _rows(self, metric: Metric, matchers: list[Matcher]) -> Iterator[Row]:
        if metric.name == "up":
            yield from self._targets()
        elif metric.name == "kube_replicaset_owner":
            yield from self._replica_sets()
        wanted = metric.exposes
        if not all(matcher.accepts("") for matcher in matchers if matcher.label == "container"):
            wanted = tuple(exposes for exposes in wanted if exposes is not rows.sandbox)
        if not wanted:
            return
        of_namespace = [matcher for matcher in matchers if matcher.label == "namespace"]
        of_pod = [matcher for matcher in matchers if matcher.label == "pod"]
        now = self.cluster.clock.now()
        for pod in self.cluster.remembered():
            if all(matcher.accepts(pod.namespace) for matcher in of_namespace) and all(
                matcher.accepts(pod.name) for matcher in of_pod
            ):
                for exposes in wanted:
                    yield from self._rows_of(pod, exposes, now)

    def _rows_of(self, pod: Pod, exposes: Exposes, now: float) -> tuple[Row, ...]:
        known = self._known.get(pod)
        if known is None or now >= known.until or known.gone != pod.gone:
            known = self._known[pod] = _Known(pod.gone, _next_run(pod, now), {})
        found = known.rows.get(exposes)
        if found is None:
            found = known.rows[exposes] = tuple(exposes(pod, now, self.oldest))
        return found

    def _targets(self) -> Iterator[Row]:
        for host in self.cluster.hosts:
            for job in ("kubelet", "kubelet-cadvisor"):
                labels = {"instance": f"{host.address}:10250", "job": job, "node": host.name}
                yield Row(labels, self.oldest, math.inf, constant=1.0)
        yield Row(KSM, self.oldest, math.inf, constant=1.0)

    def _replica_sets(self) -> Iterator[Row]:
        for entry, gone in self._replaced:
            yield _replica_set(entry, gone)
        for entry in self.cluster.store[REPLICA_SETS].select():
            yield _replica_set(entry, math.inf)

    def _forgotten(self, change: Change) -> None:
        if change.type == "DELETED":
            self._replaced.append((change.entry, self.cluster.clock.now()))


def _replica_set(entry: Entry, gone: float) -> Row:
    metadata = entry.object["metadata"]
    labels = {
        **KSM,
        "namespace": entry.key[0],
        "replicaset": entry.key[1],
        **rows.owner_labels(metadata["ownerReferences"][0]),
    }
    return Row(labels, parse_rfc3339(metadata["creationTimestamp"]), gone, constant=1.0)


def _next_run(pod: Pod, now: float) -> float:
    """Return until when the runs of a pod are what they are at `now`."""
    moments = [container.life.next_change(now) for container in pod.containers]
    return min(moments, default=math.inf)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "container_memory_rss",
            (rows.runs, rows.sandbox),
            lambda level, _: np.floor(level * 0.94 / 4096) * 4096,
            stale=False,
        ),
        Metric("container_memory_working_set_bytes", (rows.runs, rows.sandbox), stale=False),
        Metric(
            "container_memory_usage_bytes",
            (rows.runs, rows.sandbox),
            lambda level, seeds: level + (seeds % np.uint64(6000)).astype(np.float64) * 4096,
            stale=False,
        ),
        Metric("container_spec_memory_limit_bytes", (rows.kernel_limits,), stale=False),
        Metric("container_oom_events_total", (rows.kills,), stale=False),
        Metric("kube_pod_container_resource_limits", (rows.limits,)),
        Metric("kube_pod_container_resource_requests", (rows.requests,)),
        Metric("kube_pod_container_status_restarts_total", (rows.restarts,)),
        Metric("kube_pod_container_status_last_terminated_reason", (rows.last_reasons,)),
        Metric("kube_pod_container_info", (rows.images,)),
        Metric("kube_pod_owner", (rows.owners,)),
        Metric("kube_replicaset_owner"),
        Metric("up"),
    )
}
"""What is scraped, and where each metric comes from."""
