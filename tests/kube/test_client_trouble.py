"""A server that cannot be reached, breaks off, or sends what nobody can read."""

import asyncio
import gzip
import random
import tracemalloc
import zlib

import pytest
from aiohttp import web

from tests.kube.asking import unreachable


def bomb(mebibytes: int) -> bytes:
    """Gzip of so many MiB of spaces."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(squeeze.compress(b" " * (1 << 20)) for _ in range(mebibytes)) + squeeze.flush()


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

    async def test_a_body_that_swells_is_given_up_before_it_fills_the_memory(self, client_for):
        """A megabyte of gzip became a gibibyte, and took two of memory."""

        async def answer(request):
            return web.Response(body=bomb(900), headers={"Content-Encoding": "gzip"})

        client = await client_for(answer)
        tracemalloc.start()
        try:
            text = await unreachable(client.get("/api/v1/pods"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert "swell" in text
        assert peak < 128 << 20

    async def test_a_body_that_is_packed_as_well_as_real_lists_passes(self, client_for):
        listed = b"".join(b"%032x" % random.Random(n).getrandbits(128) + b" " * 600 for n in range(64_000))

        async def answer(request):
            return web.Response(body=gzip.compress(listed, 1), headers={"Content-Encoding": "gzip"})

        assert await (await client_for(answer)).get("/") == listed

    async def test_a_login_in_the_address_is_in_no_sentence(self, serve_bytes, connect, unused_tcp_port):
        """Wherever an address becomes words, user and password are masked."""

        async def page(head, reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
            await writer.drain()
            writer.close()

        for port in (await serve_bytes(page), unused_tcp_port):
            text = await unreachable(connect(f"http://someone:hunter2@127.0.0.1:{port}").get("/"))
            assert "hunter2" not in text
            assert f"***@127.0.0.1:{port}" in text

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
        monkeypatch.setattr("memtop.kube.client.MAX_BODY", 1000)

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

    @pytest.mark.parametrize("path", ["/version", "/api/v1/pods"])
    async def test_a_login_page_in_place_of_the_api(self, client_for, path):
        async def answer(request):
            page = "<!DOCTYPE html><title>Corporate sign-in</title>"
            return web.Response(text=page, content_type="text/html")

        text = await unreachable((await client_for(answer)).get(path))
        assert "answers with a web page in place of the API ('Corporate sign-in'): a login page" in text
