"""Jobs: a pod that has to succeed once."""

from __future__ import annotations

from memtop.demo.clock import rfc3339
from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import fresh_name, put_status
from memtop.demo.events import Saying
from memtop.demo.objects import owner_reference
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
        name = fresh_name(key[1], cluster)
        pods.append(cluster.create_pod(key[0], name, obj["spec"]["template"], owner_reference(JOBS, obj), at))
        saying = Saying("SuccessfulCreate", f"Created pod: {name}", "job-controller")
        cluster.events.about(JOBS, obj, saying, at)
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
