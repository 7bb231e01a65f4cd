"""One container at a time: what a person would say, looking at the curve."""

from dataclasses import replace

import numpy as np
import pytest

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Batch, RaggedTimes, Series
from memtop.analysis.verdict import judge_batch, judge_series
from memtop.analysis.workload_verdict import judge_pooled
from tests.analysis.healthy import HEALTHY
from tests.analysis.kinds import make
from tests.analysis.leaking import LEAKS
from tests.analysis.window import MIB

HOUR = 3600.0


def container(values, step=15.0, restarts=(), limit=None, noise=0.2, oom_kills=(), start=1.7e9):
    values = np.asarray(values, float)
    values = values + np.random.default_rng(5).normal(0, noise, len(values))
    return Series(
        start + step * np.arange(len(values)),
        values * MIB,
        start + np.asarray(restarts, float),
        start + np.asarray(oom_kills, float),
        limit,
    )


def test_a_steady_leak_has_rate_interval_and_time_to_limit():
    hours = np.arange(720) / 120
    judgement = judge_series(container(300 + 48 * hours, step=30, limit=700 * MIB))
    assert judgement.certainty == "leak"
    assert judgement.rate / MIB == pytest.approx(48, rel=0.01)
    assert judgement.rate_low < 48 * MIB < judgement.rate_high
    assert judgement.seconds_to_limit == pytest.approx((700 - 300 - 48 * 6) / 48 * HOUR, rel=0.02)
    assert judgement.seconds_to_limit_low < judgement.seconds_to_limit < judgement.seconds_to_limit_high
    assert judgement.window_seconds == pytest.approx(6 * HOUR, rel=0.01)
    assert judgement.samples == 720
    assert judgement.evidence().startswith("floor rises 48 MiB/h (±")


def test_ramps_that_end_in_oom_kills_are_one_leak():
    age = np.arange(800) % 160
    restarts = np.arange(160, 800, 160) * 15.0
    series = container(200 + 1.8 * age, restarts=restarts, oom_kills=restarts - 1, limit=490 * MIB)
    judgement = judge_series(series)
    assert judgement.certainty == "leak"
    assert judgement.rate / MIB == pytest.approx(1.8 * 240, rel=0.02)
    assert (judgement.cuts, judgement.oom_kills) == (4, 4)
    assert "across 4 OOM kills" in judgement.evidence()


def test_the_same_saw_without_restarts_is_garbage_collection():
    age = np.arange(800) % 160
    judgement = judge_series(container(200 + 1.8 * age, limit=600 * MIB))
    assert judgement.verdict is Verdict.SAWTOOTH
    assert judgement.seconds_to_limit is None


def test_a_fix_by_deploy_ends_the_leak():
    values = np.concatenate([200 + 0.5 * np.arange(400), np.full(500, 210.0)])
    assert judge_series(container(values, restarts=[400 * 15])).verdict is not Verdict.LEAK


def test_a_leak_that_a_deploy_brought_is_seen_at_once():
    values = np.concatenate([np.full(500, 210.0), 205 + 0.5 * np.arange(300)])
    judgement = judge_series(container(values, restarts=[500 * 15]))
    assert judgement.certainty == "leak"
    assert judgement.rate / MIB == pytest.approx(0.5 * 240, rel=0.03)


def test_a_sample_of_the_dead_container_after_the_restart_does_not_spoil_the_ramp():
    age = np.arange(800) % 160
    late = judge_series(container(200 + 1.8 * age, restarts=np.arange(160, 800, 160) * 15.0 - 25))
    assert late.certainty == "leak"
    assert late.rate / MIB == pytest.approx(1.8 * 240, rel=0.02)


def test_memory_close_to_the_limit_that_does_not_grow_has_no_forecast():
    judgement = judge_series(container(np.full(400, 990.0), limit=1000 * MIB))
    assert judgement.verdict is Verdict.STEADY
    assert judgement.seconds_to_limit is None


def test_a_leak_at_its_limit_has_no_time_left():
    judgement = judge_series(container(300 + np.arange(400), limit=690 * MIB))
    assert judgement.verdict is Verdict.LEAK
    assert judgement.seconds_to_limit == 0
    assert judgement.evidence().endswith("at the limit now")


@pytest.mark.parametrize("samples", [0, 1, 2, 5, 11])
def test_too_few_samples_are_not_enough_data(samples):
    judgement = judge_series(container(np.full(samples, 100.0)))
    assert judgement.verdict is Verdict.NOT_ENOUGH_DATA
    assert judgement.rate is None
    assert judgement.samples == samples


def test_a_quarter_of_an_hour_is_enough_for_a_plain_leak():
    judgement = judge_series(container(300 + 4 * np.arange(20), step=45))
    assert judgement.verdict is Verdict.LEAK


def test_constant_memory_is_steady_and_sure():
    judgement = judge_series(container(np.full(500, 64.0), noise=0))
    assert judgement.verdict is Verdict.STEADY
    assert judgement.rate == pytest.approx(0, abs=1)
    assert judgement.confidence > 0.9


