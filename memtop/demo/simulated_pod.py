"""One simulated pod: its containers, and its API object at a given time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from memtop.demo.container_runs import Behaviour, ContainerTimeline, Phase, RestartPolicy, Run, State
from memtop.demo.memory_curves import fraction_of, seed_of
from memtop.demo.object_metadata import container_id, metadata_of, pod_managed_fields
from memtop.demo.object_store import Object
from memtop.demo.pod_admission import format_quantity
from memtop.demo.simulated_time import rfc3339
from memtop.quantity import parse_bytes

SCHEDULED_TO_STARTED = 2.0  # seconds from scheduling to start (sandbox and pull)
GRACE = 30.0  # seconds; the default of terminationGracePeriodSeconds
STOPPING = 2.0  # seconds that a pod takes to stop

ImageCatalogue = Callable[[str], Behaviour | None]
"""From an image reference to what it does; None when there is no such image."""

_TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
]


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod.

    Attributes:
        name: its name.
        image: its image reference.
        timeline: its runs.
        init: whether it is an init container.
        limit: memory limit in bytes; 0 without one.
        request: memory request in bytes; 0 without one.
    """

    name: str
    image: str
    timeline: ContainerTimeline
    init: bool
    limit: int
    request: int

    @property
    def resources(self) -> Object:
        """What it has, as its status tells it."""
        amounts = {"limits": self.limit, "requests": self.request}
        return {kind: {"memory": format_quantity(amount)} for kind, amount in amounts.items() if amount}

    def cores_of(self, run: Run) -> float:
        """Cores that a run of it uses all the time."""
        behaviour = self.timeline.behaviour
        return (behaviour.cpu if behaviour else 0.0) * (0.6 + 0.8 * fraction_of(run.seed, "cpu"))


