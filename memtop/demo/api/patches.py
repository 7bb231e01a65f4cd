"""Patches: the three patch formats, and the validation of the patched object."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from memtop.demo.api.status_errors import ApiStatusError
from memtop.demo.api_resources import Resource
from memtop.demo.object_metadata import MERGE_KEYS
from memtop.demo.object_store import Object
from memtop.quantity import QuantityError, parse_bytes

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_DIRECTIVES = ("$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch")


def patched(kind: str, original: Any, patch: Any) -> Any:  # noqa: ANN401  any JSON
    """Return `original` with `patch` applied; neither is changed.

    Args:
        kind: the patch's content type.
        original: an object.
        patch: an operation list for JSON patches, a partial object for the others.

    Raises:
        ApiStatusError: 415 for another kind, 400 or 422 for a patch that does not apply.
    """
    appliers: dict[str, Callable[[Any, Any], Any]] = {
        JSON_PATCH: json_patched,
        MERGE_PATCH: merge_patched,
        STRATEGIC_PATCH: strategic_patched,
    }
    if kind not in appliers:
        raise ApiStatusError(415, "415: Unsupported Media Type", details={})
    if isinstance(patch, list) is not (kind == JSON_PATCH):
        raise ApiStatusError(400, f"error decoding patch: unexpected {type(patch).__name__}")
    return appliers[kind](copy.deepcopy(original), copy.deepcopy(patch))


def merge_patched(original: Any, patch: Any) -> Any:  # noqa: ANN401  any JSON
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = original if isinstance(original, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patched(result.get(name), value)
    return result


def strategic_patched(original: Any, patch: Any) -> Any:  # noqa: ANN401  any JSON
    """Apply a strategic merge patch: lists in `MERGE_KEYS` are merged by key, directives are applied."""
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    result = original if isinstance(original, dict) else {}
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        result = {name: value for name, value in result.items() if name in retained}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [item for item in result.get(field, []) if item not in value]
        elif name.startswith(_DIRECTIVES):
            continue
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, list) and name in MERGE_KEYS:
            order = patch.get(f"$setElementOrder/{name}")
            result[name] = _merged_list(result.get(name) or [], value, MERGE_KEYS[name], order)
        else:
            result[name] = strategic_patched(result.get(name), value)
    return result


def _merged_list(original: list[Any], patch: list[Any], key: str, order: list[Any] | None) -> list[Any]:
    if {"$patch": "replace"} in patch:
        return [item for item in patch if item != {"$patch": "replace"}]
    result = list(original)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise ApiStatusError(400, f"map: {item} does not contain declared merge key: {key}")
        place = next((index for index, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(key) != item[key]]
        elif place is None:
            result.append(strategic_patched({}, item))
        else:
            result[place] = strategic_patched(result[place], item)
    if order:
        wanted = [item.get(key) if isinstance(item, dict) else item for item in order]
        result.sort(key=lambda item: wanted.index(item[key]) if item[key] in wanted else len(wanted))
    return result


def json_patched(original: Any, operations: list[Any]) -> Any:  # noqa: ANN401  any JSON
    """Apply a JSON patch (RFC 6902)."""
    document = original
    for operation in operations:
        try:
            document = _apply_operation(document, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ApiStatusError(
                422, f"the server rejected our request due to an error in our request: {operation}: {error}"
            ) from None
    return document


def _apply_operation(document: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401  any JSON
    name = operation["op"]
    path = _pointer(operation["path"])
    if name == "test":
        if _value_at(document, path) != operation["value"]:
            raise ValueError("testing path failed")
        return document
    if name in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_value_at(document, source))
        if name == "move":
            _remove(document, source)
        return _add(document, path, value)
    if name == "remove":
        return _remove(document, path)
    if name == "replace":
        _value_at(document, path)
        if not path:
            return operation["value"]
        parent = _value_at(document, path[:-1])
        parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = operation["value"]
        return document
    if name == "add":
        return _add(document, path, operation["value"])
    raise ValueError(f"unexpected kind: {name}")


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    if not text.startswith("/"):
        raise ValueError(f"not a JSON pointer: {text}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _value_at(document: Any, path: list[str]) -> Any:  # noqa: ANN401  any JSON
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:  # noqa: ANN401  any JSON
    if not path:
        return value
    parent = _value_at(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else int(path[-1]), value)
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:  # noqa: ANN401  any JSON
    parent = _value_at(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return document


QUANTITY_RULE = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


@dataclass(frozen=True, slots=True)
class InvalidField:
    """One invalid field: its path, the reason and the message."""

    field: str
    reason: str
    message: str


def check(resource: Resource, obj: Object, patch: Any = None) -> None:  # noqa: ANN401  any JSON
    """Validate a workload before it is stored.

    Args:
        resource: its resource.
        obj: the object.
        patch: the patch it comes from, which one message quotes.

    Raises:
        ApiStatusError: 422 or 400, with the message of a real API server.
    """
    spec = obj.get("spec") or {}
    replicas = spec.get("replicas")
    if replicas is not None and not isinstance(replicas, int):
        _reject_type(patch)
    template = spec.get("template")
    found = list(_check_template(template)) if isinstance(template, dict) else []
    if isinstance(replicas, int) and replicas < 0:
        found.append(
            InvalidField(
                "spec.replicas",
                "FieldValueInvalid",
                f"Invalid value: {replicas}: must be greater than or equal to 0",
            )
        )
    if found:
        _reject(resource, obj, found)


def check_identity(resource: Resource, before: Object, after: Object) -> None:
    """Refuse a write whose name, namespace or uid is another object's; raises ApiStatusError (422)."""
    uid = after["metadata"].get("uid")
    if uid and uid != before["metadata"]["uid"]:
        invalid = InvalidField(
            "metadata.uid", "FieldValueInvalid", f'Invalid value: "{uid}": field is immutable'
        )
        _reject(resource, before, [invalid])


