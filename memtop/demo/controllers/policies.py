"""Controllers of HorizontalPodAutoscalers, PodDisruptionBudgets and ResourceQuotas."""

from __future__ import annotations

from memtop.demo.api_resources import AUTOSCALERS, DEPLOYMENTS, DISRUPTION_BUDGETS, QUOTAS, STATEFUL_SETS
from memtop.demo.cluster_events import EventDetails
from memtop.demo.controllers.controller_actions import (
    check_later,
    condition,
    put_condition,
    put_status,
    resolve_percentage,
)
from memtop.demo.object_metadata import FieldWriter, selects, updated_managed_fields
from memtop.demo.object_store import Entry, Key, Object
from memtop.demo.pod_admission import format_quota_amount
from memtop.demo.simulated_cluster import Cluster

PERIOD = 15.0  # seconds; the default of --horizontal-pod-autoscaler-sync-period


def check_autoscaler_of(cluster: Cluster, deployment: Key, at: float) -> None:
    """Reconcile the autoscaler of a Deployment in its next period."""
    for key, entry in cluster.store[AUTOSCALERS].entries.items():
        if (key[0], entry.object["spec"]["scaleTargetRef"]["name"]) == deployment:
            check_later(cluster, at + PERIOD, AUTOSCALERS, key)


def reconcile_autoscaler(cluster: Cluster, key: Key, at: float) -> None:
    """Bring the scale back within the bounds, then update the status."""
    entry = cluster.store.get(AUTOSCALERS, *key)
    if entry is None:
        return
    spec = entry.object["spec"]
    target = cluster.store.get(DEPLOYMENTS, key[0], spec["scaleTargetRef"]["name"])
    if target is None:
        return
    present = int(target.object["spec"]["replicas"])
    least, most = int(spec.get("minReplicas", 1)), int(spec["maxReplicas"])
    wanted = present if present == 0 else min(max(present, least), most)
    if wanted != present:
        after = target.plain()
        after["spec"]["replicas"] = wanted
        after["metadata"]["generation"] += 1
        manager = FieldWriter("kube-controller-manager", subresource="scale")
        after["metadata"]["managedFields"] = updated_managed_fields(
            target.object, after, manager, DEPLOYMENTS, at
        )
        cluster.store.put(DEPLOYMENTS, after)
        cluster.enqueue(DEPLOYMENTS, target.key)
        bound = "above Spec.MaxReplicas" if present > most else "below Spec.MinReplicas"
        message = f"New size: {wanted}; reason: Current number of replicas {bound}"
        details = EventDetails("SuccessfulRescale", message, "horizontal-pod-autoscaler")
        cluster.events.about(AUTOSCALERS, entry.object, details, at)
    put_status(cluster, AUTOSCALERS, entry, _autoscaler_status(entry.object, present, wanted, at))


def _autoscaler_status(obj: Object, present: int, wanted: int, at: float) -> Object:
    before = obj.get("status") or {}
    able = condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size", at)
    del able["lastUpdateTime"]
    return {
        "currentReplicas": present,
        "desiredReplicas": wanted,
        "conditions": put_condition(before.get("conditions") or [], able),
    }


def reconcile_disruption_budget(cluster: Cluster, key: Key, at: float) -> None:
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
        expected = _wanted_pods(cluster, entry)
        missing = resolve_percentage(spec.get("maxUnavailable", 0), expected, up=True)
        least = spec.get("minAvailable")
        desired = (
            max(0, expected - missing) if least is None else resolve_percentage(least, expected, up=True)
        )
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


def _wanted_pods(cluster: Cluster, budget: Entry) -> int:
    """Return the scale of the workloads under a budget."""
    return sum(
        entry.object["spec"]["replicas"]
        for resource in (DEPLOYMENTS, STATEFUL_SETS)
        for entry in cluster.store[resource].select(budget.key[0])
        if selects(budget.object, entry.object["spec"]["template"]["metadata"]["labels"])
    )


def reconcile_quota(cluster: Cluster, key: Key, _at: float) -> None:
    """Update what the pods of the namespace use of the quota."""
    entry = cluster.store.get(QUOTAS, *key)
    if entry is None:
        return
    hard = entry.object["spec"]["hard"]
    usage = cluster.usage.of(key[0])
    used = {name: format_quota_amount(name, usage[name]) for name in hard}
    put_status(cluster, QUOTAS, entry, {"hard": hard, "used": used})
