"""Growth watched for minutes: a leak for sure if it is straight, large, and the limit is near."""

import numpy as np
import pytest

from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from tests.analysis.window import MIB

LIMIT = 900.0
"""MiB; `tests/real/test_leak_live.py` watches the same program on a real cluster."""


def watched(memory, seconds, step=15.0, first=0.0, age=8.0, limit=LIMIT):
    """A container whose memory, in MiB, follows its age in seconds; samples are up to 2 s early or late."""
    time = np.arange(first, seconds, step)
    time = np.clip(time + np.random.default_rng(4).uniform(-2, 2, len(time)), 0, None)
    start = 1.7e9
    values = np.array([memory(age + at) for at in time]) * MIB
    return judge_series(Series(start + time, values, limit=limit * MIB, started_at=start - age))


def leaking(age):
    """2 MiB each 2 s on top of an interpreter."""
    return 14 + 2 * np.floor(age % 7200 / 2)


@pytest.mark.parametrize("first", [0.0, 4.0, 11.0])
@pytest.mark.parametrize(
    ("step", "seconds"), [(15, 360), (15, 420), (17, 390), (20, 360), (20, 420), (30, 420)]
)
def test_a_leak_that_reaches_its_limit_in_minutes_is_one_before_it_kills(step, seconds, first):
    found = watched(leaking, seconds, step, first)
    assert found.certainty == "leak", found.evidence()
    assert found.rate == pytest.approx(3600 * MIB, rel=0.05)
    left = (LIMIT - leaking(8 + seconds)) / 1.0
    assert found.seconds_to_limit == pytest.approx(left, rel=0.1)


@pytest.mark.parametrize("limit", [LIMIT * 2, 1e6])
def test_the_same_far_from_a_limit_may_end_by_itself(limit):
    assert watched(leaking, 420, limit=limit).certainty == "not enough data"
    assert watched(leaking, 420, limit=limit, age=7200).certainty == "suspected leak"


def test_what_is_small_beside_the_memory_in_use_may_end_by_itself():
    assert watched(lambda age: 500 + leaking(age) / 2, 420).certainty == "suspected leak"


@pytest.mark.parametrize("tau", [150, 300, 600])
def test_a_cache_that_fills_close_to_the_limit_is_no_sure_leak(tau):
    for seconds in (300, 360, 420, 600, 900):
        found = watched(lambda age: 20 + 820 * (1 - np.exp(-age / tau)), seconds)
        assert found.certainty != "leak", seconds


def test_a_batch_that_begins_later_and_stops_below_the_limit_is_no_sure_leak():
    for seconds in (300, 360, 420, 540, 900):
        found = watched(lambda age: 60 + 1.5 * np.clip(age - 100, 0, 500), seconds)
        assert found.certainty != "leak", seconds
