"""What a user can ask to change, which kinds of objects allow it, and which access right it needs.

A request is one value: a new image, a new memory limit, a restart, an undo, a scale, a deleted pod, a
pause or a resume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from memtop.kube.api_discovery import is_allowed
from memtop.kube.client import Client
from memtop.kube.custom_workloads import CustomWorkload, custom_workload
from memtop.kube.json_object import Json, mapping
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef


@dataclass(frozen=True, slots=True)
class SetImage:
    """Another image for one container, init containers included."""

    action: ClassVar[str] = "set image"
    ref: ObjectRef
    container: str
    image: str

    @property
    def title(self) -> str:
        """The request in a few words, for a heading."""
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
        """The request in a few words, for a heading."""
        if self.request is None:
            return f"Set the memory limit of {self.ref.name}"
        if self.limit is None:
            return f"Set the memory request of {self.ref.name}"
        return f"Set memory limit and request of {self.ref.name}"


DUMP_VOLUME: Final = "memory-dumps"
"""Name of the volume that memtop adds for dumps."""


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Other environment variables for one container, and room for a dump if that is wanted.

    Attributes:
        ref: The workload.
        container: Its container.
        variables: Names and values.
        dump_folder: Where an ``emptyDir`` is mounted, which outlives a container that is killed; empty for
            none.
        dump_size: How much may be written there, a Kubernetes quantity.
    """

    action: ClassVar[str] = "set env"
    ref: ObjectRef
    container: str
    variables: tuple[tuple[str, str], ...]
    dump_folder: str = ""
    dump_size: str = ""

    @property
    def title(self) -> str:
        """The request in a few words, for a heading."""
        return f"Set {', '.join(name for name, _ in self.variables)} of {self.ref.name}"


@dataclass(frozen=True, slots=True)
class ResizePod:
    """Another memory limit or request for one container of a running pod, without a new pod.

    Attributes:
        ref: The pod.
        container: Its container.
        limit: A Kubernetes quantity such as ``2Gi``; None leaves it as it is.
        request: Likewise.
        template: The workload whose template gets the same by a plan of its own; None for the pod alone.
    """

    action: ClassVar[str] = "resize"
    ref: ObjectRef
    container: str
    limit: str | None = None
    request: str | None = None
    template: ObjectRef | None = None

    @property
    def title(self) -> str:
        """The request in a few words, for a heading."""
        return f"Resize {self.ref.name} in place"

    def for_template(self) -> SetMemory | None:
        """The same for the workload's template, where that is wanted."""
        if self.template is None:
            return None
        return SetMemory(self.template, self.container, self.limit, self.request)


@dataclass(frozen=True, slots=True)
class Restart:
    """New pods with the same template, as ``kubectl rollout restart`` does it."""

    action: ClassVar[str] = "restart"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The request in a few words, for a heading."""
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
        """The request in a few words, for a heading."""
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
        """The request in a few words, for a heading."""
        return f"Scale {self.ref.name} to {self.replicas}"


@dataclass(frozen=True, slots=True)
class DeletePod:
    """One pod gone; its controller, if it has one, makes another."""

    action: ClassVar[str] = "delete pod"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The request in a few words, for a heading."""
        return f"Delete the pod {self.ref.name}"


@dataclass(frozen=True, slots=True)
class Pause:
    """Later changes of a Deployment wait until it is resumed."""

    action: ClassVar[str] = "pause"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The request in a few words, for a heading."""
        return f"Pause rollouts of {self.ref.name}"


@dataclass(frozen=True, slots=True)
class Resume:
    """What waited since a pause is rolled out."""

    action: ClassVar[str] = "resume"
    ref: ObjectRef

    @property
    def title(self) -> str:
        """The request in a few words, for a heading."""
        return f"Resume rollouts of {self.ref.name}"


ChangeRequest = (
    SetImage | SetMemory | SetVariables | ResizePod | Restart | Undo | Scale | DeletePod | Pause | Resume
)

KINDS_WITH_TEMPLATE: Final = (*ROLLING_KINDS, "CronJob")
"""The kinds whose pod template can be changed."""
_KINDS_BY_REQUEST: Final[Mapping[type[ChangeRequest], frozenset[str]]] = {
    SetImage: frozenset(KINDS_WITH_TEMPLATE),
    SetMemory: frozenset(KINDS_WITH_TEMPLATE),
    SetVariables: frozenset(KINDS_WITH_TEMPLATE),
    ResizePod: frozenset({"Pod"}),
    Restart: frozenset(ROLLING_KINDS),
    Undo: frozenset(ROLLING_KINDS),
    Scale: frozenset({"Deployment", "StatefulSet"}),
    DeletePod: frozenset({"Pod"}),
    Pause: frozenset({"Deployment"}),
    Resume: frozenset({"Deployment"}),
}
_VERBS: Final[Mapping[type[ChangeRequest], str]] = {
    SetImage: "set the image of",
    SetMemory: "set the memory of",
    SetVariables: "set the environment of",
    ResizePod: "resize",
    Restart: "restart",
    Undo: "undo a rollout of",
    Scale: "scale",
    DeletePod: "delete",
    Pause: "pause",
    Resume: "resume",
}
_WHY_UNSUPPORTED: Final[Mapping[str, str]] = {
    "Job": "a Job's pod template cannot be changed once it exists: create the Job again",
    "Pod": "a bare pod has no controller that would replace it: create it again with what it should have",
    "ReplicaSet": "a ReplicaSet does not replace its pods when its template changes",
    "ReplicationController": "a ReplicationController does not replace its pods when its template changes",
    "Node": "a node has no pod template",
}
_CUSTOM_REQUESTS: Final[frozenset[type[ChangeRequest]]] = frozenset(
    {SetImage, SetMemory, Restart, Undo, Scale, Pause, Resume}
)
"""What can be changed of workloads of Argo Rollouts and OpenKruise."""
_GROUP_AND_PLURAL: Final[Mapping[str, tuple[str, str]]] = {
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "CronJob": ("batch", "cronjobs"),
    "Pod": ("", "pods"),
}


@dataclass(frozen=True, slots=True)
class AccessRight:
    """What the API calls the right to do something.

    Attributes:
        verb: Such as ``patch``.
        group: The API group; empty for the core one.
        resource: The plural.
        subresource: Such as ``scale``; empty for the object itself.
    """

    verb: str
    group: str
    resource: str
    subresource: str = ""

    def __str__(self) -> str:
        """As kubectl's ``auth can-i`` takes it: ``patch deployments.apps/scale``."""
        name = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {name}{'/' + self.subresource if self.subresource else ''}"


