"""What is said of a change that holds is true of its figures."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from memtop.analysis.stability_evidence import PendingWait, SideFigures
from memtop.analysis.stability_sentences import holding_sentence, load_words, watching_sentence

MIB, HOUR = float(2**20), 3600.0


def side(rate, margin, *, leaks=False):
    return SideFigures(2, rate * MIB, (rate - margin) * MIB, (rate + margin) * MIB, leaks)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            side(48, 1, leaks=True),
            side(0.1, 0.4),
            "no growth for 4 h: the floor moves +102 KiB/h ±410 KiB/h, was +48 MiB/h",
        ),
        (
            side(316, 9, leaks=True),
            side(84, 2.25),
            "at most 28 % of the old growth for 4 h: the floor moves +84 MiB/h ±2.25 MiB/h, was +316 MiB/h",
        ),
        (
            side(150, 9, leaks=True),
            side(20, 26),
            "at most 31 % of the old growth for 4 h: the floor moves +20 MiB/h ±26 MiB/h, was +150 MiB/h",
        ),
        (
            side(4096, 9, leaks=True),
            side(16, 14),
            "at most 1 % of the old growth for 4 h: the floor moves +16 MiB/h ±14 MiB/h, was +4 GiB/h",
        ),
        (SideFigures(2), side(0, 1), "no growth for 4 h: even 6 MiB/h would have shown"),
        (SideFigures(2), side(4, 1), "less growth than 6 MiB/h for 4 h: the floor moves +4 MiB/h ±1 MiB/h"),
        (
            SideFigures(2, leaks=True),
            side(4, 1),
            "less growth than 6 MiB/h for 4 h: the floor moves +4 MiB/h ±1 MiB/h",
        ),
    ],
)
def test_no_growth_is_said_only_where_none_is_seen(old, new, words):
    unknown = "whether the load is as before is not known"
    assert holding_sentence(old, new, 12 * MIB, 4 * HOUR, 0.0) == f"{words}; no OOM kill; {unknown}"


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ({}, {"cpu": 0.12}, "whether the load is as before is not known (CPU 120m)"),
        ({"cpu": 0.13}, {"cpu": 0.12}, "under as much load as before (CPU 120m, was 130m)"),
        ({"cpu": 0.06}, {"cpu": 0.0024}, "at 4 % of the old load (CPU 2.4m, was 60m)"),
        (
            {"cpu": 0.5, "received": 1e6},
            {"cpu": 0.1, "received": 1e6},
            "under as much load as before (CPU 100m, was 500m; traffic in 977 KiB/s, was 977 KiB/s)",
        ),
    ],
)
def test_the_load_is_said_beside_the_old_one(was, now, words):
    assert load_words(SideFigures(2, **was), SideFigures(2, **now)) == words


@pytest.mark.parametrize("why", ["ends", "not flat", "day", "samples", "size", "slope", "load"])
@pytest.mark.parametrize("left", [0.0, 600.0, math.inf])
@pytest.mark.parametrize("suspected", [True, False])
def test_no_sentence_misses_its_duration(why, left, suspected):
    old = replace(side(48, 1, leaks=True), oom_kills=3, watched=6 * HOUR)
    wait = PendingWait(why, 1200.0 if left < math.inf else math.inf, left)
    text = watching_sentence(old, side(2, 3), wait, 24 * MIB, suspected=suspected, lately=False, bought=None)
    assert not re.search(r"(^|[;,:] )(to outlive|to go)|  |: ;|at least ;|in about [:;]|;$|– ", text), text
    if left == 600.0:
        assert "10 m" in text


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("ends", "were OOM-killed every 2 h; 10 m to go to outlive that"),
        ("not flat", "may be warming up; at least 10 m to go"),
        ("day", "can hide in the rhythm of a day; 10 m to go"),
        ("samples", "too few samples of the new pods to tell; 10 m to go"),
        ("load", "does not show without; 10 m to go, or until the load is back"),
        ("slope", "it would have shown after 20 m"),
    ],
)
def test_each_reason_to_wait_is_said_as_what_it_is(why, words):
    old = replace(side(48, 1, leaks=True), oom_kills=3, watched=6 * HOUR)
    wait = PendingWait(why, 1200.0, 600.0)
    text = watching_sentence(old, side(2, 3), wait, 24 * MIB, suspected=False, lately=False, bought=None)
    assert words in text


def test_watching_says_what_it_looks_like_so_far():
    text = watching_sentence(
        side(100, 1, leaks=True),
        side(3, 0.5),
        PendingWait("slope", 3 * HOUR, 2 * HOUR),
        50 * MIB,
        suspected=False,
        lately=False,
        bought=None,
    )
    assert text == (
        "so far 3 % of the old growth; sure in about 2 h: "
        "at the old rate of 100 MiB/h it would have shown after 3 h"
    )


def test_the_worst_case_is_the_upper_end_of_the_interval():
    known = replace(side(8, 50), limit=2048.0 * MIB, peak=540.0 * MIB)
    assert known.worst_seconds_to_limit == pytest.approx(26 * HOUR)
    assert replace(known, rate_high=-1.0).worst_seconds_to_limit is None
    assert replace(known, limit=None).worst_seconds_to_limit is None
