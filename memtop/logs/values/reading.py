"""One line's figures, and the units that programs write them in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class Kind(StrEnum):
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
class Reading:
    """The figures of one line.

    Attributes:
        kind: What the line tells of.
        heap_after: Heap in use after the collection, or at the time, in bytes.
        heap_before: Heap in use before the collection, in bytes.
        heap_total: What the heap may grow to without asking the system for more, or its limit, in bytes.
        pause_seconds: How long the program stood still.
        share: Part of the heap in use where the line says it, 0..1; finer than its ``1.9GB / 2GB``.
        at: When the line was written, Unix seconds.
    """

    kind: Kind
    heap_after: float | None = None
    heap_before: float | None = None
    heap_total: float | None = None
    pause_seconds: float | None = None
    share: float | None = None
    at: float | None = None

    @property
    def finite(self) -> bool:
        """Whether all figures are numbers that something can hold."""
        figures = (self.heap_after, self.heap_before, self.heap_total, self.pause_seconds, self.share)
        return all(figure is None or math.isfinite(figure) for figure in figures)


def amount(number: str, unit: str) -> float:
    """Bytes of a figure such as ``1.8`` ``GB``, ``24`` ``M`` or ``9756`` ``K``.

    Programs that report their own heap count in powers of 1024 whatever they call the unit: the JVM's ``M``,
    V8's ``MB`` and Go's ``MB`` all are 2^20.
    """
    return float(number) * float(1024 ** _POWERS[unit[:1].lower().replace("b", "")])
