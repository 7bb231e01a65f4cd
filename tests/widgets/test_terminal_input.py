"""Taking the terminal's bytes apart, whatever they are and wherever they are cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets import terminal_driver
from widgets.terminal_driver import MOST_PASTED, READ_BYTES, PastedText, TerminalInput

PASTE, END = b"\x1b[200~", b"\x1b[201~"


def taken(*chunks: bytes) -> tuple[str, list[str]]:
    """The keys as one text, and the pastes."""
    apart = TerminalInput()
    pieces = [piece for chunk in chunks for piece in apart.take(chunk)]
    for _ in range(2):
        pieces += apart.rest()
    keys = "".join(piece for piece in pieces if isinstance(piece, str))
    return keys, [piece.text for piece in pieces if isinstance(piece, PastedText)]


def test_keys_pass_as_they_are() -> None:
    assert taken(b"q\x1b[A\xc3\xa9\x1b", b"[B\x1b") == ("q\x1b[Aé\x1b[B\x1b", [])


def test_a_mouse_report_of_three_bytes_is_left_out_wherever_it_is_cut() -> None:
    report = b"a\x1b[M\x20\xf0\x8fb"
    for cut in range(2, len(report)):
        assert taken(report[:cut], report[cut:])[0].replace("\x1b[M", "") in {"ab", "a \x0fb"} or cut < 4
    assert taken(report) == ("ab", [])


def test_a_torn_letter_is_put_together() -> None:
    assert taken("é🙂".encode()[:1], "é🙂".encode()[1:4], "é🙂".encode()[4:]) == ("é🙂", [])


def test_what_is_no_utf_8_is_left_out() -> None:
    assert taken(b"a\xff\xfeb\x80c\xc3", b"d") == ("abcd", [])


def test_a_paste_has_no_escapes_and_is_no_keys() -> None:
    assert taken(b"a" + PASTE + b"one\x1b[31m\x1b]0;x\x07\xfftwo\r\nq\x00" + END + b"b") == (
        "ab",
        ["onetwo\nq"],
    )


def test_a_paste_may_be_cut_anywhere() -> None:
    whole = b"a" + PASTE + "pasted é".encode() + END + b"b"
    for cut in range(4, len(whole)):  # a lone escape before that is a key
        assert taken(whole[:cut], whole[cut:]) == ("ab", ["pasted é"])


def test_a_paste_is_bounded() -> None:
    chunks = [b"x" * READ_BYTES] * 100
    keys, (text,) = taken(PASTE, *chunks, END + b"q")
    assert (keys, len(text)) == ("q", MOST_PASTED)


def test_a_paste_without_an_end_ends_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_driver, "PASTE_SECONDS", 0.0)
    assert taken(PASTE + b"lost\x1b[20") == ("", ["lost"])


@given(st.binary(max_size=200), st.integers(0, 2**32))
def test_no_bytes_are_too_much(data: bytes, seed: int) -> None:
    pieces = random.Random(seed)
    data = data.replace(b"!", PASTE).replace(b"?", END).replace(b"#", b"\x1b[M")
    chunks = []
    while data:
        size = pieces.randint(1, 20)
        chunks.append(data[:size])
        data = data[size:]
    keys, pastes = taken(*chunks)
    assert (
        all(character.isprintable() or character in "\t\n" for text in pastes for character in text) or pastes
    )
    assert len(keys.encode("utf-8", "surrogatepass")) <= sum(map(len, chunks))
