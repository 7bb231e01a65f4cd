"""A source of observations: it runs on its own, never waits for a screen, and always says how it is.

Also here: the cluster's time, as this machine can know it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime

from memtop.kube.api_errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.list_watch import WatchExpired
from memtop.kube.pod_facts import unix_seconds
from memtop.log_file import get_logger
from memtop.observe.view import SourceCondition, SourceStatus
from memtop.retry import MAX_DELAY, Backoff, Waiter
from memtop.sanitize import sanitize
from memtop.wording import failure_sentence

DATE_RESOLUTION = 1.0
"""HTTP dates are whole seconds."""


class ServerClock:
    """Follows the API server's ``Date`` header, so that ages are right on a machine whose clock is not.

    Args:
        speed: Seconds of cluster time per second here; 1 but for a simulated cluster.
        monotonic: This machine's steady clock.
        wall: This machine's wall clock, used until the server has answered once.
    """

    def __init__(
        self,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._wall = wall
        self._anchor: tuple[float, float] | None = None

    def observe(self, date_header: str | None) -> None:
        """Takes in the ``Date`` of an answer that has just arrived; anything unreadable is ignored."""
        if not date_header:
            return
        try:
            served = unix_seconds(parsedate_to_datetime(date_header))
        except (ValueError, TypeError, OverflowError):
            return
        if served is None:
            return
        # The header is cut to whole seconds, so the truth lies up to one second later; a correction within
        # that is noise, and following it would make the clock jitter.
        if self._anchor is None or not served - 0.5 <= self.now() <= served + 1.5 * max(1.0, self.speed):
            self._anchor = (self._monotonic(), served + DATE_RESOLUTION / 2)

    def now(self) -> float:
        """The cluster's time in Unix seconds."""
        if self._anchor is None:
            return self._wall()
        seen_at, served = self._anchor
        return served + (self._monotonic() - seen_at) * self.speed

    def skew(self) -> float | None:
        """Seconds by which the cluster's clock is ahead of this machine's; None before the first answer."""
        return None if self._anchor is None else self.now() - self._wall()


LOGGER = get_logger("source")
FORBIDDEN_DELAY = 120.0
"""Rights change rarely; asking again at this pace still notices that they were granted."""
FIRST_FORBIDDEN_DELAY = 5.0
"""A refusal may also pass at once: an authorizer that has only started refuses everybody. So the waits double
from here on, which costs five requests more in all."""


def forbidden_delay(refusals: int) -> float:
    """Seconds to wait after so many refusals in a row."""
    return min(FIRST_FORBIDDEN_DELAY * 2.0 ** min(refusals - 1, 30), FORBIDDEN_DELAY)


class NamespacesForbidden(Exception):  # noqa: N818  (not a failure but an answer)
    """All namespaces together may not be listed."""


class Source:
    """The status of one source and the loop that keeps it going.

    Args:
        name: What the header calls it.
        run: Works until something goes wrong; it calls `set_live` whenever data has come.
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
        rest: Waiter | None = None,
    ) -> None:
        self.status = SourceStatus(name)
        self._run = run
        self._now = now
        self._on_change = on_change
        self._backoff = Backoff(rest=rest)
        self._retry = asyncio.Event()
        self._refusals = 0

    def set_live(self, data_at: float | None = None, words: str = "") -> None:
        """Data has come: the source answers.

        Args:
            data_at: Cluster time of the newest data, Unix seconds; by default now.
            words: What is missing all the same.
        """
        self._backoff.succeeded()
        self._refusals = 0
        before = self.status
        self._become(
            replace(
                before,
                state=SourceCondition.LIVE,
                words=words,
                output="",
                code=None,
                data_at=self._now() if data_at is None else data_at,
            )
        )
        if before.state is not SourceCondition.LIVE or before.words != words:
            self._on_change()

    def waiting(self, words: str) -> None:
        """The source answers, but has nothing yet; words say why."""
        self._backoff.succeeded()
        self._become(replace(self.status, state=SourceCondition.LIVE, words=words, output="", code=None))
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
                self._failed(SourceCondition.FAILING, str(error), error.output)
            except (Unreachable, KubeconfigError) as error:
                failure = error
                self._failed(SourceCondition.FAILING, str(error))
            except NamespacesForbidden:
                raise
            except Exception as error:  # a mistake of memtop's own, or an answer that nobody thought of
                LOGGER.exception("the source %s failed", self.status.name)
                failure = error
                self._failed(SourceCondition.FAILING, failure_sentence(error))
            self._retry.clear()
            await self._backoff.wait(failure, at_least=at_least, until=self._retry)

    def _refused(self, error: ApiError) -> float:
        """Says it in the status; returns the seconds to wait at least."""
        words = sanitize(error.message or error.reason or f"HTTP {error.status}")
        if error.status == 403:
            self._failed(SourceCondition.FORBIDDEN, words, code=403)
            self._refusals += 1
            return forbidden_delay(self._refusals)
        if error.status == 404:
            self._failed(SourceCondition.ABSENT, words, code=404)
            return MAX_DELAY
        words = f"not logged in: {words}" if error.status == 401 else words
        self._failed(SourceCondition.FAILING, words, code=error.status)
        return 0.0

    def _failed(self, state: SourceCondition, words: str, output: str = "", code: int | None = None) -> None:
        if state is SourceCondition.FAILING and self.status.data_at is not None:
            state = SourceCondition.STALE
        self._become(replace(self.status, state=state, words=words, output=output, code=code))
        self._on_change()

    def _become(self, status: SourceStatus) -> None:
        """Takes on a status, and logs it if it says something else."""
        before, self.status = self.status, status
        if (before.state, before.words) != (status.state, status.words):
            LOGGER.info("source %s is %s: %s", status.name, status.state, status.words or "all is well")
