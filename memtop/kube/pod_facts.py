"""What a pod says of itself: the state of each container in kubectl's words, and its workload."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from memtop.kube.api_objects import (
    ContainerSpec,
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    ObjectMeta,
    OwnerReference,
    Pod,
    ResourceRequirements,
)
from memtop.kube.custom_workloads import ROLLOUT_HASH, custom_api_version
from memtop.quantity import bytes_or_none
from memtop.sanitize import sanitize
from memtop.wording import bytes_

SIGKILL_EXIT = 137
EVICTED = "Evicted"
_OUT_OF_MEMORY = re.compile(
    r"out ?of ?memory|reached heap limit|\bMemoryError\b|std::bad_alloc|cannot allocate memory"
    r"|memory allocation of \d+ bytes failed",
    re.IGNORECASE,
)
"""What the JVM, V8, .NET, Go, CPython, C++, the C library and Rust say when they run out of memory."""


def says_out_of_memory(text: str) -> bool:
    """Whether the last words of a process (its termination message, the end of its log) speak of memory."""
    return _OUT_OF_MEMORY.search(text) is not None


MAX_RESTARTS = 2**31 - 1
"""The API's own bound: ``restartCount`` is an int32."""


class ContainerKind(StrEnum):
    """What part a container has in its pod."""

    CONTAINER = "container"
    INIT = "init"
    SIDECAR = "sidecar"
    EPHEMERAL = "ephemeral"


class StateSeverity(StrEnum):
    """How much a state asks for attention; the words say the rest."""

    RUNNING = "running"
    DONE = "done"
    WAITING = "waiting"
    FAILING = "failing"
    OOM = "oom"


class Termination(Struct, frozen=True):
    """How a container last ended.

    Attributes:
        reason: The kubelet's word, such as ``OOMKilled``, ``Error`` or ``Completed``.
        exit_code: The process's exit code; 137 is SIGKILL.
        finished_at: Unix seconds, or None where the runtime did not say.
        started_at: Unix seconds of the start of that run, or None.
        out_of_memory: Whether its message speaks of memory; None where there is no message.
    """

    reason: str
    exit_code: int
    finished_at: float | None
    started_at: float | None
    out_of_memory: bool | None = None

    @property
    def oom(self) -> bool:
        """Whether the kernel's OOM killer did it, as far as the kubelet knows."""
        return self.reason == "OOMKilled"

    @property
    def evicted_for_memory(self) -> bool:
        """Whether the kubelet evicted its pod since the node was short of memory."""
        return self.reason == EVICTED and self.out_of_memory is True

    def words(self) -> str:
        """``OOMKilled``; ``Evicted``; ``killed (137)`` for another SIGKILL; else reason and exit code.

        ``Error`` is the kubelet's word for every exit code but 0. Any other reason says more than the code,
        which is made up for ``ContainerStatusUnknown`` and ``RestartingAllContainers``.
        """
        if self.oom:
            return "OOMKilled"
        if self.reason == EVICTED:
            return EVICTED
        if self.exit_code == SIGKILL_EXIT and self.reason in {"", "Error"}:
            return "killed (137)"
        reason = self.reason or "ended"
        return reason if self.exit_code == 0 else f"{reason} ({self.exit_code})"


