import numpy as np
import pytest

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import EndCause, LifeEnd, Series
from memtop.analysis.verdict import judge_series
from memtop.analysis.workload_verdict import judge_pooled
from tests.analysis.window import MIB


def pod(start, values, noise=2.0, seed=0, limit=None, restarts=()):
    values = np.asarray(values, float) + np.random.default_rng(seed).normal(0, noise, len(values))
    time = 1.7e9 + start + 15.0 * np.arange(len(values))
    return Series(time, values * MIB, np.array(restarts, float), limit=limit)


def test_pods_most_of_which_are_too_short_to_tell_are_a_leak_together():
    pods = [pod(700 * n, 200 + 0.25 * np.arange(40) + 10 * (n % 3), noise=4, seed=n) for n in range(12)]
    alone = [judge_series(one) for one in pods]
    assert sum(one.verdict is Verdict.LEAK for one in alone) < len(pods) / 2
    together = judge_pooled(pods)
    assert together.verdict is Verdict.LEAK
    assert together.rate / MIB == pytest.approx(0.25 * 240, rel=0.2)
    assert together.samples == sum(one.samples for one in alone)


def test_pods_of_different_size_that_do_not_grow_are_steady():
    pods = [pod(600 * n, np.full(120, 150.0 + 40 * n), seed=n) for n in range(6)]
    assert judge_pooled(pods).verdict is Verdict.STEADY


def test_one_pod_that_surely_leaks_makes_a_leaking_workload():
    pods = [pod(0, np.full(300, 200.0), seed=n) for n in range(4)]
    pods.append(pod(0, 200 + 0.5 * np.arange(300), seed=9))
    assert judge_pooled(pods).verdict is Verdict.LEAK


def test_the_time_to_limit_is_that_of_the_pod_that_gets_there_first():
    pods = [pod(0, 200 + 100 * n + 0.5 * np.arange(300), seed=n, limit=700 * MIB) for n in range(3)]
    together = judge_pooled(pods)
    left = (700 - 400 - 150) / (0.5 * 240) * 3600
    assert together.seconds_to_limit == pytest.approx(left, rel=0.1)
    assert together.seconds_to_limit_low < together.seconds_to_limit < together.seconds_to_limit_high


def test_restarts_of_all_pods_count():
    pods = [
        pod(0, 200 + (np.arange(400) % 100), seed=n, restarts=1.7e9 + 1500.0 * np.arange(1, 4))
        for n in range(2)
    ]
    together = judge_pooled(pods)
    assert together.certainty == "leak"
    assert together.cuts == 6


def test_warm_up_of_every_new_pod_is_no_leak():
    warm = 300 * (1 - np.exp(-np.arange(200) / 20))
    assert judge_pooled([pod(2000 * n, 200 + warm, seed=n) for n in range(5)]).verdict is Verdict.WARMUP


def test_no_pods_and_empty_pods_are_not_enough_data():
    assert judge_pooled([]).verdict is Verdict.NOT_ENOUGH_DATA
    assert judge_pooled([pod(0, []), pod(0, [])]).verdict is Verdict.NOT_ENOUGH_DATA


def evicted(at):
    return Series(np.empty(0), np.empty(0), ends=(LifeEnd(at, at - 900.0, EndCause.EVICTION),))


def test_pods_that_are_evicted_one_after_another_are_a_loop_of_their_workload():
    running = pod(0, 200 + np.zeros(200))
    assert judge_pooled([running, evicted(1.7e9), evicted(1.7e9 + 3600)]).verdict is Verdict.STEADY
    judgement = judge_pooled([running, *(evicted(1.7e9 + 3600 * number) for number in range(3))])
    assert judgement.verdict is Verdict.OOM_LOOP
    assert judgement.evidence().startswith("evicted for memory 3 times, each about 15 m after its start")


def test_a_pod_that_runs_out_of_memory_again_and_again_is_its_workloads():
    starts = 1.7e9 + 400.0 * np.arange(5)
    ends = tuple(LifeEnd(start + 15, start, EndCause.OOM_KILL) for start in starts)
    dying = Series(np.empty(0), np.empty(0), starts[1:], ends=ends)
    assert judge_pooled([pod(0, 200 + np.zeros(200)), dying]).verdict is Verdict.OOM_LOOP
