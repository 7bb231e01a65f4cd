"""Controllers of ReplicaSets and Deployments: rollouts from one ReplicaSet to the next."""

from __future__ import annotations

from dataclasses import dataclass

from memtop.demo.api_resources import DEPLOYMENTS, REPLICA_SETS
from memtop.demo.cluster_events import EventDetails
from memtop.demo.controllers.controller_actions import (
    active_pods,
    check_later,
    condition,
    create_pod,
    is_available,
    new_pod_name,
    owned_objects,
    put_condition,
    put_status,
    resolve_percentage,
)
from memtop.demo.controllers.policies import check_autoscaler_of
from memtop.demo.object_metadata import template_hash
from memtop.demo.object_store import Entry, Key, Object
from memtop.demo.pod_admission import ForbiddenError
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_time import parse_rfc3339, rfc3339
from memtop.demo.workload_objects import CHANGE_CAUSE, HASH_LABEL, REVISION, replica_set

REPLICA_FAILURE = "ReplicaFailure"


def reconcile_replica_set(cluster: Cluster, key: Key, at: float) -> None:
    """Create or delete pods, then update the status."""
    entry = cluster.store.get(REPLICA_SETS, *key)
    if entry is None:
        return
    obj = entry.object
    pods = active_pods(cluster, obj, at)
    missing = obj["spec"]["replicas"] - len(pods)
    refusal = ""
    try:
        for _ in range(missing):
            name = new_pod_name(key[1], cluster)
            pods.append(create_pod(cluster, REPLICA_SETS, obj, name, obj["spec"]["template"], at))
    except ForbiddenError as error:
        refusal = str(error)
    if missing < 0:
        # Pods that are not ready are deleted first, then the youngest.
        pods.sort(key=lambda pod: (pod.ready_since(at) is not None, -pod.created))
        for pod in pods[:-missing]:
            cluster.delete_pod(pod, at)
            details = EventDetails("SuccessfulDelete", f"Deleted pod: {pod.name}", "replicaset-controller")
            cluster.events.about(REPLICA_SETS, obj, details, at)
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
        status["conditions"] = _creation_failure(obj, refusal, at)
    changed = put_status(cluster, REPLICA_SETS, cluster.store[REPLICA_SETS].entries[key], status)
    # A Deployment that recreates waits for the last terminating pod, which is in no status.
    if changed or not cluster.pods_of(obj["metadata"]["uid"]):
        owner = obj["metadata"]["ownerReferences"][0]
        cluster.enqueue(DEPLOYMENTS, (key[0], owner["name"]))


def _creation_failure(obj: Object, refusal: str, at: float) -> list[Object]:
    """Return the condition that says why pods are missing; the first message stays, as pod names differ."""
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


COMPLETE = "NewReplicaSetAvailable"
_ROLLED_OUT_IN = 40.0
"""Seconds that rollouts before the start are said to have taken; the default deadline is 600 s."""
TIMED_OUT = "ProgressDeadlineExceeded"


