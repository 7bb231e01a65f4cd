"""A node, with the pods on it and what they have reserved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memtop.describe.container_sections import pod_limits, pod_requests
from memtop.describe.formatting import (
    ZonedNow,
    align_columns,
    annotation_lines,
    event_lines,
    label_lines,
    or_none,
    taint_lines,
)
from memtop.kube.json_object import Json, labels, mapping, name_of, namespace_of, objects, text, texts
from memtop.quantity import ZERO, Quantity, add_quantities, parse_quantities, percent_of

ROLE_PREFIX = "node-role.kubernetes.io/"
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_HUGE_PAGES = "hugepages-"


def describe_node(
    node: Json,
    pods: Sequence[Json] | None,
    lease: Json | str,
    events: Sequence[Json] | None,
    moment: ZonedNow,
) -> list[str]:
    """A node as ``kubectl describe node`` prints it.

    Args:
        node: The node, sanitised.
        pods: The pods on it that have not ended; None where seeing them is forbidden.
        lease: Its heartbeat, or why that could not be had.
        events: Its events; None where they could not be had.
        moment: When, and in which time zone.
    """
    return align_columns(_node_lines(node, pods, lease, events, moment))


def _node_lines(
    node: Json,
    pods: Sequence[Json] | None,
    lease: Json | str,
    events: Sequence[Json] | None,
    moment: ZonedNow,
) -> Iterator[str]:
    spec, status = mapping(node, "spec"), mapping(node, "status")
    own = labels(node, "metadata", "labels")
    yield f"Name:\t{name_of(node)}"
    yield f"Roles:\t{or_none(','.join(sorted(_roles(own))))}"
    yield from label_lines("Labels", own)
    yield from annotation_lines("Annotations", labels(node, "metadata", "annotations"))
    yield f"CreationTimestamp:\t{moment.stamp(text(node, 'metadata', 'creationTimestamp'))}"
    yield from taint_lines(objects(spec, "taints"))
    yield f"Unschedulable:\t{text(spec, 'unschedulable') or 'false'}"
    yield from _lease_lines(lease, moment)
    yield from _condition_lines(objects(status, "conditions"), moment)
    yield "Addresses:"
    for address in objects(status, "addresses"):
        yield f"  {text(address, 'type')}:\t{text(address, 'address')}"
    for key, title in (("capacity", "Capacity"), ("allocatable", "Allocatable")):
        quantities = parse_quantities(labels(status, key))
        if quantities:
            yield f"{title}:"
        for name, amount in quantities.items():
            yield f"  {name}:\t{amount}"
    yield from _system_lines(mapping(status, "nodeInfo"))
    if text(spec, "podCIDR"):
        yield f"PodCIDR:\t{text(spec, 'podCIDR')}"
    if texts(spec, "podCIDRs"):
        yield f"PodCIDRs:\t{','.join(texts(spec, 'podCIDRs'))}"
    if text(spec, "providerID"):
        yield f"ProviderID:\t{text(spec, 'providerID')}"
    if pods is None:
        yield "Pods:\tnot authorized"
    else:
        yield from _pod_lines(status, pods, moment)
    yield from event_lines(events, moment)


def _roles(own: dict[str, str]) -> set[str]:
    roles = {key.removeprefix(ROLE_PREFIX) for key in own if key.startswith(ROLE_PREFIX)}
    return {*roles, own.get("kubernetes.io/role", "")} - {""}


def _lease_lines(lease: Json | str, moment: ZonedNow) -> Iterator[str]:
    if isinstance(lease, str):
        yield f"Lease:\tFailed to get lease: {lease}"
        return
    yield "Lease:"
    yield f"  HolderIdentity:\t{text(lease, 'spec', 'holderIdentity') or '<unset>'}"
    for key, title in (("acquireTime", "AcquireTime"), ("renewTime", "RenewTime")):
        time = text(lease, "spec", key)
        yield f"  {title}:\t{moment.stamp(time) if time else '<unset>'}"


def _condition_lines(conditions: Sequence[Json], moment: ZonedNow) -> Iterator[str]:
    if conditions:
        yield "Conditions:"
        yield "  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage"
        yield "  ----\t------\t-----------------\t------------------\t------\t-------"
    for condition in conditions:
        heartbeat = moment.stamp(text(condition, "lastHeartbeatTime"))
        transition = moment.stamp(text(condition, "lastTransitionTime"))
        yield (
            f"  {text(condition, 'type')} \t{text(condition, 'status')} \t{heartbeat} \t{transition} \t"
            f"{text(condition, 'reason')} \t{text(condition, 'message')}"
        )


def _system_lines(info: Json) -> Iterator[str]:
    yield "System Info:"
    for key, title in (
        ("machineID", "Machine ID"),
        ("systemUUID", "System UUID"),
        ("bootID", "Boot ID"),
        ("kernelVersion", "Kernel Version"),
        ("osImage", "OS Image"),
        ("operatingSystem", "Operating System"),
        ("architecture", "Architecture"),
        ("containerRuntimeVersion", "Container Runtime Version"),
        ("kubeletVersion", "Kubelet Version"),
        ("kubeProxyVersion", "Kube-Proxy Version"),
    ):
        yield f"  {title}:\t{text(info, key)}"


def _pod_lines(status: Json, pods: Sequence[Json], moment: ZonedNow) -> Iterator[str]:
    allocatable = parse_quantities(labels(status, "allocatable") or labels(status, "capacity"))
    yield f"Non-terminated Pods:\t({len(pods)} in total)"
    yield "  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge"
    yield "  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---"
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    for pod in pods:
        asked, most = pod_requests(pod), pod_limits(pod)
        requests, limits = add_quantities(requests, asked), add_quantities(limits, most)
        shares = "\t".join(
            _share(part, name, allocatable) for name in ("cpu", "memory") for part in (asked, most)
        )
        age = moment.age_of(text(pod, "metadata", "creationTimestamp"))
        yield f"  {namespace_of(pod)}\t{name_of(pod)}\t\t{shares}\t{age}"
    yield "Allocated resources:"
    yield "  (Total limits may be over 100 percent, i.e., overcommitted.)"
    yield "  Resource\tRequests\tLimits"
    yield "  --------\t--------\t------"
    huge = sorted(name for name in allocatable if name.startswith(_HUGE_PAGES))
    for name in (*_STANDARD, *huge):
        yield f"  {name}\t{_share(requests, name, allocatable)}\t{_share(limits, name, allocatable)}"
    for name in sorted({*allocatable} - {*_STANDARD, *huge, "pods"}):
        yield f"  {name}\t{requests.get(name, ZERO)}\t{limits.get(name, ZERO)}"


def _share(part: dict[str, Quantity], name: str, allocatable: dict[str, Quantity]) -> str:
    amount = part.get(name, ZERO)
    return f"{amount} ({percent_of(amount, allocatable.get(name, ZERO), milli=name == 'cpu')}%)"
