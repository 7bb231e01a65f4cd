"""A pod is resized in place: the plan, the request, and the kubelet's word on it."""

import io
import json

import pytest

from memtop.change.audit_log import AuditLog
from memtop.change.change_request import ResizePod
from memtop.change.node_capacity import NodeSpace
from memtop.change.pod_resize import resize_lines, resize_problem, resize_progress
from memtop.change.workload_state import workload_from_object
from memtop.commands.change import ApplyTerms, Console, plan_and_apply
from memtop.demo.api_resources import PODS
from memtop.kube.object_ref import ObjectRef

MIB = 2**20
YES = ApplyTerms(yes=True)


def resize(pod="resizable", container="app", **amounts):
    return ResizePod(ObjectRef("Pod", "modern", pod), container, **amounts)


@pytest.fixture
def recorded(recording):
    """A pod as a kubelet 1.36 told of it."""
    return lambda name: json.loads(recording(f"modern/pod-resizable-{name}.json"))


def words(lines, label):
    return [line.text for line in lines if line.label == label]


@pytest.mark.parametrize(
    ("name", "state", "told"),
    [
        ("done", "done", "app of resizable has limit 192Mi, request 80Mi now"),
        ("restart-done", "done", "has limit 192Mi, request 80Mi now"),
        ("deferred", "deferred", "Node didn't have enough resource: memory, requested: 11324620800"),
        (
            "below-use",
            "in progress",
            "does not take effect, 192 MiB still holds",
        ),
    ],
)
def test_progress_is_what_the_kubelet_says(recorded, name, state, told):
    progress = resize_progress(resize(), recorded(name))
    assert progress.state == state
    assert told in progress.words
    assert progress.over is (state == "done")


def test_a_resize_is_not_done_before_the_kubelet_has_seen_it(recorded):
    pod = recorded("done")
    pod["metadata"]["generation"] += 1
    assert resize_progress(resize(), pod).state == "accepted"


def test_the_qos_class_has_to_stay(recorded):
    pod = recorded("before")
    assert resize_problem(resize(limit="192Mi"), pod) == ""
    pod["spec"]["containers"][0]["resources"] = {
        "limits": {"cpu": "1", "memory": "96Mi"},
        "requests": {"cpu": "1", "memory": "96Mi"},
    }
    pod["status"]["qosClass"] = "Guaranteed"
    assert "from Guaranteed to Burstable" in resize_problem(resize(limit="192Mi"), pod)
    assert resize_problem(resize(limit="192Mi", request="192Mi"), pod) == ""


def test_an_ended_pod_is_not_resized(recorded):
    pod = recorded("before")
    pod["status"]["phase"] = "Failed"
    assert "it has ended" in resize_problem(resize(limit="192Mi"), pod)


def lines_of(pod, request, spaces=(), used=None):
    return list(resize_lines(request, workload_from_object(request.ref, pod), spaces, used))


def test_the_plan_says_what_a_lower_limit_does(recorded):
    pod = recorded("before")
    lower = lines_of(pod, resize(limit="20Mi"), used=50.0 * MIB)
    (said,) = words(lower, "resize")
    assert said.startswith("50 MiB are in use: a limit below that does not take effect")
    assert not words(lines_of(pod, resize(limit="200Mi"), used=50.0 * MIB), "resize")


def test_the_plan_says_what_the_node_has_left(recorded):
    pod = recorded("before")
    node = pod["spec"]["nodeName"]
    request = resize(limit="1Gi", request="1Gi")
    (full,) = words(lines_of(pod, request, [NodeSpace(node, 8192 * MIB, 100 * MIB)]), "nodes")
    assert "has 100 MiB left: the resize is deferred" in full
    (room,) = words(lines_of(pod, request, [NodeSpace(node, 8192 * MIB, 4096 * MIB)]), "nodes")
    assert room.endswith(f"{node} has 4 GiB left")
    (unknown,) = words(lines_of(pod, request, "you may not list nodes"), "nodes")
    assert "is not known: you may not list nodes" in unknown


