import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.sanitize import sanitize, sanitize_bytes, sanitize_text


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("user-service-7ff6fcd689-bmtg8", "user-service-7ff6fcd689-bmtg8"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[H\x1b[?1049hscreen", "screen"),
        ("\x1b]0;new title\x07after", "after"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0;0;0\x1b\\sixel", "sixel"),
        ("\x9b31mC1\x9b0m", "C1"),
        ("\x9d0;title\x9cC1", "C1"),
        ("\x1bcreset", "reset"),
        ("\x1b(0charset", "charset"),
        ("bell\x07 back\x08space nul\x00 del\x7f", "bell backspace nul del"),
        ("\u202etxt.exe\u202c \u2066isolated\u2069", "txt.exe isolated"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("naïve – 日本語 ✓ 👩‍💻", "naïve – 日本語 ✓ 👩‍💻"),
        ("[red]markup stays text[/red]", "[red]markup stays text[/red]"),
        ("cut off \x1b[", "cut off "),
        ("cut off \x1b", "cut off "),
        ("an unfinished title \x1b]0;takes its line\nand no more", "an unfinished title \nand no more"),
        ("\x1b\x1b[31mtwice", "twice"),
    ],
)
def test_what_a_terminal_would_obey_goes_and_text_stays(dirty, clean):
    assert sanitize_text(dirty) == clean


def test_text_keeps_lines_and_tabs():
    assert sanitize_text("a\tb\nc\r\nd") == "a\tb\nc\nd"


def test_a_carriage_return_cannot_overwrite_what_stands_before_it():
    assert sanitize_text("evil\rgood") == "evil\ngood"


def test_a_name_stays_on_one_line():
    assert sanitize("pod\nname\tx\x1b[1m\n") == "pod name x"


def test_bytes_that_are_not_utf8_become_replacement_characters():
    assert sanitize_bytes(b"caf\xe9 \x1b[31mred") == "caf� red"


@given(st.text())
def test_nothing_a_terminal_obeys_is_ever_left(value):
    for clean in (sanitize_text(value), sanitize(value)):
        assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in clean)
        clean.encode("utf-8")


@given(st.text(alphabet="\x1b\x9b\x9d\x07\\[]P;?0123m\nab"))
def test_cleaning_twice_changes_nothing_more(value):
    assert sanitize_text(sanitize_text(value)) == sanitize_text(value)


def test_marks_on_one_letter_are_bounded():
    """Sixty of them cover the lines around."""
    assert sanitize_text("Z" + "\u0301" * 60 + "a\u0300b") == "Z" + "\u0301" * 4 + "a\u0300b"
    assert sanitize("ệ é שָׁ ที่") == "ệ é שָׁ ที่"
