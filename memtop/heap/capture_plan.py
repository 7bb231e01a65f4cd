"""Plans for heap captures: what would be run, what it risks, and where the result would go.

Planning looks into the container and runs no capture.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from memtop.heap.capture_methods import CaptureMeans, CaptureMethod, HeapCapture, possible_captures
from memtop.heap.cgroup_memory import MemoryBreakdown, NoCgroupFiguresError, read_breakdown
from memtop.heap.container_probe import (
    TEMP_FOLDERS,
    ContainerProbe,
    NoShellError,
    find_go_programs,
    find_writable_volumes,
    probe_container,
)
from memtop.heap.kept_captures import capture_name
from memtop.heap.python_objects import python_object_captures
from memtop.heap.runtime_detection import (
    USUAL_PPROF_PORTS,
    LanguageRuntime,
    PprofPort,
    RuntimeProgram,
    detect_programs,
    find_pprof_ports,
)
from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef
from memtop.kube.json_object import Json, decode_object, flag, has, number, objects, text
from memtop.quantity import bytes_or_none, parse_whole
from memtop.wording import bytes_, duration, share

NEAR_LIMIT = 0.9
"""Share of the limit from which a capture is a risk by itself."""
TIGHT_FACTOR = 2.0
"""A capture that takes more than one part in so many of the memory that is left is worth a warning."""


@dataclass(frozen=True, slots=True)
class CaptureConstraints:
    """What a container's specification says that a capture may run into.

    Attributes:
        liveness: Seconds without an answer after which the kubelet restarts it; None without a probe.
        disk_limit: Bytes it may write before its pod is evicted; None without a limit.
        ports: Container ports that are declared.
        host_network: Whether the node's ports are its own.
    """

    liveness: float | None = None
    disk_limit: int | None = None
    ports: tuple[int, ...] = ()
    host_network: bool = False


@dataclass(frozen=True, slots=True)
class CaptureSpace:
    """What there is to capture into.

    Attributes:
        memory: The container's memory by kind; None where it does not show it.
        free_there: Bytes free where the container may write; None where that is not known.
        in_memory: Whether that place is a tmpfs, which counts as memory.
        free_here: Bytes free on this machine, where the result goes.
    """

    memory: MemoryBreakdown | None
    free_there: int | None
    in_memory: bool
    free_here: int


@dataclass(frozen=True, slots=True)
class CaptureRisk:
    """Something that may go wrong, in a sentence.

    Attributes:
        sentence: The sentence.
        is_severe: Whether it is likely, or would cost the container its life.
    """

    sentence: str
    is_severe: bool = False


@dataclass(frozen=True, slots=True)
class CapturePlan:
    """One capture, ready to be shown and, after a yes, to be taken.

    Attributes:
        container_ref: The container.
        program: The process and its runtime.
        capture: What is done.
        space: What there is to capture into.
        constraints: What it may run into.
        target: The file on this machine.
        probe: What the container answered.
    """

    container_ref: ContainerRef
    program: RuntimeProgram
    capture: HeapCapture
    space: CaptureSpace
    constraints: CaptureConstraints
    target: Path
    probe: ContainerProbe

    def risks(self) -> tuple[CaptureRisk, ...]:
        """What may go wrong, with figures."""
        capture = self.capture
        found = [*self._memory_risks(), *self._disk_risks()]
        folder = str(PurePosixPath(capture.remote).parent) if capture.remote else ""
        if capture.method is CaptureMethod.FILE and folder and folder not in TEMP_FOLDERS:
            found.append(
                CaptureRisk(
                    f"/tmp cannot be written, so the file goes to {folder}, a volume of the program's own, "
                    "and takes its room until it is removed."
                )
            )
        if capture.method is not CaptureMethod.LEFT:
            found.append(CaptureRisk(capture.cost))
        if self.constraints.liveness is not None and capture.memory:
            found.append(
                CaptureRisk(
                    "A liveness probe that gets no answer for about "
                    f"{duration(self.constraints.liveness)} has the kubelet restart the container."
                )
            )
        if capture.suffix not in (".pb.gz", "-histogram.txt", "-smaps.txt"):
            found.append(
                CaptureRisk(
                    "The file holds what the process knows, secrets included; here only you may read it."
                )
            )
        return tuple(sorted(found, key=lambda risk: not risk.is_severe))

    def _memory_risks(self) -> Iterator[CaptureRisk]:
        memory, capture = self.space.memory, self.capture
        takes = capture.memory + (capture.size if self.space.in_memory and capture.remote else 0)
        if self.space.in_memory and capture.remote and capture.method is not CaptureMethod.LEFT:
            yield CaptureRisk(
                f"{PurePosixPath(capture.remote).parent} is a tmpfs: the file counts as memory.", True
            )
        if memory is None or memory.limit is None or memory.headroom is None:
            if memory is not None and takes:
                yield CaptureRisk(
                    "The container has no memory limit: it is the node that could run out of memory."
                )
            return
        state = (
            f"working set {bytes_(memory.working_set)} of {bytes_(memory.limit)} "
            f"({share(memory.working_set / memory.limit)})"
        )
        if memory.working_set >= NEAR_LIMIT * memory.limit:
            yield CaptureRisk(
                f"The container is near its limit already ({state}): what allocates meanwhile may be what "
                "gets it OOM-killed.",
                True,
            )
        if takes > memory.headroom:
            yield CaptureRisk(
                f"It takes about {bytes_(takes)} and only {bytes_(memory.headroom)} is left ({state}): "
                "it may itself cause the OOM kill.",
                True,
            )
        elif takes * TIGHT_FACTOR > memory.headroom:
            yield CaptureRisk(
                f"It takes about {bytes_(takes)} of the {bytes_(memory.headroom)} left ({state})."
            )

    def _disk_risks(self) -> Iterator[CaptureRisk]:
        capture, space = self.capture, self.space
        if space.free_here < capture.size:
            yield CaptureRisk(
                f"Only {bytes_(space.free_here)} is free here; it may need {bytes_(capture.size)}.", True
            )
        if not capture.remote or capture.method is CaptureMethod.LEFT:
            return
        if space.free_there is not None and space.free_there < capture.size:
            yield CaptureRisk(
                f"Only {bytes_(space.free_there)} is free in the container; "
                f"the file may need {bytes_(capture.size)}.",
                True,
            )
        limit = self.constraints.disk_limit
        if limit is not None and limit < capture.size:
            yield CaptureRisk(
                f"The container may write {bytes_(limit)} (ephemeral-storage) before its pod is evicted; "
                f"the file may need {bytes_(capture.size)}.",
                True,
            )

    def _beside_words(self) -> str:
        """That there are other programs of its runtime, where there are."""
        pid = self.program.process.pid
        others = [
            one.process
            for one in detect_programs(self.probe)
            if one.runtime is self.program.runtime is not LanguageRuntime.UNKNOWN and one.process.pid != pid
        ]
        if not others:
            return ""
        told = ", ".join(f"PID {one.pid} holds {bytes_(one.anon)}" for one in others[:MOST_PROGRAMS])
        return f"; not the only {self.program.runtime} here: {told}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Name and value of what is to be done, for a person who decides."""
        capture, memory, space = self.capture, self.space.memory, self.space
        found = [
            (
                "container",
                f"{self.container_ref.container} of {self.container_ref.namespace}/{self.container_ref.pod}",
            ),
            ("process", f"{self.program.words()}{self._beside_words()}"),
        ]
        if capture.command:
            found.append(("runs there", capture.command_text))
        found.append(("how", capture.method.value))
        if memory is not None:
            limit = "no limit" if memory.limit is None else f"limit {bytes_(memory.limit)}"
            left = "" if memory.headroom is None else f", {bytes_(memory.headroom)} left"
            found.append(("memory", f"working set {bytes_(memory.working_set)}, {limit}{left}"))
        if capture.size:
            found.append(("size", f"up to about {bytes_(capture.size)}"))
        if capture.remote and capture.method is not CaptureMethod.LEFT:
            found.append(("written there", f"{capture.remote} ({bytes_(space.free_there)} free)"))
        found.append(("kept here", f"{self.target} ({bytes_(space.free_here)} free)"))
        return tuple(found)


