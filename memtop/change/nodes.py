"""Whether any node has room for a pod that requests more memory than before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from memtop.change.around import TIMEOUT
from memtop.change.plan import Line
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.objects import Container, Metadata, PodSpec
from memtop.cluster.sanitize import sanitize
from memtop.quantity import bytes_or_none
from memtop.wording import bytes_

MOST_PODS = 1000
"""Pods whose requests are added up; in a larger cluster that costs more than it tells."""
_RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
LABEL = "nodes"


class _NodeSpec(msgspec.Struct):
    unschedulable: bool = False


class _NodeStatus(msgspec.Struct):
    allocatable: dict[str, str] | None = None


class _Node(msgspec.Struct):
    metadata: Metadata
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)


class _Nodes(msgspec.Struct):
    items: list[_Node] | None = None


class _Pod(msgspec.Struct):
    metadata: Metadata
    spec: PodSpec = PodSpec()


class _ListMeta(msgspec.Struct, rename="camel"):
    remaining_item_count: int = 0


class _Pods(msgspec.Struct):
    items: list[_Pod] | None = None
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


@dataclass(frozen=True, slots=True)
class Space:
    """A node that takes pods.

    Attributes:
        name: Its name.
        allocatable: Bytes that pods may request there.
        free: Those not requested yet; None where that is not known.
    """

    name: str
    allocatable: int
    free: int | None


async def spaces(client: Client) -> Sequence[Space] | str:
    """The nodes that take pods, or in words why they are not known."""
    try:
        nodes = (
            msgspec.json.decode(await client.get("/api/v1/nodes", timeout=TIMEOUT), type=_Nodes).items or []
        )
    except (ApiError, Unreachable, msgspec.MsgspecError) as error:
        return str(error)
    requested = await _requested(client)
    found = []
    for node in nodes:
        room = bytes_or_none((node.status.allocatable or {}).get("memory"))
        if room is None or node.spec.unschedulable:
            continue
        name = node.metadata.name
        free = None if requested is None else room - requested.get(name, 0)
        found.append(Space(sanitize(name), room, free))
    return found


async def _requested(client: Client) -> Mapping[str, int] | None:
    """Bytes that pods request, by node; None where that is not to be had cheaply."""
    query = {"limit": str(MOST_PODS), "fieldSelector": _RUNNING}
    try:
        raw = await client.get("/api/v1/pods", query, timeout=TIMEOUT)
        listed = await asyncio.to_thread(msgspec.json.decode, raw, type=_Pods)
    except (ApiError, Unreachable, msgspec.MsgspecError):
        return None
    if listed.metadata.remaining_item_count or len(listed.items or ()) > MOST_PODS:
        return None
    found: dict[str, int] = {}
    for pod in listed.items or ():
        if pod.spec.node_name:
            found[pod.spec.node_name] = found.get(pod.spec.node_name, 0) + _of(pod.spec)
    return found


def _of(spec: PodSpec) -> int:
    together = sum(_request(one) for one in spec.containers)
    return max(together, *(_request(one) for one in spec.init_containers), 0)


def _request(container: Container) -> int:
    resources = container.resources
    return bytes_or_none(((resources.requests if resources else None) or {}).get("memory")) or 0


def node_line(found: Sequence[Space] | str, request: int, count: int = 1) -> Line | None:
    """Whether pods with this request fit on the nodes, as far as memory goes; None where none is requested.

    Args:
        found: The nodes.
        request: Bytes of one pod.
        count: How many pods come.
    """
    if not request:
        return None
    if isinstance(found, str):
        return Line(LABEL, f"whether a node has room for it is not known: {found}")
    if not found:
        return Line(LABEL, "no node takes pods at present", "critical")
    largest = max(found, key=lambda one: one.allocatable)
    needs = f"a pod requests {bytes_(request)}"
    if request > largest.allocatable:
        return Line(
            LABEL,
            f"{needs}, and no node is that large: {largest.name} has {bytes_(largest.allocatable)} in all",
            "critical",
        )
    free = [(one.free, one.name) for one in found if one.free is not None]
    if not free:
        places = sum(one.allocatable // request for one in found)
        if count > places:
            return _too_many(f"{needs}; at most", places, count, request, "even if the nodes were empty")
        fitting = sum(one.allocatable >= request for one in found)
        return Line(LABEL, f"{needs}; {fitting} of {len(found)} nodes are that large, how full is not known")
    most, name = max(free)
    if request > most:
        return Line(
            LABEL,
            f"{needs}, and no node has that left now: {name} has most with {bytes_(max(most, 0))}; pods may "
            "wait (Pending) until others go",
            "critical",
        )
    places = sum(max(left, 0) // request for left, _ in free)
    if count > places:
        return _too_many(f"{needs};", places, count, request, "now")
    fitting = sum(left >= request for left, _ in free)
    return Line(
        LABEL, f"{needs}; {fitting} of {len(found)} nodes have that left, {name} most with {bytes_(most)}"
    )


def _too_many(begin: str, places: int, count: int, request: int, when: str) -> Line:
    """Some fit, and what becomes of the others."""
    return Line(
        LABEL,
        f"{begin} {places} of the {count} new pods fit on the nodes {when}: the other {count - places} "
        f"({bytes_((count - places) * request)}) wait (Pending)",
        "warn",
    )
