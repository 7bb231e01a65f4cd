"""The points that the floor of memory goes through where nothing stands on it.

Spikes and batches stand on the floor: it goes through the buckets between them. Days stand on their nights.
Teeth that are too short to be seen one by one stand on the lowest bucket of every few.
"""

from __future__ import annotations

import numpy as np

from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.shapes import CELLS

BUCKETS_PER_BLOCK = 5
"""Buckets of which the lowest is taken where teeth are too short to be seen one by one."""


def lowest_of_block(low: Floats, row: Ints, column: Ints, blocked: Bools) -> Bools:
    """Marks the lowest bucket of every five of the ``blocked`` rows."""
    block = row * (int(column.max()) // BUCKETS_PER_BLOCK + 2) + column // BUCKETS_PER_BLOCK
    begins = np.nonzero(np.append(True, block[1:] != block[:-1]))[0]
    lowest = np.repeat(np.minimum.reduceat(low, begins), np.diff(np.append(begins, len(low))))
    return np.asarray((low == lowest) & blocked[row])


_DAY = 86400.0
MIN_NIGHTS = 6
"""Nights from which days are compared by their nights alone: fewer show no line."""
_MIN_RHYTHM, _SHARED_BY, _LATELY = 0.4, 4.5, 0.5
"""Correlation with the day before from which days count as alike. On 432 compound series half of it gives the
same scores (F1 0.976), double costs leaks (F1 0.962, recall 0.926 in place of 0.954):
``benchmarks/reliability.py --compound --each 12 --seed 20261 --set``."""


def has_daily_rhythm(level: Floats, span: Floats) -> Bools:
    """Rows of many days that are alike: what is above their line goes with what was there a day before.

    Args:
        level: Bytes, shape (rows, CELLS).
        span: Seconds from end to end.
    """
    found = np.zeros(len(level), np.bool_)
    rows = np.nonzero(span >= MIN_NIGHTS * _DAY)[0]
    if not len(rows):
        return found
    place = np.linspace(-1.0, 1.0, CELLS)
    above = level[rows] - level[rows].mean(axis=1)[:, None]
    above -= (above @ place / (place @ place))[:, None] * place
    day = np.round(CELLS * _DAY / span[rows]).astype(np.int64)
    before = np.arange(CELLS) - day[:, None]
    then = np.where(before >= 0, np.take_along_axis(above, np.maximum(before, 0), axis=1), 0.0)
    now = np.where(before >= 0, above, 0.0)
    power = np.sqrt((then**2).sum(axis=1) * (now**2).sum(axis=1))
    found[rows] = (then * now).sum(axis=1) > _MIN_RHYTHM * np.maximum(power, 1.0)
    return found


def lowest_of_days(age: Floats, low: Floats, row: Ints, nightly: Bools) -> tuple[Bools, Bools]:
    """Marks the lowest bucket of every whole day of some rows, and the rows whose nights rise one by one.

    Nights are compared with nights, so that a quiet weekend does not bend a leak. But six or seven points are
    too few for any shape but a line: so the rise from night to night must be shared by more than four of them
    (the square of the sum over the sum of the squares, Hill 1973), or else it is that of steps or of a ramp;
    and the last two must rise at half the mean rate or more, or else the ramp has ended.

    Args:
        age: Seconds since the row's first bucket.
        low: Bytes.
        row: The row of each bucket, ascending.
        nightly: Rows that follow the day.

    Returns:
        Which buckets, and which rows.
    """
    chosen, rising = np.zeros(len(age), np.bool_), np.zeros(len(nightly), np.bool_)
    mine = np.nonzero(nightly[row])[0]
    if not len(mine):
        return chosen, rising
    day = np.floor(age[mine] / _DAY)
    last = np.full(len(nightly), -np.inf)
    np.maximum.at(last, row[mine], age[mine])
    whole = day < np.floor(last[row[mine]] / _DAY + 0.1)
    mine, day = mine[whole], day[whole]
    order = np.lexsort((low[mine], day, row[mine]))
    mine, day = mine[order], day[order]
    begins = np.append(True, (np.diff(row[mine]) != 0) | (np.diff(day) != 0))
    nights = np.sort(mine[begins])
    chosen[nights] = True
    grown = np.where(np.diff(row[nights]) == 0, np.diff(low[nights]), 0.0)
    total = np.bincount(row[nights][1:], grown, len(nightly))
    squares = np.bincount(row[nights][1:], grown**2, len(nightly))
    count = np.bincount(row[nights], minlength=len(nightly))
    newest = np.maximum(np.cumsum(count) - 1, 0)
    lately = low[nights][newest] - low[nights][np.maximum(newest - 2, 0)]
    going_on = lately > _LATELY * 2 * total / np.maximum(count - 1, 1)
    rising[:] = nightly & (total > 0) & (total**2 > _SHARED_BY * squares) & going_on
    return chosen, rising


_SPIKE_BUCKETS, _BATCH_BUCKETS = 5, 13
_SHORTEST = 3
_BARE_FACTOR = 3.0
MIN_BARE_BUCKETS = 20
"""In a row of fewer buckets nobody can tell spikes from the rest."""


def is_bare(low: Floats, length: Ints, batches: Bools) -> Bools:
    """Marks the buckets in which nothing stands on the floor, shape (rows, columns).

    An opening (Matheron 1975: the highest of the lowest of so many neighbours) cuts off what is narrower than
    it and returns, and leaves lines, steps and warm-ups as they are. A bucket is bare if it is no more than
    three times as far above the opening as the median bucket is: memory that is bare most of the time has its
    median there, and of plain noise next to nothing is lost.

    Args:
        low: Lowest value of each bucket, bytes; infinite beyond the row's length.
        length: Valid columns of each row.
        batches: Rows with wide batches, cut off up to a tenth of the window instead of a twenty-fifth.
    """
    opened = _opening(low, length, _SPIKE_BUCKETS)
    if batches.any():
        opened[batches] = _opening(low[batches], length[batches], _BATCH_BUCKETS)
    above = low - opened
    inside = np.arange(low.shape[1]) < length[:, None]
    above[~inside] = np.inf
    (typical,) = quantiles(above, length, (0.5,))
    short = (length < MIN_BARE_BUCKETS)[:, None]
    return np.asarray((short | (above <= _BARE_FACTOR * typical[:, None])) & inside)


def _opening(low: Floats, length: Ints, width: int) -> Floats:
    """The opening of every row: the largest minimum of the windows of `width` columns around each column.

    At a row's ends windows are shorter, down to `_SHORTEST`.
    """
    rows, columns = low.shape
    inside = np.arange(columns) < length[:, None]
    # Windows begin before the row and end after it, where infinity stands for nothing.
    wide = np.full((rows, columns + 2 * (width - 1)), np.inf)
    wide[:, width - 1 : width - 1 + columns] = np.where(inside, low, np.inf)
    lowest = _over_windows(np.minimum, wide, width)
    at = np.arange(lowest.shape[1])
    inside_window = np.minimum(at, length[:, None] - 1) - np.maximum(at - width + 1, 0) + 1
    lowest[inside_window < np.minimum(_SHORTEST, length)[:, None]] = -np.inf
    return _over_windows(np.maximum, lowest, width)


def _over_windows(combine: np.ufunc, values: Floats, width: int) -> Floats:
    """The minimum or maximum of every window of `width` columns, from those of windows of half the width."""
    done = 1
    while done < width:
        step = min(done, width - done)
        values = combine(values[:, :-step], values[:, step:])
        done += step
    return values


def quantiles(padded: Floats, length: Ints, shares: tuple[float, ...]) -> list[Floats]:
    """Quantiles of the first ``length`` values of every row; the rest must be infinite."""
    ordered = np.sort(padded, axis=1)
    rows = np.arange(len(padded))
    return [ordered[rows, np.round((length - 1) * share).astype(np.int64)] for share in shares]