_MOST_UNKNOWN = 5
_TCP_LISTEN = "0A"
_STAMP = re.compile(r"\d{8}-\d{6}(-\d{1,9})?")
_LEFT_FILE = re.compile(r"\s(\d+) \w+ +\d+ +[\d:]+ (/\S*/memtop-\S+)$")


class NothingToCaptureError(Exception):
    """The container has no process whose heap could be captured."""


async def plan_captures(client: Client, container_ref: ContainerRef, folder: Path) -> tuple[CapturePlan, ...]:
    """Looks into a container and proposes captures of the process that holds the most; nothing is run.

    Args:
        client: As whom.
        container_ref: The container.
        folder: Where results go on this machine.

    Returns:
        The plans, the most telling first; those whose capture is ``missing`` something come last.

    Raises:
        NothingToCapture: There is no process.
        NoShell: There is nothing in the image to ask with, and no port serves Go's profiles.
        NotRunning: The container does not run.
        ApiError: It is forbidden.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
    """
    constraints = capture_constraints(await client.get(container_ref.path), container_ref.container)
    free_here = shutil.disk_usage(folder).free
    stamp = time.strftime("%Y%m%d-%H%M%S")
    try:
        probe = await probe_container(client, container_ref)
    except (NoShellError, ApiError) as error:
        if isinstance(error, ApiError) and error.status != 403:
            raise
        usual = () if constraints.host_network else USUAL_PPROF_PORTS  # there they would be the node's
        served = await find_pprof_ports(client, container_ref, (*constraints.ports, *usual))
        if not served:
            raise
        return plans_from_ports(container_ref, served, constraints, folder, free_here, stamp)
    unknown = [program for program in detect_programs(probe) if program.runtime is LanguageRuntime.UNKNOWN]
    pids = [program.process.pid for program in unknown[:_MOST_UNKNOWN]]
    probe = await find_go_programs(client, container_ref, probe, pids)
    probe = await find_writable_volumes(client, container_ref, probe)
    return plans_from_probe(container_ref, probe, constraints, folder, free_here, stamp)