class ContainerFacts(Struct, frozen=True):
    """One container of one pod as the API server knows it now.

    Attributes:
        name: The container's name.
        kind: Ordinary or ephemeral container, init container, or sidecar (an init container that always
            restarts).
        limit: The memory limit that holds now, in bytes, or None without one: the status's, which after a
            resize in place is another than the specification's for a while; the pod's where the container
            has none.
        request: Memory request in bytes, or None.
        restarts: Restarts since the pod was created.
        state: The current state in words.
        severity: How much that state asks for attention.
        started_at: Start of the current run, Unix seconds; None while it does not run.
        terminations: The ends that the status still tells of, oldest first (at most two).
        unreadable: Which parts of the pod made no sense and were left out, in words; empty for none.
        limit_of_pod: Whether the limit is the pod's, which counts what its other containers hold too.
        pod_limited: Whether the pod itself has a limit, beside those of its containers.
        resize: What is under way or in the way of a resize in place, in words; empty for none.
    """

    name: str
    kind: ContainerKind
    limit: int | None
    request: int | None
    restarts: int
    state: str
    severity: StateSeverity
    started_at: float | None
    terminations: tuple[Termination, ...]
    unreadable: str = ""
    limit_of_pod: bool = False
    pod_limited: bool = False
    resize: str = ""

    @property
    def state_with_notes(self) -> str:
        """The state, and behind it a resize that is not done and what could not be read."""
        unread = f"unread: {self.unreadable}" if self.unreadable else ""
        return ", ".join(part for part in (self.state, self.resize, unread) if part)


def container_facts(pod: Pod) -> tuple[ContainerFacts, ...]:
    """Reads every container of a pod: ordinary ones first, sidecars and init containers, ephemeral ones."""
    statuses = {status.name: status for status in pod.status.container_statuses}
    init_statuses = {status.name: status for status in pod.status.init_container_statuses}
    ephemeral = {status.name: status for status in pod.status.ephemeral_container_statuses}
    return (
        *(
            _facts_of(pod, spec, ContainerKind.CONTAINER, statuses.get(spec.name))
            for spec in pod.spec.containers
        ),
        *(
            _facts_of(
                pod,
                spec,
                ContainerKind.SIDECAR if spec.restart_policy == "Always" else ContainerKind.INIT,
                init_statuses.get(spec.name),
            )
            for spec in pod.spec.init_containers
        ),
        *(
            _facts_of(pod, spec, ContainerKind.EPHEMERAL, ephemeral.get(spec.name))
            for spec in pod.spec.ephemeral_containers
        ),
    )


LATEST_YEAR = 2261
"""The last whole year that 64 bits of nanoseconds reach; calendars fail on much later ones."""


def unix_seconds(moment: datetime | None) -> float | None:
    """Unix seconds of an API time stamp, in UTC if it names no zone.

    The API's zero time counts as unknown, and so does one after `LATEST_YEAR`.
    """
    if moment is None or not 1971 <= moment.year <= LATEST_YEAR:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _facts_of(
    pod: Pod, spec: ContainerSpec, kind: ContainerKind, status: ContainerStatus | None
) -> ContainerFacts:
    state = status.state if status is not None else None
    words, severity = _state_words(pod, state)
    ends = [
        _termination_of(part.terminated)
        for part in (status.last_state if status is not None else None, state)
        if part is not None and part.terminated is not None
    ]
    if pod.status.reason == EVICTED and not any(end.oom for end in ends):
        ends = [_eviction_of(pod)]
    if severity is StateSeverity.WAITING and words == "CrashLoopBackOff":
        severity = StateSeverity.OOM if ends and ends[-1].oom else StateSeverity.FAILING
    unread = list(pod.unreadable)
    told = status.restart_count if status is not None else 0
    restarts = min(max(told, 0), MAX_RESTARTS)
    if restarts != told:
        unread.append(f"restartCount {told}")
    wanted = _memory_bytes(spec.resources, "limits", unread)
    limit, request = wanted, _memory_bytes(spec.resources, "requests", unread)
    if status is not None and status.resources is not None and state is not None and state.running:
        limit = _memory_bytes(status.resources, "limits", unread)
        request = _memory_bytes(status.resources, "requests", unread)
    pod_limit = _pod_limit(pod, unread)
    return ContainerFacts(
        name=sanitize(spec.name),
        kind=kind,
        limit=limit or pod_limit,
        request=request,
        restarts=restarts,
        state=words,
        severity=severity,
        started_at=unix_seconds(state.running.started_at) if state is not None and state.running else None,
        terminations=tuple(ends),
        unreadable=", ".join(unread),
        limit_of_pod=limit is None and pod_limit is not None,
        pod_limited=pod_limit is not None,
        resize=_resize_words(pod, wanted, limit),
    )


