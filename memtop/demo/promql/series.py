"""What the simulated Prometheus has scraped: series over the simulated past, sampled when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from memtop.demo.cluster import PAST, Cluster
from memtop.demo.curves import FloatArray, levels_of
from memtop.demo.life import Run
from memtop.demo.objects import container_id
from memtop.demo.pod import Container, Pod
from memtop.demo.promql.ast import Matcher
from memtop.demo.promql.windows import Windows
from memtop.demo.resources import REPLICA_SETS
from memtop.demo.store import Object

SCRAPE = 15.0  # seconds between scrapes
LOOKBACK = 300.0  # how long a sample stands for its series when nothing says that it is stale

Labels = dict[str, str]

_PAUSE_BYTES = 192 * 1024.0
_CADVISOR = {"job": "kubelet-cadvisor"}
_KSM = {"job": "kube-state-metrics", "instance": "10.244.7.9:8080"}


@dataclass(frozen=True, slots=True)
class Series:
    """One scraped series.

    Attributes:
        labels: with the name as `__name__`.
        begins: when it was first there, seconds since 1970.
        ends: when its target stopped exposing it.
        value: values at given times.
        stale: whether Prometheus notices at once that it has ended (cAdvisor's samples carry their own time,
            so theirs stand for five minutes more).
    """

    labels: Labels
    begins: float
    ends: float
    value: Callable[[FloatArray], FloatArray]
    stale: bool = True

    def _scrapes(self, now: float) -> tuple[float, float]:
        """Return the numbers of its first and last scrape so far."""
        last = math.inf if math.isinf(self.ends) else math.ceil(self.ends / SCRAPE) - 1
        return math.ceil(self.begins / SCRAPE), min(last, math.floor(now / SCRAPE))

    def at(
        self, times: FloatArray, now: float
    ) -> tuple[FloatArray, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
        """Return the value an instant selector sees at each time, and where it sees one."""
        first, last = self._scrapes(now)
        scrape = np.minimum(np.floor(times / SCRAPE), last)
        reach = SCRAPE if self.stale and self.ends <= now else LOOKBACK
        present = (scrape >= first) & (times - scrape * SCRAPE < reach)
        values = np.zeros(len(times))
        if present.any():
            values[present] = self.value(scrape[present] * SCRAPE)
        return values, present

    def windows(self, ends: FloatArray, width: float, now: float) -> Windows:
        """Return the samples in the windows `(end - width, end]`."""
        first, last = self._scrapes(now)
        low = np.maximum(np.floor((ends - width) / SCRAPE) + 1, first)
        high = np.minimum(np.floor(ends / SCRAPE), last) + 1
        high = np.maximum(high, low)
        held = high > low
        base = float(low[held].min()) if held.any() else 0.0
        top = float(high[held].max()) if held.any() else 0.0
        times = np.arange(base, top) * SCRAPE
        low_index = np.where(held, low - base, 0).astype(np.int64)
        high_index = np.where(held, high - base, 0).astype(np.int64)
        values = self.value(times) if times.size else np.zeros(0)
        if not times.size:
            times, values = np.zeros(1), np.zeros(1)
        return Windows(times, values, low_index, high_index, ends, width)


Family = Callable[["Scraped", Pod], Iterator[Series]]


class Scraped:
    """All series of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._oldest = cluster.clock.epoch - PAST

    def select(self, matchers: Iterable[Matcher]) -> list[Series]:
        """Return the series that fit all matchers."""
        matchers = tuple(matchers)
        named = [matcher for matcher in matchers if matcher.label == "__name__"]
        others = [matcher for matcher in matchers if matcher.label != "__name__"]
        names = [name for name in METRICS if all(matcher.accepts(name) for matcher in named)]
        families: dict[Family, None] = {METRICS[name]: None for name in names}
        found: list[Series] = []
        by_pod = [matcher for matcher in others if matcher.label in ("namespace", "pod")]
        wanted = set(names)
        if families.keys() - {_up, _owners_of_replica_sets}:
            for pod in self.cluster.remembered():
                place = {"namespace": pod.namespace, "pod": pod.name}
                if all(matcher.matches(place) for matcher in by_pod):
                    for family in families:
                        if family not in (_up, _owners_of_replica_sets):
                            found.extend(family(self, pod))
        if "up" in wanted:
            found.extend(self._targets())
        if "kube_replicaset_owner" in wanted:
            found.extend(self._replica_sets())
        return [
            series
            for series in found
            if series.labels["__name__"] in wanted
            and all(matcher.matches(series.labels) for matcher in others)
        ]

    def constant(self, labels: Labels, value: float, begins: float, ends: float) -> Series:
        """Return a series that always has the same value."""
        return Series(labels, max(begins, self._oldest), ends, partial(_always, value))

    def span(self, begins: float, ends: float) -> tuple[float, float]:
        """Return a span of time, cut to what Prometheus remembers."""
        return max(begins, self._oldest), ends

    def _targets(self) -> Iterator[Series]:
        for host in self.cluster.hosts:
            for job in ("kubelet", "kubelet-cadvisor"):
                labels = {
                    "__name__": "up",
                    "instance": f"{host.address}:10250",
                    "job": job,
                    "node": host.name,
                }
                yield self.constant(labels, 1.0, self._oldest, math.inf)
        yield self.constant({"__name__": "up", **_KSM}, 1.0, self._oldest, math.inf)

    def _replica_sets(self) -> Iterator[Series]:
        for entry in self.cluster.store[REPLICA_SETS].select():
            owner = entry.object["metadata"]["ownerReferences"][0]
            labels = {
                "__name__": "kube_replicaset_owner",
                **_KSM,
                "namespace": entry.key[0],
                "replicaset": entry.key[1],
                **_owner_labels(owner),
            }
            yield self.constant(labels, 1.0, self._oldest, math.inf)


