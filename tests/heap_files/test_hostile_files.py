"""Files that are cut short, damaged or made to hurt end in one sentence."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtop.heap_files.heap_contents import HeapContents, HeapFileError
from memtop.heap_files.heap_reader import read_heap
from memtop.heap_files.pprof import read_profile
from tests.heap_files.conftest import HISTOGRAM, SAMPLES, HprofWriter, sessions_dump, v8_snapshot

WHOLE = {
    "hprof": sessions_dump(20),
    "v8": v8_snapshot(20),
    "pprof": gzip.decompress((SAMPLES / "go-heap.pb.gz").read_bytes()),
    "histogram": HISTOGRAM.format(pid=1, nodes=5, node_bytes=160, total=9, total_bytes=900).encode(),
    "compressed hprof": gzip.compress(sessions_dump(20), mtime=0),
    "object counts": b"memtop object counts\n9600 20 app.Session\tapp.CACHE\n560 7 builtins.dict\t\nend\n",
    "memray": json.dumps(
        {
            "total_num_allocations": 7,
            "total_bytes_allocated": 700,
            "top_allocations_by_size": [{"location": "keep:app.py:3", "size": 700}],
            "top_allocations_by_count": [{"location": "keep:app.py:3", "count": 7}],
        }
    ).encode(),
    "tracemalloc": b"#1: app.py:3: size=700 KiB, count=7, average=100 B\napp.py:9: size=1 B, count=1\n",
    "memory map": (
        b"7f0000000000-7f0004000000 rw-p 00000000 00:00 0 \nSize: 65536 kB\nRss: 900 kB\n"
        b"7f0004000000-7f0004001000 r--p 00000000 00:00 7 /lib/x.so\nSize: 4 kB\nRss: 4 kB\n"
    ),
}
WITHOUT_END = ("pprof", "tracemalloc", "memory map")
"""Kinds that are a row of fields or lines: a shorter row is one too."""
MOST_BYTES = 48 * 1024 * 1024
"""What a damaged file of some KiB may take: the largest block that a reader works with, and no length that
such a file claims."""
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(content: bytes) -> HeapContents | str:
    try:
        return read_heap(io.BytesIO(content))
    except HeapFileError as error:
        said = str(error)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("kind", WHOLE)
@FEW
@given(part=st.floats(0.0, 0.999))
def test_what_is_cut_short_is_never_taken_for_a_whole_file(kind, part):
    content = WHOLE[kind]
    cut = content[: int(len(content) * part)]
    found = outcome(cut)
    if isinstance(
        found, HeapContents
    ):  # a profile is a row of fields without an end, a table ends in a number
        assert kind in WITHOUT_END or (kind in ("histogram", "object counts") and len(content) - len(cut) < 4)


@pytest.mark.parametrize("kind", WHOLE)
@FEW
@given(places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_bytes_end_in_a_summary_or_in_one_sentence(kind, places):
    content = bytearray(WHOLE[kind])
    for part, value in places:
        content[int(len(content) * part)] = value
    tracemalloc.start()
    try:
        outcome(bytes(content))
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@FEW
@given(
    content=st.binary(max_size=400),
    head=st.sampled_from(
        [
            *(b"", b"JAVA PROFILE 1.0.2\0\0\0\0\x08", b'{"snapshot":', b"\n\x04", b"\x1f\x8b\x08"),
            *(b"memtop object counts\n", b"7f00-7f01 rw-p 0 00:00 0\n", b"a.py:1: size=", b'{"total_num_all'),
        ]
    ),
)
def test_anything_at_all_ends_in_a_summary_or_in_one_sentence(content, head):
    outcome(head + content)


def test_a_dump_that_promises_gigabytes_is_cut_short():
    made = HprofWriter()
    made.heap += b"\x23" + made.id(1) + struct.pack(">II", 0, 0x7FFF_FFFF) + b"\x0b" + bytes(100)
    assert "no object" in outcome(made.content())
    body = made.record(0x1C, b"")[:5] + struct.pack(">I", 0xFFFF_FFF0)
    assert "cut short" in outcome(made.head + body + b"\x21" * 1000)


def test_classes_that_are_their_own_ancestors_end():
    made = HprofWriter()
    kind = made.add_class("Own", parent=0x10000, references=("next",))
    made.root(made.instance(kind, [kind]))
    assert isinstance(outcome(made.content()), HeapContents)


def test_a_snapshot_that_promises_more_than_memory_holds_is_refused():
    head = {
        "meta": {
            "node_fields": ["type", "name", "self_size", "edge_count"],
            "node_types": [["object"]],
            "edge_fields": ["type", "name_or_index", "to_node"],
            "edge_types": [["context"]],
        }
    }
    said = {"snapshot": {**head, "node_count": 10**12, "edge_count": 1}, "nodes": []}
    assert "1,000,000,000,000 nodes" in outcome(json.dumps(said).encode())


def test_a_snapshot_with_edges_into_nowhere_is_damaged():
    said = json.loads(v8_snapshot(3))
    said["edges"][2] = 7 * 10**6
    assert "a node that is not there" in outcome(json.dumps(said).encode())


def test_a_profile_inside_endless_compression_is_refused():
    bomb = gzip.compress(b"\n\x04\x08\x01\x10\x02" + b"\x32\x00" * (40 << 20), 1)
    assert "larger than such a file can sensibly be" in outcome(bomb)


def test_a_number_without_an_end_is_no_profile():
    with pytest.raises(HeapFileError, match="middle of a number"):
        read_profile(b"\x0a" + b"\xff" * 30)
