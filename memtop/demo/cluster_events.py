"""Core events: what the scheduler, the kubelet and the controllers report."""

from __future__ import annotations

import math
from dataclasses import dataclass

from memtop.demo.api_resources import EVENTS, PODS, Resource
from memtop.demo.container_runs import ContainerTimeline, Phase
from memtop.demo.object_metadata import metadata_of, uid_of
from memtop.demo.object_store import Key, Object, Store
from memtop.demo.simulated_pod import Container, SimulatedPod, pull_error
from memtop.demo.simulated_time import rfc3339

MOST_EVENTS = 5000  # the least recent events expire
BACK_OFF_PERIOD = 12.5
"""Seconds between two BackOff events of a container, in the middle. The kubelet takes up a pod that failed
after ``wait.Jitter(backOffPeriod, workerBackOffPeriodJitterFactor)``: ``backOffPeriod`` is 10 s
(``pkg/kubelet/kubelet.go``), the factor 0.5 (``pkg/kubelet/pod_workers.go``), so 10 to 15 s."""


@dataclass(frozen=True, slots=True)
class EventDetails:
    """The texts of an event."""

    reason: str
    message: str
    component: str
    warning: bool = False
    field: str = ""


class EventLog:
    """The events of the cluster."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._seed = seed
        self._begins = -math.inf
        self._reported: dict[tuple[str, str], tuple[int, Phase]] = {}
        self._recent: dict[Key, None] = {}

    def remember_from(self, at: float) -> None:
        """Record no events from before `at`: they would have expired."""
        self._begins = at

    def forget(self, pod: SimulatedPod) -> None:
        """Drop the state kept for a deleted pod; its events stay until they expire."""
        for container in pod.containers:
            self._reported.pop((pod.uid, container.name), None)

    def record(
        self, subject: Object, details: EventDetails, at: float, *, count: int = 1, first: float | None = None
    ) -> None:
        """Record an event about an object, or raise the count of the same one.

        Args:
            subject: a reference (`kind`, `namespace`, `name`, `uid`, `apiVersion`).
            details: its texts.
            at: when it last happened, seconds since 1970.
            count: how many times in all, added to what is there.
            first: when it first happened.
        """
        if at < self._begins:
            return
        first = max(at if first is None else first, self._begins)
        namespace = subject.get("namespace") or "default"
        digest = uid_of(self._seed, subject["uid"], details.reason, details.message, details.field)
        name = f"{subject['name']}.{digest.replace('-', '')[:16]}"
        self._recent.pop((namespace, name), None)
        self._recent[namespace, name] = None
        if len(self._recent) > MOST_EVENTS:
            oldest = next(iter(self._recent))
            del self._recent[oldest]
            self._store.delete(EVENTS, oldest)
        known = self._store.get(EVENTS, namespace, name)
        if known is not None:
            count += known.object["count"]
            first_text = known.object["firstTimestamp"]
        else:
            first_text = rfc3339(first)
        involved = dict(subject)
        entry = self._store.get(PODS, namespace, subject["name"]) if subject["kind"] == "Pod" else None
        if entry is not None:
            involved["resourceVersion"] = str(entry.version)
        if details.field:
            involved["fieldPath"] = details.field
        source = {"component": details.component}
        if details.component == "kubelet" and "node" in involved:
            source["host"] = involved["node"]
        involved.pop("node", None)
        self._store.put(
            EVENTS,
            {
                "metadata": metadata_of(name, namespace, uid=uid_of(digest, "event"), created=first),
                "involvedObject": involved,
                "reason": details.reason,
                "message": details.message,
                "source": source,
                "firstTimestamp": first_text,
                "lastTimestamp": rfc3339(at),
                "count": count,
                "type": "Warning" if details.warning else "Normal",
                "eventTime": None,
                "reportingComponent": "",
                "reportingInstance": "",
            },
        )

    def about(self, resource: Resource, obj: Object, details: EventDetails, at: float) -> None:
        """Record an event about an API object."""
        metadata = obj["metadata"]
        subject = {"kind": resource.kind, "apiVersion": resource.api_version, "name": metadata["name"]}
        if metadata.get("namespace"):
            subject["namespace"] = metadata["namespace"]
        self.record({**subject, "uid": metadata["uid"]}, details, at)

    def scheduled(self, pod: SimulatedPod) -> None:
        """Record which node a new pod was scheduled on, or why on none."""
        if pod.unschedulable is not None:
            details = EventDetails("FailedScheduling", pod.unschedulable, "default-scheduler", warning=True)
            self.record(_reference(pod), details, pod.created)
            return
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {pod.node}"
        since = pod.created if pod.scheduled is None else pod.scheduled
        self.record(_reference(pod), EventDetails("Scheduled", message, "default-scheduler"), since)
        if pod.evicted is not None:
            evicted = EventDetails("Evicted", pod.evicted[1], "kubelet", warning=True)
            self.record(_reference(pod), evicted, pod.evicted[0])

    def killing(self, pod: SimulatedPod, at: float) -> None:
        """Record that a deleted pod's containers are stopped."""
        for container in pod.mains:
            if container.timeline.state(at).phase is Phase.RUNNING:
                details = EventDetails(
                    "Killing", f"Stopping container {container.name}", "kubelet", field=_field(container)
                )
                self.record(_reference(pod), details, at)

    def observed(self, pod: SimulatedPod, at: float) -> None:
        """Record what has happened to a pod's containers since the last call."""
        if pod.deleted is not None or pod.evicted is not None or pod.unschedulable is not None:
            return
        for container in pod.containers:
            state = container.timeline.state(at)
            runs = state.run.index + 1 if state.run is not None else 0
            key = (pod.uid, container.name)
            told, phase = self._reported.get(key, (0, Phase.CREATING))
            if (runs, state.phase) == (told, phase):
                continue
            self._reported[key] = (runs, state.phase)
            self._started(pod, container, told, at)
            if state.phase is Phase.BACKING_OFF:
                details = _back_off(container)
                self.record(_reference(pod), details, at, count=max(1, int(state.backoff / BACK_OFF_PERIOD)))
            elif state.phase in (Phase.PULL_FAILED, Phase.PULL_BACKING_OFF):
                self._pull_failed(pod, container, state.phase, at)

    def _started(self, pod: SimulatedPod, container: Container, told: int, at: float) -> None:
        fresh = [run for run in container.timeline.runs(at)[told:] if run.start >= self._begins]
        if not fresh:
            return
        reference, field = _reference(pod), _field(container)
        pulled = f'Container image "{container.image}" already present on machine'
        for reason, message in (
            ("Pulled", pulled),
            ("Created", f"Created container {container.name}"),
            ("Started", f"Started container {container.name}"),
        ):
            details = EventDetails(reason, message, "kubelet", field=field)
            self.record(reference, details, fresh[-1].start, count=len(fresh), first=fresh[0].start)
        for run in fresh:
            if run.reason == "OOMKilled" and run.end <= at:
                self._node_oom(pod, container, run.end)
        self._past_backoffs(pod, container, container.timeline, fresh[0].index, at)

    def _past_backoffs(
        self, pod: SimulatedPod, container: Container, timeline: ContainerTimeline, first: int, at: float
    ) -> None:
        ended = [run for run in timeline.runs(at)[max(0, first - 1) : -1] if run.end >= self._begins]
        if ended and self._reported[(pod.uid, container.name)][0] - first > 1:
            details = _back_off(container)
            self.record(_reference(pod), details, ended[-1].end, count=len(ended), first=ended[0].end)

    def _node_oom(self, pod: SimulatedPod, container: Container, at: float) -> None:
        node = {"kind": "Node", "name": str(pod.node), "uid": str(pod.node), "node": str(pod.node)}
        message = (
            f"Memory cgroup out of memory: Killed process {1000 + len(pod.name) * 37} ({container.name[:15]})"
        )
        self.record(node, EventDetails("OOMKilling", message, "kernel-monitor", warning=True), at)

    def _pull_failed(self, pod: SimulatedPod, container: Container, phase: Phase, at: float) -> None:
        reference, field = _reference(pod), _field(container)
        if phase is Phase.PULL_FAILED:
            sayings = [
                EventDetails("Pulling", f'Pulling image "{container.image}"', "kubelet", field=field),
                EventDetails(
                    "Failed",
                    f'Failed to pull image "{container.image}": {pull_error(container.image)}',
                    "kubelet",
                    True,
                    field,
                ),
                EventDetails("Failed", "Error: ErrImagePull", "kubelet", True, field),
            ]
        else:
            sayings = [
                EventDetails(
                    "BackOff", f'Back-off pulling image "{container.image}"', "kubelet", field=field
                ),
                EventDetails("Failed", "Error: ImagePullBackOff", "kubelet", True, field),
            ]
        for details in sayings:
            self.record(reference, details, at)


def _back_off(container: Container) -> EventDetails:
    return EventDetails(
        "BackOff", "Back-off restarting failed container", "kubelet", warning=True, field=_field(container)
    )


def _field(container: Container) -> str:
    kind = "initContainers" if container.init else "containers"
    return f"spec.{kind}{{{container.name}}}"


def _reference(pod: SimulatedPod) -> Object:
    return {
        "kind": "Pod",
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "apiVersion": "v1",
        "node": str(pod.node),
    }
