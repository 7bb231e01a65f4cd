"""What a pod requests and may use at most, all its containers together, and the QoS class that follows."""

from __future__ import annotations

from memtop.cluster.describe.amounts import Amount, added, amounts, larger
from memtop.cluster.tree import Json, has, labels, mapping, objects, text

_COMPUTE = ("cpu", "memory")


def pod_requests(pod: Json) -> dict[str, Amount]:
    """What is reserved for a pod on its node, by resource."""
    total = _total(mapping(pod, "spec"), "requests")
    return added(total, amounts(labels(pod, "spec", "overhead")))


def pod_limits(pod: Json) -> dict[str, Amount]:
    """What a pod may use at most, by resource; a container without a limit counts as nothing."""
    total = _total(mapping(pod, "spec"), "limits")
    overhead = amounts(labels(pod, "spec", "overhead"))
    return added(total, {name: amount for name, amount in overhead.items() if name in total})


def _total(spec: Json, which: str) -> dict[str, Amount]:
    """Ordinary containers and sidecars together, or the largest init container where that is more.

    An init container runs beside the sidecars before it (KEP-753); where the pod has resources of its own
    (``spec.resources``), these count for it.
    """
    total: dict[str, Amount] = {}
    for container in objects(spec, "containers"):
        total = added(total, amounts(labels(container, "resources", which)))
    sidecars: dict[str, Amount] = {}
    starting: dict[str, Amount] = {}
    for container in objects(spec, "initContainers"):
        own = amounts(labels(container, "resources", which))
        if text(container, "restartPolicy") == "Always":
            total, sidecars = added(total, own), added(sidecars, own)
            starting = larger(starting, sidecars)
        else:
            starting = larger(starting, added(own, sidecars))
    return {**larger(total, starting), **amounts(labels(spec, "resources", which))}


def qos_class(spec: Json) -> str:
    """The QoS class of a pod whose status does not tell it.

    Guaranteed if every container has limits for CPU and memory that equal its requests, BestEffort if none
    has any, else Burstable (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/).
    """
    containers = [*objects(spec, "containers"), *objects(spec, "initContainers")]
    parts = [spec] if has(spec, "resources") else containers
    asked = False
    guaranteed = bool(parts)
    for part in parts:
        limits, requests = _compute(part, "limits"), _compute(part, "requests")
        asked = asked or bool(limits or requests)
        same = all(limits[name].value == requests[name].value for name in limits if name in requests)
        guaranteed = guaranteed and len(limits) == len(_COMPUTE) and same
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(part: Json, which: str) -> dict[str, Amount]:
    found = amounts(labels(part, "resources", which))
    return {name: found[name] for name in _COMPUTE if name in found and found[name].value > 0}
