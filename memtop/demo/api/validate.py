"""What the API server checks before it stores a changed workload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memtop.demo.api.status import ApiStatusError
from memtop.demo.resources import Resource
from memtop.demo.store import Object
from memtop.quantity import QuantityError, parse_bytes

QUANTITY_RULE = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


@dataclass(frozen=True, slots=True)
class Invalid:
    """One thing that is wrong: which field, why, and in which words."""

    field: str
    reason: str
    message: str


def check(resource: Resource, obj: Object, patch: Any = None) -> None:  # noqa: ANN401  any JSON
    """Check a workload that is about to be stored.

    Args:
        resource: its resource.
        obj: the object.
        patch: the patch it comes from, which one message quotes.

    Raises:
        ApiStatusError: 422 or 400, worded as the real one is.
    """
    spec = obj.get("spec") or {}
    replicas = spec.get("replicas")
    if replicas is not None and not isinstance(replicas, int):
        _reject_type(patch)
    template = spec.get("template")
    found = list(_template(template)) if isinstance(template, dict) else []
    if isinstance(replicas, int) and replicas < 0:
        found.append(
            Invalid(
                "spec.replicas",
                "FieldValueInvalid",
                f"Invalid value: {replicas}: must be greater than or equal to 0",
            )
        )
    if found:
        _reject(resource, obj, found)


def check_identity(resource: Resource, before: Object, after: Object) -> None:
    """Refuse a write that is meant for another object; raises ApiStatusError (422)."""
    uid = after["metadata"].get("uid")
    if uid and uid != before["metadata"]["uid"]:
        invalid = Invalid("metadata.uid", "FieldValueInvalid", f'Invalid value: "{uid}": field is immutable')
        _reject(resource, before, [invalid])


def unchangeable(resource: Resource, before: Object, after: Object) -> None:
    """Refuse changes of what cannot be changed; raises ApiStatusError (422)."""
    old, new = before.get("spec") or {}, after.get("spec") or {}
    if resource.kind in ("Deployment", "ReplicaSet", "DaemonSet") and old.get("selector") != new.get(
        "selector"
    ):
        _reject(resource, after, [Invalid("spec.selector", "FieldValueInvalid", "field is immutable")])
    if resource.kind == "Job" and old.get("template") != new.get("template"):
        _reject(resource, after, [Invalid("spec.template", "FieldValueInvalid", "field is immutable")])
    if resource.kind == "StatefulSet":
        fixed = set(old) | set(new) - {"replicas", "template", "updateStrategy", "minReadySeconds"}
        fixed -= {"replicas", "template", "updateStrategy", "minReadySeconds"}
        if any(old.get(name) != new.get(name) for name in fixed):
            message = (
                "Forbidden: updates to statefulset spec for fields other than 'replicas', 'template', "
                "'updateStrategy' and 'minReadySeconds' are forbidden"
            )
            _reject(resource, after, [Invalid("spec", "FieldValueForbidden", message)])


def _template(template: Object) -> Iterator[Invalid]:
    spec = template.get("spec") or {}
    if not spec.get("containers"):
        yield Invalid("spec.template.spec.containers", "FieldValueRequired", "Required value")
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or []):
            field = f"spec.template.spec.{group}[{index}]"
            if not str(container.get("image") or "").strip():
                yield Invalid(f"{field}.image", "FieldValueRequired", "Required value")
            elif container["image"] != container["image"].strip():
                message = (
                    f'Invalid value: "{container["image"]}": must not have leading or trailing whitespace'
                )
                yield Invalid(f"{field}.image", "FieldValueInvalid", message)
            yield from _resources(container.get("resources") or {}, f"{field}.resources")


def _resources(resources: Object, field: str) -> Iterator[Invalid]:
    amounts: dict[str, int] = {}
    for kind in ("limits", "requests"):
        for name, quantity in (resources.get(kind) or {}).items():
            if name == "memory":
                amounts[kind] = _amount(quantity)
            elif re.fullmatch(r"[+-]?[0-9.]+[a-zA-Z]{0,2}", str(quantity)) is None:
                raise _bad_quantity()
    for kind, amount in amounts.items():
        if amount < 0:
            message = f'Invalid value: "{resources[kind]["memory"]}": must be greater than or equal to 0'
            yield Invalid(f"{field}.{kind}[memory]", "FieldValueInvalid", message)
    if "limits" in amounts and amounts.get("requests", 0) > amounts["limits"]:
        message = (
            f'Invalid value: "{resources["requests"]["memory"]}": must be less than or equal to memory limit'
        )
        yield Invalid(f"{field}.requests", "FieldValueInvalid", message)


def _amount(quantity: object) -> int:
    try:
        return parse_bytes(str(quantity))
    except QuantityError:
        raise _bad_quantity() from None


def _bad_quantity() -> ApiStatusError:
    return ApiStatusError(400, f"quantities must match the regular expression '{QUANTITY_RULE}'")


def _reject_type(patch: Any) -> None:  # noqa: ANN401  any JSON
    said = f'Invalid value: "{_as_go(patch)}": unrecognized type: int32'
    cause = {"reason": "FieldValueInvalid", "message": said, "field": "patch"}
    raise ApiStatusError(422, f' "" is invalid: patch: {said}', details={"causes": [cause]})


def _as_go(value: Any) -> str:  # noqa: ANN401  any JSON
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{_as_go(inner)}" for name, inner in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_as_go, value)) + "]"
    return str(value)


def _reject(resource: Resource, obj: Object, found: list[Invalid]) -> None:
    name = obj["metadata"]["name"]
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    said = [f"{one.field}: {one.message}" for one in found]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    causes = [{"reason": one.reason, "message": one.message, "field": one.field} for one in found]
    details = {"name": name, "group": resource.group, "kind": resource.kind, "causes": causes}
    raise ApiStatusError(422, f'{kind} "{name}" is invalid: {listed}', details=details)
