import numpy as np
import pytest

from memtop.analysis.buckets import BUCKETS_PER_CONTAINER
from memtop.analysis.incremental import IncrementalJudge
from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Batch
from memtop.analysis.verdict import judge_batch
from tests.analysis.window import MIB

START = 1.7e9
STEP = 15.0


def feed(live, slots, values, start=START, restarts=()):
    """Feeds values (containers, ticks) tick by tick, and restarts (tick, slot) when they are due."""
    for tick, column in enumerate(np.asarray(values, float).T):
        time = start + STEP * tick
        for when, slot in restarts:
            if when == tick:
                live.restarted(np.array([slot]), np.array([time]), np.array([True]))
        live.update(slots, np.full(len(slots), time), column * MIB)


def shapes(ticks, seed=0):
    u = np.arange(ticks) / ticks
    noise = np.random.default_rng(seed).normal(0, 0.3, (4, ticks))
    return noise + np.stack(
        [
            200 + 120 * u,
            200 + 60 * (12.4 * u % 1),
            200 + 150 * (1 - np.exp(-u / 0.1)),
            np.full(ticks, 200.0),
        ]
    )


@pytest.mark.parametrize("ticks", [90, 240, 1000, 3000])
def test_verdicts_are_those_of_the_whole_series(ticks):
    live = IncrementalJudge()
    slots = live.admit(np.full(4, 500 * MIB))
    values = shapes(ticks)
    feed(live, slots, values)
    judged = live.judge(slots)
    whole = judge_batch(Batch.shared(START + STEP * np.arange(ticks), values * MIB, np.full(4, 500 * MIB)))
    assert [one.verdict for one in judged] == [one.verdict for one in whole]
    assert judged[0].rate == pytest.approx(whole[0].rate, rel=0.03)
    assert judged[0].seconds_to_limit == pytest.approx(whole[0].seconds_to_limit, rel=0.05)
    assert judged[0].samples == ticks - 1


def test_memory_does_not_grow_with_time():
    live = IncrementalJudge()
    slots = live.admit(np.full(4, np.nan))
    before = live.bytes
    feed(live, slots, shapes(3000))
    assert live.bytes == before
    assert live.bytes / 256 < 20 * BUCKETS_PER_CONTAINER


def test_packed_buckets_are_the_samples():
    values = 300 + np.cumsum(np.random.default_rng(3).normal(0, 2, (4, 700)), axis=1)
    live = IncrementalJudge()
    slots = live.admit(np.full(4, np.nan))
    feed(live, slots, values)
    packed = live.summary(slots)
    edges = np.cumsum(packed.count[packed.life == 0]) - packed.count[packed.life == 0]
    seen = values[0, :-1] * MIB  # the newest sample still waits for the next one
    assert packed.low[packed.life == 0] == pytest.approx(np.minimum.reduceat(seen, edges), rel=1e-4)
    assert packed.high[packed.life == 0] == pytest.approx(np.maximum.reduceat(seen, edges), rel=1e-4)
    moved = np.diff(seen, prepend=seen[0])
    assert packed.squared_steps[packed.life == 0] == pytest.approx(np.add.reduceat(moved**2, edges), rel=5e-3)
    total = np.abs(moved**3).sum()
    assert packed.cubed_steps[packed.life == 0] == pytest.approx(
        np.add.reduceat(moved**3, edges), abs=5e-3 * total
    )


def test_more_lives_than_can_be_numbered_are_told_apart():
    live = IncrementalJudge()
    slots = live.admit(np.array([np.nan]))
    age = np.arange(2700) % 9
    feed(live, slots, (100 + 20.0 * age)[None, :], restarts=[(tick, slots[0]) for tick in range(9, 2700, 9)])
    packed = live.summary(slots)
    assert len(packed.life_container) > 5
    assert np.all(np.diff(packed.time) > 0)


def test_a_day_old_past_is_forgotten_and_the_rest_still_counts():
    live = IncrementalJudge(history=3600.0)
    slots = live.admit(np.array([np.nan]))
    feed(live, slots, np.concatenate([np.full(2000, 300.0), 300 + np.arange(400) / 2])[None, :])
    judgement = live.judge(slots)[0]
    assert judgement.window_seconds < 3 * 3600
    assert judgement.verdict is Verdict.LEAK


def test_restarts_cut_and_ramps_are_pooled():
    live = IncrementalJudge()
    slots = live.admit(np.array([500 * MIB]))
    age = np.arange(600) % 120
    feed(
        live, slots, (200 + 2.0 * age)[None, :], restarts=[(tick, slots[0]) for tick in (120, 240, 360, 480)]
    )
    judgement = live.judge(slots)[0]
    assert judgement.certainty == "leak"
    assert judgement.rate / MIB == pytest.approx(2.0 * 240, rel=0.03)
    assert (judgement.cuts, judgement.oom_kills) == (4, 4)
    assert judgement.seconds_per_life == pytest.approx(300 / 2.0 * STEP, rel=0.05)


def test_a_restart_that_metrics_see_late_cuts_where_memory_falls():
    live = IncrementalJudge()
    slots = live.admit(np.array([np.nan]))
    age = np.arange(600) % 120
    feed(
        live,
        slots,
        (200 + 2.0 * age)[None, :],
        restarts=[(tick - 2, slots[0]) for tick in (120, 240, 360, 480)],
    )
    judgement = live.judge(slots)[0]
    assert judgement.verdict is Verdict.LEAK
    assert judgement.rate / MIB == pytest.approx(2.0 * 240, rel=0.05)


