"""What a container's runtime should be told: its heap against the limit, a GC log, a dump before it dies.

The rules read the pod template, the log's figures and the verdict, and nothing else; each says its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from memtop.advice.sizes import quantity
from memtop.change.change_request import SetVariables
from memtop.change.heap_flags import heap_flag
from memtop.heap.runtime_detection import LanguageRuntime
from memtop.kube.json_object import Json, has, objects, text, texts
from memtop.kube.object_ref import ObjectRef
from memtop.logs.heap_readings import HeapSummary
from memtop.wording import bytes_, share

HEAP_SHARE = 0.75
"""Of the limit for the heap: what OpenJDK's container guides set; the rest is for threads, code, buffers."""
GO_SHARE = 0.9
"""Go counts all memory of its runtime against GOMEMLIMIT; its documentation leaves 5 to 10 % free."""
DUMP_FOLDER: Final = "/dumps"
_RUNTIME_WORDS: Final = (
    (
        LanguageRuntime.JVM,
        re.compile(r"\b(java|jdk|jre|openjdk|temurin|corretto|tomcat|jetty|spring)\b|-Xm[xs]|JAVA_"),
    ),
    (LanguageRuntime.NODE, re.compile(r"\b(node|nodejs|npm|yarn|NODE_OPTIONS)\b|max[-_]old[-_]space")),
    (LanguageRuntime.PYTHON, re.compile(r"\b(python3?|gunicorn|uvicorn|celery|django|flask|PYTHON\w*)\b")),
    (LanguageRuntime.DOTNET, re.compile(r"\b(dotnet|aspnet|DOTNET_\w+|ASPNETCORE_\w+)\b")),
    (LanguageRuntime.GO, re.compile(r"\b(golang|GOMEMLIMIT|GOGC|GODEBUG)\b")),
)
_VARIABLE_OF: Final[Mapping[LanguageRuntime, str]] = {
    LanguageRuntime.JVM: "JAVA_TOOL_OPTIONS",
    LanguageRuntime.NODE: "NODE_OPTIONS",
}


@dataclass(frozen=True)
class RuntimeSetting:
    """One thing to tell a runtime.

    Attributes:
        id: Names it on a command line.
        title: What to do.
        reason: Why.
        evidence: What that stands on.
        request: The change; None where it cannot be planned.
    """

    id: str
    title: str
    reason: str
    evidence: str
    request: SetVariables | None


def runtime_of(
    container: Json, lines: tuple[str, ...] = (), *, gc: bool = False
) -> tuple[LanguageRuntime, str]:
    """The runtime of a container as its template and its log give it away, and by what.

    Args:
        container: Of the pod template.
        lines: Lines of its log that speak of memory.
        gc: Whether the log tells of collections.
    """
    variables = [text(one, "name") for one in objects(container, "env")]
    command = " ".join([*texts(container, "command"), *texts(container, "args")])
    for what, words in (
        ("its command", command),
        ("its variables", " ".join(variables)),
        ("its image", text(container, "image")),
        ("its log", " ".join(lines)),
    ):
        for runtime, fits in _RUNTIME_WORDS:
            if fits.search(words):
                return runtime, what
    return LanguageRuntime.UNKNOWN, "its log tells of collections" if gc else ""


def runtime_settings(
    ref: ObjectRef, container: Json, runtime: LanguageRuntime, limit: float | None, heap: HeapSummary | None
) -> Iterator[RuntimeSetting]:
    """What to set for a container.

    Args:
        ref: The workload.
        container: Of the pod template.
        runtime: Whose heap it is.
        limit: Its limit, bytes.
        heap: What its log says of the heap.
    """
    if limit is None:
        return
    yield from _heap_setting(ref, container, runtime, limit)
    if runtime in {LanguageRuntime.JVM, LanguageRuntime.NODE}:
        yield from _dump_setting(ref, container, runtime, limit)
    if runtime is LanguageRuntime.JVM and (heap is None or not heap.collections):
        yield _setting(
            ref, container, runtime, "gc-log", "write a GC log",
            "Without it nobody sees whether the heap is full or what lies beside it grows; it costs a line a "
            "collection.",
            "its log tells of no collection", "-Xlog:gc*:stdout:time,uptime",
        )  # fmt: skip
    if runtime is LanguageRuntime.PYTHON and not _value(container, "MALLOC_ARENA_MAX"):
        name = text(container, "name")
        yield RuntimeSetting(
            "arenas",
            "keep glibc to two arenas (MALLOC_ARENA_MAX=2)",
            "glibc makes up to eight arenas a core for threads, each keeps what was freed in it: memory that "
            "looks like a leak and is none. musl (Alpine) ignores the variable.",
            "the variable is not set",
            SetVariables(ref, name, (("MALLOC_ARENA_MAX", "2"),)),
        )


