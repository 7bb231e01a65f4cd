"""The lives of a container as curves: its latest life, its lives laid over one another, all of it uncut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.analysis.life_curves import BucketPoints, LifeCurves, draw_curves
from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.sample_summary import SampleSummary

_MIN_BUCKETS = 8
_MIN_SAMPLE_SHARE = 0.15
_REPEAT_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class ContainerCurves:
    """The rows of every container that has samples.

    Attributes:
        curves: All rows.
        container: The container of each row.
        latest: Row of each container's latest long life.
        pooled: Row of its lives laid over one another by age; the same as `latest` when it has one life.
        uncut: Row of all of it uncut; the same as `latest` when it has one life.
        has_several_lives: Whether it has more than one life.
        repeats: Whether most of what was seen of it grows at about the common rate.
        rate: Mean rate of its lives, bytes per hour, see `_mean_rate`.
        rate_error: Standard error of it.
        late_rate: The same of the second halves of its lives, where a warm-up has ended, bytes per hour.
        late_error: Standard error of it.
    """

    curves: LifeCurves
    container: Ints
    latest: Ints
    pooled: Ints
    uncut: Ints
    has_several_lives: Bools
    repeats: Bools
    rate: Floats
    rate_error: Floats
    late_rate: Floats
    late_error: Floats


def lay_out_lives(summary: SampleSummary) -> ContainerCurves:
    """Draws the rows of every container that has samples.

    *Latest*: the last life that has at least 8 buckets and 15 % of the container's samples, else its
    longest: a life that has only just begun says nothing yet. *Pooled*: what repeats after every restart is
    one leak (or one warm-up), so all lives are put at their age since the restart. Each keeps its own level:
    what is laid over one another is the growth. *Uncut*: level shifts between lives show only in the uncut
    series.
    """
    owner, life = summary.life_container, summary.life
    containers, lives = len(summary.samples), len(owner)
    seen = np.nonzero(np.bincount(owner, minlength=containers))[0]
    count = np.bincount(owner, minlength=containers)[seen]
    several = count > 1
    place = np.full(containers, -1)
    place[seen] = np.arange(len(seen))
    row = place[owner[life]]
    many = several[row]
    extra = np.cumsum(several) - 1 + len(seen)
    doubled = int(several.sum())
    points = BucketPoints(
        summary.time,
        summary.low,
        summary.mean,
        summary.high,
        summary.squared_steps,
        summary.cubed_steps,
        summary.count.astype(np.float64),
        row,
    )
    latest = _latest_life(summary, containers, lives)
    mine = latest[owner[life]] == life
    aged, repeats, (rate, rate_error), (late_rate, late_error) = _align_by_age(summary, points, lives, latest)
    order = np.lexsort((aged.time[many], row[many]))
    index = np.nonzero(many)[0][order]
    # Pods of one workload overlap in time: their uncut row is in the order of time, not of lives.
    uncut = np.nonzero(many)[0][np.lexsort((summary.time[many], row[many]))]
    drawn = draw_curves(
        BucketPoints.joined(
            [
                points.chosen(mine, row[mine]),
                aged.chosen(index, extra[row[index]]),
                points.chosen(uncut, extra[row[uncut]] + doubled),
            ]
        ),
        np.concatenate([np.ones(len(seen), np.int64), count[several], count[several]]),
    )
    base = np.arange(len(seen))
    return ContainerCurves(
        curves=drawn,
        container=np.concatenate([seen, seen[several], seen[several]]),
        latest=base,
        pooled=np.where(several, extra, base),
        uncut=np.where(several, extra + doubled, base),
        has_several_lives=several,
        repeats=repeats[seen],
        rate=3600.0 * rate[seen],
        rate_error=3600.0 * rate_error[seen],
        late_rate=3600.0 * late_rate[seen],
        late_error=3600.0 * late_error[seen],
    )


def _latest_life(summary: SampleSummary, containers: int, lives: int) -> Ints:
    """The life each container is judged by, -1 for none."""
    owner = summary.life_container
    buckets = np.bincount(summary.life, minlength=lives)
    samples = np.bincount(summary.life, summary.count, lives)
    long = (buckets >= _MIN_BUCKETS) & (samples >= _MIN_SAMPLE_SHARE * summary.samples[owner])
    rank = np.where(long, lives + np.arange(lives), samples / (samples.max(initial=1) + 1))
    best = np.full(containers, -1.0)
    np.maximum.at(best, owner, rank)
    chosen = np.nonzero(rank == best[owner])[0]
    latest = np.full(containers, -1)
    latest[owner[chosen]] = chosen
    return latest


def _align_by_age(
    summary: SampleSummary, points: BucketPoints, lives: int, latest: Ints
) -> tuple[BucketPoints, Bools, tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The buckets at their age, with the level of their own life taken out; and whether growth repeats.

    The level of a life is its mean after the slope common to all the container's lives has been taken out
    (the within-group estimator), so that lives of different length do not tilt the pooled curve. Growth
    repeats when lives that hold most of the weight in the pooled slope (time squared) grow, within their
    standard error, at half the common rate or more; the latest among them, and most of the others without the
    longest.
    """
    owner, life = summary.life_container, summary.life
    containers = len(summary.samples)
    weight = points.count
    start = np.full(lives, np.inf)
    np.minimum.at(start, life, summary.time)
    age = summary.time - start[life]
    total = np.bincount(life, weight, lives)
    mid_age, mid_value, sxx, sxy, spread = _life_slopes(life, lives, age, summary.mean, weight)
    dv = summary.mean - mid_value[life]
    all_sxx = np.bincount(owner, sxx, containers)
    slope = np.bincount(owner, sxy, containers) / np.maximum(all_sxx, 1e-9)
    alike = sxy + np.sqrt(np.maximum(spread, 0.0) * sxx) > 0.5 * slope[owner] * sxx
    largest = np.zeros(containers)
    np.maximum.at(largest, owner, sxx)
    longest = np.zeros(containers, np.int64)
    at_largest = np.nonzero(sxx == largest[owner])[0]
    longest[owner[at_largest]] = at_largest
    others = np.maximum(all_sxx - largest, 1e-9)
    alike_others = np.bincount(owner, np.where(alike, sxx, 0.0), containers) - alike[longest] * largest
    summed = np.bincount(owner, total * (mid_value - slope[owner] * mid_age), containers)
    common = summed / np.maximum(np.bincount(owner, total, containers), 1.0)
    moved = dv + slope[owner[life]] * mid_age[life] + common[owner[life]] - summary.mean
    aged = BucketPoints(
        age,
        points.low + moved,
        points.mean + moved,
        points.high + moved,
        points.squared_steps,
        points.cubed_steps,
        points.count,
        points.row,
    )
    repeats = (slope > 0) & (alike_others > _REPEAT_SHARE * others) & alike[latest]
    oldest = np.zeros(lives)
    np.maximum.at(oldest, life, age)
    late = np.where(age >= oldest[life] / 2, weight, 0.0)
    ends = _life_slopes(life, lives, age, summary.mean, late)[2:]
    return (
        aged,
        repeats,
        _mean_rate(owner, containers, sxx, sxy, spread),
        _mean_rate(owner, containers, *ends),
    )


