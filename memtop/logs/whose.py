"""Which pod and which of its containers a person means who asks for a log by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from memtop.cluster.client import Client
from memtop.cluster.describe.labels import selector_words
from memtop.cluster.errors import ApiError
from memtop.cluster.refs import ObjectRef, fetch
from memtop.cluster.tree import Json, decode, mapping, name_of, number, objects, text
from memtop.logs.pod import lives
from memtop.logs.request import LogRequest

KINDS: Final = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
MOST_PODS = 500


class NoSuchLog(Exception):  # noqa: N818  (often a slip of the pen)
    """There is no such pod or container; one sentence."""


@dataclass(frozen=True, slots=True)
class Whose:
    """A pod and those of its containers whose logs are wanted.

    Attributes:
        pod: Its name.
        containers: Their names.
        note: How the pod was chosen, where there were several; else empty.
    """

    pod: str
    containers: tuple[str, ...]
    note: str = ""


async def whose(client: Client, ref: ObjectRef, container: str) -> Whose:
    """Finds the pod and its containers.

    Args:
        client: The connection.
        ref: The pod, or a workload; of a workload's pods the one that has restarted most.
        container: Only this one; empty for all that are no init containers.

    Raises:
        NoSuchLog: There is no such pod or container.
        ApiError: The server refused.
        Unreachable: No answer came.
    """
    try:
        pod, note = (ref.name, "") if ref.kind == "Pod" else await _most_restarted(client, ref)
        known = await lives(client, LogRequest(ref.namespace, pod, ()))
    except ApiError as error:
        if error.status != 404:
            raise
        raise NoSuchLog(f"{ref.namespace} has no {ref.kind.lower()} {ref.name}") from error
    if not container:
        return Whose(pod, tuple(name for name, life in known.items() if not life.init), note)
    if container not in known:
        raise NoSuchLog(f"pod {pod} has no container {container!r}; it has {', '.join(known)}")
    return Whose(pod, (container,), note)


async def _most_restarted(client: Client, ref: ObjectRef) -> tuple[str, str]:
    """The name of a workload's pod, and why it is that one."""
    _, found = await fetch(client, ref)
    path = f"/api/v1/namespaces/{ref.namespace}/pods"
    selected = {
        "labelSelector": selector_words(mapping(found, "spec", "selector")),
        "limit": str(MOST_PODS),
    }
    pods = objects(decode(await client.get(path, selected), path), "items")
    if not pods:
        raise NoSuchLog(f"{ref} has no pods")
    chosen = max(pods, key=lambda pod: (_restarts(pod), text(pod, "metadata", "creationTimestamp")))
    if len(pods) == 1:
        return name_of(chosen), ""
    restarts = _restarts(chosen)
    why = f"has restarted most ({restarts})" if restarts else "is the newest"
    return name_of(chosen), f"of {len(pods)} pods of {ref} this is {name_of(chosen)}, which {why}"


def _restarts(pod: Json) -> int:
    statuses: Sequence[Json] = objects(pod, "status", "containerStatuses")
    return sum(number(status, "restartCount") or 0 for status in statuses)
