"""What is said of a change that holds is true of its figures."""

from __future__ import annotations

import pytest

from memtop.analysis.stability_evidence import SideFigures, holding_sentence

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
    assert holding_sentence(old, new, 12 * MIB, 4 * HOUR, 0.0) == f"{words}; no OOM kill"
