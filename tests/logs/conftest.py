"""An API server of the tests' own that has one pod, and a listener in place of a screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from memtop.kube.client import Client
from memtop.kube.connection_target import Auth, ClusterTarget
from memtop.logs import reader
from memtop.logs.buffer import LogChannel, LogStatus
from memtop.logs.heap_readings import HeapReading
from memtop.logs.log_lines import LogLine
from memtop.logs.log_request import LogRequest

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refused(status: int, message: str) -> Answer:
    """An answer that is the API's error object."""

    async def answer(_: web.Request) -> web.Response:
        body = {"kind": "Status", "status": "Failure", "message": message, "code": status, "reason": "X"}
        return web.json_response(body, status=status)

    return answer


def text(*lines: str | bytes) -> Answer:
    """An answer that ends after these lines."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"".join(_bytes(line) for line in lines))

    return answer


def _bytes(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else f"{line}\n".encode()


class Stream:
    """A followed log, written to by the test.

    Attributes:
        left: Set when the client has gone.
    """

    def __init__(self) -> None:
        self._written: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.left = asyncio.Event()
        self.sent = 0

    def write(self, *lines: str | bytes) -> None:
        for line in lines:
            self._written.put_nowait(_bytes(line))

    def end(self) -> None:
        self._written.put_nowait(None)

    def cut(self) -> None:
        """Breaks the connection in the middle of the answer."""
        self._written.put_nowait(ConnectionError())

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.opened.set()
        try:
            while (piece := await self._written.get()) is not None:
                if isinstance(piece, Exception):
                    assert request.transport is not None
                    request.transport.abort()
                    break
                await response.write(piece)
                self.sent += len(piece)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response


@dataclass
class PodApi:
    """One pod; each request for a log takes its container's next answer, the last one again and again."""

    pod: dict[str, Any] | None = None
    pod_refused: Answer | None = None
    logs: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/log"):
            query = dict(request.query)
            self.asked.append(query)
            answers = self.logs[query["container"]]
            return await (answers.pop(0) if len(answers) > 1 else answers[0])(request)
        if self.pod_refused is not None:
            return await self.pod_refused(request)
        if self.pod is None:
            return await refused(404, 'pods "web" not found')(request)
        return web.Response(body=json.dumps(self.pod).encode(), content_type="application/json")

    def has(self, *statuses: dict[str, Any], phase: str = "Running") -> None:
        """The pod's containers are like this from now on."""
        self.pod = {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"containers": [{"name": status["name"]} for status in statuses]},
            "status": {"phase": phase, "containerStatuses": list(statuses)},
        }


def running(name: str = "web", start: int = 0, restarts: int = 0, last: Any = None) -> dict[str, Any]:
    """The status of a container that runs since a minute of the hour."""
    status = {
        "name": name,
        "restartCount": restarts,
        "state": {"running": {"startedAt": f"2026-11-22T16:{start:02}:00Z"}},
    }
    return status | ({"lastState": {"terminated": last}} if last else {})


def killed(minute: int = 5, reason: str = "OOMKilled", code: int = 137) -> dict[str, Any]:
    """How a container ended at a minute of the hour."""
    return {"reason": reason, "exitCode": code, "finishedAt": f"2026-11-22T16:{minute:02}:00Z"}


def down(name: str = "web", end: Any = None, restarts: int = 0) -> dict[str, Any]:
    """The status of a container that waits to be started again."""
    return {
        "name": name,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": end or killed()},
    }


class Listener:
    """Takes what a reader reads."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.readings: list[HeapReading] = []
        self.statuses: list[LogStatus] = []
        self.deaf = False
        self._news = asyncio.Event()
        self.channel = LogChannel(self._news.set)

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.lines]

    @property
    def status(self) -> LogStatus | None:
        return self.statuses[-1] if self.statuses else None

    def take(self) -> None:
        delivery = self.channel.take()
        self.lines += delivery.lines
        self.readings += delivery.readings
        if delivery.status is not None:
            self.statuses.append(delivery.status)

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits for something that the reader brings about."""
        async with asyncio.timeout(60):
            while True:
                self.take()
                if holds():
                    return
                self._news.clear()
                self.take()
                if holds():
                    return
                await self._news.wait()


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again at once."""
    for name in ("FIRST_WAIT", "MAX_WAIT", "POLL_SECONDS", "ROTATION_WAIT"):
        monkeypatch.setattr(reader, name, 0.01)


@pytest.fixture
def api() -> PodApi:
    """The server, with nothing on it yet."""
    return PodApi()


@pytest.fixture
async def client(api: PodApi) -> AsyncIterator[Client]:
    """A client of that server."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    target = ClusterTarget(
        "test", "test", "tester", server=server, namespace="shop", source="a test", auth=Auth()
    )
    async with Client(target) as client:
        yield client
    await runner.cleanup()


@pytest.fixture
def listener() -> Listener:
    """Takes what comes."""
    return Listener()


@pytest.fixture
async def read(client: Client, listener: Listener) -> AsyncIterator[Callable[..., asyncio.Task[None]]]:
    """``read("web", previous=True)``: a reader at work; it is ended with the test."""
    tasks: list[asyncio.Task[None]] = []

    def start(*containers: str, **fields: Any) -> asyncio.Task[None]:
        request = LogRequest("shop", "web", containers or ("web",), **fields)
        made = reader.LogReader(request, listener.channel)
        tasks.append(asyncio.create_task(made.run(client)))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
