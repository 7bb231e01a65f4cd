"""What the samples of each side of a change say, and what has to be waited for before growth is excluded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memtop.analysis import stability_statistics as slopes
from memtop.analysis.judgement import Judgement
from memtop.analysis.judgement import Verdict as Shape
from memtop.analysis.leak import SHORT_SECONDS
from memtop.analysis.memory_series import Batch, Series
from memtop.analysis.stability_evidence import ChangeEvidence, PendingWait, SideFigures
from memtop.analysis.stability_statistics import (
    DAY,
    HOUR,
    NORMAL_95,
    NORMAL_99,
    EndStatistics,
    FloorSlope,
    ObservedLives,
    count_ends,
)
from memtop.analysis.verdict import judge_batch
from memtop.analysis.workload_verdict import judge_pooled

MAX_GROWTH_LEFT = 0.5
"""A fix must have taken away more than half of the old growth, with 99 %; growth that is left all the same is
found as a leak of its own."""
SURE_ERRORS = NORMAL_99 + 1.645
"""Standard errors that `MAX_GROWTH_LEFT` of the old growth must be away from none: then a fix that works is
seen to work with 95 %, and growth as of old would have to deviate by twice as many to pass."""
SURE_ERRORS_OF_BEST = 2.935 + 1.645
"""The same where the best of several stretches is taken (99 % over six of them, Bonferroni)."""
MATERIAL_GROWTH_SHARE = 0.02
"""The old growth must have made so much of the memory in use: less is rounding and fragmentation."""
DAILY_RHYTHM_SHARE = 0.02
"""Share of the memory in use that a daily rhythm may move in an hour, where nobody has seen a day of it."""
UNKNOWN_HORIZON = DAY
"""Where nothing is known to compare with, growth that reaches the limit within a day must be excluded."""
WARM_UP_AGES = (0.0, 300.0, 900.0, 2700.0, 7200.0, 21600.0)
"""Ages, in seconds, from which on the floor may be judged: what comes before may be a warm-up."""
MIN_REGULARITY = 4
"""How regular the ends of a leak are at least: what grows until it dies does not die at random (a spread of
half a life)."""
ENOUGH_LOAD_SHARE, IDLE_LOAD_SHARE = 0.5, 0.1
"""Below the first share of the old load it is not believed that a leak would show in proportion, and a day is
waited for: an idle Java or Node process of the lab still used a fifth of its CPU under load. Below the second
there is no load to speak of."""


@dataclass(frozen=True, eq=False)
class ObservedSide:
    """One side, digested."""

    side: SideFigures
    judged: Judgement
    lives: ObservedLives | None
    slope: FloorSlope | None
    ends: EndStatistics


def observe_side(evidence: ChangeEvidence, *, oom: bool) -> ObservedSide:
    """Judges one side by itself; with `oom` only OOM kills count as ends, else all restarts do."""
    series = evidence.series
    judged = judge_pooled([one for one in series if len(one.values)])
    lives = slopes.observe_lives(series)
    slope = slopes.floor_slope(lives, 0.0) if lives is not None else None
    leaks = _surely_leaks(judged, series)
    rate, low, high = judged.rate, judged.rate_low, judged.rate_high
    if slope is not None:
        ours = slope.interval(NORMAL_95)
        known = leaks and rate is not None and rate > 0 and low is not None and high is not None
        # Both are right as a rule; where a few long lives outweigh the others, the wider one is far off.
        if not known or ours[1] - ours[0] < (high or 0.0) - (low or 0.0):
            rate, (low, high) = slope.rate, ours
    if leaks and rate is not None and rate <= 0:
        rate = low = high = None  # known by its deaths alone
    values = [float(one.values.max()) for one in series if len(one.values)]
    times = [one.timestamps for one in series if len(one.timestamps)]
    side = SideFigures(
        pods=len(series),
        rate=rate,
        rate_low=low,
        rate_high=high,
        leaks=leaks,
        shape=judged.certainty,
        oom_kills=sum(len(one.oom_kills) for one in series),
        restarts=sum(max(len(one.restarts), len(one.oom_kills)) for one in series),
        watched=sum(max(end - begin, 0.0) for begin, end in evidence.spans),
        seconds=max((float(t[-1]) for t in times), default=0.0)
        - min((float(t[0]) for t in times), default=0.0),
        limit=evidence.limit,
        peak=max(values, default=None),
        seconds_to_limit=judged.seconds_to_limit,
        cpu=evidence.load("cpu"),
        received=evidence.load("received"),
        requests=evidence.load("requests"),
    )
    ended = count_ends(series, evidence.spans, oom=oom)
    if leaks:
        ended = replace(ended, regularity=max(ended.regularity, MIN_REGULARITY))
    return ObservedSide(side, judged, lives, slope, ended)


def _surely_leaks(judged: Judgement, series: Sequence[Series]) -> bool:
    """Whether containers surely leak together.

    What several pods do at the same time after a deploy is no repetition: a warm-up is in all of them. So one
    of them must be a leak by itself, or they must have been watched for longer than most things take to
    level off.
    """
    if judged.verdict is not Shape.LEAK or judged.certainty != "leak":
        return False
    if judged.window_seconds >= SHORT_SECONDS or judged.cuts:
        return True
    return any(one.certainty == "leak" for one in judge_batch(Batch.of([s for s in series if len(s.values)])))


def growth_to_exclude(old: ObservedSide, new: ObservedSide) -> float:
    """The growth that must be told from none, bytes per hour; 0 where nothing can be said.

    The old rate, at the careful end of its interval; where the old version died before its rate could be
    measured, what fills the room to the limit within one of its lives; where there was no leak, or nothing is
    known, what fills it within a day.
    """
    rate, low = old.side.rate, old.side.rate_low
    if old.judged.verdict is Shape.LEAK and rate is not None and rate > 0:
        return max(low or 0.0, rate / 2)
    level = new.lives.level if new.lives is not None else 0.0
    limit = min((side.limit for side in (old.side, new.side) if side.limit is not None), default=None)
    room = max(limit - level, 0.05 * limit) if limit is not None else level
    return room / ((old.ends.mean_life or UNKNOWN_HORIZON) / HOUR)


def steepest_rhythm(old: ObservedSide, level: float) -> float:
    """How fast a daily rhythm may move the memory, bytes per hour: as seen before, else by experience."""
    seen = slopes.daily_rhythm(old.lives) if old.lives is not None else None
    return DAILY_RHYTHM_SHARE * level if seen is None else seen


def tooth_of(old: ObservedSide) -> float:
    """Seconds from one tooth of the memory to the next; 0 without teeth."""
    return old.lives.tooth if old.lives is not None else 0.0


def stale_after(new: ObservedSide) -> float:
    """Seconds after which a container without a sample is not running any more."""
    return max(600.0, 5 * (new.lives.step if new.lives is not None else 0.0))


def best_stretch(
    old: ObservedSide, new: ObservedSide, aim: float, sampled: Sequence[float]
) -> FloorSlope | None:
    """The floor after a warm-up: of the stretches that can be judged, the one least waited for.

    Growth as of old is in every stretch, so each of them can exclude it.
    """
    if new.lives is None:
        return None
    noise = old.slope.noise if old.slope is not None else 0.0
    found = [slopes.floor_slope(new.lives, start, tooth_of(old), noise) for start in WARM_UP_AGES]
    known = [one for one in found if one is not None]
    return min(
        known,
        key=lambda one: (not _excludes_growth(one, aim), _seconds_missing(one, aim, sampled), one.start),
        default=None,
    )


def _seconds_missing(slope: FloorSlope, aim: float, sampled: Sequence[float]) -> float:
    seen = [seconds - slope.start for seconds in sampled if seconds > slope.start]
    return slopes.seconds_until_told(seen, slope.noise, MAX_GROWTH_LEFT * aim, SURE_ERRORS_OF_BEST)


def _excludes_growth(slope: FloorSlope, aim: float) -> bool:
    return slope.interval(SURE_ERRORS_OF_BEST - 1.645)[1] < MAX_GROWTH_LEFT * aim


def is_excluded(slope: FloorSlope | None, aim: float, sampled: Sequence[float]) -> bool:
    """Whether growth as of old would have shown by now, and has not."""
    return slope is not None and _seconds_missing(slope, aim, sampled) <= 0 and _excludes_growth(slope, aim)


def load_wait(loaded: float | None, watched: float, *, counted: bool = False) -> list[PendingWait]:
    """The wait for load: for ever where there is next to none, for a day where there is little.

    Args:
        loaded: The new load as a share of the old.
        watched: Seconds of samples.
        counted: Whether that are requests and no mere signs of work: then few of them only take longer.
    """
    if loaded is None or loaded >= ENOUGH_LOAD_SHARE or (counted and loaded > 0):
        return []
    needed = DAY if loaded >= IDLE_LOAD_SHARE else math.inf
    return [PendingWait("load", needed, max(needed - watched, 0.0))]


def pending_waits(
    old: ObservedSide,
    new: ObservedSide,
    aim: float,
    lived: Sequence[float],
    sampled: Sequence[float],
    best: FloorSlope | None,
) -> list[PendingWait]:
    """What has to be waited for, each with its reason.

    Args:
        old: Before the change.
        new: Since.
        aim: The growth that must be told from none, bytes per hour.
        lived: Seconds that each living pod has outlived since the last end; the pod itself tells of its ends.
        sampled: Seconds for which there are samples of each.
        best: The stretch of the floor that is judged; None where none can be yet.
    """
    seen = max(sampled, default=0.0)
    found: list[PendingWait] = []
    left = old.ends.seconds_missing(lived)
    if old.ends.count:
        found.append(PendingWait("ends", max(lived, default=0.0) + left, left))
    lives = new.lives
    tooth = max(old.lives.tooth if old.lives is not None else 0.0, lives.tooth if lives is not None else 0.0)
    step = lives.step if lives is not None else 0.0
    fewest = slopes.MIN_BLOCKS * max(tooth, 2 * step) + 2 * step
    if best is None:
        needed = 0.0
        if old.slope is not None and sampled:
            needed = slopes.seconds_until_told(
                [0.0] * len(sampled), old.slope.noise, MAX_GROWTH_LEFT * aim, SURE_ERRORS_OF_BEST
            )
        why = "slope" if needed > fewest else "samples"
        needed = max(needed, fewest)
        found.append(PendingWait(why, needed, max(needed - seen, step, 1.0)))
    else:
        left = max(_seconds_missing(best, aim, sampled), best.start + fewest - seen, 0.0)
        if left <= 0 and not _excludes_growth(best, aim):
            left = max(0.2 * seen, step)  # look again when there is a fifth more
            found.append(PendingWait("not flat", seen + left, left))
        else:
            found.append(PendingWait("slope", seen + left, left))
    level = lives.level if lives is not None else math.nan
    if aim > 0 and math.isfinite(level):
        size = MATERIAL_GROWTH_SHARE * level / aim * HOUR
        found.append(PendingWait("size", size, max(size - seen, 0.0)))
        if steepest_rhythm(old, level) > (1 - MAX_GROWTH_LEFT) * aim:
            found.append(PendingWait("day", DAY, max(DAY - seen, 0.0)))
    return found
