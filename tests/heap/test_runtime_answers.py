"""What runtimes say of themselves beside a capture: is it the heap at all, goroutines, objects of Python."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from memtop.heap import jvm_memory, python_objects
from memtop.heap.capture_methods import CaptureMeans, CaptureMethod
from memtop.heap.capture_plan import CaptureConstraints, plans_from_probe
from memtop.heap.cgroup_memory import CgroupEvents, MemoryBreakdown
from memtop.heap.container_probe import ContainerProbe, ContainerProcess
from memtop.heap.growth_run import ProcessMoment, judge_growth
from memtop.heap.jvm_memory import JvmMemory, parse_jvm_memory
from memtop.heap.runtime_detection import LanguageRuntime, RuntimeProgram
from memtop.heap_files.heap_contents import HeapFileKind, HeapType, summarise_types
from memtop.heap_files.heap_growth import compare_heaps
from memtop.heap_files.heap_reader import read_heap_file
from memtop.kube.container_exec import ContainerRef

MIB = 1024 * 1024
SERIAL = """26575:
 def new generation   total 30720K, used 2186K [0x00000000f9c00000, 0x00000000fbd50000, 0x00000000fbd50000)
  eden space 27328K,   8% used [0x00000000f9c00000, 0x00000000f9e22940, 0x00000000fb6b0000)
 tenured generation   total 68288K, used 100K [0x00000000fbd50000, 0x0000000100000000, 0x0000000100000000)
   the space 68288K,   0% used [0x00000000fbd50000, 0x00000000fbd50000, 0x00000000fbd50200)
 Metaspace       used 287K, committed 512K, reserved 1114112K
  class space    used 15K, committed 128K, reserved 1048576K
26575:
Total: reserved=1499001KB, committed=127361KB
-                 Java Heap (reserved=102400KB, committed=102400KB)
-                    Thread (reserved=14375KB, committed=799KB)
-                     Other (reserved=1184KB, committed=1184KB)
"""  # of OpenJDK 17
G1_OF_25 = " garbage-first heap   total reserved 102400K, committed 51200K, used 2094K [0x00000000f9c00000)\n"


def test_a_jvms_heap_is_what_its_generations_have_and_native_memory_has_categories() -> None:
    told = parse_jvm_memory(SERIAL)
    assert told.committed == (30720 + 68288) * 1024
    assert told.used == (2186 + 100) * 1024
    assert told.native == {"Java Heap": 102400 * 1024, "Thread": 799 * 1024, "Other": 1184 * 1024}
    smaps = "fb000000-fb100000 rw-p 0 00:00 0\nRss: 900 kB\nff000000-ff100000 rw-p 0 00:00 0\nRss: 50 kB\n"
    apart = "7f0000000000-7f0000100000 rw-p 0 00:00 0\nRss: 7000 kB\n"
    assert jvm_memory.resident_heap(smaps + apart, told.ranges) == 950 * 1024
    assert parse_jvm_memory(G1_OF_25).committed == 51200 * 1024
    assert parse_jvm_memory("jcmd: no such process") == JvmMemory()


def _memory(anon: int) -> MemoryBreakdown:
    return MemoryBreakdown(1, anon, 512 * MIB, anon, anon, 0, 0, 0, 0, 0, 0, CgroupEvents())


def _moments(**second: object) -> list[ProcessMoment]:
    first = ProcessMoment(0.0, _memory(100 * MIB), 20, 30, None, JvmMemory(96 * MIB, 50 * MIB, 90 * MIB))
    return [first, replace(first, at=60.0, **second)]  # type: ignore[arg-type]


def _histogram(*types: HeapType) -> object:
    return summarise_types(HeapFileKind.CLASS_HISTOGRAM, list(types))


def test_what_grows_beside_a_flat_heap_is_told_as_that_and_as_its_cause() -> None:
    """A JVM whose heap stays at 96 MiB while 40 MiB are added; buffers are counted though they are small."""
    name = "java.nio.DirectByteBuffer"
    growth = compare_heaps(_histogram(HeapType(name, 640, 10)), _histogram(HeapType(name, 25_600, 400)))  # type: ignore[arg-type]
    native = {"Other": 1 * MIB}, {"Other": 39 * MIB}
    first, last = _moments(
        memory=_memory(140 * MIB), jvm=JvmMemory(96 * MIB, 60 * MIB, 90 * MIB, (), native[1])
    )
    first = replace(first, jvm=JvmMemory(96 * MIB, 50 * MIB, 90 * MIB, (), native[0]))
    answer = judge_growth(growth, [first, last], None)
    told = " ".join(answer.sentences)
    assert "40 MiB were added beside the heap" in told
    assert "Native memory 'Other' grew by 38 MiB: direct buffers" in told
    assert "390 more java.nio.DirectByteBuffer" in told
    assert answer.causes[0].name == "off the heap: direct buffers, arenas or native code"


def test_a_heap_that_takes_what_it_may_is_no_growth_beside_it() -> None:
    growth = compare_heaps(_histogram(HeapType("a.B", 640, 10)), _histogram(HeapType("a.B", 640, 10)))  # type: ignore[arg-type]
    moments = _moments(memory=_memory(140 * MIB), jvm=JvmMemory(96 * MIB, 50 * MIB, 130 * MIB))
    answer = judge_growth(growth, moments, None)
    assert not answer.causes
    assert "beside the heap" not in " ".join(answer.sentences)


def test_goroutines_that_became_more_are_named_with_who_started_them() -> None:
    def waiting(count: int) -> object:
        rows = [HeapType("main.waitForever", None, count, path=("main.handleRequest",))]
        return summarise_types(HeapFileKind.GO_GOROUTINES, rows)

    flat = summarise_types(HeapFileKind.GO_HEAP, [HeapType("main.main", 4 * MIB, 3)])
    first = ProcessMoment(0.0, goroutines=waiting(5))  # type: ignore[arg-type]
    last = ProcessMoment(60.0, goroutines=waiting(805))  # type: ignore[arg-type]
    answer = judge_growth(compare_heaps(flat, flat), [first, last], None)
    assert "main.waitForever +800 goroutines; called by main.handleRequest" in " ".join(answer.sentences)
    assert answer.causes[0].name == "goroutines that never end"


LEAKING = f"""
{python_objects.LINE_TO_ADD}
import gc, time
gc.disable()
class Order:
    def __init__(self, n): self.me, self.items = self, [n] * 50
