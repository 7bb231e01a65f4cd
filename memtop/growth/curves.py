"""Lives drawn on a common grid: the level and the floor of each, as cell means over its own time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth import teeth
from memtop.growth.series import Bools, Floats, Ints
from memtop.growth.shapes import CELLS

TEETH = 3
"""Troughs from which a row is judged by its troughs alone."""
LEANING = -0.8
"""Skewness of the steps between samples below which memory climbs slowly and falls at once, as under GC."""
_BLOCK = 5
_CLEAR = 10.0


@dataclass(frozen=True, eq=False)
class Points:
    """Buckets of several rows, ordered by row and time.

    Attributes:
        time: Unix seconds.
        low: Bytes, smallest.
        mean: Bytes, mean.
        high: Bytes, largest.
        rough: Sum of squared steps, bytes².
        lean: Sum of cubed steps, bytes³.
        count: Samples.
        row: The row, ascending, without holes.
    """

    time: Floats
    low: Floats
    mean: Floats
    high: Floats
    rough: Floats
    lean: Floats
    count: Floats
    row: Ints

    def chosen(self, which: Ints | Bools, row: Ints) -> Points:
        """Some buckets, under other row numbers."""
        return Points(
            time=self.time[which],
            low=self.low[which],
            mean=self.mean[which],
            high=self.high[which],
            rough=self.rough[which],
            lean=self.lean[which],
            count=self.count[which],
            row=row,
        )

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        """Several lots, one after the other."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__)
        )


@dataclass(frozen=True, eq=False)
class Curves:
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
        skew: Skewness of the steps between samples.
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
    skew: Floats
    middle: Floats
    swing: Floats
    peak: Floats
    band: Floats
    step_noise: Floats
    lives: Ints
    climb: Floats


def draw(points: Points, lives: Ints) -> Curves:
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
    power = np.bincount(row, points.rough, rows) / steps
    skew = np.bincount(row, points.lean, rows) / steps / np.maximum(power, 1.0) ** 1.5
    leaning = skew < np.minimum(LEANING, -2.5 * np.sqrt(6.0 / steps))
    rough = np.maximum(power * steps, 1.0)
    lean = np.bincount(row, points.lean, rows)
    fall = np.where(leaning, -lean / rough, 0.0)
    falls = rough**3 / np.maximum(lean**2, 1.0)
    low_5, quarter, middle, three_quarters, high_95, top = _quantiles(
        padded, length, (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    )
    place = (middle - low_5) / np.maximum(high_95 - low_5, 1.0)
    turning = teeth.turns(padded, length, teeth.threshold(padded_time, padded, length, fall))
    is_trough = turning.trough[row, column]
    troughs = np.bincount(row, is_trough, rows).astype(np.int64)
    noise = teeth.noise(padded, length)
    batches = (place < 0.35) & (high_95 - low_5 > _CLEAR * noise)
    toothed = (troughs >= TEETH) & (leaning | batches)
    blocked = leaning & ~toothed & (falls > 2 * TEETH) & (length >= 6 * _BLOCK)
    around = low.copy()
    same = row[1:] == row[:-1]
    around[1:] = np.where(same, np.minimum(around[1:], low[:-1]), around[1:])
    around[:-1] = np.where(same, np.minimum(around[:-1], low[1:]), around[:-1])
    chosen = np.where(toothed[row], is_trough, ~blocked[row] | _lowest_of_block(low, row, column, blocked))
    floor_row, floor_time = row[chosen], time[chosen]
    floor_value = np.where(toothed[row], around, low)[chosen]
    floor_points = np.bincount(floor_row, minlength=rows)
    floor_first = np.cumsum(floor_points) - floor_points
    padded[row, column] = points.high
    (high_tail,) = _quantiles(padded, length, (0.95,))
    padded[row, column] = low
    (low_tail,) = _quantiles(padded, length, (0.05,))
    return Curves(
        level=_cell_means(time, mean, row, first, length),
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
        skew=skew,
        middle=place,
        swing=high_tail - low_tail,
        peak=top - middle,
        band=three_quarters - quarter,
        step_noise=np.sqrt(power / 2),
        lives=lives,
        climb=_climb(points, is_trough & toothed[row], rows),
    )


def _climb(points: Points, is_trough: Bools, rows: int) -> Floats:
    at = np.nonzero(is_trough[:-1])[0]
    row, per_bucket = points.row[at], (points.count[at] + points.count[at + 1]) / 2
    gained = (points.mean[at + 1] - points.mean[at]) / per_bucket
    return np.asarray(np.bincount(row, gained, rows) / np.maximum(np.bincount(row, minlength=rows), 1))


def _lowest_of_block(low: Floats, row: Ints, column: Ints, blocked: Bools) -> Bools:
    """Marks the lowest bucket of every five of the ``blocked`` rows."""
    block = row * (int(column.max()) // _BLOCK + 2) + column // _BLOCK
    begins = np.nonzero(np.append(True, block[1:] != block[:-1]))[0]
    lowest = np.repeat(np.minimum.reduceat(low, begins), np.diff(np.append(begins, len(low))))
    return np.asarray((low == lowest) & blocked[row])


def _quantiles(padded: Floats, length: Ints, shares: tuple[float, ...]) -> list[Floats]:
    """Quantiles of the first ``length`` values of every row; the rest must be infinite."""
    ordered = np.sort(padded, axis=1)
    rows = np.arange(len(padded))
    return [ordered[rows, np.round((length - 1) * share).astype(np.int64)] for share in shares]


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
