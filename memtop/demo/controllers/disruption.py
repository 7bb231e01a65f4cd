"""PodDisruptionBudgets: how many of their pods may be missing just now."""

from __future__ import annotations

from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import condition, put_condition, put_status, resolved
from memtop.demo.objects import selects
from memtop.demo.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, STATEFUL_SETS
from memtop.demo.store import Entry, Key


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Count the healthy pods of a budget."""
    entry = cluster.store.get(DISRUPTION_BUDGETS, *key)
    if entry is None:
        return
    spec = entry.object["spec"]
    pods = [
        pod
        for pod in cluster.pods.values()
        if pod.namespace == key[0] and pod.finished(at) is None and selects(entry.object, pod.labels)
    ]
    healthy = sum(pod.ready_since(at) is not None for pod in pods)
    if isinstance(spec.get("minAvailable"), int):
        expected = sum(pod.deleted is None for pod in pods)
        desired = spec["minAvailable"]
    else:
        expected = _scale(cluster, entry)
        missing = resolved(spec.get("maxUnavailable", 0), expected, up=True)
        least = spec.get("minAvailable")
        desired = max(0, expected - missing) if least is None else resolved(least, expected, up=True)
    room = max(0, healthy - desired)
    words = ("True", "SufficientPods") if room else ("False", "InsufficientPods")
    fresh = {**condition("DisruptionAllowed", *words, "", at), "observedGeneration": 1}
    del fresh["lastUpdateTime"]
    before = (entry.object.get("status") or {}).get("conditions") or []
    status = {
        "observedGeneration": 1,
        "expectedPods": expected,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": room,
        "conditions": put_condition(before, fresh),
    }
    put_status(cluster, DISRUPTION_BUDGETS, entry, status)


def _scale(cluster: Cluster, budget: Entry) -> int:
    """Return how many pods the workloads under a budget are meant to have."""
    return sum(
        entry.object["spec"]["replicas"]
        for resource in (DEPLOYMENTS, STATEFUL_SETS)
        for entry in cluster.store[resource].select(budget.key[0])
        if selects(budget.object, entry.object["spec"]["template"]["metadata"]["labels"])
    )