def _life_slopes(
    life: Ints, lives: int, age: Floats, value: Floats, weight: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Each life's mean age and value, the sums that its slope is made of, and the spread about its line."""
    total = np.maximum(np.bincount(life, weight, lives), 1e-9)
    mid_age = np.bincount(life, weight * age, lives) / total
    mid_value = np.bincount(life, weight * value, lives) / total
    da, dv = age - mid_age[life], value - mid_value[life]
    sxx: Floats = np.bincount(life, weight * da * da, lives).astype(np.float64)
    sxy: Floats = np.bincount(life, weight * da * dv, lives).astype(np.float64)
    syy = np.bincount(life, weight * dv * dv, lives)
    told = np.bincount(life, weight > 0, lives)
    spread = (syy - sxy**2 / np.maximum(sxx, 1e-9)) / np.maximum(told - 2, 1)
    return mid_age, mid_value, sxx, sxy, spread


def _mean_rate(
    owner: Ints, containers: int, sxx: Floats, sxy: Floats, spread: Floats
) -> tuple[Floats, Floats]:
    """Mean slope of each container's lives and its standard error, bytes per second.

    Lives differ: one ramp is steeper than the next, and the slow ones live longer, so that a fit through all
    samples believes the slow ones most. So every life has a say, weighted by its own error and by how much
    lives differ beyond their errors (a random-effects mean, DerSimonian and Laird 1986).
    """
    told = sxx > 0
    slope = np.where(told, sxy / np.maximum(sxx, 1e-9), 0.0)
    error = np.where(told, np.maximum(spread, 1.0) / np.maximum(sxx, 1e-9), np.inf)
    long = np.sqrt(sxx) * told

    def mean(values: Floats, weight: Floats) -> Floats:
        total = np.bincount(owner, weight, containers)
        return np.asarray(np.bincount(owner, values * weight, containers) / np.maximum(total, 1e-300))

    off = (slope - mean(slope, long)[owner]) ** 2
    between = np.maximum(mean(off, long) - mean(np.where(told, error, 0.0), long), 0.0)
    weight = 1.0 / (error + between[owner] + 1e-12)
    total = np.bincount(owner, weight, containers)
    return mean(slope, weight), 1.0 / np.sqrt(np.maximum(total, 1e-300))
