"""Who exposes what: the cgroups that cAdvisor sees, and the pods and containers as their API objects say.

Each row is one series without its metric's name; several metrics share the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from memtop.demo.curves import FloatArray, SeedArray, levels_of
from memtop.demo.life import Run
from memtop.demo.objects import container_id
from memtop.demo.pod import Container, Pod
from memtop.demo.store import Object

Labels = dict[str, str]
Amount = Callable[[FloatArray, SeedArray], FloatArray]
"""From working sets and the seeds of their runs to what a metric says of them."""
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
        begins: when it is first there, seconds since 1970.
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
    """Return the labels that say who owns an object."""
    if owner is None:
        return {"owner_is_controller": "<none>", "owner_kind": "<none>", "owner_name": "<none>"}
    return {"owner_is_controller": "true", "owner_kind": owner["kind"], "owner_name": owner["name"]}


def _cadvisor_labels(pod: Pod) -> Labels:
    return {
        "job": "kubelet-cadvisor",
        "instance": f"{pod.host_address}:10250",
        "namespace": pod.namespace,
        "node": str(pod.node),
        "pod": pod.name,
    }


def _state_labels(pod: Pod, container: Container) -> Labels:
    return {**KSM, "namespace": pod.namespace, "pod": pod.name, "container": container.name}


def runs(pod: Pod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the cgroup of every run of every container."""
    cgroup = ""
    for container in pod.containers:
        for run in container.life.runs(now):
            if run.end >= oldest:
                cgroup = cgroup or pod.cgroup
                identity = pod.run_id(container, run.index)
                labels = _cadvisor_labels(pod)
                labels["container"] = container.name
                labels["id"] = f"{cgroup}/{identity}"
                labels["image"] = container.image
                labels["name"] = identity
                yield Row(labels, run.start, run.end, run=run, container=container)


def sandbox(pod: Pod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the pod's own cgroup and its pause container's: no `container` label, as cAdvisor has it."""
    if pod.evicted is not None or pod.unschedulable is not None:
        return
    labels, cgroup = _cadvisor_labels(pod), pod.cgroup
    begins, pause = pod.created + 1.0, container_id(pod.uid, "pause")
    own = {**labels, "id": f"{cgroup}/{pause}", "image": "pause:3.9", "name": pause}
    yield Row(own, begins, pod.gone, constant=_PAUSE_BYTES)
    lived = [row.run for row in runs(pod, now, oldest) if row.run is not None]

    def total(times: FloatArray, amount: Amount) -> FloatArray:
        summed = np.full(len(times), _PAUSE_BYTES)
        for run in lived:
            running = (times >= run.start) & (times < run.end)
            if running.any():
                levels = levels_of(run.curve, run.start, times[running], run.seed)
                summed[running] += amount(levels, np.array([run.seed], dtype=np.uint64))
        return summed

    yield Row({**labels, "id": cgroup}, begins, pod.gone, values=total)


def kernel_limits(pod: Pod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the limit of every run's cgroup, 0 without one."""
    for row in runs(pod, now, oldest):
        assert row.container is not None
        yield Row(row.labels, row.begins, row.ends, constant=float(row.container.limit))


def kills(pod: Pod, now: float, oldest: float) -> Iterator[Row]:
    """Yield the OOM kills of every run: the counter belongs to the cgroup, so it is 1 only after the kill."""
    for row in runs(pod, now, oldest):
        run = row.run
        if run is None or run.reason != "OOMKilled" or math.isinf(run.end):
            yield Row(row.labels, row.begins, row.ends)
            continue

        def killed(times: FloatArray, _amount: Amount, end: float = run.end) -> FloatArray:
            return (times >= end).astype(np.float64)

        yield Row(row.labels, row.begins, row.ends + 2 * SCRAPE, values=killed)


def _declared(pod: Pod, of: Callable[[Container], int]) -> Iterator[Row]:
    for container in pod.mains:
        if of(container):
            labels = _state_labels(pod, container)
            labels |= {"node": pod.node or "", "resource": "memory", "unit": "byte"}
            yield Row(labels, pod.created, pod.gone, constant=float(of(container)))


def limits(pod: Pod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield the memory limit of every container that has one."""
    return _declared(pod, lambda container: container.limit)


def requests(pod: Pod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield the memory request of every container that has one."""
    return _declared(pod, lambda container: container.request)


def restarts(pod: Pod, now: float, _oldest: float) -> Iterator[Row]:
    """Yield the restarts of every container."""
    for container in pod.mains:
        starts = np.array([run.start for run in container.life.runs(now)])
        labels = _state_labels(pod, container)
        if len(starts) < 2:
            yield Row(labels, pod.created, pod.gone)
            continue

        def count(times: FloatArray, _amount: Amount, starts: FloatArray = starts) -> FloatArray:
            return np.maximum(np.searchsorted(starts, times, side="right") - 1, 0).astype(np.float64)

        yield Row(labels, pod.created, pod.gone, values=count)


def last_reasons(pod: Pod, now: float, _oldest: float) -> Iterator[Row]:
    """Yield a row per reason, 1 from the first end for that reason until an end for another one."""
    for container in pod.mains:
        ended = [run for run in container.life.runs(now) if run.end <= now]
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


def images(pod: Pod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield the image of every container."""
    for container in pod.mains:
        labels = {**_state_labels(pod, container), "image": container.image}
        yield Row(labels, pod.created, pod.gone, constant=1.0)


def owners(pod: Pod, _now: float, _oldest: float) -> Iterator[Row]:
    """Yield who controls the pod."""
    labels = {**KSM, "namespace": pod.namespace, "pod": pod.name, **owner_labels(pod.owner)}
    yield Row(labels, pod.created, pod.gone, constant=1.0)
