"""From a wish to the request that grants it: the fields that change, and the version they change from.

All but scaling and deleting are strategic merge patches, whose lists of containers are merged by name; a
template that is gone back to replaces the whole one. Restarts and change causes are marked as kubectl does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from memtop.change.fields import Steps, differences, equal
from memtop.change.kinds import template_of, template_path
from memtop.change.subject import Container, Subject
from memtop.change.wish import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster.revisions import Revision
from memtop.cluster.tree import clean, labels, mapping, text, uid_of

STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
CHANGE_CAUSE = "kubernetes.io/change-cause"

Changed = tuple[Steps, str, str]
"""A field, its value before and after."""


@dataclass(frozen=True, slots=True)
class Request:
    """What would be sent.

    Attributes:
        method: ``PATCH`` or ``DELETE``.
        path: Of the object, or of its scale.
        content_type: Of the body.
        body: Not yet encoded; carries the version.
        changed: The fields that it changes.
        cause: The change cause that it records; None where it leaves that alone, empty where it removes it.
    """

    method: str
    path: str
    content_type: str
    body: dict[str, Any]
    changed: tuple[Changed, ...]
    cause: str | None = None


def request(
    wish: Wish, subject: Subject, collection: str, command: str, target: Revision | None, now: float
) -> Request:
    """The request that grants a wish in which nothing is wrong.

    Args:
        wish: The wish.
        subject: The object as it is.
        collection: The path of its collection.
        command: The change cause, where the wish makes a new revision.
        target: The revision that an undo leads to.
        now: Unix seconds, for a restart.
    """
    path = f"{collection}/{quote(subject.ref.name, safe='')}"
    version = {"resourceVersion": subject.resource_version}
    match wish:
        case DeletePod():
            body: dict[str, Any] = {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": uid_of(subject.object), **version},
            }
            return Request("DELETE", path, "application/json", body, ())
        case Scale():
            now_ = "" if subject.replicas is None else str(subject.replicas)
            body = {"metadata": version, "spec": {"replicas": wish.replicas}}
            changed: tuple[Changed, ...] = ((("spec", "replicas"), now_, str(wish.replicas)),)
            return Request("PATCH", f"{path}/scale", MERGE, body, changed)
        case Pause() | Resume():
            paused = isinstance(wish, Pause)
            body = {"metadata": version, "spec": {"paused": True if paused else None}}
            before, after = ("", "true") if paused else ("true", "")
            return Request("PATCH", path, STRATEGIC, body, ((("spec", "paused"), before, after),))
        case SetImage() | SetMemory() | Restart() | Undo():
            patch, changed = _template(wish, subject, target, now)
            cause = None if subject.ref.kind == "CronJob" else command
            if isinstance(wish, Undo):  # kubectl gives the revision its cause back
                cause = target.change_cause if target is not None else ""
            body = {"metadata": dict(version)}
            had = CHANGE_CAUSE in labels(subject.object, "metadata", "annotations")
            if cause or (cause is not None and had):
                body["metadata"]["annotations"] = {CHANGE_CAUSE: cause or None}
            inside = body
            *above, last = template_path(subject.ref.kind)
            for step in above:
                inside = inside.setdefault(step, {})
            inside[last] = patch
            return Request("PATCH", path, STRATEGIC, body, changed, cause)


def _template(
    wish: SetImage | SetMemory | Restart | Undo, subject: Subject, target: Revision | None, now: float
) -> tuple[dict[str, Any], tuple[Changed, ...]]:
    """The patch of the pod template, and what it changes."""
    where: Steps = template_path(subject.ref.kind)
    template = template_of(subject.ref.kind, subject.object)
    if isinstance(wish, Undo):
        if target is None:
            raise ValueError("an undo needs the revision it leads to")
        return {"$patch": "replace", **target.template}, tuple(
            differences(_compared(template), _compared(clean(target.template)), where)
        )
    if isinstance(wish, Restart):
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        before = text(template, "metadata", "annotations", RESTARTED_AT)
        annotation = (*where, "metadata", "annotations", RESTARTED_AT)
        return {"metadata": {"annotations": {RESTARTED_AT: stamp}}}, ((annotation, before, stamp),)
    container = subject.container(wish.container)
    if container is None:
        raise ValueError(f"there is no container {wish.container!r}")
    among = "initContainers" if container.init else "containers"
    place: Steps = (*where, "spec", among, ("name", container.name))
    element: dict[str, Any] = {"name": container.name}
    if isinstance(wish, SetImage):
        element["image"] = wish.image
        changed: list[Changed] = [((*place, "image"), container.image, wish.image)]
    else:
        changed = list(_memory(wish, container, place))
        element["resources"] = {str(steps[-2]): {"memory": after} for steps, _, after in changed}
    return {"spec": {among: [element]}}, tuple(changed)


def _memory(wish: SetMemory, container: Container, place: Steps) -> Iterator[Changed]:
    for key, before, after in (
        ("limits", container.limit, wish.limit),
        ("requests", container.request, wish.request),
    ):
        if after is not None and not equal(after, before):
            yield (*place, "resources", key, "memory"), before, after


def _compared(template: object) -> dict[str, object]:
    """A pod template without what the API server adds to it for itself."""
    parts = dict(mapping(template))
    metadata = {key: value for key, value in mapping(parts, "metadata").items() if key != "creationTimestamp"}
    return {**parts, "metadata": metadata}
