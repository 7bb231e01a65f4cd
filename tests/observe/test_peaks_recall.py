"""What is remembered of a container shows in its sparkline as if it had been seen."""

import numpy as np

from memtop.observe.sample_rings import SamplePeaks


def test_the_remembered_past_fills_the_bins_before_the_first_sample() -> None:
    peaks = SamplePeaks(bins=4, slots=2, width=60.0)
    peaks.append(240.0, np.array([5.0, 7.0], np.float32))
    before = peaks.version
    peaks.take_past(
        0, np.array([10.0, 60.0, 130.0, 170.0, 250.0, 300.0]), np.array([9.0, 1.0, 2.0, 3.0, 4.0, 8.0])
    )
    # The first is older than the oldest bin and the last newer than the newest: both are left out.
    np.testing.assert_array_equal(peaks.read()[0], [1.0, 3.0, np.nan, 5.0])
    assert np.isnan(peaks.read()[1][:3]).all()
    assert peaks.version > before


def test_nothing_is_recalled_before_the_first_tick() -> None:
    peaks = SamplePeaks(bins=4, slots=1, width=60.0)
    peaks.take_past(0, np.array([10.0]), np.array([9.0]))
    assert np.isnan(peaks.read()).all()
