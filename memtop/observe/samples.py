"""Rings of samples in columns: one row per tick, one column per container.

Rows are written a whole tick at a time, and pages of rows not yet reached are never touched, so memory grows
with the time observed and then stays.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
SampleArray = npt.NDArray[np.float32]

FEWEST_TICKS = 8
LONG_SPACING = 120.0
LONG_TICKS = 288
"""Samples of the longer past: one in five minutes of a day, which no terminal can draw any finer."""


class Ring:
    """The last `ticks` rows of samples.

    Values are bytes as float32 (exact for multiples of 4 KiB up to 64 GiB). A sample's own time differs from
    its tick's by up to a scrape interval and is kept as an offset in tenths of a second.

    Args:
        ticks: How many rows are kept.
        slots: How many columns there are room for.
    """

    def __init__(self, ticks: int, slots: int) -> None:
        self.ticks = ticks
        self._written = 0
        self._times = np.zeros(ticks)
        self._values = np.empty((ticks, slots), np.float32)
        self._offsets = np.empty((ticks, slots), np.int16)

    @property
    def length(self) -> int:
        """How many rows hold samples."""
        return min(self._written, self.ticks)

    def append(self, time: float, values: SampleArray, times: FloatArray) -> None:
        """Writes one tick.

        Args:
            time: The tick, Unix seconds.
            values: Bytes per slot, NaN where there is no new sample.
            times: Unix seconds per slot; ignored where the value is NaN.
        """
        row = self._written % self.ticks
        self._times[row] = time
        self._values[row] = values
        offsets = np.nan_to_num((times - time) * 10)
        self._offsets[row] = np.clip(offsets, -32768, 32767).astype(np.int16)
        self._written += 1

    def clear(self, slot: int) -> None:
        """Forgets a slot's samples, before another container takes it."""
        self._values[: self.length, slot] = np.nan

    def grow(self, slots: int) -> None:
        """Makes room for more slots; new ones are empty."""
        old = self._values.shape[1]
        values = np.empty((self.ticks, slots), np.float32)
        offsets = np.empty((self.ticks, slots), np.int16)
        values[: self.length, :old] = self._values[: self.length]
        values[: self.length, old:] = np.nan
        offsets[: self.length, :old] = self._offsets[: self.length]
        offsets[: self.length, old:] = 0
        self._values, self._offsets = values, offsets

    def _order(self) -> npt.NDArray[np.intp]:
        start = self._written - self.length
        return np.arange(start, self._written) % self.ticks

    def tick_times(self) -> FloatArray:
        """Unix seconds of the rows, oldest first, shape (length,)."""
        return self._times[self._order()]

    def series(self, slot: int) -> tuple[FloatArray, FloatArray]:
        """One container's samples, oldest first: Unix seconds and bytes, both of shape (n,)."""
        order = self._order()
        values = self._values[order, slot].astype(np.float64)
        times = self._times[order] + self._offsets[order, slot] / 10.0
        present = np.isfinite(values)
        return times[present], values[present]

    def matrix(self, slots: npt.NDArray[np.intp]) -> tuple[FloatArray, SampleArray]:
        """Several containers' samples: times and bytes of shape (len(slots), length), NaN where missing."""
        order = self._order()
        values = self._values[np.ix_(order, slots)].T
        times = (self._times[order, None] + self._offsets[np.ix_(order, slots)] / 10.0).T
        return times, values

    def peaks(self, bins: int, since: float) -> SampleArray:
        """The highest value of each slot in `bins` equal parts of the time from `since` to the newest tick.

        Returns:
            Shape (slots, bins); NaN where a bin has no sample.
        """
        slots = self._values.shape[1]
        out = np.full((bins, slots), np.nan, np.float32)
        if not self.length:
            return out.T
        order = self._order()
        times = self._times[order]
        span = max(times[-1] - since, 1e-9)
        bin_of = np.ceil((times - since) / span * bins).astype(np.intp) - 1
        for index in range(bins):
            rows = order[bin_of == index]
            if len(rows):
                np.fmax.reduce(self._values[rows], axis=0, out=out[index])
        return out.T


class History:
    """Every sample of the recent past, and one in a while of the longer one.

    The long ring keeps single samples and not minima or means, so that what it holds is the same kind of
    series, only sampled less often.

    Args:
        slots: Room for this many containers at first.
        interval: Seconds between ticks.
        recent: Seconds of which every tick is kept.
        hours: Hours kept in all, by samples at least `LONG_SPACING` apart.
    """

    def __init__(self, slots: int, interval: float, recent: float = 3600.0, hours: float = 24.0) -> None:
        self._spacing = max(LONG_SPACING, hours * 3600 / LONG_TICKS)
        self.recent = Ring(max(FEWEST_TICKS, round(recent / interval)), slots)
        self.long = Ring(max(FEWEST_TICKS, round(hours * 3600 / self._spacing)), slots)
        self._next_long = float("-inf")
        self._pending = np.full(slots, np.nan, np.float32)
        self._pending_times = np.zeros(slots)

    def append(self, time: float, values: SampleArray, times: FloatArray) -> None:
        """Writes one tick; see `Ring.append`."""
        self.recent.append(time, values, times)
        fresh = np.isfinite(values)
        self._pending[fresh] = values[fresh]
        self._pending_times[fresh] = times[fresh]
        if time >= self._next_long:
            self.long.append(time, self._pending, self._pending_times)
            self._pending[:] = np.nan
            self._next_long = time + self._spacing

    def clear(self, slot: int) -> None:
        """Forgets a slot, before another container takes it."""
        self.recent.clear(slot)
        self.long.clear(slot)
        self._pending[slot] = np.nan

    def grow(self, slots: int) -> None:
        """Makes room for more slots."""
        self.recent.grow(slots)
        self.long.grow(slots)
        extra = slots - len(self._pending)
        self._pending = np.append(self._pending, np.full(extra, np.nan, np.float32))
        self._pending_times = np.append(self._pending_times, np.zeros(extra))

    def series(self, slot: int) -> tuple[FloatArray, FloatArray]:
        """One container's samples over the whole time known, without a seam: Unix seconds and bytes."""
        times, values = self.recent.series(slot)
        old_times, old_values = self.long.series(slot)
        older = old_times < (times[0] if len(times) else np.inf)
        return np.concatenate([old_times[older], times]), np.concatenate([old_values[older], values])
