"""Completes the audit log at the next start, where memtop was ended between a request and its answer.

Such a plan has the outcome ``begun``. What became of it is read from the object: from the fields that the
plan would change, and where those are not told (values of variables are not written down) or were changed
again, from the time at which memtop last wrote to it. What the cluster does not tell stays ``begun``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC

from msgspec.structs import replace

from memtop.background import run_in_thread
from memtop.change.audit_log import HIDDEN, AuditEntry, AuditError, AuditLog, PlanOutcome, this_process
from memtop.change.change_plan import same_value, value_text
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.json_object import Json, has, objects, parse_timestamp, text
from memtop.kube.object_ref import ObjectRef, fetch_object
from memtop.log_file import get_logger
from memtop.quantity import parse_whole
from memtop.retry import Backoff

LOGGER = get_logger("change")
FIELD_MANAGER = "memtop"
MAX_PID = 2**31 - 1
LONGEST_APPLY = 600.0
"""Seconds after which no memtop waits for an answer any more: ten tries of half a minute, twice."""
CLOCKS_DIFFER = 5.0
"""Seconds by which this machine's clock may be ahead of the cluster's."""
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[]+)")
_ENDED = "memtop was ended before it knew the answer"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a plan, why one thinks so, and the version it led to."""

    outcome: PlanOutcome
    why: str
    version: str = ""


async def complete_begun(client: Client, log: AuditLog, *, patient: bool = True) -> list[AuditEntry]:
    """Writes down what became of each plan for this cluster whose memtop has ended.

    Args:
        client: The connection.
        log: The audit log.
        patient: Whether to try until the cluster answers; else the next start tries.

    Returns:
        The entries that were written.
    """
    written: list[AuditEntry] = []
    try:
        entries = await run_in_thread(lambda: list(log.entries()))
        for entry in entries:
            if entry.server != client.target.shown_server or not was_ended(entry, time.time()):
                continue
            found = await _ask(client, entry, patient=patient)
            if found is None:
                continue
            line = replace(
                entry,
                outcome=found.outcome,
                why=found.why,
                version=found.version or entry.version,
                process="",
            )
            await run_in_thread(log.write, line)
            LOGGER.info("plan %s: %s, as the cluster tells: %s", entry.id, found.outcome, found.why)
            written.append(line)
    except AuditError as error:
        LOGGER.warning("the audit log is not completed: %s", error)
    return written


def was_ended(entry: AuditEntry, now: float) -> bool:
    """Whether a plan was begun by a memtop that has ended since.

    Args:
        entry: Of the log.
        now: Unix seconds.
    """
    if entry.outcome != "begun":
        return False
    begun = _seconds(entry.time)
    if begun is None or now - begun > LONGEST_APPLY:
        return True
    host, _, number = entry.process.rpartition(":")
    process = parse_whole(number)
    if host != this_process().rpartition(":")[0] or process is None or process > MAX_PID:
        return False  # on another machine, with which the folder is shared: it cannot be known
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


async def _ask(client: Client, entry: AuditEntry, *, patient: bool) -> _Outcome | None:
    """What the cluster tells of a plan; None where it does not."""
    ref = ObjectRef(entry.kind, entry.namespace, entry.name)
    backoff = Backoff()
    while True:
        backoff.begin()
        try:
            _, found = await fetch_object(client, ref)
        except ApiError as error:
            if error.status == 404 and entry.action.startswith("delete"):
                return _Outcome("applied", f"{_ENDED}; {ref} is gone")
            if not patient or (error.status < 500 and error.status != 429):
                return None
            await backoff.wait(error)
        except CLUSTER_FAILURES as error:
            if not patient:
                return None
            await backoff.wait(error)
        else:
            return outcome_in_object(entry, found)


def outcome_in_object(entry: AuditEntry, found: Json) -> _Outcome | None:
    """What became of a plan, by the object that it was for.

    Args:
        entry: The plan.
        found: The object as it is now.

    Returns:
        None where it does not tell.
    """
    version = text(found, "metadata", "resourceVersion")
    begun = _seconds(entry.time) or 0.0
    if entry.action.startswith("delete"):
        created = _seconds(text(found, "metadata", "creationTimestamp")) or 0.0
        if has(found, "metadata", "deletionTimestamp") or created > begun - CLOCKS_DIFFER:
            return _Outcome("applied", f"{_ENDED}; {entry.name} has been deleted since")
        return _Outcome("failed", f"{_ENDED}; {entry.name} is still there")
    fields = [(field.old, field.new, value_at(found, field.path)) for field in entry.changes]
    telling = [
        (old, new, value) for old, new, value in fields if old != new
    ]  # not a hidden value for another
    if telling and all(_is_value(value, new) for _, new, value in telling):
        return _Outcome("applied", f"{_ENDED}; the object has what the plan wanted", version)
    wrote = max((when for when in _written_by_us(found)), default=None)
    if wrote is not None and wrote >= begun - CLOCKS_DIFFER:
        return _Outcome(
            "applied", f"{_ENDED}; memtop wrote to the object then, and it was changed again", version
        )
    if telling and all(_is_value(value, old) for old, _, value in telling):
        return _Outcome("failed", f"{_ENDED}; the object is as it was before")
    return None


def _is_value(value: str, logged: str) -> bool:
    """Whether a field has the value that the log has; of a hidden one it is only known that there is one."""
    return bool(value) if logged == HIDDEN else same_value(value, logged)


def _written_by_us(found: Json) -> list[float]:
    """When memtop wrote to an object, Unix seconds, as far as its managed fields tell."""
    times = (
        _seconds(text(entry, "time"))
        for entry in objects(found, "metadata", "managedFields")
        if text(entry, "manager") == FIELD_MANAGER
    )
    return [one for one in times if one is not None]


def value_at(found: object, path: str) -> str:
    """A field's value as the audit log writes it; empty where it has none.

    Args:
        found: The object.
        path: Such as ``spec.template.spec.containers[app].image``.
    """
    value = found
    for key, word in _STEP.findall(path):
        step = key or word
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list):
            named = next((one for one in value if text(one, "name") == step), None)
            place = parse_whole(step)
            at_place = value[place] if place is not None and place < len(value) else None
            value = named if named is not None else at_place
        else:
            return ""
    return value_text(value)


def _seconds(stamp: str) -> float | None:
    moment = parse_timestamp(stamp)
    return None if moment is None else moment.astimezone(UTC).timestamp()
