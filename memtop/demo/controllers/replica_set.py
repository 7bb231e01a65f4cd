"""ReplicaSets: as many pods as asked for."""

from __future__ import annotations

from memtop.demo.admission import ForbiddenError
from memtop.demo.clock import rfc3339
from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import alive, create_pod, fresh_name, is_available, put_status
from memtop.demo.events import Saying
from memtop.demo.resources import DEPLOYMENTS, REPLICA_SETS
from memtop.demo.store import Key, Object

REPLICA_FAILURE = "ReplicaFailure"


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Create or delete pods, then tell how many there are."""
    entry = cluster.store.get(REPLICA_SETS, *key)
    if entry is None:
        return
    obj = entry.object
    pods = alive(cluster, obj, at)
    missing = obj["spec"]["replicas"] - len(pods)
    refusal = ""
    try:
        for _ in range(missing):
            name = fresh_name(key[1], cluster)
            pods.append(create_pod(cluster, REPLICA_SETS, obj, name, obj["spec"]["template"], at))
    except ForbiddenError as error:
        refusal = str(error)
    if missing < 0:
        # Those that do not work go first, then the youngest.
        pods.sort(key=lambda pod: (pod.ready_since(at) is not None, -pod.created))
        for pod in pods[:-missing]:
            cluster.delete_pod(pod, at)
            saying = Saying("SuccessfulDelete", f"Deleted pod: {pod.name}", "replicaset-controller")
            cluster.events.about(REPLICA_SETS, obj, saying, at)
        pods = pods[-missing:]
    ready = sum(pod.ready_since(at) is not None for pod in pods)
    least = float(obj["spec"].get("minReadySeconds", 0))
    available = sum(is_available(cluster, pod, least, at, (REPLICA_SETS, key)) for pod in pods)
    status: Object = {"replicas": len(pods)}
    if pods:
        status["fullyLabeledReplicas"] = len(pods)
    if ready:
        status["readyReplicas"] = ready
    if available:
        status["availableReplicas"] = available
    status["observedGeneration"] = obj["metadata"].get("generation", 1)
    if refusal:
        status["conditions"] = _failure(obj, refusal, at)
    changed = put_status(cluster, REPLICA_SETS, cluster.store[REPLICA_SETS].entries[key], status)
    # A Deployment that recreates waits for the last terminating pod, which no status tells of.
    if changed or not cluster.pods_of(obj["metadata"]["uid"]):
        owner = obj["metadata"]["ownerReferences"][0]
        cluster.touch(DEPLOYMENTS, (key[0], owner["name"]))


def _failure(obj: Object, refusal: str, at: float) -> list[Object]:
    """Return the condition that says why pods are missing: as it was first said, for names differ."""
    before: list[Object] = obj["status"].get("conditions") or []
    if before:
        return before
    return [
        {
            "type": REPLICA_FAILURE,
            "status": "True",
            "lastTransitionTime": rfc3339(at),
            "reason": "FailedCreate",
            "message": refusal,
        }
    ]
