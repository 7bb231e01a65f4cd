"""The verdict on one container, or on many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memtop.analysis.fits import fit_shapes
from memtop.analysis.judgement import (
    LEAK_CODE,
    MIN_MEMORY_DEATHS,
    MIN_SAMPLES,
    OOM_LOOP_CODE,
    SURE_CONFIDENCE,
    UNJUDGED_CODE,
    VERDICT_CODES,
    Judgement,
    Judgements,
    Verdict,
)
from memtop.analysis.leak import NEAR_FACTOR, UNDECIDED_CHANCE, forecast_limit, weigh_growth
from memtop.analysis.lives import lay_out_lives
from memtop.analysis.memory_deaths import MemoryDeaths, count_memory_deaths, weigh_life_ends
from memtop.analysis.memory_series import Batch, Bools, Floats, HeapFill, Ints, KnownEnds, Series
from memtop.analysis.sample_summary import SampleSummary, summarise_samples
from memtop.analysis.shape_labels import label_shape

CONTAINERS_PER_CHUNK = 256
"""Containers judged at a time: few enough that their samples stay in the processor's cache."""
MIN_WINDOW_SECONDS = 600.0
"""A window of fewer seconds clears nobody; it only shows growth that is plain to see."""
PLAIN_GROWTH_SHARE = 0.05
"""Growth by this share of the memory in use is plain to see."""
FIRST_SECONDS = 3 * 3600.0
"""A process this young is still starting: caches fill, code is compiled. Prometheus writes its first block to
disk after three hours (one and a half times a block's two), and grows until then."""
_FORECAST_COLUMNS = (
    "rate",
    "rate_low",
    "rate_high",
    "seconds_to_limit",
    "seconds_to_limit_low",
    "seconds_to_limit_high",
    "seconds_per_life",
)
LOOP_CONFIDENCE = (0.99, 0.9)
"""Three deaths are facts; one, and restarts nobody explained, leave a doubt."""
_FULL_HEAP_CONFIDENCE = (0.9, 0.5)
"""Of a leak where memory grew until the heap was full, and where that was not seen."""
_ALIKE_LIVES = 1.5
"""Lives are alike when the longest is at most so many times as long as the shortest."""


def judge_series(series: Series) -> Judgement:
    """Judges one container."""
    return judge_batch(Batch.of([series]))[0]


def judge_batch(batch: Batch) -> Judgements:
    """Judges every container of ``batch``."""
    parts = []
    for first in range(0, max(len(batch), 1), CONTAINERS_PER_CHUNK):
        part = batch.rows(first, min(first + CONTAINERS_PER_CHUNK, len(batch)))
        parts.append(_judge_part(part))
    return Judgements.joined(parts)


def _judge_part(batch: Batch) -> Judgements:
    summary = summarise_samples(batch)
    n = len(batch)
    deaths = None
    if batch.ends is not None and len(batch.ends.causes):
        deaths = count_memory_deaths(
            batch.ends,
            batch.restarts,
            np.zeros(n, np.int64) if batch.restart_count is None else batch.restart_count,
            np.full(n, np.nan) if batch.started_at is None else batch.started_at,
            summary.last,
        )
    judged = judge_summary(
        summary,
        batch.limits,
        batch.restarts.counts(),
        batch.oom_kills.counts(),
        batch.ends,
        deaths,
        batch.started_at,
    )
    _judge_full_heaps(judged, batch.full_heaps)
    return judged if batch.declared_limits is None else replace(judged, limit=batch.declared_limits)


