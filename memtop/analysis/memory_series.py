"""The input of a verdict: one container's samples, or many containers' samples in columns.

Times are Unix seconds, values are bytes. A batch may mark missing samples with NaN; a `Series` simply does
not have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def _no_times() -> Floats:
    return np.empty(0, np.float64)


@dataclass(frozen=True, eq=False)
class Series:
    """The memory of one container over time.

    Attributes:
        timestamps: Unix seconds, shape (n,), ascending; gaps and uneven steps are fine.
        values: Bytes at those times, shape (n,).
        restarts: When the container started again inside the window, shape (k,).
        oom_kills: When it was OOM-killed, shape (j,); may be empty even if there were some.
        limit: The memory limit in bytes, or None.
    """

    timestamps: Floats
    values: Floats
    restarts: Floats = field(default_factory=_no_times)
    oom_kills: Floats = field(default_factory=_no_times)
    limit: float | None = None


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
    """

    times: Floats
    values: NDArray[np.float32] | Floats
    restarts: RaggedTimes
    oom_kills: RaggedTimes
    limits: Floats

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
        )
