"""Rings of samples in columns: one row per moment, one column per container.

Rows are written for all containers at once, and pages of rows not yet reached are never touched, so memory
grows with the time observed and then stays.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
SampleArray = npt.NDArray[np.float32]

EVERY_SAMPLE_SECONDS = 1200.0
"""Seconds of which every sample is kept."""
MIN_ROW_SECONDS = 10.0
"""Seconds; no metrics server measures more often, however often it is asked."""
LONG_ROW_SECONDS = 120.0
LONG_ROWS = 288
"""Samples of the longer past: one in five minutes of a day, which no terminal can draw any finer."""
MIN_ROWS = 8


class SampleRing:
    """The newest sample of each container in each of the last periods.

    Values are bytes as float32 (exact for multiples of 4 KiB up to 64 GiB). A sample's own time differs from
    its row's and is kept as an offset in tenths of a second.

    Args:
        rows: How many periods are kept.
        slots: How many containers there is room for.
        period: Seconds that one row spans.
    """

    def __init__(self, rows: int, slots: int, period: float) -> None:
        self.rows = rows
        self.period = period
        self._written = 0
        self._times = np.zeros(rows)
        self._values = np.empty((rows, slots), np.float32)
        self._offsets = np.empty((rows, slots), np.int16)

    @property
    def length(self) -> int:
        """How many rows hold samples."""
        return min(self._written, self.rows)

    def append(self, time: float, values: SampleArray, times: FloatArray) -> None:
        """Writes one tick: into the newest row, or into a new one if that one's period is over.

        Args:
            time: The tick, Unix seconds.
            values: Bytes per slot, NaN where there is no new sample.
            times: Unix seconds per slot; ignored where the value is NaN.
        """
        row = (self._written - 1) % self.rows
        if not self._written or time - self._times[row] >= self.period - MIN_ROW_SECONDS / 2:
            row = self._written % self.rows
            self._times[row] = time
            self._values[row] = np.nan
            self._written += 1
        fresh = np.flatnonzero(np.isfinite(values))
        self._values[row, fresh] = values[fresh]
        offsets = (times[fresh] - self._times[row]) * 10
        self._offsets[row, fresh] = np.clip(offsets, -32768, 32767).astype(np.int16)

    def clear(self, slot: int) -> None:
        """Forgets a slot's samples, before another container takes it."""
        self._values[: self.length, slot] = np.nan

    def grow(self, slots: int) -> None:
        """Makes room for more slots; new ones are empty."""
        old = self._values.shape[1]
        values = np.empty((self.rows, slots), np.float32)
        offsets = np.empty((self.rows, slots), np.int16)
        values[: self.length, :old] = self._values[: self.length]
        values[: self.length, old:] = np.nan
        offsets[: self.length, :old] = self._offsets[: self.length]
        self._values, self._offsets = values, offsets

    def series(self, slot: int) -> tuple[FloatArray, FloatArray]:
        """One container's samples, oldest first: Unix seconds and bytes, both of shape (n,)."""
        order = np.arange(self._written - self.length, self._written) % self.rows
        values = self._values[order, slot].astype(np.float64)
        present = np.isfinite(values)
        times = self._times[order[present]] + self._offsets[order[present], slot] / 10.0
        return times, values[present]


