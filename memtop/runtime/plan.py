"""A plan for a heap capture: what would be run, what it risks, and where the result would go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from memtop.cluster.exec import Place
from memtop.runtime.breakdown import Breakdown
from memtop.runtime.captures import Capture, How
from memtop.runtime.detect import Program
from memtop.runtime.probe import Probe
from memtop.wording import bytes_, duration, share

NEAR = 0.9
"""Share of the limit from which a capture is a risk by itself."""
NARROW = 2.0
"""A capture that takes more than one part in so many of the memory that is left is worth a warning."""


@dataclass(frozen=True, slots=True)
class Surroundings:
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
class Room:
    """What there is to capture into.

    Attributes:
        memory: The container's memory by kind; None where it does not show it.
        free_there: Bytes free where the container may write; None where that is not known.
        in_memory: Whether that place is a tmpfs, which counts as memory.
        free_here: Bytes free on this machine, where the result goes.
    """

    memory: Breakdown | None
    free_there: int | None
    in_memory: bool
    free_here: int


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that may go wrong, in a sentence.

    Attributes:
        words: The sentence.
        grave: Whether it is likely, or would cost the container its life.
    """

    words: str
    grave: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One capture, ready to be shown and, after a yes, to be taken.

    Attributes:
        place: The container.
        program: The process and its runtime.
        capture: What is done.
        room: What there is to capture into.
        surroundings: What it may run into.
        target: The file on this machine.
        probe: What the container answered.
    """

    place: Place
    program: Program
    capture: Capture
    room: Room
    surroundings: Surroundings
    target: Path
    probe: Probe

    def risks(self) -> tuple[Risk, ...]:
        """What may go wrong, with figures."""
        capture = self.capture
        found = [*self._memory_risks(), *self._disk_risks()]
        if capture.how is not How.LEFT:
            found.append(Risk(capture.cost))
        if self.surroundings.liveness is not None and capture.memory:
            found.append(
                Risk(
                    "A liveness probe that gets no answer for about "
                    f"{duration(self.surroundings.liveness)} has the kubelet restart the container."
                )
            )
        if capture.suffix not in (".pb.gz", "-histogram.txt", "-smaps.txt"):
            found.append(
                Risk("The file holds what the process knows, secrets included; here only you may read it.")
            )
        return tuple(sorted(found, key=lambda risk: not risk.grave))

    def _memory_risks(self) -> Iterator[Risk]:
        memory, capture = self.room.memory, self.capture
        takes = capture.memory + (capture.size if self.room.in_memory and capture.remote else 0)
        if self.room.in_memory and capture.remote and capture.how is not How.LEFT:
            yield Risk(f"{PurePosixPath(capture.remote).parent} is a tmpfs: the file counts as memory.", True)
        if memory is None or memory.limit is None or memory.headroom is None:
            if memory is not None and takes:
                yield Risk("The container has no memory limit: it is the node that could run out of memory.")
            return
        state = (
            f"working set {bytes_(memory.working_set)} of {bytes_(memory.limit)} "
            f"({share(memory.working_set / memory.limit)})"
        )
        if memory.working_set >= NEAR * memory.limit:
            yield Risk(
                f"The container is near its limit already ({state}): what allocates meanwhile may be what "
                "gets it OOM-killed.",
                True,
            )
        if takes > memory.headroom:
            yield Risk(
                f"It takes about {bytes_(takes)} and only {bytes_(memory.headroom)} is left ({state}): "
                "it may itself cause the OOM kill.",
                True,
            )
        elif takes * NARROW > memory.headroom:
            yield Risk(f"It takes about {bytes_(takes)} of the {bytes_(memory.headroom)} left ({state}).")

    def _disk_risks(self) -> Iterator[Risk]:
        capture, room = self.capture, self.room
        if room.free_here < capture.size:
            yield Risk(
                f"Only {bytes_(room.free_here)} is free here; it may need {bytes_(capture.size)}.", True
            )
        if not capture.remote or capture.how is How.LEFT:
            return
        if room.free_there is not None and room.free_there < capture.size:
            yield Risk(
                f"Only {bytes_(room.free_there)} is free in the container; "
                f"the file may need {bytes_(capture.size)}.",
                True,
            )
        limit = self.surroundings.disk_limit
        if limit is not None and limit < capture.size:
            yield Risk(
                f"The container may write {bytes_(limit)} (ephemeral-storage) before its pod is evicted; "
                f"the file may need {bytes_(capture.size)}.",
                True,
            )

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Name and value of what is to be done, for a person who decides."""
        capture, memory, room = self.capture, self.room.memory, self.room
        found = [
            ("container", f"{self.place.container} of {self.place.namespace}/{self.place.pod}"),
            ("process", self.program.words()),
        ]
        if capture.command:
            found.append(("runs there", capture.shown))
        found.append(("how", capture.how.value))
        if memory is not None:
            limit = "no limit" if memory.limit is None else f"limit {bytes_(memory.limit)}"
            left = "" if memory.headroom is None else f", {bytes_(memory.headroom)} left"
            found.append(("memory", f"working set {bytes_(memory.working_set)}, {limit}{left}"))
        if capture.size:
            found.append(("size", f"up to about {bytes_(capture.size)}"))
        if capture.remote and capture.how is not How.LEFT:
            found.append(("written there", f"{capture.remote} ({bytes_(room.free_there)} free)"))
        found.append(("kept here", f"{self.target} ({bytes_(room.free_here)} free)"))
        return tuple(found)
