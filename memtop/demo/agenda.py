"""What happens when: a queue of simulated moments and the loop that waits for them."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable

from memtop.demo.clock import Clock

LONGEST_NAP = 3600.0  # real seconds


class Agenda:
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
        """Look at the clock again: it has been moved."""
        self._woken.set()

    async def run(self) -> None:
        """Do what falls due, for ever."""
        while True:
            self._woken.clear()
            self.catch_up()
            nap = LONGEST_NAP
            if self._due:
                nap = min(nap, max(0.001, self.clock.real(self._due[0][0] - self.clock.now())))
            try:
                async with asyncio.timeout(nap):
                    await self._woken.wait()
            except TimeoutError:
                continue
