"""Controllers of StatefulSets, DaemonSets, Jobs and CronJobs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from memtop.demo.api_resources import CRON_JOBS, DAEMON_SETS, JOBS, REVISIONS, STATEFUL_SETS
from memtop.demo.cluster_events import EventDetails
from memtop.demo.controllers.controller_actions import (
    active_pods,
    check_later,
    create_pod,
    new_pod_name,
    owned_objects,
    pods_hash,
    put_status,
    resolve_percentage,
    revision_of,
    template_of,
)
from memtop.demo.object_store import Entry, Key, Object
from memtop.demo.pod_admission import ForbiddenError
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_pod import SimulatedPod
from memtop.demo.simulated_time import rfc3339
from memtop.demo.workload_objects import REVISION_LABEL, TEMPLATE_GENERATION, job


def reconcile_stateful_set(cluster: Cluster, key: Key, at: float) -> None:
    """Create, replace or delete one pod, then update the status."""
    entry = cluster.store.get(STATEFUL_SETS, *key)
    if entry is None:
        return
    obj = entry.object
    update = revision_of(cluster, STATEFUL_SETS, obj, at)
    status = obj.get("status") or {}
    current = cluster.store.get(REVISIONS, key[0], status.get("currentRevision", "")) or update
    _step_stateful_set(cluster, obj, current, update, at)
    pods = [pod for pod in cluster.pods_of(obj["metadata"]["uid"]) if pod.deleted is None]
    updated = [pod for pod in pods if _revision_hash(pod) == pods_hash(update)]
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
    _delete_old_revisions(cluster, obj, {current.key, update.key})


def _revision_hash(pod: SimulatedPod) -> str:
    return pod.labels.get(REVISION_LABEL, "")


def _step_stateful_set(cluster: Cluster, obj: Object, current: Entry, update: Entry, at: float) -> None:
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
        _delete_stateful_pod(cluster, obj, max(surplus, key=lambda pod: int(pod.name.rpartition("-")[2])), at)
        return
    digest = pods_hash(update)
    for ordinal in range(replicas - 1, partition - 1, -1) if rolling else ():
        pod = pods.get(f"{name}-{ordinal}")
        if pod is None or pod.deleted is not None:
            return
        if _revision_hash(pod) != digest:
            _delete_stateful_pod(cluster, obj, pod, at)
            return
        if pod.ready_since(at) is None:
            return


def _delete_stateful_pod(cluster: Cluster, obj: Object, pod: SimulatedPod, at: float) -> None:
    if pod.deleted is not None:
        return
    cluster.delete_pod(pod, at)
    message = f"delete Pod {pod.name} in StatefulSet {obj['metadata']['name']} successful"
    cluster.events.about(
        STATEFUL_SETS, obj, EventDetails("SuccessfulDelete", message, "statefulset-controller"), at
    )


def _delete_old_revisions(cluster: Cluster, obj: Object, kept: set[Key]) -> None:
    old = [entry for entry in owned_objects(cluster, REVISIONS, obj) if entry.key not in kept]
    old.sort(key=lambda entry: entry.object["revision"])
    for entry in old[: max(0, len(old) - int(obj["spec"].get("revisionHistoryLimit", 10)))]:
        cluster.store.delete(REVISIONS, entry.key)


def reconcile_daemon_set(cluster: Cluster, key: Key, at: float) -> None:
    """Run one pod on every node, replace old ones as the strategy says, then update the status."""
    entry = cluster.store.get(DAEMON_SETS, *key)
    if entry is None:
        return
    obj = entry.object
    update = revision_of(cluster, DAEMON_SETS, obj, at)
    digest = pods_hash(update)
    template = template_of(update, **{TEMPLATE_GENERATION: str(update.object["revision"])})
    everything = cluster.pods_of(obj["metadata"]["uid"])
    occupied = {pod.node for pod in everything}
    for host in cluster.hosts:
        if host.name not in occupied:
            with contextlib.suppress(ForbiddenError):
                name = new_pod_name(key[1], cluster)
                create_pod(cluster, DAEMON_SETS, obj, name, template, at, node=host.name)
    pods = active_pods(cluster, obj, at)
    wanted = len(cluster.hosts)
    strategy = obj["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        bound = resolve_percentage(
            (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), wanted, up=True
        )
        down = wanted - sum(pod.ready_since(at) is not None for pod in pods)
        for pod in [pod for pod in pods if pod.labels.get(REVISION_LABEL) != digest]:
            broken = pod.ready_since(at) is None
            if broken or down < bound:
                down += 0 if broken else 1
                cluster.delete_pod(pod, at)
        pods = active_pods(cluster, obj, at)
    ready = sum(pod.ready_since(at) is not None for pod in pods)
    status = {
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "desiredNumberScheduled": wanted,
        "numberReady": ready,
        "observedGeneration": obj["metadata"].get("generation", 1),
        "updatedNumberScheduled": sum(pod.labels.get(REVISION_LABEL) == digest for pod in pods),
        "numberAvailable": ready,
    }
    if ready < wanted:
        status["numberUnavailable"] = wanted - ready
    put_status(cluster, DAEMON_SETS, cluster.store[DAEMON_SETS].entries[key], status)


def reconcile_job(cluster: Cluster, key: Key, at: float) -> None:
    """Create the job's pod unless it has succeeded, then update the status."""
    entry = cluster.store.get(JOBS, *key)
    if entry is None:
        return
    obj = entry.object
    pods = cluster.pods_of(obj["metadata"]["uid"])
    failures = sum(pod.finished(at) == "Failed" for pod in pods)
    if failures == len(pods) and failures <= obj["spec"].get("backoffLimit", 6):
        with contextlib.suppress(ForbiddenError):
            name = new_pod_name(key[1], cluster)
            pods.append(create_pod(cluster, JOBS, obj, name, obj["spec"]["template"], at))
    if put_status(cluster, JOBS, cluster.store[JOBS].entries[key], _job_status(obj, pods, at)):
        for owner in obj["metadata"].get("ownerReferences", ()):
            cluster.enqueue(CRON_JOBS, (key[0], owner["name"]))


