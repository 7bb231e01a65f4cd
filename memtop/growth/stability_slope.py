"""The slope of a floor over the ages of several lives, how well it is known, and how long more would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memtop.growth import teeth
from memtop.growth.leak import student
from memtop.growth.series import Batch, Floats, Ints, Series
from memtop.growth.summary import Summary, summarise

FEWEST_BLOCKS = 6
"""Floor points that a stretch needs before its slope says anything."""
_BLOCKS = 12
_SAMPLES_PER_BLOCK = 2.0
_TEETH_PER_BLOCK = 1.0
_RESOLUTION = 0.001
"""No floor is known better than to a thousandth of the memory in use."""
_MOST_ALIKE = 0.9
NORMAL_95, NORMAL_99 = 1.960, 2.326
HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True, eq=False)
class Lives:
    """Buckets of several containers' lives.

    Attributes:
        age: Seconds since the life's first bucket, shape (m,).
        time: Unix seconds.
        low: Smallest value of each bucket, bytes.
        mean: Mean value, bytes.
        life: Which life, from 0, ascending.
        length: Seconds that each life was seen, shape (lives,).
        step: Seconds between samples, as a rule.
        tooth: Seconds from one tooth to the next; 0 without teeth.
    """

    age: Floats
    time: Floats
    low: Floats
    mean: Floats
    life: Ints
    length: Floats
    step: float
    tooth: float

    @property
    def level(self) -> float:
        """Mean memory in use, bytes."""
        return float(self.mean.mean()) if len(self.mean) else math.nan


@dataclass(frozen=True)
class Slope:
    """The slope of the floor from some age on.

    Attributes:
        rate: Bytes per hour.
        error: Standard error of it.
        freedom: Degrees of freedom of the error.
        noise: Noise of the floor per square root of time: bytes²·s.
        power: Sum of squared ages about their means times the width of a block: what the error falls with,
            s³.
        start: From which age on, seconds.
        blocks: Floor points of the longest life.
    """

    rate: float
    error: float
    freedom: float
    noise: float
    power: float
    start: float
    blocks: int

    def interval(self, normal: float = NORMAL_95) -> tuple[float, float]:
        """Lower and upper end, bytes per hour, by Student's t."""
        half = float(student(normal, np.array(max(self.freedom, 1.0)))) * self.error
        return self.rate - half, self.rate + half


def lives_of(series: Sequence[Series]) -> Lives | None:
    """Cuts containers into lives; None without samples."""
    some = [one for one in series if len(one.values)]
    if not some:
        return None
    summary = summarise(Batch.of(some))
    if not len(summary.time):
        return None
    count = len(summary.life_container)
    start, end = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(start, summary.life, summary.time)
    np.maximum.at(end, summary.life, summary.time)
    steps = [float(np.median(np.diff(one.timestamps))) for one in some if len(one.timestamps) > 1]
    return Lives(
        age=summary.time - start[summary.life],
        time=summary.time,
        low=summary.low,
        mean=summary.mean,
        life=summary.life,
        length=end - start,
        step=float(np.median(steps)) if steps else 0.0,
        tooth=_tooth(summary, count),
    )


def _tooth(summary: Summary, lives: int) -> float:
    """The usual distance of troughs, seconds; 0 where fewer than three are seen in any life."""
    length = np.bincount(summary.life, minlength=lives)
    column = np.arange(len(summary.life)) - (np.cumsum(length) - length)[summary.life]
    time, value = np.zeros((lives, int(length.max()))), np.full((lives, int(length.max())), np.inf)
    time[summary.life, column] = summary.time - summary.time[0]
    value[summary.life, column] = summary.mean
    height = teeth.threshold(time, value, length, np.zeros(lives))
    trough = teeth.turns(value, length, height).trough
    gaps = [np.diff(time[row][trough[row]]) for row in range(lives) if trough[row].sum() >= 3]
    return float(np.median(np.concatenate(gaps))) if gaps else 0.0


