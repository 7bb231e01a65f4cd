"""What is asked for, what is said where asking is refused, and that changes are noticed."""

import asyncio
import json

import pytest
from aiohttp import web

from memtop.describe import description_facts as gathering
from memtop.describe.description import description_lines
from memtop.describe.description_facts import follow_object, gather_facts
from memtop.describe.formatting import ZonedNow
from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef

PATIENCE = 20.0
POD = ObjectRef("Pod", "shop", "app-1")
CONTROLLER = {"controller": True, "apiVersion": "apps/v1"}
ROLLOUT = ObjectRef("Rollout", "shop", "app")
ARGO = "/apis/argoproj.io/v1alpha1"
CUSTOM = {
    "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
    "metadata": {"name": "app", "namespace": "shop", "managedFields": [{"manager": "x"}]},
    "spec": {"strategy": {"maxSurge": "25%"}},
}  # fmt: skip


def owner(kind, name):
    return [{**CONTROLLER, "kind": kind, "name": name, "uid": f"u-{name}"}]


class Api:
    """Objects by their paths; what is missing is a 404, and paths in `forbidden` are a 403."""

    def __init__(self):
        self.asked = []
        self.forbidden = ()
        self.watched = asyncio.Queue()
        self.objects = {
            "/api/v1/namespaces/shop/pods/app-1": {
                "metadata": {
                    "name": "app-1", "namespace": "shop", "uid": "u-pod", "resourceVersion": "7",
                    "labels": {"pod-template-hash": "x1"}, "ownerReferences": owner("ReplicaSet", "app-x1"),
                },
                "spec": {"nodeName": "n1", "containers": [{"name": "app"}]},
                "status": {"phase": "Running"},
            },
            "/apis/apps/v1/namespaces/shop/replicasets/app-x1": {
                "metadata": {
                    "name": "app-x1", "namespace": "shop", "ownerReferences": owner("Deployment", "app"),
                }
            },
            "/apis/apps/v1/namespaces/shop/deployments/app": {
                "metadata": {"name": "app", "namespace": "shop"},
            },
            "/api/v1/nodes/n1": {
                "metadata": {"name": "n1"},
                "status": {"conditions": [{"type": "MemoryPressure", "status": "True"}]},
            },
            "/api/v1/namespaces/shop/events": {"metadata": {"resourceVersion": "9"}, "items": []},
        }  # fmt: skip

    async def answer(self, request):
        if request.query.get("watch"):
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(await self.watched.get() + b"\n")
            return answer
        self.asked.append(request.path)
        if any(part in request.path for part in self.forbidden):
            return web.json_response(
                {"message": f"{request.path} is forbidden", "reason": "Forbidden"}, status=403
            )
        found = self.objects.get(request.path)
        if found is None:
            return web.json_response({"message": "not there", "reason": "NotFound"}, status=404)
        return web.json_response(found)


@pytest.fixture
async def api():
    return Api()


@pytest.fixture
async def client(api, serve, target):
    async with Client(target(await serve(api.answer))) as client:
        yield client


async def said(client, ref=POD):
    return "\n".join(description_lines(await gather_facts(client, ref), ZonedNow(0)))


async def test_a_pod_is_told_with_its_owners_and_its_node(client):
    text = await said(client)
    assert "ReplicaSet/app-x1 ← Deployment/app" in text
    assert "n1, MemoryPressure True" in text
    assert "none has to do with its memory" in text
    assert "Events:" in text


async def test_what_may_not_be_read_is_said_in_words_and_the_rest_is_shown(client, api):
    api.forbidden = ("/nodes/", "/replicasets/", "/events", "autoscal")
    text = await said(client)
    assert "MemoryPressure not known: /api/v1/nodes/n1 is forbidden" in text
    assert "ReplicaSet/app-x1 ← Deployment/app" in text  # by the pod's template hash
    assert (
        "that may not be all of them: /apis/apps/v1/namespaces/shop/replicasets/app-x1 is forbidden" in text
    )
    assert "Events cannot be read: /api/v1/namespaces/shop/events is forbidden" in text
    assert "HorizontalPodAutoscalers: /apis/autoscaling/v2/" in text
    assert "VerticalPodAutoscalers: /apis/autoscaling.k8s.io/v1/" in text
    assert "Name:" in text


async def test_an_object_that_is_gone_is_an_error_of_its_own(client):
    with pytest.raises(ApiError) as caught:
        await gather_facts(client, ObjectRef("Pod", "shop", "gone"))
    assert caught.value.status == 404


async def test_a_kind_that_the_api_does_not_have_is_said_not_to_be_there(client, api):
    api.objects["/apis"] = {"kind": "APIGroupList", "groups": []}
    with pytest.raises(ApiError, match="this cluster's API has no Rollout"):
        await gather_facts(client, ROLLOUT)


