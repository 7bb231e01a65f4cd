"""Requests of the client, and the errors that an API server answers with."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from memtop.kube.api_errors import ApiError
from memtop.kube.client import parse_api_error
from memtop.kube.connection_target import Auth
from tests.kube.asking import refused, status

ANSWERS = Path(__file__).parent / "answers"
"""Error answers recorded from a real API server; the name holds the status."""


class TestRequests:
    async def test_bytes_come_as_they_are(self, client_for):
        async def answer(request):
            return web.Response(body=b'{"items":  [] }', content_type="application/json")

        client = await client_for(answer)
        assert await client.get("/api/v1/pods") == b'{"items":  [] }'

    async def test_what_is_asked_reaches_the_server(self, client_for):
        async def echo(request):
            asked = ("Accept", "Content-Type", "User-Agent", "Authorization")
            names = (*asked, "Impersonate-User", "Impersonate-Group")
            headers = {name: request.headers.getall(name, []) for name in names}
            return web.json_response(
                [request.method, request.raw_path, await request.text(), headers], headers={"X-Answer": "1"}
            )

        auth = Auth(
            token="t",
            impersonation=(("Impersonate-User", "u"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")),
        )
        client = await client_for(echo, auth=auth)
        response = await client.request(
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/x%2Fy",
            {"fieldSelector": "a=b,c!=d e"},
            body=b'[{"op": "test"}]',
            content_type="application/json-patch+json",
            accept="application/json;as=Table",
        )
        method, path, body, headers = json.loads(response.body)
        assert (response.status, response.headers["x-answer"]) == (200, "1")
        assert method == "PATCH"
        assert path == "/apis/apps/v1/namespaces/a/deployments/x%2Fy?fieldSelector=a%3Db,c!%3Dd+e"
        assert body == '[{"op": "test"}]'
        assert headers.pop("User-Agent")[0].startswith("memtop/")
        assert headers == {
            "Accept": ["application/json;as=Table"],
            "Content-Type": ["application/json-patch+json"],
            "Authorization": ["Bearer t"],
            "Impersonate-User": ["u"],
            "Impersonate-Group": ["a", "b"],
        }

    async def test_a_server_below_a_path(self, serve, connect):
        async def echo(request):
            return web.Response(text=request.path)

        client = connect(await serve(echo) + "/k8s/clusters/c-1")
        assert await client.get("/version") == b"/k8s/clusters/c-1/version"

    @pytest.mark.parametrize("compress", [True, False])
    async def test_compression_is_asked_for_only_where_it_pays(self, client_for, compress):
        async def answer(request):
            response = web.Response(text=request.headers["Accept-Encoding"])
            response.enable_compression()
            return response

        client = await client_for(answer, compress=compress)
        assert await client.get("/") == (b"gzip" if compress else b"identity")

    async def test_connections_are_reused(self, client_for):
        seen = set()

        async def answer(request):
            seen.add(request.transport)
            return web.Response(text="x" * 100_000)

        client = await client_for(answer)
        for _ in range(5):
            await client.get("/")
        assert len(seen) == 1

    async def test_cookies_are_not_kept(self, serve, connect):
        async def answer(request):
            response = web.Response(text=str(dict(request.cookies)))
            response.set_cookie("session", "x")
            return response

        client = connect((await serve(answer)).replace("127.0.0.1", "localhost"))  # addresses have no cookies
        assert [await client.get("/") for _ in range(2)] == [b"{}", b"{}"]

    async def test_netrc_and_proxy_variables_do_not_meddle(self, client_for, monkeypatch, tmp_path):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login evil password evil\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

        async def echo(request):
            return web.Response(text=request.headers.get("Authorization", "none"))

        client = await client_for(echo)
        assert await client.get("/") == b"none"


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "reason"), [(403, "Forbidden"), (404, "NotFound"), (410, "Expired"), (500, "InternalError")]
    )
    async def test_a_status_object_is_read(self, client_for, code, reason):
        async def answer(request):
            return status(code, reason, 'pods is \x1b[31mforbidden\x1b[0m: User "x"')

        error = await refused((await client_for(answer)).get("/"))
        assert (error.status, error.reason, error.message) == (code, reason, 'pods is forbidden: User "x"')
        assert str(error) == error.message
        assert error.retry_after is None

    async def test_plain_text_is_read(self, client_for):
        text = "error trying to reach service: dial tcp 10.88.0.1:4443: connect: connection refused\n"

        async def answer(request):
            return web.Response(text=text, status=503)

        error = await refused((await client_for(answer)).get("/apis/metrics.k8s.io/v1beta1/pods"))
        assert (error.status, error.reason, error.message) == (503, "ServiceUnavailable", text.strip())

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe"])
    def test_an_answer_without_sense_still_has_its_status(self, body):
        error = parse_api_error(502, {}, body)
        assert (error.status, error.reason) == (502, "BadGateway")
        assert error.message
        assert parse_api_error(599, {}, body).reason == "HTTP599"

    def test_an_error_page_is_named_and_not_quoted(self):
        page = b"<html><title>Sign in</title><body>much else</body>"
        said = parse_api_error(403, {"Content-Type": "text/html"}, page).message
        assert said == "Forbidden: a web page answered in place of the API ('Sign in')"

    async def test_how_long_to_wait_is_known(self, client_for):
        async def answer(request):
            if request.path == "/header":
                return web.Response(status=429, text="too many", headers={"Retry-After": "7"})
            return status(504, "Timeout", "slow", details={"retryAfterSeconds": 1})

        client = await client_for(answer)
        assert (await refused(client.get("/header"))).retry_after == 7.0
        assert (await refused(client.get("/details"))).retry_after == 1.0

    async def test_a_redirect_is_not_followed_with_our_token(self, client_for):
        async def answer(request):
            raise web.HTTPFound("https://login.example/")

        error = await refused((await client_for(answer, auth=Auth(token="t"))).get("/api"))
        assert error.status == 302
        assert "https://login.example/" in error.message

    async def test_a_watch_that_is_refused(self, client_for):
        async def answer(request):
            return status(410, "Expired", "too old resource version")

        client = await client_for(answer)
        with pytest.raises(ApiError) as raised:
            async with client.stream("/api/v1/pods", {"watch": "1"}, idle_timeout=5):
                pytest.fail("there is nothing to read")
        assert raised.value.reason == "Expired"

    @pytest.mark.parametrize("path", sorted(ANSWERS.glob("error-*")), ids=lambda path: path.stem)
    def test_what_a_real_server_answered_is_read(self, path):
        code = int(path.name.split("-")[1])
        error = parse_api_error(code, {}, path.read_bytes())
        assert error.status == code
        assert error.reason.isalpha()
        assert len(error.message) > 10
        assert not error.message.startswith("{")


@pytest.mark.parametrize(("said", "wait"), [("1e300", 300.0), ("86400", 300.0), ("-5", 0.0), ("1e999", None)])
def test_what_a_body_asks_to_wait_is_bounded_like_the_header(said, wait):
    body = f'{{"message": "busy", "details": {{"retryAfterSeconds": {said}}}}}'.encode()
    assert parse_api_error(429, {}, body).retry_after == wait