def _heap_setting(
    ref: ObjectRef, container: Json, runtime: LanguageRuntime, limit: float
) -> Iterator[RuntimeSetting]:
    """The heap against the limit: where no flag is set, or where the flag lets the heap outgrow the limit."""
    flag, name = heap_flag(container), text(container, "name")
    relative = re.search(r"MaxRAMPercentage", _line(container))
    if relative or (flag is not None and flag.size <= 0.9 * limit):
        return
    if flag is None:
        evidence = f"no flag sets its heap; the limit is {bytes_(limit)}"
    else:
        evidence = f"{flag.text} allows {share(flag.size / limit)} of the limit of {bytes_(limit)}"
    size = int(HEAP_SHARE * limit)
    match runtime:
        case LanguageRuntime.JVM:
            words = "-XX:MaxRAMPercentage=75" if flag is None else f"-Xmx{size // 2**20}m"
            reason = (
                "The JVM takes a quarter of the limit for its heap unless told otherwise."
                if flag is None
                else "The kernel kills it before its heap is full: no collection and no dump comes first."
            )
            yield _setting(
                ref, container, runtime, "heap", f"set the heap ({words})", reason, evidence, words
            )
        case LanguageRuntime.NODE:
            words = f"--max-old-space-size={size // 2**20}"
            yield _setting(
                ref, container, runtime, "heap", f"set the heap ({words})",
                "V8 takes its heap's size from the machine it runs on, not from the container's limit in all "
                "versions; a quarter of the limit is for buffers, code and stacks outside it.",
                evidence, words,
            )  # fmt: skip
        case LanguageRuntime.GO:
            yield RuntimeSetting(
                "heap",
                f"set GOMEMLIMIT={int(GO_SHARE * limit) // 2**20}MiB",
                "Go lets its heap double between collections whatever the limit is; with GOMEMLIMIT it "
                "collects sooner when it comes near. Of a leak it only makes the end slower.",
                evidence,
                SetVariables(ref, name, (("GOMEMLIMIT", f"{int(GO_SHARE * limit) // 2**20}MiB"),)),
            )
        case LanguageRuntime.DOTNET:
            yield RuntimeSetting(
                "heap",
                f"set DOTNET_GCHeapHardLimit={size:#x} ({bytes_(size)})",
                "It is .NET's heap at most; 75 % of the limit is its default in containers, and stated it "
                "survives a change of base image. The value is hexadecimal.",
                evidence,
                SetVariables(ref, name, (("DOTNET_GCHeapHardLimit", f"{size:#x}"),)),
            )
        case _:
            return


def _dump_setting(
    ref: ObjectRef, container: Json, runtime: LanguageRuntime, limit: float
) -> Iterator[RuntimeSetting]:
    """A dump when the heap ends, into an ``emptyDir`` that outlives the container.

    It only comes if the runtime dies before the kernel kills it, so the heap has to be below the limit.
    """
    line = _line(container)
    if "HeapDumpOnOutOfMemoryError" in line or "heapsnapshot-near-heap-limit" in line:
        return
    if runtime is LanguageRuntime.JVM:
        words = f"-XX:+HeapDumpOnOutOfMemoryError -XX:HeapDumpPath={DUMP_FOLDER} -XX:+ExitOnOutOfMemoryError"
    else:
        words = f"--heapsnapshot-near-heap-limit=1 --diagnostic-dir={DUMP_FOLDER}"
    flag = heap_flag(container)
    if "MaxRAMPercentage" not in line and (flag is None or flag.size > 0.9 * limit):
        size = int(HEAP_SHARE * limit) // 2**20
        words = (
            f"-Xmx{size}m {words}"
            if runtime is LanguageRuntime.JVM
            else f"--max-old-space-size={size} {words}"
        )
    room = quantity(int(-(-limit // 2**20) * 2**20) * 2)
    yield _setting(
        ref, container, runtime, "dump", "write a dump when memory runs out",
        "The next end by memory then leaves the proof of what filled the heap, in an emptyDir that survives "
        f"the restart of the container (not the end of the pod), with room for {room}. The heap stays below "
        "the limit, so that the runtime dies before the kernel kills it. h and the Previous tab find it.",
        "no flag asks for a dump", words, DUMP_FOLDER, room,
    )  # fmt: skip


def _setting(
    ref: ObjectRef,
    container: Json,
    runtime: LanguageRuntime,
    id_: str,
    title: str,
    reason: str,
    evidence: str,
    words: str,
    folder: str = "",
    room: str = "",
) -> RuntimeSetting:
    """A setting by the runtime's variable of flags, which keeps what is in it."""
    variable, name = _VARIABLE_OF[runtime], text(container, "name")
    elsewhere = any(
        text(one, "name") == variable and has(one, "valueFrom") for one in objects(container, "env")
    )
    value = " ".join(filter(None, (_value(container, variable), words)))
    request = None if elsewhere else SetVariables(ref, name, ((variable, value),), folder, room)
    return RuntimeSetting(id_, title, reason, evidence, request)


def _value(container: Json, variable: str) -> str:
    found = (text(one, "value") for one in objects(container, "env") if text(one, "name") == variable)
    return next(found, "")


def _line(container: Json) -> str:
    """All that is told to the program: variables, command, arguments."""
    values = [f"{text(one, 'name')}={text(one, 'value')}" for one in objects(container, "env")]
    return " ".join([*values, *texts(container, "command"), *texts(container, "args")])
