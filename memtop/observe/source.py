"""A source of observations: it runs on its own, never waits for a screen, and always says how it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.reflector import WatchExpired
from memtop.cluster.sanitize import sanitize
from memtop.failures import failure_sentence
from memtop.observe.status import SourceStatus, State
from memtop.retry import LONGEST_DELAY, Backoff, Rest

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
        rest: Rest | None = None,
    ) -> None:
        self.status = SourceStatus(name)
        self._run = run
        self._now = now
        self._on_change = on_change
        self._backoff = Backoff(rest=rest)
        self._retry = asyncio.Event()

    def live(self, data_at: float | None = None, words: str = "") -> None:
        """Data has come: the source answers.

        Args:
            data_at: Cluster time of the newest data, Unix seconds; by default now.
            words: What is missing all the same.
        """
        self._backoff.works()
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
        self._backoff.works()
        self.status = replace(self.status, state=State.LIVE, words=words, output="", code=None)
        self._on_change()

    def retry_now(self) -> None:
        """Ends a pause between attempts: something has changed, such as the user pressing a key."""
        self._retry.set()

    async def loop(self) -> None:
        """Runs for ever; every failure becomes a state, a pause and another attempt."""
        while True:
            self._backoff.begin()
            failure: Exception | None = None
            at_least = 0.0
            try:
                await self._run(self)
            except WatchExpired as expired:
                failure = expired  # no bad state: only a new list is needed
            except ApiError as error:
                failure, at_least = error, self._refused(error)
            except CredentialError as error:
                failure = error
                self._failed(State.FAILING, str(error), error.output)
            except (Unreachable, KubeconfigError) as error:
                failure = error
                self._failed(State.FAILING, str(error))
            except Forbidden:
                raise
            except Exception as error:  # a mistake of memtop's own, or an answer that nobody thought of
                LOGGER.exception("the source %s failed", self.status.name)
                failure = error
                self._failed(State.FAILING, failure_sentence(error))
            self._retry.clear()
            await self._backoff.rest(failure, at_least=at_least, until=self._retry)

    def _refused(self, error: ApiError) -> float:
        """Says it in the status; returns the seconds to wait at least."""
        words = sanitize(error.message or error.reason or f"HTTP {error.status}")
        if error.status == 403:
            self._failed(State.FORBIDDEN, words, code=403)
            return FORBIDDEN_DELAY
        if error.status == 404:
            self._failed(State.ABSENT, words, code=404)
            return LONGEST_DELAY
        words = f"not logged in: {words}" if error.status == 401 else words
        self._failed(State.FAILING, words, code=error.status)
        return 0.0

    def _failed(self, state: State, words: str, output: str = "", code: int | None = None) -> None:
        if state is State.FAILING and self.status.data_at is not None:
            state = State.STALE
        self.status = replace(self.status, state=state, words=words, output=output, code=code)
        self._on_change()
