"""The series that the simulated Prometheus has scraped: which there are, and where their values come from."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from memtop.demo.api_resources import REPLICA_SETS
from memtop.demo.container_runs import Run
from memtop.demo.memory_curves import FloatArray, SeedArray, levels_of
from memtop.demo.object_metadata import container_id
from memtop.demo.object_store import Change, Entry, Object
from memtop.demo.promql.query_parser import Matcher
from memtop.demo.simulated_cluster import PAST, Cluster
from memtop.demo.simulated_pod import Container, SimulatedPod
from memtop.demo.simulated_time import parse_rfc3339

Labels = dict[str, str]
Amount = Callable[[FloatArray, SeedArray], FloatArray]
"""From working sets and the seeds of their runs to the values of a metric."""
Values = Callable[[FloatArray, Amount], FloatArray]
"""From moments to the values of one series; `Amount` is the metric's."""

SCRAPE = 15.0  # seconds between scrapes
KSM = {"job": "kube-state-metrics", "instance": "10.244.7.9:8080"}
_PAUSE_BYTES = 192 * 1024.0


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One series.

    Attributes:
        labels: without the metric's name.
        begins: its start, seconds since 1970.
        ends: when its target stops exposing it.
        constant: its value, if that never changes and nothing below says otherwise.
        run: the run whose memory it shows.
        container: the container it is about.
        values: what gives its values, if nothing simpler does.
    """

    labels: Labels
    begins: float
    ends: float
    constant: float = 0.0
    run: Run | None = None
    container: Container | None = None
    values: Values | None = None


def owner_labels(owner: Object | None) -> Labels:
    """Return the owner labels of an object."""
    if owner is None:
        return {"owner_is_controller": "<none>", "owner_kind": "<none>", "owner_name": "<none>"}
    return {"owner_is_controller": "true", "owner_kind": owner["kind"], "owner_name": owner["name"]}


def _cadvisor_labels(pod: SimulatedPod) -> Labels:
    return {
        "job": "kubelet-cadvisor",
        "instance": f"{pod.host_address}:10250",
        "namespace": pod.namespace,
        "node": str(pod.node),
        "pod": pod.name,
    }


def _state_labels(pod: SimulatedPod, container: Container) -> Labels:
    return {**KSM, "namespace": pod.namespace, "pod": pod.name, "container": container.name}


def rows_of_runs(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the cgroup of every run of every container."""
    cgroup = ""
    for container in pod.containers:
        for run in container.timeline.runs(now):
            if run.end >= oldest:
                cgroup = cgroup or pod.cgroup
                identity = pod.run_id(container, run.index)
                labels = _cadvisor_labels(pod)
                labels["container"] = container.name
                labels["id"] = f"{cgroup}/{identity}"
                labels["image"] = container.image
                labels["name"] = identity
                yield Row(labels, run.start, run.end, run=run, container=container)


