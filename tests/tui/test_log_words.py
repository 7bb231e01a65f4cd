"""What stands above and below a log, in words."""

from __future__ import annotations

import pytest

from memtop.kube.pod_facts import Termination
from memtop.logs.buffer import LogStatus
from memtop.logs.heap_readings import HeapReading, ReadingKind, summarise_readings
from memtop.logs.log_lines import LogLine, LogMark
from memtop.logs.log_request import ContainerEnding, LogRequest
from memtop.logs.search import ALL_CONTEXT, Grep, LogFilter, LogSearch
from tui.pod.log_display import LogFeed, log_row, log_status_line, pause_words, value_lines
from widgets.log_view import LogView

GI = 1024.0**3
NOW = 1_795_363_200.0
KILL = ContainerEnding("web", Termination("OOMKilled", 137, NOW - 42, NOW - 900))


def feed(status: LogStatus, *, previous: bool = False, lines: int = 3) -> LogFeed:
    made = LogFeed(LogRequest("shop", "web", ("web",), previous=previous), lambda: None)
    made.buffer.append(LogLine(n * 10**9, f"line {n}", "web") for n in range(lines))
    made.status = status
    return made


def said(made: LogFeed, search: LogSearch | None = None) -> str:
    return log_status_line(made, search, LogView(), NOW).plain.strip()


def test_following() -> None:
    assert said(feed(LogStatus("following", live=True))) == "following · 3 lines"
    assert said(feed(LogStatus("following", live=True), lines=1)) == "following · 1 line"


def test_a_kill_is_told_with_the_key_that_helps() -> None:
    waiting = LogStatus("web waits to be started: CrashLoopBackOff", ending=KILL)
    assert said(feed(waiting)).startswith(
        "web was OOM-killed 40 s ago: press p for its log · web waits to be started: CrashLoopBackOff"
    )
    assert "press p" not in said(feed(waiting, previous=True))
    again = LogStatus("following", live=True, ending=KILL)
    assert "press p for its log · following" in said(feed(again))


def test_an_old_kill_is_not_told_for_ever() -> None:
    long_ago = ContainerEnding("web", Termination("OOMKilled", 137, NOW - 3600, NOW - 4000))
    assert said(feed(LogStatus("following", live=True, ending=long_ago))) == "following · 3 lines"


def test_a_good_end_is_no_alarm() -> None:
    done = ContainerEnding("job", Termination("Completed", 0, NOW - 42, None))
    assert said(feed(LogStatus("job completed", ended=True, ending=done))) == "job completed · 3 lines"


async def test_what_a_filter_finds() -> None:
    made = feed(LogStatus("following", live=True))
    grep = Grep()
    search = LogSearch(LogFilter("line [12]", "mine", context=2), made.buffer, grep)
    await search.advance()
    assert said(made, search) == "following · 3 lines · mine: 2 matches, ±2 lines"
    search.log_filter = LogFilter("line [12]", "mine", invert=True, context=ALL_CONTEXT)
    assert said(made, search).endswith("not mine: 1 match, among all lines")
    await grep.close()


def test_a_row_says_what_its_line_is() -> None:
    note = log_row(LogLine(-1, "web was OOM-killed", "web", LogMark.NOTE), None, 0, stamps=True, owners=True)
    assert (note.note, note.stamp, note.owner) == (True, "", "web")
    cut = log_row(LogLine(10**9, "x", "web", LogMark.CUT), None, 0, stamps=True, owners=False)
    assert "cut" in cut.tail
    assert cut.stamp == "01-01 00:00:01.000"


async def test_of_a_very_long_line_the_part_with_the_match_is_drawn() -> None:
    made = feed(LogStatus("following", live=True))
    made.buffer.append([LogLine(-1, "a" * 40_000 + " tail-needle", "web")])
    number, grep = made.buffer.end - 1, Grep()
    search = LogSearch(LogFilter("tail-needle", "mine"), made.buffer, grep)
    await search.advance()
    row = log_row(made.buffer.line(number), search, number, stamps=False, owners=False)
    ((start, end),) = row.spans
    assert row.text[start:end] == "tail-needle"
    assert len(row.text) < 1_000
    await grep.close()
    whole = log_row(made.buffer.line(number), None, number, stamps=False, owners=False)
    assert (len(whole.text), whole.tail) == (16_384, "… (40,012 characters in all; a search sees them)")


@pytest.mark.parametrize("width", [30, 80, 180])
def test_figures_above_a_log(width: int) -> None:
    readings = [
        HeapReading(ReadingKind.YOUNG, 0.5 * GI, 1 * GI, 2 * GI, 0.02),
        HeapReading(ReadingKind.FULL, 1.8 * GI, 2 * GI, 2 * GI, 5.2),
    ]
    summary = summarise_readings(readings)
    assert summary is not None
    heap, pauses = value_lines(summary, width, "block")
    assert max(len(heap.plain), len(pauses.plain)) <= width
    if width >= 80:
        assert "heap after GC" in heap.plain
        assert "1.8 GiB of 2 GiB (90 %)  2 collections, 1 full" in heap.plain
        assert "last 5.2 s, longest 5.2 s, 5.2 s in all" in pauses.plain


def test_shares_without_bytes() -> None:
    summary = summarise_readings(
        [HeapReading(ReadingKind.USAGE, share=0.9), HeapReading(ReadingKind.USAGE, share=0.97)]
    )
    assert summary is not None
    [heap] = value_lines(summary, 100, "ascii")
    assert heap.plain.startswith(" heap ")
    assert heap.plain.endswith("97 %")


@pytest.mark.parametrize(
    ("length", "words"),
    [(3e-06, "0.003 ms"), (0.0021, "2.1 ms"), (0.85, "850 ms"), (5.24, "5.2 s"), (300, "5 m")],
)
def test_the_length_of_a_pause(length: float, words: str) -> None:
    assert pause_words(length) == words
