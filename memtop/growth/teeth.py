"""Teeth: memory that rises and falls again and again, and the troughs between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth.series import Bools, Floats, Ints

_OF_SPREAD = 1.2
_OF_NOISE = 5.0


@dataclass(frozen=True, eq=False)
class Turns:
    """Where each row turns, all of shape (rows, columns).

    Attributes:
        trough: The row's local low points.
        peak: Its local high points; troughs and peaks take turns.
    """

    trough: Bools
    peak: Bools


def threshold(time: Floats, value: Floats, length: Ints, fall: Floats) -> Floats:
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
    clear = np.maximum(_OF_SPREAD * spread, _OF_NOISE * noise(value, length))
    return np.where(fall > 0, 0.5 * fall, clear)


def noise(value: Floats, length: Ints) -> Floats:
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


def turns(value: Floats, length: Ints, height: Floats) -> Turns:
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
    return Turns(trough, peak)
