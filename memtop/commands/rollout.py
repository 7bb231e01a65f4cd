"""``memtop rollout …``: status, history, undo, restart, pause, resume, with kubectl's exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from memtop.change.change_request import Pause, Restart, Resume, Undo
from memtop.change.rollout_model import Rollout, StuckReason
from memtop.change.rollout_status import rollout_status
from memtop.change.rollout_watch import follow_rollout
from memtop.commands.change import Console, named_object, run_change
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.json_object import mapping, sanitize_tree, yaml_lines
from memtop.kube.object_ref import CUSTOM_KINDS, ROLLING_KINDS, ObjectRef, fetch_object
from memtop.kube.workload_revisions import Revision, list_revisions
from memtop.observe.source import ServerClock
from memtop.wording import UNKNOWN, ago, bytes_

if TYPE_CHECKING:
    from config.invocation import Invocation

COLUMN_GAP = "  "
_TITLES = ("REVISION", "NOW", "CREATED", "PODS", "IMAGES", "MEMORY LIMITS", "CHANGE-CAUSE")


def history_table(revisions: Sequence[Revision], now: float) -> str:
    """A line for each revision, the newest last, as kubectl orders them; ``*`` marks the one in force.

    Args:
        revisions: The revisions, the newest first.
        now: The cluster's time, Unix seconds.
    """
    lines = [_TITLES, *(_revision_cells(one, now) for one in reversed(revisions))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES) - 1)]
    return "\n".join(
        COLUMN_GAP.join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]
        ).rstrip()
        for line in lines
    )


def history_json(ref: ObjectRef, revisions: Sequence[Revision]) -> str:
    """The revisions as an indented JSON document, the newest first; what is unknown is null."""
    document = {
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "revisions": [_revision_document(one) for one in revisions],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def revision_details(ref: ObjectRef, revision: Revision, now: float) -> str:
    """One revision with its whole pod template."""
    facts = {
        "Created": f"{_utc_stamp(revision.created)} ({_revision_age(revision, now)})",
        "Change cause": revision.change_cause or "<none>",
        "Pods now": UNKNOWN if revision.replicas is None else str(revision.replicas),
        "In force": "yes" if revision.current else "no",
        "Kept as": revision.name,
    }
    if revision.earlier:
        facts["Was before"] = ", ".join(f"revision {number}" for number in revision.earlier)
    for name, image in revision.images.items():
        limit, request = bytes_(revision.limits[name]), bytes_(revision.requests[name])
        facts[f"Container {name}"] = f"{image}, memory limit {limit}, request {request}"
    wide = max(len(label) for label in facts) + 1
    return "\n".join(
        [
            f"{ref.kind.lower()}.apps/{ref.name} with revision #{revision.number}",
            *(f"{label + ':':<{wide}} {words}" for label, words in facts.items()),
            "Pod template:",
            *(f"  {line}" for line in yaml_lines(mapping(sanitize_tree(revision.template)))),
        ]
    )


def _revision_cells(revision: Revision, now: float) -> tuple[str, ...]:
    return (
        str(revision.number) if revision.number else UNKNOWN,
        "*" if revision.current else "",
        _revision_age(revision, now),
        UNKNOWN if revision.replicas is None else str(revision.replicas),
        _each_container(revision.images),
        _each_container({name: bytes_(limit) for name, limit in revision.limits.items()}),
        revision.change_cause or "<none>",
    )


def _each_container(values: Mapping[str, str]) -> str:
    """The value of the only container, or each with its container's name."""
    if len(values) == 1:
        return next(iter(values.values()))
    return ",".join(f"{name}={value}" for name, value in values.items())


def _revision_age(revision: Revision, now: float) -> str:
    return ago(now - revision.created) if revision.created else UNKNOWN


def _utc_stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else UNKNOWN


def _revision_document(revision: Revision) -> dict[str, Any]:
    return {
        "revision": revision.number or None,
        "name": revision.name,
        "created": _utc_stamp(revision.created) if revision.created else None,
        "current": revision.current,
        "pods": revision.replicas,
        "change_cause": revision.change_cause or None,
        "containers": [
            {
                "name": name,
                "image": image,
                "limit_bytes": revision.limits[name],
                "request_bytes": revision.requests[name],
            }
            for name, image in revision.images.items()
        ],
        "earlier_revisions": list(revision.earlier),
    }


