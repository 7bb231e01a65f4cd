"""Builds the demo's cluster: nodes, namespaces, services, and every workload as if it had run for days."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from memtop.demo.api_resources import (
    AUTOSCALERS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    NAMESPACES,
    NODES,
    QUOTAS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from memtop.demo.controllers.deployments import reconcile_deployment, reconcile_replica_set
from memtop.demo.controllers.policies import (
    reconcile_autoscaler,
    reconcile_disruption_budget,
    reconcile_quota,
)
from memtop.demo.controllers.stateful_sets_and_jobs import (
    last_schedules,
    reconcile_cron_job,
    reconcile_daemon_set,
    reconcile_job,
    reconcile_stateful_set,
)
from memtop.demo.memory_curves import DAY, GIB, HOUR, seed_of
from memtop.demo.object_metadata import (
    FieldWriter,
    Path,
    field_paths,
    managed_fields_entry,
    managed_values,
    metadata_of,
    owner_reference,
    random_suffix,
    template_hash,
    uid_of,
)
from memtop.demo.object_store import Object
from memtop.demo.pod_admission import SimulatedNode
from memtop.demo.scenario.cluster_objects import add_policies, node_object
from memtop.demo.scenario.demo_workloads import STORY_WORKLOADS, ordinary_workloads
from memtop.demo.simulated_cluster import PAST, Cluster
from memtop.demo.simulated_pod import SimulatedPod
from memtop.demo.simulated_time import parse_rfc3339
from memtop.demo.workload_objects import (
    CHANGE_CAUSE,
    REVISION_LABEL,
    TEMPLATE_GENERATION,
    DemoWorkload,
    cron_job,
    daemon_set,
    deployment,
    job,
    replica_set,
    stateful_set,
)

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
REVISION = "deployment.kubernetes.io/revision"

_MANAGERS = {
    "kubectl": FieldWriter("kubectl-client-side-apply"),
    "helm": FieldWriter("helm"),
    "argocd": FieldWriter("argocd-controller", "Apply"),
    "flux": FieldWriter("kustomize-controller", "Apply"),
}
_CONTROLLERS = FieldWriter("kube-controller-manager", subresource="status")
_SET = FieldWriter("kubectl-set")


def with_deployer_traces(workload: DemoWorkload, resource: Resource, obj: Object, now: float) -> Object:
    """Return a workload with the labels, annotations and managed fields of the tool that deployed it."""
    metadata = dict(obj["metadata"])
    labels, annotations = _deployer_traces(workload, resource, obj)
    metadata["labels"] = {**metadata["labels"], **labels}
    metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    traced = {**obj, "metadata": metadata}
    created = now - workload.age
    every = set(managed_values(traced))
    controllers = {path for path in every if path[-1] == f"f:{REVISION}"}
    by_hand = _images(every) if workload.change_cause else set()
    managed = [
        managed_fields_entry(
            _MANAGERS[workload.deployed_by], resource, every - controllers - by_hand, created
        )
    ]
    if by_hand:
        managed.append(
            managed_fields_entry(_SET, resource, by_hand, now - workload.revision_age(len(workload.earlier)))
        )
    status: set[Path] = set(field_paths({"f:status": {"f:observedGeneration": {}, "f:replicas": {}}}))
    managed.append(managed_fields_entry(_CONTROLLERS, resource, controllers | status, now))
    metadata["managedFields"] = managed
    return traced


def _images(paths: Iterable[Path]) -> set[Path]:
    return {path for path in paths if path[-1] == "f:image" and "f:containers" in path}


def _deployer_traces(
    workload: DemoWorkload, resource: Resource, obj: Object
) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels and annotations."""
    match workload.deployed_by:
        case "helm":
            release = {
                "meta.helm.sh/release-name": workload.name,
                "meta.helm.sh/release-namespace": workload.namespace,
            }
            return {
                "workload.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": f"{workload.name}-0.9.2",
            }, release
        case "argocd":
            tracked = (
                f"{workload.namespace}:{resource.group}/{resource.kind}:{workload.namespace}/{workload.name}"
            )
            return {"workload.kubernetes.io/instance": workload.namespace}, {
                "argocd.argoproj.io/tracking-id": tracked
            }
        case "flux":
            prefix = "kustomize.toolkit.fluxcd.io"
            return {f"{prefix}/name": workload.namespace, f"{prefix}/namespace": "flux-system"}, {}
        case _:
            return {}, {LAST_APPLIED: _manifest(workload, resource, obj)}


def _manifest(workload: DemoWorkload, resource: Resource, obj: Object) -> str:
    """Return the manifest as kubectl stores it in `LAST_APPLIED`."""
    metadata = {"annotations": {}, "labels": obj["metadata"]["labels"]}
    document = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**metadata, "name": workload.name, "namespace": workload.namespace},
        "spec": obj["spec"],
    }
    return msgspec.json.encode(document, order="sorted").decode() + "\n"


