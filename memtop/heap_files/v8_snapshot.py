"""Heap snapshots of V8 (``.heapsnapshot`` of Node.js and Chrome): bytes and objects by constructor.

The file is one JSON object of numbers: for each node its type, the place of its name among the strings, its
size and how many edges it has; for each edge its type, its name and the node it leads to. It is read piece by
piece into columns, never as a whole. Of the strings, which hold what the program knows, only those are
decoded that name a constructor, a function or a field that is shown.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from memtop.heap_files.heap_contents import (
    HeapContents,
    HeapFileError,
    HeapFileKind,
    HeapType,
    summarise_types,
)
from memtop.heap_files.object_graph import ObjectGraph
from memtop.kube.lenient_decoding import JSON_ERRORS

PIECE = 1 << 20
MOST_NODES = 12_000_000
MOST_EDGES = 40_000_000
"""Nodes and edges that are kept: 21 bytes a node and 9 an edge, so 600 MiB at most; a heap of 1 GiB."""
GRAPH_SECONDS = 20.0
"""Seconds for retained sizes and paths; where they are over, the rest of the types goes without."""
TYPES_WITH_PATH = 8
_KEPT_NODE_FIELDS = ("type", "name", "self_size", "edge_count")
_STRING = re.compile(rb'[,\s]*"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
LONGEST_STRING = 16 << 20
"""Bytes of a string; V8 cuts them off at 1,024 characters."""
_NAMED = frozenset({"object", "native", "closure"})
_WITH_PATH = _NAMED | {"array", "string"}
"""Types whose holder is looked for: a leak may be arrays of numbers, or strings, and no object of a class."""
_LUMPED = {
    **{"string": "(string)", "concatenated string": "(string)", "sliced string": "(string)"},
    **{"array": "(array)", "hidden": "(system)", "code": "(compiled code)", "number": "(number)"},
    **{"symbol": "(symbol)", "bigint": "(bigint)", "object shape": "(object shape)", "regexp": "RegExp"},
}
_KNOWN_CONSTRUCTORS = {"Timeout": "Timeout (timer)", "Immediate": "Immediate (timer)"}
_DETACHED = 2
_MOST_HEAD = 1 << 20


class _SnapshotMeta(msgspec.Struct):
    node_fields: list[str]
    node_types: list[Any]
    edge_fields: list[str]
    edge_types: list[Any]


class _SnapshotHead(msgspec.Struct):
    meta: _SnapshotMeta
    node_count: int
    edge_count: int


@dataclass(slots=True)
class _Columns:
    """The nodes and edges, in columns."""

    types: npt.NDArray[np.uint8]
    names: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.uint64]
    edge_counts: npt.NDArray[np.uint32]
    detached: npt.NDArray[np.uint8]
    edge_types: npt.NDArray[np.uint8]
    edge_names: npt.NDArray[np.uint32]
    targets: npt.NDArray[np.uint32]


def read_v8_snapshot(file: BinaryIO, *, paths: bool = True) -> HeapContents:
    """Reads a heap snapshot.

    Args:
        file: The snapshot.
        paths: Whether to find out what keeps the largest types, and what they retain.

    Raises:
        HeapFileError: It is no snapshot, or cut short, or damaged.
    """
    text = _JsonText(file)
    head = _head(text)
    nodes = _node_columns(head, text)
    edges = _edge_columns(head, text, len(nodes[0]))
    columns = _Columns(*nodes, *edges)
    if int(columns.edge_counts.sum(dtype=np.int64)) != len(columns.targets):
        raise HeapFileError("it is damaged: its nodes have another number of edges than it holds")
    kinds, groups = _group(columns, head)
    found = _sizes(columns, kinds, len(groups))
    notes: list[str] = []
    about = _Paths(columns, head, kinds, groups)
    if paths:
        largest = sorted(range(len(groups)), key=lambda one: -found[one][0])
        notes += about.find([one for one in largest if groups[one][0] in _WITH_PATH][:TYPES_WITH_PATH])
    wanted = {name for kind, name, _ in groups if kind in _NAMED} | about.names()
    strings = _strings(text, wanted)
    types = (
        HeapType(
            _constructor(kind, strings.get(name, ""), detached=detached),
            size,
            count,
            about.retained.get(number),
            about.path(number, strings),
        )
        for number, ((kind, name, detached), (size, count)) in enumerate(zip(groups, found, strict=True))
    )
    return summarise_types(HeapFileKind.NODE_SNAPSHOT, types, notes)


def _constructor(kind: str, name: str, *, detached: bool) -> str:
    if kind == "closure":
        return f"function {name}" if name else "function (anonymous)"
    shown = (
        _KNOWN_CONSTRUCTORS.get(name, name or "(unnamed)")
        if kind in _NAMED
        else _LUMPED.get(kind, f"({kind})")
    )
    return f"Detached {shown}" if detached and not shown.startswith("Detached") else shown


# -- the text


class _JsonText:
    """The text of the file, of which a piece at a time is here."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.buffer = b""

    def more(self) -> None:
        """Adds another piece."""
        data = self._file.read(PIECE)
        if not data:
            raise HeapFileError("it is cut short: the JSON ends in the middle")
        self.buffer += data

    def key(self) -> str:
        """Moves behind the next ``"key":[``; empty at the end of the object."""
        while True:
            found = re.match(rb'[\s,]*"([a-z_]{1,64})"\s*:\s*\[', self.buffer)
            if found is not None:
                self.buffer = self.buffer[found.end() :]
                return found[1].decode()
            if re.match(rb"\s*\}", self.buffer):
                return ""
            if len(self.buffer) > PIECE:
                raise HeapFileError("it is no heap snapshot of V8: something else stands where a list should")
            self.more()

    def numbers(self) -> Iterator[npt.NDArray[np.int64]]:
        """The numbers of a list, in pieces, to its end."""
        while True:
            end = self.buffer.find(b"]")
            cut = end if end >= 0 else self.buffer.rfind(b",")
            if cut > 0:
                piece = self.buffer[:cut]
                try:
                    found = msgspec.json.decode(b"[" + piece.strip(b", \r\n\t") + b"]", type=list[int])
                    yield np.array(found, np.int64)
                except JSON_ERRORS:
                    raise HeapFileError("it is damaged: a list of numbers holds something else") from None
            if end >= 0:
                self.buffer = self.buffer[end + 1 :]
                return
            self.buffer = self.buffer[max(0, cut) :].lstrip(b",") if cut >= 0 else self.buffer
            if cut < 0 and len(self.buffer) > PIECE:
                raise HeapFileError("it is damaged: a number is longer than a megabyte")
            self.more()

    def skip(self) -> None:
        """Moves behind a list that is not wanted; lists may be in it, strings not."""
        depth = 1
        while True:
            for found in re.finditer(rb"[\[\]]", self.buffer):
                depth += 1 if found[0] == b"[" else -1
                if not depth:
                    self.buffer = self.buffer[found.end() :]
                    return
            self.buffer = b""
            self.more()


