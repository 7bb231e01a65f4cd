"""Whether a pod may be created (LimitRanges, ResourceQuotas) and which node it is scheduled on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from memtop.demo.object_store import Object
from memtop.quantity import parse_bytes

LIMITS, REQUESTS, PODS = "limits.memory", "requests.memory", "pods"
"""The resources that quotas count."""

_UNITS = tuple((f"{letter}i", 1 << 10 * power) for power, letter in ((4, "T"), (3, "G"), (2, "M"), (1, "K")))


class ForbiddenError(Exception):
    """A pod that may not be created; the message is the API server's."""


class NamespaceUsage:
    """The memory and pods that each namespace requests."""

    def __init__(self) -> None:
        self._of_namespace: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._of_pod: dict[str, tuple[str, Counter[str]]] = {}

    def of(self, namespace: str) -> Counter[str]:
        """Return the sums of a namespace: bytes, and pods."""
        return self._of_namespace[namespace]

    def add(self, uid: str, namespace: str, template: Mapping[str, Any]) -> Counter[str]:
        """Count a pod; return its share."""
        wanted = demand(template)
        self._of_pod[uid] = (namespace, wanted)
        self._of_namespace[namespace].update(wanted)
        return wanted

    def remove(self, uid: str) -> bool:
        """Stop counting a pod that is deleted or finished; return whether it was counted."""
        if uid not in self._of_pod:
            return False
        namespace, wanted = self._of_pod.pop(uid)
        self._of_namespace[namespace].subtract(wanted)
        return True


def demand(template: Mapping[str, Any]) -> Counter[str]:
    """Return what a pod of a template counts; without a request, the limit counts as one."""
    wanted = Counter({PODS: 1, LIMITS: 0, REQUESTS: 0})
    for container in template["spec"]["containers"]:
        limit, request = _memory(container, "limits"), _memory(container, "requests")
        wanted[LIMITS] += limit or 0
        wanted[REQUESTS] += (limit or 0) if request is None else request
    return wanted


def admit_pod(
    name: str,
    template: Mapping[str, Any],
    ranges: Iterable[Object],
    quotas: Iterable[Object],
    used: Mapping[str, int],
) -> Mapping[str, Any]:
    """Return a pod's template with the defaults of the namespace.

    Args:
        name: the pod's name.
        template: its template.
        ranges: the LimitRanges of its namespace.
        quotas: the ResourceQuotas of its namespace.
        used: what the pods of its namespace request already.

    Raises:
        ForbiddenError: a LimitRange or a ResourceQuota forbids the pod.
    """
    rules = [rule for limits in ranges for rule in limits["spec"]["limits"] if rule["type"] == "Container"]
    for rule in rules:
        template = _with_defaults(template, rule)
    broken = [
        words
        for rule in rules
        for container in template["spec"]["containers"]
        for words in _out_of(rule, container)
    ]
    if broken:
        said = broken[0] if len(broken) == 1 else f"[{', '.join(broken)}]"
        raise ForbiddenError(f'pods "{name}" is forbidden: {said}')
    for quota in quotas:
        _check(name, template, quota, used)
    return template


def _memory(container: Mapping[str, Any], kind: str) -> int | None:
    format_quantity = ((container.get("resources") or {}).get(kind) or {}).get("memory")
    return None if format_quantity is None else parse_bytes(str(format_quantity))


def _with_defaults(template: Mapping[str, Any], rule: Object) -> Mapping[str, Any]:
    containers = []
    for container in template["spec"]["containers"]:
        resources = dict(container.get("resources") or {})
        for kind, default in (("limits", "default"), ("requests", "defaultRequest")):
            amount = (rule.get(default) or {}).get("memory")
            if kind == "requests" and "memory" in (container.get("resources") or {}).get("limits", {}):
                amount = resources["limits"]["memory"]  # the API server has set it before any LimitRange
            if amount is not None and "memory" not in (resources.get(kind) or {}):
                resources[kind] = {**(resources.get(kind) or {}), "memory": amount}
        containers.append({**container, "resources": resources})
    return {**template, "spec": {**template["spec"], "containers": containers}}


