"""Is it the heap at all? What a JVM says of its heap, and of its memory beside it where it tracks that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from memtop.heap.capture_methods import SMALL_JVM
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef, run_command
from memtop.quantity import parse_whole
from memtop.sanitize import sanitize_bytes
from memtop.wording import bytes_

KIB = 1024
NATIVE_WORDS: Mapping[str, str] = {
    "Other": "direct buffers and Unsafe memory",
    "Thread": "stacks of threads",
    "Class": "loaded classes (metaspace)",
    "Metaspace": "loaded classes (metaspace)",
    "Code": "compiled code",
    "GC": "the collector's own tables",
    "Internal": "the JVM's own memory (before JDK 11 also direct buffers)",
    "Symbol": "names and interned strings",
    "Arena Chunk": "the compiler's arenas",
}
"""What the categories of Native Memory Tracking hold (docs.oracle.com, Troubleshooting Guide, NMT)."""
NMT_LINE = "-XX:NativeMemoryTracking=summary"
"""The flag that has a JVM track its memory; costs 5 to 10 % of speed, says the same guide."""
_USED = re.compile(r"\b(?:total|reserved) (\d{1,15})K(?:, committed (\d{1,15})K)?, used (\d{1,15})K")
_RANGE = re.compile(r"\[0x([0-9a-f]{1,16}),(?: 0x[0-9a-f]{1,16},)* 0x([0-9a-f]{1,16})\)")
_MAPPING_START = re.compile(r"^([0-9a-f]{4,16})-[0-9a-f]{4,16} ")
_CATEGORY = re.compile(r"^-\s+([A-Z][\w ]*?) \(reserved=(\d{1,15})KB, committed=(\d{1,15})KB\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class JvmMemory:
    """What a JVM says of its memory at one moment.

    Attributes:
        committed: Bytes of heap that it has from the system; None where it does not say.
        used: Bytes of heap in use, garbage included; None where it does not say.
        resident: Bytes of its heap that are in memory: what is committed is not all touched yet; None where
            that is not known.
        ranges: Addresses of the heap, from and to.
        native: Bytes committed by category of Native Memory Tracking; empty where it is off.
    """

    committed: int | None = None
    used: int | None = None
    resident: int | None = None
    ranges: tuple[tuple[int, int], ...] = ()
    native: Mapping[str, int] = field(default_factory=dict)


async def ask_jvm_memory(client: Client, place: ContainerRef, pid: int) -> JvmMemory:
    """Asks a JVM by ``jcmd``: ``GC.heap_info`` and ``VM.native_memory summary``.

    Args:
        client: As whom.
        place: The container.
        pid: The JVM.

    Raises:
        ApiError: It is forbidden.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
        NotRunning: The container does not run.
        NoSuchProgram: There is no shell.
    """
    jcmd = " ".join(("jcmd", *SMALL_JVM, str(pid)))
    script = f"{jcmd} GC.heap_info; {jcmd} VM.native_memory summary scale=KB"
    done = await run_command(client, place, ["sh", "-c", script])
    return parse_jvm_memory(sanitize_bytes(done.output))


def parse_jvm_memory(text: str) -> JvmMemory:
    """Reads what the two commands print.

    The generations of the serial and parallel collectors are added up; ``total`` is what is committed. The
    lines of metaspace are not heap.

    Args:
        text: The answers, one after the other.
    """
    committed = used = 0
    known = False
    ranges: list[tuple[int, int]] = []
    for line in text.splitlines():
        if "etaspace" in line or "class space" in line:
            continue
        if (found := _USED.search(line)) is not None:
            known = True
            committed += int(found[2] or found[1]) * KIB
            used += int(found[3]) * KIB
            if (place := _RANGE.search(line)) is not None:
                ranges.append((int(place[1], 16), int(place[2], 16)))
    native = {name: int(size) * KIB for name, _, size in _CATEGORY.findall(text)}
    if "Java Heap" in native and not known:
        return JvmMemory(native["Java Heap"], native=native)
    if not known:
        return JvmMemory(native=native)
    return JvmMemory(committed, used, None, tuple(ranges), native)


def resident_heap(smaps: str, ranges: Sequence[tuple[int, int]]) -> int | None:
    """Bytes of some ranges of addresses that are in memory; None without ranges.

    Args:
        smaps: ``/proc/PID/smaps``.
        ranges: From and to.
    """
    if not ranges:
        return None
    total, inside = 0, False
    for line in smaps.splitlines():
        if (head := _MAPPING_START.match(line)) is not None:
            start = int(head[1], 16)
            inside = any(begin <= start < end for begin, end in ranges)
        elif inside and line.startswith("Rss:"):
            total += (parse_whole(line.split()[1]) or 0) * KIB
    return total


def jvm_sentences(before: JvmMemory, after: JvmMemory, anon_rise: int | None, least: int) -> list[str]:
    """Whether the heap grew or what is beside it, a sentence each.

    Args:
        before: At the first capture.
        after: At the last.
        anon_rise: Bytes by which the container's own memory rose meanwhile; None where not known.
        least: Bytes that are worth a sentence.
    """
    found = []
    if (beside := beside_heap(before, after, anon_rise)) is not None and beside >= least:
        assert before.resident is not None
        assert after.resident is not None
        grew = after.resident - before.resident
        heap = f"grew by {bytes_(grew)}" if grew > 0 else "did not grow"
        words = (
            f"{bytes_(beside)} were added beside the heap (buffers, stacks, native code), which itself {heap}"
        )
        if not after.native:
            words += f"; {NMT_LINE} would say of what kind"
        found.append(f"{words}.")
    for name, size in native_growth(before, after):
        if size >= least:
            words = NATIVE_WORDS.get(name, name)
            found.append(f"Native memory {name!r} grew by {bytes_(size)}: {words}.")
    return found


def beside_heap(before: JvmMemory, after: JvmMemory, anon_rise: int | None) -> int | None:
    """Bytes that were added beside the heap; None where that is not known."""
    if anon_rise is None or before.resident is None or after.resident is None:
        return None
    return anon_rise - max(0, after.resident - before.resident)


def native_growth(before: JvmMemory, after: JvmMemory) -> list[tuple[str, int]]:
    """Categories of native memory that grew, the largest first; without the heap itself."""
    grew = [
        (name, size - before.native[name])
        for name, size in after.native.items()
        if name in before.native and name != "Java Heap" and size > before.native[name]
    ]
    return sorted(grew, key=lambda one: -one[1])
