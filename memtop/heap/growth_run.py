"""Finds out what grew: takes the captures of a plan, compares them, and says what else rose meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memtop.analysis.judgement import Verdict
from memtop.analysis.likely_causes import CauseFacts, GrownPart, LikelyCause, likely_causes
from memtop.background import run_in_thread
from memtop.heap.capture_methods import HeapCapture
from memtop.heap.capture_plan import CapturePlan, NothingToCaptureError, plan_captures
from memtop.heap.capture_run import (
    CAPTURE_FAILURES,
    CaptureFailedError,
    CaptureStep,
    TellStep,
    ask_goroutines,
)
from memtop.heap.capture_watch import RunIdentity, container_run, how_it_died, take_watched
from memtop.heap.cgroup_memory import MemoryBreakdown, NoCgroupFiguresError, read_breakdown
from memtop.heap.container_probe import NoShellError, probe_container
from memtop.heap.file_transfer import remove_file
from memtop.heap.growth_plan import GrowthPlan
from memtop.heap.jvm_memory import JvmMemory, ask_jvm_memory, beside_heap, jvm_sentences, resident_heap
from memtop.heap.runtime_detection import LanguageRuntime
from memtop.heap_files.heap_contents import HeapContents, HeapFileError, HeapFileKind
from memtop.heap_files.heap_growth import (
    LEAST_COUNT,
    HeapGrowth,
    compare_heaps,
    grower_sentence,
    grown_parts,
    signed_bytes,
    stands_out,
    whole_sentence,
)
from memtop.heap_files.heap_reader import read_heap, read_heap_file
from memtop.heap_files.text_reports import ARENA, read_memory_map
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef, run_command
from memtop.quantity import parse_whole
from memtop.sanitize import sanitize_bytes
from memtop.wording import bytes_, counted, duration

TICK_SECONDS = 1.0
TELLING_BYTES = 4 * 1024 * 1024
"""Change of a kind of memory that is worth a sentence."""
MOST_DISTURBANCE = 48 * 1024 * 1024
"""Bytes that a capture may take for the memory before and after it to be compared; jcmd takes 24 MiB."""
TELLING_COUNT = 4
"""Threads or files that have to be added to be worth a sentence; a pool of threads adds two by itself."""
MUCH_BESIDE = 8 * 1024 * 1024
"""Bytes that have to be added beside a heap to point to a cause: jcmd alone leaves some MiB behind."""
DIRECT_BUFFER = "java.nio.DirectByteBuffer"
_SHELL_MARK = "@memtop"


@dataclass(frozen=True, slots=True)
class ProcessMoment:
    """What a process and its container took at one moment; None where that could not be asked.

    Attributes:
        at: When, by a clock of this machine that does not jump.
        memory: The container's memory by kind.
        threads: Of the process.
        files: File descriptors that it has open.
        mappings: Its resident memory by mapping.
        jvm: What it says itself, where it is a JVM.
        goroutines: By function, where it is a Go program that serves profiles.
    """

    at: float
    memory: MemoryBreakdown | None = None
    threads: int | None = None
    files: int | None = None
    mappings: HeapContents | None = None
    jvm: JvmMemory | None = None
    goroutines: HeapContents | None = None


@dataclass(frozen=True, slots=True)
class WhatGrew:
    """The answer.

    Attributes:
        growth: What grew between the first capture and the last.
        floor_rate: Bytes an hour by which the container's memory rises: the verdict's, else as measured
            between the captures; None where neither is known.
        sentences: The answer in words, what matters most first.
        files: The captures that were compared.
        causes: What that points to, the likeliest first; none where nothing grew that stands out.
    """

    growth: HeapGrowth
    floor_rate: float | None
    sentences: tuple[str, ...]
    files: tuple[Path, ...]
    causes: tuple[LikelyCause, ...] = ()


async def find_what_grew(client: Client, plan: GrowthPlan, tell: TellStep) -> WhatGrew:
    """Does what a plan says.

    Args:
        client: As whom.
        plan: What was agreed to.
        tell: Told every step; must return at once.

    Raises:
        CaptureFailedError: A capture came to nothing, the container died, or a file cannot be read.
    """
    place = plan.capture.container_ref
    run = await container_run(client, place)
    files: list[Path] = []
    moments: list[ProcessMoment] = []
    if plan.earlier is not None:
        files.append(plan.earlier.path)
    capture = plan.capture
    rounds = 1 if plan.earlier is not None else plan.times
    for number in range(rounds):
        if number:
            await _wait(plan.seconds, plan.pace, f"capture {number + 1} of {rounds} comes in", tell)
            if died := await _ended(client, place, run):
                raise CaptureFailedError(
                    f"{died}, so the captures are of two different heaps", [f"{files[-1]} is kept"]
                )
            capture = await _planned_again(client, plan)
        moments.append(await look_at_process(client, capture))
        words = f"capture {number + 1} of {rounds}" if rounds > 1 else "the second capture"
        taken = await take_watched(client, capture, _prefixed(tell, words))
        if taken.left_file:
            await remove_file(client, place, taken.left_file)
        files.append(taken.path)
    tell(CaptureStep("reading the captures"))
    passed = moments[-1].at - moments[0].at if plan.earlier is None else time.time() - plan.earlier.taken
    seconds = passed * plan.pace
    moments = [replace(one, at=one.at * plan.pace) for one in moments]
    try:
        growth = await run_in_thread(_compare, files[0], files[-1], seconds)
    except HeapFileError as error:
        raise CaptureFailedError(str(error), [f"{one} is kept" for one in files]) from error
    if capture.capture.memory > MOST_DISTURBANCE:
        moments = []  # the first capture itself is most of what memory rose by
    return judge_growth(growth, moments, plan.floor_rate, tuple(files))


def _compare(first: Path, last: Path, seconds: float) -> HeapGrowth:
    return compare_heaps(read_heap_file(first, paths=False), read_heap_file(last), seconds)


def judge_growth(
    growth: HeapGrowth,
    moments: Sequence[ProcessMoment],
    floor_rate: float | None,
    files: tuple[Path, ...] = (),
) -> WhatGrew:
    """Puts together what the captures and the looks at the process say.

    Args:
        growth: What grew in the captures.
        moments: How the process was at the captures.
        floor_rate: The verdict's rate, bytes an hour; None where there is none.
        files: The captures.
    """
    first, last = (moments[0], moments[-1]) if len(moments) > 1 else (None, None)
    measured = _measured_rate(first, last) if first is not None and last is not None else None
    rise = floor_rate if floor_rate is not None and floor_rate > 0 else measured
    sentences = [grower_sentence(growth, rise), whole_sentence(growth, rise)]
    if first is not None and last is not None:
        sentences += _beside_the_heap(first, last)
        if first.jvm is not None and last.jvm is not None:
            sentences += jvm_sentences(first.jvm, last.jvm, _anon_rise(first, last), TELLING_BYTES)
        direct = next((one for one in growth.growers if one.name == DIRECT_BUFFER), None)
        if direct is not None and (direct.objects or 0) >= LEAST_COUNT:
            sentences.append(
                f"{direct.objects:,} more {DIRECT_BUFFER}: each is small and holds memory beside the heap."
            )
        if (added := _goroutine_growth(first, last)) is not None:
            sentences.append(f"{grower_sentence(added)[:-1]}: goroutines that wait and never end.")
    causes = likely_causes(_cause_facts(growth, rise, first, last))
    return WhatGrew(growth, rise, tuple(sentences), files, causes)


def _anon_rise(first: ProcessMoment, last: ProcessMoment) -> int | None:
    if first.memory is None or last.memory is None:
        return None
    return last.memory.anon - first.memory.anon


def _goroutine_growth(first: ProcessMoment, last: ProcessMoment) -> HeapGrowth | None:
    """How the goroutines changed; None where they did not become many more."""
    if first.goroutines is None or last.goroutines is None:
        return None
    growth = compare_heaps(first.goroutines, last.goroutines)
    return growth if stands_out(growth) and growth.growers else None


def _off_heap_rise(growth: HeapGrowth, first: ProcessMoment, last: ProcessMoment) -> float | None:
    """Bytes that were added beside the heap between two captures; None where that is not known.

    A JVM says how large its heap is. Of Python the objects are counted; what rose five times as much is
    not theirs.
    """
    rise = _anon_rise(first, last)
    if first.jvm is not None and last.jvm is not None:
        beside = beside_heap(first.jvm, last.jvm, rise)
        return None if beside is None else float(beside)
    if growth.kind is HeapFileKind.PYTHON_OBJECTS and rise is not None and growth.bytes is not None:
        return float(rise) if growth.bytes * 5 < rise else None
    return None


def _cause_facts(
    growth: HeapGrowth, rise: float | None, first: ProcessMoment | None, last: ProcessMoment | None
) -> CauseFacts:
    """What two captures know, for the rules of likely causes."""
    between: dict[str, tuple[float, float]] = {}
    off_heap = None
    parts = list(grown_parts(growth, rise))
    if first is not None and last is not None:
        looks = (("threads", first.threads, last.threads), ("file descriptors", first.files, last.files))
        between = {name: (float(had), float(has)) for name, had, has in looks if had and has}
        if first.mappings is not None and last.mappings is not None:
            arenas = [
                sum(one.objects or 0 for one in look.types if one.name == ARENA)
                for look in (first.mappings, last.mappings)
            ]
            held = [
                sum(one.bytes or 0 for one in look.types if one.name == ARENA)
                for look in (first.mappings, last.mappings)
            ]
            if arenas[1] > arenas[0] and held[1] - held[0] >= TELLING_BYTES:
                parts.append(GrownPart(ARENA, float(held[1] - held[0]), None, "", arenas[1] - arenas[0]))
        added = _goroutine_growth(first, last)
        waiting = grown_parts(added) if added is not None else ()
        named = (GrownPart(f"goroutine of {one.name}", 0.0, None, one.kept_by, one.count) for one in waiting)
        parts = [*named, *parts]
        off_heap = _off_heap_rise(growth, first, last)
    level = float(last.memory.working_set) if last is not None and last.memory is not None else None
    return CauseFacts(
        Verdict.LEAK if rise else Verdict.NOT_ENOUGH_DATA,
        rate=rise,
        level=level,
        grown=tuple(parts),
        between=between,
        off_heap=off_heap if off_heap is not None and off_heap >= MUCH_BESIDE else None,
    )


def _measured_rate(first: ProcessMoment, last: ProcessMoment) -> float | None:
    """Bytes an hour by which memory of processes grew between two moments; None where it hardly did."""
    if first.memory is None or last.memory is None or last.at <= first.at:
        return None
    rise = last.memory.anon - first.memory.anon
    return rise * 3600 / (last.at - first.at) if rise >= MUCH_BESIDE else None


def _beside_the_heap(first: ProcessMoment, last: ProcessMoment) -> Iterator[str]:
    """What rose or appeared that is no object of the heap, a sentence each."""
    if first.mappings is not None and last.mappings is not None:
        before = {one.name: one for one in first.mappings.types}
        for one in last.mappings.types:
            old = before.get(one.name)
            grew = (one.bytes or 0) - ((old.bytes or 0) if old is not None else 0)
            if one.name == ARENA:
                new = (one.objects or 0) - ((old.objects or 0) if old is not None else 0)
                if new > 0 and grew >= TELLING_BYTES:
                    yield (
                        f"{counted(new, 'arena')} of 64 MiB appeared ({signed_bytes(grew)} of them in use): "
                        "native memory of threads; MALLOC_ARENA_MAX=2 bounds it."
                    )
            elif grew >= TELLING_BYTES and one.name.startswith("/"):
                yield f"{one.name} is mapped with {signed_bytes(grew)}."
    for words, had, has in (
        ("threads", first.threads, last.threads),
        ("open files and connections", first.files, last.files),
    ):
        if had is not None and has is not None and has - had >= TELLING_COUNT:
            yield f"{has - had} more {words}: {has} now."
    if first.memory is not None and last.memory is not None:
        kinds = {
            "Page cache": (first.memory.file, last.memory.file, "the kernel drops it before it kills"),
            "Files in memory (tmpfs)": (first.memory.shared, last.memory.shared, "they count like heap"),
            "The kernel's memory": (
                first.memory.kernel,
                last.memory.kernel,
                "sockets, dentries, page tables",
            ),
        }
        for name, (old_bytes, new_bytes, note) in kinds.items():
            if new_bytes - old_bytes >= TELLING_BYTES:
                yield f"{name} grew by {bytes_(new_bytes - old_bytes)} to {bytes_(new_bytes)}: {note}."


async def look_at_process(client: Client, plan: CapturePlan) -> ProcessMoment:
    """How a process and its container are now; what cannot be asked is left out, and nothing fails."""
    at = time.monotonic()
    goroutines = await _goroutines(client, plan) if plan.capture.suffix == ".pb.gz" else None
    if not plan.probe.shell or not plan.probe.sections:
        return ProcessMoment(at, goroutines=goroutines)
    pid = plan.program.process.pid
    script = f"ls /proc/{pid}/fd | wc -l; echo {_SHELL_MARK}; cat /proc/{pid}/smaps"
    try:
        probe = await probe_container(client, plan.container_ref)
        said = await run_command(client, plan.container_ref, ["sh", "-c", script])
    except (NoShellError, *CAPTURE_FAILURES):
        return ProcessMoment(at)
    try:
        memory = read_breakdown(probe)
    except NoCgroupFiguresError:
        memory = None
    files, _, smaps = sanitize_bytes(said.output).partition(f"{_SHELL_MARK}\n")
    try:
        mappings = read_memory_map(smaps)
    except HeapFileError:
        mappings = None
    count = parse_whole(files) or 0
    process = next((one for one in memory.processes if one.pid == pid), None) if memory is not None else None
    jvm = None
    if plan.program.runtime is LanguageRuntime.JVM and "jcmd" in plan.probe.tools:
        with contextlib.suppress(*CAPTURE_FAILURES):
            jvm = await ask_jvm_memory(client, plan.container_ref, pid)
            jvm = replace(jvm, resident=resident_heap(smaps, jvm.ranges))
    threads = process.threads if process is not None else None
    return ProcessMoment(at, memory, threads, count or None, mappings, jvm, goroutines)


async def _goroutines(client: Client, plan: CapturePlan) -> HeapContents | None:
    """The goroutines of a program by function; None where they cannot be had."""
    try:
        profile = await ask_goroutines(client, plan)
        return await run_in_thread(read_heap, io.BytesIO(profile))
    except (HeapFileError, *CAPTURE_FAILURES):
        return None


async def _planned_again(client: Client, plan: GrowthPlan) -> CapturePlan:
    """The plan of the next capture, from a new look; nothing is taken where that has become a danger.

    Raises:
        CaptureFailedError: It cannot be taken, or would now be likely to kill the container.
    """
    first = plan.capture
    try:
        found = await plan_captures(client, first.container_ref, first.target.parent)
    except (NoShellError, NothingToCaptureError, *CAPTURE_FAILURES) as error:
        raise CaptureFailedError(f"the next capture could not be planned: {error}") from error
    again = next((one for one in found if _alike(one.capture, first.capture)), None)
    if again is None:
        raise CaptureFailedError(f"{first.capture.title} is not possible any more")
    known = {risk.sentence[:20] for risk in first.risks() if risk.is_severe}
    new = [risk.sentence for risk in again.risks() if risk.is_severe and risk.sentence[:20] not in known]
    if new:
        raise CaptureFailedError(
            f"the next capture was not taken, to do no harm: {new[0]}", ["the first is kept"]
        )
    return again


def _alike(one: HeapCapture, other: HeapCapture) -> bool:
    return (one.method, one.suffix, one.port, one.missing) == (other.method, other.suffix, other.port, "")


async def _ended(client: Client, place: ContainerRef, run: RunIdentity | None) -> str:
    now = await container_run(client, place)
    if run is None or now is None or now == run:
        return ""
    return await how_it_died(client, place, run)


async def _wait(seconds: float, pace: float, words: str, tell: TellStep) -> None:
    begun = time.monotonic()
    while (left := seconds / pace - (time.monotonic() - begun)) > 0:
        tell(CaptureStep(f"{words} {duration(left * pace)}", round(seconds / pace - left), 0))
        await asyncio.sleep(min(TICK_SECONDS, left))


def _prefixed(tell: TellStep, words: str) -> Callable[[CaptureStep], None]:
    return lambda step: tell(replace(step, words=f"{words}: {step.words}"))
