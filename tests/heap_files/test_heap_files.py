"""What heap files of each kind say, recognised by their content."""

from __future__ import annotations

import gzip
import io
import pickle

import pytest

from memtop.heap_files import hprof as hprof_module
from memtop.heap_files import hprof_paths, v8_snapshot
from memtop.heap_files.heap_contents import HeapFileError, HeapFileKind, java_class_name
from memtop.heap_files.heap_growth import compare_heaps, grower_sentence, whole_sentence
from memtop.heap_files.heap_reader import read_heap, read_heap_file
from memtop.heap_files.heap_tables import growth_text, summary_text
from memtop.heap_files.text_reports import ARENA
from tests.heap_files.conftest import SAMPLES


def read(content: bytes, *, paths=True):
    return read_heap(io.BytesIO(content), paths=paths)


def types_of(summary):
    return {one.name: (one.bytes, one.objects) for one in summary.types}


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("block", [1 << 22, 700])
def test_a_heap_dump_is_counted_by_class(dump, monkeypatch, width, block):
    monkeypatch.setattr(hprof_module, "BLOCK", block)  # objects lie across blocks, and arrays are larger
    found = read(dump(300, width))
    assert found.kind is HeapFileKind.JVM_DUMP
    # Header 12 (8 with identifiers of 4 bytes), a reference of 4, an int of 4; array header 16 (12).
    session = 24 if width == 8 else 16
    data = 56 if width == 8 else 48
    types = types_of(found)
    assert types["com.shop.Session"] == (300 * session, 300)
    assert types["byte[]"] == (300 * data, 300)
    assert types["com.shop.Session[]"][1] == 1
    assert found.total_objects == 602


def test_what_keeps_a_class_is_said_with_its_fields_and_what_it_retains(dump):
    found = {one.name: one for one in read(dump(300)).types}
    session = found["com.shop.Session"]
    assert session.path == ("static com.shop.Main.CACHE", "com.shop.SessionCache.table")
    assert found["byte[]"].path[-1] == "com.shop.Session.data"
    assert session.retained == 300 * (24 + 56)


def test_a_class_that_something_else_keeps_too_retains_only_itself(hprof):
    made = hprof()
    kind = made.add_class("Holder", references=("held",))
    shared = made.bytes(b"x" * 1000)
    made.root(made.instance(kind, [shared]))
    made.root(shared)
    [holder] = [one for one in read(made.content()).types if one.name == "Holder"]
    assert holder.retained == 16
    assert holder.path == ()


def test_a_list_of_a_hundred_thousand_nodes_is_one_step_of_a_path(hprof):
    made = hprof()
    node = made.add_class("Node", references=("next",))
    last = 0
    for _ in range(100_000):
        last = made.instance(node, [last], size=16)
    owner = made.add_class("Queue", references=("head",))
    made.root(made.instance(owner, [last]))
    [found] = [one for one in read(made.content()).types if one.name == "Node"]
    assert found.path == ("(unknown root)", "Queue.head")
    assert found.retained == 1_600_000


def test_a_dump_with_too_many_objects_is_summed_up_without_paths(dump, monkeypatch):
    monkeypatch.setattr(hprof_paths, "MOST_GRAPH_OBJECTS", 100)
    found = read(dump(300))
    assert types_of(found)["com.shop.Session"] == (7200, 300)
    assert not any(one.path for one in found.types)
    assert any("would take too much memory" in note for note in found.notes)


def test_a_compressed_dump_is_read_too(dump):
    assert types_of(read(gzip.compress(dump(5)))) == types_of(read(dump(5)))


def test_a_heap_without_compressed_references_is_told_by_where_its_objects_lie(hprof):
    made = hprof()
    made.reference = 8
    kind = made.add_class("[Ljava/lang/Object;")
    for _ in range(20):
        made.objects(kind, [0] * 10)
    assert types_of(read(made.content()))["java.lang.Object[]"] == (20 * 96, 20)


