import asyncio
import base64
import contextlib

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from memtop.kube.api_errors import KubeconfigError, Unreachable
from memtop.kube.client import Client
from memtop.kube.connection_target import Auth, Pem


async def who(request):
    """Answers with the name in the client's certificate."""
    certificate = request.transport.get_extra_info("peercert") or {}
    return web.Response(
        text=dict(part[0] for part in certificate.get("subject", ())).get("commonName", "nobody")
    )


def shows(pair):
    """A user with a client certificate."""
    return Auth(certificate=Pem(data=pair[0]), key=Pem(data=pair[1]))


async def failure(made):
    async with Client(made) as client:
        with pytest.raises(Unreachable) as raised:
            await client.get("/")
    assert "\n" not in str(raised.value)
    return str(raised.value)


async def test_a_server_is_trusted_by_its_clusters_authority(serve, server_tls, target, authority):
    url = await serve(who, server_tls())
    async with Client(target(url, authority=authority.certificate)) as client:
        assert await client.get("/") == b"nobody"


async def test_a_server_with_somebody_elses_certificate_is_not_trusted(serve, server_tls, target, stranger):
    url = await serve(who, server_tls())
    assert "not trusted" in await failure(target(url, authority=stranger.certificate))
    assert "not trusted" in await failure(target(url))


async def test_insecure_means_that_nothing_is_checked(serve, server_tls, target, stranger):
    url = await serve(who, server_tls())
    async with Client(target(url, authority=stranger.certificate, insecure=True)) as client:
        assert await client.get("/") == b"nobody"


async def test_the_expected_name_counts_instead_of_the_hosts(serve, server_tls, target, authority):
    url = (await serve(who, server_tls())).replace("127.0.0.1", "localhost")
    assert "not trusted" in await failure(target(url, authority=authority.certificate))
    made = target(url, authority=authority.certificate, server_name="kubernetes.test")
    async with Client(made) as client:
        assert await client.get("/") == b"nobody"
    wrong = target(url, authority=authority.certificate, server_name="other.test")
    assert "other.test" in await failure(wrong)


async def test_a_client_certificate_is_shown(serve, server_tls, target, authority):
    url = await serve(who, server_tls(clients=True))
    made = target(url, authority=authority.certificate, auth=shows(authority.client))
    async with Client(made) as client:
        assert await client.get("/") == b"somebody"


async def test_a_missing_client_certificate_is_an_outage_in_words(serve, server_tls, target, authority):
    url = await serve(who, server_tls(clients=True))
    assert url in await failure(target(url, authority=authority.certificate))


async def test_a_plugins_certificate_is_shown_and_renewed(serve, server_tls, target, authority, plugin):
    seen = []

    async def answer(request):
        seen.append(request.transport)
        return web.Response(status=401) if len(seen) == 1 else await who(request)

    chain, key = (part.decode() for part in authority.client)
    body = f"grant(clientCertificateData={chain!r} + '\\n' * runs, clientKeyData={key!r})"
    url = await serve(answer, server_tls(clients=True))
    made = target(url, authority=authority.certificate, auth=Auth(plugin=plugin(body)))
    async with Client(made) as client:
        assert await client.get("/") == b"somebody"
    assert seen[0] is not seen[1], "a new certificate needs a new connection"


