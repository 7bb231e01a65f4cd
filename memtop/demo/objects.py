"""Building blocks of API objects: metadata, identities, managed fields."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from memtop.demo.clock import rfc3339
from memtop.demo.curves import seed_of
from memtop.demo.resources import Resource
from memtop.demo.store import Object

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


def suffix_of(length: int, *parts: object) -> str:
    """Return a random-looking name suffix drawn from the parts."""
    number = seed_of("suffix", *parts)
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(SAFE_LETTERS))
        letters.append(SAFE_LETTERS[rest])
    return "".join(letters)


def template_hash(template: Mapping[str, Any]) -> str:
    """Return the pod-template-hash of a pod template."""
    return suffix_of(10, msgspec.json.encode(template, order="sorted"))


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
def _pod_fields(containers: tuple[str, ...], labels: tuple[str, ...], owner_uid: str) -> tuple[bytes, bytes]:
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


def managed_fields(
    containers: Iterable[str], labels: Iterable[str], owner_uid: str, created: float
) -> list[Object]:
    """Return a pod's `managedFields`: nobody here reads them, but real answers are full of them."""
    controller, kubelet = _pod_fields(tuple(containers), tuple(labels), owner_uid)
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
