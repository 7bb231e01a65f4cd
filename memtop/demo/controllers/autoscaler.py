"""HorizontalPodAutoscalers: they keep the scale of a Deployment within bounds, whoever changes it.

Within the bounds they leave it alone: the load of the demo never calls for another scale.
"""

from __future__ import annotations

from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import condition, look_again, put_condition, put_status
from memtop.demo.events import Saying
from memtop.demo.ownership import Manager, changed_hands
from memtop.demo.resources import AUTOSCALERS, DEPLOYMENTS
from memtop.demo.store import Key, Object

PERIOD = 15.0  # seconds between two looks at the scale


def notice(cluster: Cluster, deployment: Key, at: float) -> None:
    """Have the autoscaler of a Deployment look at it in its next round."""
    for key, entry in cluster.store[AUTOSCALERS].entries.items():
        if (key[0], entry.object["spec"]["scaleTargetRef"]["name"]) == deployment:
            look_again(cluster, at + PERIOD, AUTOSCALERS, key)


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Bring the scale back within the bounds, then tell."""
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
        manager = Manager("kube-controller-manager", subresource="scale")
        after["metadata"]["managedFields"] = changed_hands(target.object, after, manager, DEPLOYMENTS, at)
        cluster.store.put(DEPLOYMENTS, after)
        cluster.touch(DEPLOYMENTS, target.key)
        bound = "above Spec.MaxReplicas" if present > most else "below Spec.MinReplicas"
        message = f"New size: {wanted}; reason: Current number of replicas {bound}"
        saying = Saying("SuccessfulRescale", message, "horizontal-pod-autoscaler")
        cluster.events.about(AUTOSCALERS, entry.object, saying, at)
    put_status(cluster, AUTOSCALERS, entry, _status(entry.object, present, wanted, at))


def _status(obj: Object, present: int, wanted: int, at: float) -> Object:
    before = obj.get("status") or {}
    able = condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size", at)
    del able["lastUpdateTime"]
    return {
        "currentReplicas": present,
        "desiredReplicas": wanted,
        "conditions": put_condition(before.get("conditions") or [], able),
    }
