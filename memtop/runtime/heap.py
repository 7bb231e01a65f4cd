"""Looks into a container and proposes how to capture what its largest process holds."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError
from memtop.cluster.exec import Place
from memtop.quantity import bytes_or_none
from memtop.runtime.breakdown import NoFigures, breakdown
from memtop.runtime.captures import Capture, How, Means, captures
from memtop.runtime.detect import Runtime, detect
from memtop.runtime.plan import Plan, Room, Surroundings
from memtop.runtime.probe import FOLDERS, NoShell, Probe, ask_for_go, probe
from memtop.runtime.served import USUAL, Served, serving

_MOST_UNKNOWN = 5
_LISTENING = "0A"
_LEFT = re.compile(r"\s(\d+) \w+ +\d+ +[\d:]+ (/\S*/memtop-\S+)$")


class NothingToCapture(Exception):  # noqa: N818
    """The container has no process whose heap could be captured."""


async def plans(client: Client, place: Place, folder: Path) -> tuple[Plan, ...]:
    """Looks into a container and proposes captures of the process that holds the most; nothing is run.

    Args:
        client: As whom.
        place: The container.
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
    around = surroundings(await client.get(place.path), place.container)
    free_here = shutil.disk_usage(folder).free
    stamp = time.strftime("%Y%m%d-%H%M%S")
    try:
        asked = await probe(client, place)
    except (NoShell, ApiError) as error:
        if isinstance(error, ApiError) and error.status != 403:
            raise
        usual = () if around.host_network else USUAL  # there they would be the node's
        served = await serving(client, place, (*around.ports, *usual))
        if not served:
            raise
        return from_ports(place, served, around, folder, free_here, stamp)
    unknown = [program for program in detect(asked) if program.runtime is Runtime.UNKNOWN]
    pids = [program.process.pid for program in unknown[:_MOST_UNKNOWN]]
    asked = await ask_for_go(client, place, asked, pids)
    return propose(place, asked, around, folder, free_here, stamp)


def from_ports(
    place: Place, served: Sequence[Served], around: Surroundings, folder: Path, free_here: int, stamp: str
) -> tuple[Plan, ...]:
    """The plans where nothing but some ports, which serve Go's profiles, can be asked."""
    room = Room(None, None, in_memory=False, free_here=free_here)
    found = []
    for one in served:
        means = Means({}, "", stamp, [("127.0.0.1", one.port)])
        for capture in captures(one.program, means):
            if capture.how is How.PORT:
                target = folder / _name(place, capture, stamp)
                found.append(Plan(place, one.program, capture, room, around, target, Probe({}, shell=False)))
    return tuple(found)


def propose(
    place: Place, asked: Probe, around: Surroundings, folder: Path, free_here: int, stamp: str
) -> tuple[Plan, ...]:
    """The plans, from what is known; see `plans`.

    Raises:
        NothingToCapture: There is no process.
    """
    programs = detect(asked)
    if not programs:
        raise NothingToCapture(f"{place.container} shows no process whose heap could be captured")
    program = programs[0]
    try:
        memory = breakdown(asked)
    except NoFigures:
        memory = None
    writable = next((name for name in FOLDERS if name in asked.lines("writable")), "")
    room = Room(memory, _free(asked, writable), writable in _in_memory(asked), free_here)
    means = Means(asked.tools, writable, stamp, _ports(asked, around))
    found = sorted([*captures(program, means), *_left(asked)], key=lambda capture: bool(capture.missing))
    if not asked.shell:
        found = [capture for capture in found if capture.how in (How.OUTPUT, How.PORT)]
    return tuple(
        Plan(place, program, capture, room, around, folder / _name(place, capture, stamp), asked)
        for capture in found
    )


def surroundings(pod: bytes, container: str) -> Surroundings:
    """Reads a pod's JSON for what a capture may run into."""
    spec: dict[str, Any] = msgspec.json.decode(pod).get("spec") or {}
    containers: list[dict[str, Any]] = spec.get("containers") or []
    own = next((each for each in containers if each.get("name") == container), {})
    liveness = own.get("livenessProbe")
    seconds = None
    if liveness is not None:
        seconds = float(liveness.get("periodSeconds") or 10) * float(liveness.get("failureThreshold") or 3)
    quantity = ((own.get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
    disk = None if quantity is None else bytes_or_none(str(quantity))
    ports = tuple(int(port["containerPort"]) for port in own.get("ports") or () if "containerPort" in port)
    return Surroundings(seconds, disk, ports, bool(spec.get("hostNetwork")))


def _name(place: Place, capture: Capture, stamp: str) -> str:
    if capture.how is How.LEFT:
        return f"{place.pod}-{PurePosixPath(capture.remote).name}"
    return f"{place.pod}-{place.container}-{stamp}{capture.suffix}"


def _left(asked: Probe) -> Iterator[Capture]:
    """Files of earlier captures that are still in the container."""
    for line in asked.lines("left"):
        if (file := _LEFT.search(line)) is not None:
            path = file[2]
            size = next((int(word) for word in line.split()[4:5] if word.isdecimal()), 0)
            yield Capture(
                f"fetch {path}", How.LEFT, 0, (), PurePosixPath(path).suffix, "", remote=path, size=size
            )


def _free(asked: Probe, folder: str) -> int | None:
    """Bytes free in a folder of the container, as ``df -P -k`` says; the answers come in `FOLDERS`' order."""
    answers = [line.split() for line in asked.lines("space") if not line.startswith("Filesystem")]
    fitting = [words for words in answers if len(words) >= 6 and folder.startswith(words[5])]
    best = max(fitting, key=lambda words: len(words[5]), default=None)
    return int(best[3]) * 1024 if folder and best is not None and best[3].isdecimal() else None


def _in_memory(asked: Probe) -> set[str]:
    """Which of `FOLDERS` are in a tmpfs."""
    mounts = [line.split() for line in asked.lines("mounts")]
    kinds = {words[1]: words[2] for words in mounts if len(words) > 2}
    found = set()
    for folder in FOLDERS:
        above = [str(path) for path in (PurePosixPath(folder), *PurePosixPath(folder).parents)]
        kind = next((kinds[path] for path in above if path in kinds), "")
        if kind in ("tmpfs", "ramfs"):
            found.add(folder)
    return found


def _ports(asked: Probe, around: Surroundings) -> tuple[tuple[str, int], ...]:
    """TCP ports to ask for a profile: those that are listened on, the declared ones first."""
    listening: dict[int, str] = {}
    for line in asked.lines("ports"):
        words = line.split()
        if len(words) > 3 and words[3] == _LISTENING:
            address, _, port = words[1].partition(":")
            listening.setdefault(int(port, 16), _address(address))
    declared = [(listening.get(port, "127.0.0.1"), port) for port in around.ports]
    if around.host_network:
        return tuple(declared)  # what else listens there is the node's
    return (*declared, *((address, port) for port, address in listening.items() if port not in around.ports))


def _address(text: str) -> str:
    """An IPv4 address from ``/proc/net/tcp``, whose words are in the machine's (little-endian) order."""
    if len(text) != 8:
        return "127.0.0.1"
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(text)))
