"""Heap and GC figures parsed from log lines: of the JVM, V8 (Node.js), Go, CPython, and applications.

Formats: JEP 271 (unified GC logging) and the HotSpot GC tuning guides of Java 8 and 17; ``node
--trace-gc``; the ``GODEBUG=gctrace=1`` of Go's package runtime; ``gc.set_debug`` and tracemalloc of
Python's standard library.
"""

from __future__ import annotations

import re
from dataclasses import replace

from memtop.logs.heap_readings import HeapReading, ReadingKind, parse_size

_UNIFIED = re.compile(
    r"\bGC\(\d+\) (Pause|Concurrent|Garbage Collection|(?:Major|Minor) Collection)\b([^>]*)"
)
_JVM_TIME = re.compile(r"(\d+(?:[.,]\d+)?)(ms|s)\s*$")
_UNIFIED_HEAP = re.compile(r"(\d+)([BKMG])->(\d+)([BKMG])\((\d+)([BKMG])\)")  # 24M->4M(32M)
_UNIFIED_SHARES = re.compile(
    r"(\d+)([BKMG])\((\d+)%\)->(\d+)([BKMG])\((\d+)%\)"
)  # 52M(81%)->16M(25%), of ZGC
_NAMED_PART = re.compile(r"\w: \d+[BKMG]\(")  # Metaspace: 131K(320K)->…: a part of the heap

_CLASSIC = re.compile(r"\[(Full )?GC\b")
_CLASSIC_CONCURRENT = re.compile(r"\[GC concurrent-")
_CLASSIC_STOP = re.compile(r"\[GC (?:remark|cleanup|\(CMS (?:Initial Mark|Final Remark)\))")
"""Stops of a concurrent collection, which collect nothing themselves."""
# The whole heap's figures have no generation's name and colon before them.
_CLASSIC_HEAP = re.compile(
    r"(?<!: )(?<![\d.,])(\d+(?:[.,]\d+)?)([BKMG])->(\d+(?:[.,]\d+)?)([BKMG])\((\d+(?:[.,]\d+)?)([BKMG])\)"
)
_CLASSIC_PAUSE = re.compile(r", (\d+[.,]\d+) secs\]")
_CLASSIC_G1 = re.compile(
    r"\bHeap: (\d+(?:[.,]\d+)?)([BKMG])\([^)]*\)->(\d+(?:[.,]\d+)?)([BKMG])\((\d+(?:[.,]\d+)?)([BKMG])\)"
)


def read_jvm(text: str) -> HeapReading | None:
    """Reads a line of any HotSpot collector: Serial, Parallel, G1, CMS, ZGC, Shenandoah."""
    if "GC(" in text:
        return _unified(text)
    if "GC" in text and (found := _CLASSIC.search(text)) is not None:
        return _classic(text, full=found.group(1) is not None)
    if "Heap: " in text and "Metaspace: " not in text and (heap := _CLASSIC_G1.search(text)) is not None:
        # With the metaspace it is a detail of a full collection, whose own line has told all of it.
        before, unit_before, after, unit_after, total, unit_total = heap.groups()
        return HeapReading(
            ReadingKind.YOUNG,
            parse_size(after, unit_after),
            parse_size(before, unit_before),
            parse_size(total, unit_total),
        )
    return None


def _unified(text: str) -> HeapReading | None:
    found = _UNIFIED.search(text)
    if found is None or _NAMED_PART.search(text):
        return None
    what, words = found.groups()
    pause = _pause_seconds(text) if what == "Pause" else None
    if (heap := _UNIFIED_HEAP.search(text, found.start())) is not None:
        before, unit_before, after, unit_after, total, unit_total = heap.groups()
        return HeapReading(
            _unified_kind(what, words),
            parse_size(after, unit_after),
            parse_size(before, unit_before),
            parse_size(total, unit_total),
            pause,
        )
    if (heap := _UNIFIED_SHARES.search(text, found.start())) is not None:
        before, unit_before, part_before, after, unit_after, part_after = heap.groups()
        sizes = (parse_size(before, unit_before), parse_size(after, unit_after))
        parts = (int(part_before), int(part_after))
        size, part = max(zip(sizes, parts, strict=True), key=lambda pair: pair[1])
        return HeapReading(ReadingKind.CONCURRENT, sizes[1], sizes[0], size * 100 / part if part else None)
    return None if pause is None else HeapReading(ReadingKind.PAUSE, pause_seconds=pause)


def _unified_kind(what: str, words: str) -> ReadingKind:
    if what != "Pause":
        return ReadingKind.YOUNG if what.startswith("Minor") else ReadingKind.CONCURRENT
    if words.startswith((" Full", " Degenerated")):
        return ReadingKind.FULL
    # Remark and Cleanup tell what G1 holds at that moment, before it has collected anything.
    return ReadingKind.YOUNG if words.startswith(" Young") else ReadingKind.USAGE


