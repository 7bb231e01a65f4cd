"""The names of what memory does that does not grow for good: warm-up, step, spike, sawtooth, steady."""

from __future__ import annotations

import numpy as np

from memtop.analysis.fits import ShapeFits
from memtop.analysis.judgement import VERDICT_CODES, Verdict
from memtop.analysis.life_curves import LEANING_SKEW, LifeCurves
from memtop.analysis.lives import ContainerCurves
from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.shapes import ShapeFamily, shape_dictionary

NEGLIGIBLE_BYTES, NEGLIGIBLE_SHARE = 2.0 * 2**20, 0.025
"""Movements below 2 MiB, or a fortieth of the memory in use or of the limit, are nothing: an arena, a
thread's stack, a page that came or went."""
STEP_RISE_SHARE = 0.11
"""A rise that takes less than this share of the window is a step; a slower one that ends is a warm-up."""
_PROVEN_EVIDENCE = 4.0
_RETURN_SHARE = 0.3
_MIN_RISE_POINTS = 3.0
_SPREAD_SHARE = 0.25
"""Of even teeth the quartiles are apart by half of the swing and the median is half-way up; half of that is
left for uneven ones."""


def label_shape(lives: ContainerCurves, level: ShapeFits, limits: Floats) -> tuple[Ints, Floats]:
    """Names what every container that has samples does, given that it does not leak.

    In this order, the first that holds of a movement that is not negligible:

    1. *Warm-up*: the latest life, or its lives laid over one another, or the whole rises slowly and levels
    off.
    2. *Step*, *spike*: the uncut series has a shift that stays, or a bulge that comes back.
    3. *Sawtooth*: its steps lean: slow climbs, sudden falls, again and again.
    4. *Spike*: highs far above everything usual.
    5. *Steady*: a rhythm that comes back, which is shown as the others are; and anything else.

    Args:
        lives: The rows of n containers.
        level: Fits of their level curves.
        limits: Bytes, shape (n,), NaN for none.

    Returns:
        The code of each container's verdict, and how clear the choice was, 0..1: how far what decided it is
        beyond its threshold, on a scale that the reliability table (benchmarks/reliability.py) was used to
        set.
    """
    shapes, curves = shape_dictionary(), lives.curves
    family = shapes.family[level.bounded]
    rise = shapes.rise[level.bounded]
    in_use = np.abs(curves.level).mean(axis=1)
    whole = lives.uncut
    limit = np.full(len(in_use), np.nan)
    for row in (lives.latest, lives.pooled, whole):
        limit[row] = limits
    nothing = np.fmax(NEGLIGIBLE_BYTES, NEGLIGIBLE_SHARE * np.fmax(in_use, limit))
    shape = (
        (level.explained > _PROVEN_EVIDENCE) & (level.reach > 0.5 * curves.swing) & (level.reach > nothing)
    )
    moves = curves.swing > nothing
    slow = np.isin(family, (ShapeFamily.RAMP, ShapeFamily.SATURATION)) & shape
    warm = (
        slow
        & (level.change > 0)
        & (rise >= np.maximum(STEP_RISE_SHARE, _MIN_RISE_POINTS * curves.lives / curves.points))
    )
    warmup = warm[lives.latest] | (warm[lives.pooled] & lives.repeats) | warm[lives.uncut]
    back = np.abs(level.change) < _RETURN_SHARE * level.reach
    bump = shape & np.isin(family, (ShapeFamily.BUMP, ShapeFamily.STEPS)) & back
    spike = bump & (level.bulge > 0)
    step = (slow & ~warm) | (
        shape & np.isin(family, (ShapeFamily.STEP, ShapeFamily.STEPS, ShapeFamily.BUMP)) & ~back
    )
    proof = level.explained / _PROVEN_EVIDENCE
    held = np.stack(
        [
            warmup,
            step[whole],
            spike[whole],
            (has_leaning_steps(curves) & ~shape & is_often_between(curves) & moves)[whole],
            (has_rare_peaks(curves) & (curves.peak > nothing))[whole],
            (shape & (family == ShapeFamily.CYCLE))[whole],
        ]
    )
    beyond = np.stack(
        [
            np.maximum(
                proof[lives.latest] * warm[lives.latest], np.maximum(proof[lives.pooled], proof[whole])
            ),
            proof[whole],
            proof[whole],
            (curves.skew / _skew_by_chance(curves) * moves)[whole],
            (curves.peak / np.maximum(6 * curves.band, 1.0))[whole],
            proof[whole],
        ]
    )
    names = (
        Verdict.WARMUP,
        Verdict.STEP,
        Verdict.SPIKE,
        Verdict.SAWTOOTH,
        Verdict.SPIKE,
        Verdict.STEADY,
    )
    codes = np.select(
        list(held), [VERDICT_CODES[verdict] for verdict in names], VERDICT_CODES[Verdict.STEADY]
    )
    clear = np.select(list(held), list(1 - 0.35 * np.exp(1 - beyond)), 0.0)
    # Nothing held: steady, and the clearer the further everything is from holding.
    nearest = np.clip(np.maximum((proof * moves)[whole], beyond[3]), 0.0, 1.0)
    return codes, np.where(held.any(axis=0), clear, 1 - 0.35 * nearest**2)


def has_leaning_steps(curves: LifeCurves) -> Bools:
    """Rows whose steps lean further than chance: 2.5 standard errors of a normal sample's skewness."""
    return curves.skew < _skew_by_chance(curves)


def is_often_between(curves: LifeCurves) -> Bools:
    """Rows that are between their floor and their peaks for much of the time, as teeth are.

    Their median is a quarter of the way up; or, where small teeth follow large ones, memory turns again and
    again and its quartiles are apart by a fair part of the whole swing. Batches stay on the floor for most of
    the time: their quartiles are not apart.
    """
    spread = curves.toothed & (curves.band > _SPREAD_SHARE * curves.swing)
    return np.asarray((curves.middle > _SPREAD_SHARE) | spread)


def _skew_by_chance(curves: LifeCurves) -> Floats:
    return np.minimum(LEANING_SKEW, -2.5 * np.sqrt(6.0 / np.maximum(curves.samples - 1, 1)))


def has_rare_peaks(curves: LifeCurves) -> Bools:
    """Rows with highs far outside of where nine tenths of their samples are."""
    return np.asarray((curves.peak > 6 * curves.band) & (curves.peak > 6 * curves.noise))
