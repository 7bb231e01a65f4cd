"""An answer to what grew, for the tests of the screen."""

from __future__ import annotations

from pathlib import Path

from memtop.heap.growth_run import WhatGrew, judge_growth
from memtop.heap_files.heap_contents import HeapContents, HeapFileKind, HeapType, summarise_types
from memtop.heap_files.heap_growth import compare_heaps

PATH = ("static com.example.Main.CACHE", "com.example.SessionCache.sessions", "HashMap.table")


def _heap(sessions: int) -> HeapContents:
    return summarise_types(
        HeapFileKind.JVM_DUMP,
        [
            HeapType("com.example.Session", sessions * 64, sessions, path=PATH),
            HeapType("java.util.HashMap$Node", sessions * 32, sessions),
            HeapType("byte[]", 10**6 + sessions * 300, 1000 + 2 * sessions),
        ],
    )


def some_growth() -> WhatGrew:
    """A hundred thousand sessions in ten minutes, which are most of what leaks."""
    growth = compare_heaps(_heap(50_000), _heap(150_000), 600)
    files = (Path("/captures/first"), Path("/captures/second"))
    return judge_growth(growth, (), 300 * 1024 * 1024.0, files)