@pytest.mark.parametrize("piece", [1 << 20, 100])
def test_a_snapshot_of_v8_is_counted_by_constructor(snapshot, monkeypatch, piece):
    monkeypatch.setattr(v8_snapshot, "PIECE", piece)
    found = read(snapshot(50))
    types = {one.name: one for one in found.types}
    assert found.kind is HeapFileKind.NODE_SNAPSHOT
    assert (types["Session"].bytes, types["Session"].objects) == (2000, 50)
    assert types["(string)"].bytes == 1200
    assert types["Session"].path == ("Map.table",) or types["Session"].path[-1] == "Map.table"
    assert types["Session"].retained == 50 * 64
    assert "Timeout (timer)" in types
    assert "Detached Map" in types
    assert "secret value" not in str(found)


def test_a_go_profile_is_counted_by_line():
    found = read((SAMPLES / "go-heap.pb.gz").read_bytes())
    assert found.kind is HeapFileKind.GO_HEAP
    [leak] = [one for one in found.types if one.name.startswith("main.leak")]
    # go tool pprof -sample_index=inuse_space -unit=B
    assert leak.name == "main.leak main.go:5"
    assert (leak.bytes, found.total_bytes) == (4_895_860, 4_911_095)
    assert leak.path == ("runtime.main", "main.main")


def test_goroutines_are_counted_where_they_wait():
    found = read((SAMPLES / "go-goroutines.pb.gz").read_bytes())
    assert found.kind is HeapFileKind.GO_GOROUTINES
    assert (found.types[0].name, found.types[0].objects, found.types[0].bytes) == (
        "main.block main.go:6",
        20,
        None,
    )
    assert found.total_bytes is None


def test_a_class_histogram(histogram):
    found = read(histogram(5000))
    assert found.kind is HeapFileKind.CLASS_HISTOGRAM
    assert types_of(found)["java.util.HashMap$Node"] == (160_000, 5000)
    assert types_of(found)["byte[]"] == (120_000, 1000)
    assert types_of(found)["com.shop.Session[]"] == (160, 10)
    assert (found.total_bytes, found.total_objects) == (280_160, 6010)


def test_a_histogram_that_is_cut_short_is_none(histogram):
    with pytest.raises(HeapFileError, match="cut short after 3 classes"):
        read(histogram(5000).rpartition(b"Total")[0])


def test_memrays_statistics():
    said = b"""{"total_num_allocations": 7, "total_bytes_allocated": 900, "allocation_size_histogram": [],
      "top_allocations_by_size": [{"location": "load:/app/x.py:3", "size": 800}],
      "top_allocations_by_count": [{"location": "load:/app/x.py:3", "count": 5}], "metadata": {}}"""
    found = read(said)
    assert types_of(found) == {"load:/app/x.py:3": (800, 5)}
    assert found.total_bytes == 900


def test_tracemallocs_statistics_are_read_and_its_pickles_never():
    text = "/app/cache.py:12: size=416 KiB, count=3000, average=142 B\n"
    text += "#2: /app/x.py:7: size=5 B, count=1, average=5 B\n"
    assert types_of(read(text.encode())) == {"/app/cache.py:12": (425_984, 3000), "/app/x.py:7": (5, 1)}
    with pytest.raises(HeapFileError, match="it is a pickle"):
        read(pickle.dumps({"a": 1}))


def mapping(start, kib, name="", rss=None):
    head = f"{start:x}-{start + kib * 1024:x} rw-p 00000000 00:00 0 {name}".rstrip()
    return f"{head}\nSize: {kib} kB\nRss: {kib if rss is None else rss} kB\nPss: 1 kB\n"


def test_arenas_of_glibc_are_told_from_other_anonymous_memory():
    first = 0x7F00_0000_0000
    text = mapping(0x55_0000_0000, 400, "[heap]") + mapping(0x7E00_0000_1000, 70_000, rss=100)
    for number in range(3):
        start = first + number * 64 * 1024 * 1024
        text += mapping(start, 1000) + mapping(start + 1000 * 1024, 65536 - 1000, rss=0)
    found = types_of(read(text.encode()))
    assert found[ARENA] == (3000 * 1024, 3)
    assert found["anonymous memory"] == (100 * 1024, 1)
    assert found["[heap] of malloc"] == (400 * 1024, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"hello\n", "no heap file that memtop knows"),
        (b"{}", "it is JSON, but"),
        (b"\x7fELF\2\1", "gdb reads those"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "compression is damaged"),
        (b"memray\0", "memray stats --json"),
        (b"JAVA PROFILE 1.0.2\0\0\0\0\x07" + bytes(8), "7 bytes; 4 and 8 are known"),
        (b"JAVA PROFILE 1.0.2\0\0\0\0\x08" + bytes(8), "it holds no heap"),
    ],
)
def test_what_is_no_heap_file_is_said_to_be_none_in_one_sentence(content, words):
    with pytest.raises(HeapFileError, match=words) as raised:
        read(content)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(HeapFileError, match=r"gone\.hprof: No such file"):
        read_heap_file(tmp_path / "gone.hprof")
    with pytest.raises(HeapFileError, match="it is no file on a disk"):
        read_heap_file(tmp_path)


