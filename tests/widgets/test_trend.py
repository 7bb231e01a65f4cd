import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.trend_data import Trend, binned_stretches, time_ticks, value_ticks

GI = 1024.0**3
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


def test_a_long_series_keeps_its_peaks_and_its_drops():
    values = [100.0] * 1440
    values[700], values[701] = 900.0, 1.0
    [(times, kept)] = binned_stretches(range(1440), values, 50)
    assert len(kept) <= 100
    assert kept.max() == 900.0
    assert kept.min() == 1.0
    assert times[int(np.argmax(kept))] == 700
    assert list(times) == sorted(times)


def test_a_gap_of_nan_is_not_joined():
    parts = binned_stretches([0, 1, 2, 3, 4, 5], [1, 2, math.nan, math.nan, 3, 4], 10)
    assert [list(t) for t, _ in parts] == [[0, 1], [4, 5]]


def test_a_long_pause_between_samples_is_not_joined():
    parts = binned_stretches([0, 15, 30, 45, 3600, 3615, 3630], [1.0] * 7, 10)
    assert [list(t) for t, _ in parts] == [[0, 15, 30, 45], [3600, 3615, 3630]]


def test_the_older_part_of_a_past_is_sampled_less_often_and_is_no_gap():
    coarse, dense = [120.0 * at for at in range(50)], [6000.0 + 15 * at for at in range(200)]
    times = [*coarse, *dense]
    assert len(binned_stretches(times, [1.0] * len(times), 400)) == 1
    missed_in_dense = [at for at in times if not 7000 <= at < 7060]
    assert len(binned_stretches(missed_in_dense, [1.0] * len(missed_in_dense), 400)) == 2
    missed_in_coarse = [at for at in times if not 2000 <= at < 2500]
    assert len(binned_stretches(missed_in_coarse, [1.0] * len(missed_in_coarse), 400)) == 2


def test_nothing_is_joined_across_a_death():
    """The last sample of a life and the first of the next are a cliff that nobody saw memory fall down."""
    times, values = [15.0 * at for at in range(12)], [10, 20, 30, 40, 50, 60, 10, 20, 30, 40, 50, 60]
    stretches = binned_stretches(times, values, 40, [90.0])
    assert [part[1].tolist() for part in stretches] == [[10, 20, 30, 40, 50, 60]] * 2
    assert len(binned_stretches(times, values, 40, [76.0])) == 2
    assert len(binned_stretches(times, values, 40, [0.0, 400.0])) == 1


@given(st.lists(st.floats(0, 1e12) | st.just(math.nan), max_size=400), st.integers(2, 80))
def test_any_series_is_bounded_and_keeps_its_extremes(values, bins):
    parts = binned_stretches(range(len(values)), values, bins)
    drawn = [v for _, part in parts for v in part]
    known = [v for v in values if not math.isnan(v)]
    assert len(drawn) <= max(2 * bins, 0)
    assert (max(drawn), min(drawn)) == (max(known), min(known)) if known else not drawn


def test_bytes_are_marked_in_powers_of_two():
    assert value_ticks(2 * GI, 5, "bytes") == [
        (0.0, "0"),
        (GI / 2, "512 MiB"),
        (GI, "1 GiB"),
        (GI * 1.5, "1.5 GiB"),
        (2 * GI, "2 GiB"),
    ]


def test_other_units_are_marked_in_round_tens():
    assert [words for _, words in value_ticks(9.7, 5, "kills")] == ["0 kills", "5 kills"]
    assert [words for _, words in value_ticks(1.0, 6, "")] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]


@given(st.floats(1e-3, 1e15), st.integers(2, 12), st.sampled_from(["bytes", "per h"]))
def test_there_are_never_more_ticks_than_there_is_room_for(top, most, unit):
    ticks = value_ticks(top, most, unit)
    assert 1 <= len(ticks) <= most
    assert ticks[0][0] == 0
    assert all(value <= top * 1.0001 for value, _ in ticks)


def test_times_are_round_in_the_zone_of_the_clock():
    ticks = time_ticks(NOON, NOON + 6 * 3600, 7, UTC)
    assert [words for _, words in ticks] == ["12:00", "13:00", "14:00", "15:00", "16:00", "17:00", "18:00"]
    nepal = timezone(timedelta(hours=5, minutes=45))
    assert [words for _, words in time_ticks(NOON, NOON + 3600, 3, nepal)] == ["18:00", "18:30"]


def test_midnight_is_marked_with_the_day():
    words = [words for _, words in time_ticks(NOON, NOON + 86400, 5, UTC)]
    assert words == ["12:00", "18:00", "Nov 23", "06:00", "12:00"]


@pytest.mark.parametrize("span", [1, 60, 3600, 86400, 30 * 86400, 400 * 86400])
@pytest.mark.parametrize("most", [1, 3, 10])
def test_times_stay_within_the_span_and_the_room(span, most):
    ticks = time_ticks(NOON + 17, NOON + 17 + span, most, UTC)
    assert len(ticks) <= most
    assert all(NOON + 17 <= at <= NOON + 17 + span for at, _ in ticks)


def test_the_same_picture_is_recognised_in_lists_and_arrays():
    one = Trend("a", [1.0, 2.0], [math.nan, 5.0], floor=([1.0], [2.0]))
    assert one.same(Trend("a", np.array([1.0, 2.0]), np.array([np.nan, 5.0]), floor=(np.array([1.0]), [2.0])))
    assert not one.same(Trend("a", [1.0, 2.0], [math.nan, 6.0], floor=([1.0], [2.0])))
    assert not one.same(Trend("b", [1.0, 2.0], [math.nan, 5.0], floor=([1.0], [2.0])))
    assert not one.same(Trend("a", [1.0, 2.0], [math.nan, 5.0]))
    assert not one.same(None)
