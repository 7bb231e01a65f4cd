"""Heap files made by hand: small, and with figures that are known because they were put in."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent / "samples"
TAG_NAME, TAG_CLASS, TAG_SEGMENT, TAG_END = 0x01, 0x02, 0x1C, 0x2C


class HprofWriter:
    """Writes a heap dump as the JDK does, with identifiers of a given width."""

    def __init__(self, width: int = 8) -> None:
        self.width = width
        self.head = b"JAVA PROFILE 1.0.2\0" + struct.pack(">IQ", width, 0)
        self.heap = bytearray()
        self._names: dict[str, int] = {}
        self.reference = 4 if width == 8 else width
        self._next = 0x10000

    def id(self, number: int) -> bytes:
        return number.to_bytes(self.width, "big")

    def record(self, tag: int, body: bytes) -> bytes:
        return struct.pack(">BII", tag, 0, len(body)) + body

    def name(self, text: str) -> int:
        if text not in self._names:
            self._names[text] = 100 + len(self._names)
            self.head += self.record(TAG_NAME, self.id(self._names[text]) + text.encode())
        return self._names[text]

    def new_address(self, size: int) -> int:
        address = self._next
        self._next += (size + 7) // 8 * 8
        return address

    def add_class(self, name, parent=0, references=(), ints=(), statics=()):
        """``statics``: pairs of a name and the object it holds."""
        number = self.new_address(8)
        body = struct.pack(">I", 1) + self.id(number) + struct.pack(">I", 0) + self.id(self.name(name))
        self.head += self.record(TAG_CLASS, body)
        size = self.width * len(references) + 4 * len(ints)
        self.heap += b"\x20" + self.id(number) + struct.pack(">I", 0) + self.id(parent)
        self.heap += self.id(0) * 5 + struct.pack(">IH", size, 0)
        self.heap += struct.pack(">H", len(statics))
        for field, target in statics:
            self.heap += self.id(self.name(field)) + b"\x02" + self.id(target)
        self.heap += struct.pack(">H", len(references) + len(ints))
        for field in references:
            self.heap += self.id(self.name(field)) + b"\x02"
        for field in ints:
            self.heap += self.id(self.name(field)) + b"\x0a"
        return number

    def instance(self, kind: int, references=(), ints=(), size=24) -> int:
        number = self.new_address(size)
        data = b"".join(self.id(one) for one in references) + b"".join(struct.pack(">i", one) for one in ints)
        self.heap += b"\x21" + self.id(number) + struct.pack(">I", 0) + self.id(kind)
        self.heap += struct.pack(">I", len(data)) + data
        return number

    def objects(self, kind: int, targets) -> int:
        number = self.new_address(16 + self.reference * len(targets))
        self.heap += b"\x22" + self.id(number) + struct.pack(">II", 0, len(targets)) + self.id(kind)
        self.heap += b"".join(self.id(one) for one in targets)
        return number

    def bytes(self, content: bytes) -> int:
        number = self.new_address(16 + len(content))
        self.heap += b"\x23" + self.id(number) + struct.pack(">II", 0, len(content)) + b"\x08" + content
        return number

    def root(self, number: int) -> None:
        self.heap += b"\xff" + self.id(number)

    def content(self) -> bytes:
        return self.head + self.record(TAG_SEGMENT, bytes(self.heap)) + self.record(TAG_END, b"")


@pytest.fixture
def hprof():
    return HprofWriter


def sessions_dump(count: int, width: int = 8) -> bytes:
    """A static cache that holds an array of sessions, each with the bytes of its own."""
    made = HprofWriter(width)
    session = made.add_class("com/shop/Session", references=("data",), ints=("age",))
    array = made.add_class("[Lcom/shop/Session;")
    kept = [made.instance(session, [made.bytes(b"!" * 33)], [7]) for _ in range(count)]
    table = made.objects(array, kept)
    cache = made.add_class("com/shop/SessionCache", references=("table",))
    made.add_class("com/shop/Main", statics=[("CACHE", made.instance(cache, [table], size=16))])
    return made.content()


def v8_snapshot(sessions: int) -> bytes:
    """A heap of V8 with a Map, in a global variable, that keeps some sessions."""
    types = ["hidden", "array", "string", "object", "code", "closure", "synthetic", "native"]
    strings = ["", "(root)", "cache", "Map", "table", "Session", "user", "secret value", "Timeout"]
    nodes: list[list[int]] = []
    edges: list[list[int]] = []

    def node(kind: str, name: str, size: int, refs, detached: int = 0) -> None:
        nodes.append(
            [types.index(kind), strings.index(name), 2 * len(nodes) + 1, size, len(refs), 0, detached]
        )
        edges.extend(refs)

    element, named = 1, 2
    node("synthetic", "(root)", 0, [[named, strings.index("cache"), 1], [element, 1, 3 + 2 * sessions]])
    node("object", "Map", 32, [[named, strings.index("table"), 2]])
    node("array", "", 16 + 8 * sessions, [[element, at, 3 + 2 * at] for at in range(sessions)])
    for at in range(sessions):
        node("object", "Session", 40, [[named, strings.index("user"), 4 + 2 * at]])
        node("string", "secret value", 24, [])
    node("object", "Timeout", 88, [[named, strings.index("user"), 4 + 2 * sessions]])
    node("native", "Map", 120, [], detached=2)
    meta = {
        "node_fields": ["type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness"],
        "node_types": [types, "string", "number", "number", "number", "number", "number"],
        "edge_fields": ["type", "name_or_index", "to_node"],
        "edge_types": [["context", "element", "property", "weak"], "string_or_number", "node"],
    }
    head = {"meta": meta, "node_count": len(nodes), "edge_count": len(edges), "trace_function_count": 0}
    said = {
        "snapshot": head,
        "nodes": [number for one in nodes for number in one],
        "edges": [number for kind, name, to in edges for number in (kind, name, to * 7)],
        "trace_function_infos": [],
        "trace_tree": [1, [2, []]],
        "samples": [],
        "locations": [0, 1, 2, 3],
        "strings": strings,
    }
    return json.dumps(said).encode()


@pytest.fixture
def dump():
    return sessions_dump


@pytest.fixture
def snapshot():
    return v8_snapshot


HISTOGRAM = """\
{pid}:
 num     #instances         #bytes  class name (module)
-------------------------------------------------------
   1:       {nodes:7}       {node_bytes:8}  java.util.HashMap$Node (java.base@17.0.15)
   2:            1000          120000  [B (java.base@17.0.15)
   3:              10             160  [Lcom.shop.Session;
Total       {total:7}       {total_bytes:8}
"""


@pytest.fixture
def histogram():
    def make(nodes: int) -> bytes:
        filled = HISTOGRAM.format(
            pid=1, nodes=nodes, node_bytes=32 * nodes, total=nodes + 1010, total_bytes=32 * nodes + 120160
        )
        return filled.encode()

    return make
