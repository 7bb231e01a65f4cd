"""The parts that verdicts are made of, each on its own."""

from itertools import pairwise

import numpy as np
import pytest

from memtop.analysis.fits import fit_shapes
from memtop.analysis.growth_rules import rise_in_jumps, student_quantile
from memtop.analysis.life_curves import estimate_noise, find_turns
from memtop.analysis.lives import lay_out_lives
from memtop.analysis.memory_series import Batch, Series
from memtop.analysis.sample_summary import MAX_BUCKETS, summarise_samples
from memtop.analysis.shapes import CELLS, GROWING_FAMILIES, SLOWING_FAMILIES, ShapeFamily, shape_dictionary

U = (np.arange(CELLS) + 0.5) / CELLS
DAY = 86400.0


def batch(values, restarts=(), step=60.0):
    time = 1.7e9 + step * np.arange(len(values))
    return Batch.of([Series(time, np.asarray(values, float), np.asarray(restarts, float))])


@pytest.mark.parametrize(
    ("curve", "family"),
    [
        (np.full(CELLS, 5e8), ShapeFamily.FLAT),
        (5e8 + 1e8 * U, ShapeFamily.LINE),
        (5e8 + 1e8 * U**2, ShapeFamily.ACCELERATING),
        (5e8 + 1e8 * np.maximum(U - 0.5, 0), ShapeFamily.ONSET),
        (5e8 + 1e8 * U + 1e8 * np.maximum(U - 0.5, 0), ShapeFamily.TWO_RATES),
        (5e8 + 1e8 * U + 1e8 * (U > 0.5), ShapeFamily.SHIFTED_LINE),
        (5e8 + 1e8 * (U > 0.5), ShapeFamily.STEP),
        (5e8 + 1e8 * (U > 0.25) + 5e7 * (U > 0.75), ShapeFamily.STEPS),
        (5e8 + 1e8 * np.clip((U - 0.25) / 0.25, 0, 1), ShapeFamily.RAMP),
        (5e8 + 1e8 * (1 - np.exp(-U / 0.15)), ShapeFamily.SATURATION),
        (5e8 + 1e8 * np.sin(2 * np.pi * U * 1.5), ShapeFamily.CYCLE),
        (5e8 + 1e8 * U + 1e8 * np.sin(2 * np.pi * U * 1.5), ShapeFamily.LINE_ON_CYCLE),
        (5e8 + 1e8 * ((U > 0.25) & (U < 0.5)), ShapeFamily.BUMP),
    ],
)
def test_a_shape_of_the_dictionary_is_recognised_in_noise(curve, family):
    noisy = curve + np.random.default_rng(2).normal(0, 1e6, CELLS)
    found = fit_shapes(noisy[None, :], np.array([CELLS]), np.array([2 * DAY]))
    best = found.growing if family in GROWING_FAMILIES else found.bounded
    assert shape_dictionary().family[best[0]] == family
    assert (found.margin[0] > 0) == (family in GROWING_FAMILIES)


def test_growth_is_the_slope_at_the_end_and_its_error_is_honest():
    random = np.random.default_rng(3)
    curves = 5e8 + 1e8 * U + random.normal(0, 3e6, (400, CELLS))
    found = fit_shapes(curves, np.full(400, CELLS), np.full(400, DAY))
    off = (found.line - 1e8) / found.line_error
    assert np.std(off) == pytest.approx(1, abs=0.3)
    assert np.mean(off) == pytest.approx(0, abs=0.2)


def test_noise_that_remembers_counts_as_fewer_cells():
    random = np.random.default_rng(4)
    white = random.normal(0, 1, (200, CELLS))
    slow = np.stack([np.convolve(row, np.ones(6) / 6, "same") for row in random.normal(0, 1, (200, CELLS))])
    cells, day = np.full(200, CELLS), np.full(200, DAY)
    independent = [fit_shapes(5e8 + 1e6 * noise, cells, day).independent for noise in (white, slow)]
    assert np.median(independent[0]) > 40
    assert np.median(independent[1]) < 0.6 * np.median(independent[0])


def test_a_rhythm_of_less_than_four_hours_is_no_day():
    curve = (5e8 + 1e8 * np.sin(2 * np.pi * U * 1.5))[None, :]
    cells = np.array([CELLS])
    families = [
        shape_dictionary().family[fit_shapes(curve, cells, np.array([span])).bounded[0]]
        for span in (3600.0, DAY)
    ]
    assert families[0] != ShapeFamily.CYCLE
    assert families[1] == ShapeFamily.CYCLE


def test_shapes_are_orthonormal():
    shapes = shape_dictionary()
    for first, last in pairwise(shapes.starts):
        basis = shapes.basis[:, first:last]
        assert np.allclose(basis.T @ basis, np.eye(last - first))
        assert np.allclose(basis.sum(axis=0), 0)  # what is fitted is centred


def test_shapes_explain_what_they_are_fitted_to():
    shapes = shape_dictionary()
    curves = np.random.default_rng(4).normal(size=(3, CELLS))
    explained = shapes.explained(curves @ shapes.basis)
    for shape, (first, last) in enumerate(pairwise(shapes.starts)):
        drawn = curves @ shapes.basis[:, first:last] @ shapes.basis[:, first:last].T
        assert np.allclose(explained[:, shape], (drawn**2).sum(axis=1))


