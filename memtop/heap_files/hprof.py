"""JVM heap dumps (``.hprof``): bytes and objects by class, read as a stream in bounded memory.

The format is that of the JDK (``heapDumper.cpp``; "HPROF Agent" of the JDK documentation): records with a
length, and in the records of the heap a chain of sub-records without one, each of which has to be understood
to find the next. A loop in Python over each would take minutes for a gigabyte. So the places in a block that
could begin an object are computed at once with numpy, together with where each would end; the loop that is
left only follows numbers from one to the next (see ``benchmarks/heap_files.py`` for what that gives).

A dump says how long an object's fields are with references of 8 bytes, also where the JVM itself keeps them
in 4. What an object really takes is told by the distance of arrays from the objects after them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from memtop.heap_files.heap_contents import (
    HeapContents,
    HeapFileError,
    HeapFileKind,
    HeapType,
    java_class_name,
    summarise_types,
)

HPROF_MAGIC = b"JAVA PROFILE 1.0."
BLOCK = 4 << 20
"""Bytes that are looked at together: 4 MiB need some 40 MiB of working memory."""
MOST_NAME_BYTES = 48 << 20
"""Bytes of names that are kept; a program of 30,000 classes has 12 MiB of them."""
MOST_CLASSES = 1_000_000
_MOST_VOTES = 50_000
_NAME, _LOAD_CLASS, _HEAP_DUMP, _SEGMENT, _END = 0x01, 0x02, 0x0C, 0x1C, 0x2C
CLASS_DUMP, INSTANCE, OBJECT_ARRAY, PRIMITIVE_ARRAY = 0x20, 0x21, 0x22, 0x23
_PRIMITIVE_WITHOUT_DATA, _HEAP_INFO = 0xC3, 0xFE
OBJECT_TYPE = 2
TYPE_SIZES: Final = {4: 1, 5: 2, 6: 4, 7: 8, 8: 1, 9: 2, 10: 4, 11: 8}
"""Bytes of a value by its type; references (2) take what the file says."""
PRIMITIVE_NAMES = {
    4: "boolean",
    5: "char",
    6: "float",
    7: "double",
    8: "byte",
    9: "short",
    10: "int",
    11: "long",
}
ROOT_EXTRA: Final = {
    **{0xFF: (1, 0), 0x01: (2, 0), 0x02: (1, 8), 0x03: (1, 8), 0x04: (1, 4), 0x05: (1, 0)},
    **{0x06: (1, 4), 0x07: (1, 0), 0x08: (1, 8)},
    # Android's
    **{0x89: (1, 0), 0x8A: (1, 0), 0x8B: (1, 0), 0x8C: (1, 0), 0x8D: (1, 0), 0x8E: (1, 8), 0x90: (1, 0)},
}
"""What follows the tag of a root: so many identifiers, and so many bytes."""
ROOT_WORDS: Final = {
    **{0xFF: "unknown root", 0x01: "JNI global", 0x02: "JNI local", 0x03: "stack of a thread"},
    **{0x04: "native stack", 0x05: "system class", 0x06: "thread block", 0x07: "monitor", 0x08: "thread"},
}
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class ObjectLayout:
    """How a JVM lays objects out, in bytes.

    Attributes:
        reference: Of a reference.
        header: Before an object's fields.
        array_header: Before an array's elements.
    """

    reference: int
    header: int
    array_header: int


LAYOUTS_64: Final = (ObjectLayout(4, 12, 16), ObjectLayout(8, 12, 16), ObjectLayout(8, 16, 24))
"""With compressed references; without; and without compressed class pointers either."""
LAYOUTS_32: Final = (ObjectLayout(4, 8, 12),)


@dataclass(slots=True)
class HprofClass:
    """A class of a dump.

    Attributes:
        parent: The identifier of its superclass; 0 for none.
        references: Fields of its own that are references, by the identifiers of their names, in their order.
        types: The types of all its own fields, in their order.
        value_bytes: Bytes of its own fields that are no references.
        static_bytes: Bytes of its static fields.
        statics: Its static references: name and target.
    """

    parent: int
    references: tuple[int, ...]
    types: bytes
    value_bytes: int
    static_bytes: int
    statics: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HprofObjects:
    """Some objects of a dump, in the order of the file.

    Attributes:
        block: The bytes that they are in.
        at: Where each begins in them.
        tags: `INSTANCE`, `OBJECT_ARRAY` or `PRIMITIVE_ARRAY`.
        lengths: Bytes of the fields of an instance, elements of an array.
    """

    block: Bytes
    at: Ints
    tags: Bytes
    lengths: Ints


ObjectsSeen = Callable[[HprofObjects], None]
RootSeen = Callable[[int, int], None]


@dataclass(slots=True)
class HprofReader:
    """Reads a dump once, from its first byte to its last.

    Args:
        file: The dump.
        objects: Told of the objects, block by block.
        root: Told of each root: its tag and the object.
        big: Told of each array that is larger than a block: tag, identifier, elements, class or type.
        part: Told then of what such an array of references holds, piece by piece.

    Attributes:
        id_bytes: Of an identifier.
        names: Strings by identifier.
        loaded: Of each class, the identifier of its name.
        classes: Of each class, what it looks like.
        layout: How the JVM laid its objects out; known only after a first reading.
    """

    file: BinaryIO
    objects: ObjectsSeen
    root: RootSeen = lambda _tag, _id: None
    big: Callable[[int, int, int, int], None] = lambda _tag, _id, _count, _of: None
    part: Callable[[Ids], None] = lambda _ids: None
    id_bytes: int = 8
    names: dict[int, bytes] = field(default_factory=dict)
    loaded: dict[int, int] = field(default_factory=dict)
    classes: dict[int, HprofClass] = field(default_factory=dict)
    layout: ObjectLayout = LAYOUTS_64[0]
    _name_bytes: int = 0
    _at: int = 0

    def read(self) -> None:
        """Reads it.

        Raises:
            HeapFileError: It is no dump, or cut short, or damaged.
        """
        self._head()
        heap, open_ended = False, False
        while record := self.file.read(9):
            self._at += len(record)
            if len(record) < 9:
                raise self._cut()
            tag, _, length = struct.unpack(">BII", record)
            if tag in (_HEAP_DUMP, _SEGMENT):
                heap, open_ended = True, tag == _SEGMENT
                self._segment(length)
            elif tag == _END:
                open_ended = False
                self._skip(length)
            elif tag == _NAME:
                self._name(length)
            elif tag == _LOAD_CLASS and length >= 8 + 2 * self.id_bytes:
                body = self._exactly(length)
                name = int.from_bytes(body[8 + self.id_bytes : 8 + 2 * self.id_bytes], "big")
                if len(self.loaded) < MOST_CLASSES:
                    self.loaded[int.from_bytes(body[4 : 4 + self.id_bytes], "big")] = name
            else:
                self._skip(length)
        if open_ended:
            raise HeapFileError(
                f"it is cut short: it ends after {self._at:,} bytes without the mark of its end"
            )
        if not heap:
            raise HeapFileError("it holds no heap: the dump ended before its first object")

    def class_name(self, identifier: int) -> str:
        """A class's name; its address where the dump does not say it."""
        name = self.names.get(self.loaded.get(identifier, 0))
        return java_class_name(name.decode("utf-8", "replace")) if name else f"class at 0x{identifier:x}"

    def lineage(self, identifier: int) -> Iterator[HprofClass]:
        """A class and those above it, its own first; a circle ends."""
        seen: set[int] = set()
        while identifier and identifier not in seen and (found := self.classes.get(identifier)) is not None:
            seen.add(identifier)
            yield found
            identifier = found.parent

    def instance_bytes(self, identifier: int, layout: ObjectLayout) -> int | None:
        """What an object of a class takes; None where the dump does not describe the class."""
        lineage = list(self.lineage(identifier))
        if not lineage:
            return None
        own = sum(one.value_bytes + len(one.references) * layout.reference for one in lineage)
        return aligned(layout.header + own)

    # -- bytes

    def _head(self) -> None:
        head = self._exactly(len(HPROF_MAGIC) + 2)
        while not head.endswith(b"\0"):
            head += self._exactly(1)
            if len(head) > 64:
                raise HeapFileError("it begins like a JVM heap dump and goes on like something else")
        self.id_bytes = struct.unpack(">I", self._exactly(4))[0]
        if self.id_bytes not in (4, 8):
            raise HeapFileError(f"its identifiers are said to have {self.id_bytes} bytes; 4 and 8 are known")
        self._exactly(8)  # when it was made

    def _cut(self) -> HeapFileError:
        return HeapFileError(f"it is cut short: it ends after {self._at:,} bytes in the middle of a record")

    def _exactly(self, count: int) -> bytes:
        data = self.file.read(count)
        self._at += len(data)
        if len(data) < count:
            raise self._cut()
        return data

    def _skip(self, count: int) -> None:
        while count:
            count -= len(self._exactly(min(count, BLOCK)))

    def _name(self, length: int) -> None:
        if length < self.id_bytes or length > 1 << 16 or self._name_bytes > MOST_NAME_BYTES:
            self._skip(length)
            return
        body = self._exactly(length)
        self._name_bytes += length + 100  # what Python takes for it
        self.names[int.from_bytes(body[: self.id_bytes], "big")] = body[self.id_bytes :]

    # -- objects

    def _segment(self, length: int) -> None:
        """The sub-records of one record."""
        left, data = length, b""
        while left or data:
            more = self._exactly(min(BLOCK, left))
            left -= len(more)
            data = data + more if data else more
            used = self._block(data)
            if used == len(data):
                data = b""
            elif used:
                data = data[used:]
            if data and (not used or not left):
                left -= self._large(data, left)
                data = b""

    def _large(self, data: bytes, left: int) -> int:
        """Reads an array that begins here and ends later; returns how much more of the record that took."""
        width, tag = self.id_bytes, data[0]
        is_array = tag in (OBJECT_ARRAY, PRIMITIVE_ARRAY) and len(data) >= 9 + 2 * width
        count = int.from_bytes(data[5 + width : 9 + width], "big") if is_array else 0
        of_objects = tag == OBJECT_ARRAY
        head = 9 + width + (width if of_objects else 1)
        kind = int.from_bytes(data[9 + width : head], "big")
        each = width if of_objects else TYPE_SIZES.get(kind, 0)
        missing = head + count * each - len(data)
        if not is_array or not each or not 0 < missing <= left:
            raise HeapFileError(
                f"it is damaged: what stands about {self._at - len(data):,} bytes from its start is no object"
            )
        self.big(tag, int.from_bytes(data[1 : 1 + width], "big"), count, kind)
        rest, unread = data[head:], missing
        while unread:
            piece = self._exactly(min(BLOCK, unread))
            unread -= len(piece)
            if of_objects:
                rest += piece
                whole = len(rest) // width * width
                self.part(np.frombuffer(rest[:whole], f">u{width}").astype(np.uint64))
                rest = rest[whole:]
        return missing

    def _block(self, data: bytes) -> int:
        """Follows the sub-records as far as they are whole; returns how far that is."""
        block = np.frombuffer(data, np.uint8)
        at, ends, lengths = self._candidates(block)
        index = np.full(len(data) + 1, -1, np.int32)
        index[at] = np.arange(len(at), dtype=np.int32)
        following = index[ends]
        runs = _runs(following)
        chosen: list[tuple[int, int]] = []
        place = 0
        while place < len(data):
            here = int(index[place])
            if here >= 0:
                last = _follow(following, runs, here, chosen)
                place = int(ends[last])
            elif size := self._other(data, place):
                place += size
            else:
                break
        if chosen:
            spans = np.array(chosen, np.int64)
            counts = spans[:, 1] - spans[:, 0] + 1
            shift = np.cumsum(counts) - counts
            picked = np.arange(int(counts.sum())) + np.repeat(spans[:, 0] - shift, counts)
            there = at[picked]
            self.objects(HprofObjects(block, there, block[there], lengths[picked]))
        return place

    def _candidates(self, block: Bytes) -> tuple[Ints, Ints, Ints]:
        """Where an object could begin, where it would end, its length: all that would fit in the block."""
        width = self.id_bytes
        instance_head, array_head = 9 + 2 * width, 9 + 2 * width
        room = len(block) - instance_head
        at = np.flatnonzero((block[: max(0, room + 1)] - INSTANCE) < 3)
        tags = block[at]
        words = np.ndarray((max(0, len(block) - 3),), ">u4", block, strides=(1,)) if len(block) > 3 else block
        is_instance = tags == INSTANCE
        lengths = words[at + np.where(is_instance, 5 + 2 * width, 5 + width)].astype(np.int64)
        kinds = block[at + 9 + width]
        sizes = _PRIMITIVE_SIZES[kinds]
        is_primitive = tags == PRIMITIVE_ARRAY
        heads = np.where(is_primitive, 10 + width, array_head)
        factor = np.where(is_instance, 1, np.where(is_primitive, sizes, width))
        ends = at + heads + lengths * factor
        fits = (ends <= len(block)) & (factor > 0)
        return at[fits], ends[fits], lengths[fits]

    def _other(self, data: bytes, place: int) -> int:
        """The size of a sub-record that is no object, or one at the very end; 0 if it is not all here."""
        tag, width = data[place], self.id_bytes
        if (extra := ROOT_EXTRA.get(tag)) is not None:
            size = 1 + extra[0] * width + extra[1]
            if place + size > len(data):
                return 0
            self.root(tag, int.from_bytes(data[place + 1 : place + 1 + width], "big"))
            return size
        if tag == CLASS_DUMP:
            return self._class_dump(data, place)
        if tag == _HEAP_INFO:
            return 5 + width if place + 5 + width <= len(data) else 0
        if tag == _PRIMITIVE_WITHOUT_DATA:
            return 10 + width if place + 10 + width <= len(data) else 0
        if tag == PRIMITIVE_ARRAY and len(data) - place >= 10 + width:
            count = int.from_bytes(data[place + 5 + width : place + 9 + width], "big")
            size = 10 + width + count * TYPE_SIZES.get(data[place + 9 + width], 0)
            if place + size <= len(data) and data[place + 9 + width] in TYPE_SIZES:
                block = np.frombuffer(data, np.uint8)
                there = np.array([place])
                self.objects(HprofObjects(block, there, block[there], np.array([count])))
                return size
        return 0

    def _class_dump(self, data: bytes, place: int) -> int:
        """Keeps what a class looks like; returns the size of its description, 0 if it is not all here."""
        width = self.id_bytes

        def number(start: int, size: int) -> int:
            if start + size > len(data):
                raise IndexError
            return int.from_bytes(data[start : start + size], "big")

        try:
            identifier, parent = number(place + 1, width), number(place + 5 + width, width)
            at = place + 1 + width + 4 + 6 * width + 4
            for _ in range(number(at, 2)):  # constants
                at += 3 + self._value_bytes(data[at + 4])
            at += 2
            count, statics, static_bytes = number(at, 2), [], 0
            at += 2
            for _ in range(count):
                name, kind = number(at, width), data[at + width]
                size = self._value_bytes(kind)
                if kind == OBJECT_TYPE and (target := number(at + width + 1, width)):
                    statics.append((name, target))
                at += width + 1 + size
                static_bytes += size
            count = number(at, 2)
            at += 2
            number(at, count * (width + 1))
        except IndexError:
            return 0
        kinds = data[at + width : at + count * (width + 1) : width + 1]
        names = [
            int.from_bytes(data[start : start + width], "big")
            for start in range(at, at + count * (width + 1), width + 1)
        ]
        if len(self.classes) < MOST_CLASSES:
            self.classes[identifier] = HprofClass(
                parent,
                tuple(name for name, kind in zip(names, kinds, strict=True) if kind == OBJECT_TYPE),
                kinds,
                sum(TYPE_SIZES.get(kind, 0) for kind in kinds if kind != OBJECT_TYPE),
                static_bytes,
                tuple(statics),
            )
        return at + count * (width + 1) - place

    def _value_bytes(self, kind: int) -> int:
        if kind == OBJECT_TYPE:
            return self.id_bytes
        if kind not in TYPE_SIZES:
            raise HeapFileError(f"it is damaged: a class has a field of an unknown type ({kind})")
        return TYPE_SIZES[kind]


