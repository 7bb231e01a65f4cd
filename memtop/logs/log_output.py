"""A log written out: to a new file, or to standard output as lines, matches or figures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

from memtop import wording
from memtop.files import new_file
from memtop.logs.buffer import LogBuffer, LogDelivery
from memtop.logs.heap_readings import HeapReading
from memtop.logs.log_lines import NO_TIME, LogLine, LogMark
from memtop.logs.log_request import LogRequest
from memtop.logs.search import LogSearch


def proposed_log_name(request: LogRequest, now: float) -> str:
    """What to call a log's file: ``user-service-5wrk4_user-service_previous_20261122T162811Z.log``.

    Args:
        request: Whose log.
        now: Unix seconds.
    """
    which = request.containers[0] if len(request.containers) == 1 else "all"
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    return "_".join([request.pod, which, *(["previous"] if request.previous else []), moment]) + ".log"


def save_log(path: Path, lines: Iterable[LogLine], *, times: bool, owners: bool) -> int:
    """Writes lines to a new file, which its owner alone may read.

    Args:
        path: Where; nothing may be there yet.
        lines: What to write; it has no terminal escapes any more.
        times: Whether to write each line's time, in UTC.
        owners: Whether to write each line's container.

    Returns:
        How many lines were written.

    Raises:
        NewFileError: There is a file of that name, or it cannot be written.
    """
    count = 0
    with new_file(path, path.name) as file:
        for count, line in enumerate(lines, 1):  # noqa: B007  (the last count is the result)
            file.write(format_log_line(line, times=times, owners=owners))
    return count


def format_log_line(line: LogLine, *, times: bool, owners: bool) -> str:
    """A line as it stands in a file: its time in UTC and its container, if wanted, before its text."""
    parts = []
    if times and line.time != NO_TIME:
        second, nanoseconds = divmod(line.time, 1_000_000_000)
        parts.append(f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z")
    if owners:
        parts.append(line.container)
    text = line.text
    if line.mark is LogMark.NOTE:
        text = f"--- {text} ---"
    elif line.mark is LogMark.CUT:
        text += " [cut]"
    return " ".join([*parts, text]) + "\n"


_HEADINGS = ("TIME", "WHAT", "HEAP BEFORE", "AFTER", "OF", "PAUSE")
_FIGURE_ROW = "{:<20}  {:<10}  {:>11}  {:>9}  {:>9}  {:>9}"


class LogPrinter(Protocol):
    """Prints what has been read."""

    async def take(self, delivery: LogDelivery) -> None:
        """Prints of what has come all that can be printed now."""
        ...


class LinePrinter:
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

    async def take(self, delivery: LogDelivery) -> None:
        """Prints all."""
        self.write(delivery.lines)

    def write(self, lines: Iterable[LogLine]) -> None:
        """Prints these."""
        self._out.writelines(format_log_line(line, times=self._times, owners=self._owners) for line in lines)
        self._out.flush()


class MatchPrinter:
    """Prints what a filter shows, with ``--`` where lines are left out between matches with context.

    Args:
        buffer: Keeps the lines that context may need.
        search: Looks through the buffer.
        lines: Prints.
        out: Where the ``--`` goes.
    """

    def __init__(self, buffer: LogBuffer, search: LogSearch, lines: LinePrinter, out: TextIO) -> None:
        self.count = 0
        self._buffer = buffer
        self._search = search
        self._lines = lines
        self._out = out
        self._last = -1  # the number of the last line printed

    async def take(self, delivery: LogDelivery) -> None:
        """Searches what has come, and prints what it shows.

        Raises:
            PatternError: The expression is wrong or takes too long.
        """
        self._buffer.append(delivery.lines)
        await self._search.advance()
        rows = self._search.rows()
        for number in rows[rows > self._last].tolist():
            if self._search.log_filter.context and 0 <= self._last < number - 1:
                self._out.write("--\n")
            self._lines.write((self._buffer.line(number),))
            self._last = number
        self.count = self._search.count


class FigurePrinter:
    """Prints what lines tell of the heap and its collector, one row for each.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.count = 0

    async def take(self, delivery: LogDelivery) -> None:
        """Prints the figures."""
        for reading in delivery.readings:
            if not self.count:
                self._out.write(_FIGURE_ROW.format(*_HEADINGS).rstrip() + "\n")
            self.count += 1
            self._out.write(_FIGURE_ROW.format(*_figure_cells(reading)).rstrip() + "\n")
        self._out.flush()


def _figure_cells(reading: HeapReading) -> tuple[str, ...]:
    at = reading.time
    moment = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" if at is not None else wording.UNKNOWN
    after = wording.share(reading.share) if reading.heap_after is None else _size_words(reading.heap_after)
    pause = wording.UNKNOWN if reading.pause_seconds is None else f"{reading.pause_seconds * 1000:,.1f} ms"
    return (
        moment,
        reading.kind,
        _size_words(reading.heap_before),
        after,
        _size_words(reading.heap_total),
        pause,
    )


def _size_words(size: float | None) -> str:
    return wording.UNKNOWN if size is None else wording.bytes_(size)
