"""What is in the heaps of simulated containers: the same base always, and what leaks by its curve beside it.

A histogram, a snapshot and a profile are of what is left after a collection, so the saw-tooth of garbage is
in none of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from memtop.demo.container_filesystem import ContainerFiles

_BASE_CLASSES = (
    ("[B (java.base@17.0.15)", 0.30, 96),
    ("java.lang.String (java.base@17.0.15)", 0.12, 24),
    ("java.util.concurrent.ConcurrentHashMap$Node (java.base@17.0.15)", 0.08, 32),
    ("java.lang.Class (java.base@17.0.15)", 0.05, 104),
    ("[Ljava.lang.Object; (java.base@17.0.15)", 0.05, 56),
    ("io.netty.buffer.PoolSubpage", 0.03, 72),
    ("org.hibernate.engine.spi.EntityEntry", 0.02, 64),
)
"""Classes of a service without its leak: name, share of the heap's base, bytes each."""
_SESSION_PARTS = (
    ("[B (java.base@17.0.15)", 312, 2),
    ("java.util.HashMap$Node (java.base@17.0.15)", 32, 1),
    ("com.example.users.SessionCache$Session", 40, 1),
    ("java.lang.String (java.base@17.0.15)", 24, 2),
)
"""What one session that is never forgotten takes: class, bytes each, how many."""
SESSION_BYTES = sum(size * count for _, size, count in _SESSION_PARTS)
_GO_BASE = (("net/http.newBufioWriterSize", 4 * 1024, 60), ("encoding/json.Unmarshal", 512, 400))
_GO_LEAK = ("main.(*Tailer).keepOffset", 128)
_MOST_NODES = 20_000


def leaked_bytes(files: ContainerFiles) -> int:
    """Bytes that have leaked since the run began."""
    curve = files.run.curve
    return max(0, int(curve.leak * files.running_seconds()))


def class_histogram(files: ContainerFiles) -> str:
    """Return what ``jcmd 1 GC.class_histogram`` prints, the leaked sessions among it."""
    base = files.run.curve.base * 0.6
    rows: dict[str, list[int]] = {}
    for name, part, each in _BASE_CLASSES:
        count = int(base * part) // each
        rows[name] = [count, count * each]
    sessions = leaked_bytes(files) // SESSION_BYTES
    for name, each, count in _SESSION_PARTS if sessions else ():
        row = rows.setdefault(name, [0, 0])
        row[0] += sessions * count
        row[1] += sessions * count * each
    ordered = sorted(rows.items(), key=lambda item: -item[1][1])
    lines = [
        f"{number:4}: {count:13} {size:14}  {name}" for number, (name, (count, size)) in enumerate(ordered, 1)
    ]
    total = f"Total {sum(row[0] for row in rows.values()):12} {sum(row[1] for row in rows.values()):14}"
    head = " num     #instances         #bytes  class name (module)\n" + "-" * 55
    return "\n".join(("1:", head, *lines, total, ""))


def v8_snapshot(files: ContainerFiles) -> bytes:
    """Return a heap snapshot of V8 in which a global Map keeps the leaked sessions.

    Of a large leak each node stands for several sessions, so that the file stays small.
    """
    leaked = leaked_bytes(files)
    count = min(_MOST_NODES, leaked // 256)
    each = leaked // count if count else 0
    types = ["hidden", "array", "string", "object", "code", "closure", "synthetic"]
    strings = ["", "(GC roots)", "sessions", "Map", "table", "Session", "IncomingMessage"]
    nodes: list[int] = []
    edges: list[int] = []

    def node(kind: str, name: str, size: int, references: Sequence[tuple[int, int, int]]) -> None:
        nodes.extend((types.index(kind), strings.index(name), len(nodes) + 1, size, len(references), 0, 0))
        for edge in references:
            edges.extend((edge[0], edge[1], edge[2] * 7))

    node("synthetic", "(GC roots)", 0, [(2, 2, 1), (1, 1, 3)])
    node("object", "Map", 32, [(2, 4, 2)])
    node("array", "", 16 + 8 * count, [(1, place, 4 + place) for place in range(count)])
    node("code", "", int(files.run.curve.base * 0.3), [])
    for _ in range(count):
        node("object", "Session", each, [])
    meta = {
        "node_fields": ["type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness"],
        "node_types": [types, "string", "number", "number", "number", "number", "number"],
        "edge_fields": ["type", "name_or_index", "to_node"],
        "edge_types": [["context", "element", "property", "weak"], "string_or_number", "node"],
    }
    head = {"meta": meta, "node_count": len(nodes) // 7, "edge_count": len(edges) // 3}
    return json.dumps({"snapshot": head, "nodes": nodes, "edges": edges, "strings": strings}).encode()


def go_profile(files: ContainerFiles) -> bytes:
    """Return a heap profile of Go, without its compression."""
    leaked = leaked_bytes(files)
    rows = [(name, size * count, count) for name, size, count in _GO_BASE]
    if leaked:
        rows.append((_GO_LEAK[0], leaked, leaked // _GO_LEAK[1]))
    strings = ["", "inuse_objects", "count", "inuse_space", "bytes", "main.go"]
    made = _field(1, _field(1, 1) + _field(2, 2)) + _field(1, _field(1, 3) + _field(2, 4))
    for number, (name, size, count) in enumerate(rows, 1):
        strings.append(name)
        made += _field(2, _field(1, number) + _field(2, count) + _field(2, size))
        made += _field(4, _field(1, number) + _field(4, _field(1, number) + _field(2, 40 + number)))
        made += _field(5, _field(1, number) + _field(2, len(strings) - 1) + _field(4, 5))
    return made + b"".join(_field(6, text.encode()) for text in strings)


def _field(number: int, value: int | bytes) -> bytes:
    """Encode a field of a protobuf message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
