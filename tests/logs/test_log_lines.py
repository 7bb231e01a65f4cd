"""From chunks to lines: bounded, clean, in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.logs.buffer import LogBuffer
from memtop.logs.log_lines import MAX_LINE_BYTES, NO_TIME, LineSplitter, LogPosition, parse_line


def split(*chunks: bytes, most: int = 100) -> list[tuple[bytes, bool]]:
    splitter = LineSplitter(most)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + list(splitter.rest())


@given(st.binary(max_size=80).map(lambda b: b.replace(b"x", b"\n")), st.lists(st.integers(1, 7), max_size=40))
def test_lines_do_not_depend_on_where_chunks_end(data: bytes, sizes: list[int]) -> None:
    chunks, rest = [], data
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    lines = [line for line, _ in split(*chunks, rest)]
    whole = data.split(b"\n")
    assert lines == (whole if whole[-1] else whole[:-1])


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\r", b"")), max_size=12))
def test_no_line_is_longer_than_the_bound(chunks: list[bytes]) -> None:
    whole = b"".join(chunks).split(b"\n")
    whole = whole if whole[-1] else whole[:-1]
    for (line, cut), original in zip(split(*chunks, most=16), whole, strict=True):
        assert line == original[:16]
        assert cut == (len(original) > 16)


def test_an_endless_progress_bar_keeps_its_last_state() -> None:
    stamp = b"2026-11-22T16:00:00Z "
    chunks = [stamp, *(b"\r%3d%% %s" % (percent, b"#" * 60) for percent in range(101)), b"\n"]
    [(line, cut)] = split(*chunks)
    assert not cut
    assert parse_line(line, "web").text == "100% " + "#" * 60
    assert parse_line(line, "web").seconds == 1795363200.0


def test_times_of_all_zones_and_precisions() -> None:
    assert parse_line(b"2026-11-22T16:00:00.5Z hi", "web").time == 1795363200_500000000
    assert parse_line(b"2026-11-22T17:00:00.000000001+01:00 hi", "web").time == 1795363200_000000001
    assert parse_line(b"2026-11-22T16:00:00Z", "web").text == ""
    untimed = parse_line(b"hello", "web")
    assert (untimed.time, untimed.text, untimed.seconds) == (NO_TIME, "hello", None)
    assert parse_line(b"2026-99-99T16:00:00Z hi", "web").text == "hi"


def test_a_replay_gives_only_what_is_new() -> None:
    place = LogPosition()
    assert [place.is_new(at) for at in (5, 7, 7, 6)] == [True, True, True, True], "two writers out of order"
    place.reconnect()
    assert [place.is_new(at) for at in (5, 6, 7, 7, 7, 8, 8)] == [
        False,
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    place.reconnect()
    assert [place.is_new(at) for at in (8, 8, 9)] == [False, False, True]


@pytest.mark.parametrize(
    "stamp", ["9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"]
)
def test_a_time_that_no_log_can_have_is_no_time(stamp):
    line = parse_line(f"{stamp} hello".encode(), "app")
    assert line.seconds is None
    buffer = LogBuffer()
    buffer.append([line])
    assert buffer.line(0).text == "hello"


PIECES = [b"a" * 16_384, b"b" * 16_384, b"tail-needle"]
STAMP = b"2026-11-22T16:00:01.5Z "


@pytest.mark.parametrize("between", [b"", STAMP], ids=["newer kubelets", "kubelets up to 1.20"])
def test_a_line_that_the_runtime_wrote_in_pieces_is_whole(between: bytes) -> None:
    raw = STAMP + between.join(PIECES)
    assert split(raw + b"\n", most=MAX_LINE_BYTES) == [(raw, False)]
    assert parse_line(raw, "web").text == b"".join(PIECES).decode()
