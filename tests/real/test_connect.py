"""Connecting to a real API server as its admin, as a reader, and as nobody."""

import asyncio
import json

import pytest

from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.kubeconfig import load_target
from memtop.kube.requests_session import requests_session
from tests.real.patience import PATIENCE


@pytest.mark.parametrize("name", ["kubeconfig", "kubeconfig-readonly"])
async def test_pods_are_listed_and_watched(as_user, name):
    async with Client(as_user(name)) as client:
        pods = json.loads(await client.get("/api/v1/pods", {"resourceVersion": "0"}))
        assert pods["kind"] == "PodList"
        query = {"watch": "1", "timeoutSeconds": "5"}
        async with client.stream("/api/v1/pods", query, idle_timeout=30) as lines:
            first = json.loads(await anext(lines))
        assert first["type"] == "ADDED"


async def test_nobody_gets_the_servers_sentence(as_user):
    async with Client(as_user("kubeconfig-nobody")) as client:
        with pytest.raises(ApiError) as raised:
            await client.get("/api/v1/pods")
    assert (raised.value.status, raised.value.reason) == (403, "Forbidden")
    assert 'User "lab-nobody" cannot list resource "pods"' in raised.value.message


async def test_what_is_too_old_is_told(as_user):
    async with Client(as_user("kubeconfig")) as client:
        query = {"watch": "1", "resourceVersion": "1", "timeoutSeconds": "5"}
        async with asyncio.timeout(2 * PATIENCE):
            while True:  # until the server has forgotten, where it was started just now
                async with client.stream("/api/v1/pods", query, idle_timeout=30) as lines:
                    event = json.loads(await anext(lines))
                if event["type"] == "ERROR":
                    break
                await asyncio.sleep(1)
    assert event["object"]["code"] == 410


async def test_a_followed_log_ends_when_it_is_left(as_user, place):
    async with Client(as_user("kubeconfig")) as client:
        path = f"{place('app=billing-jvm').path}/log"
        async with (
            asyncio.timeout(PATIENCE),
            client.stream(path, {"follow": "true"}, idle_timeout=None) as lines,
        ):
            assert await anext(lines)


def test_prometheus_answers_through_the_service_proxy(as_user, clusters_prometheus):
    target = as_user("kubeconfig")
    service = "/api/v1/namespaces/observability/services/prometheus-service:9090/proxy"
    with requests_session(target) as session:
        answer = session.get(f"{target.server}{service}/api/v1/query", params={"query": "1"}).json()
    assert answer["status"] == "success"


async def test_a_stranger_is_not_trusted(admin, tmp_path):
    config = admin.read_text()
    lines = [line for line in config.splitlines() if "certificate-authority-data" not in line]
    (tmp_path / "config").write_text("\n".join(lines))
    async with Client(load_target(kubeconfig=str(tmp_path / "config"))) as client:
        with pytest.raises(Unreachable, match="a certificate that is not trusted"):
            await client.get("/version")
