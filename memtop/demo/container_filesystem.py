"""The files of a simulated container: `/proc`, the cgroup, and files written since it started."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from memtop.demo.container_runs import Run
from memtop.demo.memory_curves import MIB, levels_of
from memtop.demo.simulated_pod import Container

RSS_SHARE = 0.94
"""Anonymous memory as a share of the working set, as the simulated cAdvisor has it."""
KERNEL_SHARE = 0.02
PAGE = 4096
MAPPED = 18 * MIB
"""Bytes of program and libraries that the main process has mapped."""


@dataclass(frozen=True, slots=True)
class MainProcess:
    """What runs as process 1.

    Attributes:
        command: its arguments.
        path: the file it runs.
        library: the shared library of its runtime, if it has one.
        tools: programs in the image beside the usual ones.
        port: TCP port it listens on; 0 for none.
        go: whether it is a Go program.
        shell: whether the image has a shell.
    """

    command: tuple[str, ...]
    path: str
    library: str = ""
    tools: tuple[str, ...] = ()
    port: int = 0
    go: bool = False
    shell: bool = True


def main_process_of(container: Container) -> MainProcess:
    """Return what a container's image runs."""
    behaviour, name = container.timeline.behaviour, container.name
    log_style = behaviour.log_style if behaviour is not None else ""
    megabytes = int((container.limit or 512 * MIB) / MIB)
    if log_style in ("jvm", "leaking"):
        home = "/opt/java/openjdk"
        command: tuple[str, ...] = (
            "java",
            f"-Xmx{megabytes * 9 // 10}m",
            "-Xlog:gc",
            "-jar",
            f"/app/{name}.jar",
        )
        library = f"{home}/lib/server/libjvm.so"
        return MainProcess(command, f"{home}/bin/java", library, ("jcmd", "jmap", "java"), 8080)
    if log_style == "node":
        command = ("node", "--heapsnapshot-signal=SIGUSR2", "/app/server.js")
        return MainProcess(command, "/usr/local/bin/node", tools=("node",), port=3000)
    if log_style in ("batch", "crashing", "migrate"):
        return MainProcess(("python3", f"/app/{name}.py"), "/usr/local/bin/python3.12", tools=("python3",))
    if log_style == "database":
        return MainProcess(
            ("postgres", "-D", "/var/lib/postgresql/data"), "/usr/lib/postgresql/16/bin/postgres"
        )
    if log_style == "cache":
        return MainProcess(("redis-server", "*:6379"), "/usr/local/bin/redis-server", port=6379)
    return MainProcess((f"/app/{name}",), f"/app/{name}", port=8080, go=True, shell=log_style != "agent")


