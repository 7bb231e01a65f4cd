"""What the ends of lives say: one container at a time."""

from dataclasses import replace

import numpy as np
import pytest

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import EndCause, HeapFill, LifeEnd, Series
from memtop.analysis.verdict import judge_series
from tests.analysis.window import MIB

STEP = 15.0
LIMIT = 256 * MIB


def lives(shape, count, samples=24, oom=True, pause=4, tail=()):
    """Lives of ``shape`` (share of the life -> MiB), each followed by a pause that nobody sees."""
    random = np.random.default_rng(3)
    times, values, restarts, kills = [], [], [], []
    at = 1.7e9
    for number in range(count):
        if number:
            restarts.append(at)
        level = shape(np.arange(samples) / samples) + random.normal(0, 0.3, samples)
        times.extend(at + STEP * np.arange(samples))
        values.extend(level)
        at += STEP * samples
        if oom:
            kills.append(at)
        at += STEP * pause
    if len(tail):
        restarts.append(at)
        times.extend(at + STEP * np.arange(len(tail)))
        values.extend(np.asarray(tail) + random.normal(0, 0.3, len(tail)))
    return Series(
        np.array(times), np.array(values) * MIB, np.array(restarts), np.array(kills), limit=float(LIMIT)
    )


def ramp(u):
    return 40 + 210 * u


def ramp_that_ends_in_collections(u):
    return 40 + 200 * np.minimum(u / 0.45, 1.0)


def warm_up(u):
    return 40 + 100 * (1 - np.exp(-u / 0.06))


def flat(u):
    return 120 + 0 * u


def batch(u):
    return 60 + 190 * (u > 0.9)


@pytest.mark.parametrize("shape", [ramp, ramp_that_ends_in_collections])
@pytest.mark.parametrize("oom", [True, False])
def test_rises_that_end_in_deaths_are_a_leak(shape, oom):
    assert judge_series(lives(shape, 6, oom=oom)).certainty == "leak"


def test_an_oom_kill_says_more_than_a_restart():
    killed, restarted = (
        judge_series(lives(ramp, 3, samples=8)),
        judge_series(lives(ramp, 3, samples=8, oom=False)),
    )
    assert killed.confidence >= restarted.confidence


def test_every_further_kill_makes_it_surer():
    chances = [judge_series(lives(ramp_that_ends_in_collections, count)).confidence for count in (4, 5, 6)]
    assert chances == sorted(chances)


@pytest.mark.parametrize("shape", [warm_up, flat])
def test_restarts_of_what_does_not_grow_are_no_leak(shape):
    assert judge_series(lives(shape, 6, oom=False)).verdict is not Verdict.LEAK


def test_a_warm_up_is_none_far_below_the_limit_even_when_it_is_killed_for_another_reason():
    assert judge_series(lives(warm_up, 6, oom=False)).certainty != "leak"


def test_a_batch_that_is_killed_at_its_end_is_no_leak():
    assert judge_series(lives(batch, 6, samples=40)).certainty != "leak"


def unseen(count, cause=EndCause.OOM_KILL, lived=15.0, every=400.0, **more):
    """Deaths of which there is no sample, `lived` seconds after each start."""
    starts = 1.7e9 + every * np.arange(count)
    ends = tuple(LifeEnd(start + lived, start, cause) for start in starts)
    return Series(np.empty(0), np.empty(0), starts[1:], ends=ends, limit=64.0 * MIB, **more)


@pytest.mark.parametrize("samples", [1, 2])
def test_kills_that_nobody_saw_coming_are_no_leak_but_never_nothing(samples):
    judgement = judge_series(lives(lambda u: 20 + 0 * u, 12, samples=samples, pause=20))
    assert judgement.verdict is Verdict.OOM_LOOP
    assert judgement.rate is None


def test_deaths_without_any_sample_are_a_verdict():
    judgement = judge_series(unseen(26))
    assert judgement.evidence() == (
        "OOM-killed 26 times, each about 15 s after its start: too fast to see it grow; limit 64 MiB"
    )
    assert (judgement.certainty, judgement.memory_deaths, judgement.seconds_per_life) == ("OOM loop", 26, 15)


@pytest.mark.parametrize("cause", [EndCause.OOM_KILL, EndCause.HEAP_LIMIT, EndCause.EVICTION])
def test_the_third_death_of_memory_makes_it_one(cause):
    assert judge_series(unseen(2, cause)).verdict is Verdict.NOT_ENOUGH_DATA
    assert judge_series(unseen(3, cause)).verdict is Verdict.OOM_LOOP


