"""The input of a verdict: one container's samples, or many containers' samples in columns.

Times are Unix seconds, values are bytes. A batch may mark missing samples with NaN; a `Series` simply does
not have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def _no_times() -> Floats:
    return np.empty(0, np.float64)


class EndCause(Enum):
    """Why a life of a container ended."""

    OOM_KILL = 0
    """The kernel killed it at its limit."""
    HEAP_LIMIT = 1
    """Its runtime gave up at a heap limit of its own (V8, the JVM)."""
    EVICTION = 2
    """The kubelet evicted the pod since the node was short of memory."""
    OTHER = 3
    """Something else than memory ended it."""

    @property
    def memory(self) -> bool:
        """Whether it ran out of memory."""
        return self is not EndCause.OTHER


END_CAUSES = tuple(EndCause)
"""The cause of each code in `KnownEnds.causes`."""


@dataclass(frozen=True, slots=True)
class LifeEnd:
    """How one life of a container ended.

    Attributes:
        at: Unix seconds.
        started_at: When that life began, Unix seconds; None where nobody told.
        cause: Why it ended.
    """

    at: float
    started_at: float | None
    cause: EndCause


@dataclass(frozen=True, slots=True)
class HeapFill:
    """How full a runtime's own heap is, as its collections tell.

    Attributes:
        live: Bytes that the newest full collection left.
        size: Bytes that the heap may hold.
        collecting: Share of the time that the program stood still for full collections, 0..1; None where the
            log does not say how long they took.
    """

    live: float
    size: float
    collecting: float | None = None


@dataclass(frozen=True, eq=False)
class Series:
    """The memory of one container over time.

    Attributes:
        timestamps: Unix seconds, shape (n,), ascending; gaps and uneven steps are fine.
        values: Bytes at those times, shape (n,).
        restarts: When the container started again inside the window, shape (k,).
        oom_kills: When it was OOM-killed, shape (j,); may be empty even if there were some.
        limit: The memory limit in bytes, or None; of another metric than the working set, moved by what the
            two differ, so that the room to it stays what it is.
        ends: The ends whose cause is known, in any order. OOM kills may be in `oom_kills` as well; at the
            same second they are one.
        started_at: Start of the present life, Unix seconds; None where it is not known.
        restart_count: Restarts inside the window as the kubelet counts them; more than `restarts` where the
            time of some is not known.
        declared_limit: The limit itself where `limit` was moved.
        full_heap: Its heap where several full collections in a row left it full; None where nobody told so.
    """

    timestamps: Floats
    values: Floats
    restarts: Floats = field(default_factory=_no_times)
    oom_kills: Floats = field(default_factory=_no_times)
    limit: float | None = None
    ends: tuple[LifeEnd, ...] = ()
    started_at: float | None = None
    restart_count: int = 0
    declared_limit: float | None = None
    full_heap: HeapFill | None = None

    def until(self, moment: float) -> Series:
        """Samples, restarts and OOM kills up to a moment, Unix seconds, with the limit and nothing else."""
        seen = self.timestamps <= moment
        return Series(
            self.timestamps[seen],
            self.values[seen],
            self.restarts[self.restarts <= moment],
            self.oom_kills[self.oom_kills <= moment],
            self.limit,
        )

    def since(self, moment: float) -> Series:
        """Samples from a moment on, Unix seconds, and restarts and OOM kills after it, likewise."""
        kept = self.timestamps >= moment
        return Series(
            self.timestamps[kept],
            self.values[kept],
            self.restarts[self.restarts > moment],
            self.oom_kills[self.oom_kills > moment],
            self.limit,
        )


@dataclass(frozen=True, eq=False)
class RaggedTimes:
    """One sorted list of times per container, laid end to end.

    Attributes:
        times: All lists after one another, unix seconds.
        starts: Where each list begins, shape (containers + 1,); the last entry is the total.
    """

    times: Floats
    starts: Ints

    @classmethod
    def empty(cls, containers: int) -> RaggedTimes:
        """No time at all for any of ``containers``."""
        return cls(_no_times(), np.zeros(containers + 1, np.int64))

    @classmethod
    def of(cls, lists: Sequence[Floats | Sequence[float]]) -> RaggedTimes:
        """Lays ``lists`` end to end, each sorted."""
        arrays = [np.sort(np.asarray(one, np.float64)) for one in lists]
        sizes = np.fromiter((len(one) for one in arrays), np.int64, len(arrays))
        flat = np.concatenate(arrays) if arrays else _no_times()
        return cls(flat, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]))

    def counts(self) -> Ints:
        """How many times each container has."""
        return np.diff(self.starts)

    def owners(self) -> Ints:
        """The container each time belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), self.counts())

    def rows(self, first: int, last: int) -> RaggedTimes:
        """The lists of containers ``first`` (included) to ``last`` (excluded)."""
        begin, end = self.starts[first], self.starts[last]
        return RaggedTimes(self.times[begin:end], self.starts[first : last + 1] - begin)