def check_immutable_fields(resource: Resource, before: Object, after: Object) -> None:
    """Refuse changes of immutable fields; raises ApiStatusError (422)."""
    old, new = before.get("spec") or {}, after.get("spec") or {}
    if resource.kind in ("Deployment", "ReplicaSet", "DaemonSet") and old.get("selector") != new.get(
        "selector"
    ):
        _reject(resource, after, [InvalidField("spec.selector", "FieldValueInvalid", "field is immutable")])
    if resource.kind == "Job" and old.get("template") != new.get("template"):
        _reject(resource, after, [InvalidField("spec.template", "FieldValueInvalid", "field is immutable")])
    if resource.kind == "StatefulSet":
        fixed = set(old) | set(new) - {"replicas", "template", "updateStrategy", "minReadySeconds"}
        fixed -= {"replicas", "template", "updateStrategy", "minReadySeconds"}
        if any(old.get(name) != new.get(name) for name in fixed):
            message = (
                "Forbidden: updates to statefulset spec for fields other than 'replicas', 'template', "
                "'updateStrategy' and 'minReadySeconds' are forbidden"
            )
            _reject(resource, after, [InvalidField("spec", "FieldValueForbidden", message)])


def _check_template(template: Object) -> Iterator[InvalidField]:
    spec = template.get("spec") or {}
    if not spec.get("containers"):
        yield InvalidField("spec.template.spec.containers", "FieldValueRequired", "Required value")
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or []):
            field = f"spec.template.spec.{group}[{index}]"
            if not str(container.get("image") or "").strip():
                yield InvalidField(f"{field}.image", "FieldValueRequired", "Required value")
            elif container["image"] != container["image"].strip():
                message = (
                    f'Invalid value: "{container["image"]}": must not have leading or trailing whitespace'
                )
                yield InvalidField(f"{field}.image", "FieldValueInvalid", message)
            yield from _check_resources(container.get("resources") or {}, f"{field}.resources")


def _check_resources(resources: Object, field: str) -> Iterator[InvalidField]:
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
            yield InvalidField(f"{field}.{kind}[memory]", "FieldValueInvalid", message)
    if "limits" in amounts and amounts.get("requests", 0) > amounts["limits"]:
        message = (
            f'Invalid value: "{resources["requests"]["memory"]}": must be less than or equal to memory limit'
        )
        yield InvalidField(f"{field}.requests", "FieldValueInvalid", message)


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


def _reject(resource: Resource, obj: Object, found: list[InvalidField]) -> None:
    name = obj["metadata"]["name"]
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    said = [f"{one.field}: {one.message}" for one in found]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    causes = [{"reason": one.reason, "message": one.message, "field": one.field} for one in found]
    details = {"name": name, "group": resource.group, "kind": resource.kind, "causes": causes}
    raise ApiStatusError(422, f'{kind} "{name}" is invalid: {listed}', details=details)
