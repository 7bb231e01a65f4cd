"""Where log lines wait: the queue from the reader to the thread that shows them, and the ring of lines kept.

In the ring a line has a number for as long as it is kept; numbers count up from 0 and are never used again.
Lines lie one after another in blocks of UTF-8 text, which costs little more than their bytes and is what a
search wants. The queue makes the reader wait for a slow screen.
"""

from __future__ import annotations

import asyncio
import threading
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from memtop.logs.heap_readings import HeapReading
from memtop.logs.log_lines import LogLine, LogMark
from memtop.logs.log_request import MAX_LINES, ContainerEnding

MAX_BUFFER_BYTES = 64 * 1024 * 1024
BLOCK_LINES = 2_000
BLOCK_BYTES = 256 * 1024


@dataclass(slots=True)
class _LineBlock:
    """Consecutive lines; ``ends[i]`` is where line ``i`` ends in ``text``, its newline included."""

    first: int
    text: bytearray = field(default_factory=bytearray)
    ends: array[int] = field(default_factory=lambda: array("I"))
    times: array[int] = field(default_factory=lambda: array("q"))
    owners: bytearray = field(default_factory=bytearray)
    marks: bytearray = field(default_factory=bytearray)

    @property
    def end(self) -> int:
        return self.first + len(self.ends)

    @property
    def full(self) -> bool:
        return len(self.ends) >= BLOCK_LINES or len(self.text) >= BLOCK_BYTES

    def start_of(self, index: int) -> int:
        return self.ends[index - 1] if index else 0


class LogBuffer:
    """Keeps the newest lines. For one thread.

    Args:
        most_lines: Lines to keep; up to a block of `BLOCK_LINES` fewer may be there.
        most_bytes: Bytes of text to keep.
    """

    def __init__(self, most_lines: int = MAX_LINES, most_bytes: int = MAX_BUFFER_BYTES) -> None:
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._blocks: deque[_LineBlock] = deque([_LineBlock(0)])
        self._bytes = 0
        self._owners: list[str] = []
        self._owner_codes: dict[str, int] = {}

    @property
    def first(self) -> int:
        """Number of the oldest line kept, which is also how many have been dropped."""
        return self._blocks[0].first

    @property
    def end(self) -> int:
        """One more than the number of the newest line."""
        return self._blocks[-1].end

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def size(self) -> int:
        """Bytes of text kept."""
        return self._bytes

    def append(self, lines: Iterable[LogLine]) -> None:
        """Adds lines, and drops the oldest ones beyond the bounds."""
        block = self._blocks[-1]
        for line in lines:
            if block.full:
                block = _LineBlock(block.end)
                self._blocks.append(block)
            before = len(block.text)
            block.text += line.text.encode("utf-8", "replace")
            block.text += b"\n"
            block.ends.append(len(block.text))
            block.times.append(line.time)
            block.owners.append(self._code(line.container))
            block.marks.append(line.mark)
            self._bytes += len(block.text) - before
        while len(self._blocks) > 1 and (len(self) > self._most_lines or self._bytes > self._most_bytes):
            self._bytes -= len(self._blocks.popleft().text)

    def line(self, number: int) -> LogLine:
        """The line of that number.

        Raises:
            IndexError: It is not kept any more, or not there yet.
        """
        block = self._block(number)
        index = number - block.first
        text = block.text[block.start_of(index) : block.ends[index] - 1].decode("utf-8")
        return LogLine(
            block.times[index], text, self._owners[block.owners[index]], LogMark(block.marks[index])
        )

    def time(self, number: int) -> int:
        """When the line of that number was written, nanoseconds since 1970.

        Raises:
            IndexError: As for `line`.
        """
        block = self._block(number)
        return block.times[number - block.first]

    def texts(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """The text of the lines from ``start`` to before ``end``, in pieces.

        Yields:
            The number of a piece's first line, and its lines, each with its newline.
        """
        for block in list(self._blocks):
            low, high = max(start, block.first), min(end, block.end)
            if low < high:
                begin = block.start_of(low - block.first)
                yield low, bytes(block.text[begin : block.ends[high - 1 - block.first]])

    def at_or_after(self, moment: int) -> int:
        """The number of the first line written at or after a moment (nanoseconds since 1970).

        If all lines are older that is the newest line; lines are taken to be in order.
        """
        for block in self._blocks:
            if block.times and block.times[-1] >= moment:
                for index, time in enumerate(block.times):
                    if time >= moment:
                        return block.first + index
        return max(self.first, self.end - 1)

    def snapshot(self) -> LogBuffer:
        """The lines kept now, for another thread to read while this buffer goes on."""
        copy = LogBuffer(self._most_lines, self._most_bytes)
        *sealed, growing = self._blocks
        copy._blocks = deque([*sealed, deepcopy(growing)])
        copy._bytes, copy._owners = self._bytes, list(self._owners)
        return copy

    def _block(self, number: int) -> _LineBlock:
        if not self.first <= number < self.end:
            raise IndexError(f"line {number} is not among those kept ({self.first} to {self.end - 1})")
        return self._blocks[bisect_right(self._blocks, number, key=lambda block: block.first) - 1]

    def _code(self, container: str) -> int:
        code = self._owner_codes.get(container)
        if code is None:
            code = self._owner_codes[container] = min(len(self._owners), 255)
            self._owners[code:] = [container]
        return code


MAX_WAITING_LINES = 10_000
"""Lines that wait to be taken; a reader that has as many waits."""


@dataclass(frozen=True, slots=True)
class LogStatus:
    """How the reading goes.

    Attributes:
        words: One sentence or less.
        live: Whether what is written now is on its way here.
        ended: Whether nothing more will come by itself.
        failed: Whether this is a failure.
        ending: How the container ended since the reading began, or why nothing is read now.
    """

    words: str
    live: bool = False
    ended: bool = False
    failed: bool = False
    ending: ContainerEnding | None = None


@dataclass(frozen=True, slots=True)
class LogDelivery:
    """What has been read since the last one.

    Attributes:
        lines: In order.
        readings: What those lines tell of memory, in order.
        status: How the reading goes now, or None if nothing was said of it.
    """

    lines: tuple[LogLine, ...]
    readings: tuple[HeapReading, ...]
    status: LogStatus | None


class LogChannel:
    """A bounded queue from the engine's event loop to another thread.

    Args:
        notify: Called on the engine's loop when there is something to take and nothing was before; must
            return at once.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._lines: list[LogLine] = []
        self._readings: list[HeapReading] = []
        self._status: LogStatus | None = None
        self._said: LogStatus | None = None
        self._announced = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def put(self, lines: list[LogLine], readings: list[HeapReading]) -> None:
        """Waits while there are too many lines already, and adds some; cancelled, it adds them at once."""
        try:
            await self._room()
        finally:
            with self._lock:
                self._lines += lines
                self._readings += readings
            self._announce()

    def set_status(self, status: LogStatus) -> None:
        """Tells how the reading goes; only the last word counts."""
        with self._lock:
            if status == self._said:
                return
            self._status = self._said = status
        self._announce()

    def take(self) -> LogDelivery:
        """Takes what is there, on any thread."""
        with self._lock:
            delivery = LogDelivery(tuple(self._lines), tuple(self._readings), self._status)
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
                if len(self._lines) < MAX_WAITING_LINES:
                    return
                taken = asyncio.Event()
                self._waiting.append((asyncio.get_running_loop(), taken))
            await taken.wait()

    def _announce(self) -> None:
        with self._lock:
            announced, self._announced = self._announced, True
        if not announced:
            self._notify()
