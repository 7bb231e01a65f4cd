"""One aiohttp session to the API server, set up by the Kubernetes client, and its failures in words.

Importing this module imports aiohttp (0.12 s of CPU, and there is no lighter way in); `memtop.kube.client`
does so when the first request is made. Of the Kubernetes client only the HTTP session is imported: ``import
kubernetes`` brings its typed models' machinery, its own reader of kubeconfigs and two more HTTP stacks, 17
MiB and a tenth of a second. Python runs the ``__init__`` of a package before the first import of a module
in it, unless the package is there already. So while the two modules are imported their packages are there,
as yet empty; a later ``import kubernetes`` still gets the whole client.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from config.values import mask_addresses
from memtop.kube.api_errors import Unreachable
from memtop.kube.connection_target import ClusterTarget
from memtop.log_file import get_logger, log_request
from memtop.sanitize import sanitize

KUBERNETES_PACKAGES = ("kubernetes", "kubernetes.aio", "kubernetes.aio.client")


@contextmanager
def _bare_packages() -> Iterator[None]:
    """Has the packages that are not there yet stand empty for a while, and leaves nothing of it behind."""
    before = frozenset(sys.modules)
    path: list[str] | None = None
    for name in KUBERNETES_PACKAGES:
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            break  # the import itself will say what is missing
        path = list(spec.submodule_search_locations or ())
        if name not in before:
            sys.modules[name] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.startswith("kubernetes") and name not in before]:
            del sys.modules[name]


with _bare_packages():
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.client.rest import RESTClientObject


LOGGER = get_logger("request")
CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection, by way of a proxy where there is one, TLS included."""
READ_BUFFER = 2 * 1024 * 1024  # bytes
MAX_SWELLING = 100
"""Bytes unpacked for each byte that came. Lists of pods are packed to a 7th to a 22nd (the real test cluster,
2,000 pods of the embedded one), gzip can pack to a 1,032nd: 1 MB that became 1 GiB took 2 GiB of memory."""
UNSUSPICIOUS_BYTES = 32 * 1024 * 1024
"""So much may come of any answer, however well it is packed."""
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))  # seconds, seconds, probes


