"""A rollout at one moment as plain data: its pods, their state, and the facts for judging why it is stuck."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from memtop.change.rollout_status import RolloutStatus
from memtop.kube.api_objects import Node, Pod
from memtop.kube.core_events import CoreEvent
from memtop.kube.json_object import Json
from memtop.kube.object_ref import ObjectRef
from memtop.kube.pod_facts import ContainerFacts, ContainerKind, StateSeverity, container_facts, unix_seconds
from memtop.kube.workload_revisions import Revision
from memtop.sanitize import sanitize


class StuckCause(StrEnum):
    """What keeps a rollout from going on, the gravest first."""

    IMAGE = "the image cannot be pulled"
    CONFIG = "a container cannot be created"
    OOM = "OOMKilled"
    CRASH = "a container crashes"
    REFUSED = "pods are refused"
    NO_NODE = "no node takes a pod"
    VOLUME = "a pod cannot be set up"
    FAILED = "a pod has failed"
    ON_DELETE = "pods change only when they are deleted"
    PAUSED = "paused"
    NOT_READY = "pods are not ready"
    NODE = "a node has trouble"
    LEAVING = "old pods do not end"
    ORDER = "pods wait for one another"
    DEADLINE = "the progress deadline is exceeded"


@dataclass(frozen=True, slots=True)
class StuckReason:
    """One reason why a rollout does not go on.

    Attributes:
        cause: What kind of reason it is.
        words: A sentence that names it.
        message: What the cluster said of it, word for word; empty if nothing.
        blocking: Whether it takes somebody to do something; the others may pass by themselves.
        container: Which container it is about; empty for none in particular.
    """

    cause: StuckCause
    words: str
    message: str = ""
    blocking: bool = True
    container: str = ""

    def __str__(self) -> str:
        return f"{self.words}: {self.message}" if self.message else f"{self.words}."


@dataclass(frozen=True, slots=True)
class RolloutPod:
    """One pod of a workload that is rolled out.

    Attributes:
        name: Its name.
        new: Whether it is of the revision that is rolled out.
        revision: The number of its revision; None where that is not known.
        state: Its state in the words of ``kubectl get pods``.
        severity: How much that asks for attention.
        ready: How many of its containers are ready.
        containers: How many it has.
        restarts: Restarts of all its containers.
        memory: Working set of its containers, bytes; None while unknown.
        limit: Sum of their memory limits, bytes; None where one has none.
        created: Unix seconds; None where the API does not say.
        node: Where it runs; empty before it is scheduled.
        terminating: Whether it is being deleted.
        uid: Its uid.
        worst_container: The container that asks most for attention; empty where it has none.
    """

    name: str
    new: bool
    revision: int | None
    state: str
    severity: StateSeverity
    ready: int
    containers: int
    restarts: int
    memory: float | None
    limit: int | None
    created: float | None
    node: str
    terminating: bool
    uid: str = ""
    worst_container: str = ""

    @property
    def is_working(self) -> bool:
        """Whether all its containers are ready and it is there to stay."""
        return not self.terminating and 0 < self.containers == self.ready


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout at one time.

    Attributes:
        ref: The workload.
        status: How far it is, as kubectl judges it.
        revision: The revision that is rolled out; None for the moment that its controller takes to make it,
            or where revisions may not be read.
        previous: The one that it replaces, if there is one.
        pods: Its pods, those of the new revision first.
        stuck: Why it does not go on, the gravest reason first.
        started: When it began, Unix seconds; None where that cannot be told.
        finished: When it was done, Unix seconds; None where that cannot be told. One that was done may not
            be so any more, when pods have become unavailable since.
        deleted: Whether the workload has been deleted.
        notes: What could not be learned, a sentence each.
    """

    ref: ObjectRef
    status: RolloutStatus
    revision: Revision | None = None
    previous: Revision | None = None
    pods: tuple[RolloutPod, ...] = ()
    stuck: tuple[StuckReason, ...] = ()
    started: float | None = None
    finished: float | None = None
    deleted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def working_new_pods(self) -> int:
        """New pods that do their work, as far as the new revision's share of the pods goes."""
        if self.status.done:
            return self.status.target
        return min(self.status.target, sum(pod.is_working for pod in self.pods if pod.new))

    @property
    def blocked(self) -> StuckReason | None:
        """The gravest reason why it will not go on by itself; None if it may."""
        return next((reason for reason in self.stuck if reason.blocking), None)

    @property
    def is_over(self) -> bool:
        """Whether it has succeeded, or there is nothing left to follow.

        Of the strategy OnDelete kubectl never says that it is done; it is once all pods are new and work.
        """
        now = self.status
        arrived = not now.old and now.updated >= now.target and now.available >= now.desired
        return now.done or self.deleted or (now.failed and now.observed and arrived)


