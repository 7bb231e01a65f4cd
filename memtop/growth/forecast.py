"""How fast, and when is the limit reached?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth.leak import Growth
from memtop.growth.lives import Lives
from memtop.growth.series import Floats
from memtop.growth.summary import Summary

_NORMAL_95 = 1.96
LONGEST = 30 * 86400.0
"""A limit further away than this is no forecast."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Rates in bytes per hour and seconds to the limit, with 95 % intervals; NaN where there is none."""

    rate: Floats
    rate_low: Floats
    rate_high: Floats
    eta: Floats
    eta_low: Floats
    eta_high: Floats


def forecast(summary: Summary, lives: Lives, growth: Growth, limits: Floats) -> Forecast:
    """Extends the growth of every container that has samples to its limit."""
    seen = lives.container[lives.latest]
    low, high = growth.rate - _NORMAL_95 * growth.error, growth.rate + _NORMAL_95 * growth.error
    room = np.maximum(limits[seen] - summary.latest[seen], 0.0)

    def until(rate: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(growth.leak & (rate > 0), room / rate * 3600.0, np.nan)

    return Forecast(growth.rate, low, high, until(growth.rate), until(high), until(low))