@dataclass(slots=True)
class _Rollout:
    """A Deployment and its ReplicaSets during one reconciliation."""

    cluster: Cluster
    key: Key
    deployment: Object
    new: Entry | None
    old: list[Entry]
    at: float

    @property
    def replicas(self) -> int:
        return int(self.deployment["spec"]["replicas"])

    @property
    def bounds(self) -> tuple[int, int]:
        """The numbers of pods allowed above and below the scale (maxSurge, maxUnavailable)."""
        strategy = self.deployment["spec"].get("strategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        surge = resolve_percentage(rolling.get("maxSurge", "25%"), self.replicas, up=True)
        unavailable = resolve_percentage(rolling.get("maxUnavailable", "25%"), self.replicas, up=False)
        return surge, max(unavailable, 1 if surge == 0 else 0)

    def scale(self, entry: Entry, replicas: int) -> Entry:
        """Change the scale of a ReplicaSet and record the event."""
        before = entry.object["spec"]["replicas"]
        if replicas == before:
            return entry

        def edit(obj: Object) -> None:
            obj["spec"]["replicas"] = replicas
            obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
            obj["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/desired-replicas"] = str(
                self.replicas
            )

        changed = self.cluster.store.edit(REPLICA_SETS, entry.key, edit) or entry
        direction = "up" if replicas > before else "down"
        message = f"Scaled {direction} replica set {entry.key[1]} to {replicas}"
        details = EventDetails("ScalingReplicaSet", message, "deployment-controller")
        self.cluster.events.about(DEPLOYMENTS, self.deployment, details, self.at)
        self.cluster.enqueue(REPLICA_SETS, entry.key)
        return changed


def reconcile_deployment(cluster: Cluster, key: Key, at: float) -> None:
    """Take the next step of a rollout, then update the status."""
    entry = cluster.store.get(DEPLOYMENTS, *key)
    if entry is None:
        return
    check_autoscaler_of(cluster, key, at)
    deployment = entry.object
    paused = bool(deployment["spec"].get("paused"))
    sets = owned_objects(cluster, REPLICA_SETS, deployment)
    digest = template_hash(deployment["spec"]["template"])
    new = next((one for one in sets if one.object["metadata"]["labels"][HASH_LABEL] == digest), None)
    created = False
    if not paused:
        new, created = _current(cluster, deployment, sets, new, at)
        deployment = _note_revision(cluster, key, new) or deployment
    old = [one for one in sets if new is None or one.key != new.key]
    rollout = _Rollout(cluster, key, deployment, new, old, at)
    if paused:
        _scale_only(rollout)
    elif (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        _recreate(rollout)
    else:
        _roll(rollout)
    _report(rollout, created)
    _forget_old(rollout)


def _current(
    cluster: Cluster, deployment: Object, sets: list[Entry], new: Entry | None, at: float
) -> tuple[Entry, bool]:
    """Return the ReplicaSet of the present template with the newest revision, and whether it was made."""
    newest = max((_revision(one.object) for one in sets), default=0)
    if new is None:
        made = replica_set(
            deployment,
            deployment["spec"]["template"],
            newest + 1,
            at,
            0,
            deployment["spec"]["replicas"],
            cluster.seed,
        )
        least = deployment["spec"].get("minReadySeconds")
        if least:
            made["spec"]["minReadySeconds"] = least
        return cluster.store.put(REPLICA_SETS, made), True
    cause = (deployment["metadata"].get("annotations") or {}).get(CHANGE_CAUSE)
    revision = _revision(new.object)

    def edit(obj: Object) -> None:
        annotations = obj["metadata"].setdefault("annotations", {})
        if revision < newest:
            annotations["deployment.kubernetes.io/revision-history"] = str(revision)
            annotations[REVISION] = str(newest + 1)
        if cause:
            annotations[CHANGE_CAUSE] = cause

    return cluster.store.edit(REPLICA_SETS, new.key, edit) or new, revision < newest


def _revision(obj: Object) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))


def _note_revision(cluster: Cluster, key: Key, new: Entry) -> Object | None:
    def edit(obj: Object) -> None:
        obj["metadata"].setdefault("annotations", {})[REVISION] = str(_revision(new.object))

    changed = cluster.store.edit(DEPLOYMENTS, key, edit)
    return changed.object if changed is not None else None


def _wanted(entry: Entry) -> int:
    return int(entry.object["spec"]["replicas"])


def _available(entry: Entry) -> int:
    return int(entry.object["status"].get("availableReplicas", 0))


def _scale_only(rollout: _Rollout) -> None:
    """Apply a change of scale while the rollout is paused."""
    active = [one for one in (rollout.new, *rollout.old) if one is not None and _wanted(one) > 0]
    missing = rollout.replicas - sum(_wanted(one) for one in active)
    if active and missing:
        rollout.scale(active[0], max(0, _wanted(active[0]) + missing))


def _recreate(rollout: _Rollout) -> None:
    for one in rollout.old:
        rollout.scale(one, 0)
    left = [pod for one in rollout.old for pod in rollout.cluster.pods_of(one.object["metadata"]["uid"])]
    if rollout.new is not None and not left:
        rollout.new = rollout.scale(rollout.new, rollout.replicas)


def _roll(rollout: _Rollout) -> None:
    new = rollout.new
    assert new is not None
    surge, unavailable = rollout.bounds
    total = _wanted(new) + sum(_wanted(one) for one in rollout.old)
    if _wanted(new) > rollout.replicas:
        new = rollout.scale(new, rollout.replicas)
    elif _wanted(new) < rollout.replicas:
        room = max(0, rollout.replicas + surge - total)
        new = rollout.scale(new, min(rollout.replicas, _wanted(new) + room))
    rollout.new = new
    total = _wanted(new) + sum(_wanted(one) for one in rollout.old)
    least = rollout.replicas - unavailable
    spare = total - least - (_wanted(new) - _available(new))
    if spare <= 0 or not any(_wanted(one) for one in rollout.old):
        return
    spare = _remove_broken(rollout, spare)
    working = _available(new) + sum(min(_available(one), _wanted(one)) for one in rollout.old)
    spare = min(spare, working - least)
    for index, one in enumerate(rollout.old):
        if spare <= 0:
            return
        removed = min(spare, _wanted(one))
        rollout.old[index] = rollout.scale(one, _wanted(one) - removed)
        spare -= removed


def _remove_broken(rollout: _Rollout, spare: int) -> int:
    """Scale down unavailable pods first; return how many more pods may be removed."""
    for index, one in enumerate(rollout.old):
        broken = min(spare, max(0, _wanted(one) - _available(one)))
        if broken:
            rollout.old[index] = rollout.scale(one, _wanted(one) - broken)
            spare -= broken
    return spare