def why_unsupported(ref: ObjectRef, change: type[ChangeRequest]) -> str:
    """Why objects of this kind can't be changed so; empty if they can."""
    if (custom := custom_workload(ref.kind, ref.api_version)) is not None:
        return _why_unsupported_custom(ref, custom, change)
    if ref.kind in _KINDS_BY_REQUEST[change] and ref.is_builtin:
        return ""
    if change in {Pause, Resume} and ref.kind in KINDS_WITH_TEMPLATE:
        return f"only Deployments can be paused, and {ref.name} is a {ref.kind}"
    if change in {DeletePod, ResizePod}:
        verb = "deleted from here" if change is DeletePod else "resized in place"
        return f"{ref.name} is a {ref.kind}, and only single pods are {verb}"
    if change is Scale and ref.kind == "DaemonSet" and ref.is_builtin:
        return "a DaemonSet has one pod on each node that fits: there is no number to set"
    if ref.kind == "CronJob" and ref.is_builtin:
        return f"a CronJob has no pods of its own to {_VERBS[change].split()[0]}"
    if ref.kind in _WHY_UNSUPPORTED and ref.is_builtin:
        return _WHY_UNSUPPORTED[ref.kind]
    kind = f"{ref.kind} ({ref.api_version})" if ref.api_version else ref.kind
    return (
        f"{ref.name} belongs to a {kind}, which its own controller looks after: memtop doesn't know how to "
        f"{_VERBS[change]} one"
    )


def _why_unsupported_custom(ref: ObjectRef, custom: CustomWorkload, change: type[ChangeRequest]) -> str:
    if change is Scale and not custom.scales:
        return f"a {custom.kind} has one pod on each node that fits: there is no number to set"
    if change in _CUSTOM_REQUESTS:
        return ""
    if change in {DeletePod, ResizePod}:
        verb = "deleted from here" if change is DeletePod else "resized in place"
        return f"{ref.name} is a {custom.kind}, and only single pods are {verb}"
    return f"memtop doesn't know how to {_VERBS[change]} a {custom.kind} of {custom.product}"


def required_right(ref: ObjectRef, change: type[ChangeRequest]) -> AccessRight:
    """The right that a change of an object needs.

    Raises:
        KeyError: There is no such change for its kind.
    """
    custom = custom_workload(ref.kind, ref.api_version)
    group, plural = (custom.group, custom.plural) if custom is not None else _GROUP_AND_PLURAL[ref.kind]
    if change is DeletePod:
        return AccessRight("delete", group, plural)
    return AccessRight("patch", group, plural, {Scale: "scale", ResizePod: "resize"}.get(change, ""))


def template_path(kind: str) -> tuple[str, ...]:
    """Where in an object its pod template is."""
    if kind == "CronJob":
        return ("spec", "jobTemplate", "spec", "template")
    return ("spec", "template")


def pod_template(kind: str, found: Json) -> Json:
    """An object's pod template; for a pod, the pod itself."""
    return found if kind == "Pod" else mapping(found, *template_path(kind))


READ_ONLY_SENTENCE = "memtop is read-only (--read-only, MEMTOP_READ_ONLY or safety.read_only in the settings)"


async def why_not_allowed(
    client: Client, ref: ObjectRef, change: type[ChangeRequest], *, read_only: bool
) -> str:
    """Why an object can't be changed so: the setting, its kind, or the lack of a right.

    Where the server does not say what we may do, nothing is refused here: its dry run will tell.

    Args:
        client: As whom.
        ref: Which object.
        change: What for, such as `memtop.change.change_request.SetImage`.
        read_only: Whether the settings forbid every change.

    Returns:
        One sentence; empty if nothing is known that stands against it.
    """
    if read_only:
        return READ_ONLY_SENTENCE
    if why := why_unsupported(ref, change):
        return why
    needed = required_right(ref, change)
    permitted = await is_allowed(
        client, ref.namespace, needed.verb, needed.resource, needed.subresource, needed.group
    )
    if permitted is False:
        return f"you may not {needed} in the namespace {ref.namespace}"
    return ""
