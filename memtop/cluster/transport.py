"""One aiohttp session to the API server, set up by the Kubernetes client, and its failures in words.

Importing this module imports aiohttp and the Kubernetes client (0.25 to 0.3 s of CPU, of which aiohttp is
0.12 s and there is no lighter way in); `memtop.cluster.client` does so when the first request is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from yarl import URL

from memtop.cluster.errors import Unreachable
from memtop.cluster.sanitize import sanitize
from memtop.cluster.target import Target

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a TCP and TLS connection."""
READ_BUFFER = 2 * 1024 * 1024
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Transport(RESTClientObject):  # type: ignore[misc]  # the package has no types
    """The Kubernetes client's connection pool for one target and certificate, for raw bytes both ways.

    Its own ``request`` turns bodies into JSON and knows no streams, so ours talks to its session directly.
    Left out on purpose: netrc and cookies (they would override credentials), redirects (a token must not
    follow one), proxy variables (already in the target, by kubectl's rules).
    """

    def __init__(self, target: Target, context: ssl.SSLContext) -> None:
        configuration = Configuration(
            host=target.server,
            proxy=target.proxy,
            tls_server_name=target.server_name,
            client_session_kwargs={
                "trust_env": False,
                "cookie_jar": aiohttp.DummyCookieJar(),
                "read_bufsize": READ_BUFFER,
            },
        )
        super().__init__(configuration)
        self.ssl_context = context
        self._target = target

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, socket_factory=_socket)

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Sends one request and returns its answer, headers read and body not.

        Raises:
            Unreachable: No answer came.
        """
        if self.pool_manager is None:
            self.pool_manager = self._create_pool_manager()
        options: dict[str, Any] = {}
        if self._target.server_name:
            options["server_hostname"] = self._target.server_name
        with failures(self._target):
            response: aiohttp.ClientResponse = await self.pool_manager.request(
                method,
                URL(self._target.server + path, encoded=True),
                params=params,
                headers=headers,
                data=body,
                timeout=timeout,
                allow_redirects=False,
                proxy=self.proxy,
                **options,
            )
        return response


def _socket(address: Any) -> socket.socket:  # noqa: ANN401  (a getaddrinfo tuple)
    """A socket that notices within about a minute that its peer vanished without a word."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


@contextlib.contextmanager
def failures(target: Target) -> Iterator[None]:
    """Turns what aiohttp raises into one `Unreachable` sentence."""
    try:
        yield
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
        raise Unreachable(_sentence(error, target)) from error


def _sentence(error: Exception, target: Target) -> str:
    server = sanitize(target.server)
    via = f" through the proxy {_host(target.proxy)}" if target.proxy else ""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return (
                f"{server} shows a certificate that is not trusted: {_verification(error.certificate_error)}"
            )
        case aiohttp.ClientSSLError():
            return f"TLS with {server}{via} failed: {_tls(error)}"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {_host(target.proxy)} cannot be reached: {_reason(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            words = sanitize(error.message)
            return f"the proxy {_host(target.proxy)} refused to connect to {server}: {error.status} {words}"
        case aiohttp.ClientConnectorDNSError():
            return f"{server} cannot be reached{via}: the host name does not resolve"
        case aiohttp.ClientConnectorError():
            return f"{server} cannot be reached{via}: {_reason(error.os_error)}"
        case aiohttp.ConnectionTimeoutError():
            return f"{server} cannot be reached{via}: no connection within {CONNECT_TIMEOUT:g} s"
        case asyncio.TimeoutError():
            return f"{server} did not answer in time{via}"
        case aiohttp.ClientPayloadError():
            return f"the answer of {server}{via} was cut short"
        case aiohttp.ServerDisconnectedError():
            return f"{server}{via} closed the connection without an answer"
        case aiohttp.ClientOSError():
            return f"the connection to {server}{via} broke: {_reason(error)}"
        case aiohttp.ClientResponseError():
            return f"{server}{via} does not speak HTTP as expected: {sanitize(error.message)}"
        case _:
            return f"the request to {server}{via} failed: {sanitize(str(error)) or type(error).__name__}"


def _host(url: str | None) -> str:
    """Host and port of a proxy's URL, without the password it may hold."""
    parts = urlsplit(url or "")
    return sanitize(f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}")


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return sanitize(error.strerror or str(error) or type(error).__name__)


def _verification(error: Exception) -> str:
    return sanitize(getattr(error, "verify_message", "") or str(error))


def _tls(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error
    reason = getattr(cause, "reason", None)
    return sanitize(str(reason).lower().replace("_", " ") if reason else str(cause))
