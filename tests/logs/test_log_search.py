"""Searching: the same matches as a search of every line, bounded in time, and going on as lines come."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import DEFAULT_PRESETS
from memtop.logs.buffer import LogBuffer
from memtop.logs.grep_process import find_matches, required_words
from memtop.logs.log_lines import LogLine
from memtop.logs.search import (
    ALL_CONTEXT,
    ROW_GAP,
    Grep,
    LogFilter,
    LogSearch,
    PatternError,
    lines_not_in,
    rows_with_context,
)

SAMPLES = Path(__file__).parent / "samples"
SECOND = 1_000_000_000


@pytest.fixture
async def grep() -> AsyncIterator[Grep]:
    made = Grep()
    yield made
    await made.close()


def filled(*texts: str, most_lines: int = 1000) -> LogBuffer:
    buffer = LogBuffer(most_lines=most_lines)
    buffer.append(LogLine(n * SECOND, text, "web") for n, text in enumerate(texts))
    return buffer


@pytest.mark.parametrize("name", DEFAULT_PRESETS)
def test_plain_words_leave_nothing_out(name: str) -> None:
    """The quick way finds what the slow way finds, on real logs and on lines of the presets' own words."""
    dice = random.Random(name)
    words = re.findall(r"[A-Za-z]+", " ".join(DEFAULT_PRESETS.values()))
    lines = [line for path in SAMPLES.glob("*.txt") for line in path.read_text().splitlines()]
    lines += [dice.choice(" -_.[(").join(dice.choices(words, k=6)) for _ in range(2000)]
    lines += ["cache size 99999", "41234 entries in the cache", "the cache has no limit"]
    lines += [line.upper() for line in lines[:500]]
    text = "".join(f"{line}\n" for line in lines).encode()
    pattern = re.compile(DEFAULT_PRESETS[name], re.IGNORECASE)
    found = np.array(find_matches(pattern, required_words(pattern.pattern), text)).reshape(-1, 3)
    slow = [number for number, line in enumerate(lines) if pattern.search(line)]
    assert slow
    assert sorted(set(found[:, 0].tolist())) == slow
    for number, start, end in found.tolist():
        assert pattern.search(lines[number], start).span() == (start, end)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("heap", {b"heap"}),
        ("Heap|GC", {b"heap", b"gc"}),
        ("oom|ok|o[kx]", None),
        ("out of memory|out of disk", {b"out of memory", b"out of disk"}),
        (r"\b(?:oom|out of memory)\b", {b"oom", b"out of memory"}),
        (r"pause \d+ms", {b"pause "}),
        (r"(ab)+c?", {b"ab"}),
        (r"\d+", None),
        ("a|bcd", None),
        ("(?!heap)x", None),
        ("(heap)?", None),
        (r"[hH]eap", {b"eap"}),
    ],
)
def test_the_plain_words_of_an_expression(pattern: str, words: set[bytes] | None) -> None:
    assert required_words(pattern) == words


def test_letters_that_equal_ascii_letters_without_regard_to_case() -> None:
    pattern = re.compile("task killed", re.IGNORECASE)
    found = find_matches(
        pattern, required_words("task killed"), "TAS\N{KELVIN SIGN} \N{KELVIN SIGN}illed\n".encode()
    )
    assert found.tolist() == [0, 0, 11]


async def test_a_bad_expression_is_one_sentence(grep: Grep) -> None:
    with pytest.raises(PatternError, match="unterminated"):
        await grep.use("(", ignore_case=True)
    await grep.use("a", ignore_case=True)
    assert (await grep.search(b"xa\n")).tolist() == [[0, 1, 2]], "the next one works"


async def test_an_expression_that_runs_away_is_stopped() -> None:
    grep = Grep(patience=0.5)
    await grep.use(r"(\w+\s?)+!", ignore_case=False)
    with pytest.raises(PatternError, match=r"takes more than 0\.5 s"):
        await grep.search(b"a" * 60 + b"\n")
    await grep.use("a", ignore_case=False)
    assert len(await grep.search(b"a\n")) == 1, "the next one works"
    await grep.close()


async def test_a_process_that_was_killed_is_replaced(grep: Grep) -> None:
    await grep.use("a", ignore_case=False)
    assert grep._process is not None
    grep._process.kill()
    await grep._process.wait()
    assert (await grep.search(b"xa\n")).tolist() == [[0, 1, 2]]