def _owner_labels(owner: Object | None) -> Labels:
    if owner is None:
        return {"owner_is_controller": "<none>", "owner_kind": "<none>", "owner_name": "<none>"}
    return {"owner_is_controller": "true", "owner_kind": owner["kind"], "owner_name": owner["name"]}


def _cadvisor_labels(pod: Pod, name: str) -> Labels:
    return {
        "__name__": name,
        **_CADVISOR,
        "instance": f"{pod.host_address}:10250",
        "namespace": pod.namespace,
        "node": str(pod.node),
        "pod": pod.name,
    }


def _run_labels(labels: Labels, pod: Pod, container: Container, run: Run) -> Labels:
    identity = pod.run_id(container, run.index)
    own = {"container": container.name, "id": f"{pod.cgroup}/{identity}", "image": container.image}
    return {**labels, **own, "name": identity}


def _runs(scraped: Scraped, pod: Pod) -> Iterator[tuple[Container, Run]]:
    now, oldest = scraped.cluster.clock.now(), scraped.span(0.0, 0.0)[0]
    for container in pod.containers:
        for run in container.life.runs(now):
            if run.end >= oldest:
                yield container, run


def _memory(name: str, amount: Callable[[FloatArray, Run], FloatArray]) -> Family:
    def family(scraped: Scraped, pod: Pod) -> Iterator[Series]:
        labels = _cadvisor_labels(pod, name)
        for container, run in _runs(scraped, pod):
            own = _run_labels(labels, pod, container, run)
            begins, ends = scraped.span(run.start, run.end)
            yield Series(own, begins, ends, partial(_amounts, amount, run), stale=False)
        if pod.evicted is None and pod.unschedulable is None:
            yield from _sandbox(scraped, pod, labels, amount)

    return family


def _amounts(amount: Callable[[FloatArray, Run], FloatArray], run: Run, times: FloatArray) -> FloatArray:
    return amount(_level(run, times), run)


def _always(value: float, times: FloatArray) -> FloatArray:
    return np.full(len(times), value)


def _killed(run: Run, times: FloatArray) -> FloatArray:
    return ((times >= run.end) & (run.reason == "OOMKilled")).astype(np.float64)


def _level(run: Run, times: FloatArray) -> FloatArray:
    return levels_of(run.curve, run.start, times, run.seed)


def _sandbox(
    scraped: Scraped, pod: Pod, labels: Labels, amount: Callable[[FloatArray, Run], FloatArray]
) -> Iterator[Series]:
    """The pod's own cgroup and its pause container: no `container` label, as cAdvisor has it."""
    begins, ends = scraped.span(pod.created + 1.0, pod.gone)
    pause = container_id(pod.uid, "pause")
    pause_labels = {**labels, "id": f"{pod.cgroup}/{pause}", "image": "pause:3.9", "name": pause}
    yield Series(pause_labels, begins, ends, partial(_always, _PAUSE_BYTES), stale=False)

    def total(times: FloatArray) -> FloatArray:
        summed = np.full(len(times), _PAUSE_BYTES)
        for _, run in _runs(scraped, pod):
            running = (times >= run.start) & (times < run.end)
            if running.any():
                summed[running] += amount(_level(run, times[running]), run)
        return summed

    yield Series({**labels, "id": pod.cgroup}, begins, ends, total, stale=False)


