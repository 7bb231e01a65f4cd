"""The verdict on a workload: its pods pooled over pods and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memtop.growth.judgement import Judgement, Verdict
from memtop.growth.series import Batch, Floats, Series
from memtop.growth.summary import Summary, summarise
from memtop.growth.verdict import judge_many, judge_summary


def pool(pods: Sequence[Series]) -> Judgement:
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
    singly = list(judge_many(batch))
    cuts, kills = int(batch.restarts.counts().sum()), int(batch.oom_kills.counts().sum())
    together = judge_summary(
        _as_one(summarise(batch)), np.array([np.nan]), np.array([cuts]), np.array([kills])
    )[0]
    found = max([together, *singly], key=_leakiness)
    if together.verdict is Verdict.LEAK:
        # The rate of all is better known than that of any.
        found = replace(together, confidence=found.confidence)
    elif found.verdict is not Verdict.LEAK:
        found = replace(together, verdict=_most_common(singly), confidence=_confidence(singly))
    leaks = found.verdict is Verdict.LEAK
    return replace(
        found,
        seconds_to_limit=_soonest(pods, found.rate) if leaks else None,
        seconds_to_limit_low=_soonest(pods, found.rate_high) if leaks else None,
        seconds_to_limit_high=_soonest(pods, found.rate_low) if leaks else None,
        seconds_per_life=min((one.seconds_per_life for one in singly if one.seconds_per_life), default=None)
        if leaks
        else None,
        window_seconds=together.window_seconds,
        samples=together.samples,
        cuts=cuts,
        oom_kills=kills,
    )


def _leakiness(judgement: Judgement) -> float:
    return judgement.confidence if judgement.verdict is Verdict.LEAK else -1.0


def _weights(judgements: Sequence[Judgement]) -> dict[Verdict, float]:
    weight: dict[Verdict, float] = {}
    for one in judgements:
        # Pods too young to be judged have no vote while there are others.
        votes = one.samples if one.verdict is not Verdict.NOT_ENOUGH_DATA else 1e-9
        weight[one.verdict] = weight.get(one.verdict, 0.0) + votes
    return weight


def _most_common(judgements: Sequence[Judgement]) -> Verdict:
    weight = _weights(judgements)
    return max(weight, key=lambda verdict: weight[verdict])


def _confidence(judgements: Sequence[Judgement]) -> float:
    agreed = [one for one in judgements if one.verdict is _most_common(judgements)]
    return float(
        np.average([one.confidence for one in agreed], weights=[one.samples + 1e-9 for one in agreed])
    )


def _as_one(summary: Summary) -> Summary:
    """All containers' lives as lives of one container, in the order in which they began."""
    lives = len(summary.life_container)
    start = np.full(lives, np.inf)
    np.minimum.at(start, summary.life, summary.time)
    rank = np.empty(lives, np.int64)
    rank[np.argsort(start, kind="stable")] = np.arange(lives)
    order = np.argsort(rank[summary.life], kind="stable")
    newest = int(np.nanargmax(summary.last)) if np.isfinite(summary.last).any() else 0

    def one(value: float) -> Floats:
        return np.array([value])

    return Summary(
        time=summary.time[order],
        low=summary.low[order],
        mean=summary.mean[order],
        high=summary.high[order],
        rough=summary.rough[order],
        lean=summary.lean[order],
        count=summary.count[order],
        life=rank[summary.life][order],
        life_container=np.zeros(lives, np.int64),
        first=one(np.fmin.reduce(summary.first, initial=np.nan)),
        last=one(np.fmax.reduce(summary.last, initial=np.nan)),
        latest=one(summary.latest[newest]),
        samples=np.array([summary.samples.sum()]),
    )


def _soonest(pods: Sequence[Series], rate: float | None) -> float | None:
    """Seconds until the first of ``pods`` reaches its limit at ``rate`` bytes per hour; None for never."""
    if rate is None or rate <= 0:
        return None
    left = [max(pod.limit - pod.values[-1], 0.0) for pod in pods if pod.limit is not None and len(pod.values)]
    return float(min(left)) / rate * 3600.0 if left else None
