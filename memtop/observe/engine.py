"""The engine: observes on a thread of its own and hands frames to whoever watches.

The thread has its own event loop; nothing it does waits for a screen. A frame is built when something has
changed, at most once in `FRAME_SECONDS`, and at once when a screen asks for another view. While the first
answers are still coming in, frames follow each other faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from memtop.background import map_large_buffers
from memtop.kube.api_errors import CLUSTER_FAILURES, Unreachable
from memtop.kube.client import Client
from memtop.kube.credentials import Credentials
from memtop.log_file import get_logger
from memtop.observe.frame import Frame
from memtop.observe.observer import Observer
from memtop.observe.snapshot import FrameBuilder
from memtop.observe.source import NamespacesForbidden, forbidden_delay
from memtop.observe.view import Scope, View
from memtop.observe.watchlist import Watchlist
from memtop.retry import wait_or_until
from memtop.wording import failure_sentence

T = TypeVar("T")

FRAME_SECONDS = 1.0
UNSETTLED_FRAME_SECONDS = 0.15
OTHER_ROW_SECONDS = 0.03
"""Before the frame for another selected row: the screen paints its cursor meanwhile, in 10 to 20 ms, which
would otherwise share the interpreter with a frame over all rows (20 ms of CPU at 60,000)."""
STOP_SECONDS = 3.0
FIRST_RESTART_SECONDS, MAX_RESTART_SECONDS = 0.5, 30.0
"""Before it is observed afresh after a mistake of memtop's own; each time twice as long."""
LOGGER = get_logger("engine")


class EngineStopped(Unreachable):
    """The engine does not run: nothing can be asked any more, or not yet."""


class _ScopeChanged(Exception):  # noqa: N818  (a request and not a failure)
    """A screen asked for another scope."""


