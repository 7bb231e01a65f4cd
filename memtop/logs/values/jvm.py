"""The JVM's collectors: unified logging (``-Xlog:gc``, Java 9 and later) and the classic lines before it.

Formats: JEP 271 (unified GC logging) and the HotSpot GC tuning guides of Java 8 and 17.
"""

from __future__ import annotations

import re

from memtop.logs.values.reading import Kind, Reading, amount

_UNIFIED = re.compile(
    r"\bGC\(\d+\) (Pause|Concurrent|Garbage Collection|(?:Major|Minor) Collection)\b([^>]*)"
)
_TIME = re.compile(r"(\d+(?:[.,]\d+)?)(ms|s)\s*$")
_HEAP = re.compile(r"(\d+)([BKMG])->(\d+)([BKMG])\((\d+)([BKMG])\)")  # 24M->4M(32M)
_SHARES = re.compile(r"(\d+)([BKMG])\((\d+)%\)->(\d+)([BKMG])\((\d+)%\)")  # 52M(81%)->16M(25%), of ZGC
_NAMED = re.compile(r"\w: \d+[BKMG]\(")  # Metaspace: 131K(320K)->…: a part of the heap

_CLASSIC = re.compile(r"\[(Full )?GC\b")
# The whole heap's figures have no generation's name and colon before them.
_CLASSIC_HEAP = re.compile(
    r"(?<!: )(?<![\d.])(\d+(?:\.\d+)?)([BKMG])->(\d+(?:\.\d+)?)([BKMG])\((\d+(?:\.\d+)?)([BKMG])\)"
)
_CLASSIC_PAUSE = re.compile(r", (\d+[.,]\d+) secs\]")
_CLASSIC_G1 = re.compile(
    r"\bHeap: (\d+(?:\.\d+)?)([BKMG])\([^)]*\)->(\d+(?:\.\d+)?)([BKMG])\((\d+(?:\.\d+)?)([BKMG])\)"
)


def read(text: str) -> Reading | None:
    """Reads a line of any HotSpot collector: Serial, Parallel, G1, CMS, ZGC, Shenandoah."""
    if "GC(" in text:
        return _unified(text)
    if "GC" in text and (found := _CLASSIC.search(text)) is not None:
        return _classic(text, full=found.group(1) is not None)
    if "Heap: " in text and (heap := _CLASSIC_G1.search(text)) is not None:
        before, unit_before, after, unit_after, total, unit_total = heap.groups()
        return Reading(
            Kind.YOUNG, amount(after, unit_after), amount(before, unit_before), amount(total, unit_total)
        )
    return None


def _unified(text: str) -> Reading | None:
    found = _UNIFIED.search(text)
    if found is None or _NAMED.search(text):
        return None
    what, words = found.groups()
    pause = _seconds(text) if what == "Pause" else None
    if (heap := _HEAP.search(text, found.start())) is not None:
        before, unit_before, after, unit_after, total, unit_total = heap.groups()
        return Reading(
            _unified_kind(what, words),
            amount(after, unit_after),
            amount(before, unit_before),
            amount(total, unit_total),
            pause,
        )
    if (heap := _SHARES.search(text, found.start())) is not None:
        before, unit_before, part_before, after, unit_after, part_after = heap.groups()
        sizes = (amount(before, unit_before), amount(after, unit_after))
        parts = (int(part_before), int(part_after))
        size, part = max(zip(sizes, parts, strict=True), key=lambda pair: pair[1])
        return Reading(Kind.CONCURRENT, sizes[1], sizes[0], size * 100 / part if part else None)
    return None if pause is None else Reading(Kind.PAUSE, pause_seconds=pause)


def _unified_kind(what: str, words: str) -> Kind:
    if what != "Pause":
        return Kind.YOUNG if what.startswith("Minor") else Kind.CONCURRENT
    if words.startswith((" Full", " Degenerated")):
        return Kind.FULL
    # Remark and Cleanup tell what G1 holds at that moment, before it has collected anything.
    return Kind.YOUNG if words.startswith(" Young") else Kind.USAGE


def _classic(text: str, *, full: bool) -> Reading | None:
    pauses = _CLASSIC_PAUSE.findall(text)
    pause = float(pauses[-1].replace(",", ".")) if pauses else None
    if (heap := _CLASSIC_HEAP.search(text)) is None:
        return None if pause is None else Reading(Kind.FULL if full else Kind.YOUNG, pause_seconds=pause)
    before, unit_before, after, unit_after, total, unit_total = heap.groups()
    return Reading(
        Kind.FULL if full else Kind.YOUNG,
        amount(after, unit_after),
        amount(before, unit_before),
        amount(total, unit_total),
        pause,
    )


def _seconds(text: str) -> float | None:
    found = _TIME.search(text)
    if found is None:
        return None
    number = float(found.group(1).replace(",", "."))
    return number / 1000 if found.group(2) == "ms" else number
