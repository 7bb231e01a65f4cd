"""Carrying a plan out: compare-and-swap, and a line in the audit log whatever becomes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from http import HTTPStatus

from memtop.aside import aside
from memtop.change import check, make
from memtop.change.audit import AuditError, AuditLog, Outcome, entry
from memtop.change.essence import essence
from memtop.change.identity import user
from memtop.change.owners import last_writer
from memtop.change.plan import Line, Plan
from memtop.change.subject import of
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.refs import fetch
from memtop.cluster.sanitize import sanitize
from memtop.cluster.tree import decode, text

TRIES = 10
"""Writes of others to the object's status, in a row, before we give up getting ours in between."""


@dataclass(frozen=True, slots=True)
class Applied:
    """It is done.

    Attributes:
        version: The object's resourceVersion now; empty where the server does not say.
        at: Unix seconds, by this machine's clock.
        warning: What went wrong afterwards, such as the log; empty if nothing.
    """

    version: str
    at: float
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """Nothing was written: the object was changed since the plan was made.

    Attributes:
        plan: What it would be now.
    """

    plan: Plan


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not done, or it is not known whether it was.

    Attributes:
        why: One sentence.
    """

    why: str


async def apply(client: Client, plan: Plan, log: AuditLog) -> Applied | Changed | Refused:
    """Applies a plan that somebody has said yes to.

    A write in between makes the server refuse it. If that write left all that the plan depends on as it was
    (see `memtop.change.essence`), the same plan is sent for the new version; else nothing is written, and the
    answer is the plan as it would be now. Without a line in the log nothing is sent.

    Args:
        client: The connection.
        plan: The plan.
        log: Where it is recorded.
    """
    record = _Record(client, plan, log)
    if plan.refused:
        return await record.refused(plan.refused)
    try:
        await record.write("begun")
    except AuditError as error:
        return Refused(f"nothing is changed without a record: {error}")
    try:
        return await _apply(client, plan, record)
    except (CredentialError, KubeconfigError) as error:
        return await record.failed(str(error))
    except (ApiError, Unreachable) as error:
        if isinstance(error, ApiError) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return await record.failed(str(error))
        return await _unanswered(client, plan, record, str(error))  # a time-out may follow upon the change


async def decline(client: Client, plan: Plan, log: AuditLog, *, outcome: Outcome = "declined") -> str:
    """Records a plan that is not applied.

    Args:
        client: The connection.
        plan: The plan.
        log: Where it is recorded.
        outcome: Why it is not: somebody said no, or only wanted to see it.

    Returns:
        A warning if it cannot be recorded; empty if it is.
    """
    try:
        await _Record(client, plan, log).write("refused" if plan.refused else outcome, plan.refused)
    except AuditError as error:
        return str(error)
    return ""


async def _apply(client: Client, plan: Plan, record: _Record) -> Applied | Changed | Refused:
    said = ""
    for _ in range(TRIES):
        try:
            answer = await client.request(
                plan.method, plan.path, plan.params, body=plan.body, content_type=plan.content_type
            )
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            said = str(error)
        else:
            version = text(decode(answer.body, "the answer"), "metadata", "resourceVersion")
            return await record.applied(version)
        try:
            _, found = await fetch(client, plan.ref)
            if essence(plan.ref.kind, found) != plan.essence:
                newer = await make.plan(client, plan.wish, plan.context)
                return await record.changed(_naming(newer, last_writer(found)))
        except (ApiError, Unreachable) as error:  # after a conflict there is no doubt whether it was done
            return await record.failed(f"it was changed meanwhile and nothing is written: {error}")
        plan = plan.at_version(text(found, "metadata", "resourceVersion"))
    return await record.failed(f"it was written by others {TRIES} times in a row, so try again: {said}")


def _naming(newer: Plan, writer: str) -> Plan:
    """The plan that says first who changed the object since the one before it, where that is known."""
    if not writer:
        return newer
    told = Line("changed", f"in the meantime, last by {writer}", "warn")
    return replace(newer, lines=(*newer.lines[:1], told, *newer.lines[1:]))


async def _unanswered(client: Client, plan: Plan, record: _Record, error: str) -> Applied | Refused:
    """What became of a request to which no clear answer came, as far as the object shows it."""
    try:
        _, found = await fetch(client, plan.ref)
    except (ApiError, Unreachable, CredentialError, KubeconfigError):
        return await record.failed(f"no clear answer came: it may or may not have been applied: {error}")
    if check.problem(plan.wish, of(plan.ref, found)) in check.NOTHING_TO_DO:
        return await record.applied(text(found, "metadata", "resourceVersion"))
    if essence(plan.ref.kind, found) == plan.essence:
        return await record.failed(f"no clear answer came, and the object is as it was: {error}")
    return await record.failed(f"no clear answer came; look at what the object is like now: {error}")


class _Record:
    """Writes what becomes of one plan."""

    def __init__(self, client: Client, plan: Plan, log: AuditLog) -> None:
        self._client = client
        self._plan = plan
        self._log = log
        self._user = ""

    async def write(self, outcome: Outcome, why: str = "", version: str = "") -> None:
        self._user = self._user or await user(self._client)
        server = sanitize(self._client.target.server)
        line = entry(self._plan, outcome, server=server, user=self._user, why=why, version=version)
        await aside(self._log.write, line)  # it waits for the disk

    async def applied(self, version: str) -> Applied:
        return Applied(version, time.time(), await self._told("applied", version=version))

    async def changed(self, newer: Plan) -> Changed:
        await self._told("conflict", f"the object was changed; the new plan is {newer.id}")
        return Changed(newer)

    async def failed(self, why: str) -> Refused:
        warning = await self._told("failed", why)
        return Refused(f"{why}; {warning}" if warning else why)

    async def refused(self, why: str) -> Refused:
        warning = await self._told("refused", why)
        return Refused(f"{why}; {warning}" if warning else why)

    async def _told(self, outcome: Outcome, why: str = "", version: str = "") -> str:
        try:
            await self.write(outcome, why, version)
        except AuditError as error:
            return str(error)
        return ""
