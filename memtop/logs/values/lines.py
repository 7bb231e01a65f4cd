"""From a log line to its figures, whichever program wrote it."""

from __future__ import annotations

from memtop.logs.values import jvm, runtimes, usage
from memtop.logs.values.reading import Reading

LONGEST = 2048
"""Characters; a longer line is no report of a collector."""
_SIGNS = ("GC", "gc", "eap", "emory", "mem ", "ms: ", "ause ", "tracemalloc")
_READERS = (jvm.read, runtimes.read_v8, runtimes.read_go, runtimes.read_python, usage.read)


def read(text: str) -> Reading | None:
    """The figures of one line, or None where it has none; nearly every line has none."""
    if len(text) > LONGEST or not any(sign in text for sign in _SIGNS):
        return None
    for reader in _READERS:
        if (reading := reader(text)) is not None:
            return reading
    return None
