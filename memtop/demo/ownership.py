"""Who manages which fields of an object: `managedFields`, kept as the API server keeps them.

A set of fields is a set of paths; a path is a tuple of steps such as `f:spec` or `k:{"name":"web"}`. The
step `.` means the map or list element itself and not what is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from memtop.demo.clock import rfc3339
from memtop.demo.resources import Resource
from memtop.demo.store import Object

MERGE_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "conditions": "type",
    "ownerReferences": "uid",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
"""Lists whose elements are told apart by a key, and by which: strategic merge and ownership go by it."""

_MAPS = frozenset({"annotations", "labels", "limits", "requests", "nodeSelector", "rollingUpdate"})
_WHOLE = frozenset({"selector", "matchLabels"})
_UNMANAGED = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "generation",
        "resourceVersion",
        "creationTimestamp",
        "selfLink",
        "managedFields",
    }
)

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes.

    Attributes:
        name: the field manager.
        operation: `Update`, or `Apply` for server-side apply.
        subresource: which subresource it writes through, if any.
    """

    name: str
    operation: str = "Update"
    subresource: str = ""


def leaves(obj: Object) -> dict[Path, Any]:
    """Return every field somebody can manage, with its value; the status is the controllers' own."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _UNMANAGED}
    rest = {name: value for name, value in obj.items() if name not in ("metadata", "status")}
    return dict(_leaves({"metadata": metadata, **rest} if metadata else rest, ()))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401  any JSON
    name = path[-1][2:] if path else ""
    if isinstance(value, dict) and value and name not in _WHOLE:
        if name in _MAPS:
            yield (*path, "."), True
        for key, inner in value.items():
            if inner is not None:
                yield from _leaves(inner, (*path, f"f:{key}"))
    elif isinstance(value, list) and value and name in MERGE_KEYS:
        key = MERGE_KEYS[name]
        for item in value:
            step = f"k:{msgspec.json.encode({key: item.get(key)}).decode()}"
            yield (*path, step, "."), True
            for field, inner in item.items():
                yield from _leaves(inner, (*path, step, f"f:{field}"))
    elif path:
        yield path, value


def tree(paths: Collection[Path]) -> Object:
    """Return a set of fields as `fieldsV1` writes it."""
    root: Object = {}
    for path in sorted(paths):
        place = root
        for step in path:
            place = place.setdefault(step, {})
    return root


def paths_in(fields: Object, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of a `fieldsV1`."""
    for step, inner in fields.items():
        if inner:
            yield from paths_in(inner, (*path, step))
        else:
            yield (*path, step)


def claim(manager: Manager, resource: Resource, paths: Collection[Path], at: float) -> Object:
    """Return one entry of `managedFields`."""
    entry: Object = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": resource.api_version,
        "time": rfc3339(at),
        "fieldsType": "FieldsV1",
        "fieldsV1": tree(paths),
    }
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def changed_hands(
    before: Object, after: Object, manager: Manager, resource: Resource, at: float
) -> list[Object]:
    """Return the `managedFields` after `manager` has changed `before` to `after`.

    What it changed is its own from now on and nobody else's; who owns nothing any more is left out.
    """
    old, new = leaves(before), leaves(after)
    written = {path for path, value in new.items() if path not in old or old[path] != value}
    taken = written | (old.keys() - new.keys())
    entries, own = [], set(written)
    for entry in before["metadata"].get("managedFields", ()):
        paths = set(paths_in(entry["fieldsV1"]))
        if _manager_of(entry) == manager:
            own |= paths - taken
        elif paths - taken:
            entries.append({**entry, "fieldsV1": tree(paths - taken)} if paths & taken else entry)
    if own:
        entries.append(claim(manager, resource, own, at))
    return entries


def _manager_of(entry: Object) -> Manager:
    return Manager(entry["manager"], entry["operation"], entry.get("subresource", ""))
