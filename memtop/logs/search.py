"""A search that goes on as lines come in: which lines match, where, and how often."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np

from memtop.logs.buffer import LogBuffer
from memtop.logs.grep import Grep, PatternError
from memtop.logs.stretches import Numbers, others, shown

__all__ = ["EVERYTHING", "Filter", "PatternError", "Search"]

EVERYTHING = -1
"""In place of a number of context lines: all lines are shown, and the matches marked."""
RATE_WINDOW = 600 * 1_000_000_000
"""Nanoseconds of the log that the rate of matches is taken over."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for.

    Attributes:
        pattern: A regular expression.
        name: What a person calls it: the preset's name, or the expression.
        ignore_case: Whether letters match without regard to case.
        invert: Whether to show the lines that do not match.
        context: Lines to show before and after each match, or `EVERYTHING`.
    """

    pattern: str
    name: str
    ignore_case: bool = True
    invert: bool = False
    context: int = 0

    @classmethod
    def typed(cls, pattern: str, *, invert: bool = False, context: int = 0) -> Filter:
        """The filter for a typed expression: case matters only if there is a capital letter in it."""
        return cls(pattern, pattern, pattern == pattern.lower(), invert, context)


class Search:
    """Looks for one filter's expression in a buffer; for one thread and event loop.

    Args:
        sought: What to look for; `invert` and `context` may change as one goes.
        buffer: Where.
        grep: Does it.

    Attributes:
        scanned: One more than the number of the last line that was searched.
    """

    def __init__(self, sought: Filter, buffer: LogBuffer, grep: Grep) -> None:
        self.sought = sought
        self.scanned = buffer.first
        self._buffer = buffer
        self._grep = grep
        self._lines = array("q")  # those that match, ascending
        self._spans = array("q")  # line, start and end of each match, ascending

    def anew(self, buffer: LogBuffer) -> Search:
        """The same search of other lines."""
        return Search(self.sought, buffer, self._grep)

    async def advance(self) -> bool:
        """Searches the lines that have come since; tells whether there were any.

        Raises:
            PatternError: The expression is wrong or takes too long.
        """
        await self._grep.use(self.sought.pattern, ignore_case=self.sought.ignore_case)
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
        return max(0, end - first) - matching if self.sought.invert else matching

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
        return ((end - begin - matching) if self.sought.invert else matching) / minutes

    def rows(self) -> Numbers:
        """The numbers of the lines to show, with gaps; see `memtop.logs.stretches`."""
        first, end = self._buffer.first, self.scanned
        if self.sought.context == EVERYTHING:
            return np.arange(first, self._buffer.end, dtype=np.int64)
        return shown(self._chosen(), first, end, self.sought.context)

    def step(self, number: int, direction: int) -> int | None:
        """The next match after a line (1), or the one before it (-1); None beyond the last or first."""
        chosen = self._chosen()
        at = np.searchsorted(chosen, number + 1 if direction > 0 else number)
        at += 0 if direction > 0 else -1
        return int(chosen[at]) if 0 <= at < len(chosen) else None

    def chosen(self, number: int) -> bool:
        """Whether a line is shown for itself, and not as context."""
        at = bisect_left(self._lines, number)
        return (at < len(self._lines) and self._lines[at] == number) != self.sought.invert

    def spans(self, number: int) -> list[tuple[int, int]]:
        """Where in a line the matches begin and end, in characters."""
        low = bisect_left(range(len(self._spans) // 3), number, key=lambda i: self._spans[3 * i])
        high = bisect_right(range(len(self._spans) // 3), number, key=lambda i: self._spans[3 * i])
        return [(self._spans[3 * i + 1], self._spans[3 * i + 2]) for i in range(low, high)]

    def _chosen(self) -> Numbers:
        matching = np.array(self._lines, np.int64)
        first, end = self._buffer.first, self.scanned
        if self.sought.invert:
            return others(matching, first, end)
        return matching[np.searchsorted(matching, first) :]

    def _forget(self) -> None:
        """Drops what is known of lines that are not kept any more, once that is most of it."""
        stale = bisect_left(self._lines, self._buffer.first)
        if stale * 2 <= len(self._lines):
            return
        del self._lines[:stale]
        gone = bisect_left(range(len(self._spans) // 3), self._buffer.first, key=lambda i: self._spans[3 * i])
        del self._spans[: 3 * gone]