KINDS_TO_PAUSE = ("Deployment", *CUSTOM_KINDS)
KINDS_TO_CHANGE = (*ROLLING_KINDS, *CUSTOM_KINDS)
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
    target, ref = named_object(invocation, invocation.arguments, ROLLING_KINDS)
    seconds = invocation.options["timeout"] or None

    async def work() -> int:
        async with Client(target) as client:
            if invocation.options["no_watch"]:
                return await _print_status_once(client, ref, out, err)
            return await asyncio.wait_for(_print_until_over(client, ref, out, err), seconds)

    try:
        return asyncio.run(work())
    except TimeoutError:
        print("error: timed out waiting for the condition", file=err)
    except CLUSTER_FAILURES as error:
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
    target, ref = named_object(invocation, invocation.arguments, KINDS_TO_CHANGE)
    wanted = invocation.options["revision"]

    async def work() -> str:
        async with Client(target) as client:
            found = await list_revisions(client, ref)
            now = (await _cluster_clock(client)).now()
        chosen = [one for one in found if wanted in {0, one.number}]
        if wanted and not chosen:
            raise LookupError(f"unable to find the specified revision {wanted}")
        if invocation.options["output"] == "json":
            return history_json(ref, chosen)
        if wanted:
            return revision_details(ref, chosen[0], now)
        return history_table(found, now)

    try:
        print(asyncio.run(work()), file=out)
    except LookupError as error:
        print(f"error: {error.args[0]}", file=err)
        return FAILED
    except CLUSTER_FAILURES as error:
        print(f"memtop: {error}", file=err)
        return FAILED
    return 0


def run_undo(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and goes back to the revision ``to_revision`` (0 for the one before); the exit code."""
    target, ref = named_object(invocation, invocation.arguments, KINDS_TO_CHANGE)
    return run_change(invocation, target, Undo(ref, invocation.options["to_revision"] or None), console)


def run_restart(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and replaces the pods; the exit code."""
    target, ref = named_object(invocation, invocation.arguments, KINDS_TO_CHANGE)
    return run_change(invocation, target, Restart(ref), console)


def run_pause(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and has later changes wait; the exit code."""
    target, ref = named_object(invocation, invocation.arguments, KINDS_TO_PAUSE)
    return run_change(invocation, target, Pause(ref), console)


def run_resume(invocation: Invocation, console: Console) -> int:
    """Plans, asks, and rolls out what has waited; the exit code."""
    target, ref = named_object(invocation, invocation.arguments, KINDS_TO_PAUSE)
    return run_change(invocation, target, Resume(ref), console)


async def _cluster_clock(client: Client) -> ServerClock:
    """The cluster's clock; this machine's where the API server does not tell."""
    clock = ServerClock()
    with suppress(ApiError, Unreachable):
        clock.observe((await client.request("GET", "/version", timeout=CLOCK_SECONDS)).headers.get("Date"))
    return clock


async def _print_status_once(client: Client, ref: ObjectRef, out: TextIO, err: TextIO) -> int:
    _, workload = await fetch_object(client, ref)
    found = rollout_status(workload, ref.kind)
    if found.failed:
        print(f"error: {found.words}", file=err)
        return FAILED
    print(found.words, file=out)
    return 0


async def _print_until_over(client: Client, ref: ObjectRef, out: TextIO, err: TextIO) -> int:
    await fetch_object(client, ref)  # what is not there is not waited for
    clock = await _cluster_clock(client)
    said, told = "", set[StuckReason]()
    async with aclosing(follow_rollout(client, ref, clock.now, with_memory=False)) as rollouts:
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
            if (code := _exit_code(rollout, err)) is not None:
                return code
    return FAILED


def _exit_code(rollout: Rollout, err: TextIO) -> int | None:
    """The exit code, if it is over."""
    if rollout.deleted:
        print("error: object has been deleted", file=err)
        return FAILED
    if rollout.status.failed:
        print(f"error: {rollout.status.words}", file=err)
        return FAILED
    return 0 if rollout.status.done else None
