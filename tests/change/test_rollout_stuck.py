"""Why a rollout does not go on, from what the cluster says of its pods and of itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from memtop.change.rollout_model import StuckCause
from memtop.change.rollout_objects import FullObject, RolloutObjects
from memtop.kube.api_objects import Node, ObjectMeta, Pod
from memtop.kube.core_events import CoreEvent
from memtop.kube.object_ref import ObjectRef
from tests.change.rollout_api import NAMESPACE, workload

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()


def stamp(seconds_ago=0.0):
    return datetime.fromtimestamp(NOW - seconds_ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def owner(kind, name, uid):
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}]


def replica_set(number, image, hash_, age):
    found = {
        "metadata": {
            "name": f"api-{hash_}",
            "namespace": NAMESPACE,
            "uid": f"uid-{hash_}",
            "creationTimestamp": stamp(age),
            "labels": {"app": "api", "pod-template-hash": hash_},
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": owner("Deployment", "api", "uid-api"),
        },
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "api", "pod-template-hash": hash_}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            }
        },
    }
    return FullObject(msgspec.convert(found["metadata"], ObjectMeta, strict=False), found)


def pod(
    name, hash_="new", *, state=None, last=None, ready=False, restarts=0, age=20, phase="Running", **more
):
    """A pod of one container; ``state`` and ``last`` are container states as the API has them."""
    status = {
        "name": "app",
        "state": state or {"running": {"startedAt": stamp(age)}},
        "lastState": last or {},
        "ready": ready,
        "restartCount": restarts,
    }
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}, *more.pop("conditions", [])]
    container = {"name": "app", "image": "shop/api:v9", "resources": {"limits": {"memory": "128Mi"}}}
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "creationTimestamp": stamp(age),
        "labels": {"app": "api", "pod-template-hash": hash_},
        "ownerReferences": owner("ReplicaSet", f"api-{hash_}", f"uid-{hash_}"),
    } | more.pop("metadata", {})
    found = {
        "metadata": metadata,
        "spec": {"containers": [container], "nodeName": "node-1"} | more.pop("spec", {}),
        "status": {"phase": phase, "containerStatuses": [status], "conditions": conditions} | more,
    }
    return msgspec.convert(found, Pod, strict=False)


def event(about, reason, message, seconds_ago=5):
    found = {
        "metadata": {"name": f"{about}-{reason}", "namespace": NAMESPACE},
        "involvedObject": {"uid": about, "fieldPath": "spec.containers{app}"},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "lastTimestamp": stamp(seconds_ago),
    }
    return msgspec.convert(found, CoreEvent, strict=False)


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


def ended(reason, code, message=""):
    return {"terminated": {"reason": reason, "exitCode": code, "message": message, "finishedAt": stamp(3)}}


@pytest.fixture
def rollout():
    """``rollout(pods, events, spec=…, status=…)``: what is known of a Deployment from revision 1 to 2."""

    def make(pods=(), events=(), spec=None, status=None, nodes=None):
        counts = {"replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2}
        found = workload("Deployment", "api", {"replicas": 2} | (spec or {}), counts | (status or {}))
        found["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/api:v9"
        sets = [replica_set(1, "shop/api:v8", "old", 9000), replica_set(2, "shop/api:v9", "new", 60)]
        seen = RolloutObjects(
            ObjectRef("Deployment", NAMESPACE, "api"),
            found,
            revision_objects={one.metadata.name: one for one in sets},
            pods={one.metadata.name: one for one in pods},
            events={one.metadata.name: one for one in events},
            nodes=nodes or {},
        )
        return seen.rollout(NOW)

    return make


def only(found):
    assert len(found.stuck) == 1, found.stuck
    return found.stuck[0]


def test_a_rollout_that_goes_its_way_is_not_stuck(rollout):
    found = rollout([pod("a", state=waiting("ContainerCreating")), pod("b", "old", ready=True)])
    assert found.stuck == ()
    assert [(line.name, line.new, line.revision) for line in found.pods] == [("a", True, 2), ("b", False, 1)]
    assert (found.revision.number, found.previous.number, found.started) == (2, 1, NOW - 60)
    assert found.working_new_pods == 0


def test_a_revision_whose_pods_never_got_ready_is_not_the_one_to_go_back_to():
    found = workload("Deployment", "api", {"replicas": 2}, {"replicas": 4, "readyReplicas": 2})
    found["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/api:v9"
    sets = [
        replica_set(1, "shop/api:v7", "old", 9000),
        replica_set(2, "shop/api:v8", "bad", 700),
        replica_set(3, "shop/api:v9", "new", 60),
    ]
    sets[1].json["status"] = {"replicas": 1}
    pods = [pod("a", "old", ready=True), pod("b", "bad", state=waiting("ErrImagePull")), pod("c")]
    seen = RolloutObjects(
        ObjectRef("Deployment", NAMESPACE, "api"),
        found,
        revision_objects={one.metadata.name: one for one in sets},
        pods={one.metadata.name: one for one in pods},
    )
    assert seen.rollout(NOW).previous.number == 1


def test_an_image_that_cannot_be_pulled_with_the_words_of_the_attempt(rollout):
    said = 'Failed to pull image "shop/api:v9": rpc error: manifest unknown'
    found = rollout(
        [
            pod(
                "a",
                state=waiting("ImagePullBackOff", 'Back-off pulling image "shop/api:v9"'),
                phase="Pending",
            )
        ],
        [event("uid-a", "Failed", said), event("uid-a", "BackOff", "Back-off")],
    )
    reason = only(found)
    assert (reason.cause, reason.blocking) == (StuckCause.IMAGE, True)
    assert str(reason) == f"The image shop/api:v9 cannot be pulled (ImagePullBackOff): {said}"


def test_an_image_that_may_not_be_pulled(rollout):
    reason = only(rollout([pod("a", state=waiting("ErrImageNeverPull", "whatever"))]))
    assert "shop/api:v9 is not on the node" in reason.words


def test_what_is_no_image_name(rollout):
    reason = only(rollout([pod("a", state=waiting("InvalidImageName"))]))
    assert reason.cause == StuckCause.IMAGE
    assert "'shop/api:v9' is not a valid image name" in reason.words


def test_a_crash_loop_with_its_exit_code_and_last_words(rollout):
    crashed = pod(
        "a",
        state=waiting("CrashLoopBackOff", "back-off 10s"),
        last=ended("Error", 3, "no such table"),
        restarts=4,
    )
    reason = only(rollout([crashed]))
    assert reason.cause is StuckCause.CRASH
    assert str(reason) == (
        "Container app crashes (4 restarts), the last time with exit code 3: no such table"
    )


def test_a_container_that_ends_by_itself(rollout):
    over = pod("a", state=waiting("CrashLoopBackOff"), last=ended("Completed", 0), restarts=2)
    assert "ends by itself again and again" in only(rollout([over])).words


def test_an_oom_kill_with_the_limit(rollout):
    killed = pod("a", last=ended("OOMKilled", 137), restarts=1)
    reason = only(rollout([killed]))
    assert (reason.cause, reason.words) == (
        StuckCause.OOM,
        "Container app is OOMKilled (1 restart); its limit is 128 MiB",
    )


def test_one_reason_for_all_pods_that_have_it(rollout):
    pods = [pod(name, state=waiting("ErrImageNeverPull")) for name in "abc"]
    assert only(rollout([*pods, pod("d")])).words.startswith("3 of 4 new pods: the image")


def test_a_readiness_probe_that_fails_blocks_only_after_a_while(rollout):
    said = event("uid-a", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    soon, late = (only(rollout([pod("a", age=age)], [said])) for age in (20, 400))
    assert (soon.cause, soon.blocking, late.blocking) == (StuckCause.NOT_READY, False, True)
    assert "readiness probe fails" in soon.words
    assert soon.message.endswith("503")


def test_of_pods_with_the_same_trouble_the_one_that_blocks_speaks(rollout):
    pods = [pod("a", age=20), pod("b", age=400)]
    said = [event(f"uid-{name}", "Unhealthy", "Readiness probe failed: x") for name in "ab"]
    for order in (pods, pods[::-1]):
        reason = only(rollout(order, said))
        assert (reason.cause, reason.blocking) == (StuckCause.NOT_READY, True)
        assert reason.words.startswith("2 of 2 new pods: ")


def test_what_was_said_long_ago_does_not_count(rollout):
    old = event("uid-a", "Unhealthy", "Readiness probe failed: x", seconds_ago=3600)
    assert rollout([pod("a", age=20)], [old]).stuck == ()


def test_quota_as_the_deployment_says_it(rollout):
    said = 'pods "api-x" is forbidden: exceeded quota: q, requested: requests.memory=8Mi'
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
    reason = only(rollout(status={"conditions": [failure], "updatedReplicas": 0}))
    assert (reason.cause, reason.words) == (StuckCause.REFUSED, "The namespace's quota allows no more pods")
    assert reason.message == said


def test_pods_refused_as_the_replica_set_says_it(rollout):
    said = 'Error creating: admission webhook "policy.example" denied the request: no latest tags'
    found = rollout(events=[event("uid-new", "FailedCreate", said)])
    assert only(found).words == "An admission webhook refuses the pods"
    assert rollout(events=[event("uid-old", "FailedCreate", said)]).stuck == ()


def test_no_node_in_the_schedulers_words(rollout):
    said = "0/3 nodes are available: 3 Insufficient memory."
    pending = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    reason = only(rollout([pod("a", conditions=[pending], phase="Pending", containerStatuses=[])]))
    assert (reason.cause, reason.message) == (StuckCause.NO_NODE, said)


def test_a_config_map_that_is_missing(rollout):
    reason = only(rollout([pod("a", state=waiting("CreateContainerConfigError", 'configmap "x" not found'))]))
    assert (reason.cause, reason.message) == (StuckCause.CONFIG, 'configmap "x" not found')


def test_a_volume_that_cannot_be_mounted(rollout):
    creating = pod("a", state=waiting("ContainerCreating"), phase="Pending")
    reason = only(rollout([creating], [event("uid-a", "FailedMount", "secret not found")]))
    assert (reason.cause, reason.message) == (StuckCause.VOLUME, "secret not found")


def test_a_pod_that_was_evicted(rollout):
    evicted = pod("a", phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    reason = only(rollout([evicted]))
    assert str(reason) == "A pod has failed (Evicted): The node was low on resource: memory."


def test_the_deadline_stands_beside_its_cause_and_paused_is_said(rollout):
    late = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    found = rollout(
        [pod("a", state=waiting("ErrImageNeverPull"))],
        spec={"progressDeadlineSeconds": 600, "paused": True},
        status={"conditions": late},
    )
    assert [reason.cause for reason in found.stuck] == [
        StuckCause.IMAGE,
        StuckCause.PAUSED,
        StuckCause.DEADLINE,
    ]
    assert "(10 m)" in found.stuck[-1].words
    assert found.status.failed


def test_a_node_under_pressure_is_named_where_a_pod_is_not_ready(rollout):
    node = {
        "metadata": {"name": "node-1"},
        "status": {"conditions": [{"type": "MemoryPressure", "status": "True"}]},
    }
    nodes = {"node-1": msgspec.convert(node, Node)}
    reason = only(rollout([pod("a")], nodes=nodes))
    assert (reason.cause, reason.blocking) == (StuckCause.NODE, False)
    assert rollout([pod("a", ready=True)], nodes=nodes).stuck == ()


def test_only_the_conditions_that_are_trouble_are_reasons(rollout):
    def causes(**conditions):
        found = [{"type": kind, "status": status} for kind, status in conditions.items()]
        node = {"metadata": {"name": "node-1"}, "status": {"conditions": found}}
        stuck = rollout([pod("a")], nodes={"node-1": msgspec.convert(node, Node)}).stuck
        return [(reason.cause, reason.words) for reason in stuck]

    assert causes(Ready="True", MemoryPressure="False", DiskPressure="Unknown", Special="True") == []
    assert causes(Ready="Unknown", MemoryPressure="False") == [(StuckCause.NODE, "Node node-1 is not ready")]


def test_an_old_pod_that_does_not_end(rollout):
    leaving = pod("b", "old", ready=True, metadata={"deletionTimestamp": stamp(120)})
    reason = only(rollout([pod("a"), leaving]))
    assert (reason.cause, reason.blocking) == (StuckCause.LEAVING, False)
    assert "b should have ended" in reason.words


def test_a_rollout_that_is_done_still_tells_of_crashes(rollout):
    done = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    found = rollout([pod("a", ready=True, last=ended("OOMKilled", 137), restarts=3)], status=done)
    assert found.status.done
    assert (only(found).cause, only(found).blocking, found.blocked) == (StuckCause.OOM, False, None)


def test_other_peoples_words_are_made_safe(rollout):
    found = rollout([pod("a", state=waiting("CreateContainerError", "\x1b[31mred\x1b[0m\u202e"))])
    assert only(found).message == "red"


def test_pods_of_others_with_the_same_labels_do_not_count(rollout):
    stranger = pod("x", metadata={"ownerReferences": owner("ReplicaSet", "other", "uid-other")})
    assert [line.name for line in rollout([pod("a"), stranger]).pods] == ["a"]


def test_a_recorded_rollout_that_got_stuck(recording):
    """Its ReplicaSets were not recorded, so they are made from what its pods say of them."""
    found = json.loads(recording("rollout-3-stuck-deployment.json"))
    pods = [
        msgspec.convert(one, Pod, strict=False)
        for one in json.loads(recording("rollout-3-stuck-pods.json"))["items"]
    ]
    seen = RolloutObjects(ObjectRef("Deployment", "production", "steady-service"), found)
    seen.pods = {one.metadata.name: one for one in pods}
    for one in pods:
        above, hash_ = one.metadata.owner_references[0], one.metadata.labels["pod-template-hash"]
        containers = [{"name": each.name, "image": each.image} for each in one.spec.containers]
        wanted = found["spec"]["template"]
        asked = {each["name"]: each["image"] for each in wanted["spec"]["containers"]}
        same = all(asked[each["name"]] == each["image"] for each in containers)
        metadata = {
            "name": above.name,
            "uid": above.uid,
            "labels": {"pod-template-hash": hash_},
            "ownerReferences": owner("Deployment", "steady-service", found["metadata"]["uid"]),
        }
        kept = {"metadata": metadata, "spec": {"template": wanted if same else {}}}
        seen.revision_objects[above.name] = FullObject(msgspec.convert(metadata, ObjectMeta), kept)
    rollout = seen.rollout(NOW)
    assert [reason.cause for reason in rollout.stuck] == [StuckCause.IMAGE, StuckCause.DEADLINE]
    assert sum(line.new for line in rollout.pods) == 1
    assert rollout.status.failed
