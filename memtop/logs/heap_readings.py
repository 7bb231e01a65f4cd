"""The heap and GC figures of one log line, and those of many lines summed up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class ReadingKind(StrEnum):
    """What a line tells of."""

    YOUNG = "young"
    """A collection of what is new; what survives is more than what is live."""
    FULL = "full"
    """A collection of the whole heap that stops the program."""
    CONCURRENT = "concurrent"
    """A collection of the whole heap beside the running program."""
    PAUSE = "pause"
    """A stop of which the size of the heap is not told."""
    USAGE = "usage"
    """The heap as it is, with no collection."""


@dataclass(frozen=True, slots=True)
class HeapReading:
    """The figures of one line.

    Attributes:
        kind: What the line tells of.
        heap_after: Heap in use after the collection, or at the time, in bytes.
        heap_before: Heap in use before the collection, in bytes.
        heap_total: What the heap may grow to without asking the system for more, or its limit, in bytes.
        pause_seconds: How long the program stood still.
        share: Part of the heap in use where the line says it, 0..1; finer than its ``1.9GB / 2GB``.
        time: When the line was written, Unix seconds.
    """

    kind: ReadingKind
    heap_after: float | None = None
    heap_before: float | None = None
    heap_total: float | None = None
    pause_seconds: float | None = None
    share: float | None = None
    time: float | None = None

    @property
    def finite(self) -> bool:
        """Whether all figures are numbers that something can hold."""
        figures = (self.heap_after, self.heap_before, self.heap_total, self.pause_seconds, self.share)
        return all(figure is None or math.isfinite(figure) for figure in figures)


def parse_size(number: str, unit: str) -> float:
    """Bytes of a figure such as ``1.8`` ``GB``, ``24`` ``M`` or ``9756`` ``K``.

    Programs that report their own heap count in powers of 1024 whatever they call the unit: the JVM's ``M``,
    V8's ``MB`` and Go's ``MB`` all are 2^20.
    """
    return float(number.replace(",", ".")) * float(1024 ** _POWERS[unit[:1].lower().replace("b", "")])


_COLLECTIONS = frozenset({ReadingKind.YOUNG, ReadingKind.FULL, ReadingKind.CONCURRENT})


@dataclass(frozen=True, slots=True)
class HeapSummary:
    """What the readings of a log come to.

    Attributes:
        heap: Heap after each collection, oldest first, in bytes. Where the log tells of no heap with its
            collections, the heap as the program reports it, in bytes or as shares (0..1).
        after_gc: Whether ``heap`` is what collections left.
        heap_is_share: Whether ``heap`` holds shares.
        total: What the heap may hold, in bytes (1.0 where it holds shares), or None where the log is silent.
        collections: Collections told of.
        full: Those of them that were full.
        pauses: Length of each pause, oldest first, in seconds.
        share: Part of the heap in use at its last figure, 0..1, or None where it isn't known.
    """

    heap: tuple[float, ...]
    heap_is_share: bool
    after_gc: bool
    total: float | None
    collections: int
    full: int
    pauses: tuple[float, ...]
    share: float | None

    @property
    def longest_pause(self) -> float | None:
        """Seconds, or None without a pause."""
        return max(self.pauses, default=None)


def summarise_readings(readings: Iterable[HeapReading]) -> HeapSummary | None:
    """Sums the readings up; None if there are none."""
    told = list(readings)
    if not told:
        return None
    heap = [one for one in told if one.heap_after is not None and one.kind in _COLLECTIONS]
    after_gc = bool(heap)
    heap = heap or [one for one in told if one.heap_after is not None]
    shares = [one.share for one in told if one.share is not None] if not heap else []
    totals = [one.heap_total for one in heap if one.heap_total is not None]
    return HeapSummary(
        heap=tuple(shares or [one.heap_after for one in heap if one.heap_after is not None]),
        heap_is_share=bool(shares),
        after_gc=after_gc,
        total=1.0 if shares else totals[-1] if totals else None,
        collections=sum(one.kind in _COLLECTIONS for one in told),
        full=sum(one.kind is ReadingKind.FULL for one in told),
        pauses=tuple(one.pause_seconds for one in told if one.pause_seconds is not None),
        share=shares[-1] if shares else _used_share(heap[-1], totals[-1]) if heap and totals else None,
    )


def _used_share(last: HeapReading, total: float) -> float | None:
    if last.share is not None:
        return last.share
    return last.heap_after / total if last.heap_after is not None and total else None
