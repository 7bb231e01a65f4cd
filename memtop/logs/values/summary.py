"""Many readings as the few figures that fit above a log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from memtop.logs.values.reading import Kind, Reading

_COLLECTIONS = frozenset({Kind.YOUNG, Kind.FULL, Kind.CONCURRENT})


@dataclass(frozen=True, slots=True)
class Summary:
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


def summarise(readings: Iterable[Reading]) -> Summary | None:
    """Sums the readings up; None if there are none."""
    told = list(readings)
    if not told:
        return None
    heap = [one for one in told if one.heap_after is not None and one.kind in _COLLECTIONS]
    after_gc = bool(heap)
    heap = heap or [one for one in told if one.heap_after is not None]
    shares = [one.share for one in told if one.share is not None] if not heap else []
    totals = [one.heap_total for one in heap if one.heap_total is not None]
    return Summary(
        heap=tuple(shares or [one.heap_after for one in heap if one.heap_after is not None]),
        heap_is_share=bool(shares),
        after_gc=after_gc,
        total=1.0 if shares else totals[-1] if totals else None,
        collections=sum(one.kind in _COLLECTIONS for one in told),
        full=sum(one.kind is Kind.FULL for one in told),
        pauses=tuple(one.pause_seconds for one in told if one.pause_seconds is not None),
        share=shares[-1] if shares else _share(heap[-1], totals[-1]) if heap and totals else None,
    )


def _share(last: Reading, total: float) -> float | None:
    if last.share is not None:
        return last.share
    return last.heap_after / total if last.heap_after is not None and total else None