def test_a_crash_loop_of_many_lives_stays_within_its_buckets():
    live = IncrementalJudge()
    slots = live.admit(np.array([np.nan]))
    age = np.arange(1600) % 8
    feed(live, slots, (100 + 20.0 * age)[None, :], restarts=[(tick, slots[0]) for tick in range(8, 1600, 8)])
    judgement = live.judge(slots)[0]
    assert judgement.verdict is Verdict.LEAK
    assert judgement.cuts == 199


def test_false_readings_are_dropped():
    live = IncrementalJudge()
    slots = live.admit(np.array([np.nan]))
    values = np.full(300, 200.0)
    values[[50, 120, 121, 250]] = 0.0
    values[200] = 30.0
    feed(live, slots, values[None, :])
    judgement = live.judge(slots)[0]
    assert judgement.verdict is Verdict.STEADY
    assert judgement.samples == 294


def test_a_slot_that_is_given_on_knows_nothing_of_its_former_container():
    live = IncrementalJudge()
    first = live.admit(np.array([np.nan]))
    feed(live, first, (200 + np.arange(200.0))[None, :])
    live.judge_due(START + 4000)
    assert live.judgements[first[0]].verdict is Verdict.LEAK
    live.release(first)
    assert len(live) == 0
    second = live.admit(np.array([np.nan]))
    assert second == first
    assert live.judgements[second[0]].verdict is Verdict.NOT_ENOUGH_DATA
    feed(live, second, np.full((1, 100), 50.0), start=START + 9000)
    assert live.judge(second)[0].verdict is Verdict.STEADY


def test_room_is_made_for_as_many_as_come():
    live = IncrementalJudge()
    early = live.admit(np.full(200, np.nan))
    feed(live, early, np.full((200, 30), 100.0))
    late = live.admit(np.full(900, np.nan))
    assert len(set(early) | set(late)) == 1100
    feed(live, np.concatenate([early, late]), np.full((1100, 30), 100.0), start=START + 30 * STEP)
    judged = live.judge(np.array([early[0], late[-1]]))
    assert [one.samples for one in judged] == [59, 29]


def test_only_what_has_changed_enough_is_judged_again():
    live = IncrementalJudge()
    slots = live.admit(np.full(4, np.nan))
    assert not len(live.judge_due(START))
    feed(live, slots, shapes(400))
    now = START + 400 * STEP
    assert sorted(live.judge_due(now)) == sorted(slots)
    assert not len(live.judge_due(now + 1))
    live.restarted(slots[:1], np.array([now]))
    assert list(live.judge_due(now + 2)) == [slots[0]]
    assert sorted(live.judge_due(now + 700)) == sorted(slots)
    assert live.judged_at[slots[1]] == now + 700


def test_the_longest_overdue_come_first_and_no_more_than_asked_for():
    live = IncrementalJudge()
    slots = live.admit(np.full(4, np.nan))
    for number, slot in enumerate(slots):
        feed(live, np.array([slot]), np.full((1, 20), 100.0), start=START + 100 * number)
    assert set(live.judge_due(START + 1e4, most=2)) == set(slots[:2])
    assert set(live.judge_due(START + 1e4, most=2)) == set(slots[2:])


def test_old_and_missing_samples_are_ignored():
    live = IncrementalJudge()
    slots = live.admit(np.full(2, np.nan))
    feed(live, slots, np.full((2, 20), 100.0))
    live.update(slots, np.full(2, START + 5), np.full(2, 9e9))
    live.update(slots, np.full(2, START + 20 * STEP), np.array([np.nan, 100 * MIB]))
    assert list(live.judge(slots).samples) == [19, 20]


def test_a_changed_limit_is_a_reason_to_judge_again():
    live = IncrementalJudge()
    slots = live.admit(np.array([500 * MIB]))
    feed(live, slots, (200 + 0.5 * np.arange(200))[None, :])
    live.judge_due(START + 200 * STEP)
    before = live.judgements[slots[0]].seconds_to_limit
    live.limits(slots, np.array([800 * MIB]))
    assert list(live.judge_due(START + 200 * STEP)) == list(slots)
    assert live.judgements[slots[0]].seconds_to_limit > 2 * before


def test_room_made_ahead_of_time_changes_no_verdict():
    slow, tidy = IncrementalJudge(), IncrementalJudge()
    values = shapes(1500)
    for live in (slow, tidy):
        slots = live.admit(np.full(4, 500 * MIB))
        for tick, column in enumerate(values.T):
            time = START + STEP * tick
            live.update(slots, np.full(4, time), column * MIB)
            if live is tidy:
                live.judge_due(time)
    pairs = zip(slow.judge(slots), tidy.judge(slots), strict=True)
    for one, other in pairs:
        assert one.verdict is other.verdict
        assert one.samples == other.samples
        assert one.rate == pytest.approx(other.rate, rel=0.02, abs=MIB / 4)


def test_samples_may_be_further_apart_than_was_said():
    live = IncrementalJudge(step=1.0)
    slots = live.admit(np.full(4, 500 * MIB))
    feed(live, slots, shapes(3 * BUCKETS_PER_CONTAINER))
    assert list(live.judge(slots).samples) == [3 * BUCKETS_PER_CONTAINER - 1] * 4