def rows_of_sandbox(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the pod's own cgroup and its pause container's: no `container` label, as cAdvisor has it."""
    if pod.evicted is not None or pod.unschedulable is not None:
        return
    labels, cgroup = _cadvisor_labels(pod), pod.cgroup
    begins, pause = pod.created + 1.0, container_id(pod.uid, "pause")
    own = {**labels, "id": f"{cgroup}/{pause}", "image": "pause:3.9", "name": pause}
    yield Row(own, begins, pod.gone, constant=_PAUSE_BYTES)
    started_runs = [row.run for row in rows_of_runs(pod, now, oldest) if row.run is not None]

    def total(times: FloatArray, amount: Amount) -> FloatArray:
        summed = np.full(len(times), _PAUSE_BYTES)
        for run in started_runs:
            running = (times >= run.start) & (times < run.end)
            if running.any():
                levels = levels_of(run.curve, run.start, times[running], run.seed)
                summed[running] += amount(levels, np.array([run.seed], dtype=np.uint64))
        return summed

    yield Row({**labels, "id": cgroup}, begins, pod.gone, values=total)


def rows_of_processor_seconds(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the CPU time that every run has used."""
    for row in rows_of_runs(pod, now, oldest):
        assert row.run is not None
        assert row.container is not None

        def used(
            times: FloatArray,
            _amount: Amount,
            start: float = row.run.start,
            cores: float = row.container.cores_of(row.run),
        ) -> FloatArray:
            return cores * (times - start)

        yield Row(row.labels, row.begins, row.ends, values=used)


def rows_of_kernel_limits(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the limit of every run's cgroup, 0 without one."""
    for row in rows_of_runs(pod, now, oldest):
        assert row.container is not None
        yield Row(row.labels, row.begins, row.ends, constant=float(row.container.limit))


def rows_of_kills(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the OOM kills of every run: the counter belongs to the cgroup, so it is 1 only after the kill."""
    for row in rows_of_runs(pod, now, oldest):
        run = row.run
        if run is None or run.reason != "OOMKilled" or math.isinf(run.end):
            yield Row(row.labels, row.begins, row.ends)
            continue

        def killed(times: FloatArray, _amount: Amount, end: float = run.end) -> FloatArray:
            return (times >= end).astype(np.float64)

        yield Row(row.labels, row.begins, row.ends + 2 * SCRAPE, values=killed)


SERVING = {"user-service": 42.0}
"""Requests a second of the containers that count them, by name, on average over a day."""
_DAY = 86400.0
_DAILY = 0.15  # of the average: how much more there is by day, and less by night
_ERRORS = 0.002  # of the requests
_USUAL_SECONDS, _LATE_SECONDS = 0.04, 0.6  # a request takes, and how much more at the end of a life


def _answered(times: FloatArray, start: float, rate: float) -> FloatArray:
    turn = _DAY / (2 * math.pi)
    waves = _DAILY * turn * (np.cos(start / turn) - np.cos(times / turn))
    answered: FloatArray = rate * (times - start + waves)
    return answered


def rows_of_http_requests(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the requests that the program itself counts: by status, from 0 at each start."""
    for row in rows_of_runs(pod, now, oldest):
        if row.run is None or row.container is None or row.container.name not in SERVING:
            continue
        rate = SERVING[row.container.name]
        for status, part in (("200", 1 - _ERRORS), ("500", _ERRORS)):

            def count(
                times: FloatArray, _amount: Amount, start: float = row.run.start, rate: float = rate * part
            ) -> FloatArray:
                return np.floor(_answered(times, start, rate))

            yield Row({**_service_labels(pod), "status": status}, row.begins, row.ends, values=count)


def rows_of_http_seconds(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the seconds that answers took: more as the heap fills, since its collector works more."""
    for row in rows_of_runs(pod, now, oldest):
        if row.run is None or row.container is None or row.container.name not in SERVING:
            continue

        def took(
            times: FloatArray,
            _amount: Amount,
            run: Run = row.run,
            rate: float = SERVING[row.container.name],
        ) -> FloatArray:
            seconds = _USUAL_SECONDS * _answered(times, run.start, rate)
            if math.isinf(run.end):
                return seconds
            passed = times - run.start
            return seconds + rate * _LATE_SECONDS * passed * (passed / (run.end - run.start)) ** 8 / 9

        yield Row(_service_labels(pod), row.begins, row.ends, values=took)


def rows_of_http_counts(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield how many answers those seconds are of."""
    for row in rows_of_runs(pod, now, oldest):
        if row.run is None or row.container is None or row.container.name not in SERVING:
            continue

        def count(
            times: FloatArray,
            _amount: Amount,
            start: float = row.run.start,
            rate: float = SERVING[row.container.name],
        ) -> FloatArray:
            return np.floor(_answered(times, start, rate))

        yield Row(_service_labels(pod), row.begins, row.ends, values=count)


def _service_labels(pod: SimulatedPod) -> Labels:
    return {"job": "services", "instance": f"{pod.address}:8080", "namespace": pod.namespace, "pod": pod.name}


STALL_FROM, STALL_FULL = 0.80, 0.35
"""From which share of its limit a process begins to wait for reclaim, and which share of the time at it."""
STALL_STEP = 60.0
"""Seconds between the moments at which stalls are added up."""


def rows_of_stalls(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the seconds in which some process of every run waited for memory: more, the nearer its limit."""
    for row in rows_of_runs(pod, now, oldest):
        assert row.run is not None
        assert row.container is not None
        stalls = _Stalls(row.run, float(row.container.limit))
        yield Row(row.labels, row.begins, row.ends, values=stalls.seconds)


class _Stalls:
    """The pressure counter of one run, added up once and then only continued."""

    def __init__(self, run: Run, limit: float) -> None:
        self._run, self._limit = run, limit
        self._sums = np.zeros(1)

    def seconds(self, times: FloatArray, _amount: Amount) -> FloatArray:
        """The counter at these moments."""
        if not self._limit or not len(times):
            return np.zeros(len(times))
        begin, steps = self._run.start, int((times.max() - self._run.start) // STALL_STEP) + 2
        if steps > len(self._sums):
            moments = begin + STALL_STEP * np.arange(len(self._sums), steps, dtype=np.float64)
            used = levels_of(self._run.curve, begin, moments, self._run.seed) / self._limit
            share = np.clip((used - STALL_FROM) / (1 - STALL_FROM), 0.0, 1.0) ** 2 * STALL_FULL
            self._sums = np.append(self._sums, self._sums[-1] + np.cumsum(share) * STALL_STEP)
        return np.interp(times, begin + STALL_STEP * np.arange(len(self._sums)), self._sums)


def rows_of_swap(pod: SimulatedPod, now: float, oldest: float) -> Iterator[Row]:
    """Yield what every run has swapped out: nothing, for no node of the demo has swap."""
    return (Row(row.labels, row.begins, row.ends) for row in rows_of_runs(pod, now, oldest))


def _declared(pod: SimulatedPod, of: Callable[[Container], int]) -> Iterator[Row]:
    for container in pod.mains:
        if of(container):
            labels = _state_labels(pod, container)
            labels |= {"node": pod.node or "", "resource": "memory", "unit": "byte"}
            yield Row(labels, pod.created, pod.gone, constant=float(of(container)))


def rows_of_limits(pod: SimulatedPod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield the memory limit of every container that has one."""
    return _declared(pod, lambda container: container.limit)


def rows_of_requests(pod: SimulatedPod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield the memory request of every container that has one."""
    return _declared(pod, lambda container: container.request)


def rows_of_restarts(pod: SimulatedPod, now: float, _oldest: float) -> Iterator[Row]:
    """Yield the restarts of every container."""
    for container in pod.mains:
        starts = np.array([run.start for run in container.timeline.runs(now)])
        labels = _state_labels(pod, container)
        if len(starts) < 2:
            yield Row(labels, pod.created, pod.gone)
            continue

        def count(times: FloatArray, _amount: Amount, starts: FloatArray = starts) -> FloatArray:
            return np.maximum(np.searchsorted(starts, times, side="right") - 1, 0).astype(np.float64)

        yield Row(labels, pod.created, pod.gone, values=count)


def rows_of_last_reasons(pod: SimulatedPod, now: float, _oldest: float) -> Iterator[Row]:
    """Yield a row per reason, 1 from the first end for that reason until an end for another one."""
    for container in pod.mains:
        ended = [run for run in container.timeline.runs(now) if run.end <= now]
        moments = np.array([run.end for run in ended])
        for reason in sorted({run.reason for run in ended}):
            labels = {**_state_labels(pod, container), "reason": reason}
            first = next(run.end for run in ended if run.reason == reason)
            same = np.array([run.reason == reason for run in ended])

            def value(
                times: FloatArray, _amount: Amount, moments: FloatArray = moments, same: FloatArray = same
            ) -> FloatArray:
                latest = np.maximum(np.searchsorted(moments, times, side="right") - 1, 0)
                return same[latest].astype(np.float64)

            yield Row(labels, first, pod.gone, values=value)


def rows_of_images(pod: SimulatedPod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield the image of every container."""
    for container in pod.mains:
        labels = {**_state_labels(pod, container), "image": container.image}
        yield Row(labels, pod.created, pod.gone, constant=1.0)


def rows_of_owners(pod: SimulatedPod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield the controller of the pod."""
    labels = {**KSM, "namespace": pod.namespace, "pod": pod.name, **owner_labels(pod.owner)}
    yield Row(labels, pod.created, pod.gone, constant=1.0)


Exposes = Callable[[SimulatedPod, float, float], Iterator[Row]]
"""From a pod, now, and the oldest moment remembered to the pod's rows."""

MOST_FORGOTTEN = 2000  # ReplicaSets that are remembered after they are gone


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: its name.
        exposes: what gives a pod's rows; none for metrics that are about no pod.
        amount: its value for a working set.
        stale: whether Prometheus notices at once that a series has ended (cAdvisor's samples carry their own
            time, so theirs stand for five minutes more).
    """

    name: str
    exposes: tuple[Exposes, ...] = ()
    amount: Amount = lambda level, _: level
    stale: bool = True


@dataclass(slots=True)
class _Known:
    """A pod's rows; valid until a run starts or ends, or the pod is deleted."""

    gone: float
    until: float
    rows: dict[Exposes, tuple[Row, ...]]


class ScrapedSeries:
    """All series of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.oldest = cluster.clock.epoch - PAST
        self._known: WeakKeyDictionary[SimulatedPod, _Known] = WeakKeyDictionary()
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
            wanted = tuple(exposes for exposes in wanted if exposes is not rows_of_sandbox)
        if not wanted:
            return
        of_namespace = [matcher for matcher in matchers if matcher.label == "namespace"]
        of_pod = [matcher for matcher in matchers if matcher.label == "pod"]
        now = self.cluster.clock.now()
        for pod in self.cluster.pods_in_past():
            if all(matcher.accepts(pod.namespace) for matcher in of_namespace) and all(
                matcher.accepts(pod.name) for matcher in of_pod
            ):
                for exposes in wanted:
                    yield from self._rows_of(pod, exposes, now)

    def _rows_of(self, pod: SimulatedPod, exposes: Exposes, now: float) -> tuple[Row, ...]:
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
            yield _replica_set_row(entry, gone)
        for entry in self.cluster.store[REPLICA_SETS].select():
            yield _replica_set_row(entry, math.inf)

    def _forgotten(self, change: Change) -> None:
        if change.type == "DELETED":
            self._replaced.append((change.entry, self.cluster.clock.now()))


def _replica_set_row(entry: Entry, gone: float) -> Row:
    metadata = entry.object["metadata"]
    labels = {
        **KSM,
        "namespace": entry.key[0],
        "replicaset": entry.key[1],
        **owner_labels(metadata["ownerReferences"][0]),
    }
    return Row(labels, parse_rfc3339(metadata["creationTimestamp"]), gone, constant=1.0)


def _next_run(pod: SimulatedPod, now: float) -> float:
    """Return until when the runs of a pod are what they are at `now`."""
    moments = [container.timeline.next_change(now) for container in pod.containers]
    return min(moments, default=math.inf)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "container_memory_rss",
            (rows_of_runs, rows_of_sandbox),
            lambda level, _: np.floor(level * 0.94 / 4096) * 4096,
            stale=False,
        ),
        Metric("container_memory_working_set_bytes", (rows_of_runs, rows_of_sandbox), stale=False),
        Metric(
            "container_memory_usage_bytes",
            (rows_of_runs, rows_of_sandbox),
            lambda level, seeds: level + (seeds % np.uint64(6000)).astype(np.float64) * 4096,
            stale=False,
        ),
        Metric("container_cpu_usage_seconds_total", (rows_of_processor_seconds,), stale=False),
        Metric("container_spec_memory_limit_bytes", (rows_of_kernel_limits,), stale=False),
        Metric("container_oom_events_total", (rows_of_kills,), stale=False),
        Metric("http_requests_total", (rows_of_http_requests,)),
        Metric("http_request_duration_seconds_sum", (rows_of_http_seconds,)),
        Metric("http_request_duration_seconds_count", (rows_of_http_counts,)),
        Metric("container_pressure_memory_waiting_seconds_total", (rows_of_stalls,), stale=False),
        Metric("container_memory_swap", (rows_of_swap,), stale=False),
        Metric("kube_pod_container_resource_limits", (rows_of_limits,)),
        Metric("kube_pod_container_resource_requests", (rows_of_requests,)),
        Metric("kube_pod_container_status_restarts_total", (rows_of_restarts,)),
        Metric("kube_pod_container_status_last_terminated_reason", (rows_of_last_reasons,)),
        Metric("kube_pod_container_info", (rows_of_images,)),
        Metric("kube_pod_owner", (rows_of_owners,)),
        Metric("kube_replicaset_owner"),
        Metric("up"),
    )
}
"""The metrics that are scraped."""
