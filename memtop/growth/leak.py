"""Is it growing for good? The rules that make a leak.

A container leaks when a shape that goes on growing explains its curve better than any shape that ends, and
the growth is believable by every rule of `believable`. Both the level and the floor are asked (`agreed`),
and the latest life as well as all lives laid over one another (`growth_evidence`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth.curves import LEANING, Curves
from memtop.growth.deaths import Deaths
from memtop.growth.fits import Fits
from memtop.growth.lasting import goes_on
from memtop.growth.lives import Lives
from memtop.growth.series import Bools, Floats, Ints
from memtop.growth.shapes import Family, dictionary

SIGNIFICANT = 3.0
"""Growth counts from so many standard errors on (1 in 740 by chance, one-sided)."""
MATERIAL = 0.008
"""Growth counts from this share of the memory in use on: less is rounding, fragmentation, a cache line
table."""
YOUNG = 45 * 60.0
"""What was watched for less than this many seconds is no more than suspected, unless it repeats."""
WORTH_SAYING = 0.05
"""A leak less likely than this is not even suspected."""
SHORT, VERY_SHORT = 6 * 3600.0, 2 * 3600.0
"""In fewer seconds only growth that is straight is more than suspected; in far fewer it must be large too."""
_OF_SWING = 0.07
_OF_NOISE = 3.0
_SHARE = 0.4
_SAME_WAY, _SAME_WAY_AFTER_SHIFT = 0.2, 0.5
_GIVEN_BACK, _GIVEN_BACK_NOISE = 0.35, 1.5
_JUMPED = 0.6
_DENSE = 16
_LONG = 20
_BENT = 3.0
_MOST_WHEN_OPEN = 3.5
_FADES, _STRAIGHT, _LARGE, _DAILY = 0.0, 3.0, 0.25, 0.04
_FEW_TROUGHS = 6
_AGAINST = 2.0
_MOST, _LEAST, _DOUBTED = 14.0, -6.0, -0.5
_UNPROVEN = 1.0
_CHANCE_AT_0, _CHANCE_PER_UNIT = -3.5, 0.7


@dataclass(frozen=True, eq=False)
class Growth:
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


def growth_evidence(lives: Lives, floor: Fits, level: Fits, deaths: Deaths) -> Growth:
    """Weighs the evidence for a leak.

    A leak repeats: where most lives of a container grow alike, their common curve is judged, for it has the
    data of all. The latest life is judged as well, because a leak may be as young as the latest deploy; but
    what has fewer than 20 buckets is only suspected, since the first minutes after a start always grow. If
    the latest life is long and bends clearly, its word counts as much as that of the common curve. And
    what may yet turn out to be something else is only suspected, see `undecided`.

    Lives that rise until they die are evidence of their own: the stronger of the two counts.

    The chance is a logistic curve of the margin. Its two numbers were set so that the reliability table holds
    for 1 leak in 100 containers (benchmarks/reliability.py).

    Args:
        lives: The rows of the containers.
        floor: Fits of their floor curves.
        level: Fits of their level curves.
        deaths: How the lives of the same containers ended.
    """
    curves = lives.curves
    hours_floor = np.maximum(curves.end - curves.start, 1.0) / 3600.0
    hours_level = np.maximum(curves.level_end - curves.level_start, 1.0) / 3600.0
    ok_floor = believable(curves, floor, curves.floor, curves.floor_points >= 2 * _DENSE)
    ok_level = believable(curves, level, curves.level, np.ones(len(ok_floor), np.bool_))
    few = curves.toothed & (curves.floor_points < _FEW_TROUGHS)
    stretch = hours_level / hours_floor
    both = agreed(floor, level, ok_floor, ok_level, stretch, _coarse(curves), few)
    sees = _sees(floor) & _sees(level)
    latest = both[lives.latest]
    long = curves.points[lives.latest] >= _LONG
    latest = np.where(lives.several & ~long, np.minimum(latest, _UNPROVEN), latest)
    pooled = np.where(lives.repeats | ~lives.several, both[lives.pooled], _LEAST)
    bends = lives.several & long & (latest < -_AGAINST) & sees[lives.latest]
    pooled = np.where(bends, (pooled + latest) / 2, pooled)
    margin = np.maximum(latest, pooled)
    repeated = lives.several & lives.repeats
    open_ = undecided(lives, floor, level) & ~repeated
    margin = np.where(open_, np.minimum(margin, _MOST_WHEN_OPEN), margin)
    # The rate of all lives is better known than that of one.
    row = np.where((pooled >= latest) | (pooled > 0), lives.pooled, lives.latest)
    grows, dies = margin > 0, deaths.log_odds > 0
    chance = np.maximum(
        1 / (1 + np.exp(-(_CHANCE_AT_0 + _CHANCE_PER_UNIT * margin))), 1 / (1 + np.exp(-deaths.log_odds))
    )
    leak = (grows | dies) & (chance >= WORTH_SAYING)
    rate, error, freedom = _rates(lives, floor, level, ok_floor, row)
    base = lives.latest
    hours = hours_floor[base]
    by_lives = np.where(deaths.rises > 0, lives.rate, np.nan)
    return Growth(
        leak=leak,
        chance=chance,
        rate=np.select([leak & grows, dies], [rate, by_lives], floor.rest[base] / hours),
        error=np.select([leak & grows, dies], [error, lives.rate_error], floor.rest_error[base] / hours),
        freedom=np.where(leak & grows, freedom, floor.freedom[base]),
    )


def undecided(lives: Lives, floor: Fits, level: Fits) -> Bools:
    """Containers whose latest life grows, but as something that ends would grow as well.

    *Young*: 45 minutes may be one tooth, one warm-up, one batch.
    *Fading*: a shape that slows down fits better than any that does not, and the second half by itself does
    not show the contrary (`goes_on`). A cache with a time constant longer than the window fills like this.
    *Short*: in less than six hours growth must be plainly straight, for a filling cache is nearly straight at
    first; and in less than two it must be large, a quarter of the memory in use at the start: a collector
    that comes every hour or two makes teeth as straight, but seldom as large.
    *Less than half a day*: memory that follows the day climbs for half of it. A rhythm of ±15 % climbs by
    2π·0.15/24 h = 4 % of its mean an hour at its steepest: what climbs no faster must be shown not to be a
    part of a day.
    """
    curves, base = lives.curves, lives.latest
    hours = np.maximum(curves.level_end - curves.level_start, 1.0)[base] / 3600.0
    use_floor = _steadier(floor, level)
    slows = np.where(use_floor, floor.slows, level.slows)[base]
    lasts = np.where(
        use_floor, goes_on(curves.floor, floor.independent), goes_on(curves.level, level.independent)
    )[base]
    line = np.where(use_floor, floor.line, level.line)[base]
    dawns = np.where(use_floor, floor.dawns, level.dawns)[base]
    start, mean = np.abs(curves.level[base, :4]).mean(axis=1), np.abs(curves.level[base]).mean(axis=1)
    short = (hours < SHORT / 3600.0) & (slows > -_STRAIGHT)
    short |= (hours < VERY_SHORT / 3600.0) & ~(line > _LARGE * start)
    daily = (hours < 12.0) & (dawns > -_STRAIGHT) & (line / hours < _DAILY * mean)
    return np.asarray((hours < YOUNG / 3600.0) | ((slows > _FADES) & ~lasts) | short | daily)


def agreed(
    floor: Fits, level: Fits, ok_floor: Bools, ok_level: Bools, stretch: Floats, coarse: Bools, few: Bools
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
    most_by_floor = np.where(few, _UNPROVEN, _MOST)
    by_floor = np.clip(straight_floor, _LEAST, np.where(ok_floor, most_by_floor, _DOUBTED))
    by_level = np.clip(straight_level, _LEAST, np.where(ok_level, _MOST, _DOUBTED))
    floor_allows = (floor.line + 2 * floor.line_error) * stretch > 0.5 * level.line
    level_allows = level.line + 2 * level.line_error > 0.5 * floor.line * stretch
    least, most = np.minimum(by_floor, by_level), np.maximum(by_floor, by_level)
    against = _sees(floor) & _sees(level) & (least < -_AGAINST)
    both = np.where(against, (by_floor + by_level) / 2, most)
    both = np.where(floor_allows & level_allows, both, least)
    return np.where(ok_floor | ok_level, both, np.minimum(both, _DOUBTED))


def believable(rows: Curves, fits: Fits, curves: Floats, dense: Bools) -> Bools:
    """Whether the growing shape of each row says something that a leak does.

    *Significant*: more than three standard errors, by Student's t.
    *Material*: at least 0.8 % of the memory in use, a fifteenth of the swing it rides on (where a collector
    happens to stop moves the floor by about as much), what a tooth gains in one sample (samples miss the
    trough by up to one, and by ever more or less as they drift against the teeth), and three times the noise
    (of all lives together) unless there are teeth.
    *Going on*: at the end still at least 0.4 of the mean rate (growth that fades is a warm-up).
    *Really up*: the last sixteenth is above the first by a fair part of what the shape claims (a fall in
    between that a rise makes good is a tooth), and no eighth gives back more than a third of it. A daily
    rhythm may do both, so a line on a cycle is exempt, unless it falls at once as teeth do.
    *Not in jumps*: see `jumped`; only where the curve has points enough to tell.

    Args:
        rows: The rows.
        fits: Fits of `curves`.
        curves: Level or floor of the rows, bytes.
        dense: Whether the curve has points enough to tell a jump from a gap.
    """
    kind = dictionary().family[fits.growing]
    cycle = (kind == Family.LINE_ON_CYCLE) & (rows.skew > LEANING)
    amount = np.where(cycle, fits.growth, fits.amount)
    risen = curves[:, -4:].mean(axis=1) - curves[:, :4].mean(axis=1)
    blocks = np.median(curves.reshape(len(curves), 8, -1), axis=2)
    given_back = (np.maximum.accumulate(blocks, axis=1) - blocks).max(axis=1)
    same_way = np.where(kind == Family.SHIFTED_LINE, _SAME_WAY_AFTER_SHIFT, _SAME_WAY)
    significant = fits.growth > student(SIGNIFICANT, fits.freedom) * fits.growth_error
    single = rows.step_noise / np.sqrt(rows.lives)
    material = (
        (amount > MATERIAL * np.abs(curves).mean(axis=1))
        & (amount > _OF_SWING * rows.swing)
        & (amount > rows.climb)
        & (rows.toothed | (amount > _OF_NOISE * np.maximum(single, fits.residual)))
    )
    going_on = fits.growth > _SHARE * risen
    up = (risen > same_way * fits.growth) & (
        given_back < _GIVEN_BACK * risen + _GIVEN_BACK_NOISE * fits.residual
    )
    dense = dense & (rows.points >= _DENSE * rows.lives)
    gradual = ~dense | (jumped(curves) < _JUMPED * risen)
    return np.asarray(significant & material & ((going_on & up) | cycle) & gradual)


def jumped(curves: Floats) -> Floats:
    """How much of each curve's lasting rise happened in its four largest jumps, bytes.

    What lasts is the lowest level that the curve comes back to later. A jump is a cell in which that rises by
    more than six times what cells usually move by (the median deviation, as of a normal distribution). A step
    moves to another level and stays there; it takes many small ones to make a leak.
    """
    lasting = np.diff(np.minimum.accumulate(curves[:, ::-1], axis=1)[:, ::-1], axis=1)
    moved = np.diff(curves, axis=1)
    usual = np.median(moved, axis=1, keepdims=True)
    spread = np.median(np.abs(moved - usual), axis=1, keepdims=True) / 0.6745
    largest = np.sort(lasting, axis=1)[:, -4:]
    return np.asarray(np.where(largest > usual + 6 * spread, largest, 0.0).sum(axis=1))


def student(normal: float, freedom: Floats) -> Floats:
    """The quantile of Student's t that corresponds to a quantile of the normal distribution.

    Expansion in powers of 1/freedom (Fisher and Cornish 1960), good to a tenth from three degrees on.
    """
    z, n = normal, np.maximum(freedom, 1.0)
    return np.asarray(z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2))


def _rates(
    lives: Lives, floor: Fits, level: Fits, ok_floor: Bools, row: Ints
) -> tuple[Floats, Floats, Floats]:
    """Rate, its error and its degrees of freedom, by the steadier of floor and level in the chosen rows.

    The rate is that of the straight line, unless another growing shape is proven to be better. That of lives
    laid over one another is the mean of theirs: their common curve bends where the fast ones end.
    """
    curves = lives.curves

    def of(fits: Fits, start: Floats, end: Floats) -> tuple[Floats, Floats]:
        straight = fits.bent < _BENT
        hours = np.maximum(end - start, 1.0) / 3600.0
        growth = np.where(straight, fits.line, fits.growth) / hours
        return growth, np.where(straight, fits.line_error, fits.growth_error) / hours

    floor_rate, floor_error = of(floor, curves.start, curves.end)
    level_rate, level_error = of(level, curves.level_start, curves.level_end)
    use_floor = _steadier(floor, level) & ok_floor
    rate = np.where(use_floor, floor_rate, level_rate)
    error = np.where(use_floor, floor_error, level_error)
    freedom = np.where(use_floor, floor.freedom, level.freedom)[row]
    common = lives.several & (row == lives.pooled)
    rate, error = np.where(common, lives.rate, rate[row]), np.where(common, lives.rate_error, error[row])
    return rate, error, freedom


def _steadier(floor: Fits, level: Fits) -> Bools:
    """Rows whose floor knows its growth better than their level does."""
    steadier = floor.growth_error * level.growth < level.growth_error * floor.growth
    return np.asarray(steadier & (floor.growth > 0))


def _coarse(curves: Curves) -> Bools:
    return np.asarray((curves.lives > 1) & (curves.points < _DENSE * curves.lives))


def _sees(fits: Fits) -> Bools:
    return np.asarray(fits.line > SIGNIFICANT * fits.line_error)
