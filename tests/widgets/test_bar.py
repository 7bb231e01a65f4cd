import math

import pytest
from rich.cells import cell_len

from widgets.cell_graphs import usage_bar, usage_level


@pytest.mark.parametrize(
    ("ratio", "judged"),
    [(0.0, "ok"), (0.69, "ok"), (0.7, "warn"), (0.89, "warn"), (0.9, "critical"), (1.3, "critical")],
)
def test_a_threshold_counts_when_it_is_reached(ratio, judged):
    assert usage_level(ratio, 0.7, 0.9) == judged


@pytest.mark.parametrize("ratio", [None, math.nan, math.inf])
def test_what_is_not_known_is_not_fine(ratio):
    assert usage_level(ratio, 0.7, 0.9) == "unknown"
    assert usage_bar(ratio, 12, 0.7, 0.9, "block").plain.strip() == "no limit"


@pytest.mark.parametrize("symbols", ["braille", "block", "ascii"])
@pytest.mark.parametrize("width", [1, 2, 3, 8, 10, 31])
@pytest.mark.parametrize("ratio", [None, -0.2, 0.0, 0.004, 0.5, 0.7, 0.93, 1.0, 2.5])
def test_a_bar_has_exactly_its_width(symbols, width, ratio):
    bar = usage_bar(ratio, width, 0.7, 0.9, symbols)
    assert cell_len(bar.plain) == width
    assert symbols != "ascii" or bar.plain.isascii()


def test_the_thresholds_still_ahead_are_marked():
    assert usage_bar(0.5, 20, 0.7, 0.9, "block").plain.endswith("····┊···┊·")
    assert usage_bar(0.8, 20, 0.7, 0.9, "block").plain.count("┊") == 1
    assert usage_bar(0.5, 22, 0.7, 0.9, "ascii").plain == "[==========....|...|.]"


@pytest.mark.parametrize("symbols", ["block", "ascii"])
def test_levels_differ_in_shape_and_not_only_in_colour(symbols):
    shapes = [set(usage_bar(ratio, 20, 0.7, 0.9, symbols).plain) for ratio in (0.6, 0.8, 0.95)]
    assert shapes[1] - shapes[0]
    assert "!" in shapes[2]
    assert "!" not in shapes[1]


def test_a_fuller_bar_is_longer():
    filled = [len(usage_bar(r / 20, 20, 2, 3, "block").plain.split("·")[0]) for r in range(20)]
    assert filled == sorted(filled)
    assert filled[0] == 0
    assert filled[-1] == 19
