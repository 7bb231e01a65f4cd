"""What is read out of the logs of real collectors; how the samples were made is in samples/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from memtop.logs.gc_log_parsers import GcEvents, read_heap_figures
from memtop.logs.heap_readings import HeapReading, ReadingKind, summarise_readings

SAMPLES = Path(__file__).parent / "samples"
MI = 1024.0**2
GI = 1024.0**3
YOUNG, FULL, CONCURRENT, PAUSE, USAGE = (
    ReadingKind.YOUNG,
    ReadingKind.FULL,
    ReadingKind.CONCURRENT,
    ReadingKind.PAUSE,
    ReadingKind.USAGE,
)


def readings(name: str) -> list[HeapReading]:
    found = (read_heap_figures(line) for line in (SAMPLES / f"{name}.txt").read_text().splitlines())
    return [reading for reading in found if reading is not None]


def count(name: str, *words: str) -> int:
    return sum(
        all(word in line for word in words) for line in (SAMPLES / f"{name}.txt").read_text().splitlines()
    )


@pytest.mark.parametrize(
    "name", ["jvm-serial", "jvm-parallel", "jvm-g1", "jvm-zgc", "jvm-shenandoah", "jvm-g1-everything"]
)
def test_every_line_that_tells_of_a_heap_is_read(name: str) -> None:
    heaps = [reading for reading in readings(name) if reading.heap_after is not None]
    assert len(heaps) == count(name, "GC(", "->") - count(name, "regions:") - count(name, "Metaspace:")
    for reading in heaps:
        assert reading.heap_before is not None
        assert reading.heap_total is not None
        assert 0 < reading.heap_after <= reading.heap_before <= reading.heap_total * 1.02  # type: ignore[operator]
        assert 30 * MI <= reading.heap_total <= 66 * MI


@pytest.mark.parametrize("name", ["jvm-serial", "jvm-parallel", "jvm-g1", "jvm-shenandoah"])
def test_every_pause_is_read(name: str) -> None:
    pauses = [reading.pause_seconds for reading in readings(name) if reading.pause_seconds is not None]
    assert len(pauses) == count(name, "Pause")
    assert all(0 < pause < 1 for pause in pauses)
    assert sum(reading.kind is FULL for reading in readings(name)) == count(name, "Pause Full") + count(
        name, "Pause Degenerated"
    )


def test_parts_of_the_heap_are_not_the_heap() -> None:
    assert [reading.kind for reading in readings("jvm-g1-everything")] == [YOUNG, YOUNG]
    assert sum(reading.heap_after is not None for reading in readings("jvm-zgc-everything")) == 1


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        (
            "[0.143s][info][gc] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 6M->1M(34M) 4.913ms",
            HeapReading(YOUNG, 1 * MI, 6 * MI, 34 * MI, 0.004913),
        ),
        (
            "[0.396s][info][gc] GC(11) Pause Full (System.gc()) 26M->17M(40M) 2.367ms",
            HeapReading(FULL, 17 * MI, 26 * MI, 40 * MI, 0.002367),
        ),
        (
            "[0.302s][info][gc] GC(1) Garbage Collection (Warmup) 48M(75%)->14M(22%)",
            HeapReading(CONCURRENT, 14 * MI, 48 * MI, 64 * MI),
        ),
        ("[1.7s][info][gc] GC(14) Pause Final Update Refs 0.007ms", HeapReading(PAUSE, pause_seconds=7e-06)),
        ("[0.4s][info][gc] GC(13) Concurrent Mark Cycle 2.302ms", None),
        ("[0.0s][info][gc,start] GC(1) Pause Young (Allocation Failure)", None),
        # Java 8, as in the HotSpot tuning guide
        (
            "151.126: [GC (Allocation Failure) 151.126: [DefNew: 629119K->69888K(629120K), 0.0584157 secs] "
            "1619346K->1273247K(2027264K), 0.0585007 secs] [Times: user=0.06 sys=0.00, real=0.06 secs]",
            HeapReading(YOUNG, 1273247 * 1024.0, 1619346 * 1024.0, 2027264 * 1024.0, 0.0585007),
        ),
        (
            "[Full GC (Ergonomics) [PSYoungGen: 10240K->0K(141312K)] [ParOldGen: 21505K->13974K(349696K)] "
            "31745K->13974K(491008K), [Metaspace: 2691K->2691K(1056768K)], 0.0286 secs]",
            HeapReading(FULL, 13974 * 1024.0, 31745 * 1024.0, 491008 * 1024.0, 0.0286),
        ),
        (
            "   [Eden: 12.0M(12.0M)->0.0B(10.0M) Survivors: 0.0B->2048.0K "
            "Heap: 14.0M(256.0M)->8204.8K(256.0M)]",
            HeapReading(YOUNG, 8204.8 * 1024.0, 14 * MI, 256 * MI),
        ),
        # Node.js
        (
            "[27783:0x2d346c40]       22 ms: Scavenge 3.8 (4.0) -> 3.7 (5.0) MB, 0.71 / 0.00 ms  (average mu "
            "= 1.000, current mu = 1.000) allocation failure; ",
            HeapReading(YOUNG, 3.7 * MI, 3.8 * MI, 5 * MI, pytest.approx(0.00071)),
        ),
        ("{ rss: '45MB', heapTotal: '6MB', heapUsed: '5MB' }", HeapReading(USAGE, 5 * MI, heap_total=6 * MI)),
        ('{"heapUsed":12345678,"heapTotal":20000000}', HeapReading(USAGE, 12345678.0, heap_total=20000000.0)),
        (
            "[7:0x7f8e4c000b70]    32345 ms: Mark-Compact (reduce) 150.1 (163.0) -> 148.0 (164.0) MB, "
            "pooled: 0 MB, 31.30 / 0.00 ms  (average mu = 1.000, current mu = 1.000) idle task",
            HeapReading(FULL, 148.0 * MI, 150.1 * MI, 164 * MI, pytest.approx(0.0313)),
        ),
        (
            "[7:0x7f8e4c000b70]    42345 ms: Scavenge 150.1 (163.0) -> 149.0 (164.0) MB, "
            "pooled: 3 MB, 4.50 / 0.00 ms",
            HeapReading(YOUNG, 149.0 * MI, 150.1 * MI, 164 * MI, pytest.approx(0.0045)),
        ),
        ("Heap Used: 58 MB / Heap Total: 64 MB", HeapReading(USAGE, 58 * MI, heap_total=64 * MI)),
        ("heap used: 1,5 GB, heap max: 2 GB", HeapReading(USAGE, 1.5 * GI, heap_total=2 * GI)),
        ("heap used: 12,345,678 bytes", None),
        # Java 8, with details
        (
            "[GC remark 2.0: [Finalize Marking, 0.0001 secs], 0.0040000 secs]",
            HeapReading(PAUSE, pause_seconds=0.004),
        ),
        ("2.100: [GC cleanup 13M->13M(20M), 0.0002000 secs]", HeapReading(PAUSE, pause_seconds=0.0002)),
        ("3.100: [GC concurrent-mark-end, 0.0123000 secs]", None),
        (
            "[GC (CMS Final Remark) [1 CMS-remark: 1K(2K)] 3K(4K), 0.0010 secs]",
            HeapReading(PAUSE, pause_seconds=0.001),
        ),
        (
            "14,000: [Full GC (Ergonomics)  20,5M->18,0M(20,5M), 0,1234567 secs]",
            HeapReading(FULL, 18 * MI, 20.5 * MI, 20.5 * MI, 0.1234567),
        ),
        # Go
        (
            "gc 26 @0.114s 1%: 0.006+0.17+0.002 ms clock, 0.012+0/0.036/0.075+0.004 ms cpu, 28->28->16 MB, "
            "33 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)",
            HeapReading(CONCURRENT, 16 * MI, 28 * MI, 33 * MI, pytest.approx(8e-06)),
        ),
        # Python
        (
            "gc: done, 85 unreachable, 0 uncollectable, 0.0009s elapsed",
            HeapReading(PAUSE, pause_seconds=0.0009),
        ),
        ("INFO tracemalloc: current 5207248 bytes, peak 5263919 bytes", HeapReading(USAGE, 5207248.0)),
        ("Current memory usage is 15.5MB; Peak was 16MB", HeapReading(USAGE, 15.5 * MI)),
        # anybody
        ("[WARN] Heap usage: 1.8GB / 2GB", HeapReading(USAGE, 1.8 * GI, heap_total=2 * GI)),
        ("[WARN] Heap usage: 1.8GB / 2GB (90%)", HeapReading(USAGE, 1.8 * GI, heap_total=2 * GI, share=0.9)),
        ("[WARN] Heap usage: 93%", HeapReading(USAGE, share=0.93)),
        ("[GC] Full GC took 5.2s", HeapReading(FULL, pause_seconds=5.2)),
        ("[GC] Young GC took 50ms", HeapReading(YOUNG, pause_seconds=0.05)),
        ("[GC] Pause Young (Normal) 24M->4M 8.1ms", HeapReading(YOUNG, 4 * MI, 24 * MI, None, 0.0081)),
        # nothing of the kind
        ("GET /memory/4 / 12 of the heap 200", None),
        ("[INFO] gcp bucket synced in 5.2s", None),
        ("cheaper by 20%", None),
        ("", None),
        ("heap " * 100_000, None),
    ],
)
def test_a_line(line: str, reading: HeapReading | None) -> None:
    assert read_heap_figures(line) == reading


G1_DETAILS = """\
1.000: [GC pause (G1 Evacuation Pause) (young), 0.0120000 secs]
   [Parallel Time: 11.2 ms, GC Workers: 4]
      [GC Worker Start (ms): Min: 1000.1, Avg: 1000.2, Max: 1000.3, Diff: 0.2]
   [Eden: 12.0M(12.0M)->0.0B(10.0M) Survivors: 0.0B->2048.0K Heap: 12.0M(20.0M)->2381.0K(20.0M)]
 [Times: user=0.03 sys=0.00, real=0.01 secs]
