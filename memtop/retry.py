"""Retries: how long to wait after a failure, and what a server asks for by ``Retry-After``.

Every source, watch and poll that goes on after a failure waits with one `Backoff`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

FIRST_DELAY = 0.5
MAX_DELAY = 30.0
MAX_RETRY_AFTER = 300.0
"""Seconds of ``Retry-After`` that are kept; a wrong clock must not silence memtop for a day."""
STEADY_SECONDS = 10.0
"""An attempt that has worked for so long has ended the trouble before it. A stream that opens and breaks at
once, or a list whose version is too old at once, has not."""

Waiter = Callable[[asyncio.Event | None, float], Awaitable[None]]


class Backoff:
    """The waits between attempts: exponential with jitter, and never shorter than the server asks for.

    Call `begin` before each attempt, `succeeded` whenever something came of it, and `wait` after it.

    Args:
        first: Longest wait after the first failure, in seconds; by default `FIRST_DELAY`.
        longest: Longest wait after many, in seconds; by default `MAX_DELAY`.
        rest: Waits for so many seconds, or until the event is set, if there is one.
    """

    def __init__(
        self, first: float | None = None, longest: float | None = None, rest: Waiter | None = None
    ) -> None:
        self.failures = 0
        self._first = first
        self._longest = longest
        self._pause = rest
        self._works_since: float | None = None

    def begin(self) -> None:
        """An attempt begins."""
        self._works_since = None

    def succeeded(self) -> None:
        """Something came of the attempt."""
        if self._works_since is None:
            self._works_since = steady_now()

    def reset(self) -> None:
        """All is well: the next failure counts as the first."""
        self.failures = 0

    def next_pause(self, error: BaseException | None = None, at_least: float = 0.0) -> float:
        """Counts one more attempt that has ended, and says how long to wait before the next.

        Args:
            error: Why it ended; its ``retry_after``, where it has one, is kept to, up to
                `MAX_RETRY_AFTER`.
            at_least: Seconds to wait in any case.

        Returns:
            Seconds.
        """
        if self._works_since is not None and steady_now() - self._works_since >= STEADY_SECONDS:
            self.failures = 0
        self._works_since = None
        self.failures += 1
        # Exponential with full jitter, so that many clients do not come back together (AWS, "Exponential
        # Backoff And Jitter"); never less than a quarter, so that it cannot spin.
        first = FIRST_DELAY if self._first is None else self._first
        longest = MAX_DELAY if self._longest is None else self._longest
        ceiling = min(longest, first * 2 ** min(self.failures - 1, 30))
        pause = max(random.uniform(ceiling / 4, ceiling), at_least)
        asked: float | None = getattr(error, "retry_after", None)
        if asked is not None:
            pause = max(pause, min(asked, MAX_RETRY_AFTER) * random.uniform(1.0, 1.1))
        return pause

    async def wait(
        self,
        error: BaseException | None = None,
        *,
        at_least: float = 0.0,
        until: asyncio.Event | None = None,
    ) -> None:
        """Waits before the next attempt, as long as `next_pause` says.

        Args:
            error: Why the last one ended.
            at_least: Seconds to wait in any case.
            until: Ends the wait at once when it is set.
        """
        await (self._pause or wait_or_until)(until, self.next_pause(error, at_least))


async def wait_or_until(until: asyncio.Event | None, seconds: float) -> None:
    """Waits for so many seconds, or until the event is set."""
    if until is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(until.wait(), seconds)


def steady_now() -> float:
    """A steady clock, in seconds."""
    return time.monotonic()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait (``Retry-After``, RFC 9110, section 10.2.3); None if not told.

    A date is compared with the server's own clock, the header ``Date``, where there is one.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdecimal():
        return min(float(said), MAX_RETRY_AFTER)
    until = _parse_http_date(said)
    if until is None:
        return None
    server_now = _parse_http_date(headers.get("Date", ""))
    return min(max(0.0, until - (time.time() if server_now is None else server_now)), MAX_RETRY_AFTER)


def _parse_http_date(said: str) -> float | None:
    """Unix seconds of an HTTP date, in any of its three formats; all of them are in UTC."""
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(said.strip(), form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None
