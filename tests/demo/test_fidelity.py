"""The demo's objects carry the same keys as real ones, recorded from a real API server.

The shapes are the sets of key paths of recorded answers; list indexes and map keys that are data are `*`.
"""

import json
from pathlib import Path

import pytest

SHAPES = json.loads((Path(__file__).parent / "real_shapes.json").read_text())
APPS = "/apis/apps/v1/namespaces"


def paths(value, prefix=""):
    """Yield the key paths of a JSON value."""
    if isinstance(value, dict):
        data = prefix.endswith(
            ("labels", "annotations", "matchLabels", "selector", "fieldsV1", "limits", "requests", "usage")
        )
        for key, inner in value.items():
            yield from paths(inner, f"{prefix}.*" if data else f"{prefix}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{prefix}[]")
    else:
        yield prefix


def first(items, **labels):
    return next(item for item in items if labels.items() <= item["metadata"].get("labels", {}).items())


@pytest.fixture
def objects(api):
    pods = api.items("/api/v1/pods")
    leaking = first(pods, app="user-service")
    name = leaking["metadata"]["name"]
    return {
        "pod": leaking,
        "pod-multi-container": first(pods, app="order-service"),
        "pod-completed": first(pods, app="nightly-report"),
        "deployment": api.get(f"{APPS}/production/deployments/user-service").json,
        "replicaset": first(api.items(f"{APPS}/production/replicasets"), app="user-service"),
        "statefulset": api.get(f"{APPS}/production/statefulsets/session-cache").json,
        "daemonset": api.get(f"{APPS}/kube-system/daemonsets/node-agent").json,
        "job": api.items("/apis/batch/v1/namespaces/production/jobs")[0],
        "node": api.items("/api/v1/nodes")[0],
        "event": api.items("/api/v1/events", fieldSelector=f"involvedObject.name={name},reason=BackOff")[0],
        "podmetrics": api.items("/apis/metrics.k8s.io/v1beta1/pods")[0],
        "nodemetrics": api.items("/apis/metrics.k8s.io/v1beta1/nodes")[0],
        "service": api.get("/api/v1/namespaces/observability/services/prometheus-service").json,
        "scale": api.get(f"{APPS}/production/deployments/user-service/scale").json,
        "prometheus-working-set": api.promql('container_memory_working_set_bytes{container="user-service"}'),
        "prometheus-limits": api.promql("kube_pod_container_resource_limits"),
        "prometheus-owners": api.promql("kube_pod_owner"),
        "error-403": type(api)(api.demo, "nobody").get("/api/v1/pods").json,
        "error-404": api.get(f"{APPS}/production/deployments/none").json,
    }


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_real_keys_are_there(objects, kind):
    missing = set(SHAPES[kind]) - set(paths(objects[kind]))
    assert not missing
