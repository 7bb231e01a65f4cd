"""What a log tab has read so far, and the reader that brings more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from memtop.logs.buffer import LogBuffer
from memtop.logs.channel import Channel, Status
from memtop.logs.own_times import writes_own_times
from memtop.logs.reader import LogReader
from memtop.logs.request import LogRequest
from memtop.logs.values.reading import Reading
from tui.pod.tab import Ask

MOST_READINGS = 5_000
JUDGED = 200
"""Lines at the start by which it is seen whether they have times of their own."""


class LogFeed:
    """The lines of one request, as far as they have come.

    Args:
        request: What is wanted.
        notify: Called on the engine's thread when there is something to take.

    Attributes:
        buffer: The lines kept.
        readings: What they tell of memory, oldest first.
        status: How the reading goes.
        own_times: Whether the program writes the time of each line by itself, as its first lines show.
    """

    def __init__(self, request: LogRequest, notify: Callable[[], None]) -> None:
        self.request = request
        self.buffer = LogBuffer()
        self.readings: deque[Reading] = deque(maxlen=MOST_READINGS)
        self.status = Status("asking for the log")
        self.own_times = False
        self._judged: list[str] = []
        self._channel = Channel(notify)
        self._reader = LogReader(request, self._channel)

    async def run(self, ask: Ask) -> None:
        """Reads until nothing more can come; can be cancelled and run again."""
        await asyncio.wrap_future(ask(self._reader.run))

    def take(self) -> bool:
        """Takes over what has come since; tells whether there were lines."""
        delivery = self._channel.take()
        if delivery.lines and self.buffer.end < JUDGED:
            self._judged += [line.text for line in delivery.lines[: JUDGED - len(self._judged)]]
            self.own_times = writes_own_times(self._judged)
        self.buffer.append(delivery.lines)
        self.readings.extend(delivery.readings)
        if delivery.status is not None:
            self.status = delivery.status
        return bool(delivery.lines)
