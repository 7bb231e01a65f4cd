"""The collectors of V8 (Node.js), Go and CPython, as they report themselves.

Formats: ``node --trace-gc``; the ``GODEBUG=gctrace=1`` of Go's package runtime; ``gc.set_debug`` and
tracemalloc of Python's standard library.
"""

from __future__ import annotations

import re

from memtop.logs.values.reading import Kind, Reading, amount

_V8 = re.compile(
    r"ms: (Scavenge|(?:Minor )?Mark-[A-Za-z]+)[^>]*? (\d+(?:\.\d+)?) \((\d+(?:\.\d+)?)\) -> "
    r"(\d+(?:\.\d+)?)(?: \((\d+(?:\.\d+)?)\))? MB(?:, (\d+(?:\.\d+)?) /)?"
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


def read_v8(text: str) -> Reading | None:
    """Reads a line of ``--trace-gc``, which V8 also writes before it gives up."""
    if "ms: " not in text or (found := _V8.search(text)) is None:
        return None
    name, before, _, after, total, pause = found.groups()
    young = name == "Scavenge" or name.startswith("Minor") or "(minor)" in found.group()
    return Reading(
        Kind.YOUNG if young else Kind.FULL,
        amount(after, "M"),
        amount(before, "M"),
        amount(total, "M") if total is not None else None,
        float(pause) / 1000 if pause is not None else None,
    )


def read_go(text: str) -> Reading | None:
    """Reads a line of gctrace: live heap after marking, the goal as the total, the two stops as the pause."""
    if "gc " not in text or (found := _GO.search(text)) is None:
        return None
    first_stop, last_stop, before, after, goal = found.groups()
    pause = (float(first_stop) + float(last_stop)) / 1000
    return Reading(Kind.CONCURRENT, amount(after, "M"), amount(before, "M"), amount(goal, "M"), pause)


def read_python(text: str) -> Reading | None:
    """Reads the collector's debug line, and tracemalloc's figures as programs usually write them."""
    if "gc: done" in text and (found := _PYTHON_GC.search(text)) is not None:
        return Reading(Kind.PAUSE, pause_seconds=float(found.group(1)))
    if ("urrent" in text) and (found := _PYTHON_TRACED.search(text)) is not None:
        number, unit = found.groups()
        return Reading(Kind.USAGE, amount(number, "" if unit.lower() == "bytes" else unit))
    return None
