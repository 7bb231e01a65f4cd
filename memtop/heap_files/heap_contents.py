"""What a heap file says: bytes and objects by type. Only types, sizes and field names; never a value."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from memtop.sanitize import sanitize

MOST_TYPES = 20_000
"""Types that are kept, the largest first: the rest is one line. A JVM of 30,000 classes has 4,000 in use."""
LONGEST_NAME = 300
OTHERS = "(all other types)"


class HeapFileError(Exception):
    """A file that is no heap file, or not a whole one; one sentence, which does not name the file."""


class HeapFileKind(StrEnum):
    """What a heap file is."""

    JVM_DUMP = "JVM heap dump"
    CLASS_HISTOGRAM = "JVM class histogram"
    NODE_SNAPSHOT = "V8 heap snapshot"
    GO_HEAP = "Go heap profile"
    GO_GOROUTINES = "Go goroutine profile"
    MEMRAY = "memray statistics"
    TRACEMALLOC = "tracemalloc statistics"
    PYTHON_OBJECTS = "Python object counts"
    MEMORY_MAP = "memory map"


TYPE_WORDS = {
    HeapFileKind.GO_HEAP: "line",
    HeapFileKind.GO_GOROUTINES: "line",
    HeapFileKind.MEMRAY: "line",
    HeapFileKind.TRACEMALLOC: "line",
    HeapFileKind.MEMORY_MAP: "mapping",
    HeapFileKind.NODE_SNAPSHOT: "constructor",
}
"""What a type is called where it is not one: a profile goes by lines of the source."""
OBJECT_WORDS = {
    HeapFileKind.GO_GOROUTINES: "goroutines",
    HeapFileKind.MEMRAY: "allocations",
    HeapFileKind.TRACEMALLOC: "blocks",
    HeapFileKind.MEMORY_MAP: "mappings",
}
"""What the things are that are counted, where they are not objects."""


class HeapType(msgspec.Struct, frozen=True):
    """What one type takes.

    Attributes:
        name: The class, the constructor, or the function and line that allocated.
        bytes: What its objects take by themselves; None where that is not known.
        objects: How many there are; None where that is not known.
        retained: Bytes that would be free without them, where that was computed.
        path: What keeps the largest part of them, from a root on: ``SessionCache.sessions``; may be empty.
    """

    name: str
    bytes: int | None
    objects: int | None
    retained: int | None = None
    path: tuple[str, ...] = ()


class HeapContents(msgspec.Struct, frozen=True):
    """What a heap held at one moment.

    Attributes:
        kind: What the file is.
        total_bytes: Of all its objects; None where the file does not say.
        total_objects: How many there are; None where the file does not say.
        types: The largest first.
        notes: What else to know, a sentence each.
    """

    kind: HeapFileKind
    total_bytes: int | None
    total_objects: int | None
    types: tuple[HeapType, ...]
    notes: tuple[str, ...] = ()

    @property
    def type_word(self) -> str:
        """What a row is: ``class``, ``line`` …."""
        return TYPE_WORDS.get(self.kind, "type")

    @property
    def object_word(self) -> str:
        """What is counted: ``objects``, ``goroutines`` …."""
        return OBJECT_WORDS.get(self.kind, "objects")


def summarise_types(
    kind: HeapFileKind,
    types: Iterable[HeapType],
    notes: Iterable[str] = (),
    *,
    total_bytes: int | None = None,
    total_objects: int | None = None,
) -> HeapContents:
    """A summary of types in any order; equal names are one, and what is too many is summed up.

    Args:
        kind: What the file is.
        types: Its types; their names are made safe for a screen.
        notes: What else to know.
        total_bytes: What the file says of the whole; by default the sum.
        total_objects: Likewise.
    """
    found: dict[str, HeapType] = {}
    for one in types:
        name = shown_name(one.name)
        other = found.get(name)
        found[name] = (
            HeapType(name, one.bytes, one.objects, one.retained, one.path)
            if other is None
            else HeapType(
                name,
                add_known(one.bytes, other.bytes),
                add_known(one.objects, other.objects),
                add_known(one.retained, other.retained),
                one.path or other.path,
            )
        )
    ordered = sorted(found.values(), key=lambda one: (-(one.bytes or 0), -(one.objects or 0), one.name))
    if total_bytes is None and any(one.bytes is not None for one in ordered):
        total_bytes = sum(one.bytes or 0 for one in ordered)
    if total_objects is None and any(one.objects is not None for one in ordered):
        total_objects = sum(one.objects or 0 for one in ordered)
    rest = ordered[MOST_TYPES:]
    if rest:
        others = HeapType(OTHERS, sum(one.bytes or 0 for one in rest), sum(one.objects or 0 for one in rest))
        ordered = [*ordered[:MOST_TYPES], others]
    return HeapContents(kind, total_bytes, total_objects, tuple(ordered), tuple(notes))


def add_known(one: int | None, other: int | None) -> int | None:
    """The sum of what is known; None where nothing is."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


def shown_name(name: str) -> str:
    """A type's name, from somebody else's file, for a screen."""
    clean = sanitize(name[: 2 * LONGEST_NAME])
    return clean if len(clean) <= LONGEST_NAME else f"{clean[: LONGEST_NAME - 1]}…"


_PRIMITIVES = {
    "Z": "boolean",
    "C": "char",
    "F": "float",
    "D": "double",
    "B": "byte",
    "S": "short",
    "I": "int",
    "J": "long",
}


def java_class_name(name: str) -> str:
    """A class as a Java programmer writes it: ``byte[]`` for ``[B``, ``a.B[]`` for ``[La/B;``."""
    depth = len(name) - len(name.lstrip("["))
    base = name[depth:].replace("/", ".")
    if depth:
        base = base[1:-1] if base.startswith("L") and base.endswith(";") else _PRIMITIVES.get(base, base)
    return base + "[]" * depth
