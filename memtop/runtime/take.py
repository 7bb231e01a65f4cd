"""Takes a capture that was planned and agreed to: runs it, brings the result here, and says what is left.

Whatever fails, the pod is left as it was as far as that can be done, and the failure says what is left where.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import aiohttp

from config.private_files import give_name, open_new, private_folder
from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, Unreachable
from memtop.cluster.exec import Channel, NoSuchProgram, NotRunning, ended, execute, run
from memtop.cluster.portforward import PortForward
from memtop.cluster.sanitize import sanitize, sanitize_bytes
from memtop.runtime.captures import How
from memtop.runtime.inspector import snapshot
from memtop.runtime.plan import Plan
from memtop.runtime.transfer import TransferFailed, arrived, fetch, look_at, partial, remove, verify

FAILURES = (TransferFailed, Unreachable, ApiError, CredentialError, NotRunning, NoSuchProgram, OSError)
LONGEST = 3600.0
"""Seconds that a capture may take inside the container."""
WRITING = 300.0
"""Seconds that a process may take to begin the file it was signalled to write."""
_MOST_SAID = 4000


@dataclass(frozen=True, slots=True)
class Step:
    """How far a capture is.

    Attributes:
        words: What is being done.
        done: Bytes that have arrived.
        size: Bytes in all; 0 where that is not known.
    """

    words: str
    done: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """A capture that is here.

    Attributes:
        path: The file.
        size: Bytes.
        checked: What of it was verified, in words.
        left: What is still in the container: a file's path; empty if nothing is.
    """

    path: Path
    size: int
    checked: str
    left: str = ""


class CaptureFailed(Exception):  # noqa: N818
    """A capture came to nothing, or not to its end; the sentence says why.

    Attributes:
        left: What is left where, a sentence each.
        remote: The file in the container that a transfer can be taken up from; empty if there is none.
    """

    def __init__(self, message: str, left: Sequence[str] = (), remote: str = "") -> None:
        super().__init__(message)
        self.left = tuple(left)
        self.remote = remote


Tell = Callable[[Step], None]


async def take(client: Client, plan: Plan, tell: Tell) -> Taken:
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
        raise CaptureFailed(_said(error)) from error
    if capture.how in (How.OUTPUT, How.PORT, How.INSPECTOR):
        return await _directly(client, plan, tell)
    remote = capture.remote
    if capture.how is not How.LEFT:
        remote = await _in_the_container(client, plan, tell)
    return await bring(client, plan, remote, tell)


async def bring(client: Client, plan: Plan, path: str, tell: Tell) -> Taken:
    """Brings a captured file here, beginning where an earlier try ended.

    Raises:
        CaptureFailed: It did not arrive; it is still in the container, and can be asked for again.
    """
    try:
        tell(Step(f"measuring {path}"))
        remote = await look_at(client, plan.place, path, plan.probe.tools)
        moving = f"bringing {path} here"

        def progress(done: int, size: int) -> None:
            tell(Step(moving, done, size))

        await fetch(client, remote, plan.target, progress)
        tell(Step("verifying", remote.size, remote.size))
        checked = await verify(remote, plan.target)
    except FAILURES as error:
        raise CaptureFailed(_said(error), _left(plan, path), path) from error
    return Taken(plan.target, remote.size, checked, path)


async def _in_the_container(client: Client, plan: Plan, tell: Tell) -> str:
    """Has the file written in the container; returns its path."""
    capture = plan.capture
    try:
        before = await _files(client, plan) if capture.how is How.SIGNAL else frozenset()
    except FAILURES as error:
        raise CaptureFailed(_said(error)) from error
    tell(Step(f"running {capture.shown}"))
    try:
        done = await run(client, plan.place, capture.command, timeout=LONGEST, most=_MOST_SAID)
        said = sanitize_bytes(done.errors + done.output).strip()
        if done.code != 0 or capture.says not in said:
            why = said.splitlines()[-1] if said else "it said nothing"
            raise TransferFailed(f"{capture.command[0]} failed (exit code {done.code}): {why}")
        if capture.how is How.SIGNAL:
            return await _appeared(client, plan, before)
    except FAILURES as error:
        raise CaptureFailed(_said(error), await _cleaned(client, plan)) from error
    return capture.remote


async def _cleaned(client: Client, plan: Plan) -> tuple[str, ...]:
    """Deletes what a failed command may have begun to write; says so if that fails."""
    if not plan.capture.remote:
        return ()
    why = await remove(client, plan.place, plan.capture.remote)
    return (f"{plan.capture.remote} may be left in {plan.place.container}: {why}",) if why else ()


async def _files(client: Client, plan: Plan) -> frozenset[str]:
    """The heap snapshots in the process's working directory."""
    pattern = f"/proc/{plan.capture.pid}/cwd/*.heapsnapshot"
    with contextlib.suppress(Unreachable):
        done = await run(client, plan.place, ["sh", "-c", f"ls -1 {pattern} 2>/dev/null"])
        return frozenset(sanitize_bytes(done.output).splitlines())
    return frozenset()


