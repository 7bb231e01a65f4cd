"""Samples of series at evaluation times, and the functions over ranges of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtop.demo.memory_curves import FloatArray, levels
from memtop.demo.promql.scraped_series import SCRAPE, Metric, Row
from memtop.demo.promql.vectors import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class Windows:
    """The samples of N series, scraped at the same moments, and T windows over each.

    Attributes:
        times: when samples were taken, seconds since 1970; shape (S,).
        values: the samples, 0 where a series has none; shape (N, S).
        low: index of each window's first sample; shape (N, T).
        high: index after each window's last sample; shape (N, T).
        ends: when each window ends; shape (T,).
        width: the width of all windows in seconds.
    """

    times: FloatArray
    values: FloatArray
    low: IntArray
    high: IntArray
    ends: FloatArray
    width: float

    @property
    def count(self) -> IntArray:
        """How many samples each window holds; shape (N, T)."""
        return self.high - self.low

    @property
    def first(self) -> IntArray:
        """Index of each window's first sample, valid also where there is none."""
        return np.minimum(self.low, len(self.times) - 1)

    @property
    def last(self) -> IntArray:
        """Index of each window's last sample, valid also where there is none."""
        return np.maximum(self.high - 1, 0)


Result = tuple[FloatArray, NDArray[np.bool_]]
"""Values and which of them exist, shape (N, T) each."""


def _sums(values: FloatArray, windows: Windows) -> FloatArray:
    """Sum values of shape (N, S), or (S,) for all series alike, over each window."""
    running = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=running[..., 1:])
    if values.ndim == 1:
        alike: FloatArray = running[windows.high] - running[windows.low]
        return alike
    return _pick(running, windows.high) - _pick(running, windows.low)


def _pick(table: FloatArray, indexes: IntArray) -> FloatArray:
    return np.take_along_axis(table, indexes, axis=1)


def _centred(windows: Windows) -> tuple[FloatArray, FloatArray]:
    """Return the samples less a middle of each series, and the middles: sums of large numbers lose digits."""
    middles = windows.values.max(axis=1, keepdims=True) / 2
    return windows.values - middles, middles


def _reduced(function: np.ufunc, windows: Windows) -> FloatArray:
    series, samples = windows.values.shape
    flat = np.append(windows.values.ravel(), 0.0)
    begins = np.arange(series)[:, None] * samples
    low = begins + np.minimum(windows.low, samples - 1)
    high = begins + np.maximum(windows.high, windows.low + 1)
    pairs = np.minimum(np.stack((low, high), axis=-1).ravel(), len(flat) - 1)
    reduced: FloatArray = function.reduceat(flat, pairs)[::2]
    return reduced.reshape(low.shape)


def _over(compute: Callable[[Windows], FloatArray], least: int = 1) -> Callable[[Windows], Result]:
    def function(windows: Windows) -> Result:
        present = windows.count >= least
        with np.errstate(all="ignore"):
            return np.where(present, compute(windows), 0.0), present

    return function


def _last(windows: Windows) -> FloatArray:
    return _pick(windows.values, windows.last)


def _average(windows: Windows) -> FloatArray:
    values, middles = _centred(windows)
    averages: FloatArray = _sums(values, windows) / windows.count + middles
    return averages


def _steps(kind: Callable[[FloatArray], NDArray[np.bool_]]) -> Callable[[Windows], FloatArray]:
    def compute(windows: Windows) -> FloatArray:
        stepped = np.zeros_like(windows.values)
        stepped[:, 1:] = kind(np.diff(windows.values, axis=1))
        running = np.cumsum(stepped, axis=1)
        return _pick(running, windows.last) - _pick(running, windows.first)

    return compute


def _regression(windows: Windows) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return slope, mean time and mean value of each window (ordinary least squares)."""
    origin = float(windows.times[len(windows.times) // 2])
    y, middles = _centred(windows)
    x, n = windows.times - origin, windows.count
    sum_x, sum_y = _sums(x, windows), _sums(y, windows)
    covariance = _sums(x * y, windows) - sum_x * sum_y / n
    variance = _sums(x * x, windows) - sum_x * sum_x / n
    return covariance / variance, sum_x / n + origin, sum_y / n + middles


def predict_linear(windows: Windows, ahead: FloatArray) -> Result:
    """Return what linear regression predicts `ahead` seconds after each window's end."""
    present = windows.count >= 2
    with np.errstate(all="ignore"):
        slope, mean_time, mean_value = _regression(windows)
        values = mean_value + slope * (windows.ends + ahead - mean_time)
    return np.where(present, values, 0.0), present


def _extrapolated(counter: bool, per_second: bool) -> Callable[[Windows], FloatArray]:
    """Increase over a window, extrapolated to its edges the way Prometheus does it."""

    def compute(windows: Windows) -> FloatArray:
        values, first, last = windows.values, windows.first, windows.last
        corrected = values
        if counter:
            drops = np.where(np.diff(values, axis=1) < 0, values[:, :-1], 0.0)
            corrected = values.copy()
            corrected[:, 1:] += np.cumsum(drops, axis=1)
        gained = _pick(corrected, last) - _pick(corrected, first)
        sampled = windows.times[last] - windows.times[first]
        spacing = sampled / np.maximum(windows.count - 1, 1)
        to_start = windows.times[first] - (windows.ends - windows.width)
        to_end = windows.ends - windows.times[last]
        to_start = np.where(to_start < 1.1 * spacing, to_start, spacing / 2)
        to_end = np.where(to_end < 1.1 * spacing, to_end, spacing / 2)
        if counter:
            beginning = _pick(values, first)
            to_zero = np.where(gained > 0, sampled * beginning / np.where(gained > 0, gained, 1.0), np.inf)
            to_start = np.minimum(to_start, to_zero)
        result = gained * (sampled + to_start + to_end) / sampled
        return result / windows.width if per_second else result

    return compute


