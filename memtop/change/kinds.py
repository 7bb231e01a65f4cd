"""Which kinds of objects can be changed in which way, and why the others can't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from memtop.change.wish import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster.refs import ROLLING, ObjectRef
from memtop.cluster.tree import Json, mapping

TEMPLATED: Final = (*ROLLING, "CronJob")
"""The kinds whose pod template can be changed."""
_POSSIBLE: Final[Mapping[type[Wish], frozenset[str]]] = {
    SetImage: frozenset(TEMPLATED),
    SetMemory: frozenset(TEMPLATED),
    Restart: frozenset(ROLLING),
    Undo: frozenset(ROLLING),
    Scale: frozenset({"Deployment", "StatefulSet"}),
    DeletePod: frozenset({"Pod"}),
    Pause: frozenset({"Deployment"}),
    Resume: frozenset({"Deployment"}),
}
_VERBS: Final[Mapping[type[Wish], str]] = {
    SetImage: "set the image of",
    SetMemory: "set the memory of",
    Restart: "restart",
    Undo: "undo a rollout of",
    Scale: "scale",
    DeletePod: "delete",
    Pause: "pause",
    Resume: "resume",
}
_WHY: Final[Mapping[str, str]] = {
    "Job": "a Job's pod template cannot be changed once it exists: create the Job again",
    "Pod": "a bare pod has no controller that would replace it: create it again with what it should have",
    "ReplicaSet": "a ReplicaSet does not replace its pods when its template changes",
    "ReplicationController": "a ReplicationController does not replace its pods when its template changes",
    "Node": "a node has no pod template",
}
_PLURALS: Final[Mapping[str, tuple[str, str]]] = {
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "CronJob": ("batch", "cronjobs"),
    "Pod": ("", "pods"),
}


@dataclass(frozen=True, slots=True)
class Right:
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


def impossible(ref: ObjectRef, wish: type[Wish]) -> str:
    """Why objects of this kind can't be changed so; empty if they can."""
    if ref.kind in _POSSIBLE[wish]:
        return ""
    if wish in {Pause, Resume} and ref.kind in TEMPLATED:
        return f"only Deployments can be paused, and {ref.name} is a {ref.kind}"
    if wish is DeletePod:
        return f"{ref.name} is a {ref.kind}, and only single pods are deleted from here"
    if wish is Scale and ref.kind == "DaemonSet":
        return "a DaemonSet has one pod on each node that fits: there is no number to set"
    if ref.kind == "CronJob":
        return f"a CronJob has no pods of its own to {_VERBS[wish].split()[0]}"
    if ref.kind in _WHY:
        return _WHY[ref.kind]
    kind = f"{ref.kind} ({ref.api_version})" if ref.api_version else ref.kind
    return (
        f"{ref.name} belongs to a {kind}, which its own controller looks after: memtop doesn't know how to "
        f"{_VERBS[wish]} one"
    )


def right(kind: str, wish: type[Wish]) -> Right:
    """The right that a wish needs.

    Raises:
        KeyError: There is no such wish for that kind.
    """
    group, plural = _PLURALS[kind]
    if wish is DeletePod:
        return Right("delete", group, plural)
    return Right("patch", group, plural, "scale" if wish is Scale else "")


def template_path(kind: str) -> tuple[str, ...]:
    """Where in an object its pod template is."""
    if kind == "CronJob":
        return ("spec", "jobTemplate", "spec", "template")
    return ("spec", "template")


def template_of(kind: str, found: Json) -> Json:
    """An object's pod template; for a pod, the pod itself."""
    return found if kind == "Pod" else mapping(found, *template_path(kind))