def test_a_name_from_a_file_carries_no_escape_to_the_terminal(hprof):
    made = hprof()
    made.root(made.instance(made.add_class("Evil\x1b[31mred"), []))
    assert "Evilred" in types_of(read(made.content()))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("[[I", "int[][]"), ("[Ljava/util/Map;", "java.util.Map[]"), ("a/B$C", "a.B$C"), ("[", "[]"), ("", "")],
)
def test_classes_are_named_as_java_does(name, shown):
    assert java_class_name(name) == shown


# -- what grew


def test_what_grew_is_told_with_its_part_of_the_floors_rise(histogram):
    growth = compare_heaps(read(histogram(5000)), read(histogram(105_000)), seconds=600)
    assert growth.types[0].name == "java.util.HashMap$Node"
    assert (growth.types[0].bytes, growth.types[0].objects) == (3_200_000, 100_000)
    rise = 3_200_000 * 6 / 0.8
    assert grower_sentence(growth, rise) == (
        "java.util.HashMap$Node +3.05 MiB (+100,000 objects), 80 % of the +22.9 MiB/h."
    )
    assert whole_sentence(growth, rise) == (
        "The heap grew by 3.05 MiB to 3.32 MiB in 10 m, +18.3 MiB/h: 80 % of the +22.9 MiB/h by which memory "
        "rises."
    )


def test_a_leak_that_is_not_in_the_heap_is_said_to_be_elsewhere(histogram):
    growth = compare_heaps(read(histogram(5000)), read(histogram(5000)), seconds=600)
    assert grower_sentence(growth, 1e8) == "Nothing grew."
    assert "so what leaks is not in it" in whole_sentence(growth, 1e8)


def test_the_suspect_is_what_a_person_can_look_for_not_what_it_is_made_of(dump):
    growth = compare_heaps(read(dump(100), paths=False), read(dump(9000)))
    assert growth.types[0].name == "byte[]"
    sentence = grower_sentence(growth)
    assert sentence.startswith(
        "com.shop.Session +209 KiB (+8,900 objects), each with 1 byte[]: +695 KiB in all, "
        "95 % of the growth; "
    )
    assert sentence.endswith("kept by static com.shop.Main.CACHE → com.shop.SessionCache.table.")


def test_a_dump_can_be_compared_with_a_histogram_and_not_with_a_profile(dump, histogram):
    assert compare_heaps(read(histogram(1)), read(dump(10))).kind is HeapFileKind.JVM_DUMP
    with pytest.raises(HeapFileError, match="a Go heap profile and a JVM class histogram cannot be compared"):
        compare_heaps(read((SAMPLES / "go-heap.pb.gz").read_bytes()), read(histogram(1)))


def test_tables_and_markdown_and_json_say_the_same(histogram):
    summary = read(histogram(5000))
    table = summary_text(summary, 2, "table")
    assert "JVM class histogram of 274 KiB, 6,010 objects" in table
    assert "156 KiB    57 %     5,000   java.util.HashMap$Node" in table
    assert "1 more are not shown (--top)." in table
    assert "| 156 KiB | 57 % | 5,000 | `java.util.HashMap$Node` |" in summary_text(summary, 2, "markdown")
    assert '"name": "java.util.HashMap$Node"' in summary_text(summary, 2, "json")
    growth = compare_heaps(summary, read(histogram(9000)))
    assert "+125 KiB   100 %    +4,000   281 KiB   java.util.HashMap$Node" in growth_text(growth, 5, "table")
