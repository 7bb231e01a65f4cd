"""API objects of workloads: Deployments, ReplicaSets, StatefulSets, DaemonSets, CronJobs, Jobs."""

from __future__ import annotations

import copy
from typing import Any

from memtop.demo.objects import metadata_of, owner_reference, template_hash, uid_of
from memtop.demo.resources import CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, Resource
from memtop.demo.store import Object
from memtop.demo.world.apps import App

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
HASH_LABEL = "pod-template-hash"
REVISION_LABEL = "controller-revision-hash"
HISTORY_LABEL = "controller.kubernetes.io/hash"
TEMPLATE_GENERATION = "pod-template-generation"


def _metadata(
    app: App, kind: str, now: float, seed: int, annotations: dict[str, str] | None = None
) -> Object:
    return metadata_of(
        app.name,
        app.namespace,
        uid=uid_of(seed, kind, app.namespace, app.name),
        created=now - app.age,
        labels={**app.selector, **app.labels},
        annotations=annotations,
        generation=1 + len(app.earlier),
    )


def deployment(app: App, now: float, seed: int) -> Object:
    """Return the Deployment of an app."""
    annotations = {REVISION: str(1 + len(app.earlier))}
    if app.cause:
        annotations[CHANGE_CAUSE] = app.cause
    strategy: Object = {"type": app.strategy}
    if app.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxUnavailable": "25%", "maxSurge": "25%"}
    spec: Object = {
        "replicas": app.replicas,
        "selector": {"matchLabels": app.selector},
        "template": app.template(),
        "strategy": strategy,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": app.deadline,
    }
    if app.paused:
        spec["paused"] = True
    return {"metadata": _metadata(app, "Deployment", now, seed, annotations), "spec": spec, "status": {}}


def replica_set(
    owner: Object, template: Object, revision: int, created: float, replicas: int, desired: int, seed: int
) -> Object:
    """Return the ReplicaSet of one revision of a Deployment."""
    metadata = owner["metadata"]
    digest = template_hash(template)
    labels = {**template["metadata"]["labels"], HASH_LABEL: digest}
    annotations = {
        "deployment.kubernetes.io/desired-replicas": str(desired),
        "deployment.kubernetes.io/max-replicas": str(desired + -(-desired // 4)),
        REVISION: str(revision),
    }
    cause = (metadata.get("annotations") or {}).get(CHANGE_CAUSE)
    if cause:
        annotations[CHANGE_CAUSE] = cause
    name = f"{metadata['name']}-{digest}"
    template = copy.deepcopy(template)
    template["metadata"]["labels"] = labels
    return {
        "metadata": metadata_of(
            name,
            metadata["namespace"],
            uid=uid_of(seed, "ReplicaSet", metadata["uid"], digest),
            created=created,
            labels=labels,
            annotations=annotations,
            owner=owner_reference(DEPLOYMENTS, owner),
            generation=1,
        ),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {**owner["spec"]["selector"]["matchLabels"], HASH_LABEL: digest}},
            "template": template,
        },
        "status": {"replicas": 0},
    }


def stateful_set(app: App, now: float, seed: int) -> Object:
    """Return the StatefulSet of an app."""
    strategy: Object = {"type": app.strategy}
    if app.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {"partition": 0}
    return {
        "metadata": _metadata(app, "StatefulSet", now, seed),
        "spec": {
            "replicas": app.replicas,
            "selector": {"matchLabels": app.selector},
            "template": app.template(),
            "serviceName": app.name,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": strategy,
            "revisionHistoryLimit": 10,
        },
        "status": {},
    }


def daemon_set(app: App, now: float, seed: int) -> Object:
    """Return the DaemonSet of an app."""
    strategy: Object = {"type": app.strategy}
    if app.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxUnavailable": 1}
    return {
        "metadata": _metadata(app, "DaemonSet", now, seed),
        "spec": {
            "selector": {"matchLabels": app.selector},
            "template": app.template(),
            "updateStrategy": strategy,
            "revisionHistoryLimit": 10,
        },
        "status": {},
    }


def controller_revision(resource: Resource, owner: Object, number: int, created: float, seed: int) -> Object:
    """Return the ControllerRevision of a StatefulSet's or DaemonSet's present template."""
    metadata, template = owner["metadata"], owner["spec"]["template"]
    digest = template_hash(template)
    daemons = resource is DAEMON_SETS
    return {
        "metadata": metadata_of(
            f"{metadata['name']}-{digest}",
            metadata["namespace"],
            uid=uid_of(seed, "ControllerRevision", metadata["uid"], digest),
            created=created,
            labels={**template["metadata"]["labels"], REVISION_LABEL if daemons else HISTORY_LABEL: digest},
            annotations=metadata.get("annotations"),
            owner=owner_reference(resource, owner),
        ),
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }


def cron_job(app: App, now: float, seed: int) -> Object:
    """Return the CronJob of an app."""
    return {
        "metadata": _metadata(app, "CronJob", now, seed),
        "spec": {
            "schedule": app.schedule,
            "concurrencyPolicy": "Forbid",
            "suspend": False,
            "jobTemplate": {"metadata": {"creationTimestamp": None}, "spec": {"template": app.template()}},
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
        "status": {},
    }


def job(owner: Object, scheduled: float, seed: int) -> Object:
    """Return the Job a CronJob starts at `scheduled`."""
    metadata = owner["metadata"]
    name = f"{metadata['name']}-{int(scheduled // 60)}"
    uid = uid_of(seed, "Job", metadata["namespace"], name)
    template: dict[str, Any] = copy.deepcopy(owner["spec"]["jobTemplate"]["spec"]["template"])
    labels = {**template["metadata"]["labels"], "controller-uid": uid, "job-name": name}
    template["metadata"]["labels"] = labels
    return {
        "metadata": metadata_of(
            name,
            metadata["namespace"],
            uid=uid,
            created=scheduled,
            labels=labels,
            owner=owner_reference(CRON_JOBS, owner),
            generation=1,
        ),
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "selector": {"matchLabels": {"controller-uid": uid}},
            "template": template,
        },
        "status": {},
    }
