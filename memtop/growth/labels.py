"""What memory does that does not grow for good."""

from __future__ import annotations

import numpy as np

from memtop.growth.curves import LEANING, Curves
from memtop.growth.fits import Fits
from memtop.growth.judgement import CODES, Verdict
from memtop.growth.lives import Lives
from memtop.growth.series import Bools, Floats, Ints
from memtop.growth.shapes import Family, dictionary

NEGLIGIBLE, NEGLIGIBLE_SHARE = 2.0 * 2**20, 0.025
"""Movements below 2 MiB, or a fortieth of the memory in use or of the limit, are nothing: an arena, a
thread's stack, a page that came or went."""
INSTANT = 0.11
"""A rise that takes less than this share of the window is a step; a slower one that ends is a warm-up."""
_PROVEN = 4.0
_RETURNS = 0.3
_FEW = 3.0


def label(lives: Lives, level: Fits, limits: Floats) -> tuple[Ints, Floats]:
    """Names what every container that has samples does, given that it does not leak.

    In this order, the first that holds of a movement that is not negligible:

    1. *Warm-up*: the latest life, or its lives laid over one another, or the whole rises slowly and levels
    off.
    2. *Step*, *spike*: the uncut series has a shift that stays, or a bulge that comes back.
    3. *Sawtooth*: its steps lean: slow climbs, sudden falls, again and again.
    4. *Spike*: highs far above everything usual.
    5. *Steady*: anything else, a daily rhythm included.

    Args:
        lives: The rows of n containers.
        level: Fits of their level curves.
        limits: Bytes, shape (n,), NaN for none.

    Returns:
        The code of each container's verdict, and how clear the choice was, 0..1: how far what decided it is
        beyond its threshold, on a scale that the reliability table (benchmarks/reliability.py) was used to
        set.
    """
    shapes, curves = dictionary(), lives.curves
    family = shapes.family[level.bounded]
    rise = shapes.rise[level.bounded]
    in_use = np.abs(curves.level).mean(axis=1)
    whole = lives.whole
    limit = np.full(len(in_use), np.nan)
    for row in (lives.latest, lives.pooled, whole):
        limit[row] = limits
    nothing = np.fmax(NEGLIGIBLE, NEGLIGIBLE_SHARE * np.fmax(in_use, limit))
    shape = (level.explained > _PROVEN) & (level.reach > 0.5 * curves.swing) & (level.reach > nothing)
    moves = curves.swing > nothing
    slow = np.isin(family, (Family.RAMP, Family.SATURATION)) & shape
    warm = slow & (level.change > 0) & (rise >= np.maximum(INSTANT, _FEW * curves.lives / curves.points))
    warmup = warm[lives.latest] | (warm[lives.pooled] & lives.repeats) | warm[lives.whole]
    back = np.abs(level.change) < _RETURNS * level.reach
    bump = shape & np.isin(family, (Family.BUMP, Family.STEPS)) & back
    spike = bump & (level.bulge > 0)
    step = (slow & ~warm) | (shape & np.isin(family, (Family.STEP, Family.STEPS, Family.BUMP)) & ~back)
    proof = level.explained / _PROVEN
    held = np.stack(
        [
            warmup,
            step[whole],
            spike[whole],
            (leaning(curves) & ~shape & (curves.middle > 0.25) & moves)[whole],
            (rare(curves) & (curves.peak > nothing))[whole],
        ]
    )
    beyond = np.stack(
        [
            np.maximum(
                proof[lives.latest] * warm[lives.latest], np.maximum(proof[lives.pooled], proof[whole])
            ),
            proof[whole],
            proof[whole],
            (curves.skew / _most_by_chance(curves) * moves)[whole],
            (curves.peak / np.maximum(6 * curves.band, 1.0))[whole],
        ]
    )
    names = (Verdict.WARMUP, Verdict.STEP, Verdict.SPIKE, Verdict.SAWTOOTH, Verdict.SPIKE)
    codes = np.select(list(held), [CODES[verdict] for verdict in names], CODES[Verdict.STEADY])
    clear = np.select(list(held), list(1 - 0.35 * np.exp(1 - beyond)), 0.0)
    # Nothing held: steady, and the clearer the further everything is from holding.
    nearest = np.clip(np.maximum((proof * moves)[whole], beyond[3]), 0.0, 1.0)
    return codes, np.where(held.any(axis=0), clear, 1 - 0.35 * nearest**2)


def leaning(curves: Curves) -> Bools:
    """Rows whose steps lean further than chance: 2.5 standard errors of a normal sample's skewness."""
    return curves.skew < _most_by_chance(curves)


def _most_by_chance(curves: Curves) -> Floats:
    return np.minimum(LEANING, -2.5 * np.sqrt(6.0 / np.maximum(curves.samples - 1, 1)))


def rare(curves: Curves) -> Bools:
    """Rows with highs far outside of where nine tenths of their samples are."""
    return np.asarray((curves.peak > 6 * curves.band) & (curves.peak > 6 * curves.noise))
