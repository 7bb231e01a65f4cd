"""Heap files of real runtimes, read by memtop and by something else: the figures are the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter

import pytest

from memtop.heap_files.heap_growth import compare_heaps, grower_sentence
from memtop.heap_files.heap_reader import read_heap_file

pytestmark = pytest.mark.real

JAVA = """
import java.util.*;
public class Leak {
  static class Session {
    String user; byte[] data = new byte[200]; long at;
    Session(String user) { this.user = user; }
  }
  static class SessionCache { final Map<String, Session> sessions = new HashMap<>(); }
  static final SessionCache CACHE = new SessionCache();
  static void fill(int from, int to) {
    for (int i = from; i < to; i++) CACHE.sessions.put("user-" + i, new Session("u" + i));
    System.out.println("up"); System.out.flush();
  }
  public static void main(String[] words) throws Exception {
    fill(0, 20000); System.in.read(); fill(20000, 60000); System.in.read();
  }
}
"""
NODE = """
const v8 = require('v8');
class Session { constructor(i) { this.user = 'user-' + i; this.tags = [i, i + 1]; } }
global.cache = new Map();
function fill(from, to) { for (let i = from; i < to; i++) cache.set('k' + i, new Session(i)); }
fill(0, 5000); v8.writeHeapSnapshot('a.heapsnapshot');
fill(5000, 15000); v8.writeHeapSnapshot('b.heapsnapshot');
"""


def needed(*programs: str) -> None:
    for one in programs:
        if shutil.which(one) is None:
            pytest.skip(f"there is no {one} here")


@pytest.fixture
def java(tmp_path):
    """A leaking JVM; ``more()`` has it leak on."""
    needed("java", "javac", "jcmd")
    (tmp_path / "Leak.java").write_text(JAVA)
    subprocess.run(["javac", "-d", ".", "Leak.java"], cwd=tmp_path, check=True)
    started = subprocess.Popen(
        ["java", "-Xmx200m", "-XX:+UseSerialGC", "-cp", ".", "Leak"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdin is not None
    assert started.stdout is not None
    started.stdout.readline()

    def more() -> None:
        started.stdin.write("\n")
        started.stdin.flush()
        started.stdout.readline()

    yield started.pid, more
    started.kill()
    started.wait()


def jcmd(pid, *words):
    return subprocess.run(["jcmd", str(pid), *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("compressed", [False, True])
def test_a_heap_dump_has_the_classes_of_the_jvms_own_histogram(java, tmp_path, compressed):
    pid, _ = java
    (tmp_path / "h.txt").write_text(jcmd(pid, "GC.class_histogram"))
    jcmd(pid, "GC.heap_dump", *(["-gz=1"] if compressed else []), str(tmp_path / "a.hprof"))
    said = {one.name: one for one in read_heap_file(tmp_path / "h.txt").types}
    found = {one.name: one for one in read_heap_file(tmp_path / "a.hprof").types}
    for name in ("Leak$Session", "java.util.HashMap$Node", "java.lang.String", "byte[]"):
        assert abs(found[name].objects - said[name].objects) <= 100, name  # jcmd itself leaves some behind
        assert abs(found[name].bytes - said[name].bytes) <= 0.01 * said[name].bytes, name
    assert found["Leak$Session"].path[:2] == ("static Leak.CACHE", "Leak$SessionCache.sessions")


def test_what_grew_in_a_jvm_is_what_its_source_leaks(java, tmp_path):
    pid, more = java
    jcmd(pid, "GC.heap_dump", str(tmp_path / "a.hprof"))
    more()
    jcmd(pid, "GC.heap_dump", str(tmp_path / "b.hprof"))
    growth = compare_heaps(read_heap_file(tmp_path / "a.hprof"), read_heap_file(tmp_path / "b.hprof"))
    sentence = grower_sentence(growth)
    assert sentence.startswith("Leak$Session +1.22 MiB (+40,000 objects), each with")
    assert "kept by static Leak.CACHE → Leak$SessionCache.sessions" in sentence


def test_a_snapshot_of_node_has_the_sums_of_its_json(tmp_path):
    needed("node")
    (tmp_path / "leak.js").write_text(NODE)
    subprocess.run(["node", "leak.js"], cwd=tmp_path, check=True, timeout=120)
    whole = json.loads((tmp_path / "b.heapsnapshot").read_text())
    fields = whole["snapshot"]["meta"]["node_fields"]
    kinds = whole["snapshot"]["meta"]["node_types"][0]
    sizes, counts = Counter(), Counter()
    nodes, width = whole["nodes"], len(fields)
    for at in range(0, len(nodes), width):
        if kinds[nodes[at]] == "object":
            name = whole["strings"][nodes[at + 1]]
            sizes[name] += nodes[at + fields.index("self_size")]
            counts[name] += 1
    after = read_heap_file(tmp_path / "b.heapsnapshot")
    found = {one.name: (one.bytes, one.objects) for one in after.types}
    for name in ("Session", "Map", "Object"):
        assert found[name] == (sizes[name], counts[name])
    growth = compare_heaps(read_heap_file(tmp_path / "a.heapsnapshot"), after)
    assert re.match(r"Session \+\S+ KiB \(\+10,000 objects\)", grower_sentence(growth))
    assert "kept by global.cache → Map.table" in grower_sentence(growth)
