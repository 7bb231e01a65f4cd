"""The statistics behind the verdict on a change: how lives ended, and the slope of the floor.

For both: how surely they differ from before, and how much longer it would take to be sure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memtop.analysis import life_curves
from memtop.analysis.growth_rules import student_quantile
from memtop.analysis.memory_series import Batch, Floats, Ints, Series
from memtop.analysis.sample_summary import SampleSummary, summarise_samples

MAX_LUCK = 0.01
"""What may still be luck: a fix is believed when its pods would have died with 99 % under the old version."""
_MAX_REGULARITY = 9
_MIN_LIVES = 3
_MAX_SECONDS = 400 * 86400.0


@dataclass(frozen=True)
class EndStatistics:
    """The ends that count of one side of a change.

    Attributes:
        count: How many there were.
        watched: Container-seconds over which they were counted.
        regularity: How regular they are: 1 for ends at random, up to 9 for a clockwork.
    """

    count: int
    watched: float
    regularity: int = 1

    @property
    def per_hour(self) -> float | None:
        """Ends of one container per hour; None where nothing was watched."""
        return self.count / self.watched * 3600.0 if self.watched > 0 else None

    @property
    def mean_life(self) -> float | None:
        """Seconds that one container lives on average; None where none has ended."""
        return self.watched / self.count if self.count and self.watched > 0 else None

    def survival(self, seconds: float) -> float:
        """The chance that one container lives longer than that, if nothing has changed.

        Lives are taken as Erlang-distributed with the mean that was seen: exp(−kt/X)·Σ (kt/X)^j/j! for
        j < k. With k = 1, ends at random, that is the Poisson argument exp(−t/X): three lives without an end
        still happen by luck in 1 of 20. A leak kills like a clockwork (k up to 9), and one life and three
        quarters tell as much (Cox, Renewal Theory, 1962, ch. 1).
        """
        if self.mean_life is None or seconds <= 0:
            return 1.0
        stages = self.regularity * seconds / self.mean_life
        if stages > 500:
            return 0.0
        term = total = 1.0
        for stage in range(1, self.regularity):
            term *= stages / stage
            total += term
        return math.exp(-stages) * total

    def chance_of_no_end(self, lived: Sequence[float]) -> float:
        """The chance that containers have all lived that long (seconds each) though nothing has changed."""
        return math.prod(self.survival(seconds) for seconds in lived)

    def seconds_missing(self, lived: Sequence[float]) -> float:
        """Seconds more that all of them must live until luck is at most `MAX_LUCK`."""
        if not self.count or self.chance_of_no_end(lived) <= MAX_LUCK:
            return 0.0
        if not lived:
            return math.inf
        low, high = 0.0, _MAX_SECONDS
        if self.chance_of_no_end([seconds + high for seconds in lived]) > MAX_LUCK:
            return math.inf
        while high - low > 1.0:
            middle = (low + high) / 2
            if self.chance_of_no_end([seconds + middle for seconds in lived]) > MAX_LUCK:
                low = middle
            else:
                high = middle
        return high


def count_ends(series: Sequence[Series], spans: Sequence[tuple[float, float]], *, oom: bool) -> EndStatistics:
    """Counts the ends of one side.

    Args:
        series: Its containers.
        spans: From when to when each was watched, Unix seconds.
        oom: Whether OOM kills count; else all restarts do (V8 and the JVM die of their own heap limit,
            without an OOM kill).
    """
    moments = [one.oom_kills if oom else one.restarts for one in series]
    count = sum(len(one) for one in moments)
    watched = sum(max(end - begin, 0.0) for begin, end in spans)
    return EndStatistics(count, watched, _regularity(moments))


def _regularity(moments: Sequence[Floats]) -> int:
    """The shape of an Erlang distribution by the spread of whole lives (method of moments, k = 1/CV²)."""
    lives = np.concatenate([np.empty(0), *(np.diff(np.sort(one)) for one in moments)])
    lives = lives[lives > 0]
    if len(lives) < _MIN_LIVES:
        return 1
    variation = float(lives.std(ddof=1) / lives.mean())
    return int(np.clip(1.0 / max(variation, 0.1) ** 2, 1, min(_MAX_REGULARITY, len(lives))))


def ends_more_often(before: EndStatistics, after: EndStatistics) -> bool:
    """Whether ends have surely become more frequent: 1 in 100 by chance.

    Given all ends together, those after the change are binomial with the share of the time that was watched
    after it, if nothing has changed (Przyborowski and Wilenski 1940).
    """
    if after.count < 2 or before.watched <= 0 or after.watched <= 0:
        return False
    together, total = before.watched + after.watched, before.count + after.count
    more, less = math.log(after.watched / together), math.log(before.watched / together)
    chance = 0.0
    for count in range(after.count, total + 1):
        # By logarithms: a crash loop ends thousands of times, and that many orders overflow a float.
        orders = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
        chance += math.exp(orders + count * more + (total - count) * less)
    return chance < MAX_LUCK


MIN_BLOCKS = 6
"""Floor points that a stretch needs before its slope says anything."""
_BLOCKS = 12
_SAMPLES_PER_BLOCK = 2.0
_TEETH_PER_BLOCK = 1.0
_RESOLUTION = 0.001
"""No floor is known better than to a thousandth of the memory in use."""
_MAX_CORRELATION = 0.9
NORMAL_95, NORMAL_99 = 1.960, 2.326
HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True, eq=False)
class ObservedLives:
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
class FloorSlope:
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
        half = float(student_quantile(normal, np.array(max(self.freedom, 1.0)))) * self.error
        return self.rate - half, self.rate + half


def observe_lives(series: Sequence[Series]) -> ObservedLives | None:
    """Cuts containers into lives; None without samples."""
    some = [one for one in series if len(one.values)]
    if not some:
        return None
    summary = summarise_samples(Batch.of(some))
    if not len(summary.time):
        return None
    count = len(summary.life_container)
    start, end = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(start, summary.life, summary.time)
    np.maximum.at(end, summary.life, summary.time)
    steps = [float(np.median(np.diff(one.timestamps))) for one in some if len(one.timestamps) > 1]
    return ObservedLives(
        age=summary.time - start[summary.life],
        time=summary.time,
        low=summary.low,
        mean=summary.mean,
        life=summary.life,
        length=end - start,
        step=float(np.median(steps)) if steps else 0.0,
        tooth=_tooth_period(summary, count),
    )


def _tooth_period(summary: SampleSummary, lives: int) -> float:
    """The usual distance of troughs, seconds; 0 where fewer than three are seen in any life."""
    length = np.bincount(summary.life, minlength=lives)
    column = np.arange(len(summary.life)) - (np.cumsum(length) - length)[summary.life]
    time, value = np.zeros((lives, int(length.max()))), np.full((lives, int(length.max())), np.inf)
    time[summary.life, column] = summary.time - summary.time[0]
    value[summary.life, column] = summary.mean
    height = life_curves.turn_threshold(time, value, length, np.zeros(lives))
    trough = life_curves.find_turns(value, length, height).trough
    gaps = [np.diff(time[row][trough[row]]) for row in range(lives) if trough[row].sum() >= 3]
    return float(np.median(np.concatenate(gaps))) if gaps else 0.0


def floor_slope(
    lives: ObservedLives, start: float, tooth: float = 0.0, least_noise: float = 0.0
) -> FloorSlope | None:
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
    if blocks < MIN_BLOCKS or freedom < 3:
        return None
    dt = at - (np.bincount(life, at) / count)[life]
    dv = value - (np.bincount(life, value) / count)[life]
    sxx = float((dt * dt).sum())
    rate = float((dt * dv).sum()) / sxx
    left = dv - rate * dt
    variance = float((left * left).sum()) / freedom + (_RESOLUTION * lives.level) ** 2
    together = life[1:] == life[:-1]
    alike = float((left[1:] * left[:-1])[together].sum()) / max(float((left * left).sum()), 1e-9)
    alike = float(np.clip(alike + (1 + 3 * alike) / len(value), 0.0, _MAX_CORRELATION))
    noise = max(variance * (1 + alike) / (1 - alike) * width, least_noise)
    power = sxx * width
    return FloorSlope(rate * HOUR, math.sqrt(noise / power) * HOUR, freedom, noise, power, start, blocks)


def sampled_seconds(times: Floats, since: float, gap: float) -> float:
    """Seconds since a moment for which there are samples.

    Args:
        times: When there are samples, Unix seconds, ascending.
        since: The moment, Unix seconds.
        gap: Seconds between two samples from which on nobody watched between them.
    """
    steps = np.diff(times[times >= since])
    return float(steps[steps <= gap].sum())


def seconds_until_told(lived: Sequence[float], noise: float, rate: float, sure: float) -> float:
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


def daily_rhythm(lives: ObservedLives) -> float | None:
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
