"""The ways to capture the heap of a language runtime: command, cost, and the tool that opens the result."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from memtop.heap.runtime_detection import LanguageRuntime, RuntimeProgram
from memtop.quantity import parse_whole

MIB = 1024 * 1024
JCMD_MEMORY = 24 * MIB
"""Bytes ``jcmd`` takes with the options below: it is a JVM of its own (measured with JDK 17: 15 MiB)."""
SNAPSHOT_FACTOR = 12
"""Times its memory that Node.js takes at worst for a snapshot. Measured with Node.js 20: 0.4 for buffers, 1.4
for long strings, 10 for small objects, 12 for a Map of them (`benchmarks/README.md`)."""
SMALL_JVM = ("-J-Xmx16m", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1")
"""Options that keep ``jcmd``, a JVM of its own, small."""
INSPECTOR_PORT = 9229
_MOST_PORTS = 3


class CaptureMethod(Enum):
    """What a capture does to come by its result."""

    FILE = "the command writes a file in the container, which is then fetched"
    OUTPUT = "what the command writes is kept here; no file is written in the container"
    SIGNAL = "the process writes a file into its working directory, which is then fetched"
    INSPECTOR = "the inspector sends it here; no file is written in the container"
    PORT = "it is asked for through a port-forward; no file is written in the container"
    LEFT = "a file that was left in the container by an earlier capture is fetched"


@dataclass(frozen=True, slots=True)
class HeapCapture:
    """One way to capture a heap.

    Attributes:
        title: What one gets.
        method: How it is done.
        pid: The process, by its number in the container.
        command: What is run in the container.
        remote: The file it writes there; empty where there is none or its name is not known yet.
        suffix: How the name of the local file ends.
        memory: Bytes it takes under the container's limit while it runs, about.
        size: Bytes of the result at most, about.
        cost: What the process suffers meanwhile, in a sentence.
        missing: Why it can't be done; empty if it can.
        port: What to connect to.
        success_text: What the command says once it has succeeded; not every tool's exit code tells.
    """

    title: str
    method: CaptureMethod
    pid: int
    command: tuple[str, ...]
    suffix: str
    cost: str
    remote: str = ""
    memory: int = 0
    size: int = 0
    missing: str = ""
    port: int = 0
    success_text: str = ""

    @property
    def command_text(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class CaptureMeans:
    """What there is to capture with.

    Attributes:
        tools: Programs in the image, and where.
        folder: Where the container may write; empty where nowhere.
        stamp: What makes the names of files differ from one capture to the next.
        ports: TCP ports the container listens on: address and port.
    """

    tools: Mapping[str, str]
    folder: str
    stamp: str
    ports: Sequence[tuple[str, int]] = ()


def possible_captures(program: RuntimeProgram, means: CaptureMeans) -> tuple[HeapCapture, ...]:
    """The ways to capture a program's heap, the most telling first."""
    ways = {
        LanguageRuntime.JVM: _jvm_captures,
        LanguageRuntime.NODE: _nodejs_captures,
        LanguageRuntime.PYTHON: _python_captures,
        LanguageRuntime.GO: _go_captures,
        LanguageRuntime.DOTNET: _dotnet_captures,
    }
    own = ways[program.runtime](program, means) if program.runtime in ways else iter(())
    return (*own, *_captures_of_any(program, means))


def _missing_means(means: CaptureMeans, *tools: str, folder: bool = True) -> str:
    """What is missing of some programs, any of which would do, and of a place for a file."""
    if tools and not any(tool in means.tools for tool in tools):
        return f"the image has no {' and no '.join(tools)}"
    if folder and not means.folder:
        return "the container may write neither to /tmp nor to /var/tmp nor to a volume"
    return ""


def _remote_path(means: CaptureMeans, pid: int, suffix: str) -> str:
    return f"{means.folder or '/tmp'}/memtop-{means.stamp}-{pid}{suffix}"