def _runs(following: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """For each candidate the last one of those in a row of which each leads to the next."""
    ends = np.flatnonzero(following != np.arange(1, len(following) + 1)).astype(np.int32)
    return np.repeat(ends, np.diff(ends, prepend=-1))


def _follow(
    following: npt.NDArray[np.int32], runs: npt.NDArray[np.int32], here: int, chosen: list[tuple[int, int]]
) -> int:
    """Follows the chain of objects from one candidate on, a run at a time; returns the last.

    Most candidates are objects, so that most runs are long; where they are not, as in texts full of the bytes
    that objects begin with, a memory view is quicker to ask than an array.
    """
    ask_next: Sequence[int] = memoryview(following.data)
    ask_run: Sequence[int] = memoryview(runs.data)
    last = here
    while here >= 0:
        last = ask_run[here]
        chosen.append((here, last))
        here = ask_next[last]
    return last


_PRIMITIVE_SIZES = np.zeros(256, np.int64)
for _kind, _size in TYPE_SIZES.items():
    _PRIMITIVE_SIZES[_kind] = _size


def aligned(size: int) -> int:
    """Bytes up to the next multiple of 8, which objects begin at."""
    return (size + 7) & ~7


def identifiers_at(block: Bytes, at: Ints, width: int) -> Ids:
    """The identifiers that stand at some places of a block."""
    if len(block) < width:
        return np.zeros(0, np.uint64)
    view = np.ndarray((len(block) - width + 1,), f">u{width}", block, strides=(1,))
    return view[at].astype(np.uint64)


class HprofCounts:
    """Counts the objects of a dump by class, with the bytes that they take in each layout that may be."""

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self.instances: dict[int, int] = {}
        self.arrays: dict[int, list[int]] = {}
        self.primitives: dict[int, list[int]] = {}
        self._votes = [0, 0, 0]

    @property
    def layouts(self) -> tuple[ObjectLayout, ...]:
        """The layouts that may be."""
        return LAYOUTS_64 if self._width() == 8 else LAYOUTS_32

    def best_layout(self) -> int:
        """Which of the layouts explains where objects lie; compressed references where nothing tells."""
        return int(np.argmax(self._votes[: len(self.layouts)]))

    def big(self, tag: int, _identifier: int, count: int, kind: int) -> None:
        """Counts an array that is larger than a block."""
        each = TYPE_SIZES.get(kind, 0) if tag == PRIMITIVE_ARRAY else 0
        into = self.primitives if tag == PRIMITIVE_ARRAY else self.arrays
        _add(
            into,
            kind,
            1,
            [aligned(one.array_header + count * (each or one.reference)) for one in self.layouts],
        )

    def take(self, seen: HprofObjects) -> None:
        """Counts some objects."""
        width = self._width()
        instances = seen.tags == INSTANCE
        found, counts = np.unique(
            identifiers_at(seen.block, seen.at[instances] + 5 + width, width), return_counts=True
        )
        for kind, count in zip(found.tolist(), counts.tolist(), strict=True):
            self.instances[kind] = self.instances.get(kind, 0) + count
        arrays = seen.tags == OBJECT_ARRAY
        kinds = identifiers_at(seen.block, seen.at[arrays] + 9 + width, width)
        self._take_arrays(self.arrays, kinds, seen.lengths[arrays], None)
        primitive = seen.tags == PRIMITIVE_ARRAY
        types = seen.block[seen.at[primitive] + 9 + width]
        self._take_arrays(self.primitives, types, seen.lengths[primitive], _PRIMITIVE_SIZES[types])
        if width == 8 and sum(self._votes) < _MOST_VOTES:
            self._vote(seen, arrays)

    def _take_arrays(
        self, into: dict[int, list[int]], kinds: npt.NDArray[np.generic], lengths: Ints, each: Ints | None
    ) -> None:
        if not len(kinds):
            return
        found, where = np.unique(kinds, return_inverse=True)
        counts = np.bincount(where, minlength=len(found)).tolist()
        sums = []
        for layout in self.layouts:
            size = lengths * (layout.reference if each is None else each)
            sums.append(np.bincount(where, (size + layout.array_header + 7) & ~7, len(found)).tolist())
        for kind, count, *sizes in zip(found.tolist(), counts, *sums, strict=True):
            _add(into, int(kind), count, [int(size) for size in sizes])

    def _vote(self, seen: HprofObjects, arrays: npt.NDArray[np.bool_]) -> None:
        """Which layout explains the distance of an array of references from what comes after it."""
        these = np.flatnonzero(arrays[:-1] & (seen.lengths[:-1] >= 4))[:1000]
        start = identifiers_at(seen.block, seen.at[these] + 1, 8)
        after = identifiers_at(seen.block, seen.at[these + 1] + 1, 8)
        distance = (after - start).astype(np.int64)
        for number, layout in enumerate(LAYOUTS_64):
            size = (seen.lengths[these] * layout.reference + layout.array_header + 7) & ~7
            self._votes[number] += int((size == distance).sum())


def _add(into: dict[int, list[int]], kind: int, count: int, sizes: list[int]) -> None:
    into[kind] = [
        had + more for had, more in zip(into.get(kind, [0] * (len(sizes) + 1)), [count, *sizes], strict=True)
    ]


def read_hprof(file: BinaryIO) -> tuple[HeapContents, HprofReader]:
    """Reads a heap dump; also gives the reader, which knows the classes.

    Raises:
        HeapFileError: It is no dump, or cut short, or damaged.
    """
    counts = HprofCounts(lambda: reader.id_bytes)
    reader = HprofReader(file, counts.take, big=counts.big)
    reader.read()
    return summarise_types(HeapFileKind.JVM_DUMP, _types_of(reader, counts)), reader


def _types_of(reader: HprofReader, counts: HprofCounts) -> Iterator[HeapType]:
    chosen = counts.best_layout()
    layout = reader.layout = counts.layouts[chosen]
    for kind, count in counts.instances.items():
        each = reader.instance_bytes(kind, layout)
        yield HeapType(reader.class_name(kind), None if each is None else each * count, count)
    for kind, (count, *sizes) in counts.arrays.items():
        yield HeapType(reader.class_name(kind), sizes[chosen], count)
    for kind, (count, *sizes) in counts.primitives.items():
        yield HeapType(f"{PRIMITIVE_NAMES.get(kind, 'unknown')}[]", sizes[chosen], count)
    yield from _class_objects(reader, layout)


def _class_objects(reader: HprofReader, layout: ObjectLayout) -> Iterator[HeapType]:
    """The objects that stand for classes: a dump describes them and does not list them."""
    own = next((one for one in reader.loaded if reader.class_name(one) == "java.lang.Class"), 0)
    each = reader.instance_bytes(own, layout)
    if reader.classes and each is not None:
        statics = sum(aligned(each + one.static_bytes) for one in reader.classes.values())
        yield HeapType("java.lang.Class", statics, len(reader.classes))
