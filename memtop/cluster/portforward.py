"""A port-forward of our own: a listener on this machine's loopback whose connections end in a pod.

It speaks the API server's ``portforward`` over a WebSocket, one WebSocket for each connection: a channel for
the bytes and one for an error, each message led by its channel's number, and the first on each channel being
the port (two bytes, least significant first).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import aiohttp

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, Unreachable
from memtop.cluster.sanitize import sanitize_bytes
from memtop.cluster.websocket import websocket

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = b"\x00", b"\x01"
READ = 32 * 1024


class PortForward:
    """Carries connections to one port of one pod.

    Attributes:
        problem: Why the last connection failed; empty if it did not.
    """

    def __init__(self, client: Client, namespace: str, pod: str, port: int) -> None:
        self.problem = ""
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        self._port = port
        self._carried: set[asyncio.Task[None]] = set()

    async def check(self) -> None:
        """Opens a connection and closes it.

        Raises:
            ApiError: It is forbidden, or there is no such pod.
            Unreachable: No connection came about.
            CredentialError: No credential could be had.
        """
        async with self._open():
            pass

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncGenerator[str, None]:
        """Listens while the context lasts.

        Yields:
            The URL to connect to, on this machine's loopback.
        """
        # Tasks of our own: asyncio's for a coroutine here would report their cancellation as an error.
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.close()
            for task in list(self._carried):
                task.cancel()
            await asyncio.gather(*self._carried, return_exceptions=True)

    def _open(self) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        return websocket(self._client, self._path, [("ports", str(self._port))], [PROTOCOL])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._open() as socket:
                self.problem = ""
                outward = asyncio.create_task(_send(reader, socket))
                try:
                    await self._receive(socket, writer)
                finally:
                    outward.cancel()
        except (ApiError, Unreachable, CredentialError) as error:
            self.problem = str(error)
        except (ConnectionError, aiohttp.ClientError) as error:
            self.problem = f"the port-forward broke: {error}"
        finally:
            writer.close()

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
        begun: set[bytes] = set()
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[:1], message.data[1:]
            if channel not in begun:
                begun.add(channel)
                data = data[2:]  # the port
            if channel == DATA:
                writer.write(data)
                await writer.drain()
            elif channel == ERROR and data:
                self.problem = sanitize_bytes(data[:1000]).strip()
                return


async def _send(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        while data := await reader.read(READ):
            await socket.send_bytes(DATA + data)
        # There is no half-close in this protocol; whoever connected has said all, or has gone.
        await socket.close()