async def test_where_discovery_is_forbidden_that_is_said(client, api):
    api.forbidden = ("/apis",)
    with pytest.raises(ApiError, match="where the API keeps a Rollout cannot be found out: /apis is forb"):
        await gather_facts(client, ROLLOUT)


async def test_a_controller_of_another_group_is_described_field_by_field(client, api):
    api.objects[f"{ARGO}/namespaces/shop/rollouts/app"] = CUSTOM
    text = await said(client, ObjectRef("Rollout", "shop", "app", api_version="argoproj.io/v1alpha1"))
    assert "Kind:         Rollout" in text
    assert "  Max Surge:" in text
    assert "Events:" in text
    assert "/apis" not in api.asked  # it is where such a kind is as a rule


async def test_a_kind_is_searched_for_where_its_version_is_not_known(client, api):
    api.objects |= {
        f"{ARGO}/namespaces/shop/rollouts/app": CUSTOM,
        "/apis": {"kind": "APIGroupList", "groups": [
            {"name": group, "preferredVersion": {"groupVersion": f"{group}/{version}"}}
            for group, version in (("apps", "v1"), ("down.example", "v1"), ("argoproj.io", "v1alpha1"))
        ]},
        ARGO: {"resources": [
            {"name": "rollouts/status", "kind": "Rollout", "namespaced": True},
            {"name": "rollouts", "kind": "Rollout", "namespaced": True},
        ]},
    }  # fmt: skip
    assert "Kind:         Rollout" in await said(client, ROLLOUT)
    assert "/apis/apps/v1" not in api.asked  # others' groups come first


async def test_newer_servers_tell_all_kinds_at_once(client, api):
    api.objects[f"{ARGO}/namespaces/shop/rollouts/app"] = CUSTOM
    api.objects["/apis"] = {"kind": "APIGroupDiscoveryList", "items": [
        {"metadata": {"name": "argoproj.io"}, "versions": [{"version": "v1alpha1", "resources": [
            {"resource": "clusterrollouts", "responseKind": {"kind": "Rollout"}, "scope": "Cluster"},
            {"resource": "rollouts", "responseKind": {"kind": "Rollout"}, "scope": "Namespaced"},
        ]}]},
    ]}  # fmt: skip
    assert "Kind:         Rollout" in await said(client, ROLLOUT)
    assert ARGO not in api.asked


async def test_an_odd_plural_is_looked_up(client, api):
    api.objects["/apis/example.io/v1/namespaces/shop/oxen/app"] = {**CUSTOM, "kind": "Ox"}
    api.objects["/apis/example.io/v1"] = {
        "resources": [{"name": "oxen", "kind": "Ox", "namespaced": True}],
    }
    text = await said(client, ObjectRef("Ox", "shop", "app", api_version="example.io/v1"))
    assert "Kind:         Ox" in text


async def test_older_servers_keep_cron_jobs_elsewhere(client, api):
    api.objects["/apis/batch/v1beta1/namespaces/shop/cronjobs/nightly"] = {
        "metadata": {"name": "nightly", "namespace": "shop"}, "spec": {"schedule": "@daily"},
    }  # fmt: skip
    assert "@daily" in await said(client, ObjectRef("CronJob", "shop", "nightly"))


async def test_a_change_is_noticed_and_told(client, api, monkeypatch):
    monkeypatch.setattr(gathering, "PAUSE_SECONDS", 0.0)
    told = asyncio.Queue()
    following = asyncio.create_task(follow_object(client, POD, told.put_nowait))
    async with asyncio.timeout(PATIENCE):
        first = await told.get()
        api.objects["/api/v1/namespaces/shop/pods/app-1"]["status"]["phase"] = "Failed"
        api.watched.put_nowait(json.dumps({"type": "MODIFIED", "object": {}}).encode())
        second = await told.get()
    following.cancel()
    assert first.object["status"]["phase"] == "Running"
    assert second.object["status"]["phase"] == "Failed"
    assert api.asked.count("/api/v1/nodes/n1") == 1  # what lies around was known well enough


async def test_a_failure_is_told_and_tried_again(client, api, monkeypatch):
    monkeypatch.setattr(gathering, "UNWATCHED_SECONDS", 0.0)
    told = asyncio.Queue()
    api.forbidden = ("/pods/",)
    following = asyncio.create_task(follow_object(client, POD, told.put_nowait))
    async with asyncio.timeout(PATIENCE):
        words = await told.get()
        api.forbidden = ()
        while isinstance(known := await told.get(), str):
            pass
    following.cancel()
    assert words.endswith("is forbidden")
    assert known.object["status"]["phase"] == "Running"