2.000: [GC concurrent-mark-end, 0.0050000 secs]
2.000: [GC remark, 0.0040000 secs]
2.100: [GC cleanup 13M->13M(20M), 0.0002000 secs]
14.000: [Full GC (Allocation Failure)  20M->18M(20M), 0.1234567 secs]
   [Eden: 0.0B(1.0K)->0.0B(1.0K) Heap: 20.0M(20.0M)->18.0M(20.0M)], [Metaspace: 31000K->31000K(1077248K)]
""".splitlines()


def test_what_several_lines_tell_of_one_collection_counts_once() -> None:
    events = GcEvents()
    found = [reading for line in G1_DETAILS if (reading := events.read(line)) is not None]
    assert found == [
        HeapReading(YOUNG, 2381 * 1024.0, 12 * MI, 20 * MI, 0.012),
        HeapReading(PAUSE, pause_seconds=0.004),
        HeapReading(PAUSE, pause_seconds=0.0002),
        HeapReading(FULL, 18 * MI, 20 * MI, 20 * MI, 0.1234567),
    ]
    summary = summarise_readings(found)
    assert summary is not None
    assert (summary.collections, summary.full, len(summary.pauses)) == (2, 1, 4)


def test_a_pause_that_never_tells_its_heap_is_not_given_to_a_later_collection() -> None:
    events = GcEvents()
    assert events.read(G1_DETAILS[0]) is None
    assert events.read(G1_DETAILS[6]) == HeapReading(PAUSE, pause_seconds=0.004)
    assert events.read(G1_DETAILS[3]) == HeapReading(YOUNG, 2381 * 1024.0, 12 * MI, 20 * MI)


def test_each_runtime_is_understood() -> None:
    assert len(readings("node-trace-gc")) == count("node-trace-gc", " ms: ")
    assert sum(reading.kind is FULL for reading in readings("node-trace-gc")) == count(
        "node-trace-gc", "Mark-"
    )
    assert len(readings("go-gctrace")) == 12
    pauses = [reading for reading in readings("python-gc-debug") if reading.kind is PAUSE]
    assert len(pauses) == count("python-gc-debug", "gc: done")
    last = readings("node-heap-limit")[-1]
    assert (last.kind, last.heap_after, last.heap_total) == (FULL, 95.8 * MI, 97.5 * MI)


def test_a_summary_of_a_heap_that_filled_up() -> None:
    summary = summarise_readings(readings("jvm-serial-out-of-memory"))
    assert summary is not None
    assert summary.after_gc
    assert summary.share == 1.0
    assert (summary.collections, summary.full) == (6, 6)
    assert summary.longest_pause == 0.001264


def test_the_share_is_the_one_that_the_log_says() -> None:
    summary = summarise_readings([read_heap_figures("Heap usage: 1.9GB / 2GB (97%)")])
    assert summary is not None
    assert not summary.heap_is_share
    assert summary.share == 0.97


def test_a_summary_of_shares_only() -> None:
    summary = summarise_readings(readings("service-heap-usage"))
    assert summary is not None
    assert summary.heap_is_share
    assert not summary.after_gc
    assert (summary.heap[0], summary.heap[-1], summary.total) == (0.78, 0.99, 1.0)
    assert summary.pauses == (0.7, 1.0, 1.2, 1.5, 1.8, 2.0)


def test_what_a_collection_left_counts_more_than_what_is_used() -> None:
    summary = summarise_readings(
        [HeapReading(USAGE, 9.0, heap_total=10.0), HeapReading(FULL, 2.0, 9.0, 10.0, 0.1)]
    )
    assert summary is not None
    assert summary.heap == (2.0,)
    assert summarise_readings([]) is None


@pytest.mark.parametrize(
    "line",
    [
        "current memory usage: 512 iB",
        "gc 5 @0.1s 0%: 0.1.2+0.4+0.1 ms clock, 0.1 ms cpu, 4->4->1 MB, 5 MB goal",  # two over each other
        "GC(3) Pause Young 1M(" + "9" * 400 + "%)->1M(" + "9" * 400 + "%) 1ms",
        "GC(3) Pause Young 1M(" + "9" * 5000 + "%)->1M(" + "9" * 5000 + "%) 1ms",
        "heap usage " + "9" * 400 + "%",
        "heap: " + "9" * 400 + " MB / 10 MB",
        "full GC took " + "9" * 400 + " s",
    ],
)
def test_a_line_that_only_looks_like_a_collectors_has_no_figures(line):
    assert read_heap_figures(line) is None