def _judge_full_heaps(judged: Judgements, heaps: Sequence[HeapFill | None]) -> None:
    """Has what its full heap keeps from growing be a leak, and no warm-up that has come to its end.

    A runtime whose collections find nothing to free any more will die of it, whatever its memory looks like:
    a JVM is flat at its ``-Xmx`` for minutes before. Where it was not seen to grow before, the heap may as
    well be too small, so that a leak is only suspected.
    """
    for row, heap in enumerate(heaps):
        if heap is None:
            continue
        judged.heap_live[row], judged.heap_size[row] = heap.live, heap.size
        judged.collecting[row] = np.nan if heap.collecting is None else heap.collecting
        if judged.codes[row] in (LEAK_CODE, OOM_LOOP_CODE):
            continue
        grew = judged.codes[row] in (VERDICT_CODES[Verdict.WARMUP], VERDICT_CODES[Verdict.STEP])
        judged.codes[row], judged.confidence[row] = LEAK_CODE, _FULL_HEAP_CONFIDENCE[not grew]
        for name in _FORECAST_COLUMNS:
            getattr(judged, name)[row] = np.nan


def judge_summary(
    summary: SampleSummary,
    limits: Floats,
    cuts: Ints,
    oom_kills: Ints,
    ends: KnownEnds | None = None,
    deaths: MemoryDeaths | None = None,
    started_at: Floats | None = None,
    *,
    running: Bools | None = None,
) -> Judgements:
    """Judges what is left of the samples after folding.

    What runs out of memory again and again is a leak if it was plainly seen to grow, else an *OOM loop*,
    whatever its few samples look like.

    Args:
        summary: Buckets of n containers.
        limits: Bytes, shape (n,), NaN for none.
        cuts: Restarts inside the window, shape (n,).
        oom_kills: OOM kills inside the window, shape (n,).
        ends: The ends whose cause is known; None if no more is known than `oom_kills`.
        deaths: How often each ran out of memory; None if nobody did.
        started_at: Start of each present life, Unix seconds, shape (n,), NaN where unknown; None for all.
        running: Lives that go on, shape (lives,), where lives of one container are those of pods beside one
            another: that all of them grow after a start is no repetition. None if each has one at most.
    """
    n = len(summary.samples)
    deaths = MemoryDeaths.none(n) if deaths is None else deaths
    codes = np.full(n, UNJUDGED_CODE, np.uint8)
    confidence = np.ones(n)
    columns = {name: np.full(n, np.nan) for name in _FORECAST_COLUMNS}
    level, lived = np.full(n, np.nan), deaths.seconds_lived.copy()
    if len(summary.time):
        lives = lay_out_lives(summary)
        curves = lives.curves
        floor = fit_shapes(curves.floor, curves.floor_points, curves.end - curves.start)
        level_fits = fit_shapes(curves.level, curves.points, curves.level_end - curves.level_start)
        seen = lives.container[lives.latest]
        endings = weigh_life_ends(summary, limits, oom_kills, ends, running)
        ended = endings.of(seen)
        reached = np.where(np.isfinite(endings.level), endings.level, limits)
        room = np.maximum(reached - summary.latest, 0.0)[seen]
        growth = weigh_growth(lives, floor, level_fits, ended, room)
        names, clear = label_shape(lives, level_fits, limits[seen])
        window = (summary.last - summary.first)[seen]
        plain = growth.leak & (growth.rate * window / 3600.0 > PLAIN_GROWTH_SHARE * summary.latest[seen])
        known = (summary.samples[seen] >= MIN_SAMPLES) & ((window >= MIN_WINDOW_SECONDS) | plain)
        known |= ended.log_odds > 0
        ahead = forecast_limit(summary, lives, growth, reached)
        if started_at is not None:
            # A warm-up, too, grows after every start, but not until it ends.
            repeated = ended.log_odds > 0
            since = _seconds_since_start(summary, started_at)[seen]
            young = growth.leak & ~repeated & is_young(since, ahead.seconds_to_limit)
            growth = replace(
                growth, chance=np.where(young, np.fmin(growth.chance, UNDECIDED_CHANCE), growth.chance)
            )
            known &= ~(young & (since < MIN_WINDOW_SECONDS))
        codes[seen[known]] = np.where(growth.leak, LEAK_CODE, names)[known]
        confidence[seen[known]] = np.where(growth.leak, growth.chance, (1 - growth.chance) * clear)[known]
        level[seen[known]] = ended.level[known]
        lived = np.where(np.isfinite(lived), lived, endings.seconds_lived)
        for name, column in columns.items():
            column[seen[known]] = getattr(ahead, name)[known]
        age = endings.age
        if started_at is not None:
            age = np.where(np.isfinite(started_at), np.maximum(summary.last - started_at, 0.0), age)
        _forecast_death(columns, codes == LEAK_CODE, deaths, lived, np.isfinite(level), age)
    looping = deaths.repeated & ~((codes == LEAK_CODE) & (confidence >= SURE_CONFIDENCE))
    codes[looping] = OOM_LOOP_CODE
    confidence[looping] = np.where(deaths.count >= MIN_MEMORY_DEATHS, *LOOP_CONFIDENCE)[looping]
    for name, column in columns.items():
        column[looping] = lived[looping] if name == "seconds_per_life" else np.nan
    return Judgements(
        codes=codes,
        confidence=confidence,
        **columns,
        window_seconds=np.nan_to_num(summary.last - summary.first),
        samples=summary.samples,
        cuts=cuts,
        oom_kills=oom_kills,
        memory_deaths=deaths.count,
        heap_deaths=deaths.heap_limit,
        evictions=deaths.evictions,
        heap_live=np.full(n, np.nan),
        heap_size=np.full(n, np.nan),
        collecting=np.full(n, np.nan),
        stalled=np.full(n, np.nan),
        child_kills=np.full(n, np.nan),
        swapped=np.full(n, np.nan),
        unexplained_ends=deaths.unexplained,
        seconds_lived=lived,
        death_level=level,
        limit=limits,
    )


