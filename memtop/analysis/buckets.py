"""Buckets of many containers that take one sample after the other and never grow beyond a fixed size.

The columns are laid out bucket by bucket, so that pages of buckets not yet reached are never touched. What
is of the size of a bucket's mean is kept as a share of it in half precision (1 in 2,000), 19 bytes a bucket
in all; the bucket that is still being filled is kept in full beside them, so that nothing is lost by
adding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.sample_summary import MIN_BUCKETS_PER_LIFE, SampleSummary

BUCKETS_PER_CONTAINER = 96
"""Buckets per container."""
_FULL = BUCKETS_PER_CONTAINER - 12
_NEARLY_FULL = BUCKETS_PER_CONTAINER - 6
_SHARES = ("low", "high", "squared_steps", "cubed_steps")
_OPEN = ("time", "mean", *_SHARES)
_MAX_SHARE = 6e4
"""Close to the largest number of half precision."""


class Buckets:
    """The folded samples of containers in columns.

    A container's buckets have one width: `step` at first, twice that whenever its buckets are used up, so
    that they always cover its whole window, up to `history`. A bucket never spans a restart.

    Args:
        capacity: Containers there is room for.
        step: Seconds that the narrowest bucket spans.
        history: Seconds after which buckets are forgotten, once there is no room.
    """

    def __init__(self, capacity: int, step: float, history: float) -> None:
        self.capacity = capacity
        self._step = step
        self._history = history
        self._time, self._mean = (np.zeros((BUCKETS_PER_CONTAINER, capacity), np.float32) for _ in range(2))
        self._share = {name: np.zeros((BUCKETS_PER_CONTAINER, capacity), np.float16) for name in _SHARES}
        self._count = np.zeros((BUCKETS_PER_CONTAINER, capacity), np.uint16)
        self._life = np.zeros(
            (BUCKETS_PER_CONTAINER, capacity), np.uint8
        )  # wraps round: it only tells neighbours apart
        self._used = np.zeros(capacity, np.int64)
        self._origin = np.full(capacity, np.nan)
        self._width = np.full(capacity, step)
        self._bucket = np.full(capacity, -1, np.int64)
        self._last = np.full(capacity, np.nan)
        self._value = np.full(capacity, np.nan)
        self._open = {name: np.zeros(capacity) for name in _OPEN}

    @property
    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self._time, self._mean, *self._share.values(), self._count, self._life

    @property
    def bytes(self) -> int:
        """Memory that the columns take once every bucket is in use."""
        return sum(column.nbytes for column in self._columns)

    def grow(self, capacity: int) -> None:
        """Makes room for more containers."""
        bigger = Buckets(capacity, self._step, self._history)
        rows, old = int(self._used.max(initial=0)), self.capacity
        for larger, column in zip(bigger._columns, self._columns, strict=True):
            larger[:rows, :old] = column[:rows]
        for name in ("_used", "_origin", "_width", "_bucket", "_last", "_value"):
            getattr(bigger, name)[:old] = getattr(self, name)
        for name, column in self._open.items():
            bigger._open[name][:old] = column
        self.__dict__.update(bigger.__dict__)

    def clear(self, slots: Ints) -> None:
        """Forgets containers."""
        self._used[slots] = 0
        self._width[slots] = self._step
        self._bucket[slots] = -1
        for column in (self._origin, self._last, self._value):
            column[slots] = np.nan

    def latest(self, slots: Ints) -> Floats:
        """The last value added to each container, bytes, NaN for none."""
        return self._value[slots]

    def window(self, slots: Ints) -> Floats:
        """Seconds from the first to the last sample, 0 without samples."""
        first = np.where(self._used[slots] > 0, self._time[0, slots] + self._origin[slots], np.nan)
        return np.asarray(np.nan_to_num(self._last[slots] - first))

    def add(self, slots: Ints, time: Floats, value: Floats, new_life: Bools) -> None:
        """Adds one sample to each of some containers.

        Args:
            slots: The containers, each once.
            time: Unix seconds, later than the samples before.
            value: Bytes.
            new_life: Whether the container has started again since its last sample.
        """
        fresh = self._used[slots] == 0
        self._origin[slots] = np.where(fresh, time, self._origin[slots])
        bucket = ((time - self._origin[slots]) / self._width[slots]).astype(np.int64)
        opens = fresh | new_life | (bucket != self._bucket[slots])
        full = opens & (self._used[slots] >= BUCKETS_PER_CONTAINER)
        if full.any():
            self._make_room(slots[full], time[full])
            bucket = ((time - self._origin[slots]) / self._width[slots]).astype(np.int64)
            opens = fresh | new_life | (bucket != self._bucket[slots])
        moved = np.where(fresh | new_life, 0.0, value - self._value[slots])
        at = self._used[slots] - np.where(opens, 0, 1)
        life = np.where(fresh, 0, self._life[np.maximum(self._used[slots] - 1, 0), slots] + new_life)
        self._life[at, slots] = life
        count = np.where(opens, 0, self._count[at, slots])
        self._count[at, slots] = np.minimum(count + 1, np.iinfo(np.uint16).max)
        was = {name: column[slots] for name, column in self._open.items()}
        share = 1.0 / (count + 1)
        now = {
            "time": np.where(opens, 0.0, was["time"] * (1 - share)) + (time - self._origin[slots]) * share,
            "mean": np.where(opens, 0.0, was["mean"] * (1 - share)) + value * share,
            "low": np.where(opens, value, np.minimum(was["low"], value)),
            "high": np.where(opens, value, np.maximum(was["high"], value)),
            "squared_steps": np.where(opens, 0.0, was["squared_steps"]) + moved**2,
            "cubed_steps": np.where(opens, 0.0, was["cubed_steps"]) + moved**3,
        }
        for name, column in self._open.items():
            column[slots] = now[name]
        self._write(at, slots, now)
        self._used[slots] += opens
        self._bucket[slots] = bucket
        self._last[slots], self._value[slots] = time, value

    def tidy(self, most: int) -> None:
        """Makes room early for at most ``most`` containers, so that not all need it in one tick."""
        soon = np.nonzero(self._used >= _NEARLY_FULL)[0][:most]
        self._make_room(soon, self._last[soon])

    def summary(self, slots: Ints) -> SampleSummary:
        """The buckets of some containers, in the order of ``slots``."""
        used = self._used[slots]
        width = max(int(used.max(initial=0)), 1)
        inside = np.arange(width) < used[:, None]
        row = np.nonzero(inside)[0]
        flat = self._read(slots, inside)
        life = self._life[:width, slots].T[inside]
        begins = np.ones(len(row), np.bool_)
        begins[1:] = (row[1:] != row[:-1]) | (life[1:] != life[:-1])
        count = self._count[:width, slots].T[inside].astype(np.int64)
        first = np.where(used > 0, self._time[0, slots] + self._origin[slots], np.nan)
        return SampleSummary(
            time=flat["time"] + self._origin[slots][row],
            low=flat["low"],
            mean=flat["mean"],
            high=flat["high"],
            squared_steps=flat["squared_steps"],
            cubed_steps=flat["cubed_steps"],
            count=count,
            life=np.cumsum(begins) - 1,
            life_container=row[begins],
            first=first,
            last=self._last[slots],
            latest=self._value[slots],
            samples=np.bincount(row, count, len(slots)).astype(np.int64),
        )

    def _make_room(self, slots: Ints, now: Floats) -> None:
        """Forgets what is older than the history; if that is not enough, makes buckets twice as wide.

        Where lives are so many that wider buckets would hide their ramps, the oldest quarter goes instead.
        """
        used = self._used[slots]
        inside = np.arange(BUCKETS_PER_CONTAINER)[:, None] < used
        old = inside & (self._time[:, slots] + self._origin[slots] < now - self._history)
        drop = old.sum(axis=0)
        begins = np.diff(self._life[:, slots].astype(np.int64), axis=0) != 0
        lives = (begins & inside[1:]).sum(axis=0) + 1
        crowded = MIN_BUCKETS_PER_LIFE * lives > BUCKETS_PER_CONTAINER
        drop = np.where(crowded, np.maximum(drop, BUCKETS_PER_CONTAINER // 4), drop)
        merge = used - drop > _FULL
        self._rewrite(slots[~merge], drop[~merge], self._width[slots[~merge]])
        wider = slots[merge]
        while len(wider):  # more than once where samples are further apart than buckets are wide
            self._width[wider] *= 2.0
            self._rewrite(wider, np.zeros(len(wider), np.int64), self._width[wider])
            wider = wider[self._used[wider] > _FULL]

    def _rewrite(self, slots: Ints, drop: Ints, width: Floats) -> None:
        """Drops the first buckets of containers and joins neighbours that `width` makes one."""
        if not len(slots):
            return
        place = np.arange(BUCKETS_PER_CONTAINER)
        keep = (place >= drop[:, None]) & (place < self._used[slots][:, None])
        row = np.nonzero(keep)[0]
        flat = self._read(slots, keep)
        life, count = _flat_values(self._life, slots, keep), _flat_values(self._count, slots, keep)
        bucket = np.floor(flat["time"] / width[row])
        begins = np.ones(len(row), np.bool_)
        begins[1:] = (row[1:] != row[:-1]) | (life[1:] != life[:-1]) | (bucket[1:] != bucket[:-1])
        start = np.nonzero(begins)[0]
        to_row = row[start]
        used = np.bincount(to_row, minlength=len(slots))
        at = np.arange(len(start)) - (np.cumsum(used) - used)[to_row]
        to = slots[to_row]
        total = np.add.reduceat(count, start)
        joined = {
            "time": np.add.reduceat(flat["time"] * count, start) / total,
            "mean": np.add.reduceat(flat["mean"] * count, start) / total,
            "low": np.minimum.reduceat(flat["low"], start),
            "high": np.maximum.reduceat(flat["high"], start),
            "squared_steps": np.add.reduceat(flat["squared_steps"], start),
            "cubed_steps": np.add.reduceat(flat["cubed_steps"], start),
        }
        self._write(at, to, joined)
        newest = at == used[to_row] - 1
        for name, column in self._open.items():
            column[to[newest]] = joined[name][newest]
        self._life[at, to] = life[start]
        self._count[at, to] = np.minimum(total, np.iinfo(np.uint16).max)
        self._used[slots] = used
        self._bucket[slots] = ((self._last[slots] - self._origin[slots]) / width).astype(np.int64)

    def _write(self, at: Ints, slots: Ints, real: dict[str, Floats]) -> None:
        """Puts buckets into the columns: the slots' buckets number `at`."""
        mean = real["mean"]
        shares = {
            "low": (mean - real["low"]) / mean,
            "high": (real["high"] - mean) / mean,
            "squared_steps": np.sqrt(real["squared_steps"]) / mean,
            "cubed_steps": np.cbrt(real["cubed_steps"]) / mean,
        }
        self._time[at, slots], self._mean[at, slots] = real["time"], mean
        for name, column in self._share.items():
            column[at, slots] = np.clip(shares[name], -_MAX_SHARE, _MAX_SHARE)

    def _read(self, slots: Ints, inside: Bools) -> dict[str, Floats]:
        """The marked buckets of some containers, end to end, in seconds since the origin and bytes."""
        width = inside.shape[1]
        mean = _flat_values(self._mean[:width], slots, inside)
        share = {name: _flat_values(column[:width], slots, inside) for name, column in self._share.items()}
        return {
            "time": _flat_values(self._time[:width], slots, inside),
            "mean": mean,
            "low": mean * (1 - share["low"]),
            "high": mean * (1 + share["high"]),
            "squared_steps": (mean * share["squared_steps"]) ** 2,
            "cubed_steps": (mean * share["cubed_steps"]) ** 3,
        }


def _flat_values(column: NDArray[Any], slots: Ints, inside: Bools) -> Floats:
    """The marked buckets of some containers, end to end."""
    return column[:, slots].T[inside].astype(np.float64)
