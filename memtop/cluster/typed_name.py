"""Which workload a person means who types ``deployment/user-service``, as kubectl understands it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memtop.cluster.refs import ObjectRef

_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "Deployment": ("deployment", "deployments", "deploy"),
    "StatefulSet": ("statefulset", "statefulsets", "sts"),
    "DaemonSet": ("daemonset", "daemonsets", "ds"),
    "CronJob": ("cronjob", "cronjobs", "cj"),
    "Job": ("job", "jobs"),
    "ReplicaSet": ("replicaset", "replicasets", "rs"),
    "Pod": ("pod", "pods", "po"),
}
_KINDS = {spelling: kind for kind, spellings in _SPELLINGS.items() for spelling in spellings}


def typed_name(words: Sequence[str], namespace: str, kinds: Sequence[str]) -> ObjectRef:
    """Reads ``deployment/NAME``, or ``deployment NAME``; the kind may be short, plural or with its group.

    Args:
        words: What was typed: one word with a slash, or kind and name.
        namespace: Where the object is.
        kinds: Which kinds make sense here, such as ``("Deployment", "StatefulSet")``.

    Raises:
        ValueError: It names no object of these kinds. The message is the end of a sentence that begins with
            what was typed.
    """
    kind_word, slash, name = words[0].partition("/")
    if not slash and len(words) == 2:
        name = words[1]
    known = ", ".join(f"{_SPELLINGS[kind][0]}/NAME" for kind in kinds)
    if not kind_word or not name or "/" in name or len(words) > (1 if slash else 2):
        raise ValueError(f"does not name a workload; write it as {known}")
    resource, _, group = kind_word.lower().partition(".")
    kind = _KINDS.get(resource)
    if kind is None or group not in {"", "apps", "v1.apps", "batch", "v1.batch"}:
        raise ValueError(f"is of a kind that memtop does not know; it knows {known}")
    if kind not in kinds:
        raise ValueError(f"is a {kind}, which this cannot be done with; it can with {known}")
    return ObjectRef(kind, namespace, name)
