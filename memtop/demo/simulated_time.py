"""Simulated time: the clock, the actions scheduled on it, and timestamps as the API writes them."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """A clock that runs `speed` times as fast as the real one.

    Attributes:
        epoch: simulated time at the start, in seconds since 1970.
        speed: simulated seconds per real second; 0 stands still until `advance`.
    """

    def __init__(self, speed: float = 1.0, epoch: float | None = None) -> None:
        self.epoch = time.time() if epoch is None else epoch
        self.speed = speed
        self._started = time.monotonic()
        self._skipped = 0.0

    def now(self) -> float:
        """Return the simulated time in seconds since 1970."""
        return self.epoch + self._skipped + (time.monotonic() - self._started) * self.speed

    def advance(self, seconds: float) -> None:
        """Jump ahead by simulated `seconds`."""
        self._skipped += seconds

    def real(self, seconds: float) -> float:
        """Return how many real seconds it takes until simulated `seconds` have passed."""
        return seconds / self.speed if self.speed > 0 else math.inf


def rfc3339(at: float) -> str:
    """Format a time as the API does, in whole seconds: `2026-11-22T11:21:33Z`."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(at: float) -> str:
    """Format a time with microseconds, as in event times."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339_nano(at: float) -> str:
    """Format a time with nanoseconds, as in log timestamps."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def parse_rfc3339(text: str) -> float:
    """Read a time in RFC 3339; raises ValueError for anything else."""
    return datetime.fromisoformat(text).timestamp()


MAX_SLEEP = 3600.0  # real seconds; an upper bound, a new action wakes the loop


class ScheduledActions:
    """Actions at simulated times, done in order."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._woken = asyncio.Event()

    def add(self, at: float, action: Callable[[float], None]) -> None:
        """Do `action` at simulated time `at`; it is given that time. An infinite time never comes."""
        if math.isinf(at):
            return
        heapq.heappush(self._due, (at, next(self._order), action))
        self._woken.set()

    def catch_up(self) -> None:
        """Do everything that is due by now."""
        while self._due and self._due[0][0] <= self.clock.now():
            at, _, action = heapq.heappop(self._due)
            action(at)

    def wake(self) -> None:
        """Check the clock again: it was moved."""
        self._woken.set()

    async def run(self) -> None:
        """Run due actions until cancelled."""
        while True:
            self._woken.clear()
            self.catch_up()
            nap = MAX_SLEEP
            if self._due:
                nap = min(nap, max(0.001, self.clock.real(self._due[0][0] - self.clock.now())))
            try:
                async with asyncio.timeout(nap):
                    await self._woken.wait()
            except TimeoutError:
                continue
