"""The rules that growth must pass to be believed: what a leak does, and noise, teeth and steps do not."""

from __future__ import annotations

import numpy as np

from memtop.analysis.fits import ShapeFits
from memtop.analysis.life_curves import LifeCurves
from memtop.analysis.memory_series import Bools, Floats
from memtop.analysis.shapes import CELLS, SHIFTED_FAMILIES, ShapeFamily, shape_dictionary

SIGNIFICANT_ERRORS = 3.0
"""Growth counts from so many standard errors on (1 in 740 by chance, one-sided)."""
MATERIAL_SHARE = 0.008
"""Growth counts from this share of the memory in use on: less is rounding, fragmentation, a cache line
table."""
DENSE_POINTS = 16
"""Points per life from which a jump can be told from a gap."""
_SWING_SHARE = 0.07
_NOISE_FACTOR = 3.0
_MIN_END_RATE = 0.4
_RISEN_SHARE, _FALL_SHARE = 0.2, 0.15
_ASIDE_SHARE, _FALLS_PER_CYCLE = 0.15, 3.0
"""Share of what the other shapes move from end to end that growth must exceed; falls per cycle from which a
curve is no leaning cycle. The first is not delicate: half and double give the same scores on 432 compound
series (F1 0.976, ``benchmarks/reliability.py --compound --each 12 --seed 20261 --set``)."""
_GIVEN_BACK, _GIVEN_BACK_NOISE = 0.35, 1.5
_MAX_JUMPED_SHARE, _FEW_JUMPS = 0.6, 4.5


def is_believable(rows: LifeCurves, fits: ShapeFits, curves: Floats, noise: Floats, dense: Bools) -> Bools:
    """Whether the growing shape of each row says something that a leak does.

    *Significant*: more than three standard errors, by Student's t.
    *Material*: at least 0.8 % of the memory in use, a fifteenth of the swing it rides on (where a collector
    happens to stop moves the floor by about as much), what a tooth gains in one sample (samples miss the
    trough by up to one, and by ever more or less as they drift against the teeth), and three times the noise
    (of all lives together) unless there are teeth.
    *Going on*: at the end still at least 0.4 of the mean rate (growth that fades is a warm-up).
    *Really up*: the last sixteenth is above the first by a fair part of what the shape claims (a fall in
    between that a rise makes good is a tooth), and no eighth gives back more than a third of it. Asked is
    the curve without the shifts, the warm-up or the day that the shape adds to its growth; all of it, if
    memory falls at once, as teeth do, hardly more often than the day comes round.
    *No teeth*: a line with two jumps must not be what `may_be_teeth`.
    *Not a remainder*: at least 0.15 of the reach of the shifts, the warm-up or the day that it is added to,
    for none of those is exactly what the dictionary draws.
    *Not in jumps*: see `jumped`; only where the curve has points enough to tell.

    Args:
        rows: The rows.
        fits: Fits of `curves`.
        curves: Level or floor of the rows, bytes.
        noise: Noise of what the curve was drawn from, bytes.
        dense: Whether the curve has points enough to tell a jump from a gap.
    """
    kind = shape_dictionary().family[fits.growing]
    cycles = 1 / shape_dictionary().period[fits.growing]
    leaning = (rows.falls > 0) & (rows.falls < _FALLS_PER_CYCLE * cycles)
    shifted = np.isin(kind, SHIFTED_FAMILIES)
    straight = np.where(leaning[:, None], curves, fits.straightened)
    amount = fits.amount
    risen = straight[:, -4:].mean(axis=1) - straight[:, :4].mean(axis=1)
    blocks = np.median(straight.reshape(len(curves), 8, -1), axis=2)
    given_back = (np.maximum.accumulate(blocks, axis=1) - blocks).max(axis=1)
    aside = curves - fits.straightened
    no_teeth = (kind != ShapeFamily.TWICE_SHIFTED_LINE) | ~may_be_teeth(fits, curves)
    significant = fits.growth > student_quantile(SIGNIFICANT_ERRORS, fits.freedom) * fits.growth_error
    single = noise / np.sqrt(rows.lives)
    material = (
        (amount > MATERIAL_SHARE * np.abs(curves).mean(axis=1))
        & (~rows.toothed | (amount > _SWING_SHARE * rows.swing))
        & (amount > _ASIDE_SHARE * np.ptp(aside, axis=1))
        & (amount > rows.climb)
        & (rows.toothed | (amount > _NOISE_FACTOR * np.maximum(single, fits.residual)))
    )
    going_on = fits.growth > _MIN_END_RATE * risen
    up = (risen > _RISEN_SHARE * fits.growth) & (
        given_back < _GIVEN_BACK * risen + _GIVEN_BACK_NOISE * fits.residual
    )
    dense = dense & (rows.points >= DENSE_POINTS * rows.lives)
    on_cycle = (kind == ShapeFamily.LINE_ON_CYCLE)[:, None]  # waves fit jumps as well
    jumps = rise_in_jumps(np.where(on_cycle, curves, straight), aside * shifted[:, None])
    gradual = ~dense | (jumps < _MAX_JUMPED_SHARE * risen)
    return np.asarray(significant & material & going_on & up & no_teeth & gradual)


