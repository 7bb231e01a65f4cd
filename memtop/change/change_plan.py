"""A change plan: the fields that change, the lines that explain them, and the request to be sent.

It also names fields, compares their values, and computes the digest that tells whether an object changed
since its plan was made.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from memtop.change.change_request import ChangeRequest
from memtop.kube.json_object import Json, labels, mapping, objects, text, uid_of
from memtop.kube.object_ref import ObjectRef
from memtop.quantity import QuantityError, parse_bytes

_CONTROLLER_ANNOTATIONS = "deployment.kubernetes.io/"
"""Annotations that the Deployment controller writes for itself."""


def object_digest(kind: str, found: Json) -> str:
    """A digest that differs if and only if a plan for the object may have to say something else.

    Args:
        kind: Its kind. Of a pod's specification only the resources are planned upon; beside them its identity
            counts, and whose it is: nobody replaces one that was let go.
        found: The object.
    """
    parts: list[object] = [
        uid_of(found),
        text(found, "metadata", "deletionTimestamp"),
        objects(found, "metadata", "ownerReferences"),
    ]
    if kind == "Pod":
        parts += [mapping(one, "resources") for one in objects(found, "spec", "containers")]
    else:
        annotations = labels(found, "metadata", "annotations")
        parts += [
            labels(found, "metadata", "labels"),
            {key: value for key, value in annotations.items() if not key.startswith(_CONTROLLER_ANNOTATIONS)},
            mapping(found, "spec"),
        ]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


VERSION_POINTER = "/metadata/resourceVersion"
"""Where a JSON patch carries the version."""
LineWeight = Literal["plain", "warn", "critical", "command"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that would change.

    Attributes:
        path: Such as ``spec.template.spec.containers[app].image``.
        old: Its value now; empty where it has none.
        new: Its value then; empty where it would have none.
    """

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ChangePlanLine:
    """One line of a plan, for a person.

    Attributes:
        label: What it is about, such as ``quota``.
        text: A sentence.
        weight: How much it asks for attention.
    """

    label: str
    text: str
    weight: LineWeight = "plain"


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """One change, ready to be shown and, after a yes, to be applied.

    Attributes:
        change: What was asked for.
        context: The kubeconfig's context.
        ref: The object that is changed.
        title: The request in a few words, for a heading.
        changes: The fields that change.
        lines: All that there is to say about it, the fields included, in the order to be shown.
        kubectl: The command that does the same.
        method: Of the request, such as ``PATCH``.
        path: Of the request.
        content_type: Of its body.
        body: Carries the version, so that the server refuses it if the object is another by then.
        version: The resourceVersion of the object that the plan was made from.
        refused: Why it cannot be applied (the dry run's words, no such right); empty if it can.
        opens_rollout: Whether pods are replaced, so that there is a rollout to watch.
        digest: Stands for all of the object that the plan depends on; see `memtop.change.change_plan`.
        id: Names the plan in the audit log.
    """

    change: ChangeRequest
    context: str
    ref: ObjectRef
    title: str
    changes: tuple[FieldChange, ...]
    lines: tuple[ChangePlanLine, ...]
    kubectl: str
    method: str
    path: str
    content_type: str
    body: bytes
    version: str
    refused: str
    opens_rollout: bool
    digest: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12], compare=False)

    @property
    def params(self) -> Mapping[str, str]:
        """The request's query: who writes."""
        return {"fieldManager": "memtop"} if self.method == "PATCH" else {}

    def at_version(self, version: str) -> ChangePlan:
        """The same plan for a newer version of the same object."""
        body: Any = msgspec.json.decode(self.body)
        if isinstance(body, list):  # a JSON patch
            for step in body:
                if step["path"] == VERSION_POINTER:
                    step["value"] = version
            return replace(self, version=version, body=msgspec.json.encode(body))
        holder = body["preconditions"] if self.method == "DELETE" else body["metadata"]
        holder["resourceVersion"] = version
        return replace(self, version=version, body=msgspec.json.encode(body))


FieldStep = str | tuple[str, str]
"""A key, or of a list's element the key that identifies it and its value: ``("name", "app")``."""
FieldPath = tuple[FieldStep, ...]


def path_text(steps: FieldPath) -> str:
    """``spec.template.spec.containers[app].image``."""
    words = ""
    for step in steps:
        if isinstance(step, tuple):
            words += f"[{step[1]}]"
        elif "." in step or "/" in step:
            words += f"[{step}]"
        else:
            words += f".{step}" if words else step
    return words


def field_label(path: str) -> str:
    """What a field is called in a few words: ``limit of app``; else its path without what all have."""
    if found := re.search(r"\.(?:containers|initContainers)\[([^\]]*)\]\.(.+)$", path):
        container, rest = found.groups()
        name = {
            "image": "image",
            "resources.limits.memory": "memory limit",
            "resources.requests.memory": "memory request",
        }.get(rest, rest)
        return f"{name} of {container}"
    if path.endswith("[kubectl.kubernetes.io/restartedAt]"):
        return "restarted at"
    return re.sub(r"^spec\.(jobTemplate\.spec\.)?(template\.(spec\.)?)?", "", path)


def managed_field_keys(steps: FieldPath) -> tuple[str, ...]:
    """The keys under which a field stands in ``fieldsV1``: ``f:spec``, ``k:{"name":"app"}``."""
    return tuple(
        f"f:{step}" if isinstance(step, str) else f"k:{msgspec.json.encode(dict([step])).decode()}"
        for step in steps
    )


def field_change(steps: FieldPath, old: str, new: str) -> FieldChange:
    """A change of one field."""
    return FieldChange(path_text(steps), old, new)


def field_differences(
    old: object, new: object, steps: FieldPath = ()
) -> Iterator[tuple[FieldPath, str, str]]:
    """The fields in which two values differ: where, the old and the new value; missing ones are empty.

    Elements of a list are told apart by their name where all have one, else by their place. What is empty is
    as good as missing, as it is for the API.
    """
    if _identical(old, new):
        return
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        before, after = _as_mapping(old), _as_mapping(new)
        for key in [*before, *(key for key in after if key not in before)]:
            yield from field_differences(before.get(key), after.get(key), (*steps, key))
        return
    if _is_object_list(old) or _is_object_list(new):
        before, after = _index_by_name(old, new), _index_by_name(new, old)
        for key in [*before, *(key for key in after if key not in before)]:
            yield from field_differences(before.get(key), after.get(key), (*steps, ("name", key)))
        return
    yield steps, value_text(old), value_text(new)


def same_value(one: str, other: str) -> bool:
    """Whether two values are the same; a quantity may be written in several ways."""
    if one == other:
        return True
    try:
        return parse_bytes(one) == parse_bytes(other)
    except QuantityError:
        return False


def _identical(old: object, new: object) -> bool:
    return old == new or (_is_empty(old) and _is_empty(new))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, Mapping | list | str) and not value)


def _as_mapping(value: object) -> dict[str, object]:
    return {str(key): part for key, part in value.items()} if isinstance(value, Mapping) else {}


def _is_object_list(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(part, Mapping) for part in value)


def _index_by_name(value: object, other: object) -> dict[str, object]:
    parts, others = _as_list(value), _as_list(other)
    if all(text(part, "name") for part in (*parts, *others)):
        return {text(part, "name"): part for part in parts}
    return {str(place): part for place, part in enumerate(parts)}


def _as_list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def value_text(value: object) -> str:
    """A field's value in a plan: a text or a number as it is, anything else as JSON, empty for nothing."""
    if value is None:
        return ""
    return (
        text({"": value}, "") if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()
    )
