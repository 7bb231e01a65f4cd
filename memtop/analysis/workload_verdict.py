"""The verdict on a workload: the lives of its pods laid over one another, as if they were one container's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from memtop.analysis.judgement import (
    MIN_MEMORY_DEATHS,
    SURE_CONFIDENCE,
    Judgement,
    Verdict,
    leak_confidence,
)
from memtop.analysis.memory_series import Batch, Bools, Floats, Series
from memtop.analysis.sample_summary import SampleSummary, summarise_samples
from memtop.analysis.verdict import LOOP_CONFIDENCE, judge_batch, judge_summary


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
            found = Judgement(Verdict.OOM_LOOP, LOOP_CONFIDENCE[0])
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