for n in range(10000): Order(n)
class Session:
    def __init__(self, n): self.tags = [n] * 50
SESSIONS = {{n: Session(n) for n in range(20000)}}
print("ready", flush=True)
while True: time.sleep(0.05)
"""


def test_a_program_counts_its_objects_at_the_agreed_signal(tmp_path: Path) -> None:
    """The whole way, on a program of this machine: which type, how many, and which variable keeps them."""
    program = subprocess.Popen([sys.executable, "-c", LEAKING], stdout=subprocess.PIPE)
    try:
        assert program.stdout is not None
        program.stdout.readline()
        path = tmp_path / "memtop-objects.txt"
        command = python_objects.signal_command(program.pid, str(path), "USR2")
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert "memtop counted" in done.stdout
        assert program.poll() is None, "it goes on"
    finally:
        program.kill()
        program.wait()
        if program.stdout is not None:
            program.stdout.close()
    found = {one.name: one for one in read_heap_file(path).types}
    assert found["__main__.Session"].objects == 20000
    assert found["__main__.Session"].path == ("__main__.SESSIONS",)
    assert found["__main__.Order"].path[0] == "__main__.Order", "nothing but itself keeps it"
    assert not Path(python_objects.COUNTING_FILE).exists()


def test_sys_remote_exec_runs_the_same_lines(tmp_path: Path) -> None:
    """With a stand-in for the call that Python has since 3.14, which runs the file as that would."""
    path = tmp_path / "memtop-objects.txt"
    *words, steps = python_objects.remote_exec_command(1, str(path))
    stand_in = "import runpy, sys; sys.remote_exec = lambda pid, file: runpy.run_path(file)\n"
    command = [sys.executable, *words[1:], stand_in + steps]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "memtop counted" in done.stdout
    assert read_heap_file(path).kind is HeapFileKind.PYTHON_OBJECTS
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def _python(signal: str, caught: int, version: str = "3.11") -> RuntimeProgram:
    process = ContainerProcess(1, "python3", MIB, MIB, 0, 0, 0, caught=caught)
    return RuntimeProgram(process, LanguageRuntime.PYTHON, version=version, count_signal=signal)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (_python("USR2", 1 << 11), ""),
        (_python("USR2", 0), "the program has no handler for it: it would end"),
        (_python("", 1 << 11), "add the line `import runpy, signal;"),
        (_python("KILL", 0), "add the line"),
    ],
)
def test_no_signal_is_sent_that_the_program_did_not_agree_to(program: RuntimeProgram, words: str) -> None:
    means = CaptureMeans({}, "/tmp", "20250101-000000")
    (capture,) = python_objects.python_object_captures(program, means)
    assert words in capture.missing
    assert bool(capture.missing) == bool(words)


def test_a_new_python_needs_no_line() -> None:
    means = CaptureMeans({"python3": "/usr/bin/python3"}, "/tmp", "20250101-000000")
    (capture,) = python_objects.python_object_captures(_python("", 0, "3.14"), means)
    assert (capture.title, capture.missing) == ("object counts by sys.remote_exec", "")


def test_a_jre_alone_says_what_to_add_and_jattach_does(answered, tmp_path):
    asked = answered("jvm-cgroup-v1")

    def captures(tools):
        probe = ContainerProbe({**asked.sections, "tools": tools})
        place = ContainerRef("production", "billing-0", "billing")
        found = plans_from_probe(place, probe, CaptureConstraints(), tmp_path, 10**12, "20250101-000000")
        return {plan.capture.suffix: plan.capture for plan in found}

    bare = captures("/bin/sh")
    assert "a JRE only" in bare[".hprof"].missing
    assert "kubectl debug" in bare["-histogram.txt"].missing
    with_tool = captures("/bin/jattach")
    assert with_tool["-histogram.txt"].command == ("jattach", "1", "inspectheap")
    assert with_tool[".hprof"].command[:3] == ("jattach", "1", "dumpheap")
    assert not with_tool[".hprof"].missing


def test_a_volume_serves_where_tmp_is_closed(answered, tmp_path):
    asked = answered("jvm-cgroup-v1")
    sections = {**asked.sections, "writable": "/data\n", "mounts": "/dev/sdb /data ext4 rw 0 0\n"}
    sections["space"] = "/dev/sdb 100 1 9000000 1% /data\n"
    place = ContainerRef("production", "billing-0", "billing")
    found = plans_from_probe(
        place, ContainerProbe(sections), CaptureConstraints(), tmp_path, 10**12, "20250101-000000"
    )
    plan = next(one for one in found if one.capture.method is CaptureMethod.FILE)
    assert plan.capture.remote.startswith("/data/memtop-")
    assert plan.space.free_there == 9_000_000 * 1024
    assert any("a volume of the program's own" in risk.sentence for risk in plan.risks())


def test_the_second_of_two_jvms_is_offered_and_said(answered, tmp_path):
    asked = answered("jvm-cgroup-v1")
    twin = asked.text("status").replace("Pid:\t1\n", "Pid:\t77\n")
    sections = dict(asked.sections)
    sections["status"] = asked.text("status") + twin
    sections["program"] = asked.text("program") + "\nlrwxrwxrwx 1 /proc/77/exe -> /opt/java/bin/java\n"
    place = ContainerRef("production", "billing-0", "billing")
    found = plans_from_probe(
        place, ContainerProbe(sections), CaptureConstraints(), tmp_path, 10**12, "20250101-000000"
    )
    assert {plan.capture.pid for plan in found if plan.capture.suffix == "-histogram.txt"} == {1, 77}
    assert "not the only JVM here: PID" in dict(found[0].facts())["process"]


def test_native_memory_that_grew_is_told_the_largest_first() -> None:
    before = JvmMemory(native={"Thread": 1, "Other": 1})
    after = JvmMemory(native={"Thread": 5, "Other": 9})
    assert jvm_memory.native_growth(before, after) == [("Other", 8), ("Thread", 4)]
