"""The audit log: every plan and its outcome, as a line of JSON that only its user may read.

An applied plan is written twice under the same id: before the request, so that no change can happen
unrecorded, and after it, with the outcome. `AuditLog.entries` makes one of the two.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from config.private_files import open_own, private_folder, read_file
from config.sources import require_home, state_folder
from memtop.change.change_plan import ChangePlan
from memtop.change.change_request import SetVariables
from memtop.kube.lenient_decoding import JSON_ERRORS

PlanOutcome = Literal["begun", "applied", "declined", "refused", "conflict", "failed", "dry run", "not tried"]
MOST_LOG_BYTES = 2 * 1024 * 1024
"""Of one file: some two thousand plans."""
MAX_READ_BYTES = 4 * MOST_LOG_BYTES
"""Of one file; it may have been written by a memtop with another limit."""
KEPT_FILES = 4
"""Files that are full and kept beside the one that is written."""
HIDDEN = "(hidden)"


class AuditError(Exception):
    """The log cannot be written or read; the sentence names the file and the cause."""


class AuditField(msgspec.Struct, frozen=True):
    """A field that the plan would change."""

    path: str
    old: str = ""
    new: str = ""


class AuditEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the log.

    Attributes:
        time: UTC, as ``2026-01-31T03:12:45Z``.
        id: Names the plan.
        outcome: What became of it; ``begun`` where memtop ended before the server answered.
        action: Such as ``set image``.
        kind: Of the object.
        namespace: Of the object.
        name: Of the object.
        context: The kubeconfig's.
        server: The API server's address.
        user: Whom the server took the user for.
        changes: Fields and their values before and after.
        kubectl: The command that does the same.
        version: The resourceVersion of the plan, and after a change the one it led to.
        why: Why it was refused, or what failed.
        process: Machine and number of the process that has begun it; empty once the outcome is known.
    """

    time: str
    id: str
    outcome: PlanOutcome
    action: str
    kind: str
    namespace: str
    name: str
    context: str
    server: str
    user: str
    changes: tuple[AuditField, ...] = ()
    kubectl: str = ""
    version: str = ""
    why: str = ""
    process: str = ""


def this_process() -> str:
    """What the log calls this process: ``machine:4711``."""
    return f"{platform.node()}:{os.getpid()}"


def audit_entry(
    plan: ChangePlan, outcome: PlanOutcome, *, server: str, user: str, why: str = "", version: str = ""
) -> AuditEntry:
    """The line that says what became of a plan.

    Args:
        plan: The plan.
        outcome: What became of it.
        server: The API server's address.
        user: Whom the server takes the user for.
        why: The reason, where there is one.
        version: The resourceVersion after the change.
    """
    return AuditEntry(
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        id=plan.id,
        outcome=outcome,
        action=plan.change.action,
        kind=plan.ref.kind,
        namespace=plan.ref.namespace,
        name=plan.ref.name,
        context=plan.context,
        server=server,
        user=user,
        changes=tuple(_audit_field(change.path, change.old, change.new) for change in plan.changes),
        kubectl="" if isinstance(plan.change, SetVariables) else plan.kubectl,  # which holds values
        version=version or plan.version,
        why=why,
        process=this_process() if outcome == "begun" else "",
    )


def _audit_field(path: str, old: str, new: str) -> AuditField:
    """Values of variables may be passwords: that they changed is enough for a log."""
    if ".env[" in path:
        return AuditField(path, HIDDEN if old else "", HIDDEN if new else "")
    return AuditField(path, old, new)


def audit_log_path(environ: Mapping[str, str]) -> Path:
    """Where the log is.

    Args:
        environ: The environment variables; ``XDG_STATE_HOME`` counts on every platform.

    Raises:
        ConfigError: There is no home.
    """
    require_home(environ)
    return state_folder(environ) / "audit.jsonl"


class AuditLog:
    """The log at one place; several processes may write it at the same time.

    Args:
        path: The file that is written; full ones are kept beside it as ``audit.jsonl.1`` and so on.
        most_bytes: How long it may become.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_LOG_BYTES) -> None:
        self.path = path
        self._most = most_bytes

    def write(self, line: AuditEntry) -> None:
        """Appends a line, and has it on the disk before it returns.

        Raises:
            AuditError: It cannot be written.
        """
        encoded = msgspec.json.encode(line) + b"\n"
        try:
            private_folder(self.path.parent)
            with self._locked():
                self._rotate(len(encoded))
                written = self._append(encoded)
        except OSError as error:
            raise AuditError(f"the audit log {self.path} cannot be written: {_error_words(error)}") from error
        if written != len(encoded):
            raise AuditError(f"the audit log {self.path} cannot be written: the disk is full")

    def _append(self, encoded: bytes) -> int:
        handle = open_own(self.path)
        try:
            if (size := os.fstat(handle).st_size) and os.pread(handle, 1, size - 1) != b"\n":
                os.write(handle, b"\n")  # a line that was cut short must not take this one with it
            written = os.write(handle, encoded)
            os.fsync(handle)
        finally:
            os.close(handle)
        return written

    def entries(self) -> Iterator[AuditEntry]:
        """The plans, the oldest first, each with the last that is known of it; broken lines are left out.

        Raises:
            AuditError: The log is there and cannot be read.
        """
        found: dict[str, AuditEntry] = {}
        for path in (*(self._kept(number) for number in range(KEPT_FILES, 0, -1)), self.path):
            try:
                lines = read_file(path, MAX_READ_BYTES).splitlines()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise AuditError(f"the audit log {path} cannot be read: {_error_words(error)}") from error
            for raw in lines:
                with contextlib.suppress(*JSON_ERRORS):
                    one = msgspec.json.decode(raw, type=AuditEntry)
                    found[one.id] = one
        yield from found.values()

    def _kept(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _rotate(self, coming: int) -> None:
        if not self.path.exists() or self.path.stat().st_size + coming <= self._most:
            return
        for number in range(KEPT_FILES - 1, 0, -1):
            if self._kept(number).exists():
                self._kept(number).replace(self._kept(number + 1))
        self.path.replace(self._kept(1))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, so that nobody writes to a file that is being put aside."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        handle = open_own(lock)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _error_words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
