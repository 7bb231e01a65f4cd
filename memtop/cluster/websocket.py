"""WebSockets to the API server: what its ``portforward`` and ``exec`` speak."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from memtop import __version__
from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.sanitize import sanitize
from memtop.cluster.tls import ssl_context

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
    target = client.target
    credentials = client.credentials
    grant = credentials.at_hand()
    if grant is None:
        grant = await aside(credentials.obtain)
    headers = CIMultiDict({"User-Agent": f"memtop/{__version__}"})
    if grant.authorization is not None:
        headers["Authorization"] = grant.authorization
    headers.extend(target.auth.impersonation)
    connector = aiohttp.TCPConnector(ssl=ssl_context(target, grant.certificate))
    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
    async with aiohttp.ClientSession(connector=connector, trust_env=False, timeout=limits) as session:
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
            raise ApiError(error.status, "", _refusal(error.status, path)) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            raise Unreachable(f"{target.server} gave no connection for {path}: {sanitize(why)}") from None
        try:
            yield socket
        finally:
            await socket.close()


def _refusal(status: int, path: str) -> str:
    """The server's own words are lost with a refused handshake."""
    what = path.rpartition("/")[2]
    if status == 403:
        return f"{what} is forbidden"
    return f"{what} was refused (HTTP {status})"