async def test_a_search_goes_on_as_lines_come(grep: Grep) -> None:
    buffer = filled("heap 1", "x", "x", "heap heap 2")
    search = LogSearch(LogFilter.typed("heap"), buffer, grep)
    assert await search.advance()
    assert search.rows().tolist() == [0, 3]
    assert search.spans(3) == [(0, 4), (5, 9)]
    assert search.spans(1) == []
    assert not await search.advance(), "there is nothing new"
    buffer.append([LogLine(9 * SECOND, "HEAP 3", "web")])
    assert search.rows().tolist() == [0, 3], "what wasn't searched isn't shown"
    await search.advance()
    assert search.rows().tolist() == [0, 3, 4]
    assert search.count == 3


async def test_case_matters_only_with_a_capital_letter(grep: Grep) -> None:
    buffer = filled("Heap", "heap", "HEAP")
    for pattern, rows in (("heap", [0, 1, 2]), ("Heap", [0])):
        search = LogSearch(LogFilter.typed(pattern), buffer, grep)
        await search.advance()
        assert search.rows().tolist() == rows


async def test_inverted_and_among_all_lines(grep: Grep) -> None:
    buffer = filled("a", "b", "a", "b")
    search = LogSearch(LogFilter("a", "a", invert=True), buffer, grep)
    await search.advance()
    assert search.rows().tolist() == [1, 3]
    assert search.count == 2
    assert search.is_chosen(1)
    assert not search.is_chosen(0)
    search.log_filter = LogFilter("a", "a", context=ALL_CONTEXT)
    assert search.rows().tolist() == [0, 1, 2, 3]
    assert search.is_chosen(0)
    assert not search.is_chosen(1)


async def test_stepping_from_match_to_match(grep: Grep) -> None:
    search = LogSearch(LogFilter.typed("a"), filled("a", "b", "a", "b"), grep)
    await search.advance()
    assert [search.step(n, 1) for n in range(4)] == [2, 2, None, None]
    assert [search.step(n, -1) for n in range(4)] == [None, 0, 0, 2]
    assert search.step(4, -1) == 2


async def test_matches_of_dropped_lines_are_forgotten(grep: Grep) -> None:
    buffer = filled(most_lines=5_000)
    search = LogSearch(LogFilter.typed("a"), buffer, grep)
    for _ in range(6):
        buffer.append(LogLine(0, "a" if n % 2 else "b", "web") for n in range(4_000))
        await search.advance()
    assert buffer.first > 15_000
    assert search.count == len(buffer) // 2
    assert search.rows()[0] >= buffer.first
    assert len(search._lines) < 3 * len(buffer)


async def test_a_rate_is_of_the_last_ten_minutes(grep: Grep) -> None:
    buffer = LogBuffer()
    buffer.append(
        LogLine(n * SECOND, "oom" if n >= 1800 and n % 10 == 0 else "x", "web") for n in range(3600)
    )
    search = LogSearch(LogFilter.typed("oom"), buffer, grep)
    assert search.rate() is None
    await search.advance()
    assert search.rate() == pytest.approx(6.0, rel=0.02)


def naive(matches: list[int], first: int, end: int, context: int) -> list[int]:
    kept = [n for n in matches if first <= n < end]
    if not context:
        return kept
    wanted = sorted({n for m in kept for n in range(max(first, m - context), min(end, m + context + 1))})
    rows: list[int] = []
    for n in wanted:
        rows += [ROW_GAP, n] if rows and n != rows[-1] + 1 else [n]
    return rows


@given(st.sets(st.integers(0, 80), max_size=15), st.integers(0, 20), st.integers(0, 70), st.integers(0, 5))
def test_stretches(matches: set[int], first: int, length: int, context: int) -> None:
    numbers = np.array(sorted(matches), np.int64)
    end = first + length
    assert rows_with_context(numbers, first, end, context).tolist() == naive(
        sorted(matches), first, end, context
    )
    assert lines_not_in(numbers, first, end).tolist() == [n for n in range(first, end) if n not in matches]


@pytest.mark.parametrize("context", [1, 2, 5])
def test_stretches_are_those_of_grep(context: int, tmp_path: Path) -> None:
    lines = (SAMPLES / "service-heap-usage.txt").read_text().splitlines()
    matches = np.array([n for n, line in enumerate(lines) if "GC" in line], np.int64)
    rows = rows_with_context(matches, 0, len(lines), context)
    ours = ["--" if n == ROW_GAP else lines[n] for n in rows]
    command = ["grep", f"-C{context}", "GC", str(SAMPLES / "service-heap-usage.txt")]
    assert ours == subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
