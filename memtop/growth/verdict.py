"""The verdict on one container, or on many at once: the same code."""

from __future__ import annotations

import numpy as np

from memtop.growth.deaths import deaths
from memtop.growth.fits import fit
from memtop.growth.forecast import forecast
from memtop.growth.judgement import CODES, Judgement, Judgements, Verdict
from memtop.growth.labels import label
from memtop.growth.leak import growth_evidence
from memtop.growth.lives import lay_out
from memtop.growth.series import Batch, Floats, Ints, Series
from memtop.growth.summary import Summary, summarise

CHUNK = 256
"""Containers judged at a time: few enough that their samples stay in the processor's cache."""
FEWEST_SAMPLES = 12
"""Below this nothing is said."""
SHORTEST = 600.0
"""A window of fewer seconds clears nobody; it only shows growth that is plain to see."""
PLAIN = 0.05
"""Growth by this share of the memory in use is plain to see."""
_FORECAST = (
    "rate",
    "rate_low",
    "rate_high",
    "seconds_to_limit",
    "seconds_to_limit_low",
    "seconds_to_limit_high",
    "seconds_per_life",
)


def judge(series: Series) -> Judgement:
    """Judges one container."""
    return judge_many(Batch.of([series]))[0]


def judge_many(batch: Batch) -> Judgements:
    """Judges every container of ``batch``."""
    parts = []
    for first in range(0, max(len(batch), 1), CHUNK):
        part = batch.rows(first, min(first + CHUNK, len(batch)))
        cuts, oom_kills = part.restarts.counts(), part.oom_kills.counts()
        parts.append(judge_summary(summarise(part), part.limits, cuts, oom_kills))
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
    codes = np.full(n, CODES[Verdict.NOT_ENOUGH_DATA], np.uint8)
    confidence = np.ones(n)
    columns = {name: np.full(n, np.nan) for name in _FORECAST}
    if len(summary.time):
        lives = lay_out(summary)
        curves = lives.curves
        floor = fit(curves.floor, curves.floor_points, curves.end - curves.start)
        level = fit(curves.level, curves.points, curves.level_end - curves.level_start)
        seen = lives.container[lives.latest]
        ends = deaths(summary, limits, oom_kills).of(seen)
        growth = growth_evidence(lives, floor, level, ends)
        names, clear = label(lives, level, limits[seen])
        window = (summary.last - summary.first)[seen]
        plain = growth.leak & (growth.rate * window / 3600.0 > PLAIN * summary.latest[seen])
        known = (summary.samples[seen] >= FEWEST_SAMPLES) & ((window >= SHORTEST) | plain)
        known |= ends.log_odds > 0
        codes[seen[known]] = np.where(growth.leak, CODES[Verdict.LEAK], names)[known]
        confidence[seen[known]] = np.where(growth.leak, growth.chance, (1 - growth.chance) * clear)[known]
        ahead = forecast(summary, lives, growth, limits)
        for name, column in columns.items():
            column[seen[known]] = getattr(ahead, name)[known]
    return Judgements(
        codes=codes,
        confidence=confidence,
        **columns,
        window_seconds=np.nan_to_num(summary.last - summary.first),
        samples=summary.samples,
        cuts=cuts,
        oom_kills=oom_kills,
    )
