"""Jobs: a pod that has to succeed once."""

from __future__ import annotations

import contextlib

from memtop.demo.admission import ForbiddenError
from memtop.demo.clock import rfc3339
from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import create_pod, fresh_name, put_status
from memtop.demo.pod import Pod
from memtop.demo.resources import CRON_JOBS, JOBS
from memtop.demo.store import Key, Object


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Run the job's pod if it has not run, then tell."""
    entry = cluster.store.get(JOBS, *key)
    if entry is None:
        return
    obj = entry.object
    pods = cluster.pods_of(obj["metadata"]["uid"])
    failures = sum(pod.finished(at) == "Failed" for pod in pods)
    if failures == len(pods) and failures <= obj["spec"].get("backoffLimit", 6):
        with contextlib.suppress(ForbiddenError):
            name = fresh_name(key[1], cluster)
            pods.append(create_pod(cluster, JOBS, obj, name, obj["spec"]["template"], at))
    if put_status(cluster, JOBS, cluster.store[JOBS].entries[key], _status(obj, pods, at)):
        for owner in obj["metadata"].get("ownerReferences", ()):
            cluster.touch(CRON_JOBS, (key[0], owner["name"]))


def _status(obj: Object, pods: list[Pod], at: float) -> Object:
    status: Object = {"startTime": obj["metadata"]["creationTimestamp"]}
    done = [pod for pod in pods if pod.finished(at) == "Succeeded"]
    failed = sum(pod.finished(at) == "Failed" for pod in pods)
    active = len(pods) - len(done) - failed
    if active:
        status["active"] = active
    if failed:
        status["failed"] = failed
    if done:
        ended = max(run.end for pod in done for main in pod.mains for run in main.life.runs(at))
        when = rfc3339(ended)
        status["conditions"] = [
            {"type": "Complete", "status": "True", "lastProbeTime": when, "lastTransitionTime": when}
        ]
        status["completionTime"] = when
        status["succeeded"] = len(done)
    return status
