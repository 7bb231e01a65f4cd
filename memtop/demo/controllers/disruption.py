"""PodDisruptionBudgets: how many of their pods may be missing just now."""

from __future__ import annotations

from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import put_status
from memtop.demo.resources import DISRUPTION_BUDGETS
from memtop.demo.store import Key


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Count the healthy pods of a budget."""
    entry = cluster.store.get(DISRUPTION_BUDGETS, *key)
    if entry is None:
        return
    spec = entry.object["spec"]
    labels = spec["selector"]["matchLabels"].items()
    pods = [
        pod for pod in cluster.pods.values() if pod.namespace == key[0] and labels <= dict(pod.labels).items()
    ]
    healthy = sum(pod.ready_since(at) is not None for pod in pods)
    status = {
        "observedGeneration": 1,
        "expectedPods": sum(pod.deleted is None for pod in pods),
        "currentHealthy": healthy,
        "desiredHealthy": spec["minAvailable"],
        "disruptionsAllowed": max(0, healthy - spec["minAvailable"]),
    }
    put_status(cluster, DISRUPTION_BUDGETS, entry, status)