async def _appeared(client: Client, plan: Plan, before: frozenset[str]) -> str:
    """Waits until a new snapshot is there and does not grow any more."""
    size = -1
    for _ in range(int(WRITING)):
        new = sorted(await _files(client, plan) - before)
        if new:
            remote = await look_at(client, plan.place, new[-1], {})
            if remote.size and remote.size == size:
                return f"{plan.program.process.folder}/{PurePosixPath(new[-1]).name}".replace("//", "/")
            size = remote.size
        await asyncio.sleep(1.0)
    raise Unreachable("the process has written no heap snapshot within five minutes of the signal")


async def _directly(client: Client, plan: Plan, tell: Tell) -> Taken:
    """Keeps here what a command or a port gives, without a file in the container."""
    capture, part = plan.capture, partial(plan.target)
    words = f"running {capture.shown}" if capture.command else f"asking port {capture.port}"
    tell(Step(words))
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(open_new(part), "wb") as file:
            if capture.how is How.OUTPUT:
                await _output(client, plan, file, lambda: tell(Step(words, file.tell())))
            elif capture.how is How.INSPECTOR:

                async def signal() -> None:
                    await run(client, plan.place, capture.command)

                await snapshot(
                    client, plan.place, capture.port, signal, file, lambda done: tell(Step(words, done))
                )
            else:
                await _profile(client, plan, file)
        checked = await aside(_complete, part)
        give_name(part, plan.target)
    except FAILURES as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise CaptureFailed(_said(error)) from error
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return Taken(plan.target, plan.target.stat().st_size, checked)


async def _output(client: Client, plan: Plan, file: BinaryIO, tell: Callable[[], None]) -> None:
    said = b""
    async with execute(client, plan.place, plan.capture.command) as execution:
        async for channel, data in execution:
            if channel is Channel.ERRORS:
                said = (said + data)[:_MOST_SAID]
            else:
                file.write(data)
                tell()
    code = ended(execution, plan.capture.command)
    if code != 0:
        raise Unreachable(
            f"{plan.capture.command[0]} ended with exit code {code}: {sanitize_bytes(said).strip()}"
        )


async def _profile(client: Client, plan: Plan, file: BinaryIO) -> None:
    async with _forwarded(client, plan) as url, aiohttp.ClientSession(trust_env=False) as session:
        limit = aiohttp.ClientTimeout(total=LONGEST, sock_connect=10.0)
        try:
            async with session.get(f"{url}/debug/pprof/heap", timeout=limit) as answer:
                if answer.status != 200:
                    raise Unreachable(
                        f"port {plan.capture.port} answers {answer.status} to /debug/pprof/heap"
                    )
                async for data in answer.content.iter_any():
                    file.write(data)
        except aiohttp.ClientError as error:
            raise Unreachable(f"port {plan.capture.port} gave no profile: {sanitize(str(error))}") from error


@contextlib.asynccontextmanager
async def _forwarded(client: Client, plan: Plan) -> AsyncGenerator[str, None]:
    forward = PortForward(client, plan.place.namespace, plan.place.pod, plan.capture.port)
    await forward.check()
    async with forward.listening() as url:
        yield url


def _complete(part: Path) -> str:
    """Whether what came directly is whole, as far as its form can tell."""
    size = part.stat().st_size
    if not size:
        raise TransferFailed("nothing came")
    with part.open("rb") as file:
        head = file.read(2)
        if head == b"\x1f\x8b":  # gzip ends in a checksum of its own
            file.seek(0)
            try:
                with gzip.open(file) as content:
                    while content.read(1 << 20):
                        pass
            except (EOFError, gzip.BadGzipFile) as error:
                raise TransferFailed("what came is cut short") from error
            return "complete: its own checksum holds"
        if head[:1] == b"{":
            file.seek(max(0, size - 16))
            if not file.read().rstrip().endswith(b"}"):
                raise TransferFailed("what came is cut short")
            return "complete: its JSON is closed"
    return "complete: the command ended with exit code 0"


def _left(plan: Plan, path: str) -> tuple[str, ...]:
    left = [f"{path} is in {plan.place.container}"]
    if (size := arrived(plan.target)) is not None:
        left.append(f"{partial(plan.target)} is here, with {size} bytes of it")
    return tuple(left)


def _said(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'the file here'}: {error.strerror or error}"
    return str(error)


def resumed(plan: Plan, remote: str) -> Plan:
    """The plan for fetching a file that an earlier try left in the container."""
    capture = replace(
        plan.capture, how=How.LEFT, remote=remote, command=(), title=f"fetch {remote}", memory=0
    )
    return replace(plan, capture=capture)