def slope(lives: Lives, start: float, tooth: float = 0.0, least_noise: float = 0.0) -> Slope | None:
    """The common slope of the floors of some lives, from an age on; None where too little is known.

    Each life is cut into blocks of equal time, at least as long as a tooth, and the lowest value of each is
    its floor. Each life keeps its own level (within-group least squares); neighbours that go together widen
    the error by (1 + φ)/(1 − φ), φ being the correlation of neighbouring residuals.

    Args:
        lives: The lives.
        start: Age from which on they count, seconds.
        tooth: Seconds of the longest tooth known from elsewhere.
        least_noise: Noise that the floor is known to have, bytes²·s.
    """
    longest = float(lives.length.max(initial=0.0)) - start
    width = max(
        _TEETH_PER_BLOCK * max(tooth, lives.tooth), longest / _BLOCKS, _SAMPLES_PER_BLOCK * lives.step, 1.0
    )
    inside = lives.age >= start
    block = ((lives.age - start) // width).astype(np.int64)
    whole = start + (block + 1) * width <= lives.length[lives.life] + 0.75 * max(lives.step, 1.0)
    kept = inside & whole
    if not kept.any():
        return None
    key = lives.life[kept] * (int(block[kept].max()) + 1) + block[kept]
    begins = np.nonzero(np.append(True, key[1:] != key[:-1]))[0]
    value = np.minimum.reduceat(lives.low[kept], begins)
    at = (block[kept][begins] + 0.5) * width
    _, life = np.unique(lives.life[kept][begins], return_inverse=True)
    count = np.bincount(life)
    blocks = int(count.max())
    freedom = float(len(value) - len(count) - 1)
    if blocks < FEWEST_BLOCKS or freedom < 3:
        return None
    dt = at - (np.bincount(life, at) / count)[life]
    dv = value - (np.bincount(life, value) / count)[life]
    sxx = float((dt * dt).sum())
    rate = float((dt * dv).sum()) / sxx
    left = dv - rate * dt
    variance = float((left * left).sum()) / freedom + (_RESOLUTION * lives.level) ** 2
    together = life[1:] == life[:-1]
    alike = float((left[1:] * left[:-1])[together].sum()) / max(float((left * left).sum()), 1e-9)
    alike = float(np.clip(alike + (1 + 3 * alike) / len(value), 0.0, _MOST_ALIKE))
    noise = max(variance * (1 + alike) / (1 - alike) * width, least_noise)
    power = sxx * width
    return Slope(rate * HOUR, math.sqrt(noise / power) * HOUR, freedom, noise, power, start, blocks)


def missing(lived: Sequence[float], noise: float, rate: float, sure: float) -> float:
    """Seconds more that containers must be watched until a slope would be told from none.

    The error of the slope of a floor with noise N over P lives of length T is √(12·N/(P·T³)) (least squares
    over evenly spaced points). It must be so small that `rate` is `sure` of its standard errors.

    Args:
        lived: Seconds that each running container has been seen so far.
        noise: Of the floor, bytes²·s.
        rate: Bytes per hour to be told from 0.
        sure: Standard errors.
    """
    if rate <= 0 or not lived:
        return math.inf
    wanted = 12.0 * noise * (sure * HOUR / rate) ** 2

    def seen(more: float) -> float:
        return math.fsum((seconds + more) ** 3 for seconds in lived)

    if seen(0.0) >= wanted:
        return 0.0
    low, high = 0.0, math.cbrt(wanted / len(lived))
    while high - low > 1.0:
        middle = (low + high) / 2
        low, high = (middle, high) if seen(middle) < wanted else (low, middle)
    return high


def rhythm(lives: Lives) -> float | None:
    """The steepest slope of the daily rhythm, bytes per hour; None where less than a day was seen.

    Fits a line on the age and a wave of 24 h on the time, each life with a level of its own.
    """
    if not len(lives.time) or float(np.ptp(lives.time)) < 20 * HOUR or len(lives.time) < 24:
        return None
    turn = 2 * np.pi / DAY * lives.time
    columns = np.stack([lives.age, np.sin(turn), np.cos(turn), lives.low], axis=1)
    count = np.maximum(np.bincount(lives.life), 1)
    for column in range(4):
        columns[:, column] -= (np.bincount(lives.life, columns[:, column]) / count)[lives.life]
    wave = np.linalg.lstsq(columns[:, :3], columns[:, 3], rcond=None)[0][1:]
    return float(np.hypot(*wave)) * 2 * np.pi / 24.0
