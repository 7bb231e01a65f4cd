"""What a pod says of each of its containers, in the words of `kubectl get` and `kubectl describe`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from memtop.cluster.objects import Container, ContainerState, ContainerStatus, Pod, Terminated
from memtop.cluster.sanitize import sanitize
from memtop.quantity import bytes_or_none

SIGKILL_EXIT = 137


class Kind(StrEnum):
    """What part a container has in its pod."""

    CONTAINER = "container"
    INIT = "init"
    SIDECAR = "sidecar"


class Mood(StrEnum):
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
    """

    reason: str
    exit_code: int
    finished_at: float | None
    started_at: float | None

    @property
    def oom(self) -> bool:
        """Whether the kernel's OOM killer did it, as far as the kubelet knows."""
        return self.reason == "OOMKilled"

    def words(self) -> str:
        """``OOMKilled``; ``killed (137)`` for a SIGKILL from elsewhere; else the reason and the exit code."""
        if self.oom:
            return "OOMKilled"
        if self.exit_code == SIGKILL_EXIT:
            return "killed (137)"
        reason = self.reason or "ended"
        return reason if self.exit_code == 0 else f"{reason} ({self.exit_code})"


class ContainerFacts(Struct, frozen=True):
    """One container of one pod as the API server knows it now.

    Attributes:
        name: The container's name.
        kind: Ordinary container, init container, or sidecar (an init container that always restarts).
        limit: Memory limit in bytes, or None without one.
        request: Memory request in bytes, or None.
        restarts: Restarts since the pod was created.
        state: The current state in words.
        mood: How much that state asks for attention.
        started_at: Start of the current run, Unix seconds; None while it does not run.
        terminations: The ends that the status still tells of, oldest first (at most two).
    """

    name: str
    kind: Kind
    limit: int | None
    request: int | None
    restarts: int
    state: str
    mood: Mood
    started_at: float | None
    terminations: tuple[Termination, ...]


def container_facts(pod: Pod) -> tuple[ContainerFacts, ...]:
    """Reads every container of a pod: ordinary ones first, then sidecars and init containers."""
    statuses = {status.name: status for status in pod.status.container_statuses}
    init_statuses = {status.name: status for status in pod.status.init_container_statuses}
    return (
        *(_facts(pod, spec, Kind.CONTAINER, statuses.get(spec.name)) for spec in pod.spec.containers),
        *(
            _facts(
                pod,
                spec,
                Kind.SIDECAR if spec.restart_policy == "Always" else Kind.INIT,
                init_statuses.get(spec.name),
            )
            for spec in pod.spec.init_containers
        ),
    )


def epoch(moment: datetime | None) -> float | None:
    """Unix seconds of an API time stamp; the API's zero time counts as unknown."""
    if moment is None or moment.year < 1971:
        return None
    return moment.timestamp()


def _facts(pod: Pod, spec: Container, kind: Kind, status: ContainerStatus | None) -> ContainerFacts:
    state = status.state if status is not None else None
    words, mood = _state_words(pod, state)
    ends = [
        _termination(part.terminated)
        for part in (status.last_state if status is not None else None, state)
        if part is not None and part.terminated is not None
    ]
    if mood is Mood.WAITING and words == "CrashLoopBackOff":
        mood = Mood.OOM if ends and ends[-1].oom else Mood.FAILING
    return ContainerFacts(
        name=sanitize(spec.name),
        kind=kind,
        limit=_memory(spec, "limits"),
        request=_memory(spec, "requests"),
        restarts=status.restart_count if status is not None else 0,
        state=words,
        mood=mood,
        started_at=epoch(state.running.started_at) if state is not None and state.running else None,
        terminations=tuple(ends),
    )


def _state_words(pod: Pod, state: ContainerState | None) -> tuple[str, Mood]:
    if pod.status.reason == "Evicted":
        return "Evicted", Mood.FAILING
    if state is not None and state.terminated is not None:
        end = _termination(state.terminated)
        if end.oom:
            return "OOMKilled", Mood.OOM
        return end.words(), Mood.DONE if end.exit_code == 0 else Mood.FAILING
    if pod.metadata.deletion_timestamp is not None:
        return "Terminating", Mood.WAITING
    if state is not None and state.running is not None:
        return "Running", Mood.RUNNING
    if state is not None and state.waiting is not None and state.waiting.reason:
        reason = sanitize(state.waiting.reason)
        harmless = reason in {"ContainerCreating", "PodInitializing", "CrashLoopBackOff"}
        return reason, Mood.WAITING if harmless else Mood.FAILING
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return sanitize(condition.reason) or "Pending", Mood.FAILING
    return sanitize(pod.status.reason or pod.status.phase) or "Pending", Mood.WAITING


def _termination(end: Terminated) -> Termination:
    return Termination(sanitize(end.reason), end.exit_code, epoch(end.finished_at), epoch(end.started_at))


def _memory(spec: Container, which: Literal["limits", "requests"]) -> int | None:
    resources = getattr(spec.resources, which, None)
    return bytes_or_none(resources.get("memory") if resources else None) or None