def _head(text: _JsonText) -> _SnapshotHead:
    while (at := text.buffer.find(b'"nodes"')) < 0:
        if len(text.buffer) > _MOST_HEAD:
            raise HeapFileError("it is no heap snapshot of V8: it says nothing of nodes")
        text.more()
    said = text.buffer[:at].strip().removesuffix(b",") + b"}"
    text.buffer = text.buffer[at:]
    try:
        head = msgspec.json.decode(said, type=dict[str, _SnapshotHead])["snapshot"]
    except (*JSON_ERRORS, KeyError):
        raise HeapFileError("it is no heap snapshot of V8 that memtop knows: its head is another") from None
    missing = [name for name in _KEPT_NODE_FIELDS if name not in head.meta.node_fields]
    missing += [name for name in ("type", "name_or_index", "to_node") if name not in head.meta.edge_fields]
    if (
        missing
        or not isinstance(head.meta.node_types[0], list)
        or not isinstance(head.meta.edge_types[0], list)
    ):
        raise HeapFileError(f"it is a heap snapshot without the fields {', '.join(missing) or 'of types'}")
    if not (0 < head.node_count <= MOST_NODES and 0 <= head.edge_count <= MOST_EDGES):
        raise HeapFileError(
            f"it has {head.node_count:,} nodes and {head.edge_count:,} edges; memtop reads up to "
            f"{MOST_NODES:,} and {MOST_EDGES:,}"
        )
    return head


