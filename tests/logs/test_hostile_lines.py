"""One line of any container's log ends nothing, whatever numbers and times it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.logs.gc_log_parsers import read_heap_figures
from memtop.logs.log_lines import parse_line

NINES = "9" * 400
LINES = [
    "current memory usage: 512 iB",
    "gc 1 @0.038s 1%: 0.018+1.3+0.076 ms clock, 4->gc 2 @0.0s4->3 MB, 5 MB goal, 4 P",
    f"gc 1 @0.038s 1%: 0.018+1.3+0.076 ms clock, 4->4->{NINES} MB, 5 MB goal, 4 P",
    f"Heap usage: 1.8GB / 2GB ({NINES}%)",
    f"Heap usage: {NINES}GB / 2GB (90%)",
    "Heap usage: 1e999GB / 2GB (90%)",
    f"[{NINES}s][info][gc] GC(1) Pause Young 1M->1M(2M) 3ms",
    f"GC(1) Pause Full {NINES}M->{NINES}M({NINES}M) {NINES}ms",
    "9999-12-31T23:59:59.999999999Z heap used 1MB",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_has_ended_memtop_is_read(line: str) -> None:
    found = read_heap_figures(line)
    assert found is None or found.heap_after is None or found.heap_after < 2.0**63


@pytest.mark.parametrize(
    "stamp",
    ["9999-12-31T23:59:59Z", "9999-99-99T99:99:99Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59"],
)
def test_a_stamp_that_no_calendar_has_is_no_time(stamp: str) -> None:
    line = parse_line(f"{stamp} words".encode(), "web", cut=False)
    assert line.seconds is None
    assert line.text.endswith("words")


@given(
    st.lists(st.sampled_from([*"0123456789.%->()/ ", "gc ", "MB", "GiB", "iB", "Heap ", "used ", "@", "ms"]))
)
def test_no_mixture_of_what_collectors_write_raises(parts: list[str]) -> None:
    read_heap_figures("".join(parts))


@given(st.binary(max_size=80))
def test_no_bytes_raise(raw: bytes) -> None:
    parse_line(raw, "web", cut=False)