class ContainerFiles:
    """The files of one run of a container.

    Args:
        container: the container.
        run: its run.
        now: the simulated time.

    Attributes:
        program: what runs as process 1.
        written: what was written since the run began, by path.
    """

    def __init__(self, container: Container, run: Run, now: Callable[[], float]) -> None:
        self.container = container
        self.run = run
        self.program = main_process_of(container)
        self.written: dict[str, bytes] = {}
        self._now = now
        self._commands: dict[int, tuple[str, ...]] = {}

    def begin(self, pid: int, command: tuple[str, ...]) -> None:
        """Add a process to ``/proc``."""
        self._commands[pid] = command

    def end(self, pid: int) -> None:
        """Remove a process from ``/proc``."""
        self._commands.pop(pid, None)

    def commands(self) -> dict[int, tuple[str, ...]]:
        """Return the arguments of every process."""
        return {1: self.program.command, **self._commands}

    def working_set(self) -> float:
        """Return the working set in bytes, equal to the metrics."""
        run = self.run
        return float(levels_of(run.curve, run.start, np.array([self._now()]), run.seed)[0])

    def running_seconds(self) -> float:
        """Return how long the run has lasted, in simulated seconds."""
        return max(0.0, self._now() - self.run.start)

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None if there is none."""
        if path in self.written:
            return self.written[path]
        made = self._made()
        return made[path]().encode() if path in made else None

    def matching(self, pattern: str) -> list[str]:
        """Return the paths that match a shell pattern, sorted."""
        depth = pattern.count("/")
        names = [*self._made(), *self.written]
        fitting = {name for name in names if name.count("/") == depth and fnmatch.fnmatchcase(name, pattern)}
        return sorted(fitting)

    def link(self, path: str) -> str | None:
        """Return the target of ``/proc/PID/exe`` and ``/proc/PID/cwd``; None for other paths."""
        parts = path.split("/")
        if len(parts) != 4 or parts[1] != "proc" or not parts[2].isdecimal():
            return None
        pid = int(parts[2])
        if pid not in self.commands():
            return None
        return {"exe": self.program.path if pid == 1 else "/bin/busybox", "cwd": "/"}.get(parts[3])

    def _made(self) -> dict[str, Callable[[], str]]:
        found: dict[str, Callable[[], str]] = {
            "/proc/self/cgroup": lambda: "0::/\n",
            "/proc/mounts": lambda: "overlay / overlay rw,relatime 0 0\nproc /proc proc rw 0 0\n",
            "/proc/net/tcp": self._ports,
            "/sys/fs/cgroup/memory.stat": self._stat,
            "/sys/fs/cgroup/memory.current": lambda: f"{self._usage()}\n",
            "/sys/fs/cgroup/memory.max": lambda: f"{self.container.limit or 'max'}\n",
            "/sys/fs/cgroup/memory.high": lambda: "max\n",
            "/sys/fs/cgroup/memory.peak": lambda: f"{self._usage()}\n",
            "/sys/fs/cgroup/memory.swap.current": lambda: "0\n",
            "/sys/fs/cgroup/memory.events": lambda: "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
        }
        for pid, command in self.commands().items():
            found |= {
                f"/proc/{pid}/status": lambda pid=pid, command=command: self._status(pid, command),  # type: ignore[misc]
                f"/proc/{pid}/cmdline": lambda command=command: "".join(f"{word}\0" for word in command),  # type: ignore[misc]
                f"/proc/{pid}/maps": lambda pid=pid: self._maps(pid),  # type: ignore[misc]
                f"/proc/{pid}/smaps": lambda pid=pid: self._smaps(pid),  # type: ignore[misc]
                f"/proc/{pid}/exe": lambda: "",
                f"/proc/{pid}/cwd": lambda: "",
            }
        return found

    def _usage(self) -> int:
        return int(self.working_set()) + self.run.seed % 6000 * PAGE

    def _anon(self) -> int:
        return int(self.working_set() * RSS_SHARE) // PAGE * PAGE

    def _stat(self) -> str:
        usage, anon = self._usage(), self._anon()
        kernel = int(self.working_set() * KERNEL_SHARE)
        file = max(0, usage - anon - kernel)
        inactive = min(file, self.run.seed % 6000 * PAGE)
        fields = {
            "anon": anon,
            "file": file,
            "kernel": kernel,
            "kernel_stack": 32 * PAGE,
            "pagetables": 96 * PAGE,
            "sock": 0,
            "shmem": 0,
            "file_mapped": min(file, int(MAPPED)),
            "inactive_anon": 0,
            "active_anon": anon,
            "inactive_file": inactive,
            "active_file": file - inactive,
            "slab_reclaimable": kernel // 3,
            "slab_unreclaimable": kernel // 4,
            "slab": kernel // 3 + kernel // 4,
        }
        return "".join(f"{name} {value}\n" for name, value in fields.items())

    def _status(self, pid: int, command: tuple[str, ...]) -> str:
        anon = self._anon() // 1024 if pid == 1 else 96
        file = int(MAPPED) // 1024 if pid == 1 else 1400
        fields = {
            "Name": command[0].rpartition("/")[2][:15],
            "State": "S (sleeping)",
            "Pid": pid,
            "PPid": 0,
            "VmHWM": f"{anon + file:8} kB",
            "VmRSS": f"{anon + file:8} kB",
            "RssAnon": f"{anon:8} kB",
            "RssFile": f"{file:8} kB",
            "RssShmem": f"{0:8} kB",
            "VmSwap": f"{0:8} kB",
            "Threads": 14 if pid == 1 else 1,
        }
        return "".join(f"{name}:\t{value}\n" for name, value in fields.items())

    def _maps(self, pid: int) -> str:
        path = self.program.library or self.program.path
        return f"7f0000000000-7f0001200000 r-xp 00000000 00:2f 11 {path}\n" if pid == 1 else ""

    def _smaps(self, pid: int) -> str:
        if pid != 1:
            return ""
        heap = self._anon() // 1024
        parts = [
            ("c0000000-fa000000 rw-p 00000000 00:00 0 [heap]", heap, heap),
            (self._maps(1), 18 * 1024, 0),
        ]
        return "".join(
            f"{head.rstrip()}\nRss: {rss:15} kB\nPss: {rss:15} kB\nAnonymous: {anon:9} kB\n"
            for head, rss, anon in parts
        )

    def _ports(self) -> str:
        head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
        port = self.program.port
        line = f"   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000\n"
        return head + (line if port else "")

    def lives(self) -> bool:
        """Return whether the run has not ended."""
        return self._now() < min(self.run.end, self.container.timeline.ends, math.inf)