def _classic(text: str, *, full: bool) -> HeapReading | None:
    if _CLASSIC_CONCURRENT.search(text) is not None:
        return None  # beside the running program, and of no heap
    pauses = _CLASSIC_PAUSE.findall(text)
    pause = float(pauses[-1].replace(",", ".")) if pauses else None
    if _CLASSIC_STOP.search(text) is not None:
        return None if pause is None else HeapReading(ReadingKind.PAUSE, pause_seconds=pause)
    if (heap := _CLASSIC_HEAP.search(text)) is None:
        return (
            None
            if pause is None
            else HeapReading(ReadingKind.FULL if full else ReadingKind.YOUNG, pause_seconds=pause)
        )
    before, unit_before, after, unit_after, total, unit_total = heap.groups()
    return HeapReading(
        ReadingKind.FULL if full else ReadingKind.YOUNG,
        parse_size(after, unit_after),
        parse_size(before, unit_before),
        parse_size(total, unit_total),
        pause,
    )


def _pause_seconds(text: str) -> float | None:
    found = _JVM_TIME.search(text)
    if found is None:
        return None
    number = float(found.group(1).replace(",", "."))
    return number / 1000 if found.group(2) == "ms" else number


_V8 = re.compile(
    r"ms: (Scavenge|(?:Minor )?Mark-[A-Za-z]+)[^>]*? (\d+(?:\.\d+)?) \((\d+(?:\.\d+)?)\) -> "
    r"(\d+(?:\.\d+)?)(?: \((\d+(?:\.\d+)?)\))? MB(?:, pooled: \d+(?:\.\d+)? MB)?(?:, (\d+(?:\.\d+)?) /)?"
)
_GO = re.compile(
    r"\bgc \d+ @[\d.]+s \d+%: ([\d.]+)\+[\d.]+\+([\d.]+) ms clock, .*? "
    r"(\d+)->\d+->(\d+) MB, (\d+) MB goal"
)
_PYTHON_GC = re.compile(r"\bgc: done, .*?(\d+\.\d+)s elapsed")
_PYTHON_TRACED = re.compile(
    r"\b(?:tracemalloc\b.{0,40}?\bcurrent|current memory usage)\b(?: is)?[ =:]+"
    r"(\d+(?:\.\d+)?) ?([kMGT]?i?B|bytes)\b",
    re.IGNORECASE,
)


def read_v8(text: str) -> HeapReading | None:
    """Reads a line of ``--trace-gc``, which V8 also writes before it gives up."""
    if "ms: " not in text or (found := _V8.search(text)) is None:
        return None
    name, before, _, after, total, pause = found.groups()
    young = name == "Scavenge" or name.startswith("Minor") or "(minor)" in found.group()
    return HeapReading(
        ReadingKind.YOUNG if young else ReadingKind.FULL,
        parse_size(after, "M"),
        parse_size(before, "M"),
        parse_size(total, "M") if total is not None else None,
        float(pause) / 1000 if pause is not None else None,
    )


def read_go(text: str) -> HeapReading | None:
    """Reads a line of gctrace: live heap after marking, the goal as the total, the two stops as the pause."""
    if "gc " not in text or (found := _GO.search(text)) is None:
        return None
    first_stop, last_stop, before, after, goal = found.groups()
    pause = (float(first_stop) + float(last_stop)) / 1000
    return HeapReading(
        ReadingKind.CONCURRENT, parse_size(after, "M"), parse_size(before, "M"), parse_size(goal, "M"), pause
    )


def read_python(text: str) -> HeapReading | None:
    """Reads the collector's debug line, and tracemalloc's figures as programs usually write them."""
    if "gc: done" in text and (found := _PYTHON_GC.search(text)) is not None:
        return HeapReading(ReadingKind.PAUSE, pause_seconds=float(found.group(1)))
    if ("urrent" in text) and (found := _PYTHON_TRACED.search(text)) is not None:
        number, unit = found.groups()
        return HeapReading(ReadingKind.USAGE, parse_size(number, "" if unit.lower() == "bytes" else unit))
    return None


