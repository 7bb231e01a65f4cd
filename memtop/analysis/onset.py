"""The onset: when the floor of some containers' memory began to climb, with an interval.

All lives of a workload's pods are looked at together, across restarts and revisions. Each life keeps its own
level; what they share is the slope of the floor, and the moment at which that slope changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from memtop.analysis.growth_rules import student_quantile
from memtop.analysis.memory_series import Bools, Floats, Ints, Series
from memtop.analysis.shape_labels import NEGLIGIBLE_BYTES, NEGLIGIBLE_SHARE
from memtop.analysis.stability_statistics import DAY, HOUR, NORMAL_95, observe_lives

WARMUP_SECONDS = 1200.0
"""Seconds at the start of a life that are left out, at most a quarter of it: caches fill."""
MIN_LIFE_SAMPLES = 4
"""Samples of a life below which it shows no slope."""
MIN_POINTS = 12
"""Floor points below which nothing is said of a change of their slope."""
_BLOCKS_PER_WINDOW, _BLOCKS_AT_LEAST = 400, 40
_SAMPLES_PER_BLOCK = 3
_WIDTHS, _FEWEST_CLEAR = 4, 48
"""Widths of blocks that are tried, each twice the one before, and the points that must be left."""
_CANDIDATES = 240
_MAX_CORRELATION = 0.9
_HUBER = 2.5
"""Robust standard deviations from which on a floor point counts less: a batch that stood on it for long."""
_ROUNDS = 2
_PROOF = 14.0
"""Twice the log-likelihood by which a bend must explain the floor better than a line: three parameters (slope
before, slope after, when) among some hundred candidates; of 400 lines with correlated noise 2 passed."""
_INTERVAL = 6.0
"""Drop of twice the log-likelihood that bounds the interval. A regular parameter would need 3.84 for 95 %;
but the noise's correlation is estimated from the same points, which flatters it. With this, 95 of 100
intervals of the test's made series hold the truth."""
_LEAST_BESIDE = 5
"""Floor points on each side of a bend: fewer are bent by a tooth or two."""
_LATE_WINDOWS = (DAY / 16, DAY / 4, DAY)
"""Seconds that are looked at alone where the climb began lately, or memory is higher than it ever was: an
hour is a few points of a week, and many of an hour and a half."""
_LATE_SHARE = 0.05
"""Of the window: a climb as young as this must have led to a new high, else it may be a tooth, or a start."""
_MOST_BENDS = 4
_QUIET_SHARE = 0.5
"""A rate before the bend of more than this share of the rate after it is the same climb, a little steeper."""


class OnsetKind(StrEnum):
    """What is known of the beginning of a climb."""

    BEGAN = "began"
    """It began within the time that is known."""
    BEFORE_WINDOW = "before the window"
    """It climbed already when what is known begins."""
    NO_CLIMB = "no climb"
    """The floor does not climb now."""
    UNKNOWN = "unknown"
    """Too little is known."""