def test_what_goes_on_growing_is_told_from_what_ends():
    shapes = shape_dictionary()
    assert shapes.family[shapes.line] == ShapeFamily.LINE
    assert shapes.family[shapes.flat] == ShapeFamily.FLAT
    assert set(shapes.family[shapes.growing]) == set(GROWING_FAMILIES)
    assert not set(shapes.family[shapes.ending]) & {*GROWING_FAMILIES, *SLOWING_FAMILIES}
    parts = (shapes.growing, shapes.slowing, shapes.dawning, shapes.ending)
    assert sum(part.stop - part.start for part in parts) == len(shapes.family)


def test_turning_points_are_the_tips_of_the_teeth():
    saw = np.array([0, 2, 4, 6, 1, 3, 5, 7, 0, 2, 4, 6], float)
    found = find_turns(saw[None, :], np.array([len(saw)]), np.array([3.0]))
    assert list(np.nonzero(found.peak[0])[0]) == [3, 7]
    assert list(np.nonzero(found.trough[0])[0]) == [4, 8]


def test_small_movements_are_no_turns():
    saw = np.array([0, 2, 4, 6, 1, 3, 5, 7, 0, 2, 4, 6], float)
    found = find_turns(saw[None, :], np.array([len(saw)]), np.array([8.0]))
    assert not found.peak.any()
    assert not found.trough.any()


def test_noise_does_not_see_slopes():
    random = np.random.default_rng(5)
    rows = 1e3 * np.arange(300) + random.normal(0, 7.0, (50, 300))
    assert np.median(estimate_noise(rows, np.full(50, 300))) == pytest.approx(7.0, rel=0.1)


def test_jumps_are_what_lasts():
    step = 5e8 + 1e8 * (U > 0.5)
    spike = 5e8 + 1e8 * (np.abs(U - 0.5) < 0.03)
    ramp = 5e8 + 1e8 * U
    small = np.random.default_rng(6).normal(0, 1e5, CELLS)
    step_up, none, gradual = rise_in_jumps(np.stack([step, spike, ramp]) + small)
    assert step_up == pytest.approx(1e8, rel=0.05)
    assert none < 1e7
    assert gradual < 1e7


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 9.22), (5, 5.51), (10, 3.96), (30, 3.27), (1e6, 3.0)])
def test_student_quantiles_are_those_of_the_tables(freedom, quantile):
    assert student_quantile(3.0, np.array([float(freedom)]))[0] == pytest.approx(quantile, rel=0.21)


def test_samples_are_folded_into_buckets_and_none_is_lost():
    values = 1e8 + np.random.default_rng(7).normal(0, 1e6, 2000)
    folded = summarise_samples(batch(values))
    assert MAX_BUCKETS / 2 <= len(folded.time) <= MAX_BUCKETS
    assert folded.count.sum() == 2000
    assert folded.low.min() == values.min()
    assert folded.high.max() == values.max()
    assert np.average(folded.mean, weights=folded.count) == pytest.approx(values.mean())
    assert folded.squared_steps.sum() == pytest.approx((np.diff(values) ** 2).sum())


def test_a_bucket_never_spans_a_restart():
    folded = summarise_samples(batch(np.full(2000, 1e8), restarts=1.7e9 + np.array([7000.0, 40001.0])))
    assert len(folded.life_container) == 3
    starts = [folded.time[folded.life == life][0] for life in range(3)]
    assert starts[1] >= 1.7e9 + 7000 > folded.time[folded.life == 0][-1]
    assert starts[2] >= 1.7e9 + 40001 > folded.time[folded.life == 1][-1]


def test_a_restart_without_samples_after_it_changes_nothing():
    folded = summarise_samples(batch(np.full(50, 1e8), restarts=[1.7e9 + 1e6]))
    assert len(folded.life_container) == 1


def test_lives_are_laid_over_one_another_by_age():
    age = np.arange(400) % 100
    ramps = 1e8 + 1e6 * age + 3e7 * (np.arange(400) // 100)
    lives = lay_out_lives(summarise_samples(batch(ramps, restarts=1.7e9 + 60.0 * np.array([100, 200, 300]))))
    pooled = lives.curves.level[lives.pooled[0]]
    assert lives.repeats[0]
    assert np.diff(pooled)[1:-1].mean() * CELLS == pytest.approx(96e6, rel=0.03)
    assert np.abs(np.diff(pooled, 2)).max() < 1e6


def test_a_straight_line_is_drawn_exactly_whatever_the_gaps():
    keep = np.random.default_rng(8).random(300) > 0.5
    keep[[0, -1]] = True
    time = 1.7e9 + 60.0 * np.arange(300)[keep]
    folded = summarise_samples(Batch.of([Series(time, 1e8 + 1e3 * (time - time[0]))]))
    lives = lay_out_lives(folded)
    expected = 1e8 + 1e3 * (folded.time[0] - time[0]) + 1e3 * (folded.time[-1] - folded.time[0]) * U
    assert np.allclose(lives.curves.level[0], expected, rtol=1e-9)