def _out_of(rule: Object, container: Object) -> Iterator[str]:
    least, most = (rule.get("min") or {}).get("memory"), (rule.get("max") or {}).get("memory")
    limit, request = _memory(container, "limits"), _memory(container, "requests")
    if least is not None and (request or 0) < parse_bytes(least):
        given = "no request is specified" if request is None else f"request is {format_quantity(request)}"
        yield f"minimum memory usage per Container is {least}, but {given}"
    if most is not None and (limit is None or limit > parse_bytes(most)):
        given = "no limit is specified" if limit is None else f"limit is {format_quantity(limit)}"
        yield f"maximum memory usage per Container is {most}, but {given}"


def _check(name: str, template: Mapping[str, Any], quota: Object, used: Mapping[str, int]) -> None:
    hard: Mapping[str, str] = quota["spec"]["hard"]
    called = quota["metadata"]["name"]
    wanted = demand(template)
    for key, kind in ((LIMITS, "limits"), (REQUESTS, "requests")):
        if key in hard and any(
            _memory(container, kind) is None and _memory(container, "limits") is None
            for container in template["spec"]["containers"]
        ):
            raise ForbiddenError(f'pods "{name}" is forbidden: failed quota: {called}: must specify {key}')
    over = [key for key in sorted(hard) if key in wanted and used[key] + wanted[key] > parse_bytes(hard[key])]
    if over:
        requested = _listed(over, lambda key: format_quota_amount(key, wanted[key]))
        present = _listed(over, lambda key: format_quota_amount(key, used[key]))
        limited = _listed(over, lambda key: hard[key])
        raise ForbiddenError(
            f'pods "{name}" is forbidden: exceeded quota: {called}, requested: {requested}, '
            f"used: {present}, limited: {limited}"
        )


def _listed(keys: Iterable[str], amount: Callable[[str], str]) -> str:
    return ",".join(f"{key}={amount(key)}" for key in keys)


def format_quota_amount(key: str, amount: int) -> str:
    """Format what a quota counts: bytes as a quantity, pods as a number."""
    return str(amount) if key == PODS else format_quantity(amount)


def format_quantity(amount: int) -> str:
    """Format bytes as the API server does: in the largest binary unit without a remainder."""
    for suffix, size in _UNITS:
        if amount and amount % size == 0:
            return f"{amount // size}{suffix}"
    return str(amount)


RESERVED = 1 << 30  # bytes of each node that are not allocatable


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """One node: its name, its address, its memory in bytes, and whether it takes ordinary pods."""

    name: str
    address: str
    memory: int
    schedulable: bool = True

    @property
    def allocatable(self) -> int:
        """Bytes that its pods may request in all."""
        return self.memory - RESERVED


class Scheduler:
    """Assigns pods to the nodes in turn; full nodes are skipped.

    Attributes:
        hosts: the nodes.
    """

    def __init__(self) -> None:
        self.hosts: list[SimulatedNode] = []
        self._turn = 0
        self._claims: dict[str, tuple[str, int]] = {}
        self._claimed: Counter[str] = Counter()

    def host(self, name: str) -> SimulatedNode:
        """Return a node by its name."""
        return next(host for host in self.hosts if host.name == name)

    def choose(self, wanted: int) -> SimulatedNode | None:
        """Return a node with `wanted` bytes to spare, None if there is none."""
        takers = [host for host in self.hosts if host.schedulable]
        self._turn += 1
        for step in range(len(takers)):
            host = takers[(self._turn + step) % len(takers)]
            if self._claimed[host.name] + wanted <= host.allocatable:
                return host
        return None

    def claim(self, uid: str, host: str, wanted: int) -> None:
        """Reserve bytes of a node for a pod, in place of those it had."""
        self.release(uid)
        self._claims[uid] = (host, wanted)
        self._claimed[host] += wanted

    def shortage(self, uid: str, host: str, wanted: int) -> str:
        """Return why a pod cannot have `wanted` bytes on its node now, as the kubelet says it; else empty."""
        _, held = self._claims.get(uid, (host, 0))
        used, capacity = self._claimed[host] - held, self.host(host).allocatable
        if used + wanted <= capacity:
            return ""
        said = f"memory, requested: {wanted}, used: {used}, capacity: {capacity}"
        return f"Node didn't have enough resource: {said}"

    def release(self, uid: str) -> None:
        """Release what is reserved for a pod, if anything."""
        host, wanted = self._claims.pop(uid, ("", 0))
        self._claimed[host] -= wanted

    @property
    def refusal(self) -> str:
        """The scheduler's message when no node has room."""
        return f"0/{len(self.hosts)} nodes are available: {len(self.hosts)} Insufficient memory."
