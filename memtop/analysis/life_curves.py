"""Lives drawn on a common grid: the level and the floor of each, and the teeth of a sawtooth.

Level and floor are cell means over a life's own time. Teeth are memory that rises and falls again and
again; the floor goes through the troughs between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.analysis.floor_points import (
    BUCKETS_PER_BLOCK,
    has_daily_rhythm,
    is_bare,
    lowest_of_block,
    lowest_of_days,
    quantiles,
)
from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.shapes import CELLS

_SPREAD_FACTOR = 1.2
_NOISE_FACTOR = 5.0


@dataclass(frozen=True, eq=False)
class TurningPoints:
    """Where each row turns, all of shape (rows, columns).

    Attributes:
        trough: The row's local low points.
        peak: Its local high points; troughs and peaks take turns.
    """

    trough: Bools
    peak: Bools


def turn_threshold(time: Floats, value: Floats, length: Ints, fall: Floats) -> Floats:
    """How far a row must move back before it has turned, bytes, shape (rows,).

    A tooth is larger than a third of the spread about the row's own trend (a saw of height h has a spread of
    h/√12) and stands clear of the noise, which is measured on second differences: they vanish on any straight
    flank, so that the teeth themselves do not count as noise. Where falls are
    known to be sudden, half a typical fall is a turn.

    Args:
        time: Seconds, shape (rows, columns).
        value: Bytes.
        length: Valid columns of each row.
        fall: Typical sudden fall of each row, bytes; 0 where there are none.
    """
    inside = np.arange(value.shape[1]) < length[:, None]
    count = np.maximum(length, 1)
    mid_time = np.where(inside, time, 0.0).sum(1) / count
    mid_value = np.where(inside, value, 0.0).sum(1) / count
    dt = np.where(inside, time - mid_time[:, None], 0.0)
    dv = np.where(inside, value - mid_value[:, None], 0.0)
    slope = (dt * dv).sum(1) / np.maximum((dt * dt).sum(1), 1e-9)
    spread = np.sqrt(((dv - slope[:, None] * dt) ** 2).sum(1) / count)
    clear = np.maximum(_SPREAD_FACTOR * spread, _NOISE_FACTOR * estimate_noise(value, length))
    return np.where(fall > 0, 0.5 * fall, clear)


def estimate_noise(value: Floats, length: Ints) -> Floats:
    """Noise of each row: the median second difference, scaled to a normal standard deviation."""
    if value.shape[1] < 3:
        return np.zeros(len(value))
    with np.errstate(invalid="ignore"):
        bend = np.abs(value[:, 2:] - 2 * value[:, 1:-1] + value[:, :-2])
    bend[np.arange(bend.shape[1]) >= length[:, None] - 2] = np.inf
    bend.sort(axis=1)
    middle = np.maximum(length - 2, 1) // 2
    typical = bend[np.arange(len(bend)), np.minimum(middle, bend.shape[1] - 1)]
    return np.where(np.isfinite(typical), typical / (0.6745 * np.sqrt(6.0)), 0.0)


def find_turns(value: Floats, length: Ints, height: Floats) -> TurningPoints:
    """Finds the turning points of every row, one column after the other for all rows at once.

    Args:
        value: Bytes, shape (rows, columns).
        length: Valid columns of each row.
        height: What a row must move back to have turned, see `threshold`.
    """
    rows, columns = value.shape
    trough, peak = np.zeros((rows, columns), np.bool_), np.zeros((rows, columns), np.bool_)
    top, bottom = value[:, 0].copy(), value[:, 0].copy()
    top_at, bottom_at = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    rising, falling = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    for column in range(1, columns):
        now = value[:, column]
        live = column < length
        higher, lower = live & (now > top), live & (now < bottom)
        top[higher], top_at[higher] = now[higher], column
        bottom[lower], bottom_at[lower] = now[lower], column
        turned_down = live & ~falling & (now < top - height)
        turned_up = live & ~rising & (now > bottom + height)
        known = turned_down & rising
        peak[known, top_at[known]] = True
        known = turned_up & falling
        trough[known, bottom_at[known]] = True
        rising[turned_down], falling[turned_down] = False, True
        rising[turned_up], falling[turned_up] = True, False
        bottom[turned_down], bottom_at[turned_down] = now[turned_down], column
        top[turned_up], top_at[turned_up] = now[turned_up], column
    return TurningPoints(trough, peak)


MIN_TROUGHS = 3
"""Troughs from which a row is judged by its troughs alone."""
LEANING_SKEW = -0.8
"""Skewness of the steps between samples below which memory climbs slowly and falls at once, as under GC."""
_CLEAR_FACTOR = 10.0


@dataclass(frozen=True, eq=False)
class BucketPoints:
    """Buckets of several rows, ordered by row and time.

    Attributes:
        time: Unix seconds.
        low: Bytes, smallest.
        mean: Bytes, mean.
        high: Bytes, largest.
        squared_steps: Sum of squared steps, bytes².
        cubed_steps: Sum of cubed steps, bytes³.
        count: Samples.
        row: The row, ascending, without holes.
    """

    time: Floats
    low: Floats
    mean: Floats
    high: Floats
    squared_steps: Floats
    cubed_steps: Floats
    count: Floats
    row: Ints

    def chosen(self, which: Ints | Bools, row: Ints) -> BucketPoints:
        """Some buckets, under other row numbers."""
        return BucketPoints(
            time=self.time[which],
            low=self.low[which],
            mean=self.mean[which],
            high=self.high[which],
            squared_steps=self.squared_steps[which],
            cubed_steps=self.cubed_steps[which],
            count=self.count[which],
            row=row,
        )

    @classmethod
    def joined(cls, parts: list[BucketPoints]) -> BucketPoints:
        """Several lots, one after the other."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__)
        )


