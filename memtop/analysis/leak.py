"""The rules that make a leak, how fast it grows, and when the limit is reached.

A container leaks when a shape that goes on growing explains its curve better than any shape that ends, and
the growth passes every rule of `memtop.analysis.growth_rules`. Both the level and the floor are asked
(`agreed_margin`), and the latest life as well as all lives laid over one another (`weigh_growth`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.analysis.fits import ShapeFits, keeps_growing
from memtop.analysis.growth_rules import (
    DENSE_POINTS,
    SIGNIFICANT_ERRORS,
    is_believable,
    may_be_teeth,
    student_quantile,
)
from memtop.analysis.life_curves import LifeCurves
from memtop.analysis.lives import ContainerCurves
from memtop.analysis.memory_deaths import LifeEndEvidence
from memtop.analysis.memory_series import Bools, Floats
from memtop.analysis.sample_summary import SampleSummary
from memtop.analysis.shapes import SHIFTED_FAMILIES, ShapeFamily, shape_dictionary

YOUNG_SECONDS = 30 * 60.0
"""What was watched for less than this many seconds is no more than suspected, unless it repeats or the limit
is near."""
NEAR_FACTOR = 2.0
"""A limit is near if growth reaches it before the time that it was seen to grow for has passed this often."""
MIN_CHANCE = 0.05
"""A leak less likely than this is not even suspected."""
SHORT_SECONDS, VERY_SHORT_SECONDS = 6 * 3600.0, 2 * 3600.0
"""In fewer seconds growth that a slowing curve explains as well is no more than suspected; in far fewer it
must be large too."""
_LOWS_FACTOR = 2.0
_LATE_SHARE = 0.5
"""The share of the rate that all lives claim below which the newest show that growth has stopped. Half of it
and double of it change no score of `benchmarks/reliability.py` by more than 0.4 points."""
_FALL_ODDS = 9.0
"""What one fall takes from the evidence of growth, log odds: it may be a collector's tooth. With 4.5 as many
healthy containers are called leaks and 1 leak in 200 more is found; with 18 F1 falls from 0.984 to 0.959
(``--vary leak._FALL_ODDS``, figures in `benchmarks/README.md`)."""
_ALIKE_SHARE = 0.25
_LONG_BUCKETS = 20
_MAX_MARGIN_UNDECIDED = 3.5
_LARGE, _DAILY, _NO_DAY = 0.2, 0.04, 0.5
_FEW_TROUGHS = 6
_CONTRARY_MARGIN = 2.0
_MAX_MARGIN, _MIN_MARGIN, _DOUBTED_MARGIN = 14.0, -6.0, -0.5
_UNPROVEN_MARGIN = 1.0
_CHANCE_AT_0, _CHANCE_PER_UNIT = -3.5, 0.7
UNDECIDED_CHANCE = 1 / (1 + float(np.exp(-(_CHANCE_AT_0 + _CHANCE_PER_UNIT * _MAX_MARGIN_UNDECIDED))))
"""The most that is said for a leak by growth that may yet end."""


@dataclass(frozen=True, eq=False)
class GrowthEvidence:
    """What is known about the growth of each container that has samples.

    Attributes:
        leak: Whether its growth is a leak.
        chance: The chance that it leaks, in a cluster where 1 container in 100 does.
        rate: Growth of the floor, bytes per hour; of what does not leak, growth beyond its warm-up, step or
            cycle.
        error: Standard error of the rate.
        freedom: Degrees of freedom of that error.
    """

    leak: Bools
    chance: Floats
    rate: Floats
    error: Floats
    freedom: Floats


def weigh_growth(
    lives: ContainerCurves, floor: ShapeFits, level: ShapeFits, deaths: LifeEndEvidence, room: Floats
) -> GrowthEvidence:
    """Weighs the evidence for a leak.

    A leak repeats: where most lives of a container grow alike, their common curve is judged, for it has the
    data of all. The latest life is judged as well, because a leak may be as young as the latest deploy; but
    what has fewer than 20 buckets is only suspected, since the first minutes after a start always grow. If
    the latest life is long and bends clearly, its word counts as much as that of the common curve. Where the
    second halves of the lives do not grow as their common curve says, it is made of warm-ups of different
    height and says nothing. And what may yet turn out to be something else is only suspected, see
    `is_undecided`.

    Lives that rise until they die are evidence of their own: the stronger of the two counts.

    The chance is a logistic curve of the margin. Its two numbers were set so that the reliability table holds
    for 1 leak in 100 containers (benchmarks/reliability.py).

    Args:
        lives: The rows of the containers.
        floor: Fits of their floor curves.
        level: Fits of their level curves.
        deaths: How the lives of the same containers ended.
        room: Bytes from each container's last sample to the level that ends its life, NaN for none.
    """
    curves = lives.curves
    hours_floor = np.maximum(curves.end - curves.start, 1.0) / 3600.0
    hours_level = np.maximum(curves.level_end - curves.level_start, 1.0) / 3600.0
    # Under spikes the floor is far quieter than samples are.
    noise = np.minimum(curves.step_noise, _LOWS_FACTOR * curves.floor_noise)
    ok_floor = is_believable(curves, floor, curves.floor, noise, curves.floor_points >= 2 * DENSE_POINTS)
    ok_level = is_believable(curves, level, curves.level, curves.step_noise, np.ones(len(ok_floor), np.bool_))
    few = curves.toothed & (curves.floor_points < _FEW_TROUGHS)
    stretch = hours_level / hours_floor
    use_floor = _floor_is_steadier(floor, level) & ok_floor
    both = agreed_margin(floor, level, ok_floor, ok_level, stretch, _is_coarse(curves), few)
    # One fall is a tooth's or a leak's level that shifted: the next fall will tell.
    falls = (may_be_teeth(floor, curves.floor) & ok_floor) | (may_be_teeth(level, curves.level) & ok_level)
    both = np.where(falls, np.minimum(both - _FALL_ODDS, _UNPROVEN_MARGIN), both)
    sees = _sees_line(floor) & _sees_line(level)
    latest = both[lives.latest]
    long = curves.points[lives.latest] >= _LONG_BUCKETS
    latest = np.where(lives.has_several_lives & ~long, np.minimum(latest, _UNPROVEN_MARGIN), latest)
    pooled = np.where(lives.repeats | ~lives.has_several_lives, both[lives.pooled], _MIN_MARGIN)
    claimed = np.where(use_floor, floor.trend / hours_floor, level.trend / hours_level)[lives.pooled]
    stands = lives.has_several_lives & (lives.late_rate + 2 * lives.late_error < _LATE_SHARE * claimed)
    pooled = np.where(stands, _MIN_MARGIN, pooled)
    bends = lives.has_several_lives & long & (latest < -_CONTRARY_MARGIN) & sees[lives.latest]
    pooled = np.where(bends, (pooled + latest) / 2, pooled)
    margin = np.maximum(latest, pooled)
    repeated = lives.has_several_lives & lives.repeats
    rate, error, freedom = _rates(lives, floor, level, ok_floor, (pooled >= latest) | (pooled > 0))
    near = is_near(room, rate / 3600.0, 3600.0 * hours_level[lives.latest])
    open_ = is_undecided(lives, floor, level, near) & ~repeated
    margin = np.where(open_, np.minimum(margin, _MAX_MARGIN_UNDECIDED), margin)
    grows, dies = margin > 0, deaths.log_odds > 0
    # What is flat at its heap's limit until it dies has no rate to speak of.
    measured = rate > error
    chance = np.maximum(
        1 / (1 + np.exp(-(_CHANCE_AT_0 + _CHANCE_PER_UNIT * margin))), 1 / (1 + np.exp(-deaths.log_odds))
    )
    leak = (grows | dies) & (chance >= MIN_CHANCE)
    base = lives.latest
    hours = hours_floor[base]
    by_lives = np.where((deaths.rises > 0) & (lives.rate > lives.rate_error), lives.rate, np.nan)
    return GrowthEvidence(
        leak=leak,
        chance=chance,
        rate=np.select([leak & grows & (measured | ~dies), dies], [rate, by_lives], floor.rest[base] / hours),
        error=np.select([leak & grows, dies], [error, lives.rate_error], floor.rest_error[base] / hours),
        freedom=np.where(leak & grows, freedom, floor.freedom[base]),
    )


def is_near(room: Floats, rate: Floats, seconds: Floats) -> Bools:
    """Whether growth reaches its limit before long: nobody may wait to see whether it ends by itself.

    Args:
        room: Bytes to the limit, NaN for none.
        rate: Bytes per second.
        seconds: How long it is known to have grown, NaN where unknown.
    """
    return np.asarray((rate > 0) & (room < NEAR_FACTOR * rate * seconds))


def is_undecided(lives: ContainerCurves, floor: ShapeFits, level: ShapeFits, near: Bools) -> Bools:
    """Containers whose latest life grows, but as something that ends would grow as well.

    *Young*: half an hour may be one tooth, one warm-up, one batch. Not so what was straight from the first
    sample on (a batch begins, a cache bends), has at least doubled, and reaches its limit before long.
    *Fading*: a shape that slows down fits better than any that does not, and the second half by itself does
    not show the contrary (`keeps_growing`). A cache with a time constant longer than the window fills like
    this.
    *Short*: a filling cache is nearly straight at first, so in less than six hours its second half alone
    proves nothing; and in less than two, growth must be large, a fifth of the memory in use at the start: a
    collector that comes every hour or two makes teeth as straight, but seldom as large.
    *Less than half a day*: memory that follows the day climbs for half of it. A rhythm of ±15 % climbs by
    2π·0.15/24 h = 4 % of its mean an hour at its steepest: what climbs no faster is a leak for sure only
    where a shape that lasts explains it better than a part of a day (by odds of e^0.5 = 1.6: at even odds 8
    of 360 mornings were called leaks, now 4, at e^1.5 3, for a tenth of the leaks watched for 2 to 6 hours).

    Args:
        lives: The rows of the containers.
        floor: Fits of their floor curves.
        level: Fits of their level curves.
        near: Containers whose limit is near, see `is_near`.
    """
    curves, base = lives.curves, lives.latest
    hours = np.maximum(curves.level_end - curves.level_start, 1.0)[base] / 3600.0
    use_floor = _floor_is_steadier(floor, level)
    slows = np.where(use_floor, floor.slows, level.slows)[base]
    lasts = np.where(
        use_floor,
        keeps_growing(floor.straightened, floor.independent),
        keeps_growing(level.straightened, level.independent),
    )[base]
    line = np.where(use_floor, floor.trend, level.trend)[base]
    dawns = np.where(use_floor, floor.dawns, level.dawns)[base]
    start, mean = np.abs(curves.level[base, :4]).mean(axis=1), np.abs(curves.level[base]).mean(axis=1)
    short = (hours < SHORT_SECONDS / 3600.0) & (slows > 0)
    short |= (hours < VERY_SHORT_SECONDS / 3600.0) & ~(line > _LARGE * start)
    daily = (hours < 12.0) & (dawns > -_NO_DAY) & (line / hours < _DAILY * mean)
    plain = np.where(use_floor, floor.growing, level.growing)[base] == shape_dictionary().line
    young = (hours < YOUNG_SECONDS / 3600.0) & ~(near & plain & (line > start))
    return np.asarray(young | ((slows > 0) & ~lasts) | short | daily)


def agreed_margin(
    floor: ShapeFits,
    level: ShapeFits,
    ok_floor: Bools,
    ok_level: Bools,
    stretch: Floats,
    coarse: Bools,
    few: Bools,
) -> Floats:
    """One margin from the floor's and the level's.

    Under teeth the level hardly sees a slow leak, under noise the floor hardly does: the better witness
    counts. But what one of them rules out (its straight line, two standard errors up, rises less than half
    as fast as the other's) is not there, as when teeth grow on a flat floor; and when both see growth and
    one of them sees it end, they meet in the middle.

    Args:
        floor: Fits of the floor curves.
        level: Fits of the level curves.
        ok_floor: Whether the floor's growth is believable.
        ok_level: Whether the level's is.
        stretch: Length of the level curve over that of the floor curve.
        coarse: Rows of so few points per life that only a straight line can be told from a bounded shape.
        few: Rows whose floor goes through so few troughs that they may be in line by chance.
    """
    straight_floor = floor.margin - np.where(coarse, floor.bent, 0.0)
    straight_level = level.margin - np.where(coarse, level.bent, 0.0)
    most_by_floor = np.where(few, _UNPROVEN_MARGIN, _MAX_MARGIN)
    by_floor = np.clip(straight_floor, _MIN_MARGIN, np.where(ok_floor, most_by_floor, _DOUBTED_MARGIN))
    by_level = np.clip(straight_level, _MIN_MARGIN, np.where(ok_level, _MAX_MARGIN, _DOUBTED_MARGIN))
    floor_allows = (floor.trend + 2 * floor.trend_error) * stretch > 0.5 * level.trend
    level_allows = level.trend + 2 * level.trend_error > 0.5 * floor.trend * stretch
    least, most = np.minimum(by_floor, by_level), np.maximum(by_floor, by_level)
    against = _sees_line(floor) & _sees_line(level) & (least < -_CONTRARY_MARGIN)
    both = np.where(against, (by_floor + by_level) / 2, most)
    both = np.where(floor_allows & level_allows, both, least)
    return np.where(ok_floor | ok_level, both, np.minimum(both, _DOUBTED_MARGIN))


def _rates(
    lives: ContainerCurves, floor: ShapeFits, level: ShapeFits, ok_floor: Bools, shared: Bools
) -> tuple[Floats, Floats, Floats]:
    """Rate, its error and its degrees of freedom, by the steadier of floor and level.

    That of lives laid over one another is the mean of theirs: their common curve bends where the fast ones
    end. But where all bend alike, as after a warm-up, their common curve says how they end. The rate of all
    lives is better known than that of one; where the present life differs from it by more than its error and
    a quarter, it is another leak, with a rate of its own.

    Args:
        lives: The rows of the containers.
        floor: Fits of their floor curves.
        level: Fits of their level curves.
        ok_floor: Whether the floor's growth is believable.
        shared: Containers whose lives laid over one another grow.
    """
    curves = lives.curves
    hours_floor = np.maximum(curves.end - curves.start, 1.0) / 3600.0
    hours_level = np.maximum(curves.level_end - curves.level_start, 1.0) / 3600.0
    use_floor = _floor_is_steadier(floor, level) & ok_floor
    rate = np.where(use_floor, floor.trend / hours_floor, level.trend / hours_level)
    error = np.where(use_floor, floor.trend_error / hours_floor, level.trend_error / hours_level)
    freedom = np.where(use_floor, floor.freedom, level.freedom)
    bends = np.where(use_floor, _is_additive(floor), _is_additive(level))[lives.pooled]
    mean = lives.has_several_lives & ~bends
    common = np.where(mean, lives.rate, rate[lives.pooled])
    common_error = np.where(mean, lives.rate_error, error[lives.pooled])
    now, now_error = rate[lives.latest], error[lives.latest]
    long = curves.points[lives.latest] >= _LONG_BUCKETS
    apart = np.abs(now - common) > np.maximum(SIGNIFICANT_ERRORS * now_error, _ALIKE_SHARE * common)
    shared = shared & ~(apart & long & (now > 0))
    return (
        np.where(shared, common, now),
        np.where(shared, common_error, now_error),
        np.where(shared, freedom[lives.pooled], freedom[lives.latest]),
    )


def _floor_is_steadier(floor: ShapeFits, level: ShapeFits) -> Bools:
    """Rows whose floor knows its growth better than their level does."""
    steadier = floor.growth_error * level.growth < level.growth_error * floor.growth
    return np.asarray(steadier & (floor.growth > 0))


def _is_additive(fits: ShapeFits) -> Bools:
    """Rows whose growth is a line that something is added to."""
    kind = shape_dictionary().family[fits.growing]
    return np.isin(kind, (ShapeFamily.LINE_AFTER_WARMUP, *SHIFTED_FAMILIES))


def _is_coarse(curves: LifeCurves) -> Bools:
    return np.asarray((curves.lives > 1) & (curves.points < DENSE_POINTS * curves.lives))


def _sees_line(fits: ShapeFits) -> Bools:
    return np.asarray(fits.line > SIGNIFICANT_ERRORS * fits.line_error)


_NORMAL_95 = 1.96
_SELECTION_FACTOR = 1.4
"""The error is measured on the curve that its shape was chosen for, which flatters it.

On containers of known rate, four intervals in five held the truth instead of nineteen in twenty.
"""


@dataclass(frozen=True, eq=False)
class LimitForecast:
    """Rates in bytes per hour and seconds to the limit, with 95 % intervals; NaN where there is none."""

    rate: Floats
    rate_low: Floats
    rate_high: Floats
    seconds_to_limit: Floats
    seconds_to_limit_low: Floats
    seconds_to_limit_high: Floats
    seconds_per_life: Floats


def forecast_limit(
    summary: SampleSummary, lives: ContainerCurves, growth: GrowthEvidence, limits: Floats
) -> LimitForecast:
    """Extends the growth of every container that has samples from its last sample to its limit.

    The last sample counts, not the floor: under teeth it is a peak that touches the limit first. The next
    life of one that dies again and again begins where the others began on average.

    Args:
        summary: Buckets of n containers.
        lives: Their rows.
        growth: What is known of their growth.
        limits: Bytes, shape (n,), NaN for none.
    """
    seen = lives.container[lives.latest]
    margin = _SELECTION_FACTOR * student_quantile(_NORMAL_95, growth.freedom) * growth.error
    room = np.maximum(limits[seen] - summary.latest[seen], 0.0)

    owner = summary.life_container
    lowest = np.full(len(owner), np.inf)
    np.minimum.at(lowest, summary.life, summary.mean)
    count = np.bincount(owner, minlength=len(summary.samples))[seen]
    start = np.bincount(owner, lowest, len(summary.samples))[seen] / count
    from_start = np.where(count > 1, np.maximum(limits[seen] - start, 0.0), np.nan)

    def until(rate: Floats, room: Floats = room) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(growth.leak & (rate > 0), room / rate * 3600.0, np.nan))

    low, high = growth.rate - margin, growth.rate + margin
    ahead = until(growth.rate), until(high), until(low)
    return LimitForecast(growth.rate, low, high, *ahead, until(growth.rate, from_start))