@dataclass(frozen=True)
class Onset:
    """When the present climb began.

    Attributes:
        kind: What is known of it.
        at: The likeliest moment, Unix seconds; None unless it began within the time that is known.
        low: Lower end of its 95 % interval, Unix seconds.
        high: Upper end of it.
        rate_before: Slope of the floor before, bytes per hour; None where not known.
        rate_after: Slope of the floor since, bytes per hour; None where not known.
        since: Begin of what is known, Unix seconds; None for nothing.
        until: End of it.
        by_deaths: Whether it is dated by OOM kills, since lives are too short to show a slope.
    """

    kind: OnsetKind
    at: float | None = None
    low: float | None = None
    high: float | None = None
    rate_before: float | None = None
    rate_after: float | None = None
    since: float | None = None
    until: float | None = None
    by_deaths: bool = False

    @property
    def margin(self) -> float | None:
        """Half the width of the interval, seconds; None where there is no onset."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True, eq=False)
class FloorPoints:
    """The floors of several lives as points.

    Attributes:
        time: Unix seconds, shape (n,).
        value: Bytes, the lowest of a block.
        width: Seconds of the block.
        life: Which life, from 0, ascending; each keeps its own level.
        level: Mean memory in use, bytes.
    """

    time: Floats
    value: Floats
    width: Floats
    life: Ints
    level: float

    def since(self, moment: float) -> FloorPoints:
        """Those from a moment on, Unix seconds; lives of one or two points are left out."""
        kept = self.time >= moment
        count = np.bincount(self.life[kept], minlength=int(self.life.max(initial=0)) + 1)
        kept &= count[self.life] >= 3
        _, life = np.unique(self.life[kept], return_inverse=True)
        return FloorPoints(self.time[kept], self.value[kept], self.width[kept], life, self.level)


_NO_POINTS = FloorPoints(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64), math.nan)


def floor_points(series: Sequence[Series], blocks: int = _BLOCKS_PER_WINDOW) -> FloorPoints:
    """Cuts containers into lives, leaves out how those begin, and takes the lowest sample of each block.

    Blocks are a 400th of the whole time long, or three samples; less where a life is short, so that a life of
    minutes at the end of a week is seen as well as the week; and more where teeth are wider.

    Args:
        series: Of one metric.
        blocks: How many of them the whole time is cut into, as far as there are samples enough.
    """
    some = [one for one in series if len(one.values) >= MIN_LIFE_SAMPLES]
    if not some:
        return _NO_POINTS
    begin = min(float(one.timestamps[0]) for one in some)
    window = max(float(one.timestamps[-1]) for one in some) - begin
    seen = observe_lives(some)
    tooth = min(seen.tooth, window / _BLOCKS_AT_LEAST) if seen is not None else 0.0
    parts: list[tuple[Floats, Floats, Floats]] = []
    for one in some:
        life = np.searchsorted(np.sort(one.restarts), one.timestamps, "right")
        for which in np.unique(life):
            mine = life == which
            part = _life_blocks(one.timestamps[mine], one.values[mine], window / blocks, tooth)
            if len(part[0]) >= 3:
                parts.append(part)
    if not parts:
        return _NO_POINTS
    time, value, width = (np.concatenate(column) for column in zip(*parts, strict=True))
    life = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    return FloorPoints(time, value, width, life, float(np.mean([one.values.mean() for one in some])))


def _life_blocks(times: Floats, values: Floats, least: float, tooth: float) -> tuple[Floats, Floats, Floats]:
    """Centre, lowest value and width of each block of one life."""
    empty = np.empty(0)
    if len(times) < MIN_LIFE_SAMPLES:
        return empty, empty, empty
    length = float(times[-1] - times[0])
    kept = times >= times[0] + min(WARMUP_SECONDS, length / 4)
    times, values = times[kept], values[kept]
    if len(times) < 3:
        return empty, empty, empty
    usual = float(np.median(np.diff(times)))
    width = max(min(max(least, _SAMPLES_PER_BLOCK * usual), length / 12), tooth, 1.0)
    block = ((times - times[0]) // width).astype(np.int64)
    begins = np.nonzero(np.append(True, block[1:] != block[:-1]))[0]
    lowest = np.minimum.reduceat(values, begins)
    counts = np.diff(np.append(begins, len(times)))
    centre = np.add.reduceat(times, begins) / counts
    # Of a last block that is not full the lowest may be the middle of a tooth.
    whole = len(begins) - (len(begins) > 4 and float(times[-1] - times[begins[-1]]) < 0.75 * (width - usual))
    return centre[:whole], lowest[:whole], np.full(whole, width)


def find_onset(series: Sequence[Series]) -> Onset:
    """Finds when the floor began the climb that it is on.

    A line is compared with a line that bends once, by likelihood; the noise's correlation is taken into
    account, and so is a rhythm of a day where two days are known. Where the slope falls at the bend, an
    earlier climb has ended, and what came after it is looked at again.

    Args:
        series: The containers that play the same part, of all pods of a workload, in one metric.
    """
    whole = _onset_within(series)
    if whole.since is None or whole.until is None:
        return whole
    if whole.kind is OnsetKind.BEFORE_WINDOW:
        return _with_earlier_deaths(whole, _onset_by_deaths(series, _known_span(series)))
    for window in _LATE_WINDOWS:
        begin = whole.until - window
        if begin <= whole.since:
            break
        lately = whole.low is not None and whole.until - whole.low < 0.7 * window
        if lately or (whole.kind is OnsetKind.NO_CLIMB and _is_new_high(series, begin)):
            late = _onset_within([_since(one, begin) for one in series])
            if late.kind is OnsetKind.BEGAN and not late.by_deaths:
                return replace(late, since=whole.since)
    return whole


def _with_earlier_deaths(whole: Onset, deaths: Onset) -> Onset:
    """A climb that is older than the samples that show it, as the OOM kills before them date it."""
    if deaths.since is None or whole.since is None or deaths.since >= whole.since:
        return whole
    if deaths.kind is OnsetKind.BEGAN and deaths.high is not None and deaths.high < whole.since:
        return replace(deaths, rate_after=whole.rate_after, until=whole.until)
    if deaths.kind is OnsetKind.BEFORE_WINDOW:
        return replace(whole, since=deaths.since)
    return whole


def _is_new_high(series: Sequence[Series], moment: float) -> bool:
    """Whether the last tenth since a moment is above nearly all that was seen before: no tooth, no day."""
    before = [one.values[one.timestamps < moment] for one in series]
    latest = [one.values[one.timestamps >= moment] for one in series]
    known, new = np.concatenate([np.empty(0), *before]), [one for one in latest if len(one) >= 10]
    if not len(known):
        return True
    usual = float(np.quantile(known, 0.995))
    return any(float(np.min(one[-max(len(one) // 10, 3) :])) > usual for one in new)


def _since(series: Series, moment: float) -> Series:
    kept = series.timestamps >= moment
    return replace(
        series,
        timestamps=series.timestamps[kept],
        values=series.values[kept],
        restarts=series.restarts[series.restarts >= moment],
        oom_kills=series.oom_kills[series.oom_kills >= moment],
    )


def _clearest_points(series: Sequence[Series]) -> FloorPoints:
    """The floor points that tell most: of the widths tried those with the least noise per time.

    Narrow blocks date a bend more closely, but of teeth that are wider than them they see every phase.
    """
    known: list[tuple[float, FloorPoints]] = []
    for halvings in range(_WIDTHS):
        points = floor_points(series, _BLOCKS_PER_WINDOW >> halvings)
        if len(points.time) < MIN_POINTS or (known and len(points.time) < _FEWEST_CLEAR):
            break
        candidates = np.unique(np.quantile(points.time, np.linspace(0.05, 0.95, 40)))
        rest = _try_bends(points, candidates, np.ones(len(points.time)))[2]
        noise, _, alike = _noise(points, rest)
        known.append((noise * (1 + alike) / (1 - alike) * float(np.median(points.width)), points))
    return min(known, key=lambda one: one[0])[1] if known else _NO_POINTS


def _onset_within(series: Sequence[Series]) -> Onset:
    points = _clearest_points(series)
    if len(points.time) < MIN_POINTS:
        return _onset_by_deaths(series, _known_span(series))
    since, until = float(points.time.min()), float(points.time.max())
    bend, ended = None, False
    rest = points
    for _ in range(_MOST_BENDS):
        found = _best_bend(rest)
        if found is None:
            break
        if found.after > found.before:
            early = until - found.at >= _LATE_SHARE * (until - since)
            begins = found.before <= _QUIET_SHARE * found.after
            if begins and (early or _is_new_high(series, found.at)):
                bend, ended = found, False
            elif begins and bend is None:
                ended = True  # flat before, and after it perhaps a tooth, or a start
        elif found.after <= max(2 * found.after_error, 0.0):
            bend, ended = None, True
        later = points.since(found.high)
        if len(later.time) < MIN_POINTS or later.time.min() <= rest.time.min():
            break
        rest = later
    if bend is not None and _climbs(points, bend.after, bend.after_error, until - bend.at):
        reaches_begin = bend.low <= since + float(np.median(points.width))
        if reaches_begin and bend.before > _QUIET_SHARE * bend.after:
            return Onset(OnsetKind.BEFORE_WINDOW, rate_after=bend.after * HOUR, since=since, until=until)
        return Onset(
            OnsetKind.BEGAN,
            bend.at,
            bend.low,
            bend.high,
            bend.before * HOUR,
            bend.after * HOUR,
            since,
            until,
        )
    line = _common_line(rest)
    if not ended and line is not None and _climbs(rest, *line, until - float(rest.time.min())):
        return Onset(OnsetKind.BEFORE_WINDOW, rate_after=line[0] * HOUR, since=since, until=until)
    by_deaths = _onset_by_deaths(series, (since, until))
    if by_deaths.kind is OnsetKind.BEGAN:
        return by_deaths
    rate = None if line is None else line[0] * HOUR
    return Onset(OnsetKind.NO_CLIMB, rate_after=rate, since=since, until=until)


def _climbs(points: FloorPoints, slope: float, error: float, seconds: float) -> bool:
    """Whether a slope is surely above 0, and has grown to more than nothing in the longest life since."""
    lived = np.zeros(int(points.life.max()) + 1)
    first = np.full(len(lived), np.inf)
    np.minimum.at(first, points.life, points.time)
    np.maximum.at(lived, points.life, points.time - first[points.life])
    grown = slope * min(seconds, float(lived.max()))
    nothing = max(NEGLIGIBLE_BYTES, NEGLIGIBLE_SHARE * points.level)
    return slope > 2 * error and grown > nothing


@dataclass(frozen=True)
class _Bend:
    """A change of the common slope: when, and bytes per second before and after."""

    at: float
    low: float
    high: float
    before: float
    after: float
    after_error: float


def _nuisance(points: FloorPoints, weight: Floats, *, line: bool) -> tuple[Floats, Floats]:
    """Floor and the columns that are no bend, weighted, each life's mean taken out; orthonormal columns."""
    columns = [points.time - points.time.mean()] if line else []
    if float(np.ptp(points.time)) >= 2 * DAY:
        turn = 2 * np.pi / DAY * points.time
        columns += [np.sin(turn), np.cos(turn)]
    value = _centred(points.value, points.life, weight)
    if not columns:
        return value, np.empty((len(value), 0))
    stacked = np.stack([_centred(column, points.life, weight) for column in columns], axis=1)
    return value, np.linalg.qr(stacked)[0]


