"""The processes of a container: what each is, and what it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from memtop.runtime.probe import Probe

_HEAD = re.compile(r"^==> /proc/(\d+)/cmdline <==$")
_LINK = re.compile(r"/proc/(\d+)/\w+ -> (.+)$")


@dataclass(frozen=True, slots=True)
class Process:
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


def processes(probe: Probe) -> tuple[Process, ...]:
    """The container's processes, the largest first; those that asked are left out."""
    own = probe.text("self").strip()
    commands, programs, folders = _commands(probe), _links(probe, "program"), _links(probe, "folder")
    found = []
    for fields in _statuses(probe):
        pid = fields.get("Pid", "")
        if not pid.isdecimal() or (own and own in (pid, fields.get("PPid", ""))):
            continue
        anon, file, shared = (_size(fields, name) for name in ("RssAnon", "RssFile", "RssShmem"))
        process = Process(
            int(pid),
            fields.get("Name", ""),
            _size(fields, "VmRSS"),
            anon,
            file,
            shared,
            _size(fields, "VmSwap"),
            commands.get(pid, ()),
            programs.get(pid, "").removesuffix(" (deleted)"),
            folders.get(pid, ""),
        )
        found.append(process)
    return tuple(sorted(found, key=lambda process: (-process.rss, process.pid)))


def _statuses(probe: Probe) -> list[dict[str, str]]:
    """The fields of each ``status`` file; each begins with its ``Name``."""
    found: list[dict[str, str]] = []
    for line in probe.lines("status"):
        name, _, value = line.partition(":")
        if name == "Name":
            found.append({})
        if found:
            found[-1][name] = value.strip()
    return found


def _size(fields: dict[str, str], name: str) -> int:
    number = fields.get(name, "").removesuffix("kB").strip()
    return int(number) * 1024 if number.isdecimal() else 0


def _commands(probe: Probe) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line in probe.lines("command"):
        if (head := _HEAD.match(line)) is not None:
            words = found.setdefault(head[1], [])
        elif line:
            words.append(line)
    return {pid: tuple(words) for pid, words in found.items()}


def _links(probe: Probe, section: str) -> dict[str, str]:
    links = (_LINK.search(line) for line in probe.lines(section))
    return {link[1]: link[2] for link in links if link is not None}