class Engine:
    """Runs one observer on a thread of its own.

    Args:
        plan: What to observe.
        on_frame: Called on the engine's thread with every frame; must return at once.
        on_crash: Called on the engine's thread if it ends by a mistake of memtop's own.
        view: What to show first.
        on_trouble: Called on the engine's thread with a sentence each time that observing, or building a
            frame, has failed by a mistake of memtop's own and begins afresh; must return at once.
    """

    def __init__(
        self,
        plan: Watchlist,
        on_frame: Callable[[Frame], None],
        on_crash: Callable[[BaseException], None],
        view: View | None = None,
        on_trouble: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._watchlist = plan
        self._on_trouble = on_trouble
        self._on_frame = on_frame
        self._on_crash = on_crash
        self._view = view or View()
        self._scope = plan.scope
        self._interval = plan.interval
        self._credentials = Credentials(plan.target.auth)
        self._client = Client(plan.target, self._credentials)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._observer: Observer | None = None
        self._main: asyncio.Task[None] | None = None
        self._other_scope = asyncio.Event()
        self._look_again = asyncio.Event()
        self._stopped = False
        self._changed = asyncio.Event()
        self._asked = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="memtop-engine", daemon=True)

    def start(self) -> None:
        """Begins to observe."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Ends every request and the thread; waits a little for it."""

        def end() -> None:
            # A task group that is just ending with an error of its own swallows a cancellation (before 3.13).
            self._stopped = True
            if self._main is not None:
                self._main.cancel()

        self._call(end)
        self._thread.join(STOP_SECONDS)

    def show(self, view: View) -> None:
        """Asks for frames under another view; the first one comes at once."""

        def change() -> None:
            same_rows = replace(view, selected=self._view.selected) == self._view
            self._view = view
            if same_rows and self._loop is not None:
                self._loop.call_later(OTHER_ROW_SECONDS, self._asked.set)
            else:
                self._asked.set()

        self._call(change)

    def observe(self, scope: Scope) -> None:
        """Observes something else of the same cluster; what was observed so far is dropped."""

        def change() -> None:
            self._scope = scope
            self._other_scope.set()

        self._call(change)

    def set_interval(self, interval: float) -> None:
        """Changes how often the metrics are asked for, in seconds of the cluster's clock."""

        def change() -> None:
            self._interval = interval
            if self._observer is not None:
                self._observer.set_interval(interval)

        self._call(change)

    def retry(self) -> None:
        """Tries at once whatever waits to be tried again."""

        def again() -> None:
            self._look_again.set()
            if self._observer is not None:
                self._observer.retry()

        self._call(again)

    def submit(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> Future[T]:
        """Does something else with the cluster, for a screen that wants to know more of one object.

        Args:
            work: Runs on the engine's loop with a client of its own; cancelling the future cancels it, and
                the requests and streams it has open.

        Returns:
            What it returns or raises; a Textual worker awaits it with `asyncio.wrap_future`.

        Raises:
            EngineStopped: The engine does not run.
        """
        if self._loop is None:
            raise EngineStopped("the engine does not run")
        begun = work(self._client)
        try:
            return asyncio.run_coroutine_threadsafe(begun, self._loop)
        except RuntimeError as error:  # the loop is closed
            begun.close()
            raise EngineStopped("the engine does not run any more") from error

    # -- the engine's thread

    def _call(self, action: Callable[[], object]) -> None:
        if self._loop is None:
            action()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: the engine has ended
            self._loop.call_soon_threadsafe(action)

    def _work(self) -> None:
        map_large_buffers()
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._ready.set()
            try:
                runner.run(self._observe())
            except asyncio.CancelledError:
                return
            except BaseException as error:  # noqa: BLE001  (whatever it is, the screen has to say it)
                self._on_crash(error)

    async def _observe(self) -> None:
        self._main = asyncio.current_task()
        try:
            await self._observe_scopes()
        finally:
            await self._client.close()

    async def _observe_scopes(self) -> None:
        notes, failed, pause = self._watchlist.notes, "", FIRST_RESTART_SECONDS
        narrowed_from: Scope | None = None
        while not self._stopped:
            self._other_scope.clear()
            observer = self._observer = Observer(
                self._watchlist.target,
                self._scope,
                interval=self._interval,
                hours=self._watchlist.hours,
                speed=self._watchlist.speed,
                credentials=self._credentials,
                remember=self._watchlist.history,
                on_change=self._changed.set,
            )
            LOGGER.info(
                "observing %s of context %s (%s), selector %s",
                ", ".join(self._scope.namespaces) or "all namespaces",
                self._watchlist.target.context,
                self._watchlist.target.shown_server,
                self._scope.selector or "none",
            )
            said = (*notes, f"observed afresh after {failed}") if failed else notes
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(observer.run())
                    snapshots = FrameBuilder(observer, self._watchlist.thresholds, said)
                    group.create_task(self._frames(partial(build_next_frame, observer, snapshots)))
                    group.create_task(self._await_other_scope())
                    if narrowed_from is not None:
                        group.create_task(self._await_rights(narrowed_from))
            except* _ScopeChanged:
                notes, narrowed_from = self._watchlist.notes, None
            except* NamespacesForbidden:
                narrowed_from = self._scope
                fallback = self._watchlist.target.namespace
                self._scope = Scope((fallback,), self._scope.selector)
                notes = (
                    *self._watchlist.notes,
                    f"listing all namespaces is forbidden: only {fallback} is shown",
                )
            except* Exception as errors:
                # What screens have asked for runs on: a rollout that is followed, a heap that is fetched.
                LOGGER.exception("observing failed; it begins afresh")
                failed = failure_sentence(errors)
                self._on_trouble(failed)  # no frame can say it while each of them fails
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RESTART_SECONDS)

    async def _await_other_scope(self) -> None:
        await self._other_scope.wait()
        raise _ScopeChanged

    async def _await_rights(self, scope: Scope) -> None:
        """Returns to all namespaces as soon as they may be listed."""
        selected = {"labelSelector": scope.selector} if scope.selector else {}
        for refusals in itertools.count(1):
            self._look_again.clear()
            await wait_or_until(self._look_again, forbidden_delay(refusals))
            with contextlib.suppress(*CLUSTER_FAILURES):
                await self._client.get("/api/v1/pods", {"limit": "1", **selected})
                self._scope = scope
                self._other_scope.set()
                return

    async def _frames(self, build: Callable[[View], Frame]) -> None:
        settled = False
        while True:
            self._asked.clear()
            self._changed.clear()
            frame = build(self._view)
            self._on_frame(frame)
            settled = settled or frame.settled  # what comes later is news, and not awaited
            pause = FRAME_SECONDS if settled else UNSETTLED_FRAME_SECONDS
            try:
                await asyncio.wait_for(self._asked.wait(), pause)
            except TimeoutError:
                await _wait_for_any(self._asked, self._changed)


def build_next_frame(observer: Observer, snapshots: FrameBuilder, view: View) -> Frame:
    """The frame of this moment; what a person may be looking at there is asked for.

    Args:
        observer: Whose store is shown.
        snapshots: Builds its frames.
        view: What to show.
    """
    observer.store.advance_clock(observer.clock.now())
    arranged = snapshots.arrange(view)
    observer.past_sources.set_wanted(arranged.looked_at)
    observer.past_sources.set_look_back(arranged.looked_back, view.look_back_seconds)
    observer.workload_verdicts.set_wanted(arranged.pooled)
    observer.last_words.set_wanted(arranged.levelled_off)
    return snapshots.build(arranged)


async def _wait_for_any(*events: asyncio.Event) -> None:
    """Returns when any of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
