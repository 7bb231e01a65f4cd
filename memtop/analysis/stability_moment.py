"""What the evidence of one moment says of a change: the rules of the verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from memtop.analysis import stability_sentences as words
from memtop.analysis import stability_statistics as slopes
from memtop.analysis.judgement import Verdict as Shape
from memtop.analysis.memory_series import Series
from memtop.analysis.stability_evidence import (
    LIKE_BEFORE,
    ChangeEvidence,
    SideFigures,
    Stability,
    StabilityVerdict,
    counted_share,
    load_share,
)
from memtop.analysis.stability_statistics import (
    DAY,
    HOUR,
    NORMAL_95,
    NORMAL_99,
    EndStatistics,
    FloorSlope,
    ends_more_often,
)
from memtop.analysis.stability_waits import (
    WARM_UP_AGES,
    ObservedSide,
    best_stretch,
    growth_to_exclude,
    is_excluded,
    load_wait,
    observe_side,
    pending_waits,
    stale_after,
    steepest_rhythm,
    tooth_of,
)

_observe_before = lru_cache(maxsize=2)(observe_side)
"""What was before a change is the same at every moment since, and takes most of the time to judge. The same
means the same object, so nothing is kept for longer than until the next change is judged."""
RAISED_LIMIT_RATIO = 1.05
"""From this ratio on a limit counts as raised."""
SHORT_WARM_UP, LEAST_WARM_UP = 300.0, 2700.0
"""Seconds that a warm-up may take unseen where the slope alone decides: at the old rate, and at another. With
a quarter of an hour for the latter, 3 of 24 fixes that warm up for an hour were called still leaking."""
AS_BEFORE_SHARE = 0.15
"""Growth that differs by less than this share from the old is at the old rate."""
STEADY_SHARE = 0.75
"""What rises after a warm-up at this share of its slope with it is not dying out."""
SAME_RATE_SHARE, WORSE_RATE_SHARE, MUCH_LESS_SHARE = 0.67, 1.5, 0.25
"""Growth of at least this share of the old is the same; of more than that share it is worse; of less than
that it is so little that a warm-up must have been waited for."""


def judge_moment(before: ChangeEvidence, after: ChangeEvidence, changed_at: float, now: float) -> Stability:
    """Judges a change by what is known at one moment.

    In this order, the first that holds:

    1. *Worse*: containers die surely more often than before, or leak faster, or leak and did not before.
    2. *Only postponed*: still leaking as fast, but the limit was raised.
    3. *Still leaking*: a leak is found in the new pods (`memtop.analysis.workload_verdict`, which knows
       warm-ups), or they have died of it again, or their floor rises steadily by a share of the old growth.
    4. *Holding*: everything in `waits` is over, and the floor's slope is below `MAX_GROWTH_LEFT` of the old
       one with 99 %. Growth as of old would have shown by then; so would its ends. Under less load than
       before less growth is expected, so it takes longer.
    5. *Watching*: it is too early.

    Args:
        before: The revision that was replaced; empty if nothing is known of it.
        after: The new revision.
        changed_at: When it was made, Unix seconds.
        now: Unix seconds.
    """
    by_kill = any(len(one.oom_kills) for side in (before, after) for one in side.series)
    old, new = _observe_before(before, oom=by_kill), observe_side(after, oom=by_kill)
    loaded = load_share(old.side, new.side)
    expected = 1.0 if loaded is None or loaded >= LIKE_BEFORE else loaded
    aim = growth_to_exclude(old, new) * expected
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
    if found is None and (slope := _steady_slope(old, new)) is not None:
        new = replace(new, side=_leaking_figures(new.side, slope))
        same = raised and slope.rate > SAME_RATE_SHARE * (old.side.rate or 0.0)
        found = StabilityVerdict.ONLY_POSTPONED if same else StabilityVerdict.STILL_LEAKING
    bought = _time_bought(before, after, new.side.rate if new.side.leaks else old.side.rate)
    if raised and found is not None and not new.side.leaks:
        bought = _life_gained(old.ends, new.ends)
    since = _quiet_since(after, changed_at, oom=by_kill)
    alive = _living_since(after, since, now - stale_after(new))
    sampled = [slopes.sampled_seconds(one.timestamps, since, stale_after(new)) for one, _ in alive]
    watched = max(sampled, default=0.0)
    if found is not None:
        return Stability(
            found,
            words.growing_sentence(found.value, old.side, new.side, bought),
            changed_at,
            None,
            0.0,
            old.side,
            new.side,
            bought,
            watched,
            loaded,
        )
    lived = [seconds * expected for _, seconds in alive]
    best = best_stretch(old, new, aim, sampled)
    if best is not None:
        low, high = best.interval(NORMAL_95)
        new = replace(new, side=replace(new.side, rate=best.rate, rate_low=low, rate_high=high))
    counted = counted_share(old.side, new.side) is not None
    waits = [
        *pending_waits(old, new, aim, lived, sampled, best),
        *load_wait(loaded, watched, counted=counted),
    ]
    longest = max(waits, key=lambda wait: wait.remaining_seconds)
    first = min((float(one.timestamps[0]) for one, _ in alive if len(one.timestamps)), default=since)
    since = max(since, first)
    done = after.requests_since(since) if counted else None
    missing = None if done is None else longest.remaining_seconds * (new.side.requests or 0.0)
    if missing is not None and not math.isfinite(missing):
        missing = None
    suspected = new.judged.verdict is Shape.LEAK and not _is_much_less(old.side, new.side)
    if longest.remaining_seconds <= 0 and is_excluded(best, aim, sampled) and not suspected:
        pace = old.ends.count / old.ends.watched if old.ends.watched > 0 else 0.0
        sentence = words.holding_sentence(old.side, new.side, aim, watched, pace * new.side.watched)
        sentence += words.work_words(old.side, done, 0.0)
        verdict, needed, left = StabilityVerdict.HOLDING, longest.needed_seconds, 0.0
        missing = None if done is None else 0.0
    else:
        sentence = words.watching_sentence(
            old.side, new.side, longest, aim, suspected=suspected, lately=new.ends.count > 0, bought=bought
        )
        sentence += words.work_words(old.side, done, missing)
        verdict, needed, left = StabilityVerdict.WATCHING, longest.needed_seconds, longest.remaining_seconds
    return Stability(
        verdict,
        sentence,
        since,
        needed if math.isfinite(needed) else None,
        left if math.isfinite(left) and (left > 0 or verdict is StabilityVerdict.HOLDING) else None,
        old.side,
        new.side,
        bought,
        watched,
        loaded,
        done,
        missing,
    )


def _limit_raised(before: ChangeEvidence, after: ChangeEvidence) -> bool:
    if before.limit is None:
        return False
    return after.limit is None or after.limit > RAISED_LIMIT_RATIO * before.limit


def _time_bought(before: ChangeEvidence, after: ChangeEvidence, rate: float | None) -> float | None:
    if before.limit is None or after.limit is None or rate is None or rate <= 0:
        return None
    gained = after.limit - before.limit
    return gained / rate * HOUR if gained > (RAISED_LIMIT_RATIO - 1) * before.limit else None


def _growth_verdict(old: ObservedSide, new: ObservedSide, raised: bool) -> StabilityVerdict | None:
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


def _may_be_daily_rhythm(old: ObservedSide, new: ObservedSide) -> bool:
    """Whether the new pods grow no faster than a rhythm of the day might, and were not seen for a day."""
    return new.side.rate is not None and _may_be_rhythm(old, new, new.side.rate)


def _may_be_rhythm(old: ObservedSide, new: ObservedSide, rate: float) -> bool:
    if new.lives is None or new.side.seconds >= DAY:
        return False
    return rate < 2 * steepest_rhythm(old, new.lives.level)


def _is_much_less(past: SideFigures, side: SideFigures) -> bool:
    """Whether what may grow is so little of the old growth that a mere suspicion does not count."""
    known = past.grew and past.rate is not None and side.rate_high is not None
    return known and (side.rate_high or 0.0) < MUCH_LESS_SHARE * (past.rate or 0.0)


def _grows_after_warm_up(new: ObservedSide, rate: float) -> bool:
    """Whether the floor grows faster than that also after any warm-up that can be left out."""
    if new.lives is None:
        return False
    known = [found for start in WARM_UP_AGES if (found := slopes.floor_slope(new.lives, start)) is not None]
    return bool(known) and known[-1].interval(NORMAL_99)[0] > rate


def _steady_slope(old: ObservedSide, new: ObservedSide) -> FloorSlope | None:
    """The slope of the new pods' floor, where it alone shows that the old leak goes on; None if it does not.

    What is known of the old version makes it likely that what rises goes on rising, so less is asked for
    than of a container of which nothing is known: the floor rises by more than `MUCH_LESS_SHARE` of the old
    growth with 99 % in every stretch, and no slower after the longest warm-up than with it.
    A warm-up dies out, a leak stays the same. At the old rate it is told sooner: a warm-up has that only by
    chance.
    """
    past = old.side
    if not past.grew or past.rate is None or new.lives is None:
        return None
    known = [
        found
        for start in WARM_UP_AGES
        if (found := slopes.floor_slope(new.lives, start, tooth_of(old))) is not None
    ]
    same = all(abs(one.rate / past.rate - 1) < AS_BEFORE_SHARE for one in known)
    late = [one for one in known if one.start >= (SHORT_WARM_UP if same else LEAST_WARM_UP)]
    if not late or _may_be_rhythm(old, new, late[-1].rate):
        return None
    least = MUCH_LESS_SHARE * past.rate
    rises = all(one.interval(NORMAL_99)[0] > least for one in known)
    lasts = late[-1].rate > STEADY_SHARE * known[0].rate
    return late[-1] if rises and lasts and known[0].rate < WORSE_RATE_SHARE * past.rate else None


def _leaking_figures(side: SideFigures, slope: FloorSlope) -> SideFigures:
    """The figures of what leaks by its slope."""
    low, high = slope.interval(NORMAL_95)
    room = None if side.limit is None or side.peak is None else max(side.limit - side.peak, 0.0)
    return replace(
        side,
        rate=slope.rate,
        rate_low=low,
        rate_high=high,
        leaks=True,
        shape=Shape.LEAK.value,
        seconds_to_limit=None if room is None else room / slope.rate * HOUR,
    )


def _rate_error(side: SideFigures) -> float:
    if side.rate_low is None or side.rate_high is None:
        return 0.0
    return (side.rate_high - side.rate_low) / (2 * NORMAL_95)


def _life_gained(old: EndStatistics, new: EndStatistics) -> float | None:
    """How much longer containers live than before, seconds; None if they do not, or where it is not known."""
    if old.mean_life is None or new.mean_life is None:
        return None
    return new.mean_life - old.mean_life if new.mean_life > old.mean_life else None


def _death_verdict(old: ObservedSide, new: ObservedSide, raised: bool) -> StabilityVerdict | None:
    """Containers that die again and again need no slope."""
    if ends_more_often(old.ends, new.ends) or ends_more_often(
        _restart_ends(old.side), _restart_ends(new.side)
    ):
        return StabilityVerdict.WORSE
    if not (old.ends.count or new.side.oom_kills):
        return None  # restarts for another reason, and nothing to compare them with
    again = new.ends.count >= 2 or (new.ends.count == 1 and new.judged.verdict is Shape.LEAK)
    outlived = new.ends.count * 3 <= new.ends.watched / (old.ends.mean_life or math.inf)
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


def _living_since(after: ChangeEvidence, since: float, alive_at: float) -> list[tuple[Series, float]]:
    """The series of the pods that still live, and for how many seconds since a moment each has."""
    return [
        (one, max(end - max(begin, since), 0.0))
        for one, (begin, end) in zip(after.series, after.spans, strict=True)
        if end >= alive_at
    ]
