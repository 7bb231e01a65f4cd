"""Our descriptions beside kubectl's, of the same objects of a real cluster at the same time."""

import asyncio
import json
import uuid

import pytest

from memtop.describe.description import description_lines
from memtop.describe.description_facts import follow_object, gather_facts
from memtop.describe.formatting import ZonedNow
from memtop.kube.client import Client
from memtop.kube.core_events import EventConcern
from memtop.kube.event_watch import follow_events
from memtop.kube.kubeconfig import load_target
from memtop.kube.object_ref import ObjectRef
from tests.kubectl_describe import assert_same
from tests.real.conftest import kubectl_of
from tests.real.patience import PATIENCE, eventually

OWNERS = {"Pod", "ReplicaSet", "Deployment", "Node"}
PODS = [
    "user-service",  # OOMKilled again and again
    "checkout-service",  # killed so fast that it is mostly in CrashLoopBackOff
    "crashloop",  # exit code 1
    "session-api",  # V8 gave up
    "order-service",  # two containers and an init container
    "too-big",  # pending, nowhere enough memory
    "missing-image",
    "nightly-report",  # a Job's, completed
    "session-store",  # a StatefulSet's
    "node-agent",  # a DaemonSet's
    "batch-nolimit",  # without a limit
    "debug-shell",  # bare
]


async def listed(config, path):
    async with Client(load_target(kubeconfig=str(config))) as client:
        return json.loads(await client.get(path))["items"]


async def pod_of(config, workload):
    pods = await listed(config, "/api/v1/namespaces/production/pods")
    names = sorted(pod["metadata"]["name"] for pod in pods)
    name = next((name for name in names if name == workload or name.startswith(f"{workload}-")), None)
    if name is None:
        pytest.skip(f"the cluster runs no {workload}")
    return ObjectRef("Pod", "production", name)


@pytest.mark.parametrize("workload", PODS)
async def test_pods_read_as_kubectl_prints_them(admin, workload):
    await assert_same(admin, await pod_of(admin, workload))


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", "/apis/apps/v1/namespaces/production/deployments"),
        ("ReplicaSet", "/apis/apps/v1/namespaces/production/replicasets"),
        ("StatefulSet", "/apis/apps/v1/namespaces/production/statefulsets"),
        ("DaemonSet", "/apis/apps/v1/namespaces/production/daemonsets"),
        ("Job", "/apis/batch/v1/namespaces/production/jobs"),
        ("Node", "/api/v1/nodes"),
    ],
)
async def test_workloads_and_nodes_read_as_kubectl_prints_them(admin, kind, path):
    for item in (await listed(admin, path))[:4]:
        metadata = item["metadata"]
        await assert_same(admin, ObjectRef(kind, metadata.get("namespace", ""), metadata["name"]))


@pytest.fixture
def custom(kubectl, cluster_home, new_namespace):
    """A custom resource in a namespace of its own, of a kind that only this test knows."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gateways.test.memtop"},
        "spec": {
            "group": "test.memtop", "scope": "Namespaced",
            "names": {"plural": "gateways", "singular": "gateway", "kind": "Gateway"},
            "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": True,
            }}}],
        },
    }  # fmt: skip
    namespace = new_namespace("kinds")
    gateway = {
        "apiVersion": "test.memtop/v1alpha1", "kind": "Gateway",
        "metadata": {"name": "shop", "namespace": namespace, "labels": {"app": "shop", "tier": "web"}},
        "spec": {
            "replicas": 2, "ratio": 0.5, "paused": False, "nothing": None, "baseURL": "http://x",
            "podIPs": ["1.2.3.4", "5.6.7.8"], "some_key": "v", "empty": {}, "none": [], "HTTPServer": "a",
            "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {"duration": 10}}]}},
            "selector": {"matchLabels": {"app": "shop", "app.kubernetes.io/name": "z"}},
            "nested": [[1, 2], [3]], "text": "two\nlines\n",
        },
    }  # fmt: skip

    def applied():
        """The server takes a moment to learn of a kind."""
        words = ("apply", "-f", "-")
        return not kubectl_of(cluster_home, *words, given=json.dumps(gateway)).returncode

    try:
        kubectl("apply", "-f", "-", given=json.dumps(definition))
        eventually(applied, "the kind to be there")
        yield ObjectRef("Gateway", namespace, "shop")
    finally:
        kubectl("delete", "--ignore-not-found", "crd", "gateways.test.memtop")


async def test_a_kind_that_is_not_built_in_reads_as_kubectl_prints_it(admin, custom):
    await assert_same(admin, custom)


@pytest.fixture
def evicted(kubectl):
    """A pod that the kubelet evicts within a minute: it writes more than its volume may hold."""
    name = f"memtop-evicted-{uuid.uuid4().hex[:6]}"
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [{
                "name": "main", "image": "localhost/lab/busybox:1", "imagePullPolicy": "Never",
                "command": ["sh", "-c", "head -c 20000000 /dev/zero > /scratch/big; sleep 3600"],
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            }],
            "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}],
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        },
    }  # fmt: skip
    kubectl("create", "-f", "-", given=json.dumps(pod))
    yield ObjectRef("Pod", "default", name)
    kubectl("-n", "default", "delete", "pod", name, "--wait=false")


async def test_an_evicted_pod_reads_as_kubectl_prints_it(admin, evicted):
    async with asyncio.timeout(PATIENCE), Client(load_target(kubeconfig=str(admin))) as client:
        while (known := await gather_facts(client, evicted)).object["status"].get("reason") != "Evicted":
            await asyncio.sleep(1)
    first = description_lines(known, ZonedNow(0))
    assert any("Evicted" in line for line in first[: first.index("")])
    await assert_same(admin, evicted)


async def test_what_matters_for_memory_comes_first(admin, oom_killed):
    ref = await pod_of(admin, "user-service")
    async with Client(load_target(kubeconfig=str(admin))) as client:
        known = await gather_facts(client, ref)
    lines = description_lines(known, ZonedNow(0))
    first = "\n".join(lines[: lines.index("")])
    assert lines[0] == "Memory:"
    for words in (
        "OOMKilled",
        "137",
        "Ran For:",
        "128Mi",
        "Burstable",
        "MemoryPressure",
        "Deployment/user-service",
    ):
        assert words in first


async def test_a_reader_without_rights_is_told_so_in_words(nobody, admin):
    ref = await pod_of(admin, "user-service")
    told = asyncio.Queue()
    async with Client(load_target(kubeconfig=str(nobody))) as client:
        following = asyncio.create_task(follow_object(client, ref, told.put_nowait))
        words = await asyncio.wait_for(told.get(), PATIENCE)
        following.cancel()
    assert "forbidden" in words
    assert "cannot get resource" in words


async def test_oom_kills_are_among_the_events_of_a_pods_node(admin, oom_killed):
    ref = await pod_of(admin, "user-service")
    told = asyncio.Queue()
    async with Client(load_target(kubeconfig=str(admin))) as client:
        following = asyncio.create_task(follow_events(client, ref, told.put_nowait))
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    seen = await told.get()
                    kinds = {event.kind for event in seen.events}
                    killed = any(event.concern is EventConcern.OOM for event in seen.events)
                    if (
                        killed
                        and kinds >= {"Pod", "Node"}
                        and {ref.kind for ref in seen.involved_objects} == OWNERS
                    ):
                        break
        finally:
            following.cancel()
    assert not seen.notes
