"""What keeps the objects of a JVM heap dump: a second reading of it, into a graph of numbers.

The first reading is bounded whatever the dump; a graph is not, so there is a most of objects and references
that it may have. Beyond that the dump is summed up without paths, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from memtop.heap_files.heap_contents import HeapContents
from memtop.heap_files.hprof import (
    INSTANCE,
    OBJECT_ARRAY,
    OBJECT_TYPE,
    PRIMITIVE_ARRAY,
    PRIMITIVE_NAMES,
    ROOT_WORDS,
    TYPE_SIZES,
    HprofObjects,
    HprofReader,
    identifiers_at,
)
from memtop.heap_files.object_graph import ROOT, ObjectGraph

MOST_GRAPH_OBJECTS = 3_200_000
"""Objects of a graph, so that 300 MiB are kept: 2.8 million took 262 MiB, Python and its libraries among them
(`benchmarks/heap_files.py`)."""
MOST_REFERENCES = 12_000_000
"""References of a graph, null ones too: 8 bytes each while it is built."""
PATH_SECONDS = 30.0
TYPES_WITH_PATH = 6


class _TooLargeError(Exception):
    """The graph would take too much memory."""


class _GraphBuilder:
    """Takes the objects of a dump and their references, while it is read a second time."""

    def __init__(self, known: HprofReader) -> None:
        self._known = known
        self._width = known.id_bytes
        self._fields = {one: self._reference_places(one) for one in known.classes}
        types = np.arange(max(TYPE_SIZES) + 1, dtype=np.uint64)
        self.kind_ids = np.unique(
            np.concatenate((types, np.array([*known.classes, *known.loaded], np.uint64)))
        )
        """The identifier of each kind, sorted: a class, or the type of a primitive array."""
        each = [known.instance_bytes(one, known.layout) or 0 for one in self.kind_ids.tolist()]
        self._instance_bytes = np.array(each, np.int64)
        self._type_bytes = np.array([TYPE_SIZES.get(one, 0) for one in range(256)], np.int64)
        self.ids: list[npt.NDArray[np.uint64]] = []
        self.kinds: list[npt.NDArray[np.int32]] = []
        self.sizes: list[npt.NDArray[np.uint32]] = []
        self.counts: list[npt.NDArray[np.int32]] = []
        self.targets: list[npt.NDArray[np.uint64]] = []
        self.roots: dict[int, int] = {}
        self._objects = 0
        self._references = 0

    def _reference_places(self, identifier: int) -> npt.NDArray[np.int64]:
        """Where in an object's fields its references stand: its own class's first, then the superclass's."""
        places, at = [], 0
        for one in self._known.lineage(identifier):
            for kind in one.types:
                if kind == OBJECT_TYPE:
                    places.append(at)
                at += self._width if kind == OBJECT_TYPE else TYPE_SIZES.get(kind, 0)
        return np.array(places, np.int64)

    def reference_name(self, identifier: int, place: int) -> str:
        """The name of a class's reference, by its place among them."""
        names = [name for one in self._known.lineage(identifier) for name in one.references]
        name = self._known.names.get(names[place]) if place < len(names) else None
        return "?" if name is None else name.decode("utf-8", "replace")

    def root(self, tag: int, identifier: int) -> None:
        """Notes a root."""
        if len(self.roots) < MOST_GRAPH_OBJECTS:
            self.roots.setdefault(identifier, tag)

    def big(self, tag: int, identifier: int, count: int, kind: int) -> None:
        """Notes an array that is larger than a block; `part` gets what it holds."""
        references = count if tag == OBJECT_ARRAY else 0
        size = count * (TYPE_SIZES.get(kind, 0) if tag == PRIMITIVE_ARRAY else self._known.layout.reference)
        self._add(
            np.array([identifier], np.uint64),
            np.array([kind], np.uint64),
            np.array([size], np.int64),
            np.array([references], np.int32),
            np.zeros(0, np.uint64),
        )

    def part(self, targets: npt.NDArray[np.uint64]) -> None:
        """Notes some of the references of the array that was told of last."""
        self.targets.append(targets)
        self._references += len(targets)
        self._check()

    def take(self, seen: HprofObjects) -> None:
        """Notes some objects.

        Raises:
            _TooLargeError: It would take too much memory.
        """
        width, block = self._width, seen.block
        counts = np.zeros(len(seen.at), np.int32)
        kinds = np.zeros(len(seen.at), np.uint64)
        sizes = np.zeros(len(seen.at), np.int64)
        owners: list[npt.NDArray[np.int64]] = []
        targets: list[npt.NDArray[np.uint64]] = []
        instances = np.flatnonzero(seen.tags == INSTANCE)
        kinds[instances] = identifiers_at(block, seen.at[instances] + 5 + width, width)
        found, where = np.unique(kinds[instances], return_inverse=True)
        order = np.argsort(where, kind="stable")
        bounds = np.concatenate(([0], np.cumsum(np.bincount(where, minlength=len(found)))))
        for number, identifier in enumerate(found.tolist()):
            places = self._fields.get(identifier)
            if places is None or not len(places):
                continue
            these = instances[order[bounds[number] : bounds[number + 1]]]
            these = these[seen.lengths[these] >= places[-1] + width]
            starts = seen.at[these] + 9 + 2 * width
            targets.append(identifiers_at(block, (starts[:, None] + places).ravel(), width))
            owners.append(np.repeat(these, len(places)))
            counts[these] = len(places)
        arrays = np.flatnonzero(seen.tags == OBJECT_ARRAY)
        kinds[arrays] = identifiers_at(block, seen.at[arrays] + 9 + width, width)
        lengths = seen.lengths[arrays]
        counts[arrays] = lengths
        ends = np.cumsum(lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
        starts = np.repeat(seen.at[arrays] + 9 + 2 * width, lengths) + within * width
        targets.append(identifiers_at(block, starts, width))
        owners.append(np.repeat(arrays, lengths))
        sizes[arrays] = lengths * self._known.layout.reference
        primitive = np.flatnonzero(seen.tags == PRIMITIVE_ARRAY)
        kinds[primitive] = block[seen.at[primitive] + 9 + width]
        sizes[primitive] = seen.lengths[primitive] * self._type_bytes[kinds[primitive].astype(np.int64)]
        by_owner = np.argsort(np.concatenate(owners), kind="stable")
        self._add(
            identifiers_at(block, seen.at + 1, width), kinds, sizes, counts, np.concatenate(targets)[by_owner]
        )

    def _add(
        self,
        ids: npt.NDArray[np.uint64],
        kinds: npt.NDArray[np.uint64],
        contents: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int32],
        targets: npt.NDArray[np.uint64],
    ) -> None:
        numbers = np.minimum(np.searchsorted(self.kind_ids, kinds), len(self.kind_ids) - 1).astype(np.int32)
        own = self._instance_bytes[numbers]
        header = self._known.layout.array_header
        self.ids.append(ids)
        self.kinds.append(numbers)
        sizes = np.where((own > 0) & (contents == 0), own, (contents + header + 7) & ~7)
        self.sizes.append(np.minimum(sizes, 0xFFFF_FFFF).astype(np.uint32))
        self.counts.append(counts)
        self.targets.append(targets)
        self._objects += len(ids)
        self._references += len(targets)
        self._check()

    def _check(self) -> None:
        if self._objects > MOST_GRAPH_OBJECTS or self._references > MOST_REFERENCES:
            raise _TooLargeError

    def graph(self) -> tuple[ObjectGraph, int]:
        """The graph, and how many objects there are; after them come the classes, which are roots."""
        classes = self._known.classes
        count = sum(len(one) for one in self.ids)
        self.ids.append(np.array(list(classes), np.uint64))
        self.counts.append(np.array([len(one.statics) for one in classes.values()], np.int32))
        self.targets += [
            np.array([target for _, target in one.statics], np.uint64) for one in classes.values()
        ]
        numbers = np.searchsorted(self.kind_ids, np.array(list(classes), np.uint64)).astype(np.int32)
        self.kinds.append(numbers + len(self.kind_ids))
        self.sizes.append(np.zeros(len(classes), np.uint32))
        ids = _joined(self.ids)
        order = np.argsort(ids, kind="stable").astype(np.int32)
        ids = ids[order]
        self.targets.reverse()  # each is let go as soon as it is done with
        targets = _joined([_places(ids, order, self.targets.pop()) for _ in range(len(self.targets))])
        there = targets >= 0
        owners_first = _begins(_joined(self.counts))
        kept = _begins(there)
        rooted = _places(ids, order, np.array(list(self.roots), np.uint64))
        roots = np.concatenate((np.arange(count, len(ids)), rooted[rooted >= 0])).astype(np.int64)
        # Null references stay out of the search and in the order, by which a field is found again.
        self.order_of = np.flatnonzero(there).astype(np.int32)
        self.first_of = owners_first
        graph = ObjectGraph(
            kept[owners_first],
            targets[there],
            _joined(self.kinds),
            _joined(self.sizes),
            roots,
        )
        self.root_tags = dict(zip(rooted.tolist(), self.roots.values(), strict=True))
        return graph, count


