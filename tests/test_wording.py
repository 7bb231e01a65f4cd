"""How numbers are said."""

import math

import pytest

from memtop.wording import UNKNOWN, ago, at_least, bytes_, duration, rate, share

MI, GI = 2**20, 2**30


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1 KiB"),
        (512 * MI, "512 MiB"),
        (48.3 * MI, "48.3 MiB"),
        (1.79 * GI, "1.79 GiB"),
        (2 * GI, "2 GiB"),
        (1000 * MI, "0.98 GiB"),
        (-3 * MI, "−3 MiB"),
    ],
)
def test_bytes_have_three_significant_digits(value, words):
    assert bytes_(value) == words


@pytest.mark.parametrize("say", [bytes_, rate, share, duration, ago])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_unknown_is_never_zero(say, value):
    assert say(value) == UNKNOWN


@pytest.mark.parametrize(
    ("value", "words"), [(48 * MI, "+48 MiB/h"), (-MI, "−1 MiB/h"), (0, "0 B/h"), (0.2, "0 B/h")]
)
def test_a_rate_has_its_sign(value, words):
    assert rate(value) == words


def test_a_share_is_whole_per_cent():
    assert share(0.914) == "91 %"


@pytest.mark.parametrize("seconds", [0, 45, 59.6, 3599, 3600, 6600, 86399, 86400 * 6 + 4 * 3600, 86400 * 400])
def test_a_duration_has_at_most_two_units(seconds):
    assert len(duration(seconds).split()) in {2, 4}


def test_what_is_years_away_is_not_counted_in_days():
    assert [duration(86_400 * days) for days in (400, 1100, 13_865_531)] == ["400 d", "3 y", "> 99 y"]


def test_ages_under_a_minute_move_in_steps():
    assert ago(41) == ago(49)
    assert ago(3) == "just now"
    assert ago(-5) == "just now"


@pytest.mark.parametrize(
    ("number", "exact", "words"),
    [(3, True, "3"), (0, True, "0"), (3, False, "3+"), (0, False, UNKNOWN)],
)
def test_a_lower_bound_looks_like_one(number, exact, words):
    assert at_least(number, exact) == words