def plans_from_ports(
    container_ref: ContainerRef,
    served: Sequence[PprofPort],
    constraints: CaptureConstraints,
    folder: Path,
    free_here: int,
    stamp: str,
) -> tuple[CapturePlan, ...]:
    """The plans where nothing but some ports, which serve Go's profiles, can be asked."""
    space = CaptureSpace(None, None, in_memory=False, free_here=free_here)
    found = []
    for one in served:
        means = CaptureMeans({}, "", stamp, [("127.0.0.1", one.port)])
        for capture in possible_captures(one.program, means):
            if capture.method is CaptureMethod.PORT:
                target = folder / _capture_file_name(container_ref, capture, stamp)
                found.append(
                    CapturePlan(
                        container_ref,
                        one.program,
                        capture,
                        space,
                        constraints,
                        target,
                        ContainerProbe({}, shell=False),
                    )
                )
    return tuple(found)


def plans_from_probe(
    container_ref: ContainerRef,
    probe: ContainerProbe,
    constraints: CaptureConstraints,
    folder: Path,
    free_here: int,
    stamp: str,
) -> tuple[CapturePlan, ...]:
    """The plans, from what is known; see `plans`.

    Raises:
        NothingToCapture: There is no process.
    """
    programs = detect_programs(probe)
    if not programs:
        raise NothingToCaptureError(
            f"{container_ref.container} shows no process whose heap could be captured"
        )
    program = programs[0]
    try:
        memory = read_breakdown(probe)
    except NoCgroupFiguresError:
        memory = None
    closed = _read_only_folders(probe)  # which `test -w` of BusyBox calls writable when root asks
    writable = next((name for name in probe.lines("writable") if name.strip() and name not in closed), "")
    space = CaptureSpace(memory, _free_bytes(probe, writable), writable in _tmpfs_folders(probe), free_here)
    means = CaptureMeans(probe.tools, writable, stamp, _ports_to_ask(probe, constraints))
    own = list(_captures_of(program, means))
    for other in _others_like(programs)[: MOST_PROGRAMS - 1]:
        which = f" of PID {other.process.pid}: {' '.join(other.process.command[-1:])}"
        own += [replace(one, title=f"{one.title}{which}") for one in _captures_of(other, means)]
    found = sorted([*own, *_files_left(probe)], key=lambda capture: bool(capture.missing))
    if not probe.shell:
        found = [capture for capture in found if capture.method in (CaptureMethod.OUTPUT, CaptureMethod.PORT)]
    return tuple(
        CapturePlan(
            container_ref,
            next((one for one in programs if one.process.pid == capture.pid), program),
            capture,
            space,
            constraints,
            folder / _capture_file_name(container_ref, capture, stamp),
            probe,
        )
        for capture in found
    )


MOST_PROGRAMS = 3
"""Programs of one runtime in a container that are offered, the largest first."""


