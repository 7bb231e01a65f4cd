"""Only who may read the kubeconfig reaches a served cluster; kubectl is told what is not simulated."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
import pytest

from memtop.demo.thread import DemoThread

SECRET = "correct-horse"


@pytest.fixture(scope="module")
def served() -> Iterator[DemoThread]:
    with DemoThread(speed=0, pods=20, secret=SECRET) as demo:
        yield demo


def ask(
    served: DemoThread, path: str, method: str = "GET", body: bytes = b"", **headers: str
) -> tuple[int, str]:
    """Status and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(served.url).port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_kubeconfig_knows_the_way(served):
    path = urlsplit(served.url).path
    assert ask(served, f"{path}/api/v1/namespaces")[0] == 200
    assert SECRET in served.kubeconfig()
    assert SECRET not in served.server.shown_url


@pytest.mark.parametrize(
    "path",
    ["/api/v1/pods", "/wrong/api/v1/pods", "/", f"/{SECRET[:-1]}/api", "/%ff", "/readyz", "/prometheus/api"],
)
def test_nobody_else_gets_an_answer(served, path):
    status, said = ask(served, path)
    assert status == 401
    assert "items" not in said


def test_a_bearer_token_is_no_way_around_it(served):
    assert ask(served, "/api/v1/pods", Authorization="Bearer demo-admin")[0] == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]", ""])
def test_another_name_for_this_machine_is_refused(served, host):
    assert ask(served, f"/{SECRET}/api/v1/pods", Host=host)[0] in {400, 403}


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:80"])
def test_its_own_names_are_not(served, host):
    assert ask(served, f"/{SECRET}/api/v1/namespaces", Host=host)[0] == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_site_is_refused(served, origin):
    assert ask(served, f"/{SECRET}/api/v1/pods", Origin=origin)[0] == 403


NOT_THERE = [
    ("POST", "/api/v1/namespaces/production/pods", "creating pods"),
    ("PATCH", "/api/v1/nodes/node-1", "changing nodes"),
    ("POST", "/api/v1/namespaces/production/pods/x/portforward", "port-forward"),
    ("POST", "/api/v1/namespaces/production/pods/x/attach", "kubectl attach"),
    ("PATCH", "/api/v1/namespaces/production/pods/x/ephemeralcontainers", "kubectl debug"),
    ("POST", "/api/v1/namespaces/production/pods/x/eviction", "kubectl drain"),
]


@pytest.mark.parametrize(("method", "path", "what"), NOT_THERE, ids=[what for _, _, what in NOT_THERE])
def test_what_is_not_simulated_is_said(served, method, path, what):
    status, said = ask(served, f"/{SECRET}{path}", method, b"{}")
    message = msgspec.json.decode(said)["message"]
    assert (status, "does not simulate" in message, what in message) == (405, True, True)


def test_a_schema_that_is_not_there_says_what_to_do(served):
    for path in ("/openapi/v2", "/openapi/v3"):
        status, said = ask(served, f"/{SECRET}{path}")
        assert (status, "--validate=false" in said) == (404, True)


def test_protobuf_is_refused_in_words(served):
    path = f"/{SECRET}/api/v1/namespaces/production/configmaps"
    status, said = ask(
        served, path, "POST", b"k8s\0\x0a\x00", Content_Type="application/vnd.kubernetes.protobuf"
    )
    assert (status, "protobuf" in said) == (415, True)


def test_exec_of_an_older_kubectl_says_what_it_takes(served):
    pods = msgspec.json.decode(ask(served, f"/{SECRET}/api/v1/namespaces/production/pods")[1])["items"]
    name = next(one["metadata"]["name"] for one in pods if "user-service" in one["metadata"]["name"])
    path = f"/{SECRET}/api/v1/namespaces/production/pods/{name}/exec?command=ls"
    status, said = ask(served, path, "POST", b"", Upgrade="SPDY/3.1", Connection="Upgrade")
    assert (status, "WebSockets" in said) == (400, True)