def _table(
    text: _JsonText, key: str, width: int, count: int, take: Callable[[int, npt.NDArray[np.int64]], None]
) -> None:
    """Reads the list of a key as rows of a width; ``take`` gets the number of the first row, and the rows."""
    while (found := text.key()) != key:
        if not found:
            raise HeapFileError(f"it is a heap snapshot without {key}")
        text.skip()
    rest = np.zeros(0, np.int64)
    row = 0
    for piece in text.numbers():
        if len(piece) and (piece.min() < 0 or piece.max() >= 1 << 48):
            raise HeapFileError("it is damaged: a number is out of range")
        both = np.concatenate((rest, piece))
        whole = len(both) // width
        rest = both[whole * width :]
        if row + whole > count:
            raise HeapFileError(f"it is damaged: it has more {key} than it says")
        take(row, both[: whole * width].reshape(whole, width))
        row += whole
    if row != count or len(rest):
        raise HeapFileError(f"it is damaged: it says {count:,} {key} and has {row:,}")


def _node_columns(
    head: _SnapshotHead, text: _JsonText
) -> tuple[
    npt.NDArray[np.uint8],
    npt.NDArray[np.uint32],
    npt.NDArray[np.uint64],
    npt.NDArray[np.uint32],
    npt.NDArray[np.uint8],
]:
    count, fields = head.node_count, head.meta.node_fields
    types, detached = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
    names, edges = np.zeros(count, np.uint32), np.zeros(count, np.uint32)
    sizes = np.zeros(count, np.uint64)
    place = {name: fields.index(name) for name in _KEPT_NODE_FIELDS}
    detachedness = fields.index("detachedness") if "detachedness" in fields else -1

    def take(row: int, rows: npt.NDArray[np.int64]) -> None:
        here = slice(row, row + len(rows))
        types[here], names[here] = rows[:, place["type"]], rows[:, place["name"]]
        sizes[here], edges[here] = rows[:, place["self_size"]], rows[:, place["edge_count"]]
        if detachedness >= 0:
            detached[here] = rows[:, detachedness] == _DETACHED

    _table(text, "nodes", len(fields), count, take)
    return types, names, sizes, edges, detached


