"""Which language runtime a process is, from its files and libraries or from a port that serves profiles."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

import aiohttp

from memtop.heap.container_probe import ContainerProbe, ContainerProcess, read_processes
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef
from memtop.kube.websocket import PortForward
from memtop.sanitize import sanitize_bytes

_LIBRARY = re.compile(r"^/proc/(\d+)/maps:(/.*/lib(jvm|coreclr|node|python)[^/]*)$")
_PYTHON = re.compile(r"python(\d+(?:\.\d+)?)?")


class LanguageRuntime(StrEnum):
    """Whose heap it is."""

    JVM = "JVM"
    NODE = "Node.js"
    PYTHON = "Python"
    GO = "Go"
    DOTNET = ".NET"
    UNKNOWN = "unknown runtime"


@dataclass(frozen=True, slots=True)
class RuntimeProgram:
    """A process and its runtime.

    Attributes:
        process: The process.
        runtime: What runs it.
        library: The runtime's shared library, where it is one.
        options: Its arguments together with the options it takes from the environment.
        version: Of Python, such as ``3.11``; empty where it does not show.
        count_signal: At which it agreed to count its objects, without ``SIG``; empty for none.
    """

    process: ContainerProcess
    runtime: LanguageRuntime
    library: str = ""
    options: tuple[str, ...] = ()
    version: str = ""
    count_signal: str = ""

    def words(self) -> str:
        """``JVM, PID 1: java -Xmx96m -jar app.jar``."""
        command = " ".join(self.process.command) or self.process.name
        return f"{self.runtime}, PID {self.process.pid}: {command}"


_RUNTIME_BY_NAME = {
    "java": LanguageRuntime.JVM,
    "node": LanguageRuntime.NODE,
    "nodejs": LanguageRuntime.NODE,
    "dotnet": LanguageRuntime.DOTNET,
}
_RUNTIME_BY_LIBRARY = {
    "jvm": LanguageRuntime.JVM,
    "coreclr": LanguageRuntime.DOTNET,
    "node": LanguageRuntime.NODE,
    "python": LanguageRuntime.PYTHON,
}
_OPTION_VARIABLES = {
    LanguageRuntime.JVM: ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"),
    LanguageRuntime.NODE: ("NODE_OPTIONS",),
    LanguageRuntime.GO: ("GODEBUG",),
}


def detect_programs(probe: ContainerProbe) -> tuple[RuntimeProgram, ...]:
    """The container's programs, those with a known runtime first, then by what they hold."""
    libraries = _loaded_libraries(probe)
    variables = dict(line.split("=", 1) for line in probe.lines("variable") if "=" in line)
    golang = {line.removeprefix("/proc/").removesuffix("/exe") for line in probe.lines("go")}
    found = []
    for process in read_processes(probe):
        library, kind = libraries.get(process.pid, ("", None))
        runtime = kind or _runtime_by_name(process)
        if runtime is LanguageRuntime.UNKNOWN and str(process.pid) in golang:
            runtime = LanguageRuntime.GO
        options = " ".join(variables.get(name, "") for name in _OPTION_VARIABLES.get(runtime, ())).split()
        version = _PYTHON.search(library or process.program) if runtime is LanguageRuntime.PYTHON else None
        found.append(
            RuntimeProgram(
                process,
                runtime,
                library,
                (*process.command, *options),
                (version[1] or "") if version is not None else "",
                variables.get("MEMTOP_COUNT_SIGNAL", "").removeprefix("SIG").upper(),
            )
        )
    return tuple(
        sorted(found, key=lambda program: (program.runtime is LanguageRuntime.UNKNOWN, -program.process.anon))
    )


def _runtime_by_name(process: ContainerProcess) -> LanguageRuntime:
    """By the file it runs; by its first argument only where that can't be read."""
    name = PurePosixPath(process.program or (process.command[0] if process.command else process.name)).name
    if name in _RUNTIME_BY_NAME:
        return _RUNTIME_BY_NAME[name]
    return LanguageRuntime.PYTHON if _PYTHON.fullmatch(name) else LanguageRuntime.UNKNOWN


def _loaded_libraries(probe: ContainerProbe) -> dict[int, tuple[str, LanguageRuntime]]:
    lines = (_LIBRARY.match(line) for line in probe.lines("library"))
    found: dict[int, tuple[str, LanguageRuntime]] = {}
    for line in lines:
        if line is not None:
            found.setdefault(int(line[1]), (line[2], _RUNTIME_BY_LIBRARY[line[3]]))
    return found


USUAL_PPROF_PORTS: Final = (6060, 8080)
"""Where Go programs serve profiles though their pod does not declare it: pprof's own port, and plain HTTP."""
MOST_PPROF_PORTS = 6
PPROF_SECONDS = 5.0
"""Longest wait for one port."""
_MOST_PAGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PprofPort:
    """A port that serves Go's profiles.

    Attributes:
        port: Its number.
        command: The program's own arguments, which it tells there, sanitised.
    """

    port: int
    command: tuple[str, ...]

    @property
    def program(self) -> RuntimeProgram:
        """The program behind it, of which the process cannot be looked at."""
        name = PurePosixPath(self.command[0]).name if self.command else "go"
        return RuntimeProgram(
            ContainerProcess(1, name, 0, 0, 0, 0, 0, self.command), LanguageRuntime.GO, options=self.command
        )


async def find_pprof_ports(
    client: Client, container_ref: ContainerRef, ports: Iterable[int]
) -> tuple[PprofPort, ...]:
    """Which ports of a pod serve Go's profiles; asks for two small pages only.

    Args:
        client: As whom.
        container_ref: The container. A pod's containers share their ports; the command tells them apart.
        ports: Which to try, of which `MOST_PPROF_PORTS` are.

    Returns:
        Those that do; none where port-forwards are refused.
    """
    tried = list(dict.fromkeys(ports))[:MOST_PPROF_PORTS]
    answers = await asyncio.gather(*(_ask_port(client, container_ref, port) for port in tried))
    return tuple(answer for answer in answers if answer is not None)


async def _ask_port(client: Client, container_ref: ContainerRef, port: int) -> PprofPort | None:
    forward = PortForward(client, container_ref.namespace, container_ref.pod, port)
    try:
        async with (
            asyncio.timeout(PPROF_SECONDS),
            forward.listening() as url,
            aiohttp.ClientSession(trust_env=False) as session,
        ):
            if b"heap?debug" not in await _page_start(session, f"{url}/debug/pprof/"):
                return None
            said = await _page_start(session, f"{url}/debug/pprof/cmdline")
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None
    return PprofPort(port, tuple(sanitize_bytes(word) for word in said.split(b"\0") if word))


async def _page_start(session: aiohttp.ClientSession, url: str) -> bytes:
    """The beginning of a page; nothing where there is none."""
    async with session.get(url, allow_redirects=False) as answer:
        body = b""
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > _MOST_PAGE_BYTES:
                break
        return body[:_MOST_PAGE_BYTES] if answer.status == 200 else b""