CONTROLLERS = {
    REPLICA_SETS: reconcile_replica_set,
    DEPLOYMENTS: reconcile_deployment,
    STATEFUL_SETS: reconcile_stateful_set,
    DAEMON_SETS: reconcile_daemon_set,
    JOBS: reconcile_job,
    CRON_JOBS: reconcile_cron_job,
    DISRUPTION_BUDGETS: reconcile_disruption_budget,
    QUOTAS: reconcile_quota,
    AUTOSCALERS: reconcile_autoscaler,
}


def start_controllers(cluster: Cluster) -> None:
    """Start the controllers and reconcile all objects."""
    for resource, reconcile in CONTROLLERS.items():
        cluster.add_controller(resource, reconcile)
    for resource in CONTROLLERS:
        for key in tuple(cluster.store[resource].entries):
            cluster.enqueue(resource, key)
    cluster.reconcile_queue(cluster.clock.now())


PODS_PER_NODE = 110
EVICTED_AGO = 5.5 * HOUR


def build(cluster: Cluster, pods: int, containers_per_pod: int) -> None:
    """Fill an empty cluster.

    Args:
        cluster: the cluster.
        pods: how many pods in all, roughly; at least those of the story.
        containers_per_pod: how many containers an ordinary pod has.
    """
    now = cluster.clock.now()
    cluster.events.remember_from(now - PAST)
    _nodes(cluster, now, pods)
    story_pods = sum(
        workload.replicas if workload.kind != "DaemonSet" else len(cluster.hosts)
        for workload in STORY_WORKLOADS
    )
    workloads = [
        *STORY_WORKLOADS,
        *ordinary_workloads(max(0, pods - story_pods - 2), containers_per_pod, cluster.seed),
    ]
    for namespace in sorted({"default", "kube-public", *(workload.namespace for workload in workloads)}):
        _namespace(cluster, namespace, now)
    for workload in workloads:
        _BUILDERS[workload.kind](cluster, workload, now)
    _evicted(cluster, now)
    _services(cluster, now)
    add_policies(cluster, now)
    start_controllers(cluster)


