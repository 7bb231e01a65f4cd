"""Did the fix hold? The verdict on a change, from the evidence before it and since."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from memtop.analysis import stability_evidence as words
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
    ends_more_often,
)
from memtop.analysis.verdict import judge_batch, judge_pooled

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
RAISED_LIMIT_RATIO = 1.05
"""From this ratio on a limit counts as raised."""
SAME_RATE_SHARE, WORSE_RATE_SHARE, MUCH_LESS_SHARE = 0.67, 1.5, 0.25
"""Growth of at least this share of the old is the same; of more than that share it is worse; of less than
that it is so little that a warm-up must have been waited for."""


class StabilityVerdict(StrEnum):
    """What a change has done."""

    WATCHING = "watching"
    HOLDING = "holding"
    STILL_LEAKING = "still leaking"
    WORSE = "worse"
    ONLY_POSTPONED = "only postponed"

    @property
    def decided(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self is not StabilityVerdict.WATCHING


@dataclass(frozen=True)
class Stability:
    """The verdict on a change.

    Attributes:
        verdict: What it has done.
        sentence: Why, and what it stands on, in a line or two.
        since: Since when the verdict's evidence counts, Unix seconds; None where nothing was seen yet.
        needed_seconds: How long the new pods have to be watched in all, as far as that is known.
        remaining_seconds: How much of it is left; 0 when decided, None where that is not known.
        before: The figures before the change.
        after: The figures since.
        bought_seconds: What a raised limit has bought; None where it was not raised or nothing grows.
    """

    verdict: StabilityVerdict
    sentence: str
    since: float | None = None
    needed_seconds: float | None = None
    remaining_seconds: float | None = None
    before: SideFigures = SideFigures()
    after: SideFigures = SideFigures()
    bought_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class _ObservedSide:
    """One side, digested."""

    side: SideFigures
    judged: Judgement
    lives: ObservedLives | None
    slope: FloorSlope | None
    ends: EndStatistics


def judge_change(before: ChangeEvidence, after: ChangeEvidence, changed_at: float, now: float) -> Stability:
    """Judges a change.

    In this order, the first that holds:

    1. *Worse*: containers die surely more often than before, or leak faster, or leak and did not before.
    2. *Only postponed*: still leaking as fast, but the limit was raised.
    3. *Still leaking*: a leak is found in the new pods (`memtop.analysis.verdict.judge_pooled`, which knows
       warm-ups), or they have died of it again.
    4. *Holding*: everything in `waits` is over, and the floor's slope is below `MAX_GROWTH_LEFT` of the old
       one with 99 %. Growth as of old would have shown by then; so would its ends.
    5. *Watching*: it is too early.

    Args:
        before: The revision that was replaced; empty if nothing is known of it.
        after: The new revision.
        changed_at: When it was made, Unix seconds.
        now: Unix seconds.
    """
    by_kill = any(len(one.oom_kills) for side in (before, after) for one in side.series)
    old, new = _observe_side(before, oom=by_kill), _observe_side(after, oom=by_kill)
    aim = _growth_to_exclude(old, new)
    raised = _limit_raised(before, after)
    if not after.known:
        return Stability(
            StabilityVerdict.WATCHING,
            words.nothing_seen_sentence(old.side),
            None,
            before=old.side,
            after=new.side,
        )
    found = _growth_verdict(old, new, raised) or _death_verdict(old, new, raised)
    bought = _time_bought(before, after, new.side.rate if new.side.leaks else old.side.rate)
    if raised and found is not None and not new.side.leaks:
        bought = _life_gained(old.ends, new.ends)
    if found is not None:
        verdict = found
        sentence = words.growing_sentence(verdict.value, old.side, new.side, bought)
        return Stability(verdict, sentence, changed_at, None, 0.0, old.side, new.side, bought)
    since = _quiet_since(after, changed_at, oom=by_kill)
    lived = [
        max(end - max(begin, since), 0.0) for begin, end in after.spans if end >= now - _stale_after(new)
    ]
    best = _best_stretch(old, new, aim, lived)
    if best is not None:
        low, high = best.interval(NORMAL_95)
        new = replace(new, side=replace(new.side, rate=best.rate, rate_low=low, rate_high=high))
    waits = _pending_waits(old, new, aim, lived, best)
    longest = max(waits, key=lambda wait: wait.left)
    expected = old.ends.count / old.ends.watched * new.side.watched if old.ends.watched > 0 else 0.0
    suspected = new.judged.verdict is Shape.LEAK
    if longest.left <= 0 and _is_excluded(best, aim, lived) and not suspected:
        sentence = words.holding_sentence(old.side, new.side, aim, now - since, expected)
        return Stability(
            StabilityVerdict.HOLDING, sentence, since, longest.needed, 0.0, old.side, new.side, bought
        )
    left = longest.left if longest.left > 0 else None
    sentence = words.watching_sentence(
        old.side, new.side, longest, aim, suspected=suspected, lately=new.ends.count > 0, bought=bought
    )
    needed = longest.needed if math.isfinite(longest.needed) else None
    left = left if left is not None and math.isfinite(left) else None
    return Stability(StabilityVerdict.WATCHING, sentence, since, needed, left, old.side, new.side, bought)


def _observe_side(evidence: ChangeEvidence, *, oom: bool) -> _ObservedSide:
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
    )
    ended = count_ends(series, evidence.spans, oom=oom)
    if leaks:
        ended = replace(ended, regular=max(ended.regular, MIN_REGULARITY))
    return _ObservedSide(side, judged, lives, slope, ended)


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


def _growth_to_exclude(old: _ObservedSide, new: _ObservedSide) -> float:
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
    return room / ((old.ends.every or UNKNOWN_HORIZON) / HOUR)


def _limit_raised(before: ChangeEvidence, after: ChangeEvidence) -> bool:
    if before.limit is None:
        return False
    return after.limit is None or after.limit > RAISED_LIMIT_RATIO * before.limit


def _time_bought(before: ChangeEvidence, after: ChangeEvidence, rate: float | None) -> float | None:
    if before.limit is None or after.limit is None or rate is None or rate <= 0:
        return None
    gained = after.limit - before.limit
    return gained / rate * HOUR if gained > (RAISED_LIMIT_RATIO - 1) * before.limit else None


def _growth_verdict(old: _ObservedSide, new: _ObservedSide, raised: bool) -> StabilityVerdict | None:
    side, past = new.side, old.side
    if not side.leaks:
        return None
    if not new.ends.count and _may_be_daily_rhythm(old, new):
        return None
    if side.rate is None or past.rate is None or not past.leaks:
        if old.slope is None or side.rate is None:
            postponed = raised and old.ends.count > 0
            return StabilityVerdict.ONLY_POSTPONED if postponed else StabilityVerdict.STILL_LEAKING
        if old.slope.interval(NORMAL_99)[1] * WORSE_RATE_SHARE < side.rate and not old.ends.count:
            return StabilityVerdict.WORSE  # it was flat
        same = raised and side.rate > SAME_RATE_SHARE * old.slope.rate > 0
        return StabilityVerdict.ONLY_POSTPONED if same else StabilityVerdict.STILL_LEAKING
    if side.rate < MUCH_LESS_SHARE * past.rate and side.seconds < DAY:
        return None  # so little may be what is left of a warm-up, or the morning
    more = side.rate - past.rate
    error = math.hypot(_rate_error(side), _rate_error(past))
    if (
        side.rate > WORSE_RATE_SHARE * past.rate
        and more > NORMAL_99 * error
        and _grows_after_warm_up(new, WORSE_RATE_SHARE * past.rate)
    ):
        return StabilityVerdict.WORSE
    if raised and side.rate > SAME_RATE_SHARE * past.rate:
        return StabilityVerdict.ONLY_POSTPONED
    return StabilityVerdict.STILL_LEAKING


def _may_be_daily_rhythm(old: _ObservedSide, new: _ObservedSide) -> bool:
    """Whether the new pods grow no faster than a rhythm of the day might, and were not seen for a day."""
    if new.lives is None or new.side.rate is None or new.side.seconds >= DAY:
        return False
    return new.side.rate < 2 * _steepest_rhythm(old, new.lives.level)


def _steepest_rhythm(old: _ObservedSide, level: float) -> float:
    """How fast a daily rhythm may move the memory, bytes per hour: as seen before, else by experience."""
    seen = slopes.daily_rhythm(old.lives) if old.lives is not None else None
    return DAILY_RHYTHM_SHARE * level if seen is None else seen


def _grows_after_warm_up(new: _ObservedSide, rate: float) -> bool:
    """Whether the floor grows faster than that also after any warm-up that can be left out."""
    if new.lives is None:
        return False
    known = [found for start in WARM_UP_AGES if (found := slopes.floor_slope(new.lives, start)) is not None]
    return bool(known) and known[-1].interval(NORMAL_99)[0] > rate


def _rate_error(side: SideFigures) -> float:
    if side.rate_low is None or side.rate_high is None:
        return 0.0
    return (side.rate_high - side.rate_low) / (2 * NORMAL_95)


def _life_gained(old: EndStatistics, new: EndStatistics) -> float | None:
    """How much longer containers live than before, seconds; None if they do not, or where it is not known."""
    if old.every is None or new.every is None:
        return None
    return new.every - old.every if new.every > old.every else None


def _death_verdict(old: _ObservedSide, new: _ObservedSide, raised: bool) -> StabilityVerdict | None:
    """Containers that die again and again need no slope."""
    if ends_more_often(old.ends, new.ends) or ends_more_often(
        _restart_ends(old.side), _restart_ends(new.side)
    ):
        return StabilityVerdict.WORSE
    if not (old.ends.count or new.side.oom_kills):
        return None  # restarts for another reason, and nothing to compare them with
    again = new.ends.count >= 2 or (new.ends.count == 1 and new.judged.verdict is Shape.LEAK)
    outlived = new.ends.count * 3 <= new.ends.watched / (old.ends.every or math.inf)
    if not again or outlived:
        return None
    return StabilityVerdict.ONLY_POSTPONED if raised and old.ends.count else StabilityVerdict.STILL_LEAKING


def _restart_ends(side: SideFigures) -> EndStatistics:
    return EndStatistics(side.restarts, side.watched)


def _quiet_since(after: ChangeEvidence, changed_at: float, *, oom: bool) -> float:
    """From when on nothing has happened: the first of the new pods, or the last end among them."""
    begins = [begin for begin, _ in after.spans]
    moments = [float(at) for one in after.series for at in (one.oom_kills if oom else one.restarts)]
    return max([min(begins, default=changed_at), *moments])


def _stale_after(new: _ObservedSide) -> float:
    """Seconds after which a container without a sample is not running any more."""
    return max(600.0, 5 * (new.lives.step if new.lives is not None else 0.0))


def _best_stretch(
    old: _ObservedSide, new: _ObservedSide, aim: float, lived: Sequence[float]
) -> FloorSlope | None:
    """The floor after a warm-up: of the stretches that can be judged, the one least waited for.

    Growth as of old is in every stretch, so each of them can exclude it.
    """
    if new.lives is None:
        return None
    noise = old.slope.noise if old.slope is not None else 0.0
    tooth = old.lives.tooth if old.lives is not None else 0.0
    found = [slopes.floor_slope(new.lives, start, tooth, noise) for start in WARM_UP_AGES]
    known = [one for one in found if one is not None]
    return min(
        known,
        key=lambda one: (not _excludes_growth(one, aim), _seconds_missing(one, aim, lived), one.start),
        default=None,
    )


def _seconds_missing(slope: FloorSlope, aim: float, lived: Sequence[float]) -> float:
    seen = [seconds - slope.start for seconds in lived if seconds > slope.start]
    return slopes.seconds_until_told(seen, slope.noise, MAX_GROWTH_LEFT * aim, SURE_ERRORS_OF_BEST)


def _excludes_growth(slope: FloorSlope, aim: float) -> bool:
    return slope.interval(SURE_ERRORS_OF_BEST - 1.645)[1] < MAX_GROWTH_LEFT * aim


def _is_excluded(slope: FloorSlope | None, aim: float, lived: Sequence[float]) -> bool:
    return slope is not None and _seconds_missing(slope, aim, lived) <= 0 and _excludes_growth(slope, aim)


def _pending_waits(
    old: _ObservedSide, new: _ObservedSide, aim: float, lived: Sequence[float], best: FloorSlope | None
) -> list[PendingWait]:
    """What has to be waited for, each with its reason."""
    seen = max(lived, default=0.0)
    found: list[PendingWait] = []
    left = old.ends.missing(lived)
    if old.ends.count:
        found.append(PendingWait("ends", seen + left, left))
    lives = new.lives
    tooth = max(old.lives.tooth if old.lives is not None else 0.0, lives.tooth if lives is not None else 0.0)
    step = lives.step if lives is not None else 0.0
    fewest = slopes.MIN_BLOCKS * max(tooth, 2 * step) + 2 * step
    if best is None:
        needed = 0.0
        if old.slope is not None and lived:
            needed = slopes.seconds_until_told(
                [0.0] * len(lived), old.slope.noise, MAX_GROWTH_LEFT * aim, SURE_ERRORS_OF_BEST
            )
        why = "slope" if needed > fewest else "samples"
        needed = max(needed, fewest)
        found.append(PendingWait(why, needed, max(needed - seen, step, 1.0)))
    else:
        left = max(_seconds_missing(best, aim, lived), best.start + fewest - seen, 0.0)
        if left <= 0 and not _excludes_growth(best, aim):
            left = max(0.2 * seen, step)  # look again when there is a fifth more
            found.append(PendingWait("not flat", seen + left, left))
        else:
            found.append(PendingWait("slope", seen + left, left))
    level = lives.level if lives is not None else math.nan
    if aim > 0 and math.isfinite(level):
        size = MATERIAL_GROWTH_SHARE * level / aim * HOUR
        found.append(PendingWait("size", size, max(size - seen, 0.0)))
        if _steepest_rhythm(old, level) > (1 - MAX_GROWTH_LEFT) * aim:
            found.append(PendingWait("day", DAY, max(DAY - seen, 0.0)))
    return found
