"""From a log line to its figures, whichever program wrote it."""

from __future__ import annotations

from memtop.logs.values import jvm, runtimes, usage
from memtop.logs.values.reading import Reading

LONGEST = 2048
"""Characters; a longer line is no report of a collector."""
_READERS = (jvm.read, runtimes.read_v8, runtimes.read_go, runtimes.read_python, usage.read)


def read(text: str) -> Reading | None:
    """The figures of one line, or None where it has none; nearly every line has none.

    A line may look like a collector's and be none: two that were written over each other, a unit that does
    not exist, a number of 400 digits. It has no figures then.
    """
    if not _may_tell(text):
        return None
    try:
        for reader in _READERS:
            if (reading := reader(text)) is not None:
                return reading if reading.finite else None
    except (ValueError, ArithmeticError, LookupError):
        return None
    return None


def _may_tell(text: str) -> bool:
    """Whether it is worth a closer look; asked of every line, and quicker so than with a loop."""
    return len(text) <= LONGEST and (
        "GC" in text
        or "gc" in text
        or "eap" in text
        or "emory" in text
        or "mem " in text
        or "ms: " in text
        or "ause " in text
        or "tracemalloc" in text
    )