def _job_status(obj: Object, pods: list[SimulatedPod], at: float) -> Object:
    status: Object = {"startTime": obj["metadata"]["creationTimestamp"]}
    done = [pod for pod in pods if pod.finished(at) == "Succeeded"]
    failed = sum(pod.finished(at) == "Failed" for pod in pods)
    active = len(pods) - len(done) - failed
    if active:
        status["active"] = active
    if failed:
        status["failed"] = failed
    if done:
        ended = max(run.end for pod in done for main in pod.mains for run in main.timeline.runs(at))
        when = rfc3339(ended)
        status["conditions"] = [
            {"type": "Complete", "status": "True", "lastProbeTime": when, "lastTransitionTime": when}
        ]
        status["completionTime"] = when
        status["succeeded"] = len(done)
    return status


DAY = timedelta(days=1).total_seconds()


def next_schedule(schedule: str, after: float) -> float:
    """Return when a daily schedule (`minute hour * * *`, UTC) is next due, in seconds since 1970."""
    minute, hour = (int(field) for field in schedule.split()[:2])
    moment = datetime.fromtimestamp(after, UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment.timestamp() <= after:
        moment += timedelta(days=1)
    return moment.timestamp()


def last_schedules(schedule: str, before: float, count: int) -> list[float]:
    """Return when a daily schedule was last due, `count` times, oldest first."""
    upcoming = next_schedule(schedule, before)
    return [upcoming - days * DAY for days in range(count, 0, -1)]


def reconcile_cron_job(cluster: Cluster, key: Key, at: float) -> None:
    """Start the job that is due, delete the oldest, then update the status."""
    entry = cluster.store.get(CRON_JOBS, *key)
    if entry is None:
        return
    obj = entry.object
    due = last_schedules(obj["spec"]["schedule"], at, 1)[0]
    jobs = owned_objects(cluster, JOBS, obj)
    newest = jobs[-1].object["metadata"]["creationTimestamp"] if jobs else ""
    if newest < rfc3339(due) and not obj["spec"].get("suspend"):
        jobs.append(cluster.store.put(JOBS, job(obj, due, cluster.seed)))
        cluster.enqueue(JOBS, jobs[-1].key)
    done = [one for one in jobs if one.object["status"].get("succeeded")]
    for one in done[: max(0, len(done) - int(obj["spec"].get("successfulJobsHistoryLimit", 3)))]:
        _delete_job(cluster, one, at)
        jobs.remove(one)
    active = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": one.key[1], "namespace": one.key[0]}
        for one in jobs
        if one.object["status"].get("active")
    ]
    status = {"lastScheduleTime": rfc3339(due)}
    if put_status(cluster, CRON_JOBS, entry, {**status, "active": active} if active else status):
        check_later(cluster, next_schedule(obj["spec"]["schedule"], at), CRON_JOBS, key)


def _delete_job(cluster: Cluster, entry: Entry, at: float) -> None:
    for pod in cluster.pods_of(entry.object["metadata"]["uid"]):
        cluster.delete_pod(pod, at)
    cluster.store.delete(JOBS, entry.key)
