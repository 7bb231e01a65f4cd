"""Does the floor rise with the traffic, or with time alone? A regression of the floor on the work done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from memtop.analysis.growth_rules import student_quantile
from memtop.analysis.memory_series import Bools, Floats, Series
from memtop.analysis.onset import FloorPoints, floor_points
from memtop.analysis.stability_statistics import HOUR, NORMAL_95
from memtop.wording import bytes_, rate

MIN_TRAFFIC_POINTS = 16
"""Floor points below which nothing is said of what they rise with."""
_LEAST_UNEVEN = 1e-6
"""Share of the work's variance that time must leave unexplained, for a computer's arithmetic; whether the two
can be told apart in fact is said by the errors of the regression on both."""
_SURE = 2.6
"""Standard errors from which on a part of the rise is believed: 1 in 100 by chance."""
_SMALL_SHARE = 0.2
"""A part that explains less than this share of the rise is not worth a word."""
_MAX_CORRELATION = 0.9


class TrafficVerdict(StrEnum):
    """What the floor rises with."""

    TRAFFIC = "with traffic"
    TIME = "with time"
    BOTH = "with both"
    NEITHER = "does not rise"
    EVEN = "traffic too even to tell"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class WorkSeries:
    """How much a container had to do.

    Attributes:
        unit: What is counted, one of it: ``request``, ``core-second``, ``KiB received``.
        times: Unix seconds, ascending, shape (n,).
        values: Units per second.
        origin: Who counts, in words: the metric's name.
    """

    unit: str
    times: Floats
    values: Floats
    origin: str = ""

    def done_until(self, moments: Floats) -> Floats:
        """Units done from the first sample on until each moment; what lies outside counts as nothing done."""
        if len(self.times) < 2:
            return np.zeros(len(moments))
        steps = np.diff(self.times) * (self.values[1:] + self.values[:-1]) / 2
        return np.asarray(np.interp(moments, self.times, np.append(0.0, np.cumsum(steps))))

    def knows(self, moments: Floats) -> Bools:
        """Whether it reaches over each moment."""
        if len(self.times) < 2:
            return np.zeros(len(moments), np.bool_)
        return np.asarray((moments >= self.times[0]) & (moments <= self.times[-1]))


@dataclass(frozen=True)
class TrafficFit:
    """What the floor of some containers rises with.

    Attributes:
        verdict: In a word.
        unit: What work was counted in; empty where none was.
        origin: Who counted it.
        per_unit: Bytes per unit of work; None where not known.
        per_unit_margin: Half of its 95 % interval.
        without: Bytes per hour while there is no traffic; None where not known.
        without_margin: Half of its 95 % interval.
        done: Units of work that were seen in all.
    """

    verdict: TrafficVerdict
    unit: str = ""
    origin: str = ""
    per_unit: float | None = None
    per_unit_margin: float | None = None
    without: float | None = None
    without_margin: float | None = None
    done: float = 0.0

    def words(self) -> str:
        """One sentence, without its full stop; empty where nothing is known."""
        counted = f", by {self.origin}" if self.origin else ""
        match self.verdict:
            case TrafficVerdict.TRAFFIC:
                return f"{self._per_unit()}; none while there is no traffic{counted}"
            case TrafficVerdict.TIME:
                return f"grows with time, not with traffic: {rate(self.without)} without any{counted}"
            case TrafficVerdict.BOTH:
                return f"{self._per_unit()}, and {rate(self.without)} without any traffic{counted}"
            case TrafficVerdict.EVEN:
                even = "the traffic was too even to tell it from time; if it is the traffic"
                return f"{even}, {self._per_unit()}{counted}"
            case _:
                return ""

    def _per_unit(self) -> str:
        margin = f" (±{_in_unit_of(self.per_unit, self.per_unit_margin)})" if self.per_unit_margin else ""
        return f"{bytes_(self.per_unit)} per {self.unit}{margin}"


def _in_unit_of(figure: float | None, margin: float) -> str:
    """A margin in the unit of its figure, which is not named again: ``0.8`` beside ``12.4 KiB``."""
    size, unit = abs(figure or 0.0), 1.0
    while size >= 999.5:
        size, unit = size / 1024, unit * 1024
    shown = margin / unit
    return f"{shown:.0f}" if shown >= 99.5 else f"{shown:.2g}"


def fit_traffic(series: Sequence[Series], work: Sequence[WorkSeries | None]) -> TrafficFit:
    """Regresses the floor on the work done and on time, each life with a level of its own.

    Least squares on the floor points of all lives; errors are widened by how neighbouring points go together.
    Where work and time cannot be told apart, since the traffic is too even, that is said.

    Args:
        series: Containers that play the same part, in one metric.
        work: What each of them had to do, in one unit; None where that is not known.
    """
    known = [
        (one, done)
        for one, done in zip(series, work, strict=True)
        if done is not None and len(done.times) > 2
    ]
    if not known:
        return TrafficFit(TrafficVerdict.UNKNOWN)
    unit, origin = known[0][1].unit, known[0][1].origin
    points, done = _points_with_work(known)
    unknown = TrafficFit(TrafficVerdict.UNKNOWN, unit, origin)
    if len(points.time) < MIN_TRAFFIC_POINTS:
        return unknown
    rise, worked, time = (_within_lives(column, points) for column in (points.value, done, points.time))
    total = float(np.sum([one.done_until(one.times[-1:])[0] for _, one in known]))
    if not worked.any():
        slope, error, freedom = _alone(rise, time, points)
        margin = _margin(error, freedom)
        if slope > _SURE * error:
            return TrafficFit(
                TrafficVerdict.TIME, unit, origin, without=slope * HOUR, without_margin=margin * HOUR
            )
        return TrafficFit(TrafficVerdict.NEITHER, unit, origin)
    uneven = 1 - float(worked @ time) ** 2 / max(float(worked @ worked) * float(time @ time), 1e-300)
    slope, error, freedom = _alone(rise, worked, points)
    rises = slope > _SURE * error
    even = TrafficFit(TrafficVerdict.EVEN, unit, origin, slope, _margin(error, freedom), done=total)
    if uneven < _LEAST_UNEVEN:
        return even if rises else TrafficFit(TrafficVerdict.NEITHER, unit, origin, done=total)
    design = np.column_stack([worked, time])
    solved = np.linalg.lstsq(design, rise, rcond=None)[0]
    noise, freedom = _noise_of(rise - design @ solved, points, 2)
    errors = np.sqrt(noise * np.diag(np.linalg.inv(design.T @ design)))
    per_unit, per_second = float(solved[0]), float(solved[1])
    by_work = max(per_unit * float(np.ptp(done)), 0.0)
    by_time = max(per_second * float(np.ptp(points.time)), 0.0)
    follows = per_unit > _SURE * errors[0] and by_work > _SMALL_SHARE * (by_work + by_time)
    ages = per_second > _SURE * errors[1] and by_time > _SMALL_SHARE * (by_work + by_time)
    if rises and not follows and not ages:
        return even
    verdict = {
        (True, True): TrafficVerdict.BOTH,
        (True, False): TrafficVerdict.TRAFFIC,
        (False, True): TrafficVerdict.TIME,
        (False, False): TrafficVerdict.NEITHER,
    }[bool(follows), bool(ages)]
    return TrafficFit(
        verdict,
        unit,
        origin,
        per_unit,
        _margin(float(errors[0]), freedom),
        per_second * HOUR,
        _margin(float(errors[1]), freedom) * HOUR,
        total,
    )


def _points_with_work(known: Sequence[tuple[Series, WorkSeries]]) -> tuple[FloorPoints, Floats]:
    """The floor points of all containers, and what each container had done until each of its own."""
    parts, works, lives = [], [], 0
    for one, done in known:
        points = floor_points([one])
        covered = np.asarray(done.knows(points.time))
        parts.append(
            (points.time[covered], points.value[covered], points.width[covered], points.life[covered] + lives)
        )
        works.append(done.done_until(points.time[covered]))
        lives += int(points.life.max(initial=-1)) + 1
    time, value, width, life = (np.concatenate(column) for column in zip(*parts, strict=True))
    _, life = np.unique(life, return_inverse=True)
    level = float(value.mean()) if len(value) else math.nan
    return FloorPoints(time, value, width, life, level), np.concatenate(works)


def _within_lives(column: Floats, points: FloorPoints) -> Floats:
    count = np.bincount(points.life)
    return np.asarray(column - (np.bincount(points.life, column) / count)[points.life])


def _alone(rise: Floats, by: Floats, points: FloorPoints) -> tuple[float, float, float]:
    """Slope on one thing alone, its standard error and degrees of freedom."""
    power = max(float(by @ by), 1e-300)
    slope = float(by @ rise) / power
    noise, freedom = _noise_of(rise - slope * by, points, 1)
    return slope, math.sqrt(noise / power), freedom


def _noise_of(left: Floats, points: FloorPoints, slopes: int) -> tuple[float, float]:
    """Variance of the floor's noise, widened by how neighbours go together, and its degrees of freedom."""
    freedom = max(len(left) - (int(points.life.max()) + 1) - slopes, 1)
    together = points.life[1:] == points.life[:-1]
    squares = float(left @ left)
    alike = float((left[1:] * left[:-1])[together].sum()) / max(squares, 1e-9)
    alike = float(np.clip(alike + (1 + 3 * alike) / len(left), 0.0, _MAX_CORRELATION))
    widened = (1 + alike) / (1 - alike)
    noise = squares / freedom + (0.001 * points.level) ** 2
    return noise * widened, max(freedom / widened, 1.0)


def _margin(error: float, freedom: float) -> float:
    return float(student_quantile(NORMAL_95, np.array(max(freedom, 1.0)))) * error