def _pod_limit(pod: Pod, unread: list[str]) -> int | None:
    """The limit of the pod itself; where it has none, its status tells the sum of its containers'."""
    if pod.spec.resources is None:
        return None
    wanted = _memory_bytes(pod.spec.resources, "limits", unread)
    if wanted is None or pod.status.resources is None:
        return wanted
    return _memory_bytes(pod.status.resources, "limits", unread) or wanted


def _resize_words(pod: Pod, wanted: int | None, holds: int | None) -> str:
    """How a resize in place stands; ``status.resize`` says it up to Kubernetes 1.32, conditions since."""
    resizing = [one for one in pod.status.conditions if one.type.startswith("PodResize")]
    if not resizing and not pod.status.resize:
        return ""  # as nearly always
    to = f"resize to {bytes_(wanted)}" if wanted is not None and wanted != holds else "resize"
    for condition in resizing:
        if condition.status != "True":
            continue
        why = f": {sanitize(condition.message)}" if condition.message else ""
        if condition.type == "PodResizePending":
            return f"{to} {sanitize(condition.reason).lower() or 'pending'}{why}"
        if condition.type == "PodResizeInProgress":
            if not why and wanted is not None and holds is not None and wanted < holds:
                why = ": a limit below what is in use does not take effect"
            return f"{to} in progress{why}"
    old = pod.status.resize
    return f"{to} {'in progress' if old == 'InProgress' else sanitize(old).lower()}" if old else ""


def _state_words(pod: Pod, state: ContainerState | None) -> tuple[str, StateSeverity]:
    if pod.status.reason == EVICTED:
        return EVICTED, StateSeverity.FAILING
    if state is not None and state.terminated is not None:
        end = _termination_of(state.terminated)
        if end.oom:
            return "OOMKilled", StateSeverity.OOM
        return end.words(), StateSeverity.DONE if end.exit_code == 0 else StateSeverity.FAILING
    if pod.metadata.deletion_timestamp is not None:
        return "Terminating", StateSeverity.WAITING
    if state is not None and state.running is not None:
        return "Running", StateSeverity.RUNNING
    if state is not None and state.waiting is not None and state.waiting.reason:
        reason = sanitize(state.waiting.reason)
        harmless = reason in {"ContainerCreating", "PodInitializing", "CrashLoopBackOff"}
        return reason, StateSeverity.WAITING if harmless else StateSeverity.FAILING
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return sanitize(condition.reason) or "Pending", StateSeverity.FAILING
    return sanitize(pod.status.reason or pod.status.phase) or "Pending", StateSeverity.WAITING


def _termination_of(end: ContainerStateTerminated) -> Termination:
    return Termination(
        sanitize(end.reason),
        end.exit_code,
        unix_seconds(end.finished_at),
        unix_seconds(end.started_at),
        says_out_of_memory(end.message) if end.message else None,
    )


def _eviction_of(pod: Pod) -> Termination:
    """The end of every container of an evicted pod: its status tells of none, at the newest time it has."""
    status = pod.status
    told = [unix_seconds(condition.last_transition_time) for condition in status.conditions]
    times = [moment for moment in (*told, unix_seconds(status.start_time)) if moment is not None]
    return Termination(
        EVICTED,
        SIGKILL_EXIT,
        max(times, default=None),
        unix_seconds(status.start_time),
        "low on resource: memory" in status.message,
    )


