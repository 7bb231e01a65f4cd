"""The connection: what it sends, how long it waits, and what it says when no answer comes."""

import contextlib
import socket
import threading

import pytest
from requests.auth import HTTPBasicAuth

from memtop.history.prometheus_client import PrometheusClient, direct_auth, direct_session
from memtop.history.prometheus_queries import QueryGrid
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.connection_target import Auth, ClusterTarget
from memtop.kube.requests_session import requests_session
from tests.history.conftest import ok, scalar


@pytest.fixture
def connect(web):
    """``connect(**options)``: a connection to the test's server."""
    sessions = []

    def make(url=None, timeout=5.0, **options):
        session = direct_session()
        sessions.append(session)
        return PrometheusClient(url or web.url, session, timeout=timeout, **options)

    yield make
    for session in sessions:
        session.close()


def test_health_is_a_query_and_not_the_front_page(web, connect):
    web.answer = lambda asked: scalar() if asked.path == "/api/v1/query" else (500, b"no", {})
    assert connect().check_prometheus_connection()
    assert [asked.path for asked in web.asked] == ["/api/v1/query"]


def test_a_range_query(web, connect):
    web.answer = lambda asked: ok(
        {"resultType": "matrix", "result": [{"metric": {"pod": "a"}, "values": [[1.0, "2"], [61.0, "3"]]}]}
    )
    answer = connect().range_query("up", QueryGrid(0.0, 120.0, 60.0))
    assert answer.streams[0].values.tolist() == [2, 3]
    assert web.asked[0].query == {"query": ["up"], "start": ["0.000"], "end": ["120.000"], "step": ["60"]}


def test_headers_and_logins(web, connect, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    connect(headers={"X-Scope-OrgID": "team"}, auth=direct_auth(None, None, "abc", None)).instant_query("1")
    connect(auth=direct_auth("ann", "pä:ss", None, None)).instant_query("1")
    rotating = connect(auth=direct_auth(None, None, None, str(token)))
    rotating.instant_query("1")
    token.write_text("second")
    rotating.instant_query("1")
    sent = [asked.headers.get("Authorization") for asked in web.asked]
    assert web.asked[0].headers["X-Scope-OrgID"] == "team"
    assert sent == ["Bearer abc", "Basic YW5uOnDDpDpzcw==", "Bearer first", "Bearer second"]
    assert isinstance(direct_auth("ann", None, None, None), HTTPBasicAuth)


def test_a_netrc_file_adds_nothing(web, connect, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    connect(headers={"Authorization": "Custom x"}).instant_query("1")
    assert web.asked[0].headers["Authorization"] == "Custom x"


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff\xfe"])
def test_a_token_file_without_a_token(connect, tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CredentialError, match=str(path)):
        connect(auth=direct_auth(None, None, None, str(path))).instant_query("1")


def test_the_clusters_credentials_are_not_put_aside(web):
    target = ClusterTarget(
        context="t",
        cluster="t",
        user="t",
        server=web.url,
        namespace="default",
        source="a test",
        auth=Auth(token="the-clusters"),
    )
    with requests_session(target) as session:
        path = "/api/v1/namespaces/o/services/prometheus:9090/proxy"
        PrometheusClient(f"{web.url}{path}", session, timeout=5).instant_query("1")
    assert web.asked[0].path == f"{path}/api/v1/query"
    assert web.asked[0].headers["Authorization"] == "Bearer the-clusters"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            (400, {"status": "error", "errorType": "bad_data", "error": "parse error"}, {}),
            ApiError,
            "bad_data: parse error",
        ),
        (
            (403, {"kind": "Status", "message": "you may not", "reason": "Forbidden"}, {}),
            ApiError,
            "you may not",
        ),
        ((503, b"no endpoints\x1b[31m", {}), ApiError, "no endpoints$"),
        ((302, b"", {"Location": "https://login.example"}), ApiError, "redirected to https://login.example"),
        ((200, b"<html>Log in</html>", {}), Unreachable, "login page"),
        ((200, b'{"status":"succ', {}), Unreachable, "not Prometheus' API"),
        ((200, b"half", {"Content-Length": "100"}), Unreachable, "cut short"),
        (None, Unreachable, "closed the connection without an answer"),
    ],
)
def test_what_is_no_answer_is_one_sentence(web, connect, answer, error, words):
    web.answer = lambda asked: answer
    with pytest.raises(error, match=words) as raised:
        connect().instant_query("1")
    assert "\n" not in str(raised.value)
    assert "0x" not in str(raised.value)


def test_a_redirect_is_not_followed_with_our_headers(web, connect):
    web.answer = lambda asked: (302, b"", {"Location": f"{web.url}/elsewhere"})
    with pytest.raises(ApiError):
        connect(headers={"X-Api-Key": "secret"}).instant_query("1")
    assert len(web.asked) == 1


def test_it_waits_no_longer_than_it_may(web, connect):
    release = threading.Event()

    def hang(_):
        release.wait(30)
        return scalar()

    web.answer = hang
    try:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
            connect(timeout=0.2).instant_query("1")
    finally:
        release.set()


def test_an_answer_that_trickles_is_given_up(web, connect):
    ticks = iter(range(100))
    web.answer = lambda asked: scalar()
    with pytest.raises(Unreachable, match=r"in full within 0\.5 s"):
        connect(timeout=0.5, clock=lambda: float(next(ticks))).instant_query("1")


def test_an_answer_that_drips_byte_by_byte_is_given_up(connect):
    over = threading.Event()

    def drip(listening):
        served, _ = listening.accept()
        with served, contextlib.suppress(OSError):
            served.recv(65536)
            served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not over.wait(0.05):
                served.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = threading.Thread(target=drip, args=(listening,))
        dripping.start()
        try:
            with pytest.raises(Unreachable, match=r"in full within 0\.5 s"):
                connect(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=0.5).instant_query("1")
        finally:
            over.set()
            dripping.join()


def test_nobody_listens(connect):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be reached: Connection refused"):
            connect(f"http://user:secret@127.0.0.1:{port}").instant_query("1")


def test_no_such_host(connect):
    with pytest.raises(Unreachable, match=r"no-such-host\.invalid cannot be reached") as raised:
        connect("http://no-such-host.invalid").instant_query("1")
    assert "HTTPConnection" not in str(raised.value)


def test_it_dies_and_comes_back(web, connect):
    prometheus = connect()
    assert prometheus.check_prometheus_connection()
    port = web.server.server_port
    web.stop()
    assert not prometheus.check_prometheus_connection()
    web.start(port)
    assert prometheus.check_prometheus_connection()


def test_a_server_without_build_information(web, connect):
    web.answer = lambda asked: (404, b"not found", {})
    assert connect().version() == ""


def test_too_large_an_answer_is_not_taken_in(web, connect, monkeypatch):
    monkeypatch.setattr("memtop.history.prometheus_client.MAX_ANSWER_BYTES", 1000)
    web.answer = lambda asked: (200, b" " * 200_000, {})
    with pytest.raises(Unreachable, match="more than 1000 bytes"):
        connect().instant_query("1")
