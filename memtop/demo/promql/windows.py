"""Functions over windows of samples, for many series and many window ends at once.

Samples are evenly spaced, so a window is a slice: `low` and `high` hold, per window, the index of its first
sample and of the one after its last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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


def predicted(windows: Windows, ahead: FloatArray) -> Result:
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


def _instant_rate(windows: Windows) -> FloatArray:
    last, before = windows.last, np.maximum(windows.last - 1, 0)
    newest = _pick(windows.values, last)
    gained = newest - _pick(windows.values, before)
    gained = np.where(gained < 0, newest, gained)
    rates: FloatArray = gained / (windows.times[last] - windows.times[before])
    return rates


WINDOW_FUNCTIONS: dict[str, Callable[[Windows], Result]] = {
    "rate": _over(_extrapolated(counter=True, per_second=True), 2),
    "increase": _over(_extrapolated(counter=True, per_second=False), 2),
    "delta": _over(_extrapolated(counter=False, per_second=False), 2),
    "irate": _over(_instant_rate, 2),
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
"""What each range function computes."""
