"""CronJobs and the Jobs they start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from memtop.demo.clock import rfc3339
from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import look_again, owned, put_status
from memtop.demo.resources import CRON_JOBS, JOBS
from memtop.demo.store import Entry, Key
from memtop.demo.workloads import job

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


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Start the job that is due, remove the oldest, then tell."""
    entry = cluster.store.get(CRON_JOBS, *key)
    if entry is None:
        return
    obj = entry.object
    due = last_schedules(obj["spec"]["schedule"], at, 1)[0]
    jobs = owned(cluster, JOBS, obj)
    newest = jobs[-1].object["metadata"]["creationTimestamp"] if jobs else ""
    if newest < rfc3339(due) and not obj["spec"].get("suspend"):
        jobs.append(cluster.store.put(JOBS, job(obj, due, cluster.seed)))
        cluster.touch(JOBS, jobs[-1].key)
    done = [one for one in jobs if one.object["status"].get("succeeded")]
    for one in done[: max(0, len(done) - int(obj["spec"].get("successfulJobsHistoryLimit", 3)))]:
        _remove(cluster, one, at)
        jobs.remove(one)
    active = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": one.key[1], "namespace": one.key[0]}
        for one in jobs
        if one.object["status"].get("active")
    ]
    status = {"lastScheduleTime": rfc3339(due)}
    if put_status(cluster, CRON_JOBS, entry, {**status, "active": active} if active else status):
        look_again(cluster, next_schedule(obj["spec"]["schedule"], at), CRON_JOBS, key)


def _remove(cluster: Cluster, entry: Entry, at: float) -> None:
    for pod in cluster.pods_of(entry.object["metadata"]["uid"]):
        cluster.delete_pod(pod, at)
    cluster.store.delete(JOBS, entry.key)
