"""A container that is down, or has just started again: what is judged is the life that was seen."""

from dataclasses import replace

import numpy as np
import pytest

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Batch, EndCause, LifeEnd, Series
from memtop.analysis.sample_summary import summarise_samples
from memtop.analysis.verdict import judge_series
from tests.analysis.window import MIB

START = 1.7e9


def leaking(minutes=300, noise=0.05):
    time = np.arange(0, 60 * minutes, 30.0)
    values = 120 + 0.02 * time / 15 + np.random.default_rng(3).normal(0, noise, len(time))
    return Series(START + time, values * MIB, limit=2000 * MIB, started_at=START - 10 * 3600)


def growing_fast(lives=1):
    """To 250 MiB within an hour, and again after each start."""
    time = np.arange(0, 3600.0 * lives, 30.0)
    values = 50 + 200 * (time % 3600) / 3600 + np.random.default_rng(3).normal(0, 0.3, len(time))
    restarts = START + 3600.0 * np.arange(1, lives)
    start = float(restarts[-1]) if lives > 1 else START - 60
    return Series(START + time, values * MIB, restarts, limit=900 * MIB, started_at=start)


def down_since(series, repeated, cause=None):
    """The same, dead since its last sample, which Prometheus repeats for some seconds."""
    end = float(series.timestamps[-1])
    echo = end + np.arange(30.0, repeated + 1, 30.0)
    return replace(
        series,
        timestamps=np.append(series.timestamps, echo),
        values=np.append(series.values, np.full(len(echo), series.values[-1])),
        ends=() if cause is None else (LifeEnd(end + 1, None, cause),),
    )


def started_again(series, after):
    start = float(series.timestamps[-1]) + after
    return replace(series, restarts=np.append(series.restarts, start), started_at=start)


@pytest.mark.parametrize("after", [0.5, 20.0, 290.0, 3000.0])
@pytest.mark.parametrize("repeated", [0, 120, 300])
@pytest.mark.parametrize("whole", [leaking(), growing_fast(3), growing_fast(5)])
def test_a_start_after_the_last_sample_leaves_a_leak_one(whole, repeated, after):
    before = judge_series(whole)
    now = judge_series(started_again(down_since(whole, repeated), after))
    assert before.verdict is Verdict.LEAK
    assert now.certainty == before.certainty
    assert now.rate == pytest.approx(before.rate, rel=1e-6)


@pytest.mark.parametrize("cause", [EndCause.OTHER, EndCause.OOM_KILL])
def test_while_it_is_down_a_leak_does_not_level_off(cause):
    for whole in (leaking(), growing_fast(), growing_fast(3)):
        assert judge_series(down_since(whole, 300, cause)).verdict is Verdict.LEAK


def test_a_first_life_that_nobody_saw_begin_is_as_old_as_it_was_seen():
    whole = growing_fast()
    assert judge_series(started_again(whole, 60.0)).verdict is Verdict.LEAK


def test_only_what_a_dead_container_repeats_is_left_out():
    flat = Series(START + 30 * np.arange(80.0), np.full(80, 50 * MIB))
    long = down_since(leaking(), 900)
    for series, kept in (
        (started_again(flat, 10), 80),  # one value throughout
        (down_since(leaking(), 300), 610),  # nobody says that it ended
        (started_again(long, 10), len(long.values)),  # longer than Prometheus repeats anything
        (started_again(down_since(leaking(), 300), 10), 600),
    ):
        assert int(summarise_samples(Batch.of([series])).samples[0]) == kept
