"""The verdict on one container, on many at once, or on the pods of a workload pooled over pods and restarts.

Also here: the names of what memory does that does not grow for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from memtop.analysis.fits import ShapeFits, fit_shapes
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
    leak_confidence,
)
from memtop.analysis.leak import NEAR_FACTOR, UNDECIDED_CHANCE, forecast_limit, weigh_growth
from memtop.analysis.life_curves import LEANING_SKEW, LifeCurves
from memtop.analysis.lives import ContainerCurves, lay_out_lives
from memtop.analysis.memory_deaths import (
    MemoryDeaths,
    count_memory_deaths,
    weigh_life_ends,
)
from memtop.analysis.memory_series import Batch, Bools, Floats, HeapFill, Ints, KnownEnds, Series
from memtop.analysis.sample_summary import SampleSummary, summarise_samples
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
_LOOP_CONFIDENCE = (0.99, 0.9)
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
    confidence[looping] = np.where(deaths.count >= MIN_MEMORY_DEATHS, *_LOOP_CONFIDENCE)[looping]
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


def judge_pooled(pods: Sequence[Series]) -> Judgement:
    """Judges the pods of one revision of a workload together.

    A leak belongs to the workload: pods come and go, each with a part of the ramp. So the lives of all pods
    are laid over one another by age, as those of one container that restarts are; and a leak found in any
    single pod is the workload's too. Without a leak, the workload does what most of its samples were judged
    to do.

    Args:
        pods: One series per container that plays the same part; another revision is another call.

    Returns:
        The verdict; its time to limit is that of the pod that gets there first.
    """
    if not pods:
        return Judgement(Verdict.NOT_ENOUGH_DATA, 1.0)
    batch = Batch.of(pods)
    singly = list(judge_batch(batch))
    cuts, kills = int(batch.restarts.counts().sum()), int(batch.oom_kills.counts().sum())
    starts = [pod.started_at for pod in pods if pod.started_at is not None]
    as_one, running = _as_one_container(summarise_samples(batch))
    together = judge_summary(
        as_one,
        np.array([np.nan]),
        np.array([cuts]),
        np.array([kills]),
        started_at=np.array([min(starts)]) if len(starts) == len(pods) else None,
        running=running,
    )[0]
    found = max([together, *singly], key=leak_confidence)
    if together.verdict is Verdict.LEAK:
        # The rate of all is better known than that of any.
        found = replace(together, confidence=found.confidence)
    elif found.verdict is not Verdict.LEAK:
        found = replace(together, verdict=_most_common(singly), confidence=_confidence(singly))
    loops = [one for one in singly if one.verdict is Verdict.OOM_LOOP]
    evictions = sum(one.evictions for one in singly)
    if leak_confidence(found) < SURE_CONFIDENCE:
        if loops:
            found = max(loops, key=lambda one: one.memory_deaths)
        elif evictions >= MIN_MEMORY_DEATHS:  # an evicted pod never starts again: another takes its place
            found = Judgement(Verdict.OOM_LOOP, _LOOP_CONFIDENCE[0])
    leaks = found.verdict is Verdict.LEAK
    return replace(
        found,
        seconds_to_limit=_seconds_to_first_limit(pods, found.rate) if leaks else None,
        seconds_to_limit_low=_seconds_to_first_limit(pods, found.rate_high) if leaks else None,
        seconds_to_limit_high=_seconds_to_first_limit(pods, found.rate_low) if leaks else None,
        seconds_per_life=min((one.seconds_per_life for one in singly if one.seconds_per_life), default=None)
        if leaks
        else found.seconds_per_life,
        memory_deaths=sum(one.memory_deaths for one in singly),
        heap_deaths=sum(one.heap_deaths for one in singly),
        evictions=evictions,
        unexplained_ends=sum(one.unexplained_ends for one in singly),
        seconds_lived=_median_of(one.seconds_lived for one in singly),
        death_level=_median_of(one.death_level for one in singly),
        limit=max((pod.limit for pod in pods if pod.limit is not None), default=None),
        window_seconds=together.window_seconds,
        samples=together.samples,
        cuts=cuts,
        oom_kills=kills,
    )


def _median_of(known: Iterable[float | None]) -> float | None:
    values = [one for one in known if one is not None]
    return float(np.median(values)) if values else None


def _votes(judgements: Sequence[Judgement]) -> dict[Verdict, float]:
    weight: dict[Verdict, float] = {}
    for one in judgements:
        # Pods too young to be judged have no vote while there are others.
        votes = one.samples if one.verdict is not Verdict.NOT_ENOUGH_DATA else 1e-9
        weight[one.verdict] = weight.get(one.verdict, 0.0) + votes
    return weight


def _most_common(judgements: Sequence[Judgement]) -> Verdict:
    weight = _votes(judgements)
    return max(weight, key=lambda verdict: weight[verdict])


def _confidence(judgements: Sequence[Judgement]) -> float:
    agreed = [one for one in judgements if one.verdict is _most_common(judgements)]
    return float(
        np.average([one.confidence for one in agreed], weights=[one.samples + 1e-9 for one in agreed])
    )


def _as_one_container(summary: SampleSummary) -> tuple[SampleSummary, Bools]:
    """All containers' lives as lives of one container, in the order in which they began; and which go on."""
    lives = len(summary.life_container)
    start = np.full(lives, np.inf)
    np.minimum.at(start, summary.life, summary.time)
    rank = np.empty(lives, np.int64)
    rank[np.argsort(start, kind="stable")] = np.arange(lives)
    running = np.zeros(lives, np.bool_)
    running[rank] = np.append(summary.life_container[1:] != summary.life_container[:-1], [True] * (lives > 0))
    order = np.argsort(rank[summary.life], kind="stable")
    newest = int(np.nanargmax(summary.last)) if np.isfinite(summary.last).any() else 0

    def one(value: float) -> Floats:
        return np.array([value])

    whole = SampleSummary(
        time=summary.time[order],
        low=summary.low[order],
        mean=summary.mean[order],
        high=summary.high[order],
        squared_steps=summary.squared_steps[order],
        cubed_steps=summary.cubed_steps[order],
        count=summary.count[order],
        life=rank[summary.life][order],
        life_container=np.zeros(lives, np.int64),
        first=one(np.fmin.reduce(summary.first, initial=np.nan)),
        last=one(np.fmax.reduce(summary.last, initial=np.nan)),
        latest=one(summary.latest[newest]),
        samples=np.array([summary.samples.sum()]),
    )
    return whole, running


def _seconds_to_first_limit(pods: Sequence[Series], rate: float | None) -> float | None:
    """Seconds until the first of ``pods`` reaches its limit at ``rate`` bytes per hour; None for never."""
    if rate is None or rate <= 0:
        return None
    left = [max(pod.limit - pod.values[-1], 0.0) for pod in pods if pod.limit is not None and len(pod.values)]
    return float(min(left)) / rate * 3600.0 if left else None
