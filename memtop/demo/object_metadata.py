"""Metadata of API objects: names, uids, owner references and managed fields."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from memtop.demo.api_resources import Resource
from memtop.demo.memory_curves import seed_of
from memtop.demo.object_store import Object
from memtop.demo.simulated_time import rfc3339

SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""The letters Kubernetes makes random suffixes from: no vowels, so no words."""


def uid_of(*parts: object) -> str:
    """Return a UUID drawn from the parts."""
    text = "\x1f".join(str(part) for part in parts)
    return str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest(), version=4))


def container_id(*parts: object) -> str:
    """Return a container id (64 hex digits) drawn from the parts."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def random_suffix(length: int, *parts: object) -> str:
    """Return a random-looking name suffix drawn from the parts."""
    number = seed_of("suffix", *parts)
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(SAFE_LETTERS))
        letters.append(SAFE_LETTERS[rest])
    return "".join(letters)


def template_hash(template: Mapping[str, Any]) -> str:
    """Return the pod-template-hash of a pod template."""
    return random_suffix(10, msgspec.json.encode(template, order="sorted"))


def selects(obj: Object, labels: Mapping[str, str]) -> bool:
    """Return whether an object's selector picks pods with such labels."""
    wanted = obj["spec"]["selector"].get("matchLabels") or {}
    return all(labels.get(name) == value for name, value in wanted.items())


def owner_reference(resource: Resource, owner: Object) -> Object:
    """Return the owner reference of a controller."""
    metadata = owner["metadata"]
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def metadata_of(
    name: str,
    namespace: str = "",
    *,
    uid: str,
    created: float,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: Object | None = None,
    generation: int | None = None,
    generate_name: str | None = None,
) -> Object:
    """Return an object's metadata, leaving out what is not set."""
    metadata: Object = {"name": name}
    if generate_name is not None:
        metadata["generateName"] = generate_name
    if namespace:
        metadata["namespace"] = namespace
    metadata["uid"] = uid
    if generation is not None:
        metadata["generation"] = generation
    metadata["creationTimestamp"] = rfc3339(created)
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return metadata


@lru_cache(maxsize=4096)
def _pod_field_sets(
    containers: tuple[str, ...], labels: tuple[str, ...], owner_uid: str
) -> tuple[bytes, bytes]:
    spec: Object = {
        f'k:{{"name":"{name}"}}': {
            ".": {},
            "f:image": {},
            "f:imagePullPolicy": {},
            "f:name": {},
            "f:resources": {
                ".": {},
                "f:limits": {".": {}, "f:memory": {}},
                "f:requests": {".": {}, "f:memory": {}},
            },
            "f:terminationMessagePath": {},
            "f:terminationMessagePolicy": {},
        }
        for name in containers
    }
    controller = {
        "f:metadata": {
            "f:generateName": {},
            "f:labels": {".": {}, **{f"f:{label}": {} for label in labels}},
            "f:ownerReferences": {".": {}, f'k:{{"uid":"{owner_uid}"}}': {}},
        },
        "f:spec": {"f:containers": spec, "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}},
    }
    condition: Object = {
        ".": {},
        "f:lastProbeTime": {},
        "f:lastTransitionTime": {},
        "f:status": {},
        "f:type": {},
    }
    kinds = ("ContainersReady", "Initialized", "Ready")
    kubelet = {
        "f:status": {
            "f:conditions": {f'k:{{"type":"{kind}"}}': condition for kind in kinds},
            "f:containerStatuses": {},
            "f:hostIP": {},
            "f:phase": {},
            "f:podIP": {},
            "f:podIPs": {},
            "f:startTime": {},
        }
    }
    return msgspec.json.encode(controller), msgspec.json.encode(kubelet)


def pod_managed_fields(
    containers: Iterable[str], labels: Iterable[str], owner_uid: str, created: float
) -> list[Object]:
    """Return a pod's `managedFields`: memtop does not read them, but real pods have them."""
    controller, kubelet = _pod_field_sets(tuple(containers), tuple(labels), owner_uid)
    common = {"apiVersion": "v1", "time": rfc3339(created), "fieldsType": "FieldsV1"}
    return [
        {
            "manager": manager,
            "operation": "Update",
            **common,
            "fieldsV1": msgspec.Raw(fields),
            **({"subresource": "status"} if manager == "kubelet" else {}),
        }
        for manager, fields in (("kube-controller-manager", controller), ("kubelet", kubelet))
    ]


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
"""The key of each list whose elements have one; used by strategic merge and by managed fields."""

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
class FieldWriter:
    """A writer of fields.

    Attributes:
        name: the field manager.
        operation: `Update`, or `Apply` for server-side apply.
        subresource: which subresource it writes through, if any.
    """

    name: str
    operation: str = "Update"
    subresource: str = ""


def managed_values(obj: Object) -> dict[Path, Any]:
    """Return every field that can be managed, with its value; the status is left out."""
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


def fields_v1(paths: Collection[Path]) -> Object:
    """Return a set of fields as `fieldsV1` writes it."""
    root: Object = {}
    for path in sorted(paths):
        place = root
        for step in path:
            place = place.setdefault(step, {})
    return root


def field_paths(fields: Object, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of a `fieldsV1`."""
    for step, inner in fields.items():
        if inner:
            yield from field_paths(inner, (*path, step))
        else:
            yield (*path, step)


def managed_fields_entry(
    manager: FieldWriter, resource: Resource, paths: Collection[Path], at: float
) -> Object:
    """Return one entry of `managedFields`."""
    entry: Object = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": resource.api_version,
        "time": rfc3339(at),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields_v1(paths),
    }
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def updated_managed_fields(
    before: Object, after: Object, manager: FieldWriter, resource: Resource, at: float
) -> list[Object]:
    """Return the `managedFields` after `manager` has changed `before` to `after`.

    It becomes the only manager of the fields it changed. Managers without fields are removed.
    """
    old, new = managed_values(before), managed_values(after)
    written = {path for path, value in new.items() if path not in old or old[path] != value}
    taken = written | (old.keys() - new.keys())
    entries, own = [], set(written)
    for entry in before["metadata"].get("managedFields", ()):
        paths = set(field_paths(entry["fieldsV1"]))
        if _manager_of(entry) == manager:
            own |= paths - taken
        elif paths - taken:
            entries.append({**entry, "fieldsV1": fields_v1(paths - taken)} if paths & taken else entry)
    if own:
        entries.append(managed_fields_entry(manager, resource, own, at))
    return entries


def _manager_of(entry: Object) -> FieldWriter:
    return FieldWriter(entry["manager"], entry["operation"], entry.get("subresource", ""))