def test_many_at_once_are_judged_as_one_by_one():
    made = [make(kind, 3).series for kind in (*LEAKS, *HEALTHY)]
    together = judge_batch(Batch.of(made))
    assert len(together) == len(made)
    for series, judgement in zip(made, together, strict=True):
        alone = judge_series(series)
        assert judgement.verdict is alone.verdict
        assert judgement.rate == pytest.approx(alone.rate, rel=1e-6, abs=1)
        assert judgement.confidence == pytest.approx(alone.confidence, abs=0.01)


def test_a_shared_clock_and_single_precision_make_no_difference():
    time = 1.7e9 + 30.0 * np.arange(300)
    rising = 3e8 + 2e5 * np.arange(300) + np.random.default_rng(1).normal(0, 1e5, 300)
    flat = np.full(300, 2.5e8)
    missing = np.where(np.arange(300) % 7 == 0, np.nan, rising)
    values = np.stack([rising, flat, missing]).astype(np.float32)
    judged = judge_batch(Batch.shared(time, values, np.array([1e9, np.nan, 1e9])))
    assert [one.verdict for one in judged] == [Verdict.LEAK, Verdict.STEADY, Verdict.LEAK]
    assert judged[0].rate == pytest.approx(2e5 * 120, rel=0.01)
    assert judged[2].rate == pytest.approx(judged[0].rate, rel=0.01)
    assert judged[2].samples < 300


def test_no_containers_have_no_verdicts():
    nothing = Batch(
        np.empty((0, 0)), np.empty((0, 0)), RaggedTimes.empty(0), RaggedTimes.empty(0), np.empty(0)
    )
    assert len(judge_batch(nothing)) == 0


def test_a_few_flat_minutes_clear_nobody():
    assert judge_series(container(np.full(38, 100.0))).verdict is Verdict.NOT_ENOUGH_DATA
    assert judge_series(container(np.full(60, 100.0))).verdict is Verdict.STEADY


def test_a_few_steep_minutes_are_suspected():
    judgement = judge_series(container(300 + 4 * np.arange(30), limit=600 * MIB))
    assert judgement.certainty == "suspected leak"
    assert judgement.seconds_to_limit > 0


def test_ramps_that_repeat_are_sure_even_when_young():
    age = np.arange(60) % 15
    judgement = judge_series(container(100 + 20 * age, restarts=np.arange(15, 60, 15) * 15.0))
    assert judgement.certainty == "leak"


@pytest.mark.parametrize("samples", [20, 40, 75])
def test_healthy_containers_are_at_most_suspected_while_young(samples):
    for kind in HEALTHY:
        for seed in range(12):
            whole = make(kind, seed, live=True).series
            end = whole.timestamps[:samples][-1]
            series = Series(
                whole.timestamps[:samples],
                whole.values[:samples],
                whole.restarts[whole.restarts < end],
                limit=whole.limit,
            )
            if end - whole.timestamps[0] < 1200:
                assert judge_series(series).certainty != "leak", kind


def grown(minutes, since_start=None, limit=None, rate=3.0):
    """A straight rise of `rate` MiB a minute over some minutes, `since_start` minutes after a start."""
    one = container(100 + rate / 4 * np.arange(4 * minutes), limit=limit)
    start = None if since_start is None else float(one.timestamps[-1]) - 60 * since_start
    return replace(one, started_at=start)


def test_the_first_minutes_of_a_process_are_no_leak_of_any_kind():
    assert judge_series(grown(8)).certainty == "suspected leak"
    assert judge_series(grown(8, since_start=8)).verdict is Verdict.NOT_ENOUGH_DATA
    assert judge_series(grown(8, since_start=600)).certainty == "suspected leak"


def test_growth_of_a_young_process_is_only_suspected_unless_its_limit_is_near():
    assert judge_series(grown(100, limit=6000 * MIB)).certainty == "leak"
    assert judge_series(grown(100, since_start=600, limit=6000 * MIB)).certainty == "leak"
    assert judge_series(grown(100, since_start=100, limit=6000 * MIB)).certainty == "suspected leak"
    assert judge_series(grown(100, since_start=100, limit=700 * MIB)).certainty == "leak"


def test_pods_that_start_together_and_grow_alike_do_not_repeat_anything():
    young = [grown(100, since_start=100, limit=6000 * MIB) for _ in range(4)]
    assert judge_pooled(young).certainty == "suspected leak"
    assert judge_pooled([replace(one, started_at=None) for one in young]).certainty == "leak"


def test_growth_of_a_young_process_that_repeats_is_a_leak():
    age = np.arange(400) % 100
    restarts = np.arange(100, 400, 100) * 15.0
    one = container(100 + 1.5 * age, restarts=restarts, limit=6000 * MIB)
    assert judge_series(replace(one, started_at=float(one.restarts[-1]))).certainty == "leak"
