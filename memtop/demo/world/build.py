"""Builds the world: nodes, namespaces, services, and every workload as if it had run for days."""

from __future__ import annotations

from memtop.demo.clock import parse_rfc3339
from memtop.demo.cluster import PAST, Cluster
from memtop.demo.controllers.all import start_controllers
from memtop.demo.controllers.cron_job import last_schedules
from memtop.demo.curves import DAY, GIB, HOUR, seed_of
from memtop.demo.objects import metadata_of, owner_reference, suffix_of, template_hash, uid_of
from memtop.demo.pod import Pod
from memtop.demo.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    NODES,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)
from memtop.demo.scheduler import Host
from memtop.demo.store import Object
from memtop.demo.workloads import (
    CHANGE_CAUSE,
    REVISION_LABEL,
    TEMPLATE_GENERATION,
    cron_job,
    daemon_set,
    deployment,
    job,
    replica_set,
    stateful_set,
)
from memtop.demo.world.apps import App
from memtop.demo.world.cast import CAST
from memtop.demo.world.delivery import delivered
from memtop.demo.world.nodes import node_object
from memtop.demo.world.ordinary import ordinary_apps
from memtop.demo.world.policies import policies

PODS_PER_NODE = 110
EVICTED_AGO = 5.5 * HOUR


def build(cluster: Cluster, pods: int, containers: int) -> None:
    """Fill an empty cluster.

    Args:
        cluster: to be filled.
        pods: how many pods in all, roughly; never fewer than the cast has.
        containers: how many containers an ordinary pod has.
    """
    now = cluster.clock.now()
    cluster.events.remember_from(now - PAST)
    _nodes(cluster, now, pods)
    cast = sum(app.replicas if app.kind != "DaemonSet" else len(cluster.hosts) for app in CAST)
    apps = [*CAST, *ordinary_apps(max(0, pods - cast - 2), containers, cluster.seed)]
    for namespace in sorted({"default", "kube-public", *(app.namespace for app in apps)}):
        _namespace(cluster, namespace, now)
    for app in apps:
        _BUILDERS[app.kind](cluster, app, now)
    _evicted(cluster, now)
    _services(cluster, now)
    policies(cluster, now)
    start_controllers(cluster)