def _captures_of(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    if program.runtime is LanguageRuntime.PYTHON:
        yield from python_object_captures(program, means)
    yield from possible_captures(program, means)


def _others_like(programs: Sequence[RuntimeProgram]) -> list[RuntimeProgram]:
    """The other programs of the largest one's runtime, as where two JVMs run in one container."""
    first = programs[0]
    same = first.runtime is not LanguageRuntime.UNKNOWN
    return [one for one in programs[1:] if same and one.runtime is first.runtime]


def capture_constraints(pod: bytes, container: str) -> CaptureConstraints:
    """Reads a pod's JSON for what a capture may run into.

    Raises:
        Unreachable: It is no object.
    """
    found = decode_object(pod, "the pod")
    own: Json = {}
    for one in objects(found, "spec", "containers"):
        if text(one, "name") == container:
            own = one
    seconds = None
    if has(own, "livenessProbe"):
        period = number(own, "livenessProbe", "periodSeconds") or 10
        seconds = float(period * (number(own, "livenessProbe", "failureThreshold") or 3))
    disk = bytes_or_none(text(own, "resources", "limits", "ephemeral-storage"))
    ports = (number(port, "containerPort") for port in objects(own, "ports"))
    known = tuple(port for port in ports if port is not None)
    return CaptureConstraints(seconds, disk, known, flag(found, "spec", "hostNetwork"))


def _capture_file_name(container_ref: ContainerRef, capture: HeapCapture, stamp: str) -> str:
    """The name of the local file; a file that was left there keeps the time that it was made."""
    if capture.method is CaptureMethod.LEFT and (made := _STAMP.search(capture.remote)) is not None:
        stamp = made[0]
    return capture_name(container_ref, stamp, capture.suffix)


def _files_left(probe: ContainerProbe) -> Iterator[HeapCapture]:
    """Files of earlier captures that are still in the container."""
    for line in probe.lines("left"):
        if (file := _LEFT_FILE.search(line)) is not None:
            path = file[2]
            size = next((parse_whole(word) or 0 for word in line.split()[4:5]), 0)
            yield HeapCapture(
                f"fetch {path}",
                CaptureMethod.LEFT,
                0,
                (),
                PurePosixPath(path).suffix,
                "",
                remote=path,
                size=size,
            )


def _free_bytes(probe: ContainerProbe, folder: str) -> int | None:
    """Bytes free in a folder of the container, as ``df -P -k`` says."""
    answers = [line.split() for line in probe.lines("space") if not line.startswith("Filesystem")]
    fitting = [words for words in answers if len(words) >= 6 and folder.startswith(words[5])]
    best = max(fitting, key=lambda words: len(words[5]), default=None)
    free = parse_whole(best[3]) if folder and best is not None else None
    return None if free is None else free * 1024


def _tmpfs_folders(probe: ContainerProbe) -> set[str]:
    """Which of the folders that may be written to are in a tmpfs."""
    return {folder for folder, mount in _mounts(probe).items() if mount[0] in ("tmpfs", "ramfs")}


def _read_only_folders(probe: ContainerProbe) -> set[str]:
    """Which of those folders are on a file system that is mounted read-only."""
    return {folder for folder, mount in _mounts(probe).items() if "ro" in mount[1].split(",")}


def _mounts(probe: ContainerProbe) -> dict[str, tuple[str, str]]:
    """The file system of each of those folders, and the options that it is mounted with."""
    mounts = [line.split() for line in probe.lines("mounts")]
    known = {words[1]: (words[2], words[3]) for words in mounts if len(words) > 3}
    found = {}
    for folder in dict.fromkeys((*TEMP_FOLDERS, *probe.lines("writable"))):
        above = [str(path) for path in (PurePosixPath(folder), *PurePosixPath(folder).parents)]
        mount = next((known[path] for path in above if path in known), None)
        if mount is not None:
            found[folder] = mount
    return found


def _ports_to_ask(probe: ContainerProbe, constraints: CaptureConstraints) -> tuple[tuple[str, int], ...]:
    """TCP ports to ask for a profile: those that are listened on, the declared ones first."""
    listening: dict[int, str] = {}
    for line in probe.lines("ports"):
        words = line.split()
        if len(words) > 3 and words[3] == _TCP_LISTEN:
            address, _, port = words[1].partition(":")
            listening.setdefault(int(port, 16), _ipv4_address(address))
    declared = [(listening.get(port, "127.0.0.1"), port) for port in constraints.ports]
    if constraints.host_network:
        return tuple(declared)  # what else listens there is the node's
    return (
        *declared,
        *((address, port) for port, address in listening.items() if port not in constraints.ports),
    )


def _ipv4_address(text: str) -> str:
    """An IPv4 address from ``/proc/net/tcp``, whose words are in the machine's (little-endian) order."""
    if len(text) != 8:
        return "127.0.0.1"
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(text)))