def _edge_columns(
    head: _SnapshotHead, text: _JsonText, nodes: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    fields, width = head.meta.edge_fields, len(head.meta.node_fields)
    kinds = np.zeros(head.edge_count, np.uint8)
    names, targets = np.zeros(head.edge_count, np.uint32), np.zeros(head.edge_count, np.uint32)
    kind, name, node = fields.index("type"), fields.index("name_or_index"), fields.index("to_node")

    def take(row: int, rows: npt.NDArray[np.int64]) -> None:
        here = slice(row, row + len(rows))
        kinds[here], names[here] = rows[:, kind], rows[:, name]
        if len(rows) and rows[:, node].max() >= nodes * width:
            raise HeapFileError("it is damaged: an edge leads to a node that is not there")
        targets[here] = rows[:, node] // width

    _table(text, "edges", len(fields), head.edge_count, take)
    return kinds, names, targets


def _strings(text: _JsonText, wanted: Collection[int]) -> dict[int, str]:
    """The strings with these numbers; no other is decoded."""
    while (found := text.key()) != "strings":
        if not found:
            raise HeapFileError("it is a heap snapshot without strings")
        text.skip()
    strings: dict[int, str] = {}
    number = 0
    while True:
        text.buffer = text.buffer.lstrip(b", \r\n\t")
        if text.buffer.startswith(b"]"):
            return strings
        at = 0
        while (piece := _STRING.match(text.buffer, at)) is not None:
            if number in wanted:
                strings[number] = _decoded(piece[1])
            number += 1
            at = piece.end(1) + 1
        if not at and len(text.buffer) > LONGEST_STRING:
            raise HeapFileError("it is damaged: a string does not end")
        text.buffer = text.buffer[at:].lstrip(b", \r\n\t")
        if not text.buffer.startswith(b"]"):
            text.more()


def _decoded(quoted: bytes) -> str:
    """A name from its JSON."""
    try:
        return msgspec.json.decode(b'"' + quoted + b'"', type=str)
    except JSON_ERRORS:
        return quoted.decode("utf-8", "replace")


# -- what it means


def _group(
    columns: _Columns, head: _SnapshotHead
) -> tuple[npt.NDArray[np.int32], list[tuple[str, int, bool]]]:
    """The group of each node, and what each group is: type, name (0 where it does not tell), detached."""
    type_names: Sequence[str] = head.meta.node_types[0]
    named = np.array([name in _NAMED for name in type_names] + [False] * (256 - len(type_names)))
    keys = np.where(named[columns.types], columns.names.astype(np.int64), 0)
    keys = (keys << 9) | (columns.types.astype(np.int64) << 1) | columns.detached
    found, where = np.unique(keys, return_inverse=True)
    groups = [
        (
            type_names[kind] if (kind := key >> 1 & 0xFF) < len(type_names) else "unknown",
            key >> 9,
            bool(key & 1),
        )
        for key in found.tolist()
    ]
    return where.astype(np.int32), groups


def _sizes(columns: _Columns, kinds: npt.NDArray[np.int32], count: int) -> list[tuple[int, int]]:
    """Bytes and nodes of each group."""
    sizes = np.bincount(kinds, columns.sizes.astype(np.float64), count).astype(np.int64).tolist()
    return list(zip(sizes, np.bincount(kinds, minlength=count).tolist(), strict=True))


class _Paths:
    """What keeps the nodes of some groups, and what they retain."""

    def __init__(
        self,
        columns: _Columns,
        head: _SnapshotHead,
        kinds: npt.NDArray[np.int32],
        groups: Sequence[tuple[str, int, bool]],
    ) -> None:
        self._columns = columns
        self._edge_types: Sequence[str] = head.meta.edge_types[0]
        self._groups = groups
        weak = [number for number, name in enumerate(self._edge_types) if name in ("weak", "shortcut")]
        strong = ~np.isin(columns.edge_types, weak)
        self._strong = np.flatnonzero(strong)
        kept = np.concatenate(([0], np.cumsum(strong)))
        bounds = np.concatenate(([0], np.cumsum(columns.edge_counts, dtype=np.int64)))
        first = kept[bounds]
        self._graph = ObjectGraph(
            first, columns.targets[self._strong], kinds, columns.sizes, np.zeros(1, np.int64)
        )
        self.retained: dict[int, int] = {}
        self._steps: dict[int, list[tuple[int, int]]] = {}

    def find(self, groups: Sequence[int]) -> list[str]:
        """Looks for the paths to some groups; returns what to know of it."""
        self._graph.deadline = time.monotonic() + GRAPH_SECONDS
        try:
            for group in groups:
                self._steps[group] = self._graph.path_to(group)
                self.retained[group] = self._graph.retained_bytes(group)
        except TimeoutError:
            return [f"What keeps the objects was looked for during {GRAPH_SECONDS:.0f} s only."]
        return []

    def names(self) -> set[int]:
        """The numbers of the strings that the paths need."""
        wanted = set()
        for steps in self._steps.values():
            for node, place in steps:
                wanted.add(int(self._columns.names[node]))
                kind, name = self._edge(node, place)
                if kind in ("context", "property", "internal"):
                    wanted.add(name)
        return wanted

    def path(self, group: int, strings: dict[int, str]) -> tuple[str, ...]:
        """The path to a group in words, from below the roots of V8 on."""
        said: list[str] = []
        for node, place in self._steps.get(group, [])[:-1]:
            kind, name = self._edge(node, place)
            number = int(self._graph.kinds[node])
            type_, _, detached = self._groups[number]
            if type_ == "synthetic":
                said.clear()  # the roots of V8 have names that tell nothing
            if type_ not in _NAMED:
                continue  # the table behind a Map, say
            owner = strings.get(int(self._columns.names[node]), "")
            owner = _constructor(type_, owner, detached=detached)
            edge = f"[{name}]" if kind in ("element", "hidden") else f".{strings.get(name, '?')}"
            if edge == "._events":
                edge = "._events (listeners)"
            said.append(f"{owner}{'' if kind == 'hidden' else edge}")
        return tuple(said)

    def _edge(self, node: int, place: int) -> tuple[str, int]:
        first = self._graph.first
        if place < 0 or first[node] + place >= first[node + 1]:
            return "", 0
        edge = self._strong[first[node] + place]
        kind = int(self._columns.edge_types[edge])
        return (self._edge_types[kind] if kind < len(self._edge_types) else ""), int(
            self._columns.edge_names[edge]
        )
