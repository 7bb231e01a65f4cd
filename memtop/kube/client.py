"""Requests to one API server: raw bytes in, raw bytes out, failures in words, credentials kept fresh."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from multidict import CIMultiDict

from memtop import __version__
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.connection_target import ClusterTarget, ssl_context
from memtop.kube.credentials import Credentials, Grant
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.retry import MAX_RETRY_AFTER, retry_after
from memtop.sanitize import sanitize, sanitize_bytes

if TYPE_CHECKING:
    from memtop.kube.transport import StreamedResponse, Transport


MAX_BODY = 512 * 1024 * 1024
"""Bytes of one answer, decompressed: 10,000 pods are 64 million, and 80,000 fit."""
MAX_LINE = 16 * 1024 * 1024
"""Bytes of one line of a stream; an object in etcd is at most 1.5 million."""
MAX_ERROR_BODY = 1024 * 1024
"""Bytes of an error's body; what is longer is no sentence."""


@dataclass(frozen=True)
class _ApiRequest:
    """One request, before it is known as whom it is sent."""

    method: str
    path: str
    params: Mapping[str, str] | None
    headers: Mapping[str, str]
    body: bytes | None = None
    total: float | None = None
    idle: float | None = None


@dataclass(frozen=True)
class ApiResponse:
    """An answer of the API server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _StatusDetails(msgspec.Struct, rename="camel"):
    retry_after_seconds: float | None = None


class _StatusBody(msgspec.Struct):
    """The API's Status object, as far as an error's sentence needs it."""

    message: str = ""
    reason: str = ""
    details: _StatusDetails | None = None


class _VersionAnswer(msgspec.Struct):
    minor: str = ""


class Client:
    """Talks to the API server of one target. Belongs to the event loop that first uses it.

    Args:
        target: Where to connect and as whom.
        credentials: Shared with other connections to the same target (see `memtop.kube.requests_session`); by
            default the client's own.
    """

    def __init__(self, target: ClusterTarget, credentials: Credentials | None = None) -> None:
        self.target = target
        self.credentials = Credentials(target.auth) if credentials is None else credentials
        self._transport: Transport | None = None
        self._retired: set[Transport] = set()  # still carry streams that began under an older certificate
        self._closing: set[asyncio.Task[None]] = set()
        self._certificate: tuple[bytes, bytes] | None = None
        self._renewing = asyncio.Lock()
        self._closed = False
        self._minor: int | None = None

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
    ) -> ApiResponse:
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
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        answer = await self._send(_ApiRequest(method, path, params, headers, body, total=timeout))
        with contextlib.closing(answer):
            return ApiResponse(answer.status, answer.headers, await answer.body(MAX_BODY))

    @contextlib.asynccontextmanager
    async def answer(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        accept: str = "application/json",
        timeout: float = 30.0,
    ) -> AsyncGenerator[StreamedResponse, None]:
        """A GET whose answer has an end and is worth reading piece by piece: a long list.

        Args:
            path: As in `request`.
            params: As in `request`.
            accept: What the answer may be.
            timeout: Seconds for the whole exchange, body included.

        Yields:
            The answer, its body not yet read; leaving the context ends the request.

        Raises:
            ApiError: The server answered with 400 or more.
            Unreachable: No answer came; its body raises that too.
            CredentialError: No credential could be had.
        """
        answer = await self._send(_ApiRequest("GET", path, params, {"Accept": accept}, total=timeout))
        with contextlib.closing(answer):
            yield answer

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
        answer = await self._send(_ApiRequest("GET", path, params, {"Accept": accept}, idle=idle_timeout))
        with contextlib.closing(answer):
            async with contextlib.aclosing(answer.lines(max_line)) as lines:
                yield lines

    @contextlib.asynccontextmanager
    async def chunks(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        idle_timeout: float | None,
        accept: str = "application/json, */*",
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The body of a GET in pieces that end anywhere, for lines of which no bound is known: logs.

        Args:
            path: As in `request`.
            params: As in `request`.
            idle_timeout: As in `stream`.
            accept: What the answer may be.

        Yields:
            The pieces as they come. While nobody takes them, the server has to wait.

        Raises:
            ApiError: The server answered with 400 or more.
            Unreachable: The connection failed, fell silent or broke.
            CredentialError: No credential could be had.
        """
        answer = await self._send(_ApiRequest("GET", path, params, {"Accept": accept}, idle=idle_timeout))
        with contextlib.closing(answer):
            async with contextlib.aclosing(answer.chunks()) as chunks:
                yield chunks

    async def minor_version(self) -> int | None:
        """The server's minor version, asked for once; None where it does not say."""
        if self._minor is None:
            try:
                said = msgspec.json.decode(await self.get("/version"), type=_VersionAnswer)
            except (ApiError, Unreachable, *JSON_ERRORS):
                return None
            digits = re.match(r"\d+", said.minor)  # some providers write "29+"
            self._minor = int(digits[0]) if digits is not None else 0
        return self._minor or None

    async def close(self) -> None:
        """Ends all requests, and a credential plugin that is running."""
        self._closed = True
        self.credentials.close()
        open_, self._retired = [*self._retired, *filter(None, [self._transport])], set()
        self._transport = None
        for transport in open_:
            await transport.close()
        await asyncio.gather(*self._closing)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, call: _ApiRequest) -> StreamedResponse:
        """Sends with current credentials, once more with renewed ones on a 401; raises what is an error."""
        grant = await self._granted()
        answer = await self._send_as(grant, call)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            try:
                renewed = await self._granted() if await self._renewed(grant) else None
            except BaseException:  # the plugin failed, or nobody waits any longer: the answer is not read
                answer.close()
                raise
            if renewed is not None:
                answer.close()
                answer = await self._send_as(renewed, call)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            with contextlib.closing(answer):
                raise await _read_error(answer)
        if _is_web_page(answer.headers) and "/proxy" not in call.path:
            with contextlib.closing(answer):
                page = await answer.body(MAX_ERROR_BODY)
            raise Unreachable(
                f"{self.target.shown_server} answers with a web page in place of the API"
                f"{_page_title(page)}: a login page of a proxy, or the server in the kubeconfig is another"
            )
        return answer

    async def _send_as(self, grant: Grant, call: _ApiRequest) -> StreamedResponse:
        headers = CIMultiDict(call.headers)
        headers["Accept-Encoding"] = self._encodings(call)
        headers["User-Agent"] = f"memtop/{__version__}"
        if grant.authorization is not None:
            headers["Authorization"] = grant.authorization
        headers.extend(self.target.auth.impersonation)
        return await self._connection(grant).send(
            call.method,
            call.path,
            params=call.params,
            headers=headers,
            body=call.body,
            total=call.total,
            idle=call.idle,
        )

    def _encodings(self, call: _ApiRequest) -> str:
        """Compressed or not.

        An API server compresses lists of more than 128 KiB, to about a ninth. Measured on the loopback that
        takes 2.3 ms more per MB of JSON (1 to 1.6 of them ours, to unpack), which pays on links slower than
        some 3 Gbit/s: so on every network, and not on the loopback. Streams stay plain: a proxy that
        compresses them would hold lines back.
        """
        return "gzip" if self.target.compress and call.total is not None else "identity"

    def _connection(self, grant: Grant) -> Transport:
        """The transport that shows the grant's certificate."""
        from memtop.kube.transport import Transport  # noqa: PLC0415  (costs a third of a second)

        if self._closed:
            raise Unreachable(f"the connection to {self.target.shown_server} is closed")
        if self._transport is None or grant.certificate != self._certificate:
            context = ssl_context(self.target, grant.certificate)
            older = self._transport
            self._transport, self._certificate = Transport(self.target, context), grant.certificate
            if older is not None:
                self._retired.add(older)
                older.retire(partial(self._close_retired, older))
        return self._transport

    def _close_retired(self, transport: Transport) -> None:
        """Its last answer has ended: its connections are of no use any more."""
        if transport in self._retired:  # else the client is closing it
            self._retired.remove(transport)
            task = asyncio.get_running_loop().create_task(transport.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _granted(self) -> Grant:
        if (grant := self.credentials.current()) is not None:
            return grant
        async with self._renewing:  # one thread waits, however many requests do
            if (grant := self.credentials.current()) is not None:
                return grant
            return await asyncio.to_thread(self.credentials.obtain)

    async def _renewed(self, grant: Grant) -> bool:
        async with self._renewing:
            return await asyncio.to_thread(self.credentials.rejected, grant)


async def _read_error(answer: StreamedResponse) -> ApiError:
    try:
        body = await answer.body(MAX_ERROR_BODY)
    except Unreachable:
        body = b""  # the status says enough
    return parse_api_error(answer.status, answer.headers, body)


def parse_api_error(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """What an error answer says: the API's Status object, or plain text, or only the status."""
    said = _StatusBody()
    with contextlib.suppress(*JSON_ERRORS):
        said = msgspec.json.decode(body, type=_StatusBody)
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = f"HTTP {status}"
    message = said.message or _plain_text(headers, body) or phrase
    if _is_web_page(headers):
        message = f"{phrase}: a web page answered in place of the API{_page_title(body)}"
    if status < HTTPStatus.BAD_REQUEST:
        message = f"redirected to {headers.get('Location', 'nowhere')} instead of answering (a login page?)"
    wait = retry_after(headers)
    if wait is None and said.details is not None:
        wait = said.details.retry_after_seconds
        wait = None if wait is None else min(max(wait, 0.0), MAX_RETRY_AFTER)
    return ApiError(status, sanitize(said.reason) or phrase.replace(" ", ""), sanitize(message), wait)


def _plain_text(headers: Mapping[str, str], body: bytes) -> str:
    if _is_web_page(headers):
        return ""  # somebody's error page; its status says as much
    return sanitize_bytes(body[:1000]).strip()


_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,200}?)\s*</title", re.IGNORECASE)


def _is_web_page(headers: Mapping[str, str]) -> bool:
    return "html" in headers.get("Content-Type", "")


def _page_title(page: bytes) -> str:
    """What a web page calls itself, in brackets."""
    found = _TITLE.search(page)
    return "" if found is None else f" ({sanitize_bytes(found.group(1))!r})"
