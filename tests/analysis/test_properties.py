"""What must not change a verdict: when it was, in what unit, how often and how exactly it was measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from memtop.commands.classify import NamedSeries, judge_named_series
from tests.analysis.kinds import make
from tests.analysis.window import MIB

STEP = 30.0
SAMPLES = 480
HOURS = SAMPLES * STEP / 3600

# Clear examples of each verdict: u runs from 0 to 1, memory in MiB above 200 MiB.
SHAPES = {
    Verdict.LEAK: lambda u: 90 * u,
    Verdict.SAWTOOTH: lambda u: 80 * (14.3 * u % 1),
    Verdict.SPIKE: lambda u: 150.0 * (np.abs(u - 0.4) < 0.02),
    Verdict.STEP: lambda u: 70.0 * (u > 0.55),
    Verdict.WARMUP: lambda u: 120 * (1 - np.exp(-u / 0.12)),
    Verdict.STEADY: lambda u: 0 * u,
}


def example(verdict, seed, start=1.7e9, step=STEP, samples=SAMPLES, limit=600 * MIB):
    u = np.arange(samples) / samples
    noise = np.random.default_rng(seed).normal(0, 0.4, samples)
    return Series(start + step * np.arange(samples), (200 + SHAPES[verdict](u) + noise) * MIB, limit=limit)


shapes = st.sampled_from(sorted(SHAPES))
seeds = st.integers(0, 50)
few = settings(max_examples=40)


@few
@given(shapes, seeds)
def test_clear_examples_are_named(shape, seed):
    assert judge_series(example(shape, seed)).verdict is shape


@few
@given(shapes, seeds, st.floats(-1.6e9, 1e10))
def test_a_shift_in_time_changes_nothing(shape, seed, shift):
    plain = judge_series(example(shape, seed))
    shifted = judge_series(example(shape, seed, start=1.7e9 + shift))
    assert shifted.verdict is plain.verdict
    assert shifted.rate == pytest.approx(plain.rate, rel=0.02, abs=MIB / 10)


@few
@given(shapes, seeds, st.sampled_from([1 / 8, 0.5, 3.0, 64.0]))
def test_another_unit_changes_only_the_rate(shape, seed, scale):
    plain = example(shape, seed)
    scaled = judge_series(Series(plain.timestamps, plain.values * scale, limit=plain.limit * scale))
    assert scaled.verdict is shape
    assert scaled.rate == pytest.approx(judge_series(plain).rate * scale, rel=1e-3, abs=scale * MIB / 100)


@few
@given(shapes, seeds, st.sampled_from([2, 3, 0.5]))
def test_another_sampling_rate_changes_nothing(shape, seed, every):
    series = example(shape, seed, step=STEP * every, samples=int(SAMPLES / every))
    assert judge_series(series).verdict is shape


@few
@given(shapes, seeds, st.lists(st.integers(1, SAMPLES - 2), max_size=60, unique=True))
def test_lost_samples_change_nothing(shape, seed, lost):
    series = example(shape, seed)
    left = Series(np.delete(series.timestamps, lost), np.delete(series.values, lost), limit=series.limit)
    assert judge_series(left).verdict is shape


@few
@given(shapes, seeds, st.sampled_from([4096, 65536, MIB]))
def test_rounded_values_change_nothing(shape, seed, quantum):
    series = example(shape, seed)
    rounded = Series(series.timestamps, np.round(series.values / quantum) * quantum, limit=series.limit)
    assert judge_series(rounded).verdict is shape


@few
@given(shapes, seeds, st.sets(st.integers(1, SAMPLES - 2), max_size=3), st.sampled_from([0.0, 0.2]))
def test_false_readings_change_nothing(shape, seed, where, reading):
    series = example(shape, seed)
    values = series.values.copy()
    values[sorted(where)] *= reading
    assert judge_series(Series(series.timestamps, values, limit=series.limit)).verdict is shape


@few
@given(seeds, st.integers(0, 1))
def test_uneven_fractional_times_change_nothing(seed, number):
    shape = sorted(SHAPES)[number]
    series = example(shape, seed)
    jitter = np.random.default_rng(seed).uniform(-0.3, 0.3, SAMPLES) * STEP
    assert (
        judge_series(Series(series.timestamps + jitter, series.values, limit=series.limit)).verdict is shape
    )


@few
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(0, 1e13)),
        max_size=60,
        unique_by=lambda pair: round(pair[0], 3),
    ),
    st.lists(st.floats(0, 1e6), max_size=8),
    st.one_of(st.none(), st.floats(1, 1e13)),
)
def test_anything_gets_a_verdict(pairs, restarts, limit):
    pairs.sort()
    times = np.array([time for time, _ in pairs])
    values = np.array([value for _, value in pairs])
    judgement = judge_series(Series(times, values, np.array(restarts), limit=limit))
    assert 0 <= judgement.confidence <= 1
    assert judgement.evidence()
    for number in (judgement.rate, judgement.seconds_to_limit, judgement.seconds_to_limit_high):
        assert number is None or np.isfinite(number)
    if judgement.rate is not None:
        assert judgement.rate_low <= judgement.rate <= judgement.rate_high


def test_the_interval_holds_the_true_rate_nearly_always():
    kinds = ("plain", "in_noise", "late_leak", "under_teeth", "under_batches", "across_deploys", "two_rates")
    made = [make(kind, seed) for kind in kinds for seed in range(30)]
    judged = judge_named_series([NamedSeries(one.kind, one.series) for one in made])
    leaks = [
        (one, verdict) for one, verdict in zip(made, judged, strict=True) if verdict.verdict is Verdict.LEAK
    ]
    inside = sum(verdict.rate_low <= one.rate <= verdict.rate_high for one, verdict in leaks)
    assert inside >= 0.9 * len(leaks)
