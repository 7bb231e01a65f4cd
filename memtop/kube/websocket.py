"""WebSockets to the API server, and port-forwards that run over them.

A port-forward is a listener on this machine's loopback whose connections end in a pod. Each connection has
a WebSocket of its own, with a channel for the bytes and one for an error. Each message begins with its
channel's number; the first on each channel is the port (two bytes, least significant first).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from config.values import mask_addresses
from memtop import __version__
from memtop.background import run_in_thread
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.client import Client
from memtop.kube.connection_target import ClusterTarget, ssl_context
from memtop.kube.credentials import Credentials, Grant
from memtop.log_file import get_logger, log_request
from memtop.retry import retry_after
from memtop.sanitize import sanitize, sanitize_bytes

CONNECT_TIMEOUT = 10.0
LOGGER = get_logger("request")
MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of one message."""
PING_SECONDS = 30.0
"""Seconds between pings; load balancers drop what is silent for a minute."""


@contextlib.asynccontextmanager
async def open_websocket(
    client: Client, path: str, params: Sequence[tuple[str, str]], protocols: Sequence[str]
) -> AsyncGenerator[aiohttp.ClientWebSocketResponse, None]:
    """A WebSocket of its own connection, with the client's credentials; leaving the context closes it.

    Args:
        client: Whose target and credentials count.
        path: Below the server's URL, with a leading slash.
        params: Query parameters, not yet encoded; names may repeat.
        protocols: Subprotocols to offer, best first.

    Yields:
        The open WebSocket.

    Raises:
        ApiError: The server refused.
        Unreachable: No connection came about.
        CredentialError: No credential could be had.
    """
    credentials = client.credentials
    async with contextlib.AsyncExitStack() as stack:
        grant = await _current_grant(credentials)
        try:
            socket = await _connect_websocket(stack, client.target, grant, path, params, protocols)
        except ApiError as refusal:
            if refusal.status != HTTPStatus.UNAUTHORIZED or not await run_in_thread(
                credentials.rejected, grant
            ):
                raise
            renewed = await _current_grant(credentials)
            socket = await _connect_websocket(stack, client.target, renewed, path, params, protocols)
        yield socket


async def _current_grant(credentials: Credentials) -> Grant:
    grant = credentials.current()
    return grant if grant is not None else await run_in_thread(credentials.obtain)


async def _connect_websocket(
    stack: contextlib.AsyncExitStack,
    target: ClusterTarget,
    grant: Grant,
    path: str,
    params: Sequence[tuple[str, str]],
    protocols: Sequence[str],
) -> aiohttp.ClientWebSocketResponse:
    """Opens a WebSocket that the stack closes."""
    headers = CIMultiDict({"User-Agent": f"memtop/{__version__}"})
    if grant.authorization is not None:
        headers["Authorization"] = grant.authorization
    headers.extend(target.auth.impersonation)
    connector = aiohttp.TCPConnector(ssl=ssl_context(target, grant.certificate))
    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
    session = await stack.enter_async_context(
        aiohttp.ClientSession(connector=connector, trust_env=False, timeout=limits)
    )
    began = time.monotonic()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            socket = await session.ws_connect(
                URL(f"{target.server}{path}", encoded=True).update_query(list(params)),
                protocols=protocols,
                headers=headers,
                proxy=target.proxy,
                server_hostname=target.server_name,
                max_msg_size=MAX_MESSAGE,
                heartbeat=PING_SECONDS,
            )
    except aiohttp.WSServerHandshakeError as error:
        log_request(LOGGER, "CONNECT", path, error.status, began)
        wait = retry_after(error.headers or {})
        raise ApiError(error.status, "", _refusal_sentence(error.status, path), wait) from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log_request(LOGGER, "CONNECT", path, error, began)
        why = mask_addresses(str(error)) or "no answer in time"
        raise Unreachable(f"{target.shown_server} gave no connection for {path}: {sanitize(why)}") from None
    log_request(LOGGER, "CONNECT", path, HTTPStatus.SWITCHING_PROTOCOLS, began)
    stack.push_async_callback(socket.close)
    return socket


def _refusal_sentence(status: int, path: str) -> str:
    """The server's own words are lost with a refused handshake."""
    what = path.rpartition("/")[2]
    if status == HTTPStatus.UNAUTHORIZED:
        return f"{what}: the server does not accept the credentials (HTTP 401)"
    if status == HTTPStatus.FORBIDDEN:
        return f"{what} is forbidden"
    return f"{what} was refused (HTTP {status})"


PORT_FORWARD_PROTOCOL = "v4.channel.k8s.io"
DATA_CHANNEL, ERROR_CHANNEL = b"\x00", b"\x01"
READ_BYTES = 32 * 1024


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
        return open_websocket(self._client, self._path, [("ports", str(self._port))], [PORT_FORWARD_PROTOCOL])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._open() as socket:
                self.problem = ""
                outward = asyncio.create_task(_forward_bytes(reader, socket))
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
            if channel == DATA_CHANNEL:
                writer.write(data)
                await writer.drain()
            elif channel == ERROR_CHANNEL and data:
                self.problem = sanitize_bytes(data[:1000]).strip()
                return


async def _forward_bytes(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        while data := await reader.read(READ_BYTES):
            await socket.send_bytes(DATA_CHANNEL + data)
        # There is no half-close in this protocol; the client has sent everything, or has gone.
        await socket.close()