@dataclass(frozen=True, eq=False)
class LifeCurves:
    """Rows drawn on the grid.

    Attributes:
        level: Cell means of the bucket means, bytes, shape (rows, CELLS).
        floor: Cell means of the floor: the line through the troughs where there are teeth, else of bucket
            lows.
        start: Time of the first point of the floor curve, unix seconds.
        end: Time of its last point.
        level_start: The same for the level curve.
        level_end: The same for the level curve.
        points: Buckets of each row.
        floor_points: Points the floor curve goes through.
        toothed: Whether the floor goes through troughs.
        troughs: Troughs of each row.
        samples: Samples of each row.
        noise: Noise of the bucket means, bytes.
        floor_noise: Noise of the points of the floor curve, bytes.
        skew: Skewness of the steps between samples.
        falls: About how many sudden falls there are, if all are equal; 0 where the steps do not lean.
        middle: Where the median bucket is between the 5th (0) and the 95th percentile (1).
        swing: Distance of these percentiles, of highs and lows, bytes.
        peak: Highest bucket above the median one, bytes.
        band: Between the quartiles of the buckets, bytes.
        step_noise: Noise of single samples: deviation of the steps between them over the root of 2, bytes.
        lives: Lives in each row.
        climb: What memory gains in the first sample after a trough, bytes; 0 without teeth.
    """

    level: Floats
    floor: Floats
    start: Floats
    end: Floats
    level_start: Floats
    level_end: Floats
    points: Ints
    floor_points: Ints
    toothed: Bools
    troughs: Ints
    samples: Ints
    noise: Floats
    floor_noise: Floats
    skew: Floats
    falls: Floats
    middle: Floats
    swing: Floats
    peak: Floats
    band: Floats
    step_noise: Floats
    lives: Ints
    climb: Floats


