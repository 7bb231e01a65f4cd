"""Takes a planned heap capture: runs it, brings the result here, and says what is left in the container."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import aiohttp

from config.private_files import give_name, open_new, private_folder
from memtop.background import run_in_thread
from memtop.heap.capture_methods import CaptureMethod
from memtop.heap.capture_plan import CapturePlan
from memtop.heap.file_transfer import (
    TransferFailedError,
    arrived_bytes,
    fetch_file,
    measure_file,
    partial_path,
    remove_file,
    verify_file,
)
from memtop.heap.nodejs_inspector import take_heap_snapshot
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.client import Client
from memtop.kube.container_exec import (
    ExecChannel,
    NoSuchProgram,
    NotRunning,
    execute,
    exit_code_of,
    run_command,
)
from memtop.kube.websocket import PortForward
from memtop.sanitize import sanitize, sanitize_bytes

CAPTURE_FAILURES = (
    TransferFailedError,
    Unreachable,
    ApiError,
    CredentialError,
    NotRunning,
    NoSuchProgram,
    OSError,
)
LONGEST_CAPTURE_SECONDS = 3600.0
"""Seconds that a capture may take inside the container."""
WRITING_SECONDS = 300.0
"""Seconds that a process may take to begin the file it was signalled to write."""
_MOST_ERROR_BYTES = 4000


@dataclass(frozen=True, slots=True)
class CaptureStep:
    """How far a capture is.

    Attributes:
        words: What is being done.
        bytes_done: Bytes that have arrived.
        size: Bytes in all; 0 where that is not known.
    """

    words: str
    bytes_done: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class TakenCapture:
    """A capture that is here.

    Attributes:
        path: The file.
        size: Bytes.
        verification: What of it was verified, in words.
        left_file: What is still in the container: a file's path; empty if nothing is.
    """

    path: Path
    size: int
    verification: str
    left_file: str = ""


class CaptureFailedError(Exception):
    """A capture came to nothing, or not to its end; the sentence says why.

    Attributes:
        left: What is left where, a sentence each.
        remote: The file in the container that a transfer can be taken up from; empty if there is none.
    """

    def __init__(self, message: str, left: Sequence[str] = (), remote: str = "") -> None:
        super().__init__(message)
        self.left = tuple(left)
        self.remote = remote


TellStep = Callable[[CaptureStep], None]


async def take_capture(client: Client, plan: CapturePlan, tell: TellStep) -> TakenCapture:
    """Captures a heap as planned.

    Args:
        client: As whom.
        plan: What was agreed to.
        tell: Told every step; must return at once.

    Raises:
        CaptureFailed: It came to nothing, or not to its end.
    """
    capture = plan.capture
    try:
        private_folder(plan.target.parent)
    except OSError as error:
        raise CaptureFailedError(_error_words(error)) from error
    if capture.method in (CaptureMethod.OUTPUT, CaptureMethod.PORT, CaptureMethod.INSPECTOR):
        return await _capture_directly(client, plan, tell)
    remote = capture.remote
    if capture.method is not CaptureMethod.LEFT:
        remote = await _write_in_container(client, plan, tell)
    return await fetch_capture(client, plan, remote, tell)


async def fetch_capture(client: Client, plan: CapturePlan, path: str, tell: TellStep) -> TakenCapture:
    """Brings a captured file here, beginning where an earlier try ended.

    Raises:
        CaptureFailed: It did not arrive; it is still in the container, and can be asked for again.
    """
    try:
        tell(CaptureStep(f"measuring {path}"))
        remote = await measure_file(client, plan.container_ref, path, plan.probe.tools)
        moving = f"bringing {path} here"

        def progress(done: int, size: int) -> None:
            tell(CaptureStep(moving, done, size))

        await fetch_file(client, remote, plan.target, progress)
        tell(CaptureStep("verifying", remote.size, remote.size))
        checked = await verify_file(remote, plan.target)
    except CAPTURE_FAILURES as error:
        raise CaptureFailedError(_error_words(error), _left_behind(plan, path), path) from error
    return TakenCapture(plan.target, remote.size, checked, path)


async def _write_in_container(client: Client, plan: CapturePlan, tell: TellStep) -> str:
    """Has the file written in the container; returns its path."""
    capture = plan.capture
    try:
        before = (
            await _snapshot_files(client, plan) if capture.method is CaptureMethod.SIGNAL else frozenset()
        )
    except CAPTURE_FAILURES as error:
        raise CaptureFailedError(_error_words(error)) from error
    tell(CaptureStep(f"running {capture.command_text}"))
    try:
        done = await run_command(
            client,
            plan.container_ref,
            capture.command,
            timeout=LONGEST_CAPTURE_SECONDS,
            most=_MOST_ERROR_BYTES,
        )
        said = sanitize_bytes(done.errors + done.output).strip()
        if done.code != 0 or capture.success_text not in said:
            why = said.splitlines()[-1] if said else "it said nothing"
            raise TransferFailedError(f"{capture.command[0]} failed (exit code {done.code}): {why}")
        if capture.method is CaptureMethod.SIGNAL:
            return await _wait_for_snapshot(client, plan, before)
    except CAPTURE_FAILURES as error:
        raise CaptureFailedError(_error_words(error), await _clean_up(client, plan)) from error
    return capture.remote


async def _clean_up(client: Client, plan: CapturePlan) -> tuple[str, ...]:
    """Deletes what a failed command may have begun to write; says so if that fails."""
    if not plan.capture.remote:
        return ()
    why = await remove_file(client, plan.container_ref, plan.capture.remote)
    return (f"{plan.capture.remote} may be left in {plan.container_ref.container}: {why}",) if why else ()


async def _snapshot_files(client: Client, plan: CapturePlan) -> frozenset[str]:
    """The heap snapshots in the process's working directory."""
    pattern = f"/proc/{plan.capture.pid}/cwd/*.heapsnapshot"
    with contextlib.suppress(Unreachable):
        done = await run_command(client, plan.container_ref, ["sh", "-c", f"ls -1 {pattern} 2>/dev/null"])
        return frozenset(sanitize_bytes(done.output).splitlines())
    return frozenset()


