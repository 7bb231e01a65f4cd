"""Did the fix hold? Judged on made-up changes, and on the smallest cases that show one rule each."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from memtop.analysis.memory_series import Series
from memtop.analysis.stability import StabilityVerdict, judge_change
from memtop.analysis.stability_evidence import ChangeEvidence
from memtop.analysis.stability_statistics import (
    EndStatistics,
    count_ends,
    daily_rhythm,
    ends_more_often,
    floor_slope,
    observe_lives,
    seconds_until_told,
)
from tests.analysis.changes import TRUTHS, change

MIB, HOUR = float(2**20), 3600.0
AT = 1.7e9
LOOKS = (0.5, 1, 2, 4, 8, 16, 30, 48)
SEEDS = range(500, 508)


def first(truth: str, seed: int):
    """The first verdict that decides, or the last."""
    made = change(truth, seed)
    for hours in LOOKS:
        now = made.at + hours * HOUR
        stability = judge_change(made.before, made.until(now), made.at, now)
        if stability.verdict.decided:
            break
    return stability


def ramp(start, hours, rate, base=200.0, noise=1.0, seed=0, step=30.0, limit=None, kills=(), restarts=()):
    """One container that grows by `rate` MiB an hour."""
    times = start + np.arange(0, hours * HOUR, step)
    wander = np.random.default_rng(seed).normal(0, noise, len(times))
    values = (base + rate * (times - start) / HOUR + wander) * MIB
    edges = np.array(sorted(restarts), float)
    return Series(times, values, edges, np.array(kills, float), None if limit is None else limit * MIB)


def since(hours, rate, pods=2, now=None, **more):
    """The new pods after so many hours."""
    series = tuple(ramp(AT, hours, rate, seed=10 + pod, **more) for pod in range(pods))
    return ChangeEvidence(series, tuple((AT, AT + hours * HOUR) for _ in range(pods)))


def old(rate, hours=6.0, pods=2, **more):
    series = tuple(ramp(AT - hours * HOUR, hours, rate, seed=pod, **more) for pod in range(pods))
    return ChangeEvidence(series, tuple((AT - hours * HOUR, AT) for _ in range(pods)))


def verdict(before, after, hours):
    return judge_change(before, after, AT, AT + hours * HOUR)


# -- what changes do


@pytest.mark.parametrize("truth", [truth for truth in TRUTHS if truth != "fixed"])
def test_what_still_grows_is_never_called_holding(truth):
    wrong = [seed for seed in SEEDS if first(truth, seed).verdict is StabilityVerdict.HOLDING]
    assert not wrong


def test_what_is_fixed_is_found_to_hold_and_hardly_ever_called_a_leak():
    found = [first("fixed", seed).verdict for seed in SEEDS]
    assert found.count(StabilityVerdict.HOLDING) >= 0.75 * len(found)
    assert len(found) - found.count(StabilityVerdict.HOLDING) - found.count(StabilityVerdict.WATCHING) <= 1


def test_a_raised_limit_only_postpones():
    found = [first("limit raised", seed) for seed in SEEDS]
    postponed = [one for one in found if one.verdict is StabilityVerdict.ONLY_POSTPONED]
    assert len(postponed) >= 0.75 * len(found)
    assert all(one.bought_seconds is not None and one.bought_seconds > 0 for one in postponed)
    assert all("bought" in one.sentence for one in postponed)


# -- how long it takes


def test_it_says_how_much_longer_at_the_old_rate():
    early = verdict(old(48), since(0.5, 0, noise=6), 0.5)
    assert early.verdict is StabilityVerdict.WATCHING
    assert "at the old rate of 4" in early.sentence
    assert re.search(r"so far \d+ % of the old growth, at most \d+ %; sure in about \d+ m", early.sentence)
    assert early.needed_seconds is not None
    assert early.remaining_seconds is not None
    assert early.needed_seconds == pytest.approx(0.5 * HOUR + early.remaining_seconds, abs=120)


def test_what_is_left_shrinks_and_then_it_holds():
    left = []
    for hours in (0.3, 0.6, 1.2):
        seen = verdict(old(48), since(hours, 0), hours)
        left.append(seen.remaining_seconds if seen.verdict is StabilityVerdict.WATCHING else 0.0)
    assert left == sorted(left, reverse=True)
    held = verdict(old(48), since(6, 0), 6)
    assert held.verdict is StabilityVerdict.HOLDING
    assert held.since == AT
    assert "was +4" in held.sentence


def test_a_slower_leak_and_a_noisier_floor_take_longer():
    def needed(rate, noise):
        seen = verdict(old(rate, noise=noise), since(0.6, 0, noise=noise), 0.6)
        return seen.needed_seconds or 0.0

    assert needed(24, 4.0) > needed(96, 4.0)
    assert needed(48, 8.0) > needed(48, 2.0)


def test_more_pods_take_less_time():
    few = seconds_until_told([0.0], 1e15, 50 * MIB, 4.0)
    many = seconds_until_told([0.0] * 8, 1e15, 50 * MIB, 4.0)
    assert many == pytest.approx(few / 2, rel=0.01)  # the cube root of eight


def test_the_time_needed_is_what_least_squares_say():
    lives = observe_lives([ramp(AT, 4, 0, noise=5, seed=3)])
    found = floor_slope(lives, 0.0)
    seen = 4 * HOUR
    error = math.sqrt(12 * found.noise / seen**3) * HOUR
    assert error == pytest.approx(found.error, rel=0.15)
    assert seconds_until_told([seen], found.noise, 4.01 * error, 4.0) == 0.0
    assert seconds_until_told([seen], found.noise, 3.5 * error, 4.0) > 0.0


def test_the_interval_of_a_slope_holds_the_truth():
    inside = 0
    for seed in range(60):
        low, high = floor_slope(observe_lives([ramp(AT, 3, 20, noise=6, seed=seed)]), 0.0).interval()
        inside += low <= 20 * MIB <= high
    assert inside >= 52


# -- what must not count


def test_a_warm_up_after_the_deploy_is_no_leak():
    def warm(hours):
        times = AT + np.arange(0, hours * HOUR, 30.0)
        noise = np.random.default_rng(5).normal(0, 1, len(times))
        values = (200 + 150 * (1 - np.exp(-(times - AT) / 900)) + noise) * MIB
        return ChangeEvidence((Series(times, values),), ((AT, AT + hours * HOUR),))

    for hours in (0.2, 0.5, 1, 2):
        seen = verdict(old(120), warm(hours), hours)
        assert seen.verdict in (StabilityVerdict.WATCHING, StabilityVerdict.HOLDING), seen.sentence
    assert verdict(old(120), warm(8), 8).verdict is StabilityVerdict.HOLDING


def test_growth_that_a_day_could_hide_is_watched_for_a_day():
    before = old(4, hours=12, base=400)  # 1 % an hour
    seen = verdict(before, since(12, 0, base=400), 12)
    assert seen.verdict is StabilityVerdict.WATCHING
    assert "rhythm of a day" in seen.sentence
    assert verdict(before, since(25, 0, base=400), 25).verdict is StabilityVerdict.HOLDING


def test_a_day_without_a_rhythm_needs_no_other_day():
    before = old(6, hours=24, base=400)
    steepest = daily_rhythm(observe_lives(before.series))
    assert steepest is not None
    assert steepest < 1 * MIB
    assert verdict(before, since(16, 0, base=400), 16).verdict is StabilityVerdict.HOLDING


def test_the_rhythm_of_a_day_is_measured():
    times = AT + np.arange(0, 48 * HOUR, 120.0)
    values = (500 + 40 * np.sin(2 * np.pi * times / 86400)) * MIB
    steepest = daily_rhythm(observe_lives([Series(times, values)]))
    assert steepest == pytest.approx(40 * MIB * 2 * np.pi / 24, rel=0.1)


# -- deaths


def test_a_clockwork_needs_less_than_two_lives_and_chance_needs_nearly_five():
    clockwork, chance = EndStatistics(20, 20 * HOUR, 9), EndStatistics(20, 20 * HOUR, 1)
    assert 1.5 * HOUR < clockwork.seconds_missing([0.0]) < 2.2 * HOUR
    assert chance.seconds_missing([0.0]) == pytest.approx(math.log(100) * HOUR, rel=0.01)
    assert chance.seconds_missing([0.0] * 3) == pytest.approx(math.log(100) / 3 * HOUR, rel=0.01)


def test_lives_that_end_alike_are_a_clockwork():
    alike = Series(np.empty(0), np.empty(0), oom_kills=AT + 600.0 * np.arange(12))
    apart = Series(np.empty(0), np.empty(0), oom_kills=AT + np.cumsum([10, 3000, 60, 900, 5, 4000, 80, 20]))
    assert count_ends([alike], [(AT, AT + 7200)], oom=True).regularity == 9
    assert count_ends([apart], [(AT, AT + 9000)], oom=True).regularity == 1


def test_more_often_is_said_only_where_it_is_not_chance():
    assert not ends_more_often(EndStatistics(1, 24 * HOUR), EndStatistics(1, HOUR))
    assert not ends_more_often(EndStatistics(24, 24 * HOUR), EndStatistics(3, 3 * HOUR))
    assert ends_more_often(EndStatistics(1, 24 * HOUR), EndStatistics(4, 2 * HOUR))


def test_thousands_of_ends_are_compared_too():
    assert not ends_more_often(EndStatistics(5760, 480 * HOUR), EndStatistics(480, 40 * HOUR))
    assert ends_more_often(EndStatistics(5760, 480 * HOUR), EndStatistics(600, 40 * HOUR))


def test_pods_that_were_killed_must_outlive_the_old_ones():
    killed = tuple(AT - 6 * HOUR + 2 * HOUR * n for n in (1, 2))
    before = ChangeEvidence(
        (ramp(AT - 6 * HOUR, 6, 0, kills=killed, restarts=[at + 5 for at in killed]),), ((AT - 6 * HOUR, AT),)
    )
    seen = verdict(before, since(2, 0, pods=1), 2)
    assert seen.verdict is StabilityVerdict.WATCHING
    assert "OOM-killed every 3 h" in seen.sentence
    held = verdict(before, since(15, 0, pods=1), 15)
    assert held.verdict is StabilityVerdict.HOLDING
    assert "no OOM kill" in held.sentence
    assert "there would have been about 5" in held.sentence


def test_dying_again_is_no_fix_even_where_nothing_grows():
    before = old(100, hours=12)
    kills = [AT + 1 * HOUR, AT + 2 * HOUR]
    after = ChangeEvidence(
        (ramp(AT, 2.5, 0, kills=kills, restarts=[at + 5 for at in kills]),), ((AT, AT + 2.5 * HOUR),)
    )
    assert verdict(before, after, 2.5).verdict in (StabilityVerdict.STILL_LEAKING, StabilityVerdict.WORSE)


def test_dying_later_under_a_higher_limit_is_only_postponed():
    died = [AT - 6 * HOUR + 600.0 * n for n in range(1, 36)]
    before = ChangeEvidence(
        (ramp(AT - 6 * HOUR, 6, 0, limit=256, kills=died, restarts=[at + 2 for at in died]),),
        ((AT - 6 * HOUR, AT),),
    )
    dies = [AT + 1200.0, AT + 2400.0]
    after = ChangeEvidence(
        (ramp(AT, 0.8, 0, limit=512, kills=dies, restarts=[at + 2 for at in dies]),), ((AT, AT + 0.8 * HOUR),)
    )
    seen = verdict(before, after, 0.8)
    assert seen.verdict is StabilityVerdict.ONLY_POSTPONED
    assert seen.bought_seconds == pytest.approx(820, abs=60)


def test_the_clock_begins_again_at_an_oom_kill():
    kill = AT + 3 * HOUR
    series = ramp(AT, 4, 0, kills=[kill], restarts=[kill + 5])
    after = ChangeEvidence((series,), ((AT, AT + 4 * HOUR),))
    soon = ChangeEvidence((ramp(AT, 3.1, 0, kills=[kill], restarts=[kill + 5]),), ((AT, AT + 3.1 * HOUR),))
    assert verdict(old(30), since(3.1, 0), 3.1).verdict is StabilityVerdict.HOLDING
    seen = verdict(old(30), soon, 3.1)
    assert seen.verdict is StabilityVerdict.WATCHING
    assert "1 OOM kill since the change" in seen.sentence
    assert verdict(old(30), after, 4).since == kill


def test_a_version_that_crashes_is_no_fix_however_flat_it_is():
    crashes = [AT + 600.0 * n for n in range(1, 12)]
    after = ChangeEvidence((ramp(AT, 2, 0, restarts=crashes),), ((AT, AT + 2 * HOUR),))
    seen = verdict(old(48), after, 2)
    assert seen.verdict is StabilityVerdict.WORSE
    assert "11 restarts since the change" in seen.sentence


# -- what is not known


def test_without_a_before_it_says_so():
    seen = judge_change(ChangeEvidence(), since(1, 0), AT, AT + HOUR)
    assert "what was before the change is not known" in seen.sentence
    assert seen.before.pods == 0
    assert seen.before.rate is None
    assert seen.before.oom_per_hour is None


def test_without_a_before_a_leak_is_still_one():
    seen = judge_change(ChangeEvidence(), since(8, 60, limit=2048), AT, AT + 8 * HOUR)
    assert seen.verdict is StabilityVerdict.STILL_LEAKING
    assert seen.after.seconds_to_limit is not None


def test_without_a_sample_it_watches():
    seen = judge_change(old(48), ChangeEvidence(), AT, AT + 60)
    assert seen.verdict is StabilityVerdict.WATCHING
    assert seen.remaining_seconds is None
    assert "no sample" in seen.sentence


def test_what_did_not_leak_and_now_does_is_worse():
    seen = verdict(old(0, hours=20), since(8, 60), 8)
    assert seen.verdict is StabilityVerdict.WORSE
