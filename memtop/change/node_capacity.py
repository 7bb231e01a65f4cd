"""Whether any node has room for a pod that requests more memory than before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from memtop.change.change_plan import ChangePlanLine
from memtop.change.namespace_limits import LIST_TIMEOUT
from memtop.change.workload_state import template_containers
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.api_objects import ObjectMeta, PodSpec, ResourceRequirements
from memtop.kube.client import Client
from memtop.kube.json_object import Json, mapping, text
from memtop.kube.lenient_decoding import decode_lenient
from memtop.quantity import bytes_or_none
from memtop.sanitize import sanitize
from memtop.wording import bytes_

MOST_PODS = 1000
"""Pods whose requests are added up; in a larger cluster that costs more than it tells."""
_RUNNING_SELECTOR = "status.phase!=Succeeded,status.phase!=Failed"
NODES_LABEL = "nodes"


class _NodeSpec(msgspec.Struct):
    unschedulable: bool = False


class _NodeStatus(msgspec.Struct):
    allocatable: dict[str, str] | None = None


class _Node(msgspec.Struct):
    metadata: ObjectMeta
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)


class _NodeList(msgspec.Struct):
    items: list[_Node] | None = None


class _ScheduledPod(msgspec.Struct):
    metadata: ObjectMeta
    spec: PodSpec = PodSpec()


class _ListMeta(msgspec.Struct, rename="camel"):
    remaining_item_count: int = 0


class _ScheduledPodList(msgspec.Struct):
    items: list[_ScheduledPod] | None = None
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


@dataclass(frozen=True, slots=True)
class NodeSpace:
    """A node that takes pods.

    Attributes:
        name: Its name.
        allocatable: Bytes that pods may request there.
        free: Those not requested yet; None where that is not known.
    """

    name: str
    allocatable: int
    free: int | None


async def read_node_space(client: Client) -> Sequence[NodeSpace] | str:
    """The nodes that take pods, or in words why they are not known."""
    try:
        raw = await client.get("/api/v1/nodes", timeout=LIST_TIMEOUT)
        nodes = decode_lenient(raw, _NodeList, "the list of nodes").items or []
    except (ApiError, Unreachable) as error:
        return str(error)
    requested = await _requested_by_node(client)
    found = []
    for node in nodes:
        room = bytes_or_none((node.status.allocatable or {}).get("memory"))
        if room is None or node.spec.unschedulable:
            continue
        name = node.metadata.name
        free = None if requested is None else room - requested.get(name, 0)
        found.append(NodeSpace(sanitize(name), room, free))
    return found


async def _requested_by_node(client: Client) -> Mapping[str, int] | None:
    """Bytes that pods request, by node; None where that is not to be had cheaply."""
    query = {"limit": str(MOST_PODS), "fieldSelector": _RUNNING_SELECTOR}
    try:
        raw = await client.get("/api/v1/pods", query, timeout=LIST_TIMEOUT)
        listed = await asyncio.to_thread(decode_lenient, raw, _ScheduledPodList, "the list of pods")
    except (ApiError, Unreachable):
        return None
    if listed.metadata.remaining_item_count or len(listed.items or ()) > MOST_PODS:
        return None
    found: dict[str, int] = {}
    for pod in listed.items or ():
        if pod.spec.node_name:
            found[pod.spec.node_name] = found.get(pod.spec.node_name, 0) + _pod_request(pod.spec)
    return found


def _pod_request(spec: PodSpec) -> int:
    """The pod's own request, or that of its containers and sidecars, or of its hungriest init container."""
    own = _memory_request(spec.resources)
    if own:
        return own
    sidecars = [one for one in spec.init_containers if one.restart_policy == "Always"]
    together = sum(_memory_request(one.resources) for one in (*spec.containers, *sidecars))
    return max(together, *(_memory_request(one.resources) for one in spec.init_containers), 0)


def _memory_request(resources: ResourceRequirements | None) -> int:
    return bytes_or_none(((resources.requests if resources else None) or {}).get("memory")) or 0


def pod_level_lines(template: Json) -> Iterator[ChangePlanLine]:
    """What the resources of the pod itself make impossible: a dry run accepts the template all the same.

    The API refuses every pod whose containers request more together than the pod, and every container with a
    higher limit than its pod (KEP-2837); the workload then stays where it is.
    """
    own = mapping(template, "spec", "resources")
    limit, request = (bytes_or_none(text(own, key, "memory")) for key in ("limits", "requests"))
    lasting = [one for one in template_containers(template) if not one.init or one.sidecar]
    together = sum(one.request_bytes or one.limit_bytes or 0 for one in lasting)
    if request is not None and together > request:
        yield ChangePlanLine(
            "pod",
            f"no pod can be made: its own request is {bytes_(request)}, less than the {bytes_(together)} "
            "that its containers request together; raise the template's spec.resources.requests.memory first",
            "critical",
        )
    for one in lasting:
        if limit is not None and one.limit_bytes is not None and one.limit_bytes > limit:
            yield ChangePlanLine(
                "pod",
                f"no pod can be made: its own limit is {bytes_(limit)}, less than the "
                f"{bytes_(one.limit_bytes)} of {one.name}; raise spec.resources.limits.memory of the "
                "template first",
                "critical",
            )


def node_line(found: Sequence[NodeSpace] | str, request: int, count: int = 1) -> ChangePlanLine | None:
    """Whether pods with this request fit on the nodes, as far as memory goes; None where none is requested.

    Args:
        found: The nodes.
        request: Bytes of one pod.
        count: How many pods come.
    """
    if not request:
        return None
    if isinstance(found, str):
        return ChangePlanLine(NODES_LABEL, f"whether a node has room for it is not known: {found}")
    if not found:
        return ChangePlanLine(NODES_LABEL, "no node takes pods at present", "critical")
    largest = max(found, key=lambda one: one.allocatable)
    needs = f"a pod requests {bytes_(request)}"
    if request > largest.allocatable:
        return ChangePlanLine(
            NODES_LABEL,
            f"{needs}, and no node is that large: {largest.name} has {bytes_(largest.allocatable)} in all",
            "critical",
        )
    free = [(one.free, one.name) for one in found if one.free is not None]
    if not free:
        places = sum(one.allocatable // request for one in found)
        if count > places:
            return _too_many(f"{needs}; at most", places, count, request, "even if the nodes were empty")
        fitting = sum(one.allocatable >= request for one in found)
        return ChangePlanLine(
            NODES_LABEL, f"{needs}; {fitting} of {len(found)} nodes are that large, how full is not known"
        )
    most, name = max(free)
    if request > most:
        return ChangePlanLine(
            NODES_LABEL,
            f"{needs}, and no node has that left now: {name} has most with {bytes_(max(most, 0))}; pods may "
            "wait (Pending) until others go",
            "critical",
        )
    places = sum(max(left, 0) // request for left, _ in free)
    if count > places:
        return _too_many(f"{needs};", places, count, request, "now")
    fitting = sum(left >= request for left, _ in free)
    return ChangePlanLine(
        NODES_LABEL,
        f"{needs}; {fitting} of {len(found)} nodes have that left, {name} most with {bytes_(most)}",
    )


def _too_many(begin: str, places: int, count: int, request: int, when: str) -> ChangePlanLine:
    """Some fit, and what becomes of the others."""
    return ChangePlanLine(
        NODES_LABEL,
        f"{begin} {places} of the {count} new pods fit on the nodes {when}: the other {count - places} "
        f"({bytes_((count - places) * request)}) wait (Pending)",
        "warn",
    )