def may_be_teeth(fits: ShapeFits, curves: Floats) -> Bools:
    """Whether each line with jumps may be two or three teeth of a collector.

    A tooth falls to where the first one began, or lower, and the next one rises no higher. So a fall is no
    tooth's if memory does not come back to where it was at first, or ends above where it has ever been.

    Args:
        fits: Fits of `curves`.
        curves: Level or floor of the rows, bytes.
    """
    found = np.isin(shape_dictionary().family[fits.growing], SHIFTED_FAMILIES)
    rows = np.nonzero(found)[0]
    curve, growth = curves[rows], fits.growth[rows]
    moved = np.diff(curve - fits.straightened[rows], axis=1)
    at, fall = moved.argmin(axis=1)[:, None], -moved.min(axis=1)
    place = np.arange(CELLS)
    top = np.where(place < at, curve, -np.inf).max(axis=1)
    trough = np.where(place > at + 1, curve, np.inf).min(axis=1)
    kept, passed = trough - curve[:, :4].mean(axis=1), curve[:, -4:].mean(axis=1) - top
    least = _FALL_SHARE * growth
    outgrown = (kept > least) | (passed > np.maximum(least, _FALL_SHARE * fall))
    found[rows] = (fall > least) & ~outgrown
    return np.asarray(found)


def rise_in_jumps(curves: Floats, aside: Floats | None = None) -> Floats:
    """How much of each curve's lasting rise happened in a few jumps, bytes.

    What lasts is the lowest level that the curve comes back to later. A jump is a cell in which that rises by
    more than six times what cells usually move by (the median deviation, as of a normal distribution). A step
    moves to another level and stays there; it takes more than four to make a leak. Unequal ones count as
    fewer: their number is the square of their sum over the sum of their squares (Hill 1973).

    Args:
        curves: Bytes, shape (rows, CELLS).
        aside: Jumps that were taken out of the curves, of the same shape: what is left of them is none.
    """
    lasting = np.diff(np.minimum.accumulate(curves[:, ::-1], axis=1)[:, ::-1], axis=1)
    moved = np.diff(curves, axis=1)
    usual = np.median(moved, axis=1, keepdims=True)
    spread = np.median(np.abs(moved - usual), axis=1, keepdims=True) / 0.6745
    if aside is not None:
        taken = np.abs(np.diff(aside, axis=1))
        near = taken > 0.5 * np.maximum(taken.max(axis=1, keepdims=True), 1.0)
        for side in (-2, -1, 1, 2):
            near |= np.roll(near, side, axis=1)
        lasting = np.where(near, 0.0, lasting)
    jumps = np.where(lasting > usual + 6 * spread, lasting, 0.0)
    jumped, squares = jumps.sum(axis=1), (jumps**2).sum(axis=1)
    return np.asarray(np.where(jumped**2 > _FEW_JUMPS * squares, 0.0, jumped))


def student_quantile(normal: float, freedom: Floats) -> Floats:
    """The quantile of Student's t that corresponds to a quantile of the normal distribution.

    Expansion in powers of 1/freedom (Fisher and Cornish 1960), good to a tenth from three degrees on.
    """
    z, n = normal, np.maximum(freedom, 1.0)
    return np.asarray(z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2))
