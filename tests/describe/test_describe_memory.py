import json
from datetime import UTC

import pytest

from memtop.describe.formatting import ZonedNow
from memtop.describe.memory_section import PodSurroundings, hpa_sentences, memory_lines, vpa_sentences
from memtop.kube.json_object import name_of, parse_timestamp, yaml_lines
from memtop.kube.object_ref import ObjectRef

WORKLOAD = ObjectRef("Deployment", "shop", "user-service")


def said(pod, around=None, now=0.0):
    return [
        " ".join(line.split()) for line in memory_lines(pod, around or PodSurroundings(), ZonedNow(now, UTC))
    ]


def test_an_oom_kill_is_told_with_how_long_it_ran(recording):
    pod = json.loads(recording("pod-user-service-oomkilled.json"))
    end = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    lines = said(pod, now=parse_timestamp(end["finishedAt"]).timestamp() + 180)
    assert lines[0] == "Memory:"
    assert "Last State: Terminated" in lines
    assert "Reason: OOMKilled" in lines
    assert "Exit Code: 137" in lines
    assert any(line.startswith("Finished:") and line.endswith("(3m ago)") for line in lines)
    assert any(line.startswith("Ran For:") for line in lines)
    assert "Limit: 128Mi" in lines
    assert "Request: 64Mi" in lines
    assert "QoS Class: Burstable" in lines


def test_a_pod_that_was_evicted_says_so_first():
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "}
    assert said({"spec": {}, "status": status})[:2] == [
        "Memory:",
        "Pod: Failed, Evicted: The node was low on resource: memory.",
    ]


def test_a_pod_that_fits_nowhere_says_why():
    condition = {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory.",
    }  # fmt: skip
    lines = said({"spec": {}, "status": {"phase": "Pending", "conditions": [condition]}})
    assert lines[1] == "Pod: not scheduled: 0/1 nodes are available: 1 Insufficient memory."


def test_a_kill_from_outside_is_not_taken_for_an_oom_kill(recording):
    lines = said(json.loads(recording("pod-exit137-not-oom.json")))
    assert any(line.startswith("Exit Code: 137 (SIGKILL, and not by the OOM killer") for line in lines)


def test_node_giving_up_at_its_own_heap_limit_is_recognised(recording):
    lines = said(json.loads(recording("pod-node-v8-heap-limit.json")))
    assert any("Node.js" in line for line in lines if line.startswith("Exit Code:"))


def test_a_container_without_a_limit_is_said_to_have_none(recording):
    lines = said(json.loads(recording("pod-besteffort-no-limit.json")))
    assert "Limit: none: it may take all the memory of its node" in lines
    assert "Request: none" in lines


def test_init_containers_are_told_of_only_if_they_failed_or_stay(recording):
    pod = json.loads(recording("pod-multi-container.json"))
    assert "migrate:" not in said(pod)
    pod["status"]["initContainerStatuses"][0]["state"] = {
        "terminated": {"exitCode": 137, "reason": "OOMKilled"}
    }
    assert "migrate:" in said(pod)


def test_probes_are_told():
    probe = {"httpGet": {"path": "/up", "port": 80, "scheme": "HTTP"}, "periodSeconds": 10}
    lines = said({"spec": {"containers": [{"name": "app", "livenessProbe": probe}]}})
    assert any(line.startswith("Probes: liveness http-get http://:80/up") for line in lines)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (
            {"status": {"conditions": [{"type": "MemoryPressure", "status": "True"}]}},
            "n1, MemoryPressure True",
        ),
        ("nodes is forbidden", "n1, MemoryPressure not known: nodes is forbidden"),
        ({"status": {}}, "n1, which does not report MemoryPressure"),
    ],
)
def test_the_nodes_pressure_is_told_or_why_it_is_not_known(node, words):
    pod = {"spec": {"nodeName": "n1", "containers": []}}
    assert f"Node: {words}" in said(pod, PodSurroundings(node=node))


def test_the_chain_of_owners_goes_up_to_the_workload():
    around = PodSurroundings(
        owners=(ObjectRef("ReplicaSet", "shop", "user-service-abc"), WORKLOAD), owners_note="forbidden"
    )
    lines = said({"spec": {"containers": []}}, around)
    assert "Owners: ReplicaSet/user-service-abc ← Deployment/user-service" in lines
    assert "that may not be all of them: forbidden" in lines


def hpa(**spec):
    target = {"kind": "Deployment", "name": "user-service"}
    return {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": target, "maxReplicas": 9, **spec}}


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (
            {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}},
            "at 70 % of the request",
        ),
        (
            {"name": "memory", "target": {"type": "AverageValue", "averageValue": "409600Ki"}},
            "at 400Mi a pod",
        ),
        ({"name": "memory", "targetAverageUtilization": 70}, "at 70 % of the request"),
    ],
)
def test_an_autoscaler_that_scales_on_memory_is_told_of(resource, words):
    metrics = [{"type": "Resource", "resource": resource}, {"type": "Resource", "resource": {"name": "cpu"}}]
    (sentence,) = hpa_sentences([hpa(metrics=metrics)], [WORKLOAD])
    assert sentence.startswith("HorizontalPodAutoscaler/hpa scales from 1 to 9 replicas on memory")
    assert words in sentence


