"""A source of observations: it runs on its own, never waits for a screen, and always says how it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.reflector import WatchExpired
from memtop.cluster.sanitize import sanitize
from memtop.failures import failure_sentence
from memtop.observe.status import SourceStatus, State

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LOGGER = logging.getLogger("memtop.source")
FORBIDDEN_DELAY = 120.0
"""Rights change rarely; asking again at this pace still notices that they were granted."""


class Forbidden(Exception):  # noqa: N818  (not a failure but an answer)
    """All namespaces together may not be listed."""


class Source:
    """The status of one source and the loop that keeps it going.

    Args:
        name: What the header calls it.
        run: Works until something goes wrong; it calls `live` whenever data has come.
        now: The cluster's time.
        on_change: Called whenever the status has changed.
        rest: Waits between two attempts: for so many seconds, or until the event is set.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Source], Awaitable[None]],
        now: Callable[[], float],
        on_change: Callable[[], None],
        rest: Callable[[asyncio.Event, float], Awaitable[None]] | None = None,
    ) -> None:
        self._rest = rest or _rest
        self.status = SourceStatus(name)
        self._run = run
        self._now = now
        self._on_change = on_change
        self._failures = 0
        self._retry = asyncio.Event()

    def live(self, data_at: float | None = None, words: str = "") -> None:
        """Data has come; what failed before is over.

        Args:
            data_at: Cluster time of the newest data, Unix seconds; by default now.
            words: What is missing all the same.
        """
        self._failures = 0
        before = self.status
        self.status = replace(
            before,
            state=State.LIVE,
            words=words,
            output="",
            code=None,
            data_at=self._now() if data_at is None else data_at,
        )
        if before.state is not State.LIVE or before.words != words:
            self._on_change()

    def waiting(self, words: str) -> None:
        """The source answers, but has nothing yet; words say why."""
        self._failures = 0
        self.status = replace(self.status, state=State.LIVE, words=words, output="", code=None)
        self._on_change()

    def retry_now(self) -> None:
        """Ends a pause between attempts: something has changed, such as the user pressing a key."""
        self._retry.set()

    async def loop(self) -> None:
        """Runs for ever; every failure becomes a state, a pause and another attempt."""
        while True:
            pause = 0.0
            try:
                await self._run(self)
            except WatchExpired:
                pause = random.uniform(0, FIRST_DELAY)
            except ApiError as error:
                pause = self._refused(error)
            except CredentialError as error:
                pause = self._failed(State.FAILING, str(error), error.output)
            except (Unreachable, KubeconfigError) as error:
                pause = self._failed(State.FAILING, str(error))
            except Forbidden:
                raise
            except Exception as error:  # a mistake of memtop's own, or an answer that nobody thought of
                LOGGER.exception("the source %s failed", self.status.name)
                pause = self._failed(State.FAILING, failure_sentence(error))
            self._retry.clear()
            await self._rest(self._retry, pause)

    def _refused(self, error: ApiError) -> float:
        words = sanitize(error.message or error.reason or f"HTTP {error.status}")
        if error.status == 403:
            self._failed(State.FORBIDDEN, words, code=403)
            return FORBIDDEN_DELAY
        if error.status == 404:
            self._failed(State.ABSENT, words, code=404)
            return LONGEST_DELAY
        words = f"not logged in: {words}" if error.status == 401 else words
        pause = self._failed(State.FAILING, words, code=error.status)
        return pause if error.retry_after is None else max(pause, error.retry_after)

    def _failed(self, state: State, words: str, output: str = "", code: int | None = None) -> float:
        if state is State.FAILING and self.status.data_at is not None:
            state = State.STALE
        self.status = replace(self.status, state=state, words=words, output=output, code=code)
        self._on_change()
        self._failures += 1
        # Exponential with full jitter, so that many clients do not come back together (AWS, "Exponential
        # Backoff And Jitter"); never less than a quarter, so that it cannot spin.
        ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (self._failures - 1))
        return random.uniform(ceiling / 4, ceiling)


async def _rest(woken: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)
