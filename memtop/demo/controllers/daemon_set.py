"""DaemonSets: one pod on every node."""

from __future__ import annotations

import contextlib

from memtop.demo.admission import ForbiddenError
from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import (
    alive,
    create_pod,
    fresh_name,
    pods_hash,
    put_status,
    resolved,
    revision_of,
    template_of,
)
from memtop.demo.resources import DAEMON_SETS
from memtop.demo.store import Key
from memtop.demo.workloads import REVISION_LABEL, TEMPLATE_GENERATION


def reconcile(cluster: Cluster, key: Key, at: float) -> None:
    """Give every node its pod, replace old ones as the strategy says, then tell."""
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
                name = fresh_name(key[1], cluster)
                create_pod(cluster, DAEMON_SETS, obj, name, template, at, node=host.name)
    pods = alive(cluster, obj, at)
    wanted = len(cluster.hosts)
    strategy = obj["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        bound = resolved((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), wanted, up=True)
        down = wanted - sum(pod.ready_since(at) is not None for pod in pods)
        for pod in [pod for pod in pods if pod.labels.get(REVISION_LABEL) != digest]:
            broken = pod.ready_since(at) is None
            if broken or down < bound:
                down += 0 if broken else 1
                cluster.delete_pod(pod, at)
        pods = alive(cluster, obj, at)
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