def _nodes(cluster: Cluster, now: float, pods: int) -> None:
    count = max(4, -(-pods // PODS_PER_NODE) + 1)
    for index in range(count):
        host = Host(
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


def _settle_in(cluster: Cluster, pod: Pod, now: float, age: float, restarts: int) -> float:
    """Return when to create a pod so that after `restarts` restarts its latest run is `age` old."""
    life = pod.mains[0].life
    return now - age - life.span(restarts) - (life.begins - pod.created)


def _pod(
    cluster: Cluster,
    app: App,
    index: int,
    name: str,
    template: Object,
    owner: Object | None,
    now: float,
    node: str | None = None,
) -> None:
    age = app.pod_age(index)
    restarts = app.restarts[index] if index < len(app.restarts) else 0
    created = now - age
    if restarts:
        probe = cluster.probe(app.namespace, name, template, created)
        created = _settle_in(cluster, probe, now, age, restarts)
    cluster.create_pod(app.namespace, name, template, owner, created, node=node)


def _deployment(cluster: Cluster, app: App, now: float) -> None:
    current = delivered(app, DEPLOYMENTS, deployment(app, now, cluster.seed), now)
    revisions = [*app.earlier, (app.boxes[0].image, app.cause)]
    for index, (image, cause) in enumerate(revisions):
        last = index == len(revisions) - 1
        created = now - app.revision_age(index)
        template = app.template(None if last else image)
        owner = current
        if cause:
            owner = {**current, "metadata": {**current["metadata"], "annotations": {CHANGE_CAUSE: cause}}}
        replicas = app.replicas if last else 0
        revision = replica_set(owner, template, index + 1, created, replicas, app.replicas, cluster.seed)
        cluster.store.put(REPLICA_SETS, revision)
        if last:
            for place, name in enumerate(_pod_names(cluster, revision, app.replicas)):
                template, reference = revision["spec"]["template"], owner_reference(REPLICA_SETS, revision)
                _pod(cluster, app, place, name, template, reference, now)
        elif (replaced := now - app.revision_age(index + 1)) > now - PAST:
            _replaced_pods(cluster, app, revision, replaced)
    cluster.store.put(DEPLOYMENTS, current)


def _pod_names(cluster: Cluster, revision: Object, count: int) -> list[str]:
    name = revision["metadata"]["name"]
    return [f"{name}-{suffix_of(5, cluster.seed, name, index)}" for index in range(count)]


def _replaced_pods(cluster: Cluster, app: App, revision: Object, gone: float) -> None:
    """Let Prometheus remember the pods of a revision that is no more."""
    created = parse_rfc3339(revision["metadata"]["creationTimestamp"])
    for name in _pod_names(cluster, revision, app.replicas):
        cluster.create_pod(
            app.namespace,
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


def _stateful_set(cluster: Cluster, app: App, now: float) -> None:
    current = delivered(app, STATEFUL_SETS, stateful_set(app, now, cluster.seed), now)
    cluster.store.put(STATEFUL_SETS, current)
    digest = f"{app.name}-{template_hash(current['spec']['template'])}"
    for index in range(app.replicas):
        name = f"{app.name}-{index}"
        template = _labelled(
            current["spec"]["template"], digest, **{"statefulset.kubernetes.io/pod-name": name}
        )
        _pod(cluster, app, index, name, template, owner_reference(STATEFUL_SETS, current), now)


def _daemon_set(cluster: Cluster, app: App, now: float) -> None:
    current = delivered(app, DAEMON_SETS, daemon_set(app, now, cluster.seed), now)
    cluster.store.put(DAEMON_SETS, current)
    digest = template_hash(current["spec"]["template"])
    template = _labelled(current["spec"]["template"], digest, **{TEMPLATE_GENERATION: "1"})
    for index, host in enumerate(cluster.hosts):
        name = f"{app.name}-{suffix_of(5, cluster.seed, app.name, host.name)}"
        _pod(cluster, app, index, name, template, owner_reference(DAEMON_SETS, current), now, host.name)


def _cron_job(cluster: Cluster, app: App, now: float) -> None:
    current = delivered(app, CRON_JOBS, cron_job(app, now, cluster.seed), now)
    cluster.store.put(CRON_JOBS, current)
    for scheduled in last_schedules(app.schedule, now, 2):
        made = job(current, scheduled, cluster.seed)
        cluster.store.put(JOBS, made)
        name = f"{made['metadata']['name']}-{suffix_of(5, cluster.seed, made['metadata']['name'])}"
        cluster.create_pod(
            app.namespace, name, made["spec"]["template"], owner_reference(JOBS, made), scheduled + 0.5
        )


def _bare(cluster: Cluster, app: App, now: float) -> None:
    _pod(cluster, app, 0, app.name, app.template(), None, now)


def _evicted(cluster: Cluster, now: float) -> None:
    """Leave one evicted pod behind on the node that is short of memory."""
    owner = next(
        entry
        for entry in cluster.store[REPLICA_SETS].select("staging")
        if entry.key[1].startswith("thumbnailer-")
    )
    created = now - 2 * DAY

    def evict(pod: Pod) -> None:
        message = (
            "The node was low on resource: memory. Container thumbnailer was using 893512Ki, "
            "which exceeds its request of 256Mi. "
        )
        pod.evicted = (now - EVICTED_AGO, message)
        pod.stop(now - EVICTED_AGO)

    cluster.create_pod(
        "staging",
        f"{owner.key[1]}-{suffix_of(5, cluster.seed, 'evicted')}",
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
