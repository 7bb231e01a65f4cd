"""What memory does that does not grow for good."""

from __future__ import annotations

import numpy as np

from memtop.growth.curves import LEANING, Curves
from memtop.growth.fits import Fits
from memtop.growth.judgement import CODES, Verdict
from memtop.growth.leak import MATERIAL
from memtop.growth.lives import Lives
from memtop.growth.series import Bools, Ints
from memtop.growth.shapes import Family, dictionary

INSTANT = 0.11
"""A rise that takes less than this share of the window is a step; a slower one that ends is a warm-up."""
_PROVEN = 4.0
_RETURNS = 0.3
_FEW = 3.0


def label(lives: Lives, level: Fits) -> Ints:
    """Names what every container that has samples does, given that it does not leak.

    In this order, the first that holds:

    1. *Warm-up*: the latest life, or its lives laid over one another, or the whole rises slowly and levels off.
    2. *Step*, *spike*: the uncut series has a shift that stays, or a bulge that comes back.
    3. *Sawtooth*: its steps lean: slow climbs, sudden falls, again and again.
    4. *Spike*: highs far above everything usual.
    5. *Steady*: anything else, a daily rhythm included.
    """
    shapes, curves = dictionary(), lives.curves
    family = shapes.family[level.bounded]
    rise = shapes.rise[level.bounded]
    shape = (
        (level.explained > _PROVEN)
        & (level.reach > 0.5 * curves.swing)
        & (level.reach > MATERIAL * np.abs(curves.level).mean(axis=1))
    )
    slow = np.isin(family, (Family.RAMP, Family.SATURATION)) & shape
    warm = slow & (level.change > 0) & (rise >= np.maximum(INSTANT, _FEW * curves.lives / curves.points))
    warmup = warm[lives.latest] | (warm[lives.pooled] & lives.repeats) | warm[lives.whole]
    back = np.abs(level.change) < _RETURNS * level.reach
    bump = shape & np.isin(family, (Family.BUMP, Family.STEPS)) & back
    spike = bump & (level.bulge > 0)
    step = (slow & ~warm) | (shape & np.isin(family, (Family.STEP, Family.STEPS, Family.BUMP)) & ~back)
    choices = [
        (Verdict.WARMUP, warmup),
        (Verdict.STEP, step[lives.whole]),
        (Verdict.SPIKE, spike[lives.whole]),
        (Verdict.SAWTOOTH, (leaning(curves) & ~shape & (curves.middle > 0.25))[lives.whole]),
        (Verdict.SPIKE, rare(curves)[lives.whole]),
    ]
    return np.select(
        [held for _, held in choices], [CODES[verdict] for verdict, _ in choices], CODES[Verdict.STEADY]
    )


def leaning(curves: Curves) -> Bools:
    """Rows whose steps lean further than chance: 2.5 standard errors of a normal sample's skewness."""
    steps = np.maximum(curves.samples - 1, 1)
    return curves.skew < np.minimum(LEANING, -2.5 * np.sqrt(6.0 / steps))


def rare(curves: Curves) -> Bools:
    """Rows with highs far outside of where nine tenths of their samples are."""
    material = curves.peak > MATERIAL * np.abs(curves.level).mean(axis=1)
    return (curves.peak > 6 * curves.band) & (curves.peak > 6 * curves.noise) & material
