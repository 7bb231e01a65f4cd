"""The embedded cluster in a thread of its own, for callers that have no event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from memtop.demo.server import DemoServer

T = TypeVar("T")

START_TIMEOUT = 60.0  # seconds


class DemoThread:
    """Runs a `DemoServer` in a thread. A context manager; takes the same arguments.

    Attributes:
        server: the server; call its methods only through `call` and `run`.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  passed on as they are
        self._options = options
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="memtop-demo", daemon=True)
        self.server: DemoServer

    def __enter__(self) -> Self:
        """Start the thread and wait until the server listens."""
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT):
            raise TimeoutError("the embedded cluster did not start")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server and its thread."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Where the API server is."""
        return self.server.url

    def kubeconfig(self, user: str = "admin", namespace: str = "production") -> str:
        """Return a kubeconfig, see `DemoServer.kubeconfig`."""
        return self.server.kubeconfig(user, namespace)

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` in the server's thread and return what it returns."""

        async def wrapped() -> T:
            return function()

        return self.run(wrapped())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's thread: `run(server.stop())`."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_TIMEOUT)

    def advance(self, seconds: float) -> None:
        """Jump ahead by simulated `seconds`."""
        self.call(lambda: self.server.advance(seconds))

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001  it is raised again in the caller's thread
            self._failure = failure
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.server = DemoServer(**self._options)
        async with self.server:
            self._ready.set()
            await self._stop.wait()
