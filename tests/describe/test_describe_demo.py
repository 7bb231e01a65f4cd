"""Our descriptions beside kubectl's, of the embedded cluster."""

import json

import pytest

from memtop.demo.thread import DemoThread
from memtop.kube.client import Client
from memtop.kube.kubeconfig import load_target
from memtop.kube.object_ref import ObjectRef
from tests.kubectl_describe import assert_same, find_kubectl

PATHS = {
    "Pod": "/api/v1/pods",
    "Node": "/api/v1/nodes",
    "Deployment": "/apis/apps/v1/deployments",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
}
FEW = 8


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    with DemoThread() as demo:
        path = tmp_path_factory.mktemp("demo") / "kubeconfig"
        path.write_text(demo.kubeconfig())
        find_kubectl(path)
        yield path


@pytest.mark.parametrize("kind", PATHS)
async def test_the_embedded_cluster_reads_as_kubectl_prints_it(config, kind):
    async with Client(load_target(kubeconfig=str(config))) as client:
        items = json.loads(await client.get(PATHS[kind]))["items"]
    assert items
    unlike = {look(item): item["metadata"] for item in items}
    for metadata in list(unlike.values())[:FEW]:
        await assert_same(config, ObjectRef(kind, metadata.get("namespace", ""), metadata["name"]))


def look(item):
    """What makes its description unlike others of its kind."""
    status = item.get("status", {})
    states = [each["state"] for each in status.get("containerStatuses", [])]
    reasons = {str(part.get("reason", key)) for state in states for key, part in state.items()}
    return status.get("phase"), status.get("reason"), len(states), *sorted(reasons)