def draw_curves(points: BucketPoints, lives: Ints) -> LifeCurves:
    """Draws rows of buckets.

    Args:
        points: The buckets of all rows.
        lives: How many lives are in each row.
    """
    rows = len(lives)
    time, low, mean, row = points.time, points.low, points.mean, points.row
    length = np.bincount(row, minlength=rows)
    first = np.cumsum(length) - length
    column = np.arange(len(row)) - first[row]
    width = int(length.max())
    padded_time, padded = np.zeros((rows, width)), np.full((rows, width), np.inf)
    padded_time[row, column] = time - time[first][row]
    padded[row, column] = mean
    samples = np.bincount(row, points.count, rows)
    steps = np.maximum(samples - 1, 1)
    power = np.bincount(row, points.squared_steps, rows) / steps
    skew = np.bincount(row, points.cubed_steps, rows) / steps / np.maximum(power, 1.0) ** 1.5
    leaning = skew < np.minimum(LEANING_SKEW, -2.5 * np.sqrt(6.0 / steps))
    rough = np.maximum(power * steps, 1.0)
    lean = np.bincount(row, points.cubed_steps, rows)
    fall = np.where(leaning, -lean / rough, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):  # of sizes that no memory has
        falls = rough**3 / np.maximum(lean**2, 1.0)
    low_5, quarter, middle, three_quarters, high_95, top = quantiles(
        padded, length, (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    )
    place = (middle - low_5) / np.maximum(high_95 - low_5, 1.0)
    turning = find_turns(padded, length, turn_threshold(padded_time, padded, length, fall))
    is_trough = turning.trough[row, column]
    troughs = np.bincount(row, is_trough, rows).astype(np.int64)
    noise = estimate_noise(padded, length)
    batches = (place < 0.35) & (high_95 - low_5 > _CLEAR_FACTOR * noise)
    toothed = (troughs >= MIN_TROUGHS) & leaning
    blocked = leaning & ~toothed & (falls > 2 * MIN_TROUGHS) & (length >= 6 * BUCKETS_PER_BLOCK)
    around = low.copy()
    same = row[1:] == row[:-1]
    around[1:] = np.where(same, np.minimum(around[1:], low[:-1]), around[1:])
    around[:-1] = np.where(same, np.minimum(around[:-1], low[1:]), around[:-1])
    padded[row, column] = low
    (low_tail,) = quantiles(padded, length, (0.05,))
    bare = np.where(
        blocked[row],
        lowest_of_block(low, row, column, blocked),
        is_bare(padded, length, batches)[row, column],
    )
    level = _cell_means(time, mean, row, first, length)
    nightly = has_daily_rhythm(level, time[first + length - 1] - time[first]) & ~toothed & ~blocked
    nights, rising = lowest_of_days(time - time[first][row], low, row, nightly)
    bare = np.where(rising[row], nights, bare)
    chosen = np.where(toothed[row], is_trough, bare)
    floor_row, floor_time = row[chosen], time[chosen]
    floor_value = np.where(toothed[row], around, low)[chosen]
    floor_points = np.bincount(floor_row, minlength=rows)
    floor_first = np.cumsum(floor_points) - floor_points
    floor_column = np.arange(len(floor_row)) - floor_first[floor_row]
    padded_floor = np.full((rows, int(floor_points.max())), np.inf)
    padded_floor[floor_row, floor_column] = floor_value
    padded[row, column] = points.high
    (high_tail,) = quantiles(padded, length, (0.95,))
    return LifeCurves(
        level=level,
        floor=_cell_means(floor_time, floor_value, floor_row, floor_first, floor_points),
        start=floor_time[floor_first],
        end=floor_time[floor_first + floor_points - 1],
        level_start=time[first],
        level_end=time[first + length - 1],
        points=length,
        floor_points=floor_points,
        toothed=toothed | blocked,
        troughs=troughs,
        samples=samples.astype(np.int64),
        noise=noise,
        floor_noise=estimate_noise(padded_floor, floor_points),
        skew=skew,
        falls=np.where(leaning, falls, 0.0),
        middle=place,
        swing=high_tail - low_tail,
        peak=top - middle,
        band=three_quarters - quarter,
        step_noise=np.sqrt(power / 2),
        lives=lives,
        climb=_climb(points, is_trough & toothed[row], rows),
    )


def _climb(points: BucketPoints, is_trough: Bools, rows: int) -> Floats:
    at = np.nonzero(is_trough[:-1])[0]
    row, per_bucket = points.row[at], (points.count[at] + points.count[at + 1]) / 2
    gained = (points.mean[at + 1] - points.mean[at]) / per_bucket
    return np.asarray(np.bincount(row, gained, rows) / np.maximum(np.bincount(row, minlength=rows), 1))


def _cell_means(time: Floats, value: Floats, row: Ints, first: Ints, length: Ints) -> Floats:
    """Means over `CELLS` equal cells of the straight lines between the points of each row.

    The integral of those lines is taken at the cells' edges. All rows are served at once because each has its
    own stretch of the axis.
    """
    rows = len(first)
    start, end = time[first], time[first + length - 1]
    span = np.where(end > start, end - start, 1.0)
    place = (time - start[row]) / span[row]
    base = value[first]
    above = value - base[row]
    area = np.zeros(len(value))
    inside = row[1:] == row[:-1]
    area[1:] = np.where(inside, (place[1:] - place[:-1]) * (above[1:] + above[:-1]) / 2, 0.0)
    area = np.cumsum(area)
    area -= area[first][row]
    edges = np.linspace(0.0, 1.0, CELLS + 1)
    asked = (2.0 * np.arange(rows)[:, None] + edges).ravel()
    axis = place + 2.0 * row
    before = np.maximum(np.searchsorted(axis, asked, "right") - 1, 0)
    there = np.interp(asked, axis, above)
    whole = area[before] + (asked - axis[before]) * (above[before] + there) / 2
    whole = whole.reshape(rows, CELLS + 1)
    drawn = np.diff(whole, axis=1) * CELLS + base[:, None]
    return np.where((end > start)[:, None], drawn, base[:, None])