async def _wait_for_snapshot(client: Client, plan: CapturePlan, before: frozenset[str]) -> str:
    """Waits until a new snapshot is there and does not grow any more."""
    size = -1
    for _ in range(int(WRITING_SECONDS)):
        new = sorted(await _snapshot_files(client, plan) - before)
        if new:
            remote = await measure_file(client, plan.container_ref, new[-1], {})
            if remote.size and remote.size == size:
                return f"{plan.program.process.folder}/{PurePosixPath(new[-1]).name}".replace("//", "/")
            size = remote.size
        await asyncio.sleep(1.0)
    raise Unreachable("the process has written no heap snapshot within five minutes of the signal")


async def _capture_directly(client: Client, plan: CapturePlan, tell: TellStep) -> TakenCapture:
    """Keeps here what a command or a port gives, without a file in the container."""
    capture, part = plan.capture, partial_path(plan.target)
    words = f"running {capture.command_text}" if capture.command else f"asking port {capture.port}"
    tell(CaptureStep(words))
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(open_new(part), "wb") as file:
            if capture.method is CaptureMethod.OUTPUT:
                await _keep_output(client, plan, file, lambda: tell(CaptureStep(words, file.tell())))
            elif capture.method is CaptureMethod.INSPECTOR:

                async def signal() -> None:
                    await run_command(client, plan.container_ref, capture.command)

                await take_heap_snapshot(
                    client,
                    plan.container_ref,
                    capture.port,
                    signal,
                    file,
                    lambda done: tell(CaptureStep(words, done)),
                )
            else:
                await _download_profile(client, plan, file)
        checked = await run_in_thread(_check_complete, part)
        give_name(part, plan.target)
    except CAPTURE_FAILURES as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise CaptureFailedError(_error_words(error)) from error
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return TakenCapture(plan.target, plan.target.stat().st_size, checked)