@dataclass(slots=True, eq=False, weakref_slot=True)
class SimulatedPod:
    """A pod.

    Attributes:
        namespace: its namespace.
        name: its name.
        uid: its uid.
        node: the name of its node; None while it cannot be scheduled.
        address: its IP address.
        host_address: its node's IP address.
        created: when it was created, seconds since 1970.
        template: the pod template it was made from (`metadata.labels`, `spec`).
        labels: its labels.
        owner: the owner reference of its controller, None for a bare pod.
        containers: init containers first.
        deleted: when its deletion was asked for.
        grace: seconds it was given then.
        gone: when it was gone for good; infinite while it lives.
        unschedulable: why no node takes it, if none does.
        scheduled: when a node took it, if that was not at once.
        evicted: when it was evicted and with which message, if it was.
        touched: when its status was last changed without a cause (churn).
        generation: how often its specification was changed, and one.
        resize_deferred: why a resize in place is put off; empty if none is.
        resized: when a resize was last asked for.
    """

    namespace: str
    name: str
    uid: str
    node: str | None
    address: str
    host_address: str
    created: float
    template: Mapping[str, Any]
    labels: Mapping[str, str]
    owner: Object | None
    containers: list[Container] = field(default_factory=list)
    deleted: float | None = None
    grace: float = GRACE
    gone: float = math.inf
    scheduled: float | None = None
    evicted: tuple[float, str] | None = None
    unschedulable: str | None = None
    touched: float | None = None
    generation: int = 1
    resize_deferred: str = ""
    resized: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def mains(self) -> list[Container]:
        """The containers that are not init containers."""
        return [container for container in self.containers if not container.init]

    @property
    def unresized(self) -> bool:
        """Whether a container has other memory than the specification asks for."""
        wanted = {container["name"]: container for container in self.template["spec"]["containers"]}
        return any(memory_bounds(wanted[one.name]) != (one.limit, one.request) for one in self.mains)

    @property
    def cgroup(self) -> str:
        """The pod's cgroup, as cAdvisor names it."""
        return f"/kubepods/{qos_class(self.template['spec']).lower()}/pod{self.uid}".replace(
            "/guaranteed", ""
        )

    def ready_since(self, at: float) -> float | None:
        """Return since when the pod is ready at `at`; None if it is not."""
        if self.deleted is not None or self.evicted is not None or self.unschedulable is not None:
            return None
        latest = self.created
        for container in self.mains:
            timeline = container.timeline
            if not timeline.ready(at) or timeline.behaviour is None:
                return None
            latest = max(latest, timeline.runs(at)[-1].start + timeline.behaviour.ready_after)
        return latest

    def finished(self, at: float) -> str | None:
        """Return `Succeeded` or `Failed` once all containers have ended for good."""
        if self.evicted is not None:
            return "Failed"
        states = [container.timeline.state(at) for container in self.mains]
        if self.deleted is not None or any(
            state.phase is not Phase.TERMINATED or state.run is None for state in states
        ):
            return None
        if any(container.timeline.policy is RestartPolicy.ALWAYS for container in self.mains):
            return None
        failed = any(state.run is not None and state.run.exit_code != 0 for state in states)
        return "Failed" if failed else "Succeeded"

    def next_change(self, at: float) -> float:
        """Return when the pod's status next changes by itself."""
        if self.evicted is not None or self.unschedulable is not None:
            return math.inf
        return min((container.timeline.next_change(at) for container in self.containers), default=math.inf)

    def stop(self, at: float) -> None:
        """End all its containers at `at`."""
        self.gone = at
        for container in self.containers:
            container.timeline.stop(at)

    def schedule(self, node: str, address: str, at: float) -> None:
        """Assign a pending pod to a node."""
        self.unschedulable = None
        self.node, self.host_address, self.scheduled = node, address, at

    def refuse(self, why: str) -> None:
        """Mark the pod as unschedulable."""
        self.unschedulable = why
        self.node = None
        for container in self.containers:
            container.timeline.stop(self.created)

    def document(self, at: float) -> Object:
        """Return the API object as of `at`."""
        metadata = metadata_of(
            self.name,
            self.namespace,
            uid=self.uid,
            created=self.created,
            labels=self.labels,
            annotations=self.template["metadata"].get("annotations"),
            owner=self.owner,
            generate_name=self.name[:-5] if self.owner and self.owner["kind"] != "StatefulSet" else None,
            generation=self.generation,
        )
        if self.deleted is not None:
            metadata["deletionTimestamp"] = rfc3339(self.deleted + self.grace)
            metadata["deletionGracePeriodSeconds"] = int(self.grace)
        names = [container.name for container in self.containers]
        owner_uid = self.owner["uid"] if self.owner else ""
        metadata["managedFields"] = pod_managed_fields(names, self.labels, owner_uid, self.created)
        spec = {
            **self.template["spec"],
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "tolerations": _TOLERATIONS,
            "priority": 0,
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        if self.node is not None:
            spec["nodeName"] = self.node
        return {"metadata": metadata, "spec": spec, "status": self._status(at)}

    def _status(self, at: float) -> Object:
        if self.unschedulable is not None:
            condition = _condition("PodScheduled", self.created, "Unschedulable", self.unschedulable)
            return {
                "phase": "Pending",
                "conditions": [condition],
                "qosClass": qos_class(self.template["spec"]),
            }
        if self.evicted is not None:
            return {
                "phase": "Failed",
                "message": self.evicted[1],
                "reason": "Evicted",
                "startTime": rfc3339(self.created),
                "qosClass": qos_class(self.template["spec"]),
            }
        inits = [container for container in self.containers if container.init]
        initialized = all(container.timeline.state(at).phase is Phase.TERMINATED for container in inits)
        status: Object = {
            "observedGeneration": self.generation,
            "phase": self._phase(at),
            "conditions": self._conditions(at, initialized),
            "hostIP": self.host_address,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": rfc3339(self.created),
        }
        if inits:
            status["initContainerStatuses"] = [
                self._container_status(container, at, True) for container in inits
            ]
        status["containerStatuses"] = [
            self._container_status(container, at, initialized) for container in self.mains
        ]
        status["qosClass"] = qos_class(self.template["spec"])
        return status

    def _phase(self, at: float) -> str:
        finished = self.finished(at)
        if finished is not None:
            return finished
        started = any(container.timeline.state(at).run is not None for container in self.mains)
        return "Running" if started else "Pending"

    def _conditions(self, at: float, initialized: bool) -> list[Object]:
        finished = self.finished(at) == "Succeeded"
        unready = [container.name for container in self.mains if not container.timeline.ready(at)]
        since = max((self._since(container, at) for container in self.mains), default=self.created)
        if self.touched is not None:
            since = max(since, self.touched)
        reason, message = "", ""
        if unready:
            reason = "PodCompleted" if finished else "ContainersNotReady"
            message = "" if finished else f"containers with unready status: [{' '.join(unready)}]"
        not_initialized = "" if initialized else "ContainersNotInitialized"
        return [
            _condition(
                "Initialized", self.created, "PodCompleted" if finished else not_initialized, "", initialized
            ),
            _condition("Ready", since, reason, message),
            _condition("ContainersReady", since, reason, message),
            _condition("PodScheduled", self.created if self.scheduled is None else self.scheduled, "", ""),
            *self._resize_conditions(),
        ]

    def _resize_conditions(self) -> Iterator[Object]:
        if self.resize_deferred:
            yield _condition("PodResizePending", self.resized, "Deferred", self.resize_deferred, True)
        elif self.unresized:
            yield _condition("PodResizeInProgress", self.resized, "", "", True)

    def _since(self, container: Container, at: float) -> float:
        state = container.timeline.state(at)
        if state.run is None:
            return self.created
        behaviour = container.timeline.behaviour
        if state.phase is Phase.RUNNING and behaviour is not None:
            ready = state.run.start + behaviour.ready_after
            return ready if ready <= at else state.run.start
        return state.run.end

    def _container_status(self, container: Container, at: float, initialized: bool) -> Object:
        state = container.timeline.state(at)
        ready = container.timeline.ready(at) or (
            container.init
            and state.phase is Phase.TERMINATED
            and state.run is not None
            and state.run.exit_code == 0
        )
        run = state.run
        status: Object = {
            "name": container.name,
            "state": self._state(container, state, initialized),
            "lastState": {},
            "ready": ready and self.deleted is None,
            "restartCount": run.index if run is not None else 0,
            "image": container.image,
            "imageID": f"sha256:{container_id(container.image)}" if run is not None else "",
        }
        ended = run if state.phase is Phase.BACKING_OFF else state.previous
        if ended is not None:
            status["lastState"] = {"terminated": self._terminated(container, ended.index, at)}
        if run is not None:
            status["containerID"] = f"containerd://{self.run_id(container, run.index)}"
        status["started"] = state.phase is Phase.RUNNING
        if resources := container.resources:
            status["resources"] = resources
        if container.request:
            status["allocatedResources"] = {"memory": format_quantity(container.request)}
        return status

    def run_id(self, container: Container, index: int) -> str:
        """Return the container id of a container's run."""
        return container_id(self.uid, container.name, index)

    def _terminated(self, container: Container, index: int, at: float) -> Object:
        run = container.timeline.runs(at)[index]
        return {
            "exitCode": run.exit_code,
            "reason": run.reason,
            "startedAt": rfc3339(run.start),
            "finishedAt": rfc3339(run.end),
            "containerID": f"containerd://{self.run_id(container, index)}",
        }

    def _state(self, container: Container, state: State, initialized: bool) -> Object:
        if state.phase is Phase.RUNNING and state.run is not None:
            return {"running": {"startedAt": rfc3339(state.run.start)}}
        if state.phase is Phase.TERMINATED and state.run is not None:
            return {"terminated": self._terminated(container, state.run.index, state.run.end)}
        if state.phase is Phase.CREATING:
            return {"waiting": {"reason": "ContainerCreating" if initialized else "PodInitializing"}}
        return {"waiting": {"reason": state.phase.value, "message": self._why_waiting(container, state)}}

    def _why_waiting(self, container: Container, state: State) -> str:
        if state.phase is Phase.BACKING_OFF:
            return (
                f"back-off {backoff_words(state.backoff)} restarting failed container={container.name} "
                f"pod={self.name}_{self.namespace}({self.uid})"
            )
        if state.phase is Phase.PULL_BACKING_OFF:
            return f'Back-off pulling image "{container.image}"'
        return pull_error(container.image)


def pull_error(image: str) -> str:
    """Return the runtime's error for an image that does not exist."""
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
        f'failed to resolve reference "{image}": {image}: not found'
    )