def _nodes(cluster: Cluster, now: float, pods: int) -> None:
    count = max(4, -(-pods // PODS_PER_NODE) + 1)
    for index in range(count):
        host = SimulatedNode(
            f"node-{index + 1}", f"10.0.{index // 250}.{index % 250 + 10}", int((32 if index else 16) * GIB)
        )
        cluster.hosts.append(host)
        pressed = index == 1
        cluster.store.put(NODES, node_object(host, now, pressed=pressed, seed=cluster.seed))


def _namespace(cluster: Cluster, name: str, now: float) -> None:
    metadata = metadata_of(
        name,
        uid=uid_of(cluster.seed, "Namespace", name),
        created=now - 90 * DAY,
        labels={"kubernetes.io/metadata.name": name},
    )
    cluster.store.put(
        NAMESPACES,
        {"metadata": metadata, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}},
    )


def _creation_time(cluster: Cluster, pod: SimulatedPod, now: float, age: float, restarts: int) -> float:
    """Return when to create a pod so that after `restarts` restarts its latest run is `age` old."""
    timeline = pod.mains[0].timeline
    return now - age - timeline.span(restarts) - (timeline.begins - pod.created)


def _pod(
    cluster: Cluster,
    workload: DemoWorkload,
    index: int,
    name: str,
    template: Object,
    owner: Object | None,
    now: float,
    node: str | None = None,
) -> None:
    age = workload.pod_age(index)
    restarts = workload.restarts[index] if index < len(workload.restarts) else 0
    created = now - age
    if restarts:
        preview_pod = cluster.preview_pod(workload.namespace, name, template, created)
        created = _creation_time(cluster, preview_pod, now, age, restarts)
    cluster.create_pod(workload.namespace, name, template, owner, created, node=node)


def _deployment(cluster: Cluster, workload: DemoWorkload, now: float) -> None:
    current = with_deployer_traces(workload, DEPLOYMENTS, deployment(workload, now, cluster.seed), now)
    revisions = [*workload.earlier, (workload.containers[0].image, workload.change_cause)]
    for index, (image, change_cause) in enumerate(revisions):
        last = index == len(revisions) - 1
        created = now - workload.revision_age(index)
        template = workload.template(None if last else image)
        owner = current
        if change_cause:
            owner = {
                **current,
                "metadata": {**current["metadata"], "annotations": {CHANGE_CAUSE: change_cause}},
            }
        replicas = workload.replicas if last else 0
        revision = replica_set(owner, template, index + 1, created, replicas, workload.replicas, cluster.seed)
        cluster.store.put(REPLICA_SETS, revision)
        if last:
            for place, name in enumerate(_pod_names(cluster, revision, workload.replicas)):
                template, reference = revision["spec"]["template"], owner_reference(REPLICA_SETS, revision)
                _pod(cluster, workload, place, name, template, reference, now)
        elif (replaced := now - workload.revision_age(index + 1)) > now - PAST:
            _replaced_pods(cluster, workload, revision, replaced)
    cluster.store.put(DEPLOYMENTS, current)


def _pod_names(cluster: Cluster, revision: Object, count: int) -> list[str]:
    name = revision["metadata"]["name"]
    return [f"{name}-{random_suffix(5, cluster.seed, name, index)}" for index in range(count)]


def _replaced_pods(cluster: Cluster, workload: DemoWorkload, revision: Object, gone: float) -> None:
    """Create the deleted pods of an earlier revision, for Prometheus' past."""
    created = parse_rfc3339(revision["metadata"]["creationTimestamp"])
    for name in _pod_names(cluster, revision, workload.replicas):
        cluster.create_pod(
            workload.namespace,
            name,
            revision["spec"]["template"],
            owner_reference(REPLICA_SETS, revision),
            created,
            prepare=lambda pod: pod.stop(gone),
            show=False,
        )


def _labelled(template: Object, digest: str, **labels: str) -> Object:
    metadata = template["metadata"]
    own = {**metadata["labels"], REVISION_LABEL: digest, **labels}
    return {**template, "metadata": {**metadata, "labels": own}}


def _stateful_set(cluster: Cluster, workload: DemoWorkload, now: float) -> None:
    current = with_deployer_traces(workload, STATEFUL_SETS, stateful_set(workload, now, cluster.seed), now)
    cluster.store.put(STATEFUL_SETS, current)
    digest = f"{workload.name}-{template_hash(current['spec']['template'])}"
    for index in range(workload.replicas):
        name = f"{workload.name}-{index}"
        template = _labelled(
            current["spec"]["template"], digest, **{"statefulset.kubernetes.io/pod-name": name}
        )
        _pod(cluster, workload, index, name, template, owner_reference(STATEFUL_SETS, current), now)


def _daemon_set(cluster: Cluster, workload: DemoWorkload, now: float) -> None:
    current = with_deployer_traces(workload, DAEMON_SETS, daemon_set(workload, now, cluster.seed), now)
    cluster.store.put(DAEMON_SETS, current)
    digest = template_hash(current["spec"]["template"])
    template = _labelled(current["spec"]["template"], digest, **{TEMPLATE_GENERATION: "1"})
    for index, host in enumerate(cluster.hosts):
        name = f"{workload.name}-{random_suffix(5, cluster.seed, workload.name, host.name)}"
        _pod(cluster, workload, index, name, template, owner_reference(DAEMON_SETS, current), now, host.name)


def _cron_job(cluster: Cluster, workload: DemoWorkload, now: float) -> None:
    current = with_deployer_traces(workload, CRON_JOBS, cron_job(workload, now, cluster.seed), now)
    cluster.store.put(CRON_JOBS, current)
    for scheduled in last_schedules(workload.schedule, now, 2):
        made = job(current, scheduled, cluster.seed)
        cluster.store.put(JOBS, made)
        name = f"{made['metadata']['name']}-{random_suffix(5, cluster.seed, made['metadata']['name'])}"
        cluster.create_pod(
            workload.namespace, name, made["spec"]["template"], owner_reference(JOBS, made), scheduled + 0.5
        )


def _bare(cluster: Cluster, workload: DemoWorkload, now: float) -> None:
    _pod(cluster, workload, 0, workload.name, workload.template(), None, now)


def _evicted(cluster: Cluster, now: float) -> None:
    """Create one evicted pod on the node with memory pressure."""
    owner = next(
        entry
        for entry in cluster.store[REPLICA_SETS].select("staging")
        if entry.key[1].startswith("thumbnailer-")
    )
    created = now - 2 * DAY

    def evict(pod: SimulatedPod) -> None:
        message = (
            "The node was low on resource: memory. Container thumbnailer was using 893512Ki, "
            "which exceeds its request of 256Mi. "
        )
        pod.evicted = (now - EVICTED_AGO, message)
        pod.stop(now - EVICTED_AGO)

    cluster.create_pod(
        "staging",
        f"{owner.key[1]}-{random_suffix(5, cluster.seed, 'evicted')}",
        owner.object["spec"]["template"],
        owner_reference(REPLICA_SETS, owner.object),
        created,
        node="node-2",
        prepare=evict,
    )


def _services(cluster: Cluster, now: float) -> None:
    wanted = [
        ("default", "kubernetes", "https", 443, {"component": "apiserver"}),
        ("observability", "prometheus-service", "web", 9090, {"app": "prometheus"}),
        ("observability", "grafana", "http", 3000, {"app": "grafana"}),
        ("production", "user-service", "http", 8080, {"app": "user-service"}),
        ("kube-system", "metrics-server", "https", 443, {"app": "metrics-server"}),
    ]
    for namespace, name, port, number, labels in wanted:
        address = f"10.96.{seed_of(name) % 250}.{seed_of(namespace, name) % 250 + 1}"
        metadata = metadata_of(
            name,
            namespace,
            uid=uid_of(cluster.seed, "Service", namespace, name),
            created=now - 80 * DAY,
            labels=labels,
        )
        spec = {
            "ports": [{"name": port, "protocol": "TCP", "port": number, "targetPort": number}],
            "selector": labels,
            "clusterIP": address,
            "clusterIPs": [address],
            "type": "ClusterIP",
            "sessionAffinity": "None",
        }
        cluster.store.put(SERVICES, {"metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}})


_BUILDERS = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "CronJob": _cron_job,
    "Pod": _bare,
}