class SamplePeaks:
    """The highest sample of each container in each of the last bins: what a sparkline shows.

    Args:
        bins: How many bins are kept.
        slots: How many containers there is room for.
        width: Seconds that one bin spans.

    Attributes:
        version: Changes whenever what `read` returns may have.
    """

    def __init__(self, bins: int, slots: int, width: float) -> None:
        self.version = 0
        self._width = width
        self._newest: int | None = None
        self._highest = np.full((bins, slots), np.nan, np.float32)
        """The oldest bin first."""
        self._lent = False

    def append(self, time: float, values: SampleArray) -> None:
        """Takes in one tick; see `SampleRing.append`."""
        bins = len(self._highest)
        bin_ = int(time // self._width)
        self._take_back()
        if self._newest is None or bin_ > self._newest:
            passed = bins if self._newest is None else min(bin_ - self._newest, bins)
            self._newest = bin_
            self._highest[: bins - passed] = self._highest[passed:]
            self._highest[bins - passed :] = np.nan
        np.fmax(self._highest[-1], values, out=self._highest[-1])
        self.version += 1

    def take_past(self, slot: int, times: FloatArray, values: FloatArray) -> None:
        """Takes in what is remembered of one container from before it was seen.

        Args:
            slot: Whose it is.
            times: Unix seconds; what is older than the oldest bin or newer than the newest is left out.
            values: Bytes.
        """
        if self._newest is None:
            return
        place = (times // self._width).astype(np.intp) - self._newest + len(self._highest) - 1
        kept = (place >= 0) & (place < len(self._highest))
        self._take_back()
        np.fmax.at(self._highest[:, slot], place[kept], values[kept].astype(np.float32))
        self.version += 1

    def clear(self, slot: int) -> None:
        """Forgets a slot, before another container takes it."""
        self._take_back()
        self._highest[:, slot] = np.nan
        self.version += 1

    def grow(self, slots: int) -> None:
        """Makes room for more slots; new ones are empty."""
        bins, old = self._highest.shape
        self._highest = np.append(self._highest, np.full((bins, slots - old), np.nan, np.float32), axis=1)
        self._lent = False
        self.version += 1

    def read(self) -> SampleArray:
        """All of it as it is now and stays; shape (slots, bins), oldest bin first, NaN without a sample."""
        self._lent = True
        return self._highest.T

    def _take_back(self) -> None:
        """Leaves what was read to its readers before something changes: most frames change nothing here."""
        if self._lent:
            self._highest = self._highest.copy()
            self._lent = False


class SampleHistory:
    """Every sample of the recent past, and one in a while of the longer one.

    The longer past keeps single samples and not minima or means, so that it is the same kind of series, only
    sampled less often.

    Args:
        slots: Room for this many containers at first.
        interval: Seconds between ticks.
        recent: Seconds that the peaks cover together, at least.
        hours: Hours kept in all.
        bins: How many peaks there are.
    """

    def __init__(
        self, slots: int, interval: float, recent: float = 3600.0, hours: float = 24.0, bins: int = 32
    ) -> None:
        period = max(interval, MIN_ROW_SECONDS)
        long_period = max(LONG_ROW_SECONDS, hours * 3600 / LONG_ROWS)
        self.recent = SampleRing(max(MIN_ROWS, round(EVERY_SAMPLE_SECONDS / period)), slots, period)
        self.long = SampleRing(max(MIN_ROWS, round(hours * 3600 / long_period)), slots, long_period)
        self.peaks = SamplePeaks(bins, slots, max(recent / bins, interval))
        self._parts = (self.recent, self.long, self.peaks)

    def append(self, time: float, values: SampleArray, times: FloatArray) -> None:
        """Writes one tick; see `SampleRing.append`."""
        self.recent.append(time, values, times)
        self.long.append(time, values, times)
        self.peaks.append(time, values)

    def clear(self, slot: int) -> None:
        """Forgets a slot, before another container takes it."""
        for part in self._parts:
            part.clear(slot)

    def grow(self, slots: int) -> None:
        """Makes room for more slots."""
        for part in self._parts:
            part.grow(slots)

    def series(self, slot: int) -> tuple[FloatArray, FloatArray]:
        """One container's samples over the whole time known, without a seam: Unix seconds and bytes."""
        times, values = self.recent.series(slot)
        old_times, old_values = self.long.series(slot)
        older = old_times < (times[0] if len(times) else np.inf)
        return np.concatenate([old_times[older], times]), np.concatenate([old_values[older], values])
