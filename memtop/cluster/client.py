"""Requests to one API server: raw bytes in, raw bytes out, failures in words, credentials kept fresh."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from memtop import __version__
from memtop.cluster.credentials import Credentials, Grant
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.sanitize import sanitize, sanitize_bytes
from memtop.cluster.target import Target
from memtop.cluster.tls import ssl_context

if TYPE_CHECKING:
    import aiohttp

    from memtop.cluster.transport import Transport

__all__ = [
    "ApiError",
    "Client",
    "CredentialError",
    "KubeconfigError",
    "Response",
    "Target",
    "Unreachable",
]

MAX_BODY = 1024 * 1024 * 1024
"""Bytes of one answer, decompressed; 10,000 pods are 64 million."""
MAX_LINE = 16 * 1024 * 1024
"""Bytes of one line of a stream; an object in etcd is at most 1.5 million."""
MAX_ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read."""


@dataclass(frozen=True)
class Response:
    """An answer of the API server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Details(msgspec.Struct, rename="camel"):
    retry_after_seconds: float | None = None


class _Status(msgspec.Struct):
    """The API's Status object, as far as an error's sentence needs it."""

    message: str = ""
    reason: str = ""
    details: _Details | None = None


class Client:
    """Talks to the API server of one target. Belongs to the event loop that first uses it.

    Args:
        target: Where to connect and as whom.
        credentials: Shared with other connections to the same target (see `memtop.cluster.session`); by
            default the client's own.
    """

    def __init__(self, target: Target, credentials: Credentials | None = None) -> None:
        self.target = target
        self.credentials = Credentials(target.auth) if credentials is None else credentials
        self._transport: Transport | None = None
        self._retired: list[Transport] = []  # still carry streams that began under an older certificate
        self._certificate: tuple[bytes, bytes] | None = None
        self._renewing = asyncio.Lock()

    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        accept: str = "application/json",
        timeout: float = 30.0,
    ) -> bytes:
        """The body of a GET; see `request`."""
        return (await self.request("GET", path, params, accept=accept, timeout=timeout)).body

    async def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = 30.0,
    ) -> Response:
        """Sends one request and reads the whole answer.

        Args:
            method: ``GET``, ``PATCH`` and so on.
            path: Below the server's URL, with a leading slash, already percent-encoded.
            params: Query parameters, not yet encoded.
            body: Sent as it is.
            content_type: Of ``body``.
            accept: What the answer may be.
            timeout: Seconds for the whole exchange, the renewal of credentials not included.

        Raises:
            ApiError: The server answered with 400 or more, or with a redirect.
            Unreachable: No whole answer came.
            CredentialError: No credential could be had.
            KubeconfigError: A certificate or key is not usable.
        """
        import aiohttp

        from memtop.cluster.transport import CONNECT_TIMEOUT, failures

        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT, connect=CONNECT_TIMEOUT)
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        response = await self._send(method, path, params, headers, body, limits)
        async with response:
            with failures(self.target):
                return Response(response.status, response.headers, await _whole(response, MAX_BODY))

    @contextlib.asynccontextmanager
    async def stream(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        idle_timeout: float | None,
        max_line: int = MAX_LINE,
        accept: str = "application/json",
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The lines of a GET whose answer has no end: a watch, a followed log.

        Leaving the context ends the request at once.

        Args:
            path: As in `request`.
            params: As in `request`.
            idle_timeout: Seconds without a byte (the answer's head included) after which the server is taken
                for gone; None waits for ever.
            max_line: Bytes that one line may have.
            accept: What the answer may be.

        Yields:
            The lines as they come, without their newline.

        Raises:
            ApiError: The server answered with 400 or more.
            Unreachable: The connection failed, fell silent, broke, or sent an endless line.
            CredentialError: No credential could be had.
        """
        import aiohttp

        from memtop.cluster.transport import CONNECT_TIMEOUT

        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, connect=CONNECT_TIMEOUT, sock_read=idle_timeout
        )
        response = await self._send("GET", path, params, {"Accept": accept}, None, limits)
        lines = self._lines(response, max_line)
        try:
            yield lines
        finally:
            response.close()  # not released: the rest of an endless answer is not read
            await lines.aclose()

    async def close(self) -> None:
        """Ends all requests, and a credential plugin that is running."""
        self.credentials.close()
        open_, self._retired = [*self._retired, *filter(None, [self._transport])], []
        self._transport = None
        for transport in open_:
            await transport.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: dict[str, str],
        body: bytes | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Sends with current credentials, once more with renewed ones on a 401; raises what is an error."""
        grant = await self._granted()
        response = await self._send_as(grant, method, path, params, headers, body, limits)
        if response.status == HTTPStatus.UNAUTHORIZED and await self._renewed(grant):
            response.close()
            grant = await self._granted()
            response = await self._send_as(grant, method, path, params, headers, body, limits)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            async with response:
                raise await self._error(response)
        return response

    async def _send_as(
        self,
        grant: Grant,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: dict[str, str],
        body: bytes | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        from multidict import CIMultiDict

        all_headers = CIMultiDict(headers)
        all_headers["User-Agent"] = f"memtop/{__version__}"
        if grant.authorization is not None:
            all_headers["Authorization"] = grant.authorization
        for name, value in self.target.auth.impersonation:
            all_headers.add(name, value)
        return await self._connection(grant).send(method, path, params, all_headers, body, limits)

    def _connection(self, grant: Grant) -> Transport:
        """The transport that shows the grant's certificate."""
        from memtop.cluster.transport import Transport

        if self._transport is None or grant.certificate != self._certificate:
            context = ssl_context(self.target, grant.certificate)
            if self._transport is not None:
                self._retired.append(self._transport)
            self._transport, self._certificate = Transport(self.target, context), grant.certificate
        return self._transport

    async def _granted(self) -> Grant:
        grant = self.credentials.at_hand()
        if grant is None:
            async with self._renewing:  # one thread waits, however many requests do
                grant = self.credentials.at_hand() or await asyncio.to_thread(self.credentials.obtain)
        return grant

    async def _renewed(self, grant: Grant) -> bool:
        async with self._renewing:
            return await asyncio.to_thread(self.credentials.rejected, grant)

    async def _error(self, response: aiohttp.ClientResponse) -> ApiError:
        try:
            body = await response.content.read(MAX_ERROR_BODY)
        except Exception as error:  # noqa: BLE001  (the status says enough)
            body = str(error).encode()
        return api_error(response.status, response.headers, body)

    async def _lines(self, response: aiohttp.ClientResponse, max_line: int) -> AsyncGenerator[bytes, None]:
        from memtop.cluster.transport import failures

        pending = bytearray()
        with failures(self.target):
            async for chunk in response.content.iter_any():
                *lines, rest = chunk.split(b"\n")
                for line in lines:
                    pending += line
                    yield bytes(pending)
                    pending.clear()
                pending += rest
                if len(pending) > max_line:
                    raise Unreachable(f"{self.target.server} sent a line of more than {max_line} bytes")
        if pending:
            yield bytes(pending)


async def _whole(response: aiohttp.ClientResponse, most: int) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise Unreachable(f"the answer is larger than {most >> 20} MiB")
    return b"".join(chunks)


def api_error(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """What an error answer says: the API's Status object, or plain text, or only the status."""
    said = _Status()
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        said = msgspec.json.decode(body, type=_Status)
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else f"HTTP {status}"
    message = said.message
    if not message:
        message = _plain(headers, body) or phrase
    if status < HTTPStatus.BAD_REQUEST:
        message = f"redirected to {headers.get('Location', 'nowhere')} instead of answering (a login page?)"
    retry_after = _seconds(headers.get("Retry-After"))
    if retry_after is None and said.details is not None:
        retry_after = said.details.retry_after_seconds
    return ApiError(status, sanitize(said.reason) or phrase.replace(" ", ""), sanitize(message), retry_after)


def _plain(headers: Mapping[str, str], body: bytes) -> str:
    if "html" in headers.get("Content-Type", ""):
        return ""  # somebody's error page; its status says as much
    return sanitize_bytes(body)[:1000].strip()


def _seconds(value: Any) -> float | None:  # noqa: ANN401
    return float(value) if isinstance(value, str) and value.strip().isdigit() else None
