"""What is asked of a container in one go: a script of plain commands, and the sections of its answer.

The script only reads. It goes to whatever ``sh`` the image has, so it is a list of simple commands without
loops or functions; each section of the answer is announced by a line that starts with a word drawn for the
occasion, so that nothing a process has called itself can pass for one. Where there is no shell, ``cat`` alone
is asked for the files that matter most.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from memtop.cluster.client import Client
from memtop.cluster.exec import NoSuchProgram, Place, run
from memtop.cluster.sanitize import sanitize_bytes

V1 = "/sys/fs/cgroup/memory"
V2 = "/sys/fs/cgroup"
V1_FILES = (
    *("memory.stat", "memory.usage_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    *("memory.failcnt", "memory.oom_control", "memory.kmem.usage_in_bytes"),
)
V2_FILES = (
    *("memory.stat", "memory.current", "memory.max", "memory.high", "memory.peak", "memory.events"),
    "memory.swap.current",
)
FOLDERS = ("/tmp", "/var/tmp")
"""Where a capture may be written, best first."""
TOOLS = (
    *("jcmd", "jmap", "py-spy", "python3", "gcore", "dotnet-dump", "dotnet-gcdump"),
    *("wget", "curl", "gzip", "sha256sum", "tail", "dd", "wc", "rm", "bash"),
)
VARIABLES = ("NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "PYTHONTRACEMALLOC", "GODEBUG")
"""Variables that a runtime heeds. The others may be secrets and are not looked at."""
LIBRARIES = r"/[^ ]*/lib(jvm|coreclr|node|python[0-9.]+)[^ /]*"
COMMAND_BYTES = 2048
_SECONDS = 30.0


class NoShell(Exception):  # noqa: N818  (a property of the image and not a mistake)
    """The image has neither a shell nor ``cat``: nothing can be asked of it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a container answered.

    Attributes:
        sections: The text of each section, sanitised, by its name; those without an answer are missing.
        shell: Whether the image has a shell.
    """

    sections: Mapping[str, str]
    shell: bool = True

    def text(self, section: str) -> str:
        """A section's text; empty where there is none."""
        return self.sections.get(section, "")

    def lines(self, section: str) -> list[str]:
        """A section's lines."""
        return self.text(section).splitlines()

    @property
    def tools(self) -> Mapping[str, str]:
        """The programs of `TOOLS` that the image has, and where."""
        return {line.rpartition("/")[2]: line for line in self.lines("tools")}


def script(mark: str) -> str:
    """The commands; ``mark`` begins every line that announces a section."""
    lines = ["exec 2>/dev/null", f"echo '{mark} self'", "echo $$"]

    def section(name: str, *commands: str) -> None:
        lines.extend(["echo", f"echo '{mark} {name}'", *commands])  # not every file ends in a newline

    for name in V1_FILES:
        section(f"v1 {name}", f"cat {V1}/{name}")
    for name in V2_FILES:
        section(f"v2 {name}", f"cat {V2}/{name}")
    section("status", "cat /proc/[0-9]*/status")
    section("command", f"head -c {COMMAND_BYTES} /proc/[0-9]*/cmdline")
    section("program", "ls -l /proc/[0-9]*/exe")
    section("folder", "ls -l /proc/[0-9]*/cwd")
    section("library", f"grep -oE '{LIBRARIES}' /proc/[0-9]*/maps")
    section("variable", *(f'echo "{name}=${name}"' for name in VARIABLES))
    section("tools", *(f"command -v {name}" for name in TOOLS))
    section("space", *(f"df -P -k {folder}" for folder in FOLDERS))
    section("writable", *(f"[ -w {folder} ] && echo {folder}" for folder in FOLDERS))
    section("mounts", "cat /proc/mounts")
    section("ports", "cat /proc/net/tcp", "cat /proc/net/tcp6")
    section("left", *(f"ls -ln {folder}/memtop-*" for folder in FOLDERS))
    section("end", ":")
    return "\n".join(lines)


def sections(output: bytes, mark: str) -> dict[str, str]:
    """The sections of what the script wrote; NUL bytes, which end arguments, become newlines."""
    text = sanitize_bytes(output.replace(b"\0", b"\n"))
    parts = re.split(rf"^{re.escape(mark)} (.+)\n", text, flags=re.MULTILINE)
    return {name: body for name, body in zip(parts[1::2], parts[2::2], strict=True) if body.strip()}


async def probe(client: Client, place: Place) -> Probe:
    """Asks a container.

    Raises:
        NoShell: There is nothing in the image to ask with.
        NotRunning: The container does not run.
        ApiError: It is forbidden, or there is no such container.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
    """
    mark = f"@{secrets.token_hex(8)}"
    try:
        done = await run(client, place, ["sh", "-c", script(mark)], timeout=_SECONDS)
    except NoSuchProgram:
        return await _without_shell(client, place)
    return Probe(sections(done.output, mark))


async def ask_for_go(client: Client, place: Place, asked: Probe, pids: Iterable[int]) -> Probe:
    """Adds the section ``go``: which of some processes are Go programs, by a mark in the file they run.

    Raises:
        NotRunning: As `probe`.
        ApiError: As `probe`.
        Unreachable: As `probe`.
        CredentialError: As `probe`.
    """
    files = [f"/proc/{pid}/exe" for pid in pids]
    if not files or not asked.shell:
        return asked
    try:
        done = await run(client, place, ["grep", "-l", "Go buildinf:", *files], timeout=_SECONDS)
    except NoSuchProgram:
        return asked
    return replace(asked, sections={**asked.sections, "go": sanitize_bytes(done.output)})


async def _without_shell(client: Client, place: Place) -> Probe:
    """The files that matter most, each by a ``cat`` of its own."""
    files = {
        **{f"v1 {name}": f"{V1}/{name}" for name in V1_FILES},
        **{f"v2 {name}": f"{V2}/{name}" for name in V2_FILES},
        "status": "/proc/1/status",
        "command": "/proc/1/cmdline",
    }
    found = {}
    for name, path in files.items():
        try:
            done = await run(client, place, ["cat", path], timeout=_SECONDS)
        except NoSuchProgram:
            raise NoShell(
                f"the image of {place.container} has neither a shell nor cat (distroless)"
            ) from None
        if done.code == 0 and done.output:
            head = "==> /proc/1/cmdline <==\n" if name == "command" else ""
            found[name] = head + sanitize_bytes(done.output.replace(b"\0", b"\n"))
    return Probe(found, shell=False)
