"""WebSockets to the API server: what its ``portforward`` and ``exec`` speak."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from memtop import __version__
from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.credentials import Credentials, Grant
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.sanitize import sanitize
from memtop.cluster.target import Target
from memtop.cluster.tls import ssl_context
from memtop.retry import retry_after

CONNECT_TIMEOUT = 10.0
MOST_MESSAGE = 16 * 1024 * 1024
"""Bytes of one message."""
KEEPALIVE = 30.0
"""Seconds between pings; load balancers drop what is silent for a minute."""


@contextlib.asynccontextmanager
async def websocket(
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
        grant = await _granted(credentials)
        try:
            socket = await _connect(stack, client.target, grant, path, params, protocols)
        except ApiError as refusal:
            if refusal.status != HTTPStatus.UNAUTHORIZED or not await aside(credentials.rejected, grant):
                raise
            renewed = await _granted(credentials)
            socket = await _connect(stack, client.target, renewed, path, params, protocols)
        yield socket


async def _granted(credentials: Credentials) -> Grant:
    grant = credentials.at_hand()
    return grant if grant is not None else await aside(credentials.obtain)


async def _connect(
    stack: contextlib.AsyncExitStack,
    target: Target,
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
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            socket = await session.ws_connect(
                URL(f"{target.server}{path}", encoded=True).update_query(list(params)),
                protocols=protocols,
                headers=headers,
                proxy=target.proxy,
                server_hostname=target.server_name,
                max_msg_size=MOST_MESSAGE,
                heartbeat=KEEPALIVE,
            )
    except aiohttp.WSServerHandshakeError as error:
        wait = retry_after(error.headers or {})
        raise ApiError(error.status, "", _refusal(error.status, path), wait) from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        why = str(error) or "no answer in time"
        raise Unreachable(f"{target.server} gave no connection for {path}: {sanitize(why)}") from None
    stack.push_async_callback(socket.close)
    return socket


def _refusal(status: int, path: str) -> str:
    """The server's own words are lost with a refused handshake."""
    what = path.rpartition("/")[2]
    if status == HTTPStatus.UNAUTHORIZED:
        return f"{what}: the server does not accept the credentials (HTTP 401)"
    if status == HTTPStatus.FORBIDDEN:
        return f"{what} is forbidden"
    return f"{what} was refused (HTTP {status})"
