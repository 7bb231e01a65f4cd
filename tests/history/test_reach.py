"""From a place to a connection: proxy, port-forward, an address; and what is said where none leads on."""

import asyncio
import contextlib
import json

import pytest
import requests
from aiohttp import WSMsgType
from aiohttp import web as http

from config.settings import PrometheusSettings as Settings
from memtop.history.prometheus_connection import NotFoundReason, PrometheusNotFoundError, connect_prometheus
from memtop.kube.client import Client
from memtop.kube.connection_target import Auth, ClusterTarget
from tests.history.conftest import scalar

ONE = json.dumps(scalar()[1])
LABELS = {"app": "prometheus-server"}


class Cluster:
    """An API server with one service and one pod behind it, and whatever answers behind those."""

    def __init__(self):
        self.labels = LABELS
        self.proxy_status = 200
        self.forward_status = 101
        self.asked = []
        self.pods = [pod("prometheus-1", ready=True)]
        self.api_path = ""
        self.tunnels = 0
        self.refused = b""

    async def handle(self, request):
        path = request.path
        self.asked.append((path, dict(request.headers)))
        if path.endswith("/portforward"):
            return await self.forward(request)
        if "/proxy/" in path:
            if self.proxy_status != 200:
                return status(self.proxy_status, 'User "ann" cannot get resource "services/proxy"')
            if not path.endswith(f"/proxy{self.api_path}/api/v1/query"):
                return http.Response(status=404, text="404 page not found")
            return http.Response(text=ONE)
        spec = {"ports": [{"name": "web", "port": 9090, "targetPort": "http"}], "selector": {"app": "p"}}
        metadata = {"name": "prom", "namespace": "monitoring", "labels": self.labels}
        if path == "/api/v1/services":
            return http.json_response({"items": [{"metadata": metadata, "spec": spec}]})
        if path == "/api/v1/namespaces/monitoring/services/prom":
            return http.json_response({"metadata": metadata, "spec": spec})
        if path == "/api/v1/namespaces/monitoring/pods":
            assert request.query["labelSelector"] == "app=p"
            return http.json_response({"items": self.pods})
        return status(404, "not found")

    async def forward(self, request):
        """Answers as a pod's port would, over the subprotocol."""
        if self.forward_status != 101:
            return status(self.forward_status, "forbidden")
        assert request.query["ports"] == "8080"
        socket = http.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await socket.prepare(request)
        assert socket.ws_protocol == "v4.channel.k8s.io"
        self.tunnels += 1
        port = (8080).to_bytes(2, "little")
        await socket.send_bytes(b"\x00" + port)
        await socket.send_bytes(b"\x01" + port)
        heard = b""
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            assert message.data[0] == 0
            heard += message.data[1:]
            if heard.endswith(b"\r\n\r\n"):
                if self.refused:
                    await socket.send_bytes(b"\x01" + self.refused)
                    break
                body = ONE.encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                for part in (head[:7], head[7:], body[:3], body[3:]):
                    await socket.send_bytes(b"\x00" + part)
                heard = b""
        return socket


