"""Hands what a reader has read to the thread that shows it, and makes the reader wait for a slow one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass

from memtop.logs.line import Line
from memtop.logs.pod import Ending
from memtop.logs.values.reading import Reading

MOST_LINES = 10_000
"""Lines that wait to be taken; a reader that has as many waits."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the reading goes.

    Attributes:
        words: One sentence or less.
        live: Whether what is written now is on its way here.
        over: Whether nothing more will come by itself.
        wrong: Whether this is a failure.
        ending: How the container ended since the reading began, or why nothing is read now.
    """

    words: str
    live: bool = False
    over: bool = False
    wrong: bool = False
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What has been read since the last one.

    Attributes:
        lines: In order.
        readings: What those lines tell of memory, in order.
        status: How the reading goes now, or None if nothing was said of it.
    """

    lines: tuple[Line, ...]
    readings: tuple[Reading, ...]
    status: Status | None


class Channel:
    """A bounded queue from the engine's event loop to another thread.

    Args:
        notify: Called on the engine's loop when there is something to take and nothing was before; must
            return at once.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._lines: list[Line] = []
        self._readings: list[Reading] = []
        self._status: Status | None = None
        self._said: Status | None = None
        self._announced = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def put(self, lines: list[Line], readings: list[Reading]) -> None:
        """Waits while there are too many lines already, and adds some; cancelled, it adds them at once."""
        try:
            await self._room()
        finally:
            with self._lock:
                self._lines += lines
                self._readings += readings
            self._announce()

    def say(self, status: Status) -> None:
        """Tells how the reading goes; only the last word counts."""
        with self._lock:
            if status == self._said:
                return
            self._status = self._said = status
        self._announce()

    def take(self) -> Delivery:
        """Takes what is there, on any thread."""
        with self._lock:
            delivery = Delivery(tuple(self._lines), tuple(self._readings), self._status)
            self._lines, self._readings, self._status = [], [], None
            waiting, self._waiting = self._waiting, []
            self._announced = False
        for loop, taken in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(taken.set)
        return delivery

    async def _room(self) -> None:
        while True:
            with self._lock:
                if len(self._lines) < MOST_LINES:
                    return
                taken = asyncio.Event()
                self._waiting.append((asyncio.get_running_loop(), taken))
            await taken.wait()

    def _announce(self) -> None:
        with self._lock:
            announced, self._announced = self._announced, True
        if not announced:
            self._notify()
