"""Text that runtimes print of their heap: class histogram, tracemalloc, object counts, memray, memory map.

Each is a table that a program prints, so each reader is one expression for a line and what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from memtop.heap_files.heap_contents import (
    HeapContents,
    HeapFileError,
    HeapFileKind,
    HeapType,
    java_class_name,
    summarise_types,
)
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.quantity import parse_whole

PYTHON_COUNTS_MARK = "memtop object counts"
"""The first words of the list that memtop has a Python program write: ``BYTES OBJECTS TYPE`` a line,
and after tabs what keeps one of them."""
HISTOGRAM_HEAD = re.compile(r"^\s*num\s+#instances\s+#bytes\s+class name", re.MULTILINE)
_HISTOGRAM_ROW = re.compile(r"^\s*\d+:\s+(\d{1,18})\s+(\d{1,18})\s+(\S.*?)(?:\s+\([\w.@+\-]+\))?\s*$")
_HISTOGRAM_TOTAL = re.compile(r"^\s*Total\s+(\d{1,18})\s+(\d{1,18})\s*$")
_TRACEMALLOC_ROW = re.compile(
    r"^(?:#\d+: )?(\S.*?:\d+): size=([\d.]{1,20}) (B|KiB|MiB|GiB|TiB)(?: \([^)]*\))?, count=(\d{1,18})\b"
)
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_COUNT_ROW = re.compile(r"^(\d{1,18}) (\d{1,18}) (\S[^\t]*)(?:\t(.*))?$")
_MAPPING = re.compile(r"^([0-9a-f]{4,16})-([0-9a-f]{4,16}) (\S{4}) [0-9a-f]+ \S+ (\d+) *(.*)$")
_ARENA_BYTES = 64 << 20
"""glibc gives each thread that has to wait for another's heap one of its own, of 64 MiB of addresses
(``HEAP_MAX_SIZE`` in its ``malloc/arena.c``), which begins at a multiple of them."""
ARENA = "malloc arenas of glibc (64 MiB each)"
HEAP = "[heap] of malloc"
ANONYMOUS = "anonymous memory"
STACKS = "stacks"


def read_class_histogram(text: str) -> HeapContents:
    """Reads what ``jcmd PID GC.class_histogram`` and ``jmap -histo`` print.

    Raises:
        HeapFileError: There is no whole table.
    """
    types, totals = [], None
    for line in text.splitlines():
        if (row := _HISTOGRAM_ROW.match(line)) is not None:
            types.append(HeapType(java_class_name(row[3]), int(row[2]), int(row[1])))
        elif (found := _HISTOGRAM_TOTAL.match(line)) is not None:
            totals = int(found[1]), int(found[2])
    if not types:
        raise HeapFileError("it is a class histogram without classes")
    if totals is None:
        raise HeapFileError(f"it is a class histogram that is cut short after {len(types)} classes")
    return summarise_types(
        HeapFileKind.CLASS_HISTOGRAM, types, total_objects=totals[0], total_bytes=totals[1]
    )


def looks_like_tracemalloc(text: str) -> bool:
    """Whether there are lines as ``tracemalloc`` prints its statistics."""
    return any(_TRACEMALLOC_ROW.match(line) for line in text[:20_000].splitlines())


def read_tracemalloc(text: str) -> HeapContents:
    """Reads the statistics that ``tracemalloc`` prints by line.

    Raises:
        HeapFileError: No line is one of them.
    """
    rows = (_TRACEMALLOC_ROW.match(line) for line in text.splitlines())
    types = [
        HeapType(row[1], round(_decimal(row[2]) * _UNITS[row[3]]), int(row[4]))
        for row in rows
        if row is not None
    ]
    if not types:
        raise HeapFileError("it has no line of tracemalloc's statistics")
    return summarise_types(HeapFileKind.TRACEMALLOC, types)


def _decimal(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise HeapFileError(f"{text!r} is no size") from None


def read_object_counts(text: str) -> HeapContents:
    """Reads the counts by type that memtop has a Python program write.

    Raises:
        HeapFileError: The list is empty or has no end.
    """
    lines = text.splitlines()
    rows = [row for line in lines if (row := _COUNT_ROW.match(line)) is not None]
    if not rows or lines[-1:] != ["end"]:
        raise HeapFileError("it is a list of Python's objects that is cut short")
    types = [
        HeapType(
            row[3],
            int(row[1]),
            int(row[2]),
            path=tuple(name for name in (row[4] or "").split("\t")[:8] if name),
        )
        for row in rows
    ]
    note = "Python counts what its collector knows: lists, dicts, instances; not each string and number."
    return summarise_types(HeapFileKind.PYTHON_OBJECTS, types, [note])


class _MemrayPlace(msgspec.Struct):
    location: str
    size: int = 0
    count: int = 0


class _MemrayStats(msgspec.Struct):
    total_num_allocations: int
    total_bytes_allocated: int
    top_allocations_by_size: list[_MemrayPlace]
    top_allocations_by_count: list[_MemrayPlace] = []
    metadata: dict[str, Any] = {}


def read_memray_stats(data: bytes) -> HeapContents:
    """Reads what ``memray stats --json`` writes.

    Raises:
        HeapFileError: It is something else.
    """
    try:
        said = msgspec.json.decode(data, type=_MemrayStats)
    except JSON_ERRORS:
        raise HeapFileError("it is no whole file of `memray stats --json`") from None
    counts = {one.location: one.count for one in said.top_allocations_by_count}
    types = [
        HeapType(one.location, one.size, counts.get(one.location)) for one in said.top_allocations_by_size
    ]
    notes = ["memray counts all that was allocated while it recorded, also what has been freed since."]
    return summarise_types(
        HeapFileKind.MEMRAY,
        types,
        notes,
        total_bytes=said.total_bytes_allocated,
        total_objects=said.total_num_allocations,
    )


def looks_like_memory_map(text: str) -> bool:
    """Whether it begins as ``/proc/PID/smaps`` does."""
    return _MAPPING.match(text.partition("\n")[0]) is not None


def read_memory_map(text: str) -> HeapContents:
    """Reads ``/proc/PID/smaps``: resident memory by mapping.

    Raises:
        HeapFileError: There is no mapping with its size.
    """
    found = list(_mappings(text.splitlines()))
    if not found:
        raise HeapFileError("it is a memory map without sizes (smaps has them, maps has not)")
    arenas = _arena_addresses(found)
    types = [
        HeapType(
            ARENA if start // _ARENA_BYTES * _ARENA_BYTES in arenas and not name else _mapping_name(name),
            rss,
            1,
        )
        for start, _, name, rss in found
        if rss
    ]
    merged = summarise_types(HeapFileKind.MEMORY_MAP, types)
    return msgspec.structs.replace(
        merged,
        types=tuple(
            msgspec.structs.replace(one, objects=len(arenas)) if one.name == ARENA else one
            for one in merged.types
        ),
    )


def _mappings(lines: Iterable[str]) -> Iterator[tuple[int, int, str, int]]:
    """Start, end, name and resident bytes of each mapping."""
    current: re.Match[str] | None = None
    for line in lines:
        if (found := _MAPPING.match(line)) is not None:
            current = found
        elif current is not None and line.startswith("Rss:"):
            words = line.split()
            if len(words) > 1 and (size := parse_whole(words[1])) is not None:
                yield int(current[1], 16), int(current[2], 16), current[5].strip(), size * 1024
            current = None


def _arena_addresses(found: Iterable[tuple[int, int, str, int]]) -> set[int]:
    """Where arenas begin: anonymous memory at a multiple of 64 MiB that fills them with what follows.

    Of an arena the first part may be used and the rest only reserved, which are two mappings side by side.
    """
    spans = sorted((start, end) for start, end, name, _ in found if not name)
    arenas: set[int] = set()
    ends = dict(spans)
    for start, end in spans:
        if start % _ARENA_BYTES:
            continue
        reach = end
        while reach < start + _ARENA_BYTES and reach in ends:
            reach = ends[reach]
        arenas |= (
            set(range(start, min(reach, start + (1 << 40)) - _ARENA_BYTES + 1, _ARENA_BYTES))
            if reach - start >= _ARENA_BYTES and end - start <= _ARENA_BYTES
            else set()
        )
    return arenas


def _mapping_name(name: str) -> str:
    if not name or name.startswith("[anon:"):
        return name if name else ANONYMOUS
    if name == "[heap]":
        return HEAP
    return STACKS if name.startswith("[stack") else name
