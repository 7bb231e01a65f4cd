"""Rings of samples: what is kept, for how long, and that there is no seam."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.observe.sample_rings import SampleHistory, SamplePeaks, SampleRing

T = 1_800_000_000.0
NAN = np.nan


def tick(ring, at, *values, times=None):
    """One tick at `at` seconds; a sample's own time is the tick's unless told."""
    values = np.array(values, np.float32)
    own = np.full(len(values), T + at) if times is None else T + np.array(times, np.float64)
    ring.append(T + at, values, own)


def read(ring, slot):
    times, values = ring.series(slot)
    return list(zip((times - T).tolist(), values.tolist(), strict=True))


@pytest.fixture
def ring():
    return SampleRing(4, 2, 15.0)


def test_nothing_comes_of_nothing(ring):
    assert read(ring, 0) == []


def test_samples_come_back_in_order_with_their_own_times(ring):
    tick(ring, 0, 10, 20, times=[-3.5, -7])
    tick(ring, 15, 11, 21, times=[11.5, 8])
    assert read(ring, 0) == [(-3.5, 10), (11.5, 11)]
    assert read(ring, 1) == [(-7, 20), (8, 21)]


def test_what_is_missing_is_left_out(ring):
    tick(ring, 0, 10, NAN)
    tick(ring, 15, NAN, 21)
    assert read(ring, 0) == [(0, 10)]
    assert read(ring, 1) == [(15, 21)]


def test_the_oldest_gives_way_to_the_newest(ring):
    for number in range(7):
        tick(ring, number * 15, number, NAN)
    assert read(ring, 0) == [(45, 3), (60, 4), (75, 5), (90, 6)]


def test_asking_more_often_does_not_shorten_the_past(ring):
    for second in range(60):
        tick(ring, second, second, NAN)
    assert [value for _, value in read(ring, 0)][-1] == 59
    assert read(ring, 0)[0][0] < 30


def test_a_late_tick_does_not_lose_a_row(ring):
    for number in range(4):
        tick(ring, number * 15 + (number % 2) * 0.4, number, NAN)  # the loop is never quite on time
    assert [value for _, value in read(ring, 0)] == [0, 1, 2, 3]


def test_a_slot_that_is_cleared_is_empty_and_the_others_are_not(ring):
    tick(ring, 0, 10, 20)
    ring.clear(0)
    assert read(ring, 0) == []
    assert read(ring, 1) == [(0, 20)]


def test_more_room_keeps_what_is_there(ring):
    for number in range(6):
        tick(ring, number * 15, number, number)
    before = read(ring, 1)
    ring.grow(5)
    assert read(ring, 1) == before
    assert read(ring, 4) == []
    tick(ring, 90, 1, 2, 3, 4, 5)
    assert read(ring, 4) == [(90, 5)]


def test_a_gigabyte_is_exact(ring):
    size = 63 * 2**30 + 4096
    tick(ring, 0, size, NAN)
    assert read(ring, 0) == [(0, size)]


class TestPeaks:
    @staticmethod
    def feed(peaks, *samples):
        for at, *values in samples:
            peaks.append(T + at, np.array(values, np.float32))
        return peaks.read()

    def test_each_bin_holds_its_highest(self):
        got = self.feed(SamplePeaks(3, 1, 100.0), (0, 5), (50, 9), (99, 7), (100, 3))
        assert got[0, 1:].tolist() == [9, 3]
        assert np.isnan(got[0, 0])

    def test_bins_without_samples_are_unknown(self):
        got = self.feed(SamplePeaks(4, 1, 100.0), (0, 5), (250, 6))
        assert np.isnan(got[0, [0, 2]]).all()
        assert got[0, [1, 3]].tolist() == [5, 6]

    def test_a_long_silence_empties_all(self):
        got = self.feed(SamplePeaks(3, 1, 100.0), (0, 5), (10_000, 6))
        assert np.isnan(got[0, :2]).all()
        assert got[0, 2] == 6

    def test_a_clock_that_steps_back_adds_to_the_newest_bin(self):
        got = self.feed(SamplePeaks(3, 1, 100.0), (200, 5), (50, 9))
        assert got[0, 2] == 9

    def test_clearing_and_growing(self):
        peaks = SamplePeaks(2, 2, 100.0)
        self.feed(peaks, (0, 1, 2))
        peaks.clear(0)
        peaks.grow(3)
        got = peaks.read()
        assert got.shape == (3, 2)
        assert np.isnan(got[[0, 2]]).all()
        assert got[1, 1] == 2

    def test_what_was_read_does_not_change(self):
        peaks = SamplePeaks(2, 1, 100.0)
        got = self.feed(peaks, (0, 1))
        self.feed(peaks, (1, 5))
        assert got[0, 1] == 1
        later = peaks.read()
        peaks.take_past(0, np.array([T + 2]), np.array([9.0]))
        assert peaks.read()[0, 1] == 9
        peaks.clear(0)
        assert later[0, 1] == 5
        assert np.isnan(peaks.read()).all()


class TestHistory:
    def test_the_recent_past_is_whole_and_the_longer_one_is_thin(self):
        history = SampleHistory(1, 15.0, hours=24.0)
        for at in range(0, 6 * 3600, 15):
            history.append(T + at, np.array([at], np.float32), np.array([T + at]))
        times, values = history.series(0)
        assert np.array_equal(times - T, values)
        assert (np.diff(times) > 0).all()
        steps = np.diff(times)
        assert (steps[-60:] == 15).all()
        assert times[-1] - times[0] > 5.5 * 3600
        assert len(times) < 200

    def test_a_new_container_in_a_slot_has_no_past(self):
        history = SampleHistory(1, 15.0)
        for at in range(0, 600, 15):
            history.append(T + at, np.array([1], np.float32), np.array([T + at]))
        history.clear(0)
        assert len(history.series(0)[0]) == 0
        assert np.isnan(history.peaks.read()).all()

    @given(st.lists(st.sampled_from([5.0, 15.0, 16.0, 60.0, 400.0]), min_size=1, max_size=120))
    def test_whatever_the_ticks_times_ascend_and_the_last_sample_is_there(self, steps):
        history = SampleHistory(1, 15.0, hours=1.0)
        at = T
        for number, step in enumerate(steps):
            at += step
            history.append(at, np.array([number], np.float32), np.array([at - 2]))
        times, values = history.series(0)
        assert (np.diff(times) > 0).all()
        assert values[-1] == len(steps) - 1
        assert abs(times[-1] - (at - 2)) < 0.11
