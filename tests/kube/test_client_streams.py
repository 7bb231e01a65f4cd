"""What the client reads line by line."""

import asyncio

import pytest
from aiohttp import web

from memtop.kube.api_errors import Unreachable
from tests.kube.asking import only, unreachable


async def read(client, seen, **options):
    """Reads a stream to its end into ``seen``."""
    async with client.stream("/", **options) as lines:
        async for line in lines:
            seen.append(line)


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
        client = await client_for(only("t"))
        await client.close()
        assert "is closed" in await unreachable(client.get("/"))
