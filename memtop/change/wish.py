"""What a person may want changed: one thing of one object each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from memtop.cluster.refs import ObjectRef


@dataclass(frozen=True, slots=True)
class SetImage:
    """Another image for one container, init containers included."""

    action: ClassVar[str] = "set image"
    ref: ObjectRef
    container: str
    image: str

    @property
    def title(self) -> str:
        """The wish in a few words."""
        return f"Set the image of {self.ref.name}"


@dataclass(frozen=True, slots=True)
class SetMemory:
    """Another memory limit or request for one container.

    Attributes:
        ref: The workload.
        container: Its container.
        limit: A Kubernetes quantity such as ``2Gi``; None leaves it as it is.
        request: Likewise.
    """

    action: ClassVar[str] = "set memory"
    ref: ObjectRef
    container: str
    limit: str | None = None
    request: str | None = None

    @property
    def title(self) -> str:
        """The wish in a few words."""
        if self.request is None:
            return f"Set the memory limit of {self.ref.name}"
        if self.limit is None:
            return f"Set the memory request of {self.ref.name}"
        return f"Set memory limit and request of {self.ref.name}"


@dataclass(frozen=True, slots=True)
class Restart:
    """New pods with the same template, as ``kubectl rollout restart`` does it."""

    action: ClassVar[str] = "restart"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The wish in a few words."""
        return f"Restart {self.ref.name}"


@dataclass(frozen=True, slots=True)
class Undo:
    """Back to the pod template of an earlier revision.

    Attributes:
        ref: The workload.
        revision: Its number; None for the one before the newest.
    """

    action: ClassVar[str] = "undo"
    ref: ObjectRef
    revision: int | None = None

    @property
    def title(self) -> str:
        """The wish in a few words."""
        if self.revision is None:
            return f"Undo the last rollout of {self.ref.name}"
        return f"Take {self.ref.name} back to revision {self.revision}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Another number of pods."""

    action: ClassVar[str] = "scale"
    ref: ObjectRef
    replicas: int

    @property
    def title(self) -> str:
        """The wish in a few words."""
        return f"Scale {self.ref.name} to {self.replicas}"


@dataclass(frozen=True, slots=True)
class DeletePod:
    """One pod gone; its controller, if it has one, makes another."""

    action: ClassVar[str] = "delete pod"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The wish in a few words."""
        return f"Delete the pod {self.ref.name}"


@dataclass(frozen=True, slots=True)
class Pause:
    """Later changes of a Deployment wait until it is resumed."""

    action: ClassVar[str] = "pause"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The wish in a few words."""
        return f"Pause rollouts of {self.ref.name}"


@dataclass(frozen=True, slots=True)
class Resume:
    """What waited since a pause is rolled out."""

    action: ClassVar[str] = "resume"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The wish in a few words."""
        return f"Resume rollouts of {self.ref.name}"


Wish = SetImage | SetMemory | Restart | Undo | Scale | DeletePod | Pause | Resume
