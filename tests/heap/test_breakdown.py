"""Memory by kind, read from real cgroups v1 and from cgroups v2 as the kernel documents them."""

from __future__ import annotations

import pytest

from memtop.heap.cgroup_memory import NoCgroupFiguresError, heap_or_cache_sentence, read_breakdown
from memtop.heap.container_probe import ContainerProbe, parse_sections, probe_script

MIB = 1024 * 1024


def test_a_jvm_under_cgroup_v1(answered):
    memory = read_breakdown(answered("jvm-cgroup-v1"))
    assert (memory.version, memory.limit) == (1, 192 * MIB)
    parts = memory.anon + memory.file + memory.shared + memory.kernel + memory.other
    assert parts == pytest.approx(memory.usage, abs=MIB), "the kernel's counters are batched"
    assert memory.working_set == memory.usage - memory.inactive_file
    assert memory.headroom == memory.limit - memory.usage + memory.file
    assert memory.events.oom_kill == 0
    assert memory.events.limit_hits == 0
    assert memory.events.high is None, "cgroup v1 does not know it"
    assert [process.name for process in memory.processes] == ["java"], "who asked is left out"
    assert memory.processes[0].anon == pytest.approx(memory.anon, rel=0.05)
    assert heap_or_cache_sentence(memory).startswith("It is heap: ")
    assert "java (PID 1)" in heap_or_cache_sentence(memory)


def test_a_leak_under_cgroup_v2(answered):
    memory = read_breakdown(answered("v2-leak"))
    assert (memory.version, memory.usage, memory.limit, memory.peak) == (
        2,
        1940 * MIB,
        2048 * MIB,
        2048 * MIB,
    )
    assert (memory.anon, memory.file, memory.shared) == (1720 * MIB, 176 * MIB, 4 * MIB)
    assert (memory.slab, memory.kernel) == (18 * MIB, 40 * MIB + 4096)
    assert memory.inactive_file == 100 * MIB
    events = memory.events
    assert (events.oom, events.oom_kill, events.high, events.limit_hits) == (4, 1, 12, 3456)
    assert [process.pid for process in memory.processes] == [1]
    assert heap_or_cache_sentence(memory) == (
        "It is heap: 89 % of the 1.89 GiB in use is memory of processes without a file, "
        "1.68 GiB of it in java (PID 1); page cache is 176 MiB."
    )


def test_page_cache_on_an_older_kernel(answered):
    memory = read_breakdown(answered("v2-old-cache"))
    assert (memory.limit, memory.headroom, memory.peak) == (None, None, None)
    assert memory.slab == 1048576 + 524288
    assert memory.kernel == memory.slab + 98304
    assert "It is page cache: 95 %" in heap_or_cache_sentence(memory)
    assert "drops before it kills" in heap_or_cache_sentence(memory)


def test_tmpfs_is_neither_heap_nor_page_cache(answered):
    memory = read_breakdown(answered("v2-tmpfs"))
    assert memory.shared == 290 * MIB
    assert memory.file == 10 * MIB
    assert heap_or_cache_sentence(memory).startswith("It is tmpfs: 93 %")


def test_processes_of_other_containers_are_noticed(answered):
    probe = answered("v2-tmpfs")
    status = "Name:\tother\nPid:\t8\nPPid:\t0\nVmRSS:\t900000 kB\nRssAnon:\t900000 kB\n"
    memory = read_breakdown(ContainerProbe({**probe.sections, "status": status}))
    assert memory.foreign
    assert not read_breakdown(probe).foreign


def test_without_figures_it_says_so():
    with pytest.raises(NoCgroupFiguresError):
        read_breakdown(ContainerProbe({}))
    with pytest.raises(NoCgroupFiguresError):
        read_breakdown(ContainerProbe({"v2 memory.stat": "anon 1\n"}))


def test_nonsense_is_no_crash():
    odd = {"v2 memory.current": "garbage", "v2 memory.stat": "anon x\nfile\n \x00", "status": "Pid: 1\nName"}
    memory = read_breakdown(ContainerProbe(odd))
    assert (memory.usage, memory.anon, memory.processes) == (0, 0, ())
    assert "can't be" in heap_or_cache_sentence(memory)


def test_a_process_can_not_pass_its_name_for_a_section():
    command = b"==> /proc/1/cmdline <==\necho '@secret v2 memory.current'\0@x y\n1\n"
    said = b"\n@secret self\n12\n\n@secret command\n" + command
    found = parse_sections(said, "@secret")
    assert set(found) == {"self", "command"}
    assert "@x y" in found["command"]


def test_escape_sequences_of_a_command_line_are_gone():
    found = parse_sections(b"@m command\n==> /proc/1/cmdline <==\n\x1b[31mevil\0\n", "@m")
    assert "\x1b" not in found["command"]
    assert "evil" in found["command"]


def test_the_script_only_reads():
    for line in probe_script("@m").splitlines():
        first = line.split()[0] if line else "echo"
        assert first in {"exec", "echo", "cat", "head", "ls", "grep", "command", "df", "[", ":"}, line
        assert ">" not in line.replace("2>/dev/null", ""), line