def _report(rollout: _Rollout, created: bool) -> None:
    entry = rollout.cluster.store[DEPLOYMENTS].entries[rollout.key]
    deployment, before = entry.object, entry.object.get("status") or {}
    sets = [one for one in (rollout.new, *rollout.old) if one is not None]
    counts = {
        "replicas": sum(one.object["status"].get("replicas", 0) for one in sets),
        "updatedReplicas": rollout.new.object["status"].get("replicas", 0) if rollout.new else 0,
        "readyReplicas": sum(one.object["status"].get("readyReplicas", 0) for one in sets),
        "availableReplicas": sum(_available(one) for one in sets),
    }
    counts["unavailableReplicas"] = max(
        0, max(rollout.replicas, counts["replicas"]) - counts["availableReplicas"]
    )
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 1)}
    status |= {name: count for name, count in counts.items() if count}
    conditions = _availability(rollout, before.get("conditions") or [], counts["availableReplicas"])
    status["conditions"] = _failed_replica_set(_progress(rollout, conditions, counts, before, created), sets)
    put_status(rollout.cluster, DEPLOYMENTS, entry, status)


def _availability(rollout: _Rollout, conditions: list[Object], available: int) -> list[Object]:
    if available >= rollout.replicas - rollout.bounds[1]:
        words = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        words = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return put_condition(conditions, condition("Available", *words, rollout.at))


def _progress(
    rollout: _Rollout, conditions: list[Object], counts: dict[str, int], before: Object, created: bool
) -> list[Object]:
    at, spec = rollout.at, rollout.deployment["spec"]
    last = next((one for one in conditions if one["type"] == "Progressing"), None)
    if spec.get("paused"):
        if last is not None and last["reason"] == TIMED_OUT:
            return conditions
        return put_condition(
            conditions, condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", at)
        )
    assert rollout.new is not None
    name = f'ReplicaSet "{rollout.new.key[1]}"'
    done = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == rollout.replicas
    if done or (last is not None and last["reason"] == COMPLETE and not created):
        if last is None:  # the workloads built at the start were rolled out in the past
            born = parse_rfc3339(rollout.new.object["metadata"]["creationTimestamp"])
            at = min(at, born + _ROLLED_OUT_IN)
        return put_condition(
            conditions, condition("Progressing", "True", COMPLETE, f"{name} has successfully progressed.", at)
        )
    moved = (
        counts["updatedReplicas"] > before.get("updatedReplicas", 0)
        or counts["readyReplicas"] > before.get("readyReplicas", 0)
        or counts["availableReplicas"] > before.get("availableReplicas", 0)
        or counts["replicas"] - counts["updatedReplicas"]
        < before.get("replicas", 0) - before.get("updatedReplicas", 0)
    )
    deadline = float(spec.get("progressDeadlineSeconds", 600))
    if created or last is None:
        fresh = condition(
            "Progressing",
            "True",
            "NewReplicaSetCreated",
            f"Created new replica set {rollout.new.key[1]!r}".replace("'", '"'),
            at,
        )
    elif last["reason"] == "DeploymentPaused":
        fresh = condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", at)
    elif moved:
        fresh = condition("Progressing", "True", "ReplicaSetUpdated", f"{name} is progressing.", at)
        conditions = [one for one in conditions if one is not last]
        if last["status"] == "True":
            fresh["lastTransitionTime"] = last["lastTransitionTime"]
    elif at >= parse_rfc3339(last["lastUpdateTime"]) + deadline:
        fresh = condition("Progressing", "False", TIMED_OUT, f"{name} has timed out progressing.", at)
        return put_condition(conditions, fresh)
    else:
        return conditions
    check_later(rollout.cluster, at + deadline + 1.0, DEPLOYMENTS, rollout.key)
    return put_condition(conditions, fresh)


def _failed_replica_set(conditions: list[Object], sets: list[Entry]) -> list[Object]:
    """Return conditions with the reason why the newest ReplicaSet in trouble cannot make pods, if one is."""
    kept = [one for one in conditions if one["type"] != REPLICA_FAILURE]
    for one in sets:
        for failure in one.object["status"].get("conditions") or ():
            return [*kept, {**failure, "lastUpdateTime": failure["lastTransitionTime"]}]
    return kept


def _forget_old(rollout: _Rollout) -> None:
    kept = int(rollout.deployment["spec"].get("revisionHistoryLimit", 10))
    empty = [one for one in rollout.old if _wanted(one) == 0 and not one.object["status"].get("replicas")]
    empty.sort(key=lambda one: _revision(one.object))
    for one in empty[: max(0, len(empty) - kept)]:
        rollout.cluster.store.delete(REPLICA_SETS, one.key)