class StreamedResponse:
    """An answer whose head has been read and whose body has not."""

    def __init__(
        self, response: aiohttp.ClientResponse, target: ClusterTarget, on_close: Callable[[], None]
    ) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._target = target
        self._on_close: Callable[[], None] | None = on_close

    async def body(self, most: int) -> bytes:
        """The whole body.

        Raises:
            Unreachable: It was cut short, took too long, is larger than ``most`` bytes, or swells as no list
                of objects does.
        """
        chunks: list[bytes] = []
        size = 0
        with translate_errors(self._target):
            async for chunk in self._response.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size > most:
                    raise Unreachable(f"{self._target.shown_server} sent an answer of more than {most} bytes")
                came = self._response.content.total_raw_bytes
                if size > UNSUSPICIOUS_BYTES and size > MAX_SWELLING * came:
                    raise Unreachable(
                        f"{self._target.shown_server} sent {came:,} bytes that swell to more than {size:,}: "
                        "no list of objects does"
                    )
        return b"".join(chunks)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, in pieces that end anywhere.

        Raises:
            Unreachable: It was cut short or fell silent.
        """
        with translate_errors(self._target):
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def lines(self, most: int) -> AsyncGenerator[bytes, None]:
        """The body's lines as they come, without their newline.

        Raises:
            Unreachable: It was cut short or fell silent, or one line is longer than ``most`` bytes.
        """
        pending = bytearray()
        with translate_errors(self._target):
            async for chunk in self._response.content.iter_any():
                *ended, rest = chunk.split(b"\n")
                for end in ended:
                    pending += end
                    yield bytes(pending)
                    pending.clear()
                pending += rest
                if len(pending) > most:
                    raise Unreachable(f"{self._target.shown_server} sent a line of more than {most} bytes")
        if pending:
            yield bytes(pending)

    def close(self) -> None:
        """Ends the exchange. A connection whose answer was not read to its end is closed with it."""
        self._response.close()
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()


class Transport(RESTClientObject):
    """The Kubernetes client's connection pool for one target and certificate, for raw bytes both ways.

    Its own ``request`` turns bodies into JSON and knows no streams, so ours talks to its session directly.
    Left out on purpose: netrc and cookies (they would override credentials), redirects (a token must not
    follow one), proxy variables (already in the target, by kubectl's rules).
    """

    def __init__(self, target: ClusterTarget, context: ssl.SSLContext) -> None:
        configuration = Configuration(
            host=target.server,
            proxy=target.proxy,
            tls_server_name=target.server_name,
            # Without these it reads the system's certificates, only to be given our context below.
            ca_cert_data=target.authority.decode("ascii") if target.authority else None,
            connection_pool_maxsize=0,  # no limit: waiting for a free one would look like an outage
            client_session_kwargs={
                "trust_env": False,
                "cookie_jar": aiohttp.DummyCookieJar(),
                "read_bufsize": READ_BUFFER,
            },
        )
        super().__init__(configuration)
        self.ssl_context = context
        self._target = target
        self._open_answers = 0
        self._on_idle: Callable[[], None] | None = None

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=self.maxsize, ssl=self.ssl_context, socket_factory=_keepalive_socket
        )

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
        total: float | None,
        idle: float | None,
    ) -> StreamedResponse:
        """Sends one request and reads the head of its answer.

        Args:
            method: The HTTP method.
            path: Below the server's URL, percent-encoded.
            params: The query, not encoded.
            headers: All headers but those HTTP itself needs.
            body: Sent as it is.
            total: Seconds for the whole exchange, body included; None for any.
            idle: Seconds without a byte; None for any.

        Raises:
            Unreachable: No answer came.
        """
        if self.pool_manager is None:
            self.pool_manager = self._create_pool_manager()
        options: dict[str, Any] = {}
        if self._target.server_name:
            options["server_hostname"] = self._target.server_name
        limits = aiohttp.ClientTimeout(total=total, connect=CONNECT_TIMEOUT, sock_read=idle)
        self._open_answers += 1
        try:
            response = await self._head(
                self.pool_manager, method, path, params, headers, body, limits, options
            )
        except BaseException:
            self._answer_closed()
            raise
        return StreamedResponse(response, self._target, self._answer_closed)

    def retire(self, on_idle: Callable[[], None]) -> None:
        """No request is sent any more; those that are open go on.

        Args:
            on_idle: Called once when none is open any more; it may be now.
        """
        self._on_idle = on_idle
        self._tell_if_idle()

    def _answer_closed(self) -> None:
        self._open_answers -= 1
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if self._on_idle is not None and not self._open_answers:
            on_idle, self._on_idle = self._on_idle, None
            on_idle()

    async def _head(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: aiohttp.ClientTimeout,
        options: Mapping[str, Any],
    ) -> aiohttp.ClientResponse:
        began = time.monotonic()
        try:
            with translate_errors(self._target):
                response: aiohttp.ClientResponse = await session.request(
                    method,
                    URL(self._target.server + path, encoded=True),
                    params=params,
                    headers=headers,
                    data=body,
                    timeout=limits,
                    allow_redirects=False,
                    proxy=self.proxy,
                    **options,
                )
        except BaseException as error:
            log_request(LOGGER, method, path, error, began)
            raise
        log_request(LOGGER, method, path, response.status, began)
        return response


def _keepalive_socket(address: Any) -> socket.socket:  # noqa: ANN401  (a getaddrinfo tuple)
    """A socket that notices within about a minute that its peer vanished without a word."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


@contextlib.contextmanager
def translate_errors(target: ClusterTarget) -> Iterator[None]:
    """Turns what aiohttp raises into one `Unreachable` sentence."""
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
        raise Unreachable(_error_sentence(error, target)) from error


def _error_sentence(error: Exception, target: ClusterTarget) -> str:
    server = target.shown_server
    to = f"{server} through the proxy {_proxy_host(target.proxy)}" if target.proxy else server
    match error:
        case (
            aiohttp.ClientHttpProxyError() | aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError()
        ):
            return _connect_error_sentence(error, server, to, _proxy_host(target.proxy or ""))
        case TimeoutError():
            return f"{to} did not answer in time"
        case aiohttp.ServerDisconnectedError():
            return f"{to} closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return f"the answer of {to} was cut short"
        case aiohttp.ClientResponseError():
            return f"{to} does not speak HTTP as expected: {sanitize(error.message)}"
        case RuntimeError():  # aiohttp's word for a session or a connection that we closed
            return f"the connection to {to} is closed"
        case OSError():
            return f"the connection to {to} broke: {_os_error_words(error)}"
        case _:
            return (
                f"the request to {to} failed: {sanitize(mask_addresses(str(error))) or type(error).__name__}"
            )


def _connect_error_sentence(error: Exception, server: str, to: str, proxy: str) -> str:
    """Why there is no connection at all."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = _os_error_words(error.certificate_error)
            return f"{server} shows a certificate that is not trusted: {why}"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {proxy} cannot be reached: {_os_error_words(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            words = sanitize(error.message)
            return f"the proxy {proxy} refused to connect to {server}: {error.status} {words}".rstrip()
        case aiohttp.ClientConnectorDNSError():
            return f"{to} cannot be reached: the host name does not resolve"
        case aiohttp.ClientConnectorError():
            return f"{to} cannot be reached: {_os_error_words(error.os_error)}"
        case _:
            return f"{to} cannot be reached: no connection within {CONNECT_TIMEOUT:g} s"


def _proxy_host(url: str) -> str:
    """Host and port of a proxy's URL, without the password it may hold."""
    parts = urlsplit(url)
    return sanitize(f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}")


def _os_error_words(error: BaseException) -> str:
    """Why, in a few words of the system's or of OpenSSL's."""
    match error:
        case ssl.SSLCertVerificationError():
            return sanitize(error.verify_message or str(error))
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            return "it does not speak TLS"
        case ssl.SSLError(reason=str(reason)):
            return f"TLS failed ({sanitize(reason.lower().replace('_', ' '))})"
        case ConnectionRefusedError():
            return "connection refused"
        case OSError(strerror=str(words)) if words:
            return sanitize(words)
        case _:
            return sanitize(str(error)) or type(error).__name__
