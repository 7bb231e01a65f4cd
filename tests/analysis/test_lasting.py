"""A leak goes on; what fades, dawns or steps is not called one without "suspected"."""

import numpy as np
import pytest

from memtop.analysis.fits import keeps_growing
from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
from memtop.analysis.shapes import CELLS
from memtop.analysis.verdict import judge_series
from tests.analysis.kinds import make
from tests.analysis.window import MIB

U = (np.arange(CELLS) + 0.5) / CELLS
ALL = np.array([float(CELLS)])


def noisy(curve, sd=0.002):
    return (1000 + 100 * curve + 100 * np.random.default_rng(5).normal(0, sd, CELLS))[None, :]


@pytest.mark.parametrize("jump", [0.1, 0.3, 0.45])
def test_growth_after_a_jump_goes_on(jump):
    assert keeps_growing(noisy(U + 2 * (jump < U)), ALL)[0]


@pytest.mark.parametrize("tau", [0.3, 0.5, 1.0, 1.5])
def test_a_filling_cache_does_not_go_on(tau):
    assert not keeps_growing(noisy(1 - np.exp(-U / tau)), ALL)[0]


def test_noise_shows_nothing():
    assert not keeps_growing(noisy(U, sd=0.5), ALL)[0]
    assert not keeps_growing(noisy(0 * U), ALL)[0]


def watched(hours, curve, noise=0.3):
    time = np.linspace(0, hours * 3600, 720)
    values = (400 + curve(time / 3600) + np.random.default_rng(6).normal(0, noise, len(time))) * MIB
    return judge_series(Series(1.7e9 + time, values, limit=4000 * MIB))


def test_a_leak_behind_a_warmup_is_sure():
    found = watched(24, lambda hour: 60 * (1 - np.exp(-hour)) + 5 * hour)
    assert found.certainty == "leak"
    assert found.rate == pytest.approx(5 * MIB, rel=0.1)


@pytest.mark.parametrize("phase", [-4, -2, 0, 2])
def test_three_hours_of_a_morning_are_no_more_than_suspected(phase):
    found = watched(3, lambda hour: 50 * np.sin(2 * np.pi * (hour + phase) / 24))
    assert found.certainty != "leak"


def test_three_hours_of_growth_that_no_day_explains_are_a_leak():
    assert watched(3, lambda hour: 40 * hour).certainty == "leak"


def test_a_deploy_on_a_daily_rhythm_is_no_leak():
    found = watched(24, lambda hour: 60 * (hour > 15) + 20 * np.sin(2 * np.pi * hour / 24))
    assert found.certainty != "leak"


@pytest.mark.parametrize(
    "kind", ["morning", "filling_cache", "step_on_days", "two_steps_up", "cache_and_day"]
)
def test_of_what_has_not_ended_yet_next_to_nothing_is_called_a_leak(kind):
    made = [make(kind, 9_100_003 + number, live=False) for number in range(120)]
    found = [judge_series(one.series) for one in made]
    assert sum(one.certainty == "leak" for one in found) <= 1


def test_repeated_lives_are_sure_however_short():
    made = [make("across_deploys", 9_200_003 + number) for number in range(20)]
    assert all(judge_series(one.series).verdict is Verdict.LEAK for one in made)


def test_a_straight_line_of_eight_hours_is_no_part_of_a_day():
    time = np.linspace(0, 8 * 3600, 960)
    noise = np.random.default_rng(11).normal(0, 1.0, 960)
    leak = 400 + 20 * time / time[-1] + noise
    morning = 400 + 60 * np.sin(2 * np.pi * (time / 86400 - 0.1)) + noise
    said = [
        judge_series(Series(1.7e9 + time, values * MIB, limit=4000 * MIB)).certainty
        for values in (leak, morning)
    ]
    assert said[0] == "leak"
    assert said[1] != "leak"
