"""``memtop rollout …``: a rollout without a screen, in kubectl's words and with its exit codes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TextIO

from memtop.change.command import one_object, run
from memtop.change.console import Console
from memtop.change.wish import Pause, Restart, Resume, Undo
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.refs import ROLLING, ObjectRef, fetch
from memtop.cluster.revisions import revisions
from memtop.observe.clock import ServerClock
from memtop.rollout import history
from memtop.rollout.model import Reason, Rollout
from memtop.rollout.status import status
from memtop.rollout.watch import follow

if TYPE_CHECKING:
    from config import Invocation

PAUSABLE = ("Deployment",)
FAILED = 1
"""What kubectl ends with for every failure."""
CLOCK_SECONDS = 5.0
"""How long the time is waited for: without it, ages are by this machine's clock."""


def run_status(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Says how far a rollout is until it is over, in kubectl's words.

    Args:
        invocation: The workload among its arguments; its options ``timeout`` (seconds, 0 for none) and
            ``no_watch``.
        out: Where kubectl's sentences go.
        err: Where failures go, and why the rollout does not go on.

    Returns:
        0 when it has succeeded, or was only looked at once; 1 when it has failed or the time was over.

    Raises:
        ConfigError: The arguments name no workload.
    """
    target, ref = one_object(invocation, invocation.arguments, ROLLING)
    seconds = invocation.options["timeout"] or None

    async def work() -> int:
        async with Client(target) as client:
            if invocation.options["no_watch"]:
                return await _look(client, ref, out, err)
            return await asyncio.wait_for(_watch(client, ref, out, err), seconds)

    try:
        return asyncio.run(work())
    except TimeoutError:
        print("error: timed out waiting for the condition", file=err)
    except (ApiError, Unreachable, CredentialError, KubeconfigError) as error:
        print(f"memtop: {error}", file=err)
    return FAILED


def run_history(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints the revisions of a workload, or one of them in full.

    Args:
        invocation: The workload among its arguments; its options ``revision`` (0 for all) and ``output``.
        out: Where they go.
        err: Where failures go.

    Returns:
        0; 1 when they cannot be had, or there is no such revision.

    Raises:
        ConfigError: The arguments name no workload.
    """
    target, ref = one_object(invocation, invocation.arguments, ROLLING)
    wanted = invocation.options["revision"]

    async def work() -> str:
        async with Client(target) as client:
            found = await revisions(client, ref)
            now = (await _clock(client)).now()
        chosen = [one for one in found if wanted in {0, one.number}]
        if wanted and not chosen:
            raise LookupError(f"unable to find the specified revision {wanted}")
        if invocation.options["output"] == "json":
            return history.as_json(ref, chosen)
        if wanted:
            return history.as_details(ref, chosen[0], now)
        return history.as_table(found, now)

    try:
        print(asyncio.run(work()), file=out)
    except LookupError as error:
        print(f"error: {error.args[0]}", file=err)
        return FAILED
    except (ApiError, Unreachable, CredentialError, KubeconfigError) as error:
        print(f"memtop: {error}", file=err)
        return FAILED
    return 0


def run_undo(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and goes back to the revision ``to_revision`` (0 for the one before); the exit code."""
    target, ref = one_object(invocation, invocation.arguments, ROLLING)
    return run(invocation, target, Undo(ref, invocation.options["to_revision"] or None), console)


def run_restart(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and replaces the pods; the exit code."""
    target, ref = one_object(invocation, invocation.arguments, ROLLING)
    return run(invocation, target, Restart(ref), console)


def run_pause(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and has later changes wait; the exit code."""
    target, ref = one_object(invocation, invocation.arguments, PAUSABLE)
    return run(invocation, target, Pause(ref), console)


def run_resume(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and rolls out what has waited; the exit code."""
    target, ref = one_object(invocation, invocation.arguments, PAUSABLE)
    return run(invocation, target, Resume(ref), console)


async def _clock(client: Client) -> ServerClock:
    """The cluster's clock; this machine's where the API server does not tell."""
    clock = ServerClock()
    with suppress(ApiError, Unreachable):
        clock.observe((await client.request("GET", "/version", timeout=CLOCK_SECONDS)).headers.get("Date"))
    return clock


async def _look(client: Client, ref: ObjectRef, out: TextIO, err: TextIO) -> int:
    _, workload = await fetch(client, ref)
    found = status(workload, ref.kind)
    if found.failed:
        print(f"error: {found.words}", file=err)
        return FAILED
    print(found.words, file=out)
    return 0


async def _watch(client: Client, ref: ObjectRef, out: TextIO, err: TextIO) -> int:
    await fetch(client, ref)  # what is not there is not waited for
    clock = await _clock(client)
    said, told = "", set[Reason]()
    async with aclosing(follow(client, ref, clock.now, measure=False)) as rollouts:
        async for rollout in rollouts:
            if isinstance(rollout, str):
                print(f"memtop: {rollout}", file=err, flush=True)
                continue
            words = rollout.status.words
            if words != said and not rollout.status.failed:
                print(words, file=out, flush=True)
            said = words
            for reason in rollout.stuck:
                if reason.blocking and reason not in told:
                    print(f"memtop: {reason}", file=err, flush=True)
            told |= set(rollout.stuck)
            if (code := _end(rollout, err)) is not None:
                return code
    return FAILED


def _end(rollout: Rollout, err: TextIO) -> int | None:
    """The exit code, if it is over."""
    if rollout.gone:
        print("error: object has been deleted", file=err)
        return FAILED
    if rollout.status.failed:
        print(f"error: {rollout.status.words}", file=err)
        return FAILED
    return 0 if rollout.status.done else None
