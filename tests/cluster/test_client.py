import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from memtop.cluster.client import ApiError, Client, CredentialError, Unreachable, api_error
from memtop.cluster.target import Auth

ANSWERS = Path(__file__).parent / "answers"
"""Error answers recorded from a real API server; the name holds the status."""


def status(code, reason, message, **more):
    """The API's Status object."""
    return web.json_response(
        {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message} | more,
        status=code,
    )


@pytest.fixture
async def connect(target):
    """``connect(url, auth=…)``: a client that is closed after the test."""
    clients = []

    def make(url, **fields):
        clients.append(Client(target(url, **fields)))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def client_for(serve, connect):
    """``await client_for(handler)``: a client of a server that gives every request to ``handler``."""

    async def make(handler, **fields):
        return connect(await serve(handler), **fields)

    return make


async def read(client, seen, **options):
    """Reads a stream to its end into ``seen``."""
    async with client.stream("/", **options) as lines:
        async for line in lines:
            seen.append(line)


async def refused(awaitable):
    with pytest.raises(ApiError) as raised:
        await awaitable
    return raised.value


async def unreachable(awaitable):
    with pytest.raises(Unreachable) as raised:
        await awaitable
    assert "\n" not in str(raised.value)
    return str(raised.value)


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
        error = api_error(502, {}, body)
        assert (error.status, error.reason) == (502, "BadGateway")
        assert error.message
        assert api_error(599, {}, body).reason == "HTTP599"

    def test_an_error_page_is_not_quoted(self):
        assert api_error(502, {"Content-Type": "text/html"}, b"<html>nginx</html>").message == "Bad Gateway"

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
        error = api_error(code, {}, path.read_bytes())
        assert error.status == code
        assert error.reason.isalpha()
        assert len(error.message) > 10
        assert not error.message.startswith("{")


class TestTrouble:
    async def test_a_refused_connection(self, connect, unused_tcp_port):
        text = await unreachable(connect(f"http://127.0.0.1:{unused_tcp_port}").get("/"))
        assert text == f"http://127.0.0.1:{unused_tcp_port} cannot be reached: connection refused"

    async def test_an_unknown_host(self, connect):
        assert "does not resolve" in await unreachable(connect("http://no-such-host.invalid").get("/"))

    async def test_a_slow_server(self, client_for):
        async def answer(request):
            await asyncio.sleep(60)

        assert "did not answer in time" in await unreachable((await client_for(answer)).get("/", timeout=0.1))

    async def test_a_body_that_never_ends_in_time(self, client_for):
        async def answer(request):
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.02)

        assert "did not answer in time" in await unreachable((await client_for(answer)).get("/", timeout=0.3))

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{half",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{half\r\n",
        ],
    )
    async def test_half_a_body(self, serve_bytes, connect, answer):
        async def cut(head, reader, writer):
            writer.write(answer)
            await writer.drain()
            writer.close()

        text = await unreachable(connect(f"http://127.0.0.1:{await serve_bytes(cut)}").get("/"))
        assert text.endswith("was cut short")

    async def test_no_answer_at_all(self, serve_bytes, connect):
        async def hang_up(head, reader, writer):
            writer.close()

        text = await unreachable(connect(f"http://127.0.0.1:{await serve_bytes(hang_up)}").get("/"))
        assert "closed the connection" in text or "broke" in text

    async def test_something_that_is_no_http(self, serve_bytes, connect):
        async def smtp(head, reader, writer):
            writer.write(b"220 mail.example ESMTP \x1b[31m\r\n")
            await writer.drain()

        text = await unreachable(connect(f"http://127.0.0.1:{await serve_bytes(smtp)}").get("/"))
        assert "does not speak HTTP" in text
        assert "\x1b" not in text

    async def test_a_body_without_bound(self, client_for, monkeypatch):
        monkeypatch.setattr("memtop.cluster.client.MAX_BODY", 1000)

        async def answer(request):
            return web.Response(text="x" * 1001)

        assert "more than 1000 bytes" in await unreachable((await client_for(answer)).get("/"))

    async def test_the_next_request_after_a_failure_works(self, serve_bytes, connect):
        answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ]

        async def answer(head, reader, writer):
            writer.write(answers.pop(0))
            await writer.drain()
            writer.close()

        client = connect(f"http://127.0.0.1:{await serve_bytes(answer)}")
        await unreachable(client.get("/"))
        assert await client.get("/") == b"ok"


