"""A log on its way to standard output: all lines, or those that a filter shows, or only their figures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol, TextIO

from memtop import wording
from memtop.logs.buffer import LogBuffer
from memtop.logs.channel import Delivery
from memtop.logs.export import written
from memtop.logs.line import Line
from memtop.logs.search import Search
from memtop.logs.values.reading import Reading

_HEADINGS = ("TIME", "WHAT", "HEAP BEFORE", "AFTER", "OF", "PAUSE")
_ROW = "{:<20}  {:<10}  {:>11}  {:>9}  {:>9}  {:>9}"


class Printer(Protocol):
    """Prints what has been read."""

    async def take(self, delivery: Delivery) -> None:
        """Prints of what has come all that can be printed now."""
        ...


class Lines:
    """Prints every line.

    Args:
        out: Where to.
        times: Whether with its time.
        owners: Whether with its container.
    """

    def __init__(self, out: TextIO, *, times: bool, owners: bool) -> None:
        self._out = out
        self._times = times
        self._owners = owners

    async def take(self, delivery: Delivery) -> None:
        """Prints all."""
        self.write(delivery.lines)

    def write(self, lines: Iterable[Line]) -> None:
        """Prints these."""
        self._out.writelines(written(line, times=self._times, owners=self._owners) for line in lines)
        self._out.flush()


class Matches:
    """Prints what a filter shows, with ``--`` where lines are left out between matches with context.

    Args:
        buffer: Keeps the lines that context may need.
        search: Looks through the buffer.
        lines: Prints.
        out: Where the ``--`` goes.
    """

    def __init__(self, buffer: LogBuffer, search: Search, lines: Lines, out: TextIO) -> None:
        self.count = 0
        self._buffer = buffer
        self._search = search
        self._lines = lines
        self._out = out
        self._last = -1  # the number of the last line printed

    async def take(self, delivery: Delivery) -> None:
        """Searches what has come, and prints what it shows.

        Raises:
            PatternError: The expression is wrong or takes too long.
        """
        self._buffer.append(delivery.lines)
        await self._search.advance()
        rows = self._search.rows()
        for number in rows[rows > self._last].tolist():
            if self._search.sought.context and 0 <= self._last < number - 1:
                self._out.write("--\n")
            self._lines.write((self._buffer.line(number),))
            self._last = number
        self.count = self._search.count


class Figures:
    """Prints what lines tell of the heap and its collector, one row for each.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.count = 0

    async def take(self, delivery: Delivery) -> None:
        """Prints the figures."""
        for reading in delivery.readings:
            if not self.count:
                self._out.write(_ROW.format(*_HEADINGS).rstrip() + "\n")
            self.count += 1
            self._out.write(_ROW.format(*_cells(reading)).rstrip() + "\n")
        self._out.flush()


def _cells(reading: Reading) -> tuple[str, ...]:
    at = reading.at
    moment = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" if at is not None else wording.UNKNOWN
    after = wording.share(reading.share) if reading.heap_after is None else _bytes(reading.heap_after)
    pause = wording.UNKNOWN if reading.pause_seconds is None else f"{reading.pause_seconds * 1000:,.1f} ms"
    return (moment, reading.kind, _bytes(reading.heap_before), after, _bytes(reading.heap_total), pause)


def _bytes(size: float | None) -> str:
    return wording.UNKNOWN if size is None else wording.bytes_(size)