def _centred(column: Floats, life: Ints, weight: Floats) -> Floats:
    total = np.bincount(life, weight)
    mean = np.bincount(life, weight * column) / np.maximum(total, 1e-300)
    return (column - mean[life]) * np.sqrt(weight)


def _best_bend(points: FloorPoints) -> _Bend | None:
    """The bend that explains the floor best; None where a line does as well."""
    n = len(points.time)
    if n < MIN_POINTS:
        return None
    candidates = np.unique(
        np.quantile(points.time, np.linspace(0.02, 0.98, min(_CANDIDATES, max(20, 2 * n))))
    )
    weight = np.ones(n)
    for _ in range(_ROUNDS):
        gain, best, rest, _ = _try_bends(points, candidates, weight)
        if not gain[best] > 0:
            return None
        weight = _robust_weights(rest / np.sqrt(weight))
    gain, best, rest, total = _try_bends(points, candidates, weight)
    noise, independent, alike = _noise(points, rest)
    if not gain[best] > 0 or independent * _log_ratio(total, gain[best], noise * n) < _PROOF:
        return None
    # Once more, closer to one another, where the interval's ends are.
    near = np.nonzero(_inside(independent * _log_ratio(total, gain, noise * n)))[0]
    ends = candidates[max(near[0] - 1, 0)], candidates[min(near[-1] + 1, len(candidates) - 1)]
    candidates = np.linspace(*ends, _CANDIDATES // 2)
    gain, best, rest, total = _try_bends(points, candidates, weight)
    inside = np.nonzero(_inside(independent * _log_ratio(total, gain, noise * n)))[0]
    half = float(np.median(points.width)) / 2
    low, high = candidates[inside[0]] - half, candidates[inside[-1]] + half
    value = _nuisance(points, weight, line=True)[0]
    column = _centred(points.time - points.time.mean(), points.life, weight)
    others = _nuisance(points, weight, line=False)[1]
    hinge = _centred(np.maximum(points.time - candidates[best], 0.0), points.life, weight)
    design = np.column_stack([column, hinge, others])
    solved = np.linalg.lstsq(design, value, rcond=None)[0]
    inverse = np.linalg.pinv(design.T @ design)
    widened = noise * (1 + alike) / (1 - alike)
    error = math.sqrt(max(widened * float(inverse[:2, :2].sum()), 0.0))
    before, after = float(solved[0]), float(solved[0] + solved[1])
    return _Bend(float(candidates[best]), float(low), float(high), before, after, error)


def _try_bends(points: FloorPoints, candidates: Floats, weight: Floats) -> tuple[Floats, int, Floats, float]:
    """How much each bend explains beyond a line, the best of them, what it leaves, and what a line leaves."""
    value, basis = _nuisance(points, weight, line=True)
    left = value - basis @ (basis.T @ value)
    hinges = np.maximum(points.time[:, None] - candidates[None, :], 0.0)
    centred = np.stack([_centred(column, points.life, weight) for column in hinges.T], axis=1)
    centred -= basis @ (basis.T @ centred)
    power = (centred**2).sum(axis=0)
    told = power > 1e-6 * np.maximum((hinges**2).sum(axis=0), 1.0)
    slope = np.where(told, left @ centred, 0.0) / np.where(told, power, 1.0)
    gain = slope**2 * power
    best = int(np.argmax(gain))
    return gain, best, left - slope[best] * centred[:, best], float(left @ left)


def _log_ratio(total: float, gain: Floats | np.float64, least: float) -> Floats:
    """Twice the log-likelihood per independent point that a bend explains beyond a line."""
    return np.asarray(np.log(total / np.maximum(total - gain, max(least * 1e-9, 1e-300))))


def _inside(likelihood: Floats) -> Bools:
    return np.asarray(likelihood >= likelihood.max() - _INTERVAL)


def _robust_weights(left: Floats) -> Floats:
    """Huber's weights: 1 within some robust standard deviations, then falling."""
    scale = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    if scale <= 0:
        return np.ones(len(left))
    off = np.abs(left) / (_HUBER * scale)
    return np.asarray(1.0 / np.maximum(off, 1.0))


def _noise(points: FloorPoints, left: Floats) -> tuple[float, float, float]:
    """Variance of the floor's noise, its number of independent points, and how neighbours go together."""
    freedom = max(len(left) - (int(points.life.max()) + 1) - 3, 2)
    together = points.life[1:] == points.life[:-1]
    squares = float(left @ left)
    # No floor is known better than to a thousandth of the memory in use.
    noise = squares / freedom + (0.001 * points.level) ** 2
    alike = float((left[1:] * left[:-1])[together].sum()) / max(squares, 1e-9)
    alike = float(np.clip(alike + (1 + 3 * alike) / len(left), 0.0, _MAX_CORRELATION))
    # Pods beside one another have the same traffic and often the same teeth: together they tell no more of a
    # moment than one of them.
    moments = len(np.unique(points.time // float(np.median(points.width))))
    return noise, max(min(freedom, moments - 4.0), 2.0) * (1 - alike) / (1 + alike), alike


def _common_line(points: FloorPoints) -> tuple[float, float] | None:
    """The common slope and its standard error, bytes per second; None where too little is known."""
    if len(points.time) < MIN_POINTS:
        return None
    weight = np.ones(len(points.time))
    value = _centred(points.value, points.life, weight)
    column = _centred(points.time - points.time.mean(), points.life, weight)
    basis = _nuisance(points, weight, line=False)[1]
    value, column = value - basis @ (basis.T @ value), column - basis @ (basis.T @ column)
    power = float(column @ column)
    if power <= 0:
        return None
    slope = float(column @ value) / power
    noise, independent, alike = _noise(points, value - slope * column)
    sure = float(student_quantile(NORMAL_95, np.array(max(independent, 1.0)))) / NORMAL_95
    return slope, sure * math.sqrt(noise * (1 + alike) / (1 - alike) / power)


def _known_span(series: Sequence[Series]) -> tuple[float, float] | None:
    """From the first to the last thing known of some containers, Unix seconds."""
    moments = [one for each in series for one in (each.timestamps, each.restarts, each.oom_kills) if len(one)]
    if not moments:
        return None
    return min(float(one.min()) for one in moments), max(float(one.max()) for one in moments)


def _onset_by_deaths(series: Sequence[Series], span: tuple[float, float] | None) -> Onset:
    """Dates the onset by OOM kills, where lives are too short to show a slope.

    What is killed again and again has leaked since the start of the first life that ended so: at most twice
    the usual life before the first kill of the run, and as long a quiet before it must be known.
    """
    if span is None:
        return Onset(OnsetKind.UNKNOWN)
    kills = np.sort(np.concatenate([np.empty(0), *(one.oom_kills for one in series)]))
    if len(kills) < 3:
        return Onset(OnsetKind.UNKNOWN, since=span[0], until=span[1])
    gaps = np.diff(kills)
    usual = float(np.median(gaps))
    quiet = np.nonzero(gaps > 12 * usual)[0]
    first = float(kills[quiet[-1] + 1] if len(quiet) else kills[0])
    if span[1] - kills[-1] > 12 * usual:
        return Onset(OnsetKind.NO_CLIMB, since=span[0], until=span[1])
    if len(kills[kills >= first]) < 3:
        return Onset(OnsetKind.UNKNOWN, since=span[0], until=span[1])
    if first - span[0] < 2 * usual:
        return Onset(OnsetKind.BEFORE_WINDOW, since=span[0], until=span[1], by_deaths=True)
    low = first - 2 * usual
    return Onset(OnsetKind.BEGAN, first - usual, low, first, since=span[0], until=span[1], by_deaths=True)
