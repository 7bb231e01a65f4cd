import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memtop.demo.memory_curves import GIB, HOUR, MIB, Curve, levels, levels_of, limit_reached

LEAK = Curve(300 * MIB, leak=600 * MIB / HOUR, teeth=80 * MIB, noise=5 * MIB)


def test_same_seed_same_memory():
    times = np.linspace(0, 7200, 100)
    assert np.array_equal(levels_of(LEAK, 0.0, times, 1), levels_of(LEAK, 0.0, times, 1))
    assert not np.array_equal(levels_of(LEAK, 0.0, times, 1), levels_of(LEAK, 0.0, times, 2))


def test_one_moment_is_the_same_alone_and_in_a_series():
    times = np.arange(0.0, 3600.0, 15.0)
    series = levels_of(LEAK, 0.0, times, 9)
    assert levels_of(LEAK, 0.0, times[100:101], 9)[0] == series[100]


def test_many_containers_at_once_equal_each_by_itself():
    curves = [LEAK, Curve(50 * MIB, warm=40 * MIB), Curve(1 * GIB, day=100 * MIB)]
    table = np.array([curve.row() for curve in curves]).T
    seeds = np.array([1, 2, 3], dtype=np.uint64)
    at = np.full(3, 5000.0)
    together = levels(table, at - 100.0, at, seeds)
    alone = [levels_of(curve, 100.0, at[:1], int(seed))[0] for curve, seed in zip(curves, seeds, strict=True)]
    assert together.tolist() == alone


def test_a_leak_lifts_the_floor_and_a_saw_does_not():
    saw = Curve(300 * MIB, teeth=200 * MIB, teeth_period=600)
    times = np.arange(600.0, 6 * HOUR, 15.0)
    halves = np.array_split(levels_of(saw, 0.0, times, 4), 2)
    assert abs(halves[0].min() - halves[1].min()) < 5 * MIB
    leaking = np.array_split(levels_of(LEAK, 0.0, times, 4), 2)
    assert leaking[1].min() > leaking[0].min() + 1 * GIB


def test_whole_pages():
    assert not (levels_of(LEAK, 0.0, np.arange(0.0, 3000.0, 7.0), 3) % 4096).any()


@given(st.integers(0, 2**64 - 1))
def test_the_limit_is_reached_when_memory_says_so(seed):
    limit = 1.0 * GIB
    age = limit_reached(LEAK, 0.0, limit, seed)
    assert levels_of(LEAK, 0.0, np.array([age]), seed)[0] >= limit
    before = np.arange(0.0, age, 5.0)
    assert (levels_of(LEAK, 0.0, before, seed) < limit).all()


def test_what_does_not_grow_never_reaches_a_limit_above_it():
    assert math.isinf(limit_reached(Curve(100 * MIB, teeth=50 * MIB), 0.0, 200 * MIB, 1))
