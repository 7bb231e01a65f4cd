import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from widgets import styled_text
from widgets.styled_text import fit, literal, shorten


def test_a_name_loses_its_middle_and_keeps_what_tells_its_pods_apart():
    assert shorten("user-service-7f8d9c6b5-5wrk4", 22) == "user-service-7f…-5wrk4"
    assert shorten("user-service-7f8d9c6b5-5wrk4", 40) == "user-service-7f8d9c6b5-5wrk4"


@given(st.text(), st.integers(0, 60), st.booleans())
def test_fit_gives_exactly_the_width(text, width, right):
    assert cell_len(fit(literal(text), width, right=right)) == width


@given(st.text(), st.text(), st.integers(1, 40), st.booleans())
def test_segments_fill_exactly_the_width(one, two, width, right):
    cell = Text.assemble((one, "warn"), two, no_wrap=True)
    painted = styled_text.cell_segments(cell, width, Style(), {"warn": Style(bold=True)}, right=right)
    assert sum(cell_len(segment.text) for segment in painted) == width


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\x9b31mb", "a\rb\nc", "a\x07", "user\u202egnp.exe", "\x00"])
def test_nothing_a_terminal_would_act_upon_gets_through(text):
    for made in (literal(text), *(s.text for s in styled_text.cell_segments(Text(text), 20, Style(), {}))):
        assert not any(ch in made for ch in "\x00\x07\x1b\x9b\r\n\u202e")


def test_a_cell_with_another_base_style_is_another_cell():
    assert styled_text.same_cell(Text("5", "warn"), Text("5", "warn"))
    assert not styled_text.same_cell(Text("5", "warn"), Text("5", "dim"))
    assert not styled_text.same_cell("5", Text("5"))


def test_styles_stay_on_their_letters_when_the_middle_goes():
    cell = Text.assemble(("aaaaaaaaaaaa", "warn"), ("-5wrk4", "dim"))
    warn, dim = Style(bold=True), Style(dim=True)
    painted = styled_text.cell_segments(cell, 12, Style(), {"warn": warn, "dim": dim})
    assert [(s.text, s.style) for s in painted] == [("aaaaa", warn), ("…", Style()), ("-5wrk4", dim)]
