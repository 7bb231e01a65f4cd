"""A heap snapshot from the inspector of Node.js (the Chrome DevTools protocol), through a port-forward."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import aiohttp
import msgspec

from memtop.kube.api_errors import Unreachable
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef
from memtop.kube.lenient_decoding import JSON_ERRORS, decode_lenient
from memtop.kube.websocket import PortForward
from memtop.sanitize import sanitize

OPENING_SECONDS = 10.0
"""Seconds that Node.js may take to open its inspector; a busy event loop opens it late."""
SILENCE_SECONDS = 300.0
"""Seconds without a word: while it makes a snapshot, Node.js says nothing."""
_MOST_MESSAGE = 64 * 1024 * 1024
_CLOSE_INSPECTOR = (
    "setTimeout(() => (process.getBuiltinModule ? process.getBuiltinModule('inspector') "
    ": require('inspector')).close(), 200), true"
)


async def take_heap_snapshot(
    client: Client,
    container_ref: ContainerRef,
    port: int,
    signal: Callable[[], Awaitable[None]],
    file: BinaryIO,
    progress: Callable[[int], None],
) -> None:
    """Takes a heap snapshot and writes it to a file.

    Args:
        client: As whom.
        container_ref: The pod that Node.js runs in.
        port: Where its inspector listens, or will.
        signal: Makes it listen; called only if it does not yet.
        file: Where to write.
        progress: Told how many bytes there are.

    Raises:
        Unreachable: The inspector does not answer, or breaks off.
        ApiError: A port-forward is forbidden.
        CredentialError: No credential could be had.
        OSError: It could not be written here.
    """
    forward = PortForward(client, container_ref.namespace, container_ref.pod, port)
    await forward.check()
    async with forward.listening() as url, aiohttp.ClientSession(trust_env=False) as session:
        try:
            address, opened = await _websocket_address(session, url, 1.0), False
        except Unreachable:
            await signal()
            address, opened = await _websocket_address(session, url, OPENING_SECONDS), True
        try:
            async with session.ws_connect(address, max_msg_size=_MOST_MESSAGE) as socket:
                talk = _DevToolsSession(socket)
                try:
                    await talk.write_snapshot(file, progress)
                finally:
                    if opened:
                        with contextlib.suppress(
                            Unreachable, aiohttp.ClientError, ConnectionError, TimeoutError
                        ):
                            await asyncio.wait_for(talk.close_inspector(), OPENING_SECONDS)
        except aiohttp.ClientError as error:
            raise Unreachable(f"the inspector of {container_ref.container} broke off: {error}") from error


async def _websocket_address(session: aiohttp.ClientSession, url: str, seconds: float) -> str:
    """The WebSocket of the one thing to inspect, by way of our own end of the port-forward."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            limit = aiohttp.ClientTimeout(total=2.0)
            async with session.get(f"{url}/json/list", timeout=limit) as answer:
                targets = json.loads(await answer.read())
                path = urlsplit(str(targets[0]["webSocketDebuggerUrl"])).path
                return f"{url.replace('http', 'ws', 1)}{path}"
        except (aiohttp.ClientError, OSError, LookupError, TypeError, *JSON_ERRORS) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise Unreachable("Node.js did not open its inspector") from error
        await asyncio.sleep(0.2)


class _SnapshotChunk(msgspec.Struct):
    chunk: str = ""


class _DevToolsError(msgspec.Struct):
    message: str = ""


class _DevToolsMessage(msgspec.Struct):
    """What the process on the other side says: an answer, or an event."""

    id: int | None = None
    method: str = ""
    params: _SnapshotChunk | None = None
    error: _DevToolsError | None = None


class _DevToolsSession:
    """Requests with numbers, answers by number, and events in between."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def write_snapshot(self, file: BinaryIO, progress: Callable[[int], None]) -> None:
        """Writes the snapshot."""

        def event(said: _DevToolsMessage) -> None:
            if said.method == "HeapProfiler.addHeapSnapshotChunk" and said.params is not None:
                file.write(said.params.chunk.encode())
                progress(file.tell())

        await self._ask("HeapProfiler.takeHeapSnapshot", {"reportProgress": False}, event)

    async def close_inspector(self) -> None:
        """Has Node.js close its inspector in a moment, when nobody is connected to it any more."""
        evaluated = {"expression": _CLOSE_INSPECTOR, "includeCommandLineAPI": True}
        await self._ask("Runtime.evaluate", evaluated, lambda _: None)

    async def _ask(
        self, method: str, params: dict[str, Any], event: Callable[[_DevToolsMessage], None]
    ) -> None:
        """Sends a request and waits for its answer; what comes in between goes to ``event``."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), SILENCE_SECONDS)
            except TimeoutError:
                raise Unreachable("Node.js has said nothing for five minutes") from None
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise Unreachable("the inspector broke off before it had answered")
            said = decode_lenient(message.data.encode(), _DevToolsMessage, "what the inspector said")
            if said.id != number:
                event(said)
                continue
            if said.error is not None:
                raise Unreachable(f"Node.js refused: {sanitize(said.error.message or 'it gave no reason')}")
            return