async def test_a_stream_lives_on_when_the_certificate_rotates_and_ends_with_the_client(
    serve, server_tls, target, authority, tmp_path
):
    go_on, hung_up = asyncio.Event(), asyncio.Event()

    async def answer(request):
        if request.path != "/watch":
            return await who(request)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await go_on.wait()
        await response.write(b"two\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(0.01)
                await response.write(b"\n")
        hung_up.set()
        return response

    chain, key = Pem(path=tmp_path / "crt"), Pem(path=tmp_path / "key")
    chain.path.write_bytes(authority.client[0])
    key.path.write_bytes(authority.client[1])
    url = await serve(answer, server_tls(clients=True))
    client = Client(target(url, authority=authority.certificate, auth=Auth(certificate=chain, key=key)))
    async with client.stream("/watch", idle_timeout=10) as lines:
        assert await anext(lines) == b"one"
        chain.path.write_bytes(authority.client[0] + b"\n")
        assert await client.get("/") == b"somebody"
        go_on.set()
        assert await anext(lines) == b"two"
        await client.close()
        async with asyncio.timeout(10):
            await hung_up.wait()


async def test_connections_of_a_certificate_that_was_replaced_are_closed_with_their_last_answer(
    serve, server_tls, target, authority, tmp_path
):
    open_connections = set()

    async def answer(request):
        open_connections.add(request.transport)
        if request.path != "/watch":
            return await who(request)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await asyncio.Event().wait()
        return response

    def still_open():
        return {one for one in open_connections if one is not None and not one.is_closing()}

    chain, key = Pem(path=tmp_path / "crt"), Pem(path=tmp_path / "key")
    chain.path.write_bytes(authority.client[0])
    key.path.write_bytes(authority.client[1])
    url = await serve(answer, server_tls(clients=True))
    made = target(url, authority=authority.certificate, auth=Auth(certificate=chain, key=key))
    async with Client(made) as client, asyncio.timeout(30):
        async with client.stream("/watch", idle_timeout=10) as lines:
            await anext(lines)
            for rotation in range(1, 11):
                chain.path.write_bytes(authority.client[0] + b"\n" * rotation)
                assert await client.get("/") == b"somebody"
            while len(still_open()) > 2:  # the stream's, and the newest
                await asyncio.sleep(0.01)
        while len(still_open()) > 1:
            await asyncio.sleep(0.01)
        assert await client.get("/") == b"somebody"


async def test_a_server_that_does_not_speak_tls(serve, target):
    url = (await serve(who)).replace("http://", "https://")
    assert "it does not speak TLS" in await failure(target(url))


@pytest.mark.parametrize("field", ["authority", "certificate"])
async def test_what_is_no_pem_is_named_and_not_shown(target, authority, field):
    made = target("https://127.0.0.1:1", authority=b"s3cret junk")
    if field == "certificate":
        made = target("https://127.0.0.1:1", auth=shows((b"s3cret junk", authority.client[1])))
    async with Client(made) as client:
        with pytest.raises(KubeconfigError) as raised:
            await client.get("/")
    assert "s3cret" not in str(raised.value)
    assert field in str(raised.value)


async def test_an_encrypted_key_is_not_asked_for_on_the_terminal(target, authority):
    key = serialization.load_pem_private_key(authority.client[1], None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass"),
    )
    async with Client(target("https://127.0.0.1:1", auth=shows((authority.client[0], key)))) as client:
        with pytest.raises(KubeconfigError, match="pass phrase"):
            await client.get("/")


class TestProxies:
    @pytest.fixture
    async def proxy(self):
        """A CONNECT proxy: its URL with a password, and what it was asked."""
        heads, tasks = [], set()
        refusal = []

        async def pump(reader, writer):
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(65536):
                    writer.write(chunk)
                    await writer.drain()
            writer.close()

        async def connected(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head.decode())
            if refusal:
                writer.write(refusal[0])
                await writer.drain()
                writer.close()
                return
            host, port = head.split()[1].decode().split(":")
            onward = await asyncio.open_connection(
                "127.0.0.1" if host == "kubernetes.test" else host, int(port)
            )
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for pair in ((reader, onward[1]), (onward[0], writer)):
                task = asyncio.create_task(pump(*pair))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        yield f"http://me:pa55@127.0.0.1:{port}", heads, refusal
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def test_requests_and_streams_go_through_it(self, serve, server_tls, target, authority, proxy):
        url, heads, _ = proxy
        server = await serve(who, server_tls(clients=True))
        port = server.rpartition(":")[2]
        made = target(
            f"https://kubernetes.test:{port}",
            authority=authority.certificate,
            auth=shows(authority.client),
            proxy=url,
        )
        async with Client(made) as client:
            assert await client.get("/") == b"somebody"
            async with client.stream("/", idle_timeout=10) as lines:
                assert [line async for line in lines] == [b"somebody"]
        assert heads[0].startswith(f"CONNECT kubernetes.test:{port}")
        assert base64.b64encode(b"me:pa55").decode() in heads[0]

    async def test_the_expected_name_counts_behind_it_too(self, serve, server_tls, target, authority, proxy):
        server = (await serve(who, server_tls())).replace("127.0.0.1", "localhost")
        made = target(server, authority=authority.certificate, server_name="kubernetes.test", proxy=proxy[0])
        async with Client(made) as client:
            assert await client.get("/") == b"nobody"
        assert "not trusted" in await failure(target(server, authority=authority.certificate, proxy=proxy[0]))

    async def test_a_proxy_that_refuses(self, target, proxy):
        url, _, refusal = proxy
        refusal.append(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        text = await failure(target("https://kubernetes.test:6443", proxy=url))
        assert "refused to connect" in text
        assert "407" in text
        assert "pa55" not in text

    async def test_a_proxy_that_is_not_there(self, target, unused_tcp_port):
        text = await failure(target("https://x.test", proxy=f"http://me:pa55@127.0.0.1:{unused_tcp_port}"))
        assert text == f"the proxy 127.0.0.1:{unused_tcp_port} cannot be reached: connection refused"

    async def test_a_proxy_that_hangs_does_not_hang_us(self, target, monkeypatch, serve_bytes):
        monkeypatch.setattr("memtop.kube.transport.CONNECT_TIMEOUT", 0.2)

        async def hang(head, reader, writer):
            await reader.read()

        port = await serve_bytes(hang)
        text = await failure(target("https://x.test", proxy=f"http://127.0.0.1:{port}"))
        assert f"through the proxy 127.0.0.1:{port} cannot be reached: no connection" in text
