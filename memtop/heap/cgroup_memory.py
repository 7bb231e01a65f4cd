"""Memory of a container by kind, from its cgroup: heap, page cache, tmpfs or kernel.

Files and fields are those of the kernel's documentation: ``admin-guide/cgroup-v1/memory`` and ``admin-
guide/cgroup-v2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memtop.heap.container_probe import ContainerProbe, ContainerProcess, read_processes
from memtop.quantity import parse_whole
from memtop.wording import bytes_, share

CGROUP_UNLIMITED = 1 << 62
"""cgroup v1 writes a number near 2⁶³ where there is no limit."""
_FOREIGN_FACTOR = 1.1
_FOREIGN_SLACK = 8 * 1024 * 1024


class NoCgroupFiguresError(Exception):
    """The container does not show its own cgroup."""


@dataclass(frozen=True, slots=True)
class CgroupEvents:
    """What has happened to the cgroup since the container started; None where the kernel does not say.

    Attributes:
        oom: How often an allocation failed at the limit.
        oom_kill: Processes that the OOM killer ended.
        high: How often the cgroup was throttled at ``memory.high``.
        limit_hits: How often usage ran into the limit, so that something had to be reclaimed.
    """

    oom: int | None = None
    oom_kill: int | None = None
    high: int | None = None
    limit_hits: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryBreakdown:
    """A container's memory by kind, in bytes.

    Attributes:
        version: Of the cgroups, 1 or 2.
        usage: All that is charged.
        limit: None without one.
        peak: The highest usage so far, where the kernel keeps it.
        anon: Heap, stacks and other memory without a file.
        file: Page cache of files on disk.
        shared: tmpfs and shared memory: counts like heap, and can't be given back.
        slab: Kernel objects (dentries, inodes), a part of ``kernel``.
        kernel: All kernel memory: slab, stacks, page tables, sockets.
        swap: What is swapped out.
        inactive_file: Page cache that nothing has used lately: not part of the working set.
        events: What has happened.
        processes: The largest first.
    """

    version: int
    usage: int
    limit: int | None
    peak: int | None
    anon: int
    file: int
    shared: int
    slab: int
    kernel: int
    swap: int
    inactive_file: int
    events: CgroupEvents
    processes: tuple[ContainerProcess, ...] = ()

    @property
    def working_set(self) -> int:
        """What the kubelet reports and compares: usage without inactive page cache."""
        return max(0, self.usage - self.inactive_file)

    @property
    def other(self) -> int:
        """What is charged and belongs to none of the kinds; the kernel batches its counters."""
        return max(0, self.usage - self.anon - self.file - self.shared - self.kernel)

    @property
    def headroom(self) -> int | None:
        """What can still be allocated before the OOM killer comes: page cache would be dropped first."""
        if self.limit is None:
            return None
        return max(0, self.limit - (self.usage - self.file))

    @property
    def foreign(self) -> bool:
        """Whether processes of other containers are among ours (a shared process namespace)."""
        return sum(process.anon for process in self.processes) > self.anon * _FOREIGN_FACTOR + _FOREIGN_SLACK


def read_breakdown(probe: ContainerProbe) -> MemoryBreakdown:
    """Reads the figures that a container gave.

    Raises:
        NoFigures: It gave none.
    """
    if "v2 memory.current" in probe.sections:
        return _read_v2(probe)
    if "v1 memory.usage_in_bytes" in probe.sections:
        return _read_v1(probe)
    raise NoCgroupFiguresError(
        "the container does not show its own cgroup, so its memory can't be told by kind"
    )


def _read_v1(probe: ContainerProbe) -> MemoryBreakdown:
    stat = keyed_numbers(probe.text("v1 memory.stat"))
    control = keyed_numbers(probe.text("v1 memory.oom_control"))

    def total(name: str) -> int:
        return stat.get(f"total_{name}", stat.get(name, 0))

    limit = _single_number(probe.text("v1 memory.limit_in_bytes"))
    return MemoryBreakdown(
        version=1,
        usage=_single_number(probe.text("v1 memory.usage_in_bytes")) or 0,
        limit=limit if limit is not None and limit < CGROUP_UNLIMITED else None,
        peak=_single_number(probe.text("v1 memory.max_usage_in_bytes")),
        anon=total("rss"),
        file=max(0, total("cache") - total("shmem")),
        shared=total("shmem"),
        slab=total("slab"),
        kernel=_single_number(probe.text("v1 memory.kmem.usage_in_bytes")) or 0,
        swap=total("swap"),
        inactive_file=total("inactive_file"),
        events=CgroupEvents(
            oom_kill=control.get("oom_kill"), limit_hits=_single_number(probe.text("v1 memory.failcnt"))
        ),
        processes=read_processes(probe),
    )


def _read_v2(probe: ContainerProbe) -> MemoryBreakdown:
    stat = keyed_numbers(probe.text("v2 memory.stat"))
    events = keyed_numbers(probe.text("v2 memory.events"))
    slab = stat.get("slab", stat.get("slab_reclaimable", 0) + stat.get("slab_unreclaimable", 0))
    parts = ("kernel_stack", "pagetables", "sec_pagetables", "percpu", "vmalloc")
    kernel = stat.get("kernel", slab + sum(stat.get(name, 0) for name in parts))  # "kernel" since Linux 5.18
    return MemoryBreakdown(
        version=2,
        usage=_single_number(probe.text("v2 memory.current")) or 0,
        limit=_single_number(probe.text("v2 memory.max")),
        peak=_single_number(probe.text("v2 memory.peak")),
        anon=stat.get("anon", 0),
        file=max(0, stat.get("file", 0) - stat.get("shmem", 0)),
        shared=stat.get("shmem", 0),
        slab=slab,
        kernel=kernel + stat.get("sock", 0),
        swap=_single_number(probe.text("v2 memory.swap.current")) or 0,
        inactive_file=stat.get("inactive_file", 0),
        events=CgroupEvents(events.get("oom"), events.get("oom_kill"), events.get("high"), events.get("max")),
        processes=read_processes(probe),
    )


def keyed_numbers(text: str) -> Mapping[str, int]:
    """The lines ``name number`` of a flat keyed file."""
    words = (line.split() for line in text.splitlines())
    numbers = ((pair[0], parse_whole(pair[1])) for pair in words if len(pair) == 2)
    return {name: number for name, number in numbers if number is not None}


def _single_number(text: str) -> int | None:
    """The number of a file that holds nothing else; None for ``max`` and for what is not there."""
    return parse_whole(text)


def heap_or_cache_sentence(memory: MemoryBreakdown) -> str:
    """Heap or page cache? In one sentence."""
    kinds = {
        "heap": memory.anon,
        "page cache": memory.file,
        "tmpfs": memory.shared,
        "kernel": memory.kernel,
    }
    if not memory.usage:
        return "The cgroup says that nothing is in use, which can't be."
    kind = max(kinds, key=lambda name: kinds[name])
    part = f"{share(kinds[kind] / memory.usage)} of the {bytes_(memory.usage)} in use"
    cache = f"page cache is {bytes_(memory.file)}"
    if kind == "heap":
        largest = memory.processes[0] if memory.processes else None
        whose = (
            f", {bytes_(largest.anon)} of it in {largest.name} (PID {largest.pid})"
            if largest is not None and not memory.foreign
            else ""
        )
        return f"It is heap: {part} is memory of processes without a file{whose}; {cache}."
    if kind == "page cache":
        return (
            f"It is page cache: {part} is files on disk, which the kernel drops before it kills; "
            f"heap is {bytes_(memory.anon)}."
        )
    if kind == "tmpfs":
        return (
            f"It is tmpfs: {part} is files in memory (/dev/shm, emptyDir with medium Memory), which count "
            f"like heap until they are deleted; heap is {bytes_(memory.anon)}."
        )
    return f"It is the kernel: {part} is its own memory (slab {bytes_(memory.slab)}); {cache}."