def _begins(counts: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Where each of some stretches begins, and the end of the last; 32 bits hold `MOST_REFERENCES`."""
    begins = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, dtype=np.int32, out=begins[1:])
    return begins


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """One array of several, which are let go."""
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    parts.clear()
    return whole


def _places(
    ids: npt.NDArray[np.uint64], order: npt.NDArray[np.int32], wanted: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int32]:
    """The numbers of the objects with some identifiers; -1 where there is none, as for null."""
    if not len(ids) or not len(wanted):
        return np.full(len(wanted), -1, np.int32)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, order[at], -1).astype(np.int32)


def add_paths(file: BinaryIO, summary: HeapContents, known: HprofReader) -> HeapContents:
    """Adds what keeps the largest types of a dump, and what they retain.

    Args:
        file: The dump, which is read again.
        summary: What the first reading found.
        known: The reader of the first reading.

    Raises:
        HeapFileError: It has changed since, or is damaged.
    """
    if (summary.total_objects or 0) > MOST_GRAPH_OBJECTS:
        return _noted(summary, _too_many(summary))
    builder = _GraphBuilder(known)
    file.seek(0)
    try:
        HprofReader(file, builder.take, builder.root, builder.big, builder.part).read()
    except _TooLargeError:
        return _noted(summary, _too_many(summary))
    graph, objects = builder.graph()
    graph.deadline = time.monotonic() + PATH_SECONDS
    wanted = {one.name for one in summary.types[:TYPES_WITH_PATH]}
    names = [_kind_name(known, identifier) for identifier in builder.kind_ids.tolist()]
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    try:
        for kind, name in enumerate(names):
            if name in wanted and (steps := graph.path_to(kind)):
                path = tuple(_words(graph, builder, known, names, objects, steps))
                found[name] = graph.retained_bytes(kind), path
    except TimeoutError:
        note = f"What keeps the objects was looked for during {PATH_SECONDS:.0f} s only."
        summary = _noted(summary, note)
    types = (
        msgspec.structs.replace(one, retained=found[one.name][0], path=found[one.name][1])
        if one.name in found
        else one
        for one in summary.types
    )
    return msgspec.structs.replace(summary, types=tuple(types))


def _too_many(summary: HeapContents) -> str:
    count = f"{summary.total_objects:,}"
    return (
        f"What keeps the objects is not looked for: {count} would take too much memory. Eclipse MAT does it."
    )


def _noted(summary: HeapContents, note: str) -> HeapContents:
    return msgspec.structs.replace(summary, notes=(*summary.notes, note))


def _kind_name(known: HprofReader, identifier: int) -> str:
    return (
        f"{PRIMITIVE_NAMES[identifier]}[]" if identifier in PRIMITIVE_NAMES else known.class_name(identifier)
    )


def _words(
    graph: ObjectGraph,
    builder: _GraphBuilder,
    known: HprofReader,
    names: Sequence[str],
    objects: int,
    steps: Sequence[tuple[int, int]],
) -> Iterator[str]:
    """A path in words: ``SessionCache.sessions``, ``HashMap.table`` …."""
    for node, place in steps[:-1]:
        edge = builder.order_of[graph.first[node] + place] - builder.first_of[node]
        kind = int(graph.kinds[node])
        if node >= objects:
            identifier = int(builder.kind_ids[kind - len(builder.kind_ids)])
            statics = known.classes[identifier].statics
            name = known.names.get(statics[edge][0], b"?").decode("utf-8", "replace")
            yield f"static {_short(known.class_name(identifier))}.{name}"
            continue
        if (tag := builder.root_tags.get(node)) is not None and graph.parents[node] == ROOT:
            yield f"({ROOT_WORDS.get(tag, 'root')})"
        if not names[kind].endswith("[]"):  # the array behind a list or a map says nothing
            yield f"{_short(names[kind])}.{builder.reference_name(int(builder.kind_ids[kind]), int(edge))}"


def _short(name: str) -> str:
    """A class without the packages of the JDK, which say nothing in a path."""
    return name.rpartition(".")[2] if name.startswith(("java.", "javax.", "jdk.", "sun.")) else name