def _memory_bytes(
    resources: ResourceRequirements | None, which: Literal["limits", "requests"], unread: list[str]
) -> int | None:
    amounts = None if resources is None else resources.limits if which == "limits" else resources.requests
    text = amounts.get("memory") if amounts else None
    if text is None:
        return None
    size = bytes_or_none(text)
    if text and size is None and (words := f"{which}.memory {sanitize(text)}") not in unread:
        unread.append(words)
    return size or None


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    """The controller that owns a pod: Deployment, StatefulSet, DaemonSet, Job, CronJob, or the bare Pod.

    Attributes:
        kind: Its kind.
        name: Its name.
        api_version: Of a kind that is not Kubernetes' own, such as ``argoproj.io/v1alpha1``: some are called
            like one that is. Else empty.
    """

    kind: str
    name: str
    api_version: str = ""

    def __str__(self) -> str:
        """As kubectl writes it: ``deployment/user-service``."""
        return f"{self.kind.lower()}/{self.name}"


class OwnerIndex:
    """Resolves owner references through ReplicaSets and Jobs, which are known by their metadata only.

    Until their metadata is here, or where it is forbidden, a ReplicaSet's Deployment follows from the pod's
    ``pod-template-hash``: the Deployment controller names a ReplicaSet ``<deployment>-<hash>``
    (k8s.io/kubernetes, pkg/controller/deployment/sync.go). Argo Rollouts does so with a label of its own.
    """

    def __init__(self) -> None:
        self._owner_of: dict[str, OwnerReference | None] = {}

    @staticmethod
    def part(pod: ObjectMeta) -> ObjectMeta:
        """What `selected_workload` needs of a pod; one object serves all pods of one owner."""
        owner = controller_reference(pod)
        return ObjectMeta(name=pod.name) if owner is None else _owner_metadata(owner, _template_hashes(pod))

    def add(self, metadata: ObjectMeta) -> bool:
        """Remembers who owns a ReplicaSet or a Job; true if that is news."""
        owner = controller_reference(metadata)
        if self._owner_of.get(metadata.uid, self) == owner:
            return False
        self._owner_of[metadata.uid] = owner
        return True

    def forget(self, uid: str) -> None:
        """The ReplicaSet or Job is gone."""
        self._owner_of.pop(uid, None)

    def workload_of(self, pod: ObjectMeta) -> Workload:
        """The workload of a pod, as far up as is known."""
        owner = controller_reference(pod)
        if owner is None:
            return Workload("Pod", sanitize(pod.name))
        if owner.uid in self._owner_of:
            owner = self._owner_of[owner.uid] or owner
        elif owner.kind == "ReplicaSet":
            for label, kind, version in _HASHED_OWNERS:
                template = (pod.labels or {}).get(label)
                if template and owner.name.endswith(f"-{template}"):
                    name = sanitize(owner.name.removesuffix(f"-{template}"))
                    return _shared_workload(kind, name, version)
        return _shared_workload(
            sanitize(owner.kind), sanitize(owner.name), sanitize(custom_api_version(owner.api_version))
        )


def controller_reference(metadata: ObjectMeta) -> OwnerReference | None:
    """The owner that controls the object, if any."""
    return next((owner for owner in metadata.owner_references if owner.controller), None)


_HASHED_OWNERS = (
    ("pod-template-hash", "Deployment", ""),
    (ROLLOUT_HASH, "Rollout", "argoproj.io/v1alpha1"),
)
"""Whose ReplicaSets end in the hash of which label, and that owner's API version where it is no own one."""


def _template_hashes(pod: ObjectMeta) -> tuple[tuple[str, str], ...]:
    carried = pod.labels or {}
    return tuple((label, carried[label]) for label, _, _ in _HASHED_OWNERS if label in carried)


@lru_cache(maxsize=8192)
def _owner_metadata(owner: OwnerReference, hashes: tuple[tuple[str, str], ...]) -> ObjectMeta:
    return ObjectMeta(name="", labels=dict(hashes) or None, owner_references=(owner,))


_shared_workload = lru_cache(maxsize=8192)(Workload)
