"""Watches a container from outside while its heap is captured: its memory each second, and whether it lives.

A capture may take several times the heap. Where the container comes near its limit the capture is given up;
what the runtime has begun may go on (no runtime can be told to stop), but nothing is added to it, and a death
is reported as what it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from memtop.heap.capture_methods import CaptureMethod
from memtop.heap.capture_plan import CapturePlan
from memtop.heap.capture_run import CaptureFailedError, CaptureStep, TakenCapture, TellStep, take_capture
from memtop.heap.cgroup_memory import MemoryBreakdown, keyed_numbers
from memtop.heap.container_probe import CGROUP_V1, CGROUP_V2
from memtop.heap.file_transfer import partial_path
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef, NoSuchProgram, NotRunning, run_command
from memtop.kube.json_object import decode_object, mapping, number, objects, text, uid_of
from memtop.quantity import parse_whole
from memtop.wording import bytes_, share

T = TypeVar("T")
WATCH_SECONDS = 1.0
"""Seconds between two looks; a snapshot of Node.js takes 100 MiB in about one."""
STOP_SHARE = 0.97
"""Share of the limit, without page cache that can be dropped, at which a capture is given up."""
_DEATH_SECONDS = 6.0
"""Seconds until the kubelet tells of a death."""
_FAILURES = (ApiError, Unreachable, CredentialError, NotRunning, NoSuchProgram)


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Which run of a container it is, and how the one before ended.

    Attributes:
        restarts: How often it was started again.
        identifier: The run's own.
        ended: How the last run that ended did, in words; empty where none has.
        pod: The pod's own identifier: another pod may have the same name.
    """

    restarts: int
    identifier: str
    ended: str
    pod: str


async def container_run(client: Client, place: ContainerRef) -> RunIdentity | None:
    """Which run of a container it is; None where the cluster does not say."""
    try:
        said = decode_object(await client.get(place.path), "the pod")
    except _FAILURES:
        return None
    statuses = objects(said, "status", "containerStatuses")
    own = next((one for one in statuses if text(one, "name") == place.container), None)
    if own is None:
        return None
    ended = mapping(own, "state", "terminated") or mapping(own, "lastState", "terminated")
    words = ""
    if ended:
        words = f"{text(ended, 'reason') or 'no reason given'}, exit code {number(ended, 'exitCode')}"
    return RunIdentity(number(own, "restartCount") or 0, text(own, "containerID"), words, uid_of(said))


async def how_it_died(client: Client, place: ContainerRef, before: RunIdentity | None) -> str:
    """A sentence on how a container ended since; empty if it did not, as far as can be told."""
    if before is None:
        return ""
    deadline = asyncio.get_running_loop().time() + _DEATH_SECONDS
    while True:
        now = await container_run(client, place)
        if now is not None and now.pod != before.pod:
            return f"{place.pod} has been replaced meanwhile"
        if now is not None and (now.identifier, now.restarts, now.ended) != (
            before.identifier,
            before.restarts,
            before.ended,
        ):
            how = f" ({now.ended})" if now.ended else ""
            return f"{place.container} has died meanwhile{how}"
        if asyncio.get_running_loop().time() > deadline:
            return ""
        await asyncio.sleep(WATCH_SECONDS)


async def take_watched(client: Client, plan: CapturePlan, tell: TellStep) -> TakenCapture:
    """Takes a capture and watches the container meanwhile.

    Args:
        client: As whom.
        plan: What was agreed to.
        tell: Told every step, with the memory that the container takes.

    Raises:
        CaptureFailedError: It came to nothing, was given up, or the container died meanwhile.
    """
    before = await container_run(client, plan.container_ref)
    last = CaptureStep("beginning")
    memory = ""

    def say(step: CaptureStep) -> None:
        nonlocal last
        last = step
        tell(replace(step, words=f"{step.words}{memory}"))

    def see(words: str) -> None:
        nonlocal memory
        memory = f" · {words}"
        say(last)

    try:
        return await _while_watched(
            lambda: take_capture(client, plan, say), lambda: _watch_memory(client, plan, see)
        )
    except CaptureFailedError as error:
        died = await how_it_died(client, plan.container_ref, before)
        if not died:
            raise
        raise _after_death(plan, died, error) from error


def _after_death(plan: CapturePlan, died: str, error: CaptureFailedError) -> CaptureFailedError:
    """The failure of a capture whose container is gone: there is nothing to take up again there."""
    with contextlib.suppress(OSError):
        partial_path(plan.target).unlink(missing_ok=True)
    left = (
        [f"what was written to {plan.container_ref.container} is gone with its file system"]
        if error.remote
        else []
    )
    return CaptureFailedError(f"{died}; the capture ended with it: {error}", left)


async def _while_watched(work: Callable[[], Awaitable[T]], watch: Callable[[], Awaitable[str]]) -> T:
    """Does something unless what watches it says why not to go on."""
    working = asyncio.ensure_future(work())
    watching = asyncio.ensure_future(watch())
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done() and (why := watching.result()):
            working.cancel()
            await asyncio.wait([working])
            raise CaptureFailedError(why)
        return await working
    finally:
        for one in (working, watching):
            one.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _watch_memory(client: Client, plan: CapturePlan, see: Callable[[str], None]) -> str:
    """Looks at the container's memory each second; returns why the capture is given up.

    Ends without a word where it cannot be looked at; then only its death will tell.
    """
    memory = plan.space.memory
    if memory is None or memory.limit is None or plan.capture.method is CaptureMethod.LEFT:
        return ""
    base, names = (
        (CGROUP_V2, ("memory.current", "memory.stat"))
        if memory.version == 2
        else (CGROUP_V1, ("memory.usage_in_bytes", "memory.stat"))
    )
    command = ["cat", *(f"{base}/{name}" for name in names)]
    failures = 0
    while failures < 3:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            done = await run_command(client, plan.container_ref, command, timeout=10.0)
        except _FAILURES:
            failures += 1  # the node may be busy with just this capture
            continue
        used = unreclaimable_bytes(done.output.decode("utf-8", "replace"), memory)
        if used is None:
            failures += 1
            continue
        part = used / memory.limit
        see(f"memory {bytes_(used)} of {bytes_(memory.limit)}, {share(part)}")
        if part >= STOP_SHARE:
            return (
                f"given up: the container takes {bytes_(used)} of its {bytes_(memory.limit)} "
                f"({share(part)}), and the capture would be what gets it OOM-killed"
            )
    return ""


def unreclaimable_bytes(text: str, memory: MemoryBreakdown) -> int | None:
    """What is in use without page cache, from the usage and ``memory.stat``; None without them."""
    first, _, rest = text.partition("\n")
    used = parse_whole(first)
    if used is None:
        return None
    stat = keyed_numbers(rest)
    if memory.version == 2:
        cache = stat.get("file", 0) - stat.get("shmem", 0)
    else:
        cache = stat.get("total_cache", 0) - stat.get("total_shmem", 0)
    return used - max(0, cache)
