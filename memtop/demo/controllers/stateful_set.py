"""StatefulSets: pods with ordinals, one after the other."""

from __future__ import annotations

from memtop.demo.admission import ForbiddenError
from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import create_pod, owned, pods_hash, put_status, revision_of, template_of
from memtop.demo.events import Saying
from memtop.demo.pod import Pod
from memtop.demo.resources import REVISIONS, STATEFUL_SETS
from memtop.demo.store import Entry, Key, Object
from memtop.demo.workloads import REVISION_LABEL


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Do the one step that is due: create, replace or remove one pod; then tell."""
    entry = cluster.store.get(STATEFUL_SETS, *key)
    if entry is None:
        return
    obj = entry.object
    update = revision_of(cluster, STATEFUL_SETS, obj, at)
    status = obj.get("status") or {}
    current = cluster.store.get(REVISIONS, key[0], status.get("currentRevision", "")) or update
    _step(cluster, obj, current, update, at)
    pods = [pod for pod in cluster.pods_of(obj["metadata"]["uid"]) if pod.deleted is None]
    updated = [pod for pod in pods if _digest(pod) == pods_hash(update)]
    if len(updated) == len(pods) == obj["spec"]["replicas"]:
        current = update
    ready = sum(pod.ready_since(at) is not None for pod in pods)
    put_status(
        cluster,
        STATEFUL_SETS,
        cluster.store[STATEFUL_SETS].entries[key],
        {
            "observedGeneration": obj["metadata"].get("generation", 1),
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": len(pods) - len(updated) if current is not update else len(pods),
            "updatedReplicas": len(updated),
            "currentRevision": current.key[1],
            "updateRevision": update.key[1],
            "collisionCount": 0,
        },
    )
    _forget_old(cluster, obj, {current.key, update.key})


def _digest(pod: Pod) -> str:
    return pod.labels.get(REVISION_LABEL, "")


def _step(cluster: Cluster, obj: Object, current: Entry, update: Entry, at: float) -> None:
    name = obj["metadata"]["name"]
    replicas = int(obj["spec"]["replicas"])
    strategy = obj["spec"].get("updateStrategy") or {}
    rolling = strategy.get("type", "RollingUpdate") == "RollingUpdate"
    partition = int((strategy.get("rollingUpdate") or {}).get("partition", 0)) if rolling else 0
    pods = {pod.name: pod for pod in cluster.pods_of(obj["metadata"]["uid"])}
    parallel = obj["spec"].get("podManagementPolicy") == "Parallel"
    for ordinal in range(replicas):
        pod_name = f"{name}-{ordinal}"
        pod = pods.get(pod_name)
        if pod is None:
            revision = update if ordinal >= partition else current
            template = template_of(revision, **{"statefulset.kubernetes.io/pod-name": pod_name})
            try:
                pod = create_pod(cluster, STATEFUL_SETS, obj, pod_name, template, at)
            except ForbiddenError:
                return
        if not parallel and pod.ready_since(at) is None:
            return
    surplus = [pod for pod in pods.values() if int(pod.name.rpartition("-")[2]) >= replicas]
    if surplus:
        _replace(cluster, obj, max(surplus, key=lambda pod: int(pod.name.rpartition("-")[2])), at)
        return
    digest = pods_hash(update)
    for ordinal in range(replicas - 1, partition - 1, -1) if rolling else ():
        pod = pods.get(f"{name}-{ordinal}")
        if pod is None or pod.deleted is not None:
            return
        if _digest(pod) != digest:
            _replace(cluster, obj, pod, at)
            return
        if pod.ready_since(at) is None:
            return


def _replace(cluster: Cluster, obj: Object, pod: Pod, at: float) -> None:
    if pod.deleted is not None:
        return
    cluster.delete_pod(pod, at)
    message = f"delete Pod {pod.name} in StatefulSet {obj['metadata']['name']} successful"
    cluster.events.about(
        STATEFUL_SETS, obj, Saying("SuccessfulDelete", message, "statefulset-controller"), at
    )


def _forget_old(cluster: Cluster, obj: Object, kept: set[Key]) -> None:
    old = [entry for entry in owned(cluster, REVISIONS, obj) if entry.key not in kept]
    old.sort(key=lambda entry: entry.object["revision"])
    for entry in old[: max(0, len(old) - int(obj["spec"].get("revisionHistoryLimit", 10)))]:
        cluster.store.delete(REVISIONS, entry.key)
