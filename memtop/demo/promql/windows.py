"""Functions over windows of samples, for many window ends at once.

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
    """The samples of one series and the windows over them.

    Attributes:
        times: when each sample was taken, seconds since 1970; shape (N,).
        values: the samples; shape (N,).
        low: index of each window's first sample; shape (T,).
        high: index after each window's last sample; shape (T,).
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
        """How many samples each window holds."""
        return self.high - self.low


Result = tuple[FloatArray, NDArray[np.bool_]]
"""Values and which of them exist, one per window."""


def _sums(values: FloatArray, windows: Windows) -> FloatArray:
    running = np.concatenate(([0.0], np.cumsum(values)))
    sums: FloatArray = running[windows.high] - running[windows.low]
    return sums


def _reduced(function: np.ufunc, windows: Windows) -> FloatArray:
    values = np.append(windows.values, 0.0)
    pairs = np.stack((windows.low, np.maximum(windows.high, windows.low + 1)), axis=1).ravel()
    pairs = np.minimum(pairs, len(values) - 1)
    reduced: FloatArray = function.reduceat(values, pairs)[::2]
    return reduced


def _over(compute: Callable[[Windows], FloatArray], least: int = 1) -> Callable[[Windows], Result]:
    def function(windows: Windows) -> Result:
        present = windows.count >= least
        with np.errstate(all="ignore"):
            return np.where(present, compute(windows), 0.0), present

    return function


def _last(windows: Windows) -> FloatArray:
    return windows.values[np.maximum(windows.high - 1, 0)]


def _average(windows: Windows) -> FloatArray:
    middle = float(windows.values.mean()) if windows.values.size else 0.0
    averages: FloatArray = _sums(windows.values - middle, windows) / windows.count + middle
    return averages


def _steps(kind: Callable[[FloatArray], NDArray[np.bool_]]) -> Callable[[Windows], FloatArray]:
    def compute(windows: Windows) -> FloatArray:
        stepped = np.concatenate(([0.0], kind(np.diff(windows.values)).astype(np.float64)))
        running = np.cumsum(stepped)
        first, last = np.minimum(windows.low, len(running) - 1), np.maximum(windows.high - 1, 0)
        steps: FloatArray = running[last] - running[first]
        return steps

    return compute


def _regression(windows: Windows) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return slope, mean time and mean value of each window (ordinary least squares)."""
    middle = float(windows.values.mean()) if windows.values.size else 0.0
    origin = float(windows.times[len(windows.times) // 2]) if windows.times.size else 0.0
    x, y, n = windows.times - origin, windows.values - middle, windows.count
    sum_x, sum_y = _sums(x, windows), _sums(y, windows)
    covariance = _sums(x * y, windows) - sum_x * sum_y / n
    variance = _sums(x * x, windows) - sum_x * sum_x / n
    return covariance / variance, sum_x / n + origin, sum_y / n + middle


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
        values = windows.values
        first = np.minimum(windows.low, max(len(values) - 1, 0))
        last = np.maximum(windows.high - 1, 0)
        if counter:
            drops = np.where(np.diff(values) < 0, values[:-1], 0.0)
            corrected = values + np.concatenate(([0.0], np.cumsum(drops)))
        else:
            corrected = values
        gained = corrected[last] - corrected[first]
        sampled = windows.times[last] - windows.times[first]
        spacing = sampled / np.maximum(windows.count - 1, 1)
        to_start = windows.times[first] - (windows.ends - windows.width)
        to_end = windows.ends - windows.times[last]
        to_start = np.where(to_start < 1.1 * spacing, to_start, spacing / 2)
        to_end = np.where(to_end < 1.1 * spacing, to_end, spacing / 2)
        if counter:
            to_zero = np.where(
                gained > 0, sampled * values[first] / np.where(gained > 0, gained, 1.0), np.inf
            )
            to_start = np.minimum(to_start, to_zero)
        result = gained * (sampled + to_start + to_end) / sampled
        return result / windows.width if per_second else result

    return compute


def _instant_rate(windows: Windows) -> FloatArray:
    last = np.maximum(windows.high - 1, 1)
    gained = windows.values[last] - windows.values[last - 1]
    gained = np.where(gained < 0, windows.values[last], gained)
    rates: FloatArray = gained / (windows.times[last] - windows.times[last - 1])
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
    "present_over_time": _over(lambda windows: np.ones(len(windows.ends))),
}
"""What each range function computes."""
