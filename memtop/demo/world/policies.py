"""The rules workloads live under: disruption budgets, quotas, limit ranges, autoscalers."""

from __future__ import annotations

from typing import Any

from memtop.demo.admission import LIMITS, PODS, REQUESTS
from memtop.demo.cluster import Cluster
from memtop.demo.curves import DAY
from memtop.demo.objects import metadata_of, uid_of
from memtop.demo.resources import (
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    LIMIT_RANGES,
    QUOTAS,
    VERTICAL_AUTOSCALERS,
    Resource,
)

BOUNDED = "staging"
"""The namespace with a quota and a limit range."""

_GIB = 1 << 30


def policies(cluster: Cluster, now: float) -> None:
    """Lay down the rules for the workloads that are there."""

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

    # Two pods of the service everyone looks at must always work; the database can miss one at a time.
    put(DISRUPTION_BUDGETS, "production", "user-service", {"minAvailable": 2, **_selecting("user-service")})
    put(DISRUPTION_BUDGETS, "payments", "postgres", {"maxUnavailable": 1, **_selecting("postgres")})
    put(QUOTAS, BOUNDED, "memory", {"hard": _hard(cluster)})
    put(LIMIT_RANGES, BOUNDED, "memory", {"limits": [_RANGE]})
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


_RANGE = {
    "type": "Container",
    "default": {"memory": "512Mi"},
    "defaultRequest": {"memory": "128Mi"},
    "min": {"memory": "16Mi"},
    "max": {"memory": "6Gi"},
}


def _selecting(app: str) -> dict[str, Any]:
    return {"selector": {"matchLabels": {"app": app}}}


def _hard(cluster: Cluster) -> dict[str, str]:
    """Return a quota with room for one large pod more, and for some to come before others have gone."""
    used = cluster.usage.of(BOUNDED)
    room = {name: max(3 * _GIB, used[name] // 4) for name in (LIMITS, REQUESTS)}
    memory = {name: f"{-(-(used[name] + more) // _GIB)}Gi" for name, more in room.items()}
    return {**memory, PODS: str(used[PODS] + max(10, used[PODS] // 4))}
