"""What of an object a plan depends on, so that a write in between is told from mere noise.

A ``resourceVersion`` changes with every write, and a Deployment whose pods crash has its status written all
the time: a plan that any new version makes void could never be applied to the very workload that needs it.
``metadata.generation`` is no measure either: a Deployment's rises with every annotation, also when its own
controller numbers a revision, and nobody's rises with a label. So the contents decide: identity, owners,
labels, annotations and specification must be what they were; status, version and the bookkeeping of the
controllers and of the API server (``managedFields``) may differ. The request still carries a version: what is
compared here is exactly what the server then refuses to have changed once more.
"""

from __future__ import annotations

import hashlib

import msgspec

from memtop.cluster.tree import Json, labels, mapping, objects, text, uid_of

_BOOKKEEPING = "deployment.kubernetes.io/"
"""Annotations that the Deployment controller writes for itself."""


def essence(kind: str, found: Json) -> str:
    """A digest that differs if and only if a plan for the object may have to say something else.

    Args:
        kind: Its kind. A pod's specification hardly changes and nothing of it is planned upon, so that of a
            pod only its identity counts, and whose it is: nobody replaces one that was let go.
        found: The object.
    """
    parts: list[object] = [
        uid_of(found),
        text(found, "metadata", "deletionTimestamp"),
        objects(found, "metadata", "ownerReferences"),
    ]
    if kind != "Pod":
        annotations = labels(found, "metadata", "annotations")
        parts += [
            labels(found, "metadata", "labels"),
            {key: value for key, value in annotations.items() if not key.startswith(_BOOKKEEPING)},
            mapping(found, "spec"),
        ]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
