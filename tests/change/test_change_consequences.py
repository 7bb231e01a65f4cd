"""What a plan says of the QoS class of new pods and of ephemeral containers, and who counts where."""

import json

import msgspec

from memtop.change.change_request import DeletePod, SetMemory
from memtop.change.node_capacity import _pod_request
from memtop.change.planning import _ephemeral_lines, make_plan
from memtop.kube.api_objects import PodSpec
from memtop.kube.object_ref import ObjectRef

USERS = ObjectRef("Deployment", "production", "user-service")


def said(plan, label):
    return [(line.weight, line.text) for line in plan.lines if line.label == label]


class TestQualityOfService:
    async def test_a_class_that_stays_is_not_worth_a_word(self, planner):
        plan = await make_plan(planner, SetMemory(USERS, "user-service", "4Gi"), "demo")
        assert said(plan, "QoS") == []

    async def test_a_class_that_is_lost_is_a_warning(self, client):
        path = "/apis/apps/v1/namespaces/production/deployments/user-service"
        resources = {"limits": {"memory": "2Gi", "cpu": "1"}, "requests": {"memory": "2Gi", "cpu": "1"}}
        body = {
            "spec": {"template": {"spec": {"containers": [{"name": "user-service", "resources": resources}]}}}
        }
        kind = "application/strategic-merge-patch+json"
        await client.request("PATCH", path, body=json.dumps(body).encode(), content_type=kind)
        plan = await make_plan(client, SetMemory(USERS, "user-service", request="1Gi"), "demo")
        [(weight, words)] = said(plan, "QoS")
        assert weight == "warn"
        assert words.startswith("new pods are Burstable and no longer Guaranteed")
        assert "killed sooner" in words


class TestEphemeralContainers:
    def test_one_that_runs_ends_with_the_pod(self):
        running = {"ephemeralContainerStatuses": [{"name": "debugger", "state": {"running": {}}}]}
        [line] = _ephemeral_lines({"status": running})
        assert line.text == "debugger, an ephemeral container, runs in it and ends with it"
        assert line.weight == "warn"

    def test_one_that_has_ended_is_not_worth_a_word(self):
        ended = {"status": {"ephemeralContainerStatuses": [{"name": "x", "state": {"terminated": {}}}]}}
        assert list(_ephemeral_lines(ended)) == []

    def test_they_request_nothing_of_a_node(self):
        """The API lets an ephemeral container have no resources of its own."""
        spec = {
            "containers": [{"name": "app", "resources": {"requests": {"memory": "64Mi"}}}],
            "ephemeralContainers": [{"name": "debugger"}],
        }
        assert _pod_request(msgspec.convert(spec, PodSpec)) == 64 * 2**20

    async def test_a_pod_without_any_says_nothing(self, planner):
        listed = json.loads(await planner.get("/api/v1/namespaces/production/pods"))
        pod = ObjectRef("Pod", "production", listed["items"][0]["metadata"]["name"])
        assert said(await make_plan(planner, DeletePod(pod), "demo"), "debugging") == []
