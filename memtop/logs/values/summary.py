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
        heap: Heap after each collection, oldest first, in bytes; shares (0..1) where the log has only those.
        heap_is_share: Whether ``heap`` holds shares.
        total: What the heap may hold, in bytes (1.0 where it holds shares), or None where the log is silent.
        collections: Collections told of.
        full: Those of them that were full.
        pauses: Length of each pause, oldest first, in seconds.
    """

    heap: tuple[float, ...]
    heap_is_share: bool
    total: float | None
    collections: int
    full: int
    pauses: tuple[float, ...]

    @property
    def longest_pause(self) -> float | None:
        """Seconds, or None without a pause."""
        return max(self.pauses, default=None)

    @property
    def share(self) -> float | None:
        """Part of the heap in use after the last collection, 0..1, or None where it isn't known."""
        if not self.heap or not self.total:
            return None
        return self.heap[-1] / self.total


def summarise(readings: Iterable[Reading]) -> Summary | None:
    """Sums the readings up; None if there are none."""
    heap: list[float] = []
    shares: list[float] = []
    pauses: list[float] = []
    total: float | None = None
    collections = full = count = 0
    for count, reading in enumerate(readings, 1):  # noqa: B007  (the count is used after the loop)
        if reading.heap_after is not None:
            heap.append(reading.heap_after)
            total = reading.heap_total if reading.heap_total is not None else total
        if reading.share is not None:
            shares.append(reading.share)
        if reading.pause_seconds is not None:
            pauses.append(reading.pause_seconds)
        collections += reading.kind in _COLLECTIONS
        full += reading.kind is Kind.FULL
    if not count:
        return None
    only_shares = bool(shares) and not heap
    return Summary(
        heap=tuple(shares if only_shares else heap),
        heap_is_share=only_shares,
        total=1.0 if only_shares else total,
        collections=collections,
        full=full,
        pauses=tuple(pauses),
    )
