"""Which language runtime a container's processes are, from what one exec said of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from memtop.runtime.probe import Probe
from memtop.runtime.processes import Process, processes

_LIBRARY = re.compile(r"^/proc/(\d+)/maps:(/.*/lib(jvm|coreclr|node|python)[^/]*)$")
_PYTHON = re.compile(r"python(\d+(?:\.\d+)?)?")


class Runtime(StrEnum):
    """Whose heap it is."""

    JVM = "JVM"
    NODE = "Node.js"
    PYTHON = "Python"
    GO = "Go"
    DOTNET = ".NET"
    UNKNOWN = "unknown runtime"


@dataclass(frozen=True, slots=True)
class Program:
    """A process and its runtime.

    Attributes:
        process: The process.
        runtime: What runs it.
        library: The runtime's shared library, where it is one.
        options: Its arguments together with the options it takes from the environment.
        version: Of Python, such as ``3.11``; empty where it does not show.
    """

    process: Process
    runtime: Runtime
    library: str = ""
    options: tuple[str, ...] = ()
    version: str = ""

    def words(self) -> str:
        """``JVM, PID 1: java -Xmx96m -jar app.jar``."""
        command = " ".join(self.process.command) or self.process.name
        return f"{self.runtime}, PID {self.process.pid}: {command}"


_NAMES = {"java": Runtime.JVM, "node": Runtime.NODE, "nodejs": Runtime.NODE, "dotnet": Runtime.DOTNET}
_LIBRARIES = {
    "jvm": Runtime.JVM,
    "coreclr": Runtime.DOTNET,
    "node": Runtime.NODE,
    "python": Runtime.PYTHON,
}
_VARIABLES = {
    Runtime.JVM: ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"),
    Runtime.NODE: ("NODE_OPTIONS",),
    Runtime.GO: ("GODEBUG",),
}


def detect(probe: Probe) -> tuple[Program, ...]:
    """The container's programs, those with a known runtime first, then by what they hold."""
    libraries = _libraries(probe)
    variables = dict(line.split("=", 1) for line in probe.lines("variable") if "=" in line)
    golang = {line.removeprefix("/proc/").removesuffix("/exe") for line in probe.lines("go")}
    found = []
    for process in processes(probe):
        library, kind = libraries.get(process.pid, ("", None))
        runtime = kind or _by_name(process)
        if runtime is Runtime.UNKNOWN and str(process.pid) in golang:
            runtime = Runtime.GO
        options = " ".join(variables.get(name, "") for name in _VARIABLES.get(runtime, ())).split()
        version = _PYTHON.search(library or process.program) if runtime is Runtime.PYTHON else None
        found.append(
            Program(
                process,
                runtime,
                library,
                (*process.command, *options),
                (version[1] or "") if version is not None else "",
            )
        )
    return tuple(
        sorted(found, key=lambda program: (program.runtime is Runtime.UNKNOWN, -program.process.anon))
    )


def _by_name(process: Process) -> Runtime:
    """By the file it runs; by its first argument only where that can't be read."""
    name = PurePosixPath(process.program or (process.command[0] if process.command else process.name)).name
    if name in _NAMES:
        return _NAMES[name]
    return Runtime.PYTHON if _PYTHON.fullmatch(name) else Runtime.UNKNOWN


def _libraries(probe: Probe) -> dict[int, tuple[str, Runtime]]:
    lines = (_LIBRARY.match(line) for line in probe.lines("library"))
    found: dict[int, tuple[str, Runtime]] = {}
    for line in lines:
        if line is not None:
            found.setdefault(int(line[1]), (line[2], _LIBRARIES[line[3]]))
    return found
