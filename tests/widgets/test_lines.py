from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from widgets.line_widget import changed_spans


def strip(*parts: str | tuple[str, Style]) -> Strip:
    return Strip([Segment(p) if isinstance(p, str) else Segment(p[0], p[1]) for p in parts])


def test_equal_lines_have_no_changes_however_they_are_cut():
    assert changed_spans(strip("abc", "def"), strip("abcdef")) == []


def test_changes_far_apart_are_apart_and_close_ones_together():
    assert changed_spans(strip("x" + "-" * 40 + "x"), strip("y" + "-" * 40 + "y")) == [(0, 1), (41, 1)]
    assert changed_spans(strip("x---x"), strip("y---y")) == [(0, 5)]


def test_another_style_is_a_change():
    assert changed_spans(strip("ab", "c"), strip("ab", ("c", Style(bold=True)))) == [(2, 1)]


def test_wide_letters_count_two_cells():
    assert changed_spans(strip("日本x"), strip("日本y")) == [(4, 1)]
    assert changed_spans(strip("日x"), strip("abx")) == [(0, 2)]


def test_a_longer_line_has_changed_at_its_end():
    assert changed_spans(strip("ab"), strip("abcd")) == [(2, 2)]
