"""Reads /proc and the cgroup of a container with one exec.

Where the image has no shell, a debug container is proposed.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef, NoSuchProgram, run_command
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.quantity import parse_whole
from memtop.sanitize import sanitize, sanitize_bytes

DEBUG_IMAGE = "busybox:1.36"
OLDEST_KUBERNETES = (1, 23)
"""Kubernetes has ephemeral containers on by default since then."""


@dataclass(frozen=True, slots=True)
class DebugProposal:
    """How to look into a container that has no shell.

    Attributes:
        command: The kubectl command; it adds a container to the pod, which stays until the pod is gone.
        obstacle: Why this cluster can't; empty if it can, as far as is known.
        notes: What to know.
    """

    command: str
    obstacle: str
    notes: tuple[str, ...]


class _ServerVersion(msgspec.Struct, rename="camel"):
    major: str = ""
    minor: str = ""
    git_version: str = ""


async def propose_debug_container(
    client: Client, container_ref: ContainerRef, image: str = DEBUG_IMAGE
) -> DebugProposal:
    """Proposes an ephemeral container; nothing is changed.

    Args:
        client: As whom.
        container_ref: The container without a shell.
        image: What to look with.
    """
    words = ("kubectl", "debug", "-it", container_ref.pod, "-n", container_ref.namespace)
    command = shlex.join((*words, f"--image={image}", f"--target={container_ref.container}", "--", "sh"))
    return DebugProposal(
        command,
        await _debug_obstacle(client),
        (
            "It changes the pod: the container that is added can't be removed again while the pod lives.",
            "It counts against the pod, not against the container's own limit.",
            f"There, /proc/1/root is the file system of {container_ref.container}, "
            "and its processes are in sight.",
            "For a JVM take an image with the same JDK: jcmd 1 GC.heap_dump /tmp/heap.hprof writes into the "
            "target's own file system.",
        ),
    )


async def _debug_obstacle(client: Client) -> str:
    try:
        said = msgspec.json.decode(await client.get("/version"), type=_ServerVersion)
    except (ApiError, Unreachable, *JSON_ERRORS):
        return ""
    numbers = [re.match(r"\d+", text) for text in (said.major, said.minor)]
    version = tuple(int(number[0]) for number in numbers if number is not None)
    if len(version) == 2 and version < OLDEST_KUBERNETES:
        return (
            f"this cluster runs Kubernetes {sanitize(said.git_version)}, "
            f"and ephemeral containers need {OLDEST_KUBERNETES[0]}.{OLDEST_KUBERNETES[1]}"
        )
    return ""


CGROUP_V1 = "/sys/fs/cgroup/memory"
CGROUP_V2 = "/sys/fs/cgroup"
CGROUP_V1_FILES = (
    *("memory.stat", "memory.usage_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    *("memory.failcnt", "memory.oom_control", "memory.kmem.usage_in_bytes"),
)
CGROUP_V2_FILES = (
    *("memory.stat", "memory.current", "memory.max", "memory.high", "memory.peak", "memory.events"),
    "memory.swap.current",
)
TEMP_FOLDERS = ("/tmp", "/var/tmp")
"""Where a capture may be written, best first; where none can be, volumes of the container come next."""
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._-]+")
_SYSTEM_PATH = re.compile(r"/(?:proc|sys|dev|etc|run|var/run|tmp$|var/tmp$)")
_MOST_VOLUMES = 10
PROBED_TOOLS = (
    *("jcmd", "jmap", "jattach", "py-spy", "python3", "gcore", "dotnet-dump", "dotnet-gcdump"),
    *("wget", "curl", "gzip", "sha256sum", "tail", "dd", "wc", "rm", "bash"),
)
RUNTIME_VARIABLES = (
    "NODE_OPTIONS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "PYTHONTRACEMALLOC",
    "GODEBUG",
    "MEMTOP_COUNT_SIGNAL",
)
"""Variables that a runtime heeds. The others may be secrets and are not looked at."""
RUNTIME_LIBRARIES = r"/[^ ]*/lib(jvm|coreclr|node|python[0-9.]+)[^ /]*"
COMMAND_BYTES = 2048
_PROBE_SECONDS = 30.0


class NoShellError(Exception):
    """The image has neither a shell nor ``cat``: nothing can be asked of it."""


@dataclass(frozen=True, slots=True)
class ContainerProbe:
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


def probe_script(mark: str) -> str:
    """The commands; ``mark`` begins every line that announces a section."""
    lines = ["exec 2>/dev/null", f"echo '{mark} self'", "echo $$"]

    def section(name: str, *commands: str) -> None:
        lines.extend(["echo", f"echo '{mark} {name}'", *commands])  # not every file ends in a newline

    for name in CGROUP_V1_FILES:
        section(f"v1 {name}", f"cat {CGROUP_V1}/{name}")
    for name in CGROUP_V2_FILES:
        section(f"v2 {name}", f"cat {CGROUP_V2}/{name}")
    section("status", "cat /proc/[0-9]*/status")
    section("command", f"head -c {COMMAND_BYTES} /proc/[0-9]*/cmdline")
    section("program", "ls -l /proc/[0-9]*/exe")
    section("folder", "ls -l /proc/[0-9]*/cwd")
    section("library", f"grep -oE '{RUNTIME_LIBRARIES}' /proc/[0-9]*/maps")
    section("variable", *(f'echo "{name}=${name}"' for name in RUNTIME_VARIABLES))
    section("tools", *(f"command -v {name}" for name in PROBED_TOOLS))
    section("space", *(f"df -P -k {folder}" for folder in TEMP_FOLDERS))
    section("writable", *(f"[ -w {folder} ] && echo {folder}" for folder in TEMP_FOLDERS))
    section("mounts", "cat /proc/mounts")
    section("ports", "cat /proc/net/tcp", "cat /proc/net/tcp6")
    section("left", *(f"ls -ln {folder}/memtop-*" for folder in TEMP_FOLDERS))
    section("end", ":")
    return "\n".join(lines)


def parse_sections(output: bytes, mark: str) -> dict[str, str]:
    """The sections of what the script wrote; NUL bytes, which end arguments, become newlines."""
    text = sanitize_bytes(output.replace(b"\0", b"\n"))
    parts = re.split(rf"^{re.escape(mark)} (.+)\n", text, flags=re.MULTILINE)
    return {name: body for name, body in zip(parts[1::2], parts[2::2], strict=True) if body.strip()}


async def probe_container(client: Client, container_ref: ContainerRef) -> ContainerProbe:
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
        done = await run_command(
            client, container_ref, ["sh", "-c", probe_script(mark)], timeout=_PROBE_SECONDS
        )
    except NoSuchProgram:
        return await _probe_without_shell(client, container_ref)
    return ContainerProbe(parse_sections(done.output, mark))


async def find_go_programs(
    client: Client, container_ref: ContainerRef, probe: ContainerProbe, pids: Iterable[int]
) -> ContainerProbe:
    """Adds the section ``go``: which of some processes are Go programs, by a mark in the file they run.

    Raises:
        NotRunning: As `probe`.
        ApiError: As `probe`.
        Unreachable: As `probe`.
        CredentialError: As `probe`.
    """
    files = [f"/proc/{pid}/exe" for pid in pids]
    if not files or not probe.shell:
        return probe
    try:
        done = await run_command(
            client, container_ref, ["grep", "-l", "Go buildinf:", *files], timeout=_PROBE_SECONDS
        )
    except NoSuchProgram:
        return probe
    return replace(probe, sections={**probe.sections, "go": sanitize_bytes(done.output)})


async def find_writable_volumes(
    client: Client, container_ref: ContainerRef, probe: ContainerProbe
) -> ContainerProbe:
    """Adds the volumes that may be written, where no folder for temporary files may be.

    Raises:
        NotRunning: As `probe`.
        ApiError: As `probe`.
        Unreachable: As `probe`.
        CredentialError: As `probe`.
    """
    mounts = [line.split() for line in probe.lines("mounts")]
    known = {words[1]: words[3].split(",") for words in mounts if len(words) > 3}
    open_ones = [
        folder
        for folder in probe.lines("writable")
        if folder.startswith("/") and "ro" not in known.get(folder, known.get("/", []))
    ]
    others = [
        path
        for path, options in known.items()
        if "ro" not in options and _PLAIN_PATH.fullmatch(path) and not _SYSTEM_PATH.match(path)
    ][:_MOST_VOLUMES]
    if open_ones or not others or not probe.shell:
        return probe
    asked = {
        "space": "; ".join(f"df -P -k {path}" for path in others),
        "writable": "; ".join(f"[ -d {path} ] && [ -w {path} ] && echo {path}" for path in others),
        "left": "; ".join(f"ls -ln {path}/memtop-*" for path in others),
    }
    sections = dict(probe.sections)
    for name, script in asked.items():
        done = await run_command(
            client, container_ref, ["sh", "-c", f"{{ {script}; }} 2>/dev/null"], timeout=_PROBE_SECONDS
        )
        sections[name] = f"{probe.text(name)}\n{sanitize_bytes(done.output)}"
    return replace(probe, sections=sections)


async def _probe_without_shell(client: Client, container_ref: ContainerRef) -> ContainerProbe:
    """The files that matter most, each by a ``cat`` of its own."""
    files = {
        **{f"v1 {name}": f"{CGROUP_V1}/{name}" for name in CGROUP_V1_FILES},
        **{f"v2 {name}": f"{CGROUP_V2}/{name}" for name in CGROUP_V2_FILES},
        "status": "/proc/1/status",
        "command": "/proc/1/cmdline",
    }
    found = {}
    for name, path in files.items():
        try:
            done = await run_command(client, container_ref, ["cat", path], timeout=_PROBE_SECONDS)
        except NoSuchProgram:
            raise NoShellError(
                f"the image of {container_ref.container} has neither a shell nor cat (distroless)"
            ) from None
        if done.code == 0 and done.output:
            head = "==> /proc/1/cmdline <==\n" if name == "command" else ""
            found[name] = head + sanitize_bytes(done.output.replace(b"\0", b"\n"))
    return ContainerProbe(found, shell=False)


_CMDLINE_HEADING = re.compile(r"^==> /proc/(\d+)/cmdline <==$")
_PROC_LINK = re.compile(r"/proc/(\d+)/\w+ -> (.+)$")


@dataclass(frozen=True, slots=True)
class ContainerProcess:
    """One process; sizes in bytes, from ``/proc/PID/status``.

    Attributes:
        pid: Its number inside the container.
        name: The kernel's name for it, at most 15 characters.
        rss: Resident memory: the sum of the next three.
        anon: Heap, stacks and other memory without a file (``RssAnon``).
        file: Mapped files: programs and libraries (``RssFile``).
        shared: Shared memory and tmpfs that it maps (``RssShmem``).
        swap: What of it is swapped out.
        command: Its arguments, the program first; empty for kernel threads and where they can't be read.
        program: The file it runs; empty where that can't be read.
        folder: Its working directory; likewise.
        threads: How many it has; None where that is not told.
        caught: Signals that it has a handler for, as the bits of ``SigCgt``.
    """

    pid: int
    name: str
    rss: int
    anon: int
    file: int
    shared: int
    swap: int
    command: tuple[str, ...] = ()
    program: str = ""
    folder: str = ""
    threads: int | None = None
    caught: int = 0

    def catches(self, signal: int) -> bool:
        """Whether it has a handler for a signal, by its number."""
        return bool(self.caught >> (signal - 1) & 1)


def read_processes(probe: ContainerProbe) -> tuple[ContainerProcess, ...]:
    """The container's processes, the largest first; those of the probe itself are left out."""
    own = probe.text("self").strip()
    commands, programs, folders = _commands(probe), _links(probe, "program"), _links(probe, "folder")
    found = []
    for fields in _statuses(probe):
        pid = fields.get("Pid", "")
        number = parse_whole(pid)
        if number is None or (own and own in (pid, fields.get("PPid", ""))):
            continue
        anon, file, shared = (_status_bytes(fields, name) for name in ("RssAnon", "RssFile", "RssShmem"))
        process = ContainerProcess(
            number,
            fields.get("Name", ""),
            _status_bytes(fields, "VmRSS"),
            anon,
            file,
            shared,
            _status_bytes(fields, "VmSwap"),
            commands.get(pid, ()),
            programs.get(pid, "").removesuffix(" (deleted)"),
            folders.get(pid, ""),
            parse_whole(fields.get("Threads", "")),
            int(fields["SigCgt"], 16) if re.fullmatch("[0-9a-fA-F]{1,32}", fields.get("SigCgt", "")) else 0,
        )
        found.append(process)
    return tuple(sorted(found, key=lambda process: (-process.rss, process.pid)))


def _statuses(probe: ContainerProbe) -> list[dict[str, str]]:
    """The fields of each ``status`` file; each begins with its ``Name``."""
    found: list[dict[str, str]] = []
    for line in probe.lines("status"):
        name, _, value = line.partition(":")
        if name == "Name":
            found.append({})
        if found:
            found[-1][name] = value.strip()
    return found


def _status_bytes(fields: dict[str, str], name: str) -> int:
    return (parse_whole(fields.get(name, "").removesuffix("kB")) or 0) * 1024


def _commands(probe: ContainerProbe) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line in probe.lines("command"):
        if (head := _CMDLINE_HEADING.match(line)) is not None:
            words = found.setdefault(head[1], [])
        elif line:
            words.append(line)
    return {pid: tuple(words) for pid, words in found.items()}


def _links(probe: ContainerProbe, section: str) -> dict[str, str]:
    links = (_PROC_LINK.search(line) for line in probe.lines(section))
    return {link[1]: link[2] for link in links if link is not None}