_MOOD_URGENCY = (
    StateSeverity.OOM,
    StateSeverity.FAILING,
    StateSeverity.WAITING,
    StateSeverity.RUNNING,
    StateSeverity.DONE,
)
"""Of several containers the one that asks most for attention speaks for the pod."""


def rollout_pod(pod: Pod, *, new: bool, revision: int | None, memory: Mapping[str, float]) -> RolloutPod:
    """Describes a pod.

    Args:
        pod: The pod.
        new: Whether it is of the revision that is rolled out.
        revision: The number of its revision, if that is known.
        memory: The working set of each pod, bytes by name.
    """
    facts = container_facts(pod)
    lasting = [one for one in facts if one.kind is not ContainerKind.INIT]
    ready_now = sum(status.ready for status in pod.status.container_statuses)
    state, severity = _pod_state(pod, facts, ready_now)
    limits = [one.limit for one in lasting]
    return RolloutPod(
        name=sanitize(pod.metadata.name),
        new=new,
        revision=revision,
        state=state,
        severity=severity,
        ready=ready_now,
        containers=len(pod.spec.containers),
        restarts=sum(one.restarts for one in facts),
        memory=memory.get(pod.metadata.name),
        limit=sum(limit for limit in limits if limit) if limits and all(limits) else None,
        created=unix_seconds(pod.metadata.creation_timestamp),
        node=sanitize(pod.spec.node_name),
        terminating=is_terminating(pod),
        uid=pod.metadata.uid,
        worst_container=min(facts, key=_container_urgency).name if facts else "",
    )


def is_terminating(pod: Pod) -> bool:
    """Whether a pod is being deleted."""
    return pod.metadata.deletion_timestamp is not None


def is_ready(pod: Pod) -> bool:
    """Whether a pod says of itself that it is ready."""
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def has_ended(pod: Pod) -> bool:
    """Whether a pod has ended for good, as one that was evicted has."""
    return pod.status.phase in {"Failed", "Succeeded"}


def _pod_state(pod: Pod, facts: tuple[ContainerFacts, ...], ready_now: int) -> tuple[str, StateSeverity]:
    if is_terminating(pod):
        return "Terminating", StateSeverity.WAITING
    if not facts:
        return "Pending", StateSeverity.WAITING
    if has_ended(pod):
        return sanitize(pod.status.reason or pod.status.phase), StateSeverity.FAILING
    main = [one for one in facts if one.kind is ContainerKind.CONTAINER]
    first = [one for one in facts if one.kind is ContainerKind.INIT]
    waits = [one for one in first if one.severity is not StateSeverity.DONE]
    if waits and not any(one.severity is StateSeverity.RUNNING for one in main):
        speaker = min(waits, key=_container_urgency)
        if speaker.severity in {StateSeverity.OOM, StateSeverity.FAILING}:
            return f"Init:{speaker.state}", speaker.severity
        if speaker.severity is StateSeverity.RUNNING or len(waits) < len(first):
            return f"Init:{len(first) - len(waits)}/{len(first)}", StateSeverity.WAITING
    speaker = min(main, key=_container_urgency)
    if speaker.severity is StateSeverity.RUNNING and ready_now < len(main):
        return "not ready", StateSeverity.WAITING
    return speaker.state, speaker.severity


def _container_urgency(one: ContainerFacts) -> int:
    return _MOOD_URGENCY.index(one.severity)


RECENT_EVENT_SECONDS = 900.0
"""What was last told longer ago than this need not be true any more; what is true is told again sooner."""


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """What is known around a rollout.

    Attributes:
        workload: The workload.
        kind: Its kind.
        status: How far it is.
        new: The pods of the revision that is rolled out.
        old: The pods of other revisions.
        owner_uids: The uids of what creates the new pods: the ReplicaSet, or the workload itself.
        events: The warnings told of pods and makers.
        nodes: The nodes that new pods are on, as far as they may be read.
        now: The cluster's time, Unix seconds.
    """

    workload: Json
    kind: str
    status: RolloutStatus
    new: Sequence[Pod] = ()
    old: Sequence[Pod] = ()
    owner_uids: frozenset[str] = frozenset()
    events: Sequence[CoreEvent] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    now: float = 0.0

    def recent_warning(self, uid: str, reasons: Iterable[str]) -> CoreEvent | None:
        """The newest warning with one of these reasons about an object, if it is still fresh."""
        wanted = set(reasons)
        found = [
            event
            for event in self.events
            if event.involved_object.uid == uid and (event.reason or "") in wanted and self._fresh(event)
        ]
        return max(found, key=last_event_time, default=None)

    def _fresh(self, event: CoreEvent) -> bool:
        return self.now - last_event_time(event) <= RECENT_EVENT_SECONDS


def last_event_time(event: CoreEvent) -> float:
    """When an event was last told, Unix seconds; 0 where it does not say."""
    return event.read().last or 0.0
