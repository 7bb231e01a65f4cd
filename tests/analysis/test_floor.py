"""The fitted floor as a line."""

import numpy as np
import pytest

from memtop.analysis.judgement import floor_line
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from tests.analysis.window import MIB

STEP = 30.0


def container(values, restarts=(), limit=None):
    values = np.asarray(values, float) + np.random.default_rng(2).normal(0, 0.2, len(values))
    return Series(
        1.7e9 + STEP * np.arange(len(values)),
        values * MIB,
        1.7e9 + np.asarray(restarts, float),
        limit=limit,
    )


def test_the_floor_of_a_leak_under_teeth_runs_through_the_troughs():
    u = np.arange(960)
    series = container(200 + 0.3 * u + 80 * (u / 37 % 1))
    times, values = floor_line(series, judge_series(series))
    assert times == pytest.approx([series.timestamps[0], series.timestamps[-1]], abs=20 * STEP)
    assert values / MIB == pytest.approx([200, 200 + 0.3 * 960], abs=12)


def test_every_life_of_a_leak_has_a_line():
    age = np.arange(600) % 150
    series = container(100 + 2.0 * age, restarts=np.arange(150, 600, 150) * STEP)
    times, values = floor_line(series, judge_series(series))
    assert len(times) == len(values) == 11
    assert (np.diff(times) > 0).all()
    assert values[::3] / MIB == pytest.approx([100] * 4, abs=8)
    assert values[1::3] / MIB == pytest.approx([400] * 4, abs=20)
    assert np.isnan(values[2::3]).all()  # nothing is drawn from one life to the next


def test_the_floor_of_a_saw_is_flat():
    u = np.arange(960)
    series = container(200 + 80 * (u / 37 % 1))
    _, values = floor_line(series, judge_series(series))
    assert values / MIB == pytest.approx([200, 200], abs=12)


def test_there_is_no_floor_without_a_rate():
    few = container([100.0] * 5)
    assert floor_line(few, judge_series(few)) is None


def test_a_level_that_shifted_has_no_floor():
    shifted = container(np.where(np.arange(600) < 300, 100.0, 160.0))
    assert judge_series(shifted).verdict.value == "step"
    assert floor_line(shifted, judge_series(shifted)) is None
