"""What is known of one rollout at one time, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from memtop.cluster.containers import Mood
from memtop.cluster.refs import ObjectRef
from memtop.cluster.revisions import Revision
from memtop.rollout.status import Status


class Cause(StrEnum):
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
class Reason:
    """One reason why a rollout does not go on.

    Attributes:
        cause: What kind of reason it is.
        words: A sentence that names it.
        said: What the cluster said of it, word for word; empty if nothing.
        blocking: Whether it takes somebody to do something; the others may pass by themselves.
        container: Which container it is about; empty for none in particular.
    """

    cause: Cause
    words: str
    said: str = ""
    blocking: bool = True
    container: str = ""

    def __str__(self) -> str:
        return f"{self.words}: {self.said}" if self.said else f"{self.words}."


@dataclass(frozen=True, slots=True)
class PodLine:
    """One pod of a workload that is rolled out.

    Attributes:
        name: Its name.
        new: Whether it is of the revision that is rolled out.
        revision: The number of its revision; None where that is not known.
        state: Its state in the words of ``kubectl get pods``.
        mood: How much that asks for attention.
        ready: How many of its containers are ready.
        containers: How many it has.
        restarts: Restarts of all its containers.
        memory: Working set of its containers, bytes; None while unknown.
        limit: Sum of their memory limits, bytes; None where one has none.
        created: Unix seconds; None where the API does not say.
        node: Where it runs; empty before it is scheduled.
        leaving: Whether it is being deleted.
        uid: Its uid.
        speaker: The container that asks most for attention; empty where it has none.
    """

    name: str
    new: bool
    revision: int | None
    state: str
    mood: Mood
    ready: int
    containers: int
    restarts: int
    memory: float | None
    limit: int | None
    created: float | None
    node: str
    leaving: bool
    uid: str = ""
    speaker: str = ""

    @property
    def works(self) -> bool:
        """Whether all its containers are ready and it is there to stay."""
        return not self.leaving and 0 < self.containers == self.ready


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
        gone: Whether the workload has been deleted.
        notes: What could not be learned, a sentence each.
    """

    ref: ObjectRef
    status: Status
    revision: Revision | None = None
    previous: Revision | None = None
    pods: tuple[PodLine, ...] = ()
    stuck: tuple[Reason, ...] = ()
    started: float | None = None
    finished: float | None = None
    gone: bool = False
    notes: tuple[str, ...] = ()

    @property
    def arrived(self) -> int:
        """New pods that do their work, as far as the new revision's share of the pods goes."""
        if self.status.done:
            return self.status.target
        return min(self.status.target, sum(pod.works for pod in self.pods if pod.new))

    @property
    def blocked(self) -> Reason | None:
        """The gravest reason why it will not go on by itself; None if it may."""
        return next((reason for reason in self.stuck if reason.blocking), None)

    @property
    def over(self) -> bool:
        """Whether it has succeeded, or there is nothing left to follow.

        Of the strategy OnDelete kubectl never says that it is done; it is once all pods are new and work.
        """
        now = self.status
        arrived = not now.old and now.updated >= now.target and now.available >= now.desired
        return now.done or self.gone or (now.failed and now.seen and arrived)