class TestStreams:
    async def test_lines_come_one_by_one_however_they_are_cut(self, client_for):
        pieces = [b'{"a":', b"1}\n", b"two\nthree\n\nfo", b"ur\nno newline"]
        more = asyncio.Event()

        async def answer(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for piece in pieces:
                await response.write(piece)
                await more.wait()
                more.clear()
            return response

        client = await client_for(answer)
        seen = []
        async with client.stream("/", {"watch": "1"}, idle_timeout=10) as lines:
            more.set()
            async for line in lines:
                seen.append(line)
                more.set()
            if line == b"four":
                more.set()
        assert seen == [b'{"a":1}', b"two", b"three", b"", b"four", b"no newline"]

    async def test_silence_is_noticed(self, client_for):
        async def answer(request):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"one\n")
            await asyncio.sleep(60)

        client = await client_for(answer)
        seen = []
        with pytest.raises(Unreachable, match="in time"):
            await read(client, seen, idle_timeout=0.2)
        assert seen == [b"one"]

    async def test_an_endless_line_is_given_up(self, client_for):
        async def answer(request):
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 10_000)

        client = await client_for(answer)
        with pytest.raises(Unreachable, match="a line of more than 50000 bytes"):
            await read(client, [], idle_timeout=10, max_line=50_000)

    async def test_a_stream_that_breaks(self, serve_bytes, connect):
        async def cut(head, reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n9\r\nha")
            await writer.drain()
            writer.close()

        client = connect(f"http://127.0.0.1:{await serve_bytes(cut)}")
        seen = []
        with pytest.raises(Unreachable, match="cut short"):
            await read(client, seen, idle_timeout=10)
        assert seen == [b"one"]

    @pytest.mark.parametrize("how", ["leave", "cancel"])
    async def test_the_server_sees_the_end_at_once(self, serve_bytes, connect, how):
        begun, hung_up = asyncio.Event(), asyncio.Event()

        async def watch(head, reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
            await writer.drain()
            assert await reader.read() == b""
            hung_up.set()

        client = connect(f"http://127.0.0.1:{await serve_bytes(watch)}")

        async def follow():
            async with client.stream("/", idle_timeout=None) as lines:
                async for _ in lines:
                    begun.set()
                    if how == "leave":
                        return

        task = asyncio.create_task(follow())
        await begun.wait()
        if how == "cancel":
            task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(10):
            await hung_up.wait()

    async def test_closing_the_client_ends_its_streams(self, client_for):
        async def answer(request):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"one\n")
            await asyncio.sleep(60)

        client = await client_for(answer)

        async def close_while_reading():
            async with client.stream("/", idle_timeout=None) as lines:
                async for _ in lines:
                    await client.close()

        async with asyncio.timeout(10):
            with pytest.raises(Unreachable):
                await close_while_reading()

    async def test_a_closed_client_says_so(self, client_for):
        client = await client_for(TestCredentials.only("t"))
        await client.close()
        assert "is closed" in await unreachable(client.get("/"))


class TestCredentials:
    @staticmethod
    def only(token):
        """A server that knows one token."""

        async def answer(request):
            if request.headers.get("Authorization") != f"Bearer {token}":
                return status(401, "Unauthorized", "Unauthorized")
            return web.Response(text="welcome")

        return answer

    async def test_an_expired_token_is_said(self, client_for):
        error = await refused((await client_for(self.only("new"), auth=Auth(token="old"))).get("/"))
        assert (error.status, error.reason) == (401, "Unauthorized")

    async def test_a_token_file_that_rotated_is_read_again(self, client_for, tmp_path):
        path = tmp_path / "token"
        path.write_text("old")
        client = await client_for(self.only("new"), auth=Auth(token_file=path))
        assert (await refused(client.get("/"))).status == 401
        path.write_text("new")
        assert await client.get("/") == b"welcome"

    async def test_a_plugin_is_run_again_on_a_401(self, client_for, plugin, plugin_runs):
        spec = plugin("grant(token='old' if runs < 2 else 'new')")
        client = await client_for(self.only("new"), auth=Auth(plugin=spec))
        assert await asyncio.gather(*(client.get("/") for _ in range(5))) == [b"welcome"] * 5
        assert plugin_runs() == 2

    async def test_a_plugin_whose_tokens_are_all_rejected_ends_in_a_401(
        self, client_for, plugin, plugin_runs
    ):
        client = await client_for(self.only("new"), auth=Auth(plugin=plugin("grant(token=f'bad-{runs}')")))
        for _ in range(3):
            assert (await refused(client.get("/"))).status == 401
        assert plugin_runs() == 2

    async def test_a_plugin_that_fails_while_running_is_said(self, client_for, plugin):
        spec = plugin("grant(token='old') if runs < 2 else sys.exit('session expired')")
        client = await client_for(self.only("new"), auth=Auth(plugin=spec))
        with pytest.raises(CredentialError) as raised:
            await client.get("/")
        assert raised.value.output == "session expired"

    async def test_closing_does_not_wait_for_a_hanging_plugin(self, client_for, plugin, plugin_runs):
        client = await client_for(self.only("t"), auth=Auth(plugin=plugin("time.sleep(600)")))
        waiting = asyncio.create_task(client.get("/"))
        while not plugin_runs():
            await asyncio.sleep(0)
        await client.close()
        async with asyncio.timeout(10):
            with pytest.raises(CredentialError, match="cancelled"):
                await waiting

    async def test_a_watch_authenticates_too(self, client_for, plugin):
        spec = plugin("grant(token='old' if runs < 2 else 'new')")
        client = await client_for(self.only("new"), auth=Auth(plugin=spec))
        async with client.stream("/", idle_timeout=10) as lines:
            assert [line async for line in lines] == [b"welcome"]