def _limits(scraped: Scraped, pod: Pod) -> Iterator[Series]:
    labels = _cadvisor_labels(pod, "container_spec_memory_limit_bytes")
    for container, run in _runs(scraped, pod):
        own = _run_labels(labels, pod, container, run)
        begins, ends = scraped.span(run.start, run.end)
        amount = float(container.limit)
        yield Series(own, begins, ends, partial(_always, amount), stale=False)


def _ooms(scraped: Scraped, pod: Pod) -> Iterator[Series]:
    """`container_oom_events_total`: the counter belongs to a run, so it is 1 only after the kill."""
    labels = _cadvisor_labels(pod, "container_oom_events_total")
    for container, run in _runs(scraped, pod):
        own = _run_labels(labels, pod, container, run)
        killed = run.reason == "OOMKilled"
        begins, ends = scraped.span(run.start, run.end + (2 * SCRAPE if killed else 0.0))
        yield Series(
            own,
            begins,
            ends,
            partial(_killed, run),
            stale=False,
        )


def _state_labels(pod: Pod, container: Container, name: str) -> Labels:
    return {
        "__name__": name,
        **_KSM,
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": container.name,
    }


def _resources(name: str, of: Callable[[Container], int]) -> Family:
    def family(scraped: Scraped, pod: Pod) -> Iterator[Series]:
        for container in pod.mains:
            if of(container):
                labels = _state_labels(pod, container, name)
                labels |= {"node": pod.node or "", "resource": "memory", "unit": "byte"}
                yield scraped.constant(labels, float(of(container)), pod.created, pod.gone)

    return family


def _restarts(scraped: Scraped, pod: Pod) -> Iterator[Series]:
    now = scraped.cluster.clock.now()
    for container in pod.mains:
        starts = np.array([run.start for run in container.life.runs(now)])
        begins, ends = scraped.span(pod.created, pod.gone)

        def count(times: FloatArray, starts: FloatArray = starts) -> FloatArray:
            return np.maximum(np.searchsorted(starts, times, side="right") - 1, 0).astype(np.float64)

        yield Series(
            _state_labels(pod, container, "kube_pod_container_status_restarts_total"), begins, ends, count
        )


def _last_reasons(scraped: Scraped, pod: Pod) -> Iterator[Series]:
    """One series per reason, 1 from the first end for that reason until an end for another one."""
    now = scraped.cluster.clock.now()
    name = "kube_pod_container_status_last_terminated_reason"
    for container in pod.mains:
        ended = [run for run in container.life.runs(now) if run.end <= now]
        for reason in sorted({run.reason for run in ended}):
            labels = {**_state_labels(pod, container, name), "reason": reason}
            first = next(run.end for run in ended if run.reason == reason)
            begins, ends = scraped.span(first, pod.gone)
            moments = np.array([run.end for run in ended])
            same = np.array([run.reason == reason for run in ended])

            def value(
                times: FloatArray, moments: FloatArray = moments, same: FloatArray = same
            ) -> FloatArray:
                latest = np.maximum(np.searchsorted(moments, times, side="right") - 1, 0)
                return same[latest].astype(np.float64)

            yield Series(labels, begins, ends, value)


def _owners(scraped: Scraped, pod: Pod) -> Iterator[Series]:
    labels = {"__name__": "kube_pod_owner", **_KSM, "namespace": pod.namespace, "pod": pod.name}
    yield scraped.constant({**labels, **_owner_labels(pod.owner)}, 1.0, pod.created, pod.gone)


def _up(_scraped: Scraped, _pod: Pod) -> Iterator[Series]:
    return iter(())


def _owners_of_replica_sets(_scraped: Scraped, _pod: Pod) -> Iterator[Series]:
    return iter(())


METRICS: dict[str, Family] = {
    "container_memory_rss": _memory(
        "container_memory_rss", lambda level, _: np.floor(level * 0.94 / 4096) * 4096
    ),
    "container_memory_working_set_bytes": _memory(
        "container_memory_working_set_bytes", lambda level, _: level
    ),
    "container_memory_usage_bytes": _memory(
        "container_memory_usage_bytes", lambda level, run: level + float(run.seed % 6000) * 4096
    ),
    "container_spec_memory_limit_bytes": _limits,
    "container_oom_events_total": _ooms,
    "kube_pod_container_resource_limits": _resources("kube_pod_container_resource_limits", lambda c: c.limit),
    "kube_pod_container_resource_requests": _resources(
        "kube_pod_container_resource_requests", lambda c: c.request
    ),
    "kube_pod_container_status_restarts_total": _restarts,
    "kube_pod_container_status_last_terminated_reason": _last_reasons,
    "kube_pod_owner": _owners,
    "kube_replicaset_owner": _owners_of_replica_sets,
    "up": _up,
}
"""What is scraped, and where each metric comes from."""
