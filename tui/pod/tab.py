"""The base of the tabs of the pod screen, what a tab is about, and how it asks the cluster."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from textual.containers import Vertical

from memtop.kube.client import Client
from memtop.kube.custom_workloads import custom_api_version
from memtop.kube.object_ref import ObjectRef
from memtop.kube.pod_facts import Workload
from memtop.observe.frame import Frame, RowKey, WorkloadIdentity, WorkloadKey
from memtop.observe.slots import ContainerIdentity

T = TypeVar("T")


class AskCluster(Protocol):
    """Does something with the cluster on the engine's loop; see `memtop.observe.engine.Engine.submit`."""

    def __call__(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> Future[T]:
        """Starts the work."""
        ...


@dataclass(frozen=True, slots=True)
class TabSubject:
    """What the pod screen is about.

    Attributes:
        key: Its row.
        namespace: The pod's namespace.
        pod: The pod's name; empty where the row is a workload.
        container: The container's name; empty where the row is a workload.
        title: What a person calls it.
        workload: The workload that the row is, or that its pod belongs to.
    """

    key: RowKey
    namespace: str
    pod: str
    container: str
    title: str
    workload: ObjectRef

    @classmethod
    def of(cls, identity: ContainerIdentity | WorkloadIdentity, title: str) -> TabSubject:
        """What a row is about.

        Args:
            identity: Who the row is.
            title: What a person calls it.
        """
        owner = identity.workload
        workload = ObjectRef(owner.kind, identity.namespace, owner.name, api_version=owner.api_version)
        if isinstance(identity, WorkloadIdentity):
            return cls(identity.key, identity.namespace, "", "", title, workload)
        return cls(identity.key, identity.namespace, identity.pod, identity.container, title, workload)

    @classmethod
    def of_workload(cls, ref: ObjectRef) -> TabSubject:
        """What a workload's row is about, also where there is no such row at present."""
        workload = Workload(ref.kind, ref.name, custom_api_version(ref.api_version))
        return cls(WorkloadKey(ref.namespace, workload), ref.namespace, "", "", str(workload), ref)

    @property
    def pod_ref(self) -> ObjectRef | None:
        """The pod; None where the row is a workload with pods of its own."""
        if self.pod:
            return ObjectRef("Pod", self.namespace, self.pod)
        return self.workload if self.workload.kind == "Pod" else None


class PodTab(Vertical):
    """One tab: it gets every frame while it is open, and cancels its streams when it is closed.

    Attributes:
        NAME: Its title.
        KEY: The key that opens it.
    """

    NAME: ClassVar[str]
    KEY: ClassVar[str]

    DEFAULT_CSS = """
    PodTab { height: 1fr; }
    """

    def __init__(self, subject: TabSubject, ask: AskCluster) -> None:
        super().__init__(id=f"tab-{self.NAME.lower()}")
        self.subject = subject
        self.ask = ask

    def show(self, frame: Frame) -> None:
        """A new frame is there; only an open tab is told."""

    @property
    def look_back_seconds(self) -> float:
        """Seconds back that it wants the row drawn for; 0 where it draws none."""
        return 0.0

    @property
    def row(self) -> TabSubject | None:
        """What in it the keys act on; None where that is what the screen is about."""
        return None

    def opened(self) -> None:
        """The tab is in front: begin to load or to follow."""

    def closed(self) -> None:
        """Another tab is in front, or the screen is left: end every request."""
        self.workers.cancel_node(self)