WINDOW_FUNCTIONS: dict[str, Callable[[Windows], Result]] = {
    "rate": _over(_extrapolated(counter=True, per_second=True), 2),
    "increase": _over(_extrapolated(counter=True, per_second=False), 2),
    "delta": _over(_extrapolated(counter=False, per_second=False), 2),
    "deriv": _over(lambda windows: _regression(windows)[0], 2),
    "changes": _over(_steps(lambda difference: difference != 0)),
    "resets": _over(_steps(lambda difference: difference < 0)),
    "max_over_time": _over(lambda windows: _reduced(np.maximum, windows)),
    "min_over_time": _over(lambda windows: _reduced(np.minimum, windows)),
    "avg_over_time": _over(_average),
    "sum_over_time": _over(lambda windows: _sums(windows.values, windows)),
    "count_over_time": _over(lambda windows: windows.count.astype(np.float64)),
    "last_over_time": _over(_last),
    "present_over_time": _over(lambda windows: np.ones(windows.low.shape)),
}
"""The range functions."""


LOOKBACK = 300.0  # seconds, as --query.lookback-delta of Prometheus has by default
BLOCK = 1 << 18  # samples per block: 2 MiB of float64, about a processor's level-2 cache


@dataclass(frozen=True, slots=True)
class Sampler:
    """Samples some series of one metric.

    Attributes:
        metric: the metric.
        rows: the series.
        oldest: the start of the remembered past, seconds since 1970.
        now: nothing has been scraped after this.
    """

    metric: Metric
    rows: Sequence[Row]
    oldest: float
    now: float

    def at(self, times: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Return the values an instant selector sees at each time, and where it sees one; shape (N, T)."""
        values = np.zeros((len(self.rows), len(times)))
        present = np.zeros(values.shape, dtype=np.bool_)
        grid = np.floor(times / SCRAPE)
        for part in self._blocks(len(times)):
            block = self.rows[part]
            first, last = self._scrapes(block)
            scrape = np.minimum(grid, last[:, None])
            over = np.array([row.ends <= self.now for row in block])
            reach = np.where(over if self.metric.stale else False, SCRAPE, LOOKBACK)
            reach = np.broadcast_to(reach, over.shape)[:, None]
            present[part] = (scrape >= first[:, None]) & (times - scrape * SCRAPE < reach)
            values[part] = self._values(block, scrape * SCRAPE, present[part])
        return values, present

    def windows(self, ends: FloatArray, width: float) -> Iterator[tuple[slice, Windows]]:
        """Yield the samples in the windows `(end - width, end]`, block by block."""
        begin, end = np.floor((ends - width) / SCRAPE) + 1, np.floor(ends / SCRAPE)
        base = max(float(begin.min()), math.ceil(self.oldest / SCRAPE))
        top = min(float(end.max()), math.floor(self.now / SCRAPE))
        scrapes = np.arange(base, max(top, base) + 1)
        times = scrapes * SCRAPE
        for part in self._blocks(max(len(scrapes), len(ends))):
            block = self.rows[part]
            first, last = self._scrapes(block)
            low = np.maximum(begin, first[:, None])
            high = np.maximum(np.minimum(end, last[:, None]) + 1, low)
            held = high > low
            low_index = np.where(held, low - base, 0).astype(np.int64)
            high_index = np.where(held, high - base, 0).astype(np.int64)
            only_present = (scrapes >= first[:, None]) & (scrapes <= last[:, None])
            values = self._values(block, np.broadcast_to(times, only_present.shape), only_present)
            yield part, Windows(times, values, low_index, high_index, ends, width)

    def _blocks(self, width: int) -> Iterator[slice]:
        height = max(1, BLOCK // max(1, width))
        for begin in range(0, len(self.rows), height):
            yield slice(begin, begin + height)

    def _scrapes(self, block: Sequence[Row]) -> tuple[FloatArray, FloatArray]:
        """Return the numbers of the first and the last scrape of each series so far."""
        begins = np.maximum([row.begins for row in block], self.oldest)
        ends = np.array([row.ends for row in block])
        last = np.minimum(np.ceil(ends / SCRAPE) - 1, np.floor(self.now / SCRAPE))
        return np.ceil(begins / SCRAPE), last

    def _values(self, block: Sequence[Row], times: FloatArray, present: BoolArray) -> FloatArray:
        """Return the values at times of shape (N, T), where they are present, else 0."""
        values = np.zeros(times.shape)
        measured = []
        for index in np.flatnonzero(present.any(axis=1)).tolist():
            row = block[index]
            if row.run is not None:
                measured.append(index)
            elif row.values is None:
                values[index, present[index]] = row.constant
            else:
                moments = times[index, present[index]]
                values[index, present[index]] = row.values(moments, self.metric.amount)
        if measured:
            self._measure(block, np.array(measured), times, present, values)
        return values

    def _measure(
        self,
        block: Sequence[Row],
        measured: IntArray,
        times: FloatArray,
        present: BoolArray,
        values: FloatArray,
    ) -> None:
        """Put in the memory of the rows `measured`, which show a run's."""
        started_runs = [run for index in measured.tolist() if (run := block[index].run) is not None]
        parameters = np.array([run.curve.row() for run in started_runs]).T
        starts = np.array([run.start for run in started_runs])
        seeds = np.array([run.seed for run in started_runs], dtype=np.uint64)
        place, column = np.nonzero(present[measured])
        row = measured[place]
        at = times[row, column]
        level = levels(parameters[:, place], np.maximum(at - starts[place], 0.0), at, seeds[place])
        values[row, column] = self.metric.amount(level, seeds[place])