def _seconds_since_start(summary: SampleSummary, started_at: Floats) -> Floats:
    """Seconds from the start of the life that the last sample is of to that sample, NaN where not known.

    A start after the last sample says nothing of the samples. They are of the life before, which is at least
    as old as they show.
    """
    begin = np.full(len(started_at), np.nan)
    first = np.flatnonzero(np.append(True, summary.life[1:] != summary.life[:-1])[: len(summary.life)])
    begin[summary.life_container] = summary.time[first]  # the latest life of each is written last
    lives = np.bincount(summary.life_container, minlength=len(started_at))
    begin[lives < 2] = np.nan
    return np.where(started_at > summary.last, summary.last - begin, summary.last - started_at)


def is_young(age: Floats, seconds_to_limit: Floats) -> Bools:
    """Whether the first start of a process explains its growth, unless it reaches the limit before long.

    Args:
        age: Seconds since its start, NaN where unknown: then nothing is explained by it.
        seconds_to_limit: At its present rate, NaN for never.
    """
    near = seconds_to_limit < NEAR_FACTOR * age
    return np.asarray((age < FIRST_SECONDS) & ~near)


def _forecast_death(
    columns: dict[str, Floats],
    leaks: Bools,
    deaths: MemoryDeaths,
    lived: Floats,
    below_limit: Bools,
    age: Floats,
) -> None:
    """Has what dies below its limit end when it did before, from its start on, where its lives are alike.

    Its level says little of when: a full heap is flat for minutes before the runtime gives up.
    """
    alike = ~(deaths.longest > _ALIKE_LIVES * deaths.shortest)
    due = leaks & below_limit & np.isfinite(lived) & alike & (age < _ALIKE_LIVES * lived)
    for name, length in (
        ("seconds_to_limit", lived),
        ("seconds_to_limit_low", np.fmin(deaths.shortest, lived)),
        ("seconds_to_limit_high", np.fmax(deaths.longest, lived)),
    ):
        columns[name][due] = np.maximum(length - age, 0.0)[due]
    ends = leaks & below_limit & np.isfinite(lived)
    columns["seconds_per_life"][ends] = lived[ends]