_SIZE = r"(\d+(?:[.,]\d{1,2})?) ?([KMGT]i?B?|B|bytes)"
"""A decimal comma has no more than two digits after it; three are taken for thousands, and are none."""
_NAMED_VALUE = r"[\"']?(?: is)?[ =:]+[\"']?(\d+(?:\.\d+|,\d{1,2})?) ?([KMGT]i?B?|B|bytes)?(?![\w.]|,\d)"
_USED_OF_TOTAL = re.compile(
    rf"\b(?:heap|memory|mem)\b[^\d/]{{0,24}}{_SIZE} ?(?:/|of|out of) ?{_SIZE}(?![\w/])"
    r"(?: ?\((\d+(?:\.\d+)?) ?%\))?",
    re.IGNORECASE,
)
_HEAP_SHARE = re.compile(r"\bheap (?:usage|used|at)\b[^\d]{0,8}(\d+(?:\.\d+)?) ?%", re.IGNORECASE)
_HEAP_USED = re.compile(
    r"\bheap[_ ]?(?:used|alloc|in_?use)\b" + _NAMED_VALUE,
    re.IGNORECASE,
)
_HEAP_TOTAL = re.compile(
    r"\bheap[_ ]?(?:total|sys|max|limit)\b" + _NAMED_VALUE,
    re.IGNORECASE,
)
_GC_TOOK = re.compile(
    r"\b(full|young|minor|major|mixed)? ?GC (?:took|pause:?|in) (\d+(?:\.\d+)?) ?(ms|s)\b", re.IGNORECASE
)
_GC_PAUSE = re.compile(
    r"\bPause (Young|Full)\b.*? (\d+)([KMG])->(\d+)([KMG])(?:\((\d+)([KMG])\))? (\d+(?:\.\d+)?)ms",
    re.IGNORECASE,
)


def read_application(text: str) -> HeapReading | None:
    """Reads a line that an application wrote of itself."""
    if "%" in text or "/" in text or " of " in text:
        if (found := _USED_OF_TOTAL.search(text)) is not None:
            used, unit_used, total, unit_total, share = found.groups()
            return HeapReading(
                ReadingKind.USAGE,
                _size_bytes(used, unit_used),
                heap_total=_size_bytes(total, unit_total),
                share=None if share is None else float(share) / 100,
            )
        if (found := _HEAP_SHARE.search(text)) is not None:
            return HeapReading(ReadingKind.USAGE, share=float(found.group(1)) / 100)
    if "GC " in text and (found := _GC_TOOK.search(text)) is not None:
        which, number, unit = found.groups()
        kind = ReadingKind.FULL if (which or "").lower() in {"full", "major"} else ReadingKind.YOUNG
        return HeapReading(kind, pause_seconds=float(number) / (1000 if unit == "ms" else 1))
    if "ause" in text and (found := _GC_PAUSE.search(text)) is not None:
        which, before, unit_before, after, unit_after, total, unit_total, pause = found.groups()
        return HeapReading(
            ReadingKind.FULL if which.lower() == "full" else ReadingKind.YOUNG,
            parse_size(after, unit_after),
            parse_size(before, unit_before),
            parse_size(total, unit_total) if total else None,
            float(pause) / 1000,
        )
    if (found := _HEAP_USED.search(text)) is not None:
        whole = _HEAP_TOTAL.search(text)
        return HeapReading(
            ReadingKind.USAGE,
            _size_bytes(*found.groups()),
            heap_total=None if whole is None else _size_bytes(*whole.groups()),
        )
    return None


def _size_bytes(number: str, unit: str | None) -> float:
    return parse_size(number, "" if unit is None or unit.lower() == "bytes" else unit)


MAX_LINE_LENGTH = 2048
"""Characters; a longer line is no report of a collector."""
_READERS = (read_jvm, read_v8, read_go, read_python, read_application)


def read_heap_figures(text: str) -> HeapReading | None:
    """The figures of one line, or None where it has none; nearly every line has none.

    A line may look like a collector's and be none: two that were written over each other, a unit that does
    not exist, a number of 400 digits. It has no figures then.
    """
    if not _may_have_figures(text):
        return None
    try:
        for reader in _READERS:
            if (reading := reader(text)) is not None:
                return reading if reading.finite else None
    except (ValueError, ArithmeticError, LookupError):
        return None
    return None


def _may_have_figures(text: str) -> bool:
    """Whether it is worth a closer look; asked of every line, and quicker so than with a loop."""
    return len(text) <= MAX_LINE_LENGTH and (
        "GC" in text
        or "gc" in text
        or "eap" in text
        or "emory" in text
        or "mem " in text
        or "ms: " in text
        or "ause " in text
        or "tracemalloc" in text
    )


_G1_PAUSE_BEGINS = re.compile(r"\[GC pause\b")


class GcEvents:
    """Reads the lines of one log in order, and joins what several lines tell of one collection.

    With ``-XX:+PrintGCDetails`` G1 of Java 8 writes the length of a pause in one line, and the heap some
    twenty lines later, in front of which stand only details.
    """

    def __init__(self) -> None:
        self._pause: HeapReading | None = None

    def read(self, text: str) -> HeapReading | None:
        """What is complete with this line."""
        reading = read_heap_figures(text)
        if reading is None:
            return None
        begun, self._pause = self._pause, None
        if reading.heap_after is None and _G1_PAUSE_BEGINS.search(text) is not None:
            self._pause = reading  # what was begun before and never told its heap, is not worth a row
            return None
        if begun is not None and reading.pause_seconds is None and "Heap: " in text:
            return replace(reading, pause_seconds=begun.pause_seconds)
        return reading