def test_ends_that_have_nothing_to_do_with_memory_are_none():
    assert judge_series(unseen(30, EndCause.OTHER)).verdict is Verdict.NOT_ENOUGH_DATA


def test_the_cause_of_the_newest_end_is_taken_for_that_of_restarts_nobody_explained():
    (newest,) = unseen(1).ends
    restarts = newest.started_at - 400.0 * np.arange(7)[::-1]
    one = Series(np.empty(0), np.empty(0), restarts, ends=(newest,))
    assert judge_series(one).verdict is Verdict.OOM_LOOP
    counted = Series(np.empty(0), np.empty(0), ends=(newest,), restart_count=46)
    assert judge_series(counted).evidence() == (
        "OOM-killed once, restarted 45 times more for reasons not known, 15 s after its start:"
        " too fast to see it grow"
    )
    other = LifeEnd(newest.at + 60, newest.at + 30, EndCause.OTHER)
    assert judge_series(Series(np.empty(0), np.empty(0), restarts, ends=(newest, other))).verdict is (
        Verdict.NOT_ENOUGH_DATA
    )


@pytest.mark.parametrize("shape", [flat, warm_up, batch])
def test_flat_memory_of_what_is_killed_again_and_again_is_never_called_healthy(shape):
    assert judge_series(lives(shape, 5)).verdict is Verdict.OOM_LOOP


def test_a_life_that_outlasts_those_that_died_ends_the_loop():
    short = lives(flat, 4, tail=np.full(30, 120.0))
    assert judge_series(short).verdict is Verdict.OOM_LOOP
    assert judge_series(lives(flat, 4, tail=np.full(160, 120.0))).verdict is Verdict.STEADY


def own_heap(series):
    """The same lives, each ended by a heap limit of its own."""
    starts = [float(series.timestamps[0]), *series.restarts.tolist()]
    ends = tuple(
        LifeEnd(float(series.timestamps[series.timestamps < again][-1]) + 1, start, EndCause.HEAP_LIMIT)
        for start, again in zip(starts, series.restarts.tolist(), strict=False)
    )
    return replace(series, oom_kills=np.empty(0), ends=ends)


def small_ramp(u):
    return 30 + 107 * u


@pytest.mark.parametrize("known", [True, False])
def test_what_dies_below_its_limit_will_die_there_again(known):
    tail = small_ramp(np.arange(12) / 24)
    series = lives(small_ramp, 5, oom=False, tail=tail)
    judgement = judge_series(own_heap(series) if known else series)
    assert judgement.certainty == "leak"
    assert judgement.death_level / MIB == pytest.approx(135, abs=3)
    assert judgement.seconds_to_limit == pytest.approx(12 * STEP, abs=2.5 * STEP)
    assert judgement.evidence().endswith("after each start")
    assert "dies at about 13" in judgement.evidence()


def full_heap(u):
    return 40 + 100 * np.minimum(u / 0.45, 1.0)


def test_a_full_heap_says_when_it_ends_by_its_age():
    tail = full_heap(np.arange(18) / 24)
    judgement = judge_series(own_heap(lives(full_heap, 6, oom=False, tail=tail)))
    assert judgement.certainty == "leak"
    assert judgement.seconds_to_limit == pytest.approx(6 * STEP, abs=2 * STEP)


def test_a_life_that_outlasts_the_others_without_growing_was_fixed():
    assert judge_series(lives(ramp, 4, tail=np.full(160, 45.0))).certainty != "leak"


HEAP = HeapFill(141.0 * MIB, 154.0 * MIB, 0.3)


def test_a_warm_up_that_ends_at_a_full_heap_is_a_leak():
    warm = lives(warm_up, 1, samples=240, oom=False)
    assert judge_series(warm).verdict is Verdict.WARMUP
    judgement = judge_series(replace(warm, full_heap=HEAP))
    assert judgement.certainty == "leak"
    assert judgement.evidence().startswith(
        "the heap is full: 141 MiB of 154 MiB live, 30 % of the time in full collections, over"
    )


def test_a_full_heap_that_nobody_saw_fill_is_suspected():
    judgement = judge_series(replace(lives(flat, 1, samples=240, oom=False), full_heap=HEAP))
    assert judgement.certainty == "suspected leak"


def test_the_first_seconds_of_a_process_are_no_step():
    values = np.full(300, 180.0)
    values[0] = 3.0
    series = Series(1.7e9 + STEP * np.arange(300), values * MIB)
    assert judge_series(series).verdict is Verdict.STEADY
