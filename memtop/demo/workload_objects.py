"""API objects of workloads: Deployments, ReplicaSets, StatefulSets, DaemonSets, CronJobs, Jobs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memtop.demo.api_resources import CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, Resource
from memtop.demo.memory_curves import DAY, HOUR
from memtop.demo.object_metadata import metadata_of, owner_reference, template_hash, uid_of
from memtop.demo.object_store import Object


@dataclass(frozen=True, slots=True)
class ContainerTemplate:
    """One container of a manifest: name, image, memory limit and request as quantities."""

    name: str
    image: str
    limit: str | None = None
    request: str | None = None
    command: tuple[str, ...] = ()
    cpu: str = "50m"

    def spec(self) -> Object:
        """Return its part of a pod spec."""
        resources: Object = {}
        if self.limit:
            resources["limits"] = {"memory": self.limit}
        if self.request:
            resources["requests"] = {"cpu": self.cpu, "memory": self.request}
        spec: Object = {"name": self.name, "image": self.image}
        if self.command:
            spec["command"] = list(self.command)
        return {
            **spec,
            "resources": resources,
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }


@dataclass(frozen=True, slots=True)
class DemoWorkload:
    """One workload.

    Attributes:
        namespace: its namespace.
        name: its name and its `app` label.
        containers: its containers.
        kind: `Deployment`, `StatefulSet`, `DaemonSet`, `CronJob` or `Pod`.
        replicas: how many pods.
        init_containers: its init containers.
        labels: labels besides `app`.
        run_ages: seconds since the current run of each pod's first container began, for the pods in turn.
        restarts: how often each pod has restarted before that run.
        age: seconds since the workload was created.
        earlier: images of earlier revisions, oldest first, each with its change cause.
        revision_ages: seconds since each revision but the first was rolled out; by default a day apart.
        change_cause: the change cause of the current revision.
        strategy: `RollingUpdate`, `Recreate` or `OnDelete`.
        paused: whether the Deployment is paused.
        deadline: progressDeadlineSeconds of a Deployment.
        schedule: of a CronJob, `minute hour * * *`.
        deployed_by: the tool that deployed it: `kubectl`, `helm`, `argocd` or `flux`.
    """

    namespace: str
    name: str
    containers: tuple[ContainerTemplate, ...]
    kind: str = "Deployment"
    replicas: int = 1
    init_containers: tuple[ContainerTemplate, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    run_ages: tuple[float, ...] = ()
    restarts: tuple[int, ...] = ()
    age: float = 9 * DAY
    earlier: tuple[tuple[str, str], ...] = ()
    revision_ages: tuple[float, ...] = ()
    change_cause: str = ""
    strategy: str = "RollingUpdate"
    paused: bool = False
    deadline: int = 600
    schedule: str = "0 2 * * *"
    deployed_by: str = "kubectl"

    @property
    def selector(self) -> dict[str, str]:
        """The labels its pods are found by."""
        return {"app": self.name}

    def template(self, image: str | None = None) -> Object:
        """Return the pod template, with another image for the first container if one is given."""
        containers = [container.spec() for container in self.containers]
        if image is not None:
            containers[0]["image"] = image
        spec: Object = {}
        if self.init_containers:
            spec["initContainers"] = [container.spec() for container in self.init_containers]
        spec["containers"] = containers
        spec |= {
            "restartPolicy": "Never" if self.kind == "CronJob" else "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        }
        metadata: Object = {"creationTimestamp": None, "labels": {**self.selector, **self.labels}}
        return {"metadata": metadata, "spec": spec}

    def revision_age(self, index: int) -> float:
        """Return how many seconds ago a revision of `earlier` and the present one was rolled out."""
        if index == 0 or not self.revision_ages:
            return self.age - index * DAY
        return self.revision_ages[index - 1]

    def pod_age(self, index: int) -> float:
        """Return the age of the pod's current run, by default one to three days."""
        if index < len(self.run_ages):
            return self.run_ages[index]
        return min(self.age - HOUR, 1.2 * DAY + (index * 5077.0) % (2 * DAY))


REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
HASH_LABEL = "pod-template-hash"
REVISION_LABEL = "controller-revision-hash"
HISTORY_LABEL = "controller.kubernetes.io/hash"
TEMPLATE_GENERATION = "pod-template-generation"


def _metadata(
    workload: DemoWorkload, kind: str, now: float, seed: int, annotations: dict[str, str] | None = None
) -> Object:
    return metadata_of(
        workload.name,
        workload.namespace,
        uid=uid_of(seed, kind, workload.namespace, workload.name),
        created=now - workload.age,
        labels={**workload.selector, **workload.labels},
        annotations=annotations,
        generation=1 + len(workload.earlier),
    )


def deployment(workload: DemoWorkload, now: float, seed: int) -> Object:
    """Return the Deployment of a workload."""
    annotations = {REVISION: str(1 + len(workload.earlier))}
    if workload.change_cause:
        annotations[CHANGE_CAUSE] = workload.change_cause
    strategy: Object = {"type": workload.strategy}
    if workload.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxUnavailable": "25%", "maxSurge": "25%"}
    spec: Object = {
        "replicas": workload.replicas,
        "selector": {"matchLabels": workload.selector},
        "template": workload.template(),
        "strategy": strategy,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": workload.deadline,
    }
    if workload.paused:
        spec["paused"] = True
    return {"metadata": _metadata(workload, "Deployment", now, seed, annotations), "spec": spec, "status": {}}


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
    change_cause = (metadata.get("annotations") or {}).get(CHANGE_CAUSE)
    if change_cause:
        annotations[CHANGE_CAUSE] = change_cause
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


def stateful_set(workload: DemoWorkload, now: float, seed: int) -> Object:
    """Return the StatefulSet of a workload."""
    strategy: Object = {"type": workload.strategy}
    if workload.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {"partition": 0}
    return {
        "metadata": _metadata(workload, "StatefulSet", now, seed),
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": workload.selector},
            "template": workload.template(),
            "serviceName": workload.name,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": strategy,
            "revisionHistoryLimit": 10,
        },
        "status": {},
    }


def daemon_set(workload: DemoWorkload, now: float, seed: int) -> Object:
    """Return the DaemonSet of a workload."""
    strategy: Object = {"type": workload.strategy}
    if workload.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxUnavailable": 1}
    return {
        "metadata": _metadata(workload, "DaemonSet", now, seed),
        "spec": {
            "selector": {"matchLabels": workload.selector},
            "template": workload.template(),
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


def cron_job(workload: DemoWorkload, now: float, seed: int) -> Object:
    """Return the CronJob of a workload."""
    return {
        "metadata": _metadata(workload, "CronJob", now, seed),
        "spec": {
            "schedule": workload.schedule,
            "concurrencyPolicy": "Forbid",
            "suspend": False,
            "jobTemplate": {
                "metadata": {"creationTimestamp": None},
                "spec": {"template": workload.template()},
            },
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