def pod(name, *, ready, phase="Running", port=8080):
    return {
        "metadata": {"name": name, "namespace": "monitoring"},
        "spec": {"containers": [{"name": "p", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def status(code, message):
    return http.json_response({"kind": "Status", "message": message, "code": code}, status=code)


@pytest.fixture
async def cluster():
    cluster = Cluster()
    app = http.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.handle)
    runner = http.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await http.TCPSite(runner, "127.0.0.1", 0).start()
    cluster.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield cluster
    await runner.cleanup()


@pytest.fixture
async def client(cluster):
    target = ClusterTarget(
        context="test",
        cluster="test",
        user="ann",
        server=cluster.url,
        namespace="default",
        source="a test",
        auth=Auth(token="abc"),
    )
    async with Client(target) as client:
        yield client


async def refused(client, **settings):
    with pytest.raises(PrometheusNotFoundError) as raised:
        async with connect_prometheus(client, Settings(**settings)):
            pass
    return raised.value


async def test_through_the_service_proxy(cluster, client):
    async with connect_prometheus(client, Settings()) as found:
        assert found.words() == (
            "Prometheus at monitoring/prom:9090 by service proxy (found by label app=prometheus-server)"
        )
    path, headers = next(asked for asked in cluster.asked if "/proxy/" in asked[0])
    assert path == "/api/v1/namespaces/monitoring/services/prom:9090/proxy/api/v1/query"
    assert headers["Authorization"] == "Bearer abc"


async def test_mimirs_path_and_tenant(cluster, client):
    cluster.labels = {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "query-frontend"}
    cluster.api_path = "/prometheus"
    async with connect_prometheus(
        client, Settings(headers={"X-Scope-OrgID": "team-7"}, service="monitoring/prom")
    ) as found:
        assert found.kind == "Mimir"
    sent = [headers for path, headers in cluster.asked if "/proxy/" in path]
    assert {headers["X-Scope-OrgID"] for headers in sent} == {"team-7"}
    async with connect_prometheus(client, Settings()):
        assert cluster.asked[-1][1]["X-Scope-OrgID"] == "anonymous"


async def test_a_port_forward_where_the_proxy_is_forbidden(cluster, client):
    cluster.proxy_status = 403
    cluster.pods = [
        pod("pending", ready=False, phase="Pending", port=1),
        pod("starting", ready=False, port=2),
        pod("prometheus-1", ready=True),
    ]
    async with connect_prometheus(client, Settings(bearer_token="for-prometheus")) as found:
        assert found.via == "port-forward"
        assert found.prometheus.url.startswith("http://127.0.0.1:")
        assert 'cannot get resource "services/proxy"' in found.attempts[0]
        answer = await asyncio.to_thread(found.prometheus.instant_query, "1")
        assert answer.streams[0].last == 1.0
        port = int(found.prometheus.url.rpartition(":")[2])
    paths = [path for path, _ in cluster.asked]
    assert "/api/v1/namespaces/monitoring/pods/prometheus-1/portforward" in paths
    assert cluster.tunnels >= 2
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)  # the listener is gone


async def test_several_connections_through_one_port_forward(cluster, client):
    cluster.proxy_status = 403
    async with connect_prometheus(client, Settings()) as found:
        url = found.prometheus.url.removeprefix("http://")
        host, port = url.split(":")

        async def ask():
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(len(ONE))
            writer.close()
            return head, body

        answers = await asyncio.gather(*(ask() for _ in range(5)))
    assert {body.decode() for _, body in answers} == {ONE}


async def test_neither_is_allowed(cluster, client):
    cluster.proxy_status = cluster.forward_status = 403
    error = await refused(client)
    assert error.reason is NotFoundReason.FORBIDDEN
    assert "service proxy: User" in error.attempts[0]
    assert error.attempts[1] == "monitoring/prom:9090, port-forward: portforward is forbidden"


async def test_nobody_listens_behind_the_port_forward(cluster, client):
    cluster.proxy_status = 403
    cluster.refused = b"connection\x1b[31m refused in the pod"
    error = await refused(client)
    assert error.reason is NotFoundReason.SILENT
    assert error.attempts[1] == "monitoring/prom:9090, port-forward: connection refused in the pod"


async def test_no_pod_behind_the_service(cluster, client):
    cluster.proxy_status, cluster.pods = 403, []
    assert (await refused(client)).attempts[1].endswith("no pod behind the service runs")


async def test_a_service_that_does_not_answer(cluster, client):
    cluster.proxy_status = 503
    error = await refused(client)
    assert error.reason is NotFoundReason.SILENT
    assert not any(path.endswith("portforward") for path, _ in cluster.asked)


async def test_nothing_there(cluster, client):
    cluster.labels = {}
    error = await refused(client)
    assert error.reason is NotFoundReason.ABSENT
    assert str(error) == "not found: 1 service listed, none with Prometheus' labels or names"


async def test_an_address(client, web, cluster):
    async with connect_prometheus(client, Settings(url=web.url, username="ann", password="s")) as found:
        assert found.words() == f"Prometheus at {web.url[7:]} by its address (found by --prometheus-url)"
    assert web.asked[0].headers["Authorization"].startswith("Basic ")
    assert cluster.asked == []


@pytest.mark.parametrize("given", ["", "/api/v1", "/"])
@pytest.mark.parametrize("path", ["", "/prometheus", "/select/0/prometheus"])
async def test_an_address_without_its_path(client, web, given, path):
    web.answer = lambda asked: (
        scalar() if asked.path == f"{path}/api/v1/query" else (404, b"404 page not found", {})
    )
    async with connect_prometheus(client, Settings(url=web.url + given)) as found:
        assert found.prometheus.url == web.url + path


async def test_an_address_that_is_something_else(client, web):
    web.answer = lambda asked: (404, b"404 page not found", {})
    error = await refused(client, url=web.url)
    assert error.reason is NotFoundReason.SILENT
    assert error.attempts == (f"--prometheus-url, {web.url[7:]}: 404 page not found",)


async def test_an_address_with_a_password_is_not_shown(client, web):
    web.stop()
    error = await refused(client, url=web.url.replace("//", "//ann:secret@"))
    assert "secret" not in str(error)


async def test_cancelled_it_waits_for_nobody(client, web):
    release = asyncio.Event()
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_):
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
        return scalar()

    web.answer = hang

    async def go():
        async with connect_prometheus(client, Settings(url=web.url)):
            pass

    task = asyncio.create_task(go())
    await began.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    release.set()


SECRETS = {"headers": {"X-Scope-OrgID": "team-7"}, "bearer_token": "hunter2"}


def told(cluster):
    return [value for _, headers in cluster.asked for value in headers.values()]


@pytest.mark.parametrize("proxy_status", [200, 403])
async def test_a_service_that_was_found_gets_no_secrets(cluster, client, proxy_status):
    cluster.proxy_status = proxy_status
    async with connect_prometheus(client, Settings(**SECRETS)) as found:
        sent = signed(found)
        assert any("headers and login not sent to monitoring/prom:9090" in step for step in found.attempts)
    assert not any("hunter2" in value or "team-7" in value for value in [*told(cluster), *sent])


async def test_the_service_that_the_settings_name_gets_them(cluster, client):
    cluster.proxy_status = 403
    async with connect_prometheus(client, Settings(service="monitoring/prom", **SECRETS)) as found:
        assert found.found_by == "--prometheus-service"
        sent = signed(found)
    assert {"Bearer hunter2", "team-7"} <= set(sent)


async def test_a_named_service_that_is_not_there_is_said_and_no_other_is_tried(cluster, client):
    error = await refused(client, service="monitoring/absent")
    assert error.attempts == ("--prometheus-service, monitoring/absent: not found",)
    assert not any("/proxy/" in path for path, _ in cluster.asked)


def signed(found):
    """The headers that the connection puts on a request."""
    request = requests.Request("GET", found.prometheus.url, headers=found.prometheus.headers)
    return found.prometheus._signed_by(request.prepare()).headers.values()