def test_the_plan_says_that_an_oom_loop_goes_on(recorded):
    pod = recorded("before")
    status = pod["status"]["containerStatuses"][0]
    status["restartCount"] = 7
    status["lastState"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    (said,) = words(lines_of(pod, resize(limit="200Mi")), "resize")
    assert "has restarted 7 times: a resize does not rescue what grows" in said


def test_the_plan_says_what_becomes_of_the_template(recorded):
    pod = recorded("before")
    pod["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "web-1", "controller": True}]
    (alone,) = words(lines_of(pod, resize(limit="200Mi")), "template")
    assert "the template of ReplicaSet/web-1 keeps its value" in alone
    web = ObjectRef("Deployment", "modern", "web")
    (then,) = words(lines_of(pod, resize(limit="200Mi", template=web)), "then")
    assert "Deployment/web" in then


@pytest.fixture
def run(demo, target_of, tmp_path):
    """``run(request)``: exit code, what was printed, what was warned of."""

    def go(request, terms=YES, user="admin"):
        console = Console(io.StringIO(), io.StringIO(), io.StringIO())
        log = AuditLog(tmp_path / "audit.jsonl")
        code = plan_and_apply(target_of(demo, user), request, terms, console, log)
        return code, console.out.getvalue(), console.err.getvalue()

    return go


@pytest.fixture
def pod(demo):
    """A pod of user-service on the embedded cluster: `pod()` reads it."""

    def now():
        entries = demo.server.cluster.store[PODS].entries
        name = min(key[1] for key in entries if key[1].startswith("user-service"))
        return json.loads(json.dumps(demo.server.cluster.store.get(PODS, "production", name).plain()))

    return lambda: demo.call(now)


def of_demo(pod, **amounts):
    return ResizePod(ObjectRef("Pod", "production", pod["metadata"]["name"]), "user-service", **amounts)


def test_a_pod_is_resized_and_followed(run, pod, tmp_path):
    before = pod()
    code, out, err = run(of_demo(before, limit="4Gi"))
    assert (code, err) == (0, "")
    assert "2Gi → 4Gi" in out
    assert "--subresource resize" in out
    assert out.splitlines()[-1].endswith("has limit 4Gi, request 512Mi now")
    after = pod()
    assert after["status"]["containerStatuses"][0]["resources"]["limits"] == {"memory": "4Gi"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [one.action for one in AuditLog(tmp_path / "audit.jsonl").entries()] == ["resize"]


def test_a_refused_resize_changes_nothing(run, pod):
    before = pod()
    code, _, err = run(of_demo(before, limit="9Ti", request="9Ti"))
    assert code == 1
    assert "node didn't have enough allocatable resources" in err
    assert pod()["spec"] == before["spec"]


def test_a_dry_run_resizes_nothing(run, pod):
    before = pod()
    code, out, _ = run(of_demo(before, limit="4Gi"), ApplyTerms(dry_run=True))
    assert (code, out.splitlines()[-1]) == (0, "dry run: nothing is changed")
    assert pod()["spec"] == before["spec"]


def test_what_it_has_is_nothing_to_do(run, pod):
    code, out, _ = run(of_demo(pod(), limit="2Gi"))
    assert (code, out) == (0, "nothing to do: that is the memory it has\n")


def test_a_server_that_cannot_resize_is_named(run, pod, monkeypatch):
    from memtop.demo.api import router

    def without_resize(group, version):
        listed = router_list(group, version)
        listed["resources"] = [one for one in listed["resources"] if one["name"] != "pods/resize"]
        return listed

    router_list = router.resource_list
    monkeypatch.setattr(router, "resource_list", without_resize)
    code, _, err = run(of_demo(pod(), limit="4Gi"))
    assert code == 1
    assert "this server does not resize pods in place" in err