def test_the_first_version_of_the_api_keeps_memory_in_an_annotation():
    metrics = json.dumps(
        [{"type": "Resource", "resource": {"name": "memory", "targetAverageUtilization": 60}}]
    )
    old = hpa()
    old["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": metrics}
    (sentence,) = hpa_sentences([old], [WORKLOAD])
    assert "60 %" in sentence
    old["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": "{not json"}
    assert list(hpa_sentences([old], [WORKLOAD])) == []


def test_autoscalers_of_others_are_none_of_its_business():
    metrics = [{"type": "Resource", "resource": {"name": "memory", "target": {"averageUtilization": 70}}}]
    assert list(hpa_sentences([hpa(metrics=metrics)], [ObjectRef("Deployment", "shop", "other")])) == []


def vpa(mode=None, policies=None):
    spec = {"targetRef": {"kind": "Deployment", "name": "user-service"}}
    if mode:
        spec["updatePolicy"] = {"updateMode": mode}
    if policies:
        spec["resourcePolicy"] = {"containerPolicies": policies}
    recommended = [{"containerName": "app", "target": {"memory": "314572800"}}]
    status = {"recommendation": {"containerRecommendations": recommended}}
    return {"metadata": {"name": "vpa"}, "spec": spec, "status": status}


def test_a_vertical_autoscaler_owns_the_request_unless_it_only_recommends():
    (owns,) = vpa_sentences([vpa()], [WORKLOAD])
    assert owns.startswith("VerticalPodAutoscaler/vpa owns the memory request (mode Auto)")
    assert owns.endswith("recommends app: 314572800")
    (recommends,) = vpa_sentences([vpa("Off")], [WORKLOAD])
    assert "only recommends" in recommends
    (leaves,) = vpa_sentences([vpa("Auto", [{"controlledResources": ["cpu"]}])], [WORKLOAD])
    assert leaves == "VerticalPodAutoscaler/vpa leaves memory alone"


def test_yaml_keeps_the_apis_order_and_folds_the_managed_fields(recording):
    pod = json.loads(recording("pod-user-service-oomkilled.json"))
    lines = yaml_lines(pod)
    top = [line.split(":")[0] for line in lines if line and line[0].isalpha()]
    assert top == list(pod)
    assert "fieldsType" not in "\n".join(lines)
    (folded,) = [line for line in lines if "managedFields" in line]
    managers = {field["manager"] for field in pod["metadata"]["managedFields"]}
    assert f"{len(managers)} managers" in folded
    assert all(manager in folded for manager in managers)


def test_yaml_is_the_object_again_when_it_is_read():
    import yaml

    value = {
        "a": "yes",
        "b": "1e3",
        "c": "two\nlines\n",
        "d": [],
        "e": {},
        "f": ["x", {"y": None}],
        "g": "é ",
        "h": "x: y",
    }
    assert yaml.safe_load("\n".join(yaml_lines(value))) == value
    assert "c: |" in yaml_lines(value)


def modern(recording, name, pod=None):
    whole = json.loads(recording(f"modern/{name}.json"))
    found = next((one for one in whole.get("items", [whole]) if not pod or name_of(one) == pod), whole)
    return memory_lines(found, PodSurroundings(), ZonedNow(1795900000.0, UTC))


def test_the_limit_that_holds_is_told_beside_the_one_that_was_asked_for(recording):
    lines = [" ".join(line.split()) for line in modern(recording, "pod-resizable-deferred")]
    assert "Limit: 192Mi now; 11000Mi is asked for" in lines
    assert "Request: 80Mi now; 10800Mi is asked for" in lines
    assert any(
        line.startswith("Resize: deferred: Node didn't have enough resource: memory") for line in lines
    )
    lines = [" ".join(line.split()) for line in modern(recording, "pod-resizable-below-use")]
    assert "Resize: in progress" in lines
    assert "Limit: 192Mi now; 20Mi is asked for" in lines


def test_the_limit_of_the_pod_is_told_and_holds_for_containers_that_have_none(recording):
    lines = [
        " ".join(line.split()) for line in modern(recording, "pods-modern", "pod-level-5d59585fd4-flbsd")
    ]
    assert "Pod Limit: 160Mi for all its containers together" in lines
    assert lines.count("Limit: none of its own, but the pod's 160Mi") == 2


def test_an_ephemeral_container_is_told_of(recording):
    assert "  dbg:" in modern(recording, "pod-with-ephemeral-container")
