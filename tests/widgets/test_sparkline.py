import math

import pytest
from rich.cells import cell_len

from widgets.cell_graphs import UNSCALED, binned_maxima, memory_shape, sparkline

SYMBOLS = ["braille", "block", "ascii"]


@pytest.mark.parametrize("symbols", SYMBOLS)
@pytest.mark.parametrize("count", [0, 1, 5, 20, 39, 1440])
@pytest.mark.parametrize("top", [None, 100.0])
def test_a_sparkline_has_exactly_its_width(symbols, count, top):
    for width in (0, 1, 7, 20):
        text = sparkline([float(i % 90) for i in range(count)], width, top, symbols).plain
        assert cell_len(text) == width
        assert symbols != "ascii" or text.isascii()


def test_it_is_scaled_to_the_limit_and_not_to_itself():
    low = sparkline([5.0] * 8, 8, 100, "block").plain
    high = sparkline([95.0] * 8, 8, 100, "block").plain
    assert low == "▁" * 8
    assert high == "█" * 8


def test_a_ramp_climbs_through_all_heights():
    assert sparkline([i + 1.0 for i in range(8)], 8, 8, "block").plain == "▁▂▃▄▅▆▇█"
    assert sparkline([i + 1.0 for i in range(8)], 4, 8, "braille").plain == "⣀⣤⣶⣿"
    assert sparkline([i + 1.0 for i in range(8)], 8, 8, "ascii").plain == "_.-=+*#@"


@pytest.mark.parametrize("symbols", SYMBOLS)
def test_gaps_stay_blank_and_zero_does_not(symbols):
    text = sparkline([50, 50, math.nan, math.nan, 0, 0], 6, 100, symbols).plain
    if symbols == "braille":
        assert text[3] != " "
        assert text[4] == " "
        assert text[5] != " "
    else:
        assert text[2:4] == "  "
        assert text[4:].strip()


def test_a_short_series_ends_at_now():
    assert sparkline([100.0, 100.0], 5, 100, "block").plain == "   ██"


def test_without_a_limit_it_is_scaled_to_its_maximum_and_marked():
    text = sparkline([1.0, 2.0, 4.0, 8.0], 5, None, "block")
    assert text.plain == f"▁▂▄█{UNSCALED}"
    assert sparkline([], 5, None, "block").plain == " " * 5
    assert sparkline([math.nan], 5, None, "block").plain == " " * 5


def test_values_above_the_limit_fill_the_cell():
    assert sparkline([250.0], 1, 100, "block").plain == "█"


def test_a_bin_keeps_its_peak_so_that_a_restart_shows_as_a_drop():
    series = [10.0, 99.0, 1.0, 1.0, 1.0, 1.0]
    assert binned_maxima(series, 3) == [99.0, 1.0, 1.0]
    assert all(math.isnan(v) for v in binned_maxima([math.nan] * 6, 3))
    assert binned_maxima([math.nan, 4.0], 1) == [4.0]


@pytest.mark.parametrize("symbols", ["braille", "block"])
def test_a_shape_has_eight_levels_over_its_own_range(symbols):
    values = [800.0 + 25 * step for step in range(8)]
    assert memory_shape(values, 8, 1e6, 0.7, 0.9, symbols).plain == "▁▂▃▄▅▆▇█"


@pytest.mark.parametrize("values", [[1000.0, 1001.0, 1000.0, 1001.0], [5e8] * 4])
def test_a_shape_that_hardly_moves_lies_flat_in_the_middle(values):
    assert set(memory_shape(values, 4, None, 0.7, 0.9, "block").plain) <= set("▄▅")


def test_the_colour_of_a_shape_says_how_near_the_limit_was():
    shape = memory_shape([10.0, math.nan, 75.0, 95.0], 4, 100.0, 0.7, 0.9, "block")
    assert shape.plain[1] == " "
    assert [span.style for span in shape.spans if span.start != 1] == ["graph", "warn", "critical"]
    bare = memory_shape([10.0, 95.0], 2, None, 0.7, 0.9, "block")
    assert {span.style for span in bare.spans} == {"dim"}


@pytest.mark.parametrize("symbols", ["braille", "block", "ascii"])
def test_a_shape_has_exactly_its_width(symbols):
    for count in (0, 1, 7, 60):
        shape = memory_shape([float(i) for i in range(count)], 12, 100.0, 0.7, 0.9, symbols)
        assert len(shape.plain) == 12