def _jvm_captures(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    pid, heap = program.process.pid, program.process.anon
    remote = _remote_path(means, pid, ".hprof")
    pause = (
        "The JVM collects all garbage and stands still while it writes: a second for every GiB, or several."
    )
    command: tuple[str, ...]
    bare = "jattach" in means.tools and "jcmd" not in means.tools
    if "jcmd" in means.tools or not {"jmap", "jattach"} & set(means.tools):
        command = ("jcmd", *SMALL_JVM, str(pid), "GC.heap_dump", remote)
    elif "jmap" not in means.tools:
        command = ("jattach", str(pid), "dumpheap", remote)
    else:
        command = ("jmap", *SMALL_JVM, f"-dump:live,format=b,file={remote}", str(pid))
    yield HeapCapture(
        f"heap dump with {command[0]}",
        CaptureMethod.FILE,
        pid,
        command,
        ".hprof",
        pause,
        remote=remote,
        memory=JCMD_MEMORY,
        size=heap,
        missing=_no_jvm_tool(means, "jcmd", "jmap", "jattach") or _missing_means(means),
        success_text="response code = 0" if command[0] == "jattach" else "Heap dump file created",
    )
    yield HeapCapture(
        f"class histogram with {'jattach' if bare else 'jcmd'}",
        CaptureMethod.OUTPUT,
        pid,
        ("jattach", str(pid), "inspectheap")
        if bare
        else ("jcmd", *SMALL_JVM, str(pid), "GC.class_histogram"),
        "-histogram.txt",
        "The JVM collects all garbage and stands still while it counts: less than a second for every GiB.",
        memory=JCMD_MEMORY,
        size=MIB,
        missing=_no_jvm_tool(means, "jcmd", "jattach"),
    )


def _no_jvm_tool(means: CaptureMeans, *tools: str) -> str:
    """What to do where there is a JRE only: its libraries can be asked, but nothing that asks is there."""
    if any(tool in means.tools for tool in tools):
        return ""
    return (
        f"the image has no {' and no '.join(tools)} (a JRE only): add the module jdk.jcmd with jlink, or the "
        "program jattach; or kubectl debug with an image that has the same JDK"
    )


def _nodejs_captures(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    pid, heap = program.process.pid, program.process.anon
    pause = (
        "Node.js stands still while the snapshot is made (seconds for every 100 MiB), and needs up to "
        f"{SNAPSHOT_FACTOR} times its memory where that is many small objects (buffers: half of it)."
    )
    worst = heap * SNAPSHOT_FACTOR
    name = _option_value(program.options, "--heapsnapshot-signal")
    signal = re.sub(r"^SIG|[^A-Z0-9]", "", name.upper())
    yield HeapCapture(
        f"heap snapshot by signal {signal}" if signal else "heap snapshot by signal",
        CaptureMethod.SIGNAL,
        pid,
        ("sh", "-c", f'kill -{signal or "USR2"} "$1"', "sh", str(pid)),
        ".heapsnapshot",
        pause,
        remote="",
        memory=worst,
        size=heap * 2,
        missing="" if signal else "Node.js was started without --heapsnapshot-signal",
    )
    port = _option_value(program.options, "--inspect") or _option_value(program.options, "--inspect-port")
    number = port.rpartition(":")[2]
    yield HeapCapture(
        "heap snapshot by the inspector",
        CaptureMethod.INSPECTOR,
        pid,
        ("sh", "-c", 'kill -USR1 "$1"', "sh", str(pid)),
        ".heapsnapshot",
        f"{pause} Its inspector listens on the container's loopback meanwhile and is closed afterwards.",
        memory=worst,
        size=heap * 2,
        missing="Node.js was started with --disable-sigusr1: the signal would end it"
        if "--disable-sigusr1" in program.options
        else "",
        port=parse_whole(number) or INSPECTOR_PORT,
    )


def _python_captures(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    pid = program.process.pid
    yield HeapCapture(
        "stacks of all threads with py-spy",
        CaptureMethod.OUTPUT,
        pid,
        ("py-spy", "dump", "--locals", "--pid", str(pid)),
        "-stacks.txt",
        "Python stands still for some milliseconds. py-spy needs the right to trace (SYS_PTRACE).",
        memory=16 * MIB,
        size=MIB,
        missing=_missing_means(means, "py-spy", folder=False),
    )
    yield HeapCapture(
        "tracemalloc snapshot",
        CaptureMethod.SIGNAL,
        pid,
        (),
        ".txt",
        "",
        missing="only the program itself can take one: start it with PYTHONTRACEMALLOC=10 and have a signal "
        "handler or an internal URL print tracemalloc.take_snapshot().statistics('lineno')",
    )


def _go_captures(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    pid = program.process.pid
    cost = "Go answers from what it has sampled; it does not stand still. GET only."
    for address, port in means.ports[:_MOST_PORTS]:
        host = address if address not in ("0.0.0.0", "::", "") else "127.0.0.1"
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/debug/pprof/heap"
        fetching = ("wget", "-q", "-O", "-", url) if "wget" in means.tools else ("curl", "-fsS", url)
        inside = "wget" in means.tools or "curl" in means.tools
        yield HeapCapture(
            f"heap profile from port {port} (net/http/pprof)",
            CaptureMethod.OUTPUT if inside else CaptureMethod.PORT,
            pid,
            fetching if inside else (),
            ".pb.gz",
            cost,
            memory=4 * MIB,
            size=8 * MIB,
            port=port,
        )
    if not means.ports:
        yield HeapCapture(
            "heap profile (net/http/pprof)",
            CaptureMethod.PORT,
            pid,
            (),
            ".pb.gz",
            cost,
            missing="the container listens on no port that could serve /debug/pprof",
        )


def _dotnet_captures(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    pid, heap = program.process.pid, program.process.anon
    light, full = _remote_path(means, pid, ".gcdump"), _remote_path(means, pid, ".dmp")
    yield HeapCapture(
        "object graph with dotnet-gcdump",
        CaptureMethod.FILE,
        pid,
        ("dotnet-gcdump", "collect", "-p", str(pid), "-o", light),
        ".gcdump",
        "A full collection, during which .NET stands still: seconds for every GiB.",
        remote=light,
        memory=heap // 2,
        size=heap // 4,
        missing=_missing_means(means, "dotnet-gcdump"),
    )
    helper = str(PurePosixPath(program.library).with_name("createdump")) if program.library else ""
    command = (
        ("dotnet-dump", "collect", "--type", "Heap", "-p", str(pid), "-o", full)
        if "dotnet-dump" in means.tools
        else (helper or "createdump", "--withheap", "-f", full, str(pid))
    )
    yield HeapCapture(
        f"heap dump with {PurePosixPath(command[0]).name}",
        CaptureMethod.FILE,
        pid,
        command,
        ".dmp",
        ".NET stands still while it is written. createdump needs the right to trace (SYS_PTRACE).",
        remote=full,
        memory=32 * MIB,
        size=program.process.rss,
        missing=_missing_means(means)
        or ("" if helper or "dotnet-dump" in means.tools else "createdump was not found"),
    )


def _captures_of_any(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    pid = program.process.pid
    yield HeapCapture(
        "memory map (smaps)",
        CaptureMethod.OUTPUT,
        pid,
        ("cat", f"/proc/{pid}/smaps"),
        "-smaps.txt",
        "The process goes on; only its own changes to its map may have to wait for some milliseconds.",
        memory=MIB,
        size=4 * MIB,
    )
    remote = _remote_path(means, pid, ".core")
    yield HeapCapture(
        "core dump with gcore",
        CaptureMethod.FILE,
        pid,
        ("gcore", "-o", remote.removesuffix(".core"), str(pid)),
        ".core",
        "The process stands still while it is written: seconds for every GiB. gcore needs SYS_PTRACE.",
        remote=f"{remote.removesuffix('.core')}.{pid}",
        memory=64 * MIB,
        size=program.process.rss * 2,
        missing=_missing_means(means, "gcore"),
    )


def _option_value(options: Sequence[str], name: str) -> str:
    """The value of an option, ``--name=value`` or ``--name value``; empty where it is not there."""
    for word, following in zip(options, (*options[1:], ""), strict=True):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name:
            return following
    return ""


_VIEWERS = {
    ".hprof": (
        "Eclipse MAT",
        "ParseHeapDump.sh {0} org.eclipse.mat.api:suspects",
        "open it in the Memory Analyzer and begin with the Leak Suspects report; VisualVM opens it too",
    ),
    ".heapsnapshot": (
        "Chrome DevTools",
        "",
        "chrome://inspect → Open dedicated DevTools for Node → Memory → Load; compare two snapshots that "
        "were taken some minutes apart",
    ),
    ".pb.gz": (
        "go tool pprof",
        "go tool pprof -http=127.0.0.1:0 {0}",
        "-sample_index=inuse_space shows what is held; -base=EARLIER what was added since",
    ),
    ".gcdump": (
        "PerfView or Visual Studio",
        "dotnet-gcdump report {0}",
        "dotnet-gcdump report lists the types by size",
    ),
    ".dmp": (
        "dotnet-dump",
        "dotnet-dump analyze {0}",
        "then: dumpheap -stat, and gcroot on an object of the largest type",
    ),
    ".core": ("gdb", "gdb PROGRAM {0}", "with the very program and libraries of the image"),
    ".txt": ("any pager", "less {0}", ""),
}


@dataclass(frozen=True, slots=True)
class CaptureViewer:
    """A tool.

    Attributes:
        name: What it is called.
        command: How it is started on the file; empty where that takes a mouse.
        first_look: What to look at first.
    """

    name: str
    command: str
    first_look: str


def viewer_for(path: Path) -> CaptureViewer:
    """The tool for a captured file, by its suffix."""
    for suffix, (name, command, note) in _VIEWERS.items():
        if path.name.endswith(suffix):
            return CaptureViewer(name, command.format(shlex.quote(str(path))), note)
    return CaptureViewer("any pager", f"less {shlex.quote(str(path))}", "")
