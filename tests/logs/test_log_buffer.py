"""The ring of lines that is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.logs import buffer
from memtop.logs.buffer import LogBuffer
from memtop.logs.log_lines import LogLine, LogMark


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "BLOCK_LINES", 5)
    monkeypatch.setattr(buffer, "BLOCK_BYTES", 1_000)


def lines(count: int, first: int = 0) -> list[LogLine]:
    return [
        LogLine(n * 10, f"line {n} é", "web" if n % 3 else "agent", LogMark(n % 3))
        for n in range(first, first + count)
    ]


def test_what_goes_in_comes_out() -> None:
    kept = LogBuffer()
    kept.append(lines(12))
    kept.append(lines(11, 12))
    assert [kept.line(n) for n in range(23)] == lines(23)
    assert (kept.first, kept.end, len(kept)) == (0, 23, 23)
    with pytest.raises(IndexError):
        kept.line(23)


def test_the_oldest_lines_are_dropped() -> None:
    kept = LogBuffer(most_lines=20)
    kept.append(lines(100))
    assert kept.end == 100
    assert 15 <= len(kept) <= 20
    assert kept.line(kept.first).text == f"line {kept.first} é"
    with pytest.raises(IndexError):
        kept.line(kept.first - 1)


def test_bytes_are_bounded_too() -> None:
    kept = LogBuffer(most_bytes=10_000)
    kept.append(LogLine(0, "x" * 900, "web") for _ in range(100))
    assert 8_000 <= kept.size <= 10_000


@given(st.integers(0, 40), st.integers(0, 40))
def test_texts_are_the_lines_in_pieces(start: int, end: int) -> None:
    kept = LogBuffer(most_lines=25)
    kept.append(lines(33))
    pieces = list(kept.texts(start, end))
    number = max(start, kept.first)
    for first, text in pieces:
        assert first == number
        number += text.count(b"\n")
    joined = b"".join(text for _, text in pieces).decode()
    wanted = range(max(start, kept.first), min(end, 33))
    assert joined == "".join(f"line {n} é\n" for n in wanted)


def test_a_moment_is_found() -> None:
    kept = LogBuffer()
    kept.append(lines(20))
    assert [kept.at_or_after(moment) for moment in (-5, 0, 1, 100, 10_000)] == [0, 0, 1, 10, 19]


def test_a_snapshot_stays_as_it_is() -> None:
    kept = LogBuffer(most_lines=20)
    kept.append(lines(13))
    snapshot = kept.snapshot()
    kept.append(lines(50, 13))
    assert [snapshot.line(n) for n in range(13)] == lines(13)
    assert snapshot.end == 13
