"""Objects beside the workloads: nodes, disruption budgets, quotas, limit ranges, autoscalers."""

from __future__ import annotations

from typing import Any

from memtop.demo.api_resources import (
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    LIMIT_RANGES,
    QUOTAS,
    VERSION,
    VERTICAL_AUTOSCALERS,
    Resource,
)
from memtop.demo.memory_curves import DAY
from memtop.demo.object_metadata import metadata_of, uid_of
from memtop.demo.object_store import Object
from memtop.demo.pod_admission import LIMITS, PODS, REQUESTS, SimulatedNode
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_time import rfc3339


def node_object(host: SimulatedNode, now: float, *, pressed: bool, seed: int) -> Object:
    """Return a node; `pressed` says whether it reports MemoryPressure."""
    booted = now - 60 * DAY
    memory = f"{host.memory // 1024}Ki"
    conditions = [
        _node_condition("MemoryPressure", pressed, now - 5.6 * 3600 if pressed else booted, now),
        _node_condition("DiskPressure", False, booted, now),
        _node_condition("PIDPressure", False, booted, now),
        _node_condition("Ready", True, booted, now),
    ]
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": host.name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"zone-{'abc'[len(host.name) % 3]}",
    }
    spec: Object = {}
    if pressed:
        spec["taints"] = [{"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}]
    return {
        "metadata": metadata_of(
            host.name, uid=uid_of(seed, "Node", host.name), created=booted, labels=labels
        ),
        "spec": spec,
        "status": {
            "capacity": {"cpu": "8", "memory": memory, "pods": "250"},
            "allocatable": {
                "cpu": "7800m",
                "memory": f"{host.allocatable // 1024}Ki",
                "pods": "250",
            },
            "conditions": conditions,
            "addresses": [
                {"type": "InternalIP", "address": host.address},
                {"type": "Hostname", "address": host.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": uid_of(seed, host.name, "machine").replace("-", ""),
                "systemUUID": uid_of(seed, host.name, "system"),
                "bootID": uid_of(seed, host.name, "boot"),
                "kernelVersion": "6.1.0-28-amd64",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "containerRuntimeVersion": "containerd://1.7.24",
                "kubeletVersion": VERSION,
                "kubeProxyVersion": VERSION,
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    }


_CONDITION_WORDS = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "KubeletHasSufficientMemory", "memory"),
    "DiskPressure": ("KubeletHasDiskPressure", "KubeletHasNoDiskPressure", "disk"),
    "PIDPressure": ("KubeletHasInsufficientPID", "KubeletHasSufficientPID", "PID"),
}


def _node_condition(kind: str, holds: bool, since: float, now: float) -> Object:
    if kind == "Ready":
        reason, message = "KubeletReady", "kubelet is posting ready status"
    else:
        bad, good, what = _CONDITION_WORDS[kind]
        reason = bad if holds else good
        message = f"kubelet has {'insufficient' if holds else 'sufficient'} {what} available"
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": rfc3339(since),
        "reason": reason,
        "message": message,
    }


BOUNDED = "staging"
"""The namespace with a quota and a limit range."""

_GIB = 1 << 30


def add_policies(cluster: Cluster, now: float) -> None:
    """Create the budgets, quotas, limit ranges and autoscalers."""

    def put(resource: Resource, namespace: str, name: str, spec: Any) -> None:  # noqa: ANN401  any JSON
        metadata = metadata_of(
            name,
            namespace,
            uid=uid_of(cluster.seed, resource.kind, namespace, name),
            created=now - 9 * DAY,
            generation=1,
        )
        obj = {"metadata": metadata, "spec": spec}
        cluster.store.put(resource, obj if resource is LIMIT_RANGES else {**obj, "status": {}})

    # user-service needs two ready pods at all times; one pod of the database may be missing.
    put(DISRUPTION_BUDGETS, "production", "user-service", {"minAvailable": 2, **_selecting("user-service")})
    put(DISRUPTION_BUDGETS, "payments", "postgres", {"maxUnavailable": 1, **_selecting("postgres")})
    put(QUOTAS, BOUNDED, "memory", {"hard": _quota_limits(cluster)})
    put(LIMIT_RANGES, BOUNDED, "memory", {"limits": [_LIMIT_RANGE]})
    target = {"apiVersion": "apps/v1", "kind": "Deployment"}
    utilization = {"type": "Utilization", "averageUtilization": 90}
    scaling = {
        "scaleTargetRef": {**target, "name": "order-service"},
        "minReplicas": 2,
        "maxReplicas": 6,
        "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": utilization}}],
    }
    put(AUTOSCALERS, "production", "order-service", scaling)
    vertical = {
        "targetRef": {**target, "name": "search-indexer"},
        "updatePolicy": {"updateMode": "Auto"},
        "resourcePolicy": {
            "containerPolicies": [
                {"containerName": "*", "controlledResources": ["memory"], "maxAllowed": {"memory": "3Gi"}}
            ]
        },
    }
    put(VERTICAL_AUTOSCALERS, "production", "search-indexer", vertical)


_LIMIT_RANGE = {
    "type": "Container",
    "default": {"memory": "512Mi"},
    "defaultRequest": {"memory": "128Mi"},
    "min": {"memory": "16Mi"},
    "max": {"memory": "6Gi"},
}


def _selecting(workload: str) -> dict[str, Any]:
    return {"selector": {"matchLabels": {"app": workload}}}


def _quota_limits(cluster: Cluster) -> dict[str, str]:
    """Return a quota with room for one large pod and for the surge of a rollout."""
    used = cluster.usage.of(BOUNDED)
    room = {name: max(3 * _GIB, used[name] // 4) for name in (LIMITS, REQUESTS)}
    memory = {name: f"{-(-(used[name] + more) // _GIB)}Gi" for name, more in room.items()}
    return {**memory, PODS: str(used[PODS] + max(10, used[PODS] // 4))}
