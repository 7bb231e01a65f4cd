"""The fitted floor as a line, to be drawn under the samples it was judged by."""

from __future__ import annotations

import numpy as np

from memtop.growth.judgement import Judgement, Verdict
from memtop.growth.series import Batch, Floats, Series
from memtop.growth.summary import summarise

FEWEST_POINTS = 3
"""A life of fewer buckets has no line."""
_UNDER = 0.1
_LEVEL = (Verdict.LEAK, Verdict.SAWTOOTH, Verdict.STEADY)


def floor_line(series: Series, judgement: Judgement) -> tuple[Floats, Floats] | None:
    """The floor that a judgement speaks of.

    A line of the judged rate under the samples of a life: nine in ten of its buckets are above it. A leak has
    one under every life, for its rate was made from all; what does not grow has one under its latest.

    Args:
        series: The samples to draw it under.
        judgement: What was judged of them, or of the same container by another metric.

    Returns:
        Unix seconds, ascending, and bytes: two points for each life, and between two lives one whose value is
        NaN; both of shape (3 × lives − 1,). None where there is no floor: too little data, no rate, or a
        level that shifted.
    """
    if judgement.rate is None or judgement.verdict not in _LEVEL:
        return None
    summary = summarise(Batch.of([series]))
    lives = range(len(summary.life_container))
    slope = judgement.rate / 3600.0
    times: list[float] = []
    values: list[float] = []
    for life in lives if judgement.verdict is Verdict.LEAK else lives[-1:]:
        mine = summary.life == life
        if np.count_nonzero(mine) < FEWEST_POINTS:
            continue
        time, low = summary.time[mine], summary.low[mine]
        base = float(np.quantile(low - slope * (time - time[0]), _UNDER))
        rise = slope * float(time[-1] - time[0])
        if times:
            times.append((times[-1] + float(time[0])) / 2)
            values.append(np.nan)
        times += [float(time[0]), float(time[-1])]
        values += [max(base, 0.0), max(base + rise, 0.0)]
    return (np.array(times), np.array(values)) if times else None