SAME_END_SECONDS = 2.0
"""An end and an OOM kill no further apart than this are the same; the API tells whole seconds."""


@dataclass(frozen=True, eq=False)
class KnownEnds:
    """The ends of many containers' lives whose cause is known.

    Attributes:
        times: When each ended, one list a container.
        started: When each of these lives began, Unix seconds, NaN where nobody told; laid out as `times`.
        causes: Index into `END_CAUSES`, laid out as `times`.
    """

    times: RaggedTimes
    started: Floats
    causes: Ints

    @classmethod
    def of(cls, series: Sequence[Series]) -> KnownEnds:
        """Those that each series tells of."""
        ends = [known_ends(one) if one.ends or len(one.oom_kills) else () for one in series]
        flat = [end for of_one in ends for end in of_one]
        return cls(
            RaggedTimes.of([[end.at for end in of_one] for of_one in ends]),
            np.array([np.nan if end.started_at is None else end.started_at for end in flat], np.float64),
            np.array([end.cause.value for end in flat], np.int64),
        )

    def rows(self, first: int, last: int) -> KnownEnds:
        """Those of containers ``first`` (included) to ``last`` (excluded)."""
        begin, end = self.times.starts[first], self.times.starts[last]
        return KnownEnds(self.times.rows(first, last), self.started[begin:end], self.causes[begin:end])


def known_ends(series: Series) -> tuple[LifeEnd, ...]:
    """The ends that a series tells of, OOM kills of which only the time is known among them, in order."""
    told = np.array([end.at for end in series.ends])
    more = [
        LifeEnd(float(at), None, EndCause.OOM_KILL)
        for at in series.oom_kills
        if not len(told) or np.abs(told - at).min() > SAME_END_SECONDS
    ]
    return tuple(sorted([*series.ends, *more], key=lambda end: end.at))


@dataclass(frozen=True, eq=False)
class Batch:
    """Many containers in columns.

    Attributes:
        times: Unix seconds, shape (T,) if all containers share their sample times, else (n, T) with NaN
            where a container has no sample.
        values: Bytes, shape (n, T), NaN where missing; float32 or float64.
        restarts: When each container started again.
        oom_kills: When each was OOM-killed.
        limits: Bytes, shape (n,), NaN for no limit.
        ends: The ends whose cause is known; None if no more is known than `oom_kills`.
        started_at: Start of each present life, Unix seconds, shape (n,), NaN where unknown; None for all.
        restart_count: Restarts as the kubelet counts them, shape (n,); None if no more than `restarts`.
        declared_limits: The limits that people set, bytes, shape (n,), NaN for none; None if `limits` are.
        full_heaps: Heaps known to be full, one a container, None for others; empty for none at all.
    """

    times: Floats
    values: NDArray[np.float32] | Floats
    restarts: RaggedTimes
    oom_kills: RaggedTimes
    limits: Floats
    ends: KnownEnds | None = None
    started_at: Floats | None = None
    restart_count: Ints | None = None
    declared_limits: Floats | None = None
    full_heaps: tuple[HeapFill | None, ...] = ()

    @classmethod
    def shared(
        cls, times: Floats, values: NDArray[np.float32] | Floats, limits: Floats | None = None
    ) -> Batch:
        """A batch of containers that never restarted, sampled at common ``times``."""
        count = len(values)
        no_limits = np.full(count, np.nan) if limits is None else limits
        return cls(times, values, RaggedTimes.empty(count), RaggedTimes.empty(count), no_limits)

    @classmethod
    def of(cls, series: Sequence[Series]) -> Batch:
        """Pads ``series`` to a common length."""
        width = max((len(one.values) for one in series), default=0)
        times = np.full((len(series), width), np.nan)
        values = np.full((len(series), width), np.nan)
        for row, one in enumerate(series):
            times[row, : len(one.timestamps)] = one.timestamps
            values[row, : len(one.values)] = one.values
        return cls(
            times,
            values,
            RaggedTimes.of([one.restarts for one in series]),
            RaggedTimes.of([one.oom_kills for one in series]),
            np.array([np.nan if one.limit is None else one.limit for one in series], np.float64),
            KnownEnds.of(series),
            np.array([np.nan if one.started_at is None else one.started_at for one in series], np.float64),
            np.array([one.restart_count for one in series], np.int64),
            np.array([one.declared_limit or one.limit or np.nan for one in series], np.float64),
            tuple(one.full_heap for one in series),
        )

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, first: int, last: int) -> Batch:
        """The containers ``first`` (included) to ``last`` (excluded), as views."""
        return Batch(
            self.times if self.times.ndim == 1 else self.times[first:last],
            self.values[first:last],
            self.restarts.rows(first, last),
            self.oom_kills.rows(first, last),
            self.limits[first:last],
            None if self.ends is None else self.ends.rows(first, last),
            None if self.started_at is None else self.started_at[first:last],
            None if self.restart_count is None else self.restart_count[first:last],
            None if self.declared_limits is None else self.declared_limits[first:last],
            self.full_heaps[first:last],
        )
