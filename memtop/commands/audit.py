"""``memtop audit``: prints what has been planned and changed from this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

import msgspec

from memtop.change.audit_log import AuditEntry, AuditError, AuditLog, audit_log_path
from memtop.change.change_plan import field_label
from memtop.sanitize import sanitize

if TYPE_CHECKING:
    from config.invocation import Invocation

HEADINGS = ("TIME", "OUTCOME", "OBJECT", "WHAT", "USER", "CONTEXT")
GAP = "   "
_UNFINISHED = "unknown"
"""What the table calls an outcome that nobody lived to write down."""


def run_audit(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints the audit log, the oldest plan first.

    Args:
        invocation: Its options ``output`` and ``since`` (seconds; 0 for everything).
        out: Where it goes.
        err: Where failures go.

    Returns:
        0; 1 if the log cannot be read.
    """
    since = invocation.options["since"]
    earliest = _stamp(datetime.now(UTC) - timedelta(seconds=since)) if since else ""
    log = AuditLog(audit_log_path(os.environ))
    try:
        found = [one for one in log.entries() if one.time >= earliest]
    except AuditError as error:
        print(f"memtop: {error}", file=err)
        return 1
    if invocation.options["output"] == "json":
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode(), file=out)
        return 0
    if not found:
        print(f"memtop: no plan is recorded in {log.path}", file=err)
        return 0
    for line in audit_table(found):
        print(line, file=out)
    return 0


def audit_table(entries: Sequence[AuditEntry]) -> Iterator[str]:
    """The entries in columns; why something was not done stands below it."""
    rows = [HEADINGS, *(_row(one) for one in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    whys = ["", *(one.why for one in entries)]
    for row, why in zip(rows, whys, strict=True):
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        if why:
            yield f"{'':<{widths[0]}}{GAP}{why}"


def _row(one: AuditEntry) -> tuple[str, ...]:
    fields = "; ".join(
        f"{field_label(field.path)}: {_short(field.old)} → {_short(field.new)}" for field in one.changes
    )
    return (
        one.time.replace("T", " ").replace("Z", " UTC"),  # with each: lines are quoted one by one
        _UNFINISHED if one.outcome == "begun" else one.outcome,
        f"{one.kind.lower()}/{one.name} in {one.namespace}",
        one.action + (f" ({fields})" if fields else ""),
        one.user,
        sanitize(one.context),  # as the kubeconfig has it
    )


def _short(value: str) -> str:
    """A value as a cell has room for it: a rule file has hundreds of lines."""
    lines = value.count("\n") + 1
    return f"{lines} lines" if lines > 1 else value or "none"


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
