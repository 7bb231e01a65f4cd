"""A search that goes on as lines come in: which lines match, where, how often, and which are shown.

The regular expression runs in a process of its own (`memtop.logs.grep_process`), within a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import memtop
from memtop.logs.buffer import LogBuffer
from memtop.logs.grep_process import MESSAGE_HEAD
from memtop.sanitize import sanitize

SEARCH_TIMEOUT = 2.0
"""Seconds that an expression may take for one block of lines, of which 100 take a good one a second."""

# What the process runs; memtop's own folder comes last on the path, and the working folder is not on it.
_PROGRAM = (
    "import sys; sys.path[:1] = []; sys.path.append(sys.argv[1]); "
    "from memtop.logs.grep_process import main; main()"
)

MatchSpans = npt.NDArray[np.uint32]
"""Shape (n, 3): line counted from the first of the text, start and end of the match in characters."""


class PatternError(Exception):
    """An expression is wrong, or takes too long; one sentence."""


class Grep:
    """One expression at a time and one request at a time; belongs to one event loop.

    Args:
        patience: Seconds to wait for an answer.
    """

    def __init__(self, patience: float = SEARCH_TIMEOUT) -> None:
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._stopped: list[asyncio.subprocess.Process] = []
        self._pattern: tuple[bytes, bytes] | None = None
        self._turn = asyncio.Lock()

    async def use(self, pattern: str, *, ignore_case: bool) -> None:
        """Searches for this expression from now on.

        Raises:
            PatternError: It is wrong; the sentence says where.
        """
        wanted = (b"i" if ignore_case else b"c", pattern.encode("utf-8", "replace"))
        async with self._turn:
            if wanted != self._pattern or self._process is None:
                self._pattern = None
                await self._ask(*wanted)
                self._pattern = wanted

    async def search(self, text: bytes) -> MatchSpans:
        """Finds the matches in some lines.

        Args:
            text: Lines, each with its newline, UTF-8.

        Raises:
            PatternError: It took too long; the next `use` starts afresh.
        """
        async with self._turn:
            if self._pattern is not None and (self._process is None or self._process.returncode is not None):
                pattern, self._pattern = self._pattern, None
                await self._ask(*pattern)
                self._pattern = pattern
            answer = await self._ask(b"t", text)
        return np.frombuffer(answer, np.uint32).reshape(-1, 3)

    async def close(self) -> None:
        """Ends the process, and waits until it and those that were stopped before are gone."""
        self._stop()
        while self._stopped:
            await self._stopped.pop().wait()
        await asyncio.sleep(0)  # their pipes are closed a step later

    def _stop(self) -> None:
        """Ends a process that may be running away."""
        process, self._process, self._pattern = self._process, None, None
        if process is not None:
            self._stopped = [one for one in self._stopped if one.returncode is None]
            self._stopped.append(process)
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _ask(self, kind: bytes, body: bytes) -> bytes:
        """One request and its answer; what interrupts them ends the process, for it may be running away."""
        try:
            async with asyncio.timeout(self._patience):
                process = await self._running()
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(MESSAGE_HEAD.pack(kind, len(body)) + body)
                await process.stdin.drain()
                said, size = MESSAGE_HEAD.unpack(await process.stdout.readexactly(MESSAGE_HEAD.size))
                answer = await process.stdout.readexactly(size)
        except TimeoutError as error:
            self._stop()
            raise PatternError(
                f"the expression takes more than {self._patience:g} s for a few lines and was stopped; "
                "nested repeats such as (a+)+ do that"
            ) from error
        except (OSError, asyncio.IncompleteReadError) as error:
            self._stop()
            raise PatternError(f"the search ended by itself: {error}") from error
        except asyncio.CancelledError:
            self._stop()
            raise
        if said == b"e":
            raise PatternError(sanitize(answer.decode("utf-8", "replace")))
        return answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _PROGRAM,
                str(Path(memtop.__file__).parents[1]),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # the terminal's signals are not for it; it ends with its input
            )
        return self._process


ROW_GAP = -1
"""Stands between two stretches of lines that do not follow each other."""

LineNumbers = npt.NDArray[np.int64]


def rows_with_context(matches: LineNumbers, first: int, end: int, context: int) -> LineNumbers:
    """The numbers of the lines to show, as ``grep -C`` would.

    Args:
        matches: Numbers of the lines that match, ascending.
        first: Number of the oldest line there is.
        end: One more than the number of the newest.
        context: Lines to show before and after each match; without any there are no gaps.

    Returns:
        Numbers ascending, with `GAP` between stretches.
    """
    matches = matches[np.searchsorted(matches, first) : np.searchsorted(matches, end)]
    if not context or not len(matches):
        return matches
    starts = np.maximum(matches - context, first)
    ends = np.minimum(matches + context + 1, end)
    opens = np.concatenate(([True], starts[1:] > ends[:-1]))  # where a stretch begins
    starts = starts[opens]
    ends = ends[np.concatenate((opens[1:], [True]))]
    lengths = ends - starts + 1  # one more for the gap after it
    rows = np.ones(int(lengths.sum()), np.int64)
    heads = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    rows[heads] = starts
    rows[heads[1:]] -= ends[:-1]  # counts up within a stretch, and jumps at its head
    rows = np.cumsum(rows)
    rows[heads[1:] - 1] = ROW_GAP
    return rows[:-1]


def lines_not_in(matches: LineNumbers, first: int, end: int) -> LineNumbers:
    """The numbers from ``first`` to before ``end`` that are not in ``matches``: those of ``grep -v``."""
    kept = np.ones(max(0, end - first), np.bool_)
    within = matches[np.searchsorted(matches, first) : np.searchsorted(matches, end)]
    kept[within - first] = False
    return np.flatnonzero(kept) + first


ALL_CONTEXT = -1
"""In place of a number of context lines: all lines are shown, and the matches marked."""
RATE_WINDOW = 600 * 1_000_000_000
"""Nanoseconds of the log that the rate of matches is taken over."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What is looked for.

    Attributes:
        pattern: A regular expression.
        name: What a person calls it: the preset's name, or the expression.
        ignore_case: Whether letters match without regard to case.
        invert: Whether to show the lines that do not match.
        context: Lines to show before and after each match, or `ALL_CONTEXT`.
    """

    pattern: str
    name: str
    ignore_case: bool = True
    invert: bool = False
    context: int = 0

    @classmethod
    def typed(cls, pattern: str, *, invert: bool = False, context: int = 0) -> LogFilter:
        """The filter for a typed expression: case matters only if there is a capital letter in it."""
        return cls(pattern, pattern, pattern == pattern.lower(), invert, context)


class LogSearch:
    """Looks for one filter's expression in a buffer; for one thread and event loop.

    Args:
        log_filter: What to look for; `invert` and `context` may change as one goes.
        buffer: Where.
        grep: Does it.

    Attributes:
        scanned: One more than the number of the last line that was searched.
    """

    def __init__(self, log_filter: LogFilter, buffer: LogBuffer, grep: Grep) -> None:
        self.log_filter = log_filter
        self.scanned = buffer.first
        self._buffer = buffer
        self._grep = grep
        self._lines = array("q")  # those that match, ascending
        self._spans = array("q")  # line, start and end of each match, ascending

    def restarted(self, buffer: LogBuffer) -> LogSearch:
        """The same search of other lines."""
        return LogSearch(self.log_filter, buffer, self._grep)

    async def advance(self) -> bool:
        """Searches the lines that have come since; tells whether there were any.

        Raises:
            PatternError: The expression is wrong or takes too long.
        """
        await self._grep.use(self.log_filter.pattern, ignore_case=self.log_filter.ignore_case)
        end = self._buffer.end
        if self.scanned >= end:
            return False
        for first, text in self._buffer.texts(self.scanned, end):
            found = await self._grep.search(text)
            if len(found):
                absolute = found.astype(np.int64)
                absolute[:, 0] += first
                self._spans.frombytes(absolute.tobytes())
                self._lines.frombytes(np.unique(absolute[:, 0]).tobytes())
            self.scanned = first + text.count(b"\n")
        self.scanned = max(self.scanned, end)
        self._forget()
        return True

    @property
    def count(self) -> int:
        """Lines shown for themselves: those that match, or with ``invert`` the others."""
        first, end = self._buffer.first, self.scanned
        matching = bisect_left(self._lines, end) - bisect_left(self._lines, first)
        return max(0, end - first) - matching if self.log_filter.invert else matching

    def rate(self) -> float | None:
        """Such lines a minute over the last ten minutes of the log; None if it is too short to say."""
        first, end = self._buffer.first, self.scanned
        if end - first < 2:
            return None
        newest = self._buffer.time(end - 1)
        begin = self._buffer.at_or_after(newest - RATE_WINDOW)
        minutes = (newest - self._buffer.time(begin)) / 60e9
        if minutes < 0.2 or self._buffer.time(begin) < 0:
            return None
        matching = bisect_left(self._lines, end) - bisect_left(self._lines, begin)
        return ((end - begin - matching) if self.log_filter.invert else matching) / minutes

    def rows(self) -> LineNumbers:
        """The numbers of the lines to show, with gaps; see `memtop.logs.search`."""
        first, end = self._buffer.first, self.scanned
        if self.log_filter.context == ALL_CONTEXT:
            return np.arange(first, self._buffer.end, dtype=np.int64)
        return rows_with_context(self._chosen(), first, end, self.log_filter.context)

    def step(self, number: int, direction: int) -> int | None:
        """The next match after a line (1), or the one before it (-1); None beyond the last or first."""
        chosen = self._chosen()
        at = np.searchsorted(chosen, number + 1 if direction > 0 else number)
        at += 0 if direction > 0 else -1
        return int(chosen[at]) if 0 <= at < len(chosen) else None

    def is_chosen(self, number: int) -> bool:
        """Whether a line is shown for itself, and not as context."""
        at = bisect_left(self._lines, number)
        return (at < len(self._lines) and self._lines[at] == number) != self.log_filter.invert

    def spans(self, number: int) -> list[tuple[int, int]]:
        """Where in a line the matches begin and end, in characters."""
        low = bisect_left(range(len(self._spans) // 3), number, key=lambda i: self._spans[3 * i])
        high = bisect_right(range(len(self._spans) // 3), number, key=lambda i: self._spans[3 * i])
        return [(self._spans[3 * i + 1], self._spans[3 * i + 2]) for i in range(low, high)]

    def _chosen(self) -> LineNumbers:
        matching = np.array(self._lines, np.int64)
        first, end = self._buffer.first, self.scanned
        if self.log_filter.invert:
            return lines_not_in(matching, first, end)
        return matching[np.searchsorted(matching, first) :]

    def _forget(self) -> None:
        """Drops what is known of lines that are not kept any more, once that is most of it."""
        stale = bisect_left(self._lines, self._buffer.first)
        if stale * 2 <= len(self._lines):
            return
        del self._lines[:stale]
        gone = bisect_left(range(len(self._spans) // 3), self._buffer.first, key=lambda i: self._spans[3 * i])
        del self._spans[: 3 * gone]
