"""From a log line to its figures, whichever program wrote it."""

from __future__ import annotations

from memtop.logs.values import jvm, runtimes, usage
from memtop.logs.values.reading import Reading

LONGEST = 2048
"""Characters; a longer line is no report of a collector."""
_READERS = (jvm.read, runtimes.read_v8, runtimes.read_go, runtimes.read_python, usage.read)


def read(text: str) -> Reading | None:
    """The figures of one line, or None where it has none; nearly every line has none."""
    if not _may_tell(text):
        return None
    for reader in _READERS:
        if (reading := reader(text)) is not None:
            return reading
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
