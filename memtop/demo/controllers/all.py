"""Puts the controllers to work."""

from __future__ import annotations

from memtop.demo.cluster import Cluster
from memtop.demo.controllers import (
    autoscaler,
    cron_job,
    daemon_set,
    deployment,
    disruption,
    job,
    quota,
    replica_set,
    stateful_set,
)
from memtop.demo.resources import (
    AUTOSCALERS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    QUOTAS,
    REPLICA_SETS,
    STATEFUL_SETS,
)

CONTROLLERS = {
    REPLICA_SETS: replica_set.reconcile,
    DEPLOYMENTS: deployment.reconcile,
    STATEFUL_SETS: stateful_set.reconcile,
    DAEMON_SETS: daemon_set.reconcile,
    JOBS: job.reconcile,
    CRON_JOBS: cron_job.reconcile,
    DISRUPTION_BUDGETS: disruption.reconcile,
    QUOTAS: quota.reconcile,
    AUTOSCALERS: autoscaler.reconcile,
}


def start_controllers(cluster: Cluster) -> None:
    """Let controllers look after everything there is."""
    for resource, reconcile in CONTROLLERS.items():
        cluster.controls(resource, reconcile)
    for resource in CONTROLLERS:
        for key in tuple(cluster.store[resource].entries):
            cluster.touch(resource, key)
    cluster.settle(cluster.clock.now())