def backoff_words(seconds: float) -> str:
    """Return a back-off as the kubelet writes it: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _condition(kind: str, since: float, reason: str, message: str, holds: bool | None = None) -> Object:
    holds = not reason if holds is None else holds
    condition: Object = {
        "type": kind,
        "status": "True" if holds else "False",
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(since),
    }
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def qos_class(spec: Mapping[str, Any]) -> str:
    """Return the QoS class of a pod spec."""
    resources = [container.get("resources") or {} for container in spec["containers"]]
    if not any(resource.get("limits") or resource.get("requests") for resource in resources):
        return "BestEffort"
    guaranteed = all(
        set(resource.get("limits") or {}) >= {"cpu", "memory"}
        and resource.get("limits") == resource.get("requests")
        for resource in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def memory_bounds(container: Mapping[str, Any]) -> tuple[int, int]:
    """Return limit and request of a container of a pod spec, bytes; 0 without one.

    A limit counts as the request where there is none.
    """
    resources = container.get("resources") or {}
    limit, request = ((resources.get(kind) or {}).get("memory") or "0" for kind in ("limits", "requests"))
    return parse_bytes(str(limit)), parse_bytes(str(request)) or parse_bytes(str(limit))


def containers_of(pod: SimulatedPod, catalogue: ImageCatalogue, seed: int) -> Iterator[Container]:
    """Yield a pod's containers with their runs, init containers first."""
    spec = pod.template["spec"]
    policy = RestartPolicy(spec.get("restartPolicy", "Always"))
    begins = (pod.created if pod.scheduled is None else pod.scheduled) + SCHEDULED_TO_STARTED
    for init in (True, False):
        for container in spec.get("initContainers" if init else "containers") or []:
            behaviour = catalogue(container["image"])
            limit, request = memory_bounds(container)
            timeline = ContainerTimeline(
                behaviour,
                float(limit) if limit else math.inf,
                begins,
                RestartPolicy.ON_FAILURE if init else policy,
                seed_of(seed, pod.uid, container["name"]),
            )
            yield Container(container["name"], container["image"], timeline, init, limit, request)
            if init:
                begins = _end_of(timeline, begins) + 0.5


def _end_of(timeline: ContainerTimeline, begins: float) -> float:
    runs = timeline.runs(begins)
    return runs[0].end if runs else math.inf
