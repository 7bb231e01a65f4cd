"""Pods of the embedded cluster are resized in place as a kubelet 1.36 does it."""

import json
import math
import os
import shutil
import subprocess

import pytest

from memtop.demo.container_runs import Behaviour, ContainerTimeline, RestartPolicy
from memtop.demo.memory_curves import Curve
from memtop.quantity import parse_bytes

MIB = 2**20
PODS = "/api/v1/namespaces/production/pods"


def pod_named(api, prefix):
    return again(api, next(pod for pod in api.items(PODS) if pod["metadata"]["name"].startswith(prefix)))


def resize(api, pod, *, method="PATCH", container="", **resources):
    name = pod["metadata"]["name"]
    container = container or pod["spec"]["containers"][0]["name"]
    patch = {"spec": {"containers": [{"name": container, "resources": resources}]}}
    return api.request(
        method, f"{PODS}/{name}/resize", patch, content_type="application/strategic-merge-patch+json"
    )


def again(api, pod):
    return api.get(f"{PODS}/{pod['metadata']['name']}").json


def conditions(pod):
    return {one["type"]: one for one in pod["status"]["conditions"] if one["type"].startswith("PodResize")}


def held(pod):
    return pod["status"]["containerStatuses"][0]["resources"]


def test_a_higher_limit_is_set_without_a_restart(fresh_api):
    pod = pod_named(fresh_api, "order-service")
    before = pod["status"]["containerStatuses"][0]
    answer = resize(fresh_api, pod, limits={"memory": "3Gi"})
    assert answer.status == 200, answer.body
    after = again(fresh_api, pod)
    assert after["metadata"]["generation"] == after["status"]["observedGeneration"] == 2
    assert held(after)["limits"] == {"memory": "3Gi"}
    assert after["spec"]["containers"][0]["resources"]["limits"]["memory"] == "3Gi"
    status = after["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["containerID"]) == (before["restartCount"], before["containerID"])
    assert not conditions(after)


def test_a_limit_below_what_is_in_use_stays_in_progress(fresh_api):
    pod = pod_named(fresh_api, "order-service")
    was = held(pod)["limits"]
    assert resize(fresh_api, pod, limits={"memory": "8Mi"}, requests={"memory": "8Mi"}).status == 200
    after = again(fresh_api, pod)
    assert "PodResizeInProgress" in conditions(after)
    assert held(after)["limits"] == was


def test_a_request_that_the_node_has_no_room_for_is_deferred(fresh_api):
    pod = pod_named(fresh_api, "order-service")
    node = fresh_api.get(f"/api/v1/nodes/{pod['spec']['nodeName']}").json
    most = str(parse_bytes(node["status"]["allocatable"]["memory"]) - 2**30)
    was = held(pod)
    answer = resize(fresh_api, pod, limits={"memory": most}, requests={"memory": most})
    assert answer.status == 200, answer.body
    after = again(fresh_api, pod)
    pending = conditions(after)["PodResizePending"]
    assert (pending["reason"], pending["status"]) == ("Deferred", "True")
    assert pending["message"].startswith("Node didn't have enough resource: memory, requested: ")
    assert held(after) == was


@pytest.mark.parametrize(
    ("resources", "status", "words"),
    [
        (
            {"limits": {"memory": "900Ti"}, "requests": {"memory": "900Ti"}},
            403,
            "enough allocatable resources",
        ),
        ({"limits": {"memory": "1Mi"}}, 422, "must be less than or equal to memory limit"),
        ({"limits": None, "requests": None}, 422, "Pod QOS Class may not change"),
    ],
)
def test_what_can_never_be_is_refused(fresh_api, resources, status, words):
    pod = pod_named(fresh_api, "user-service")  # which has one container
    answer = resize(fresh_api, pod, **resources)
    assert answer.status == status
    assert words in answer.json["message"]
    assert again(fresh_api, pod) == pod


def test_only_memory_and_cpu_can_be_resized(fresh_api):
    pod = pod_named(fresh_api, "order-service")
    name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
    patch = {"spec": {"containers": [{"name": container, "image": "other:1"}]}}
    answer = fresh_api.patch(f"{PODS}/{name}/resize", patch)
    assert answer.status == 422
    assert "only cpu and memory resources" in answer.json["message"]


def test_a_dry_run_resizes_nothing(fresh_api):
    pod = pod_named(fresh_api, "order-service")
    container = pod["spec"]["containers"][0]["name"]
    patch = {"spec": {"containers": [{"name": container, "resources": {"limits": {"memory": "3Gi"}}}]}}
    answer = fresh_api.patch(f"{PODS}/{pod['metadata']['name']}/resize", patch, dryRun="All")
    assert answer.json["spec"]["containers"][0]["resources"]["limits"]["memory"] == "3Gi"
    assert again(fresh_api, pod) == pod


@pytest.fixture
def leaking():
    """A container that takes 1 MiB a second and has 100 of them."""
    curve = Curve(base=float(MIB), leak=float(MIB))
    return ContainerTimeline(Behaviour(curve, spread=0.0), 100.0 * MIB, 0.0, RestartPolicy.ALWAYS, 1)


def test_a_running_leak_lives_on_until_its_new_limit(leaking):
    before = leaking.runs(1000.0)[0].end
    leaking.resize(50.0, 200.0 * MIB, restart=False)
    after = leaking.runs(1000.0)[0]
    assert before == pytest.approx(100, abs=5)
    assert after.end == pytest.approx(200, abs=5)
    assert (after.index, after.start) == (0, 0.0)


def test_a_resize_may_restart_the_container_at_once(leaking):
    leaking.resize(50.0, math.inf, restart=True)
    first, second = leaking.runs(60.0)
    assert (first.end, first.exit_code) == (50.0, 137)
    assert second.start < 55.0
    assert math.isinf(second.end)


@pytest.fixture
def kubectl(fresh, tmp_path):
    """Stock kubectl as admin."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")
    config = tmp_path / "kubeconfig"
    config.write_text(fresh.kubeconfig("admin"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(config)}

    def run(*arguments):
        command = [program, "-n", "production", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_kubectl_resizes_a_pod(kubectl):
    pod = next(name for name in kubectl("get", "pods", "-o", "name").split() if "order-service" in name)
    container = json.loads(kubectl("get", pod, "-o", "json"))["spec"]["containers"][0]["name"]
    patch = {"spec": {"containers": [{"name": container, "resources": {"limits": {"memory": "3Gi"}}}]}}
    kubectl("patch", pod, "--subresource", "resize", "--patch", json.dumps(patch))
    assert json.loads(kubectl("get", pod, "-o", "json"))["spec"]["containers"][0]["resources"]["limits"] == {
        "memory": "3Gi"
    }
