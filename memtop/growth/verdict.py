"""The verdict on one container, or on many at once: the same code."""

from __future__ import annotations

import numpy as np

from memtop.growth.judgement import CODES, Judgement, Judgements, Verdict
from memtop.growth.series import Batch, Floats, Ints, Series
from memtop.growth.summary import Summary, summarise

CHUNK = 512
"""Containers judged at a time: few enough that their samples stay in the processor's cache."""


def judge(series: Series) -> Judgement:
    """Judges one container."""
    return judge_many(Batch.of([series]))[0]


def judge_many(batch: Batch) -> Judgements:
    """Judges every container of ``batch``."""
    parts = []
    for first in range(0, max(len(batch), 1), CHUNK):
        part = batch.rows(first, min(first + CHUNK, len(batch)))
        parts.append(
            judge_summary(summarise(part), part.limits, part.restarts.counts(), part.oom_kills.counts())
        )
    return Judgements.joined(parts)


def judge_summary(summary: Summary, limits: Floats, cuts: Ints, oom_kills: Ints) -> Judgements:
    """Judges what is left of the samples after folding.

    Args:
        summary: Buckets of n containers.
        limits: Bytes, shape (n,), NaN for none.
        cuts: Restarts inside the window, shape (n,).
        oom_kills: OOM kills inside the window, shape (n,).
    """
    n = len(summary.samples)
    owner = summary.life_container[summary.life]
    weight = summary.count.astype(float)
    hours = (summary.time - summary.first[owner]) / 3600.0

    def per_life(x: Floats) -> Floats:
        return np.asarray(np.bincount(summary.life, weight * x, len(summary.life_container)), np.float64)

    w = per_life(np.ones(len(owner)))
    ht, lv = per_life(hours) / w, per_life(summary.low) / w
    dt, dv = hours - ht[summary.life], summary.low - lv[summary.life]
    sxx = np.bincount(owner, weight * dt * dt, n)
    sxy = np.bincount(owner, weight * dt * dv, n)
    syy = np.bincount(owner, weight * dv * dv, n)
    with np.errstate(all="ignore"):
        rate = sxy / sxx
        fit = sxy * sxy / (sxx * syy)
        error = np.sqrt((syy - sxy * rate) / np.maximum(summary.samples - 2, 1) / sxx) * 3
    leak = (fit > 0.8) & (rate > 0)
    known = summary.samples >= 12
    codes = np.where(leak, CODES[Verdict.LEAK], CODES[Verdict.STEADY])
    codes = np.where(known, codes, CODES[Verdict.NOT_ENOUGH_DATA])
    nan = np.nan
    with np.errstate(all="ignore"):
        room = np.maximum(limits - summary.latest, 0.0)

        def until(r: Floats) -> Floats:
            return np.asarray(np.where(leak & known & (r > 0), room / r * 3600, nan))

        return Judgements(
            codes.astype(np.uint8),
            np.where(known, np.clip(fit, 0.5, 0.9), 0.5),
            np.where(known, rate, nan),
            np.where(known, rate - 2 * error, nan),
            np.where(known, rate + 2 * error, nan),
            until(rate),
            until(rate + 2 * error),
            until(rate - 2 * error),
            np.nan_to_num(summary.last - summary.first),
            summary.samples,
            cuts,
            oom_kills,
        )
