"""What the ends of lives say: one container at a time."""

import numpy as np
import pytest

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
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
    chances = [judge_series(lives(ramp_that_ends_in_collections, count)).confidence for count in (3, 4, 6)]
    assert chances == sorted(chances)


@pytest.mark.parametrize("shape", [warm_up, flat])
def test_restarts_of_what_does_not_grow_are_no_leak(shape):
    assert judge_series(lives(shape, 6, oom=False)).verdict is not Verdict.LEAK


def test_a_warm_up_is_none_far_below_the_limit_even_when_it_is_killed_for_another_reason():
    assert judge_series(lives(warm_up, 6, oom=False)).certainty != "leak"


def test_a_batch_that_is_killed_at_its_end_is_no_leak():
    assert judge_series(lives(batch, 6, samples=40)).certainty != "leak"


def test_kills_that_nobody_saw_coming_count_too():
    judgement = judge_series(lives(lambda u: 20 + 0 * u, 12, samples=1, pause=20))
    assert judgement.certainty == "leak"
    assert judgement.rate is None


def test_two_unseen_kills_are_not_enough():
    assert judge_series(lives(lambda u: 20 + 0 * u, 3, samples=1, pause=20)).certainty != "leak"


def test_a_life_that_outlasts_the_others_without_growing_was_fixed():
    assert judge_series(lives(ramp, 4, tail=np.full(160, 45.0))).certainty != "leak"


def test_the_first_seconds_of_a_process_are_no_step():
    values = np.full(300, 180.0)
    values[0] = 3.0
    series = Series(1.7e9 + STEP * np.arange(300), values * MIB)
    assert judge_series(series).verdict is Verdict.STEADY
