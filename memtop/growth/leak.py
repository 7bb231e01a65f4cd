"""Is it growing for good? The rules that make a leak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth.curves import Curves
from memtop.growth.fits import Fits
from memtop.growth.lives import Lives
from memtop.growth.series import Bools, Floats, Ints
from memtop.growth.shapes import Family, dictionary

SIGNIFICANT = 3.0
"""Growth counts when it is at least so many of its standard errors."""
MATERIAL = 0.008
"""Growth counts when it is at least this share of the memory in use over the window."""
_SHARE = 0.4
_SAME_WAY = 0.5
_OF_SWING = 0.07
_OF_NOISE = 3.0
_JUMPED = 0.6
_FEW = 16
_AGAINST = 2.0
_MOST, _LEAST = 14.0, -6.0
_CHANCE_AT_0, _CHANCE_PER_UNIT = -4.6, 0.8
_LONG = 20


@dataclass(frozen=True, eq=False)
class Growth:
    """What is known about the growth of each container that has samples.

    Attributes:
        leak: Whether its growth is a leak.
        chance: The chance that it leaks, in a cluster where 1 container in 100 does.
        rate: Growth of the floor, bytes per hour.
        error: Standard error of the rate.
        row: The row that the rate was read from.
        margin: Log-likelihood ratio between growing and bounded shapes.
    """

    leak: Bools
    chance: Floats
    rate: Floats
    error: Floats
    row: Ints
    margin: Floats


def growth_evidence(lives: Lives, floor: Fits, level: Fits) -> Growth:
    """Weighs the evidence for a leak."""
    curves = lives.curves
    family = dictionary().family
    m_floor, ok_floor = _channel(curves, floor, curves.floor, family, True)
    m_level, ok_level = _channel(curves, level, curves.level, family)
    hours_floor = np.maximum(curves.end - curves.start, 1.0) / 3600.0
    hours_level = np.maximum(curves.level_end - curves.level_start, 1.0) / 3600.0
    agree_floor = (floor.line + 2 * floor.line_error) / hours_floor > 0.5 * level.line / hours_level
    agree_level = (level.line + 2 * level.line_error) / hours_level > 0.5 * floor.line / hours_floor
    m_floor = np.where(agree_level, m_floor, np.minimum(m_floor, m_level))
    m_level = np.where(agree_floor, m_level, np.minimum(m_floor, m_level))
    sees = (floor.line > SIGNIFICANT * floor.line_error) & (level.line > SIGNIFICANT * level.line_error)
    against = sees & (np.minimum(m_floor, m_level) < -_AGAINST)
    both = np.where(against, (m_floor + m_level) / 2, np.maximum(m_floor, m_level))
    both = np.where(ok_floor | ok_level, both, np.minimum(both, -0.5))
    latest = both[lives.latest]
    pooled = np.where(lives.repeats | ~lives.several, both[lives.pooled], -6.0)
    long = curves.points[lives.latest] >= _LONG
    latest = np.where(lives.several & ~long, np.minimum(latest, 1.0), latest)
    unlike = lives.several & long & (latest < -_AGAINST) & sees[lives.latest]
    pooled = np.where(unlike, (pooled + latest) / 2, pooled)
    margin = np.maximum(latest, pooled)
    row = np.where(pooled >= latest, lives.pooled, lives.latest)
    rate_floor, error_floor = floor.growth / hours_floor, floor.growth_error / hours_floor
    rate_level, error_level = level.growth / hours_level, level.growth_error / hours_level
    use_floor = (
        error_floor / np.maximum(rate_floor, 1e-9) < error_level / np.maximum(rate_level, 1e-9)
    ) & ok_floor
    rate = np.where(use_floor, rate_floor, rate_level)
    error = np.where(use_floor, error_floor, error_level)
    leak = margin > 0
    chance = 1 / (1 + np.exp(-(_CHANCE_AT_0 + _CHANCE_PER_UNIT * margin)))
    return Growth(leak, chance, rate[row], error[row], row, margin)


def _channel(
    rows: Curves, fits: Fits, curves: Floats, family: Ints, channel_is_floor: bool = False
) -> tuple[Floats, Bools]:
    risen = curves[:, -4:].mean(1) - curves[:, :4].mean(1)
    mid = np.maximum(np.abs(curves).mean(1), 1.0)
    kind = family[fits.growing]
    cycle = kind == Family.LINE_ON_CYCLE
    amount = np.where(cycle, fits.growth, fits.amount)
    same = np.where(kind == Family.SHIFTED_LINE, _SAME_WAY, 0.2)
    blocks = np.median(curves.reshape(len(curves), 8, -1), axis=2)
    given_back = (np.maximum.accumulate(blocks, axis=1) - blocks).max(axis=1)
    coarse = rows.points < _FEW * rows.lives
    if channel_is_floor:
        coarse |= rows.floor_points < 2 * _FEW
    noise = np.maximum(rows.step_noise, fits.residual)
    with np.errstate(divide="ignore", invalid="ignore"):
        ok = (
            (fits.growth > student(SIGNIFICANT, fits.freedom) * fits.growth_error)
            & (amount > MATERIAL * mid)
            & (amount > _OF_SWING * rows.swing)
            & (rows.toothed | (amount > _OF_NOISE * noise))
            & (
                (fits.growth > _SHARE * risen)
                & (risen > same * fits.growth)
                & (given_back < 0.35 * risen + 1.5 * fits.residual)
                | cycle
            )
            & ((jumped(curves) < _JUMPED * risen) | coarse)
        )
    return np.clip(fits.margin, _LEAST, np.where(ok, _MOST, -0.5)), ok


def student(normal: float, freedom: Floats) -> Floats:
    """The quantile of Student's t that corresponds to a quantile of the normal distribution.

    Expansion in powers of 1/freedom (Fisher and Cornish 1960), good to a tenth from three degrees on.
    """
    z, n = normal, np.maximum(freedom, 1.0)
    return np.asarray(z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2))


def jumped(curves: Floats) -> Floats:
    """How much of each curve's lasting rise happened in its four largest jumps, bytes.

    What lasts is the lowest level that the curve comes back to later. A jump is a cell in which that rises by more than six times what cells usually move by (the median deviation, as of a
    normal distribution). A step up moves to another level; it takes many small ones to make a leak.
    """
    lasting = np.diff(np.minimum.accumulate(curves[:, ::-1], axis=1)[:, ::-1], axis=1)
    moved = np.diff(curves, axis=1)
    usual = np.median(moved, axis=1, keepdims=True)
    spread = np.median(np.abs(moved - usual), axis=1, keepdims=True) / 0.6745
    largest = np.sort(lasting, axis=1)[:, -4:]
    return np.where(largest > usual + 6 * spread, largest, 0.0).sum(axis=1)
