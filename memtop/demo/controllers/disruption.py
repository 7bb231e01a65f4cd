"""PodDisruptionBudgets: how many of their pods may be missing just now."""

from __future__ import annotations

from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import condition, put_condition, put_status, resolved
from memtop.demo.objects import selects
from memtop.demo.resources import DISRUPTION_BUDGETS
from memtop.demo.store import Key


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
    expected = sum(pod.deleted is None for pod in pods)
    if "minAvailable" in spec:
        desired = resolved(spec["minAvailable"], expected, up=True)
    else:
        desired = max(0, expected - resolved(spec["maxUnavailable"], expected, up=True))
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