async def _keep_output(client: Client, plan: CapturePlan, file: BinaryIO, tell: Callable[[], None]) -> None:
    said = b""
    async with execute(client, plan.container_ref, plan.capture.command) as execution:
        async for channel, data in execution:
            if channel is ExecChannel.ERRORS:
                said = (said + data)[:_MOST_ERROR_BYTES]
            else:
                file.write(data)
                tell()
    code = exit_code_of(execution, plan.capture.command)
    if code != 0:
        raise Unreachable(
            f"{plan.capture.command[0]} ended with exit code {code}: {sanitize_bytes(said).strip()}"
        )


async def ask_goroutines(client: Client, plan: CapturePlan) -> bytes:
    """The profile of a Go program's goroutines, from where its heap profile comes; kept in memory only.

    Raises:
        Unreachable: No whole answer came.
        ApiError: It is forbidden.
        CredentialError: No credential could be had.
        NotRunning: The container does not run.
        NoSuchProgram: What asked for the heap profile is not there.
    """
    if plan.capture.command:
        command = [word.replace(HEAP_PROFILE, GOROUTINE_PROFILE) for word in plan.capture.command]
        done = await run_command(client, plan.container_ref, command, most=MOST_GOROUTINE_BYTES)
        return done.output
    file = io.BytesIO()
    await _download_profile(client, plan, file, GOROUTINE_PROFILE)
    return file.getvalue()


HEAP_PROFILE, GOROUTINE_PROFILE = "/debug/pprof/heap", "/debug/pprof/goroutine"
MOST_GOROUTINE_BYTES = 16 * 1024 * 1024


async def _download_profile(
    client: Client, plan: CapturePlan, file: BinaryIO, path: str = HEAP_PROFILE
) -> None:
    async with _port_forward(client, plan) as url, aiohttp.ClientSession(trust_env=False) as session:
        limit = aiohttp.ClientTimeout(total=LONGEST_CAPTURE_SECONDS, sock_connect=10.0)
        try:
            async with session.get(f"{url}{path}", timeout=limit) as answer:
                if answer.status != 200:
                    raise Unreachable(f"port {plan.capture.port} answers {answer.status} to {path}")
                async for data in answer.content.iter_any():
                    file.write(data)
        except aiohttp.ClientError as error:
            raise Unreachable(f"port {plan.capture.port} gave no profile: {sanitize(str(error))}") from error


@contextlib.asynccontextmanager
async def _port_forward(client: Client, plan: CapturePlan) -> AsyncGenerator[str, None]:
    forward = PortForward(client, plan.container_ref.namespace, plan.container_ref.pod, plan.capture.port)
    await forward.check()
    async with forward.listening() as url:
        yield url


def _check_complete(part: Path) -> str:
    """Whether what came directly is whole, as far as its form can tell."""
    size = part.stat().st_size
    if not size:
        raise TransferFailedError("nothing came")
    with part.open("rb") as file:
        head = file.read(2)
        if head == b"\x1f\x8b":  # gzip ends in a checksum of its own
            file.seek(0)
            try:
                with gzip.open(file) as content:
                    while content.read(1 << 20):
                        pass
            except (EOFError, gzip.BadGzipFile) as error:
                raise TransferFailedError("what came is cut short") from error
            return "complete: its own checksum holds"
        if head[:1] == b"{":
            file.seek(max(0, size - 16))
            if not file.read().rstrip().endswith(b"}"):
                raise TransferFailedError("what came is cut short")
            return "complete: its JSON is closed"
    return "complete: the command ended with exit code 0"


def _left_behind(plan: CapturePlan, path: str) -> tuple[str, ...]:
    left = [f"{path} is in {plan.container_ref.container}"]
    if (size := arrived_bytes(plan.target)) is not None:
        left.append(f"{partial_path(plan.target)} is here, with {size} bytes of it")
    return tuple(left)


def _error_words(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'the file here'}: {error.strerror or error}"
    return str(error)


def plan_to_resume(plan: CapturePlan, remote: str) -> CapturePlan:
    """The plan for fetching a file that an earlier try left in the container."""
    capture = replace(
        plan.capture, method=CaptureMethod.LEFT, remote=remote, command=(), title=f"fetch {remote}", memory=0
    )
    return replace(plan, capture=capture)
