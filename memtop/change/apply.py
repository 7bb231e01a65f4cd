"""Applies a plan with compare-and-swap, and records the outcome and the user in the audit log."""

from __future__ import annotations

import base64
import binascii
import contextlib
import ssl
import time
from dataclasses import dataclass, replace
from http import HTTPStatus

import msgspec

from memtop.background import run_in_thread
from memtop.change import planning, validation
from memtop.change.audit_log import AuditError, AuditLog, PlanOutcome, audit_entry
from memtop.change.change_plan import ChangePlan, ChangePlanLine, object_digest
from memtop.change.field_owners import last_writer
from memtop.change.workload_state import workload_from_object
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.client import Client
from memtop.kube.connection_target import Auth
from memtop.kube.credentials import Grant
from memtop.kube.json_object import decode_object, text
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.kube.object_ref import fetch_object
from memtop.log_file import get_logger
from memtop.sanitize import sanitize

LOGGER = get_logger("change")
UNKNOWN_USER = "unknown"
_REVIEW_GROUP = "/apis/authentication.k8s.io"
REVIEW_VERSIONS = ("v1", "v1beta1", "v1alpha1")
_REVIEW_TIMEOUT = 5.0
"""Seconds; a change must not wait long for a name."""
_COMMON_NAME_OID = bytes.fromhex("0603550403")
"""The object identifier 2.5.4.3 as DER has it."""
_SEQUENCE, _EXPLICIT_VERSION = 0x30, 0xA0


async def current_user(client: Client) -> str:
    """The name of the user as the API server sees them.

    Servers from 1.28 on say so. Of an older one it follows from what we show it: whom we impersonate, the
    common name of the certificate, the subject of a service account's token. Else it is `UNKNOWN`.
    """
    for version in REVIEW_VERSIONS:
        path = f"{_REVIEW_GROUP}/{version}/selfsubjectreviews"
        review = {"apiVersion": f"authentication.k8s.io/{version}", "kind": "SelfSubjectReview"}
        try:
            answer = await client.request(
                "POST", path, body=msgspec.json.encode(review), timeout=_REVIEW_TIMEOUT
            )
            name = text(decode_object(answer.body), "status", "userInfo", "username")
        except ApiError:
            continue
        except (Unreachable, CredentialError, KubeconfigError):
            break
        if name:
            return sanitize(name)
    return user_from_credentials(client.target.auth, client.credentials.current())


def user_from_credentials(auth: Auth, grant: Grant | None) -> str:
    """The name that follows from what a server is shown; `UNKNOWN` where none does.

    Args:
        auth: How we log in.
        grant: The credential in use.
    """
    for header, value in auth.impersonation:
        if header == "Impersonate-User":
            return sanitize(value)
    if grant is None:
        return UNKNOWN_USER
    name = _service_account_name(grant.authorization or "")
    if grant.certificate is not None:  # which is what a server looks at first
        with contextlib.suppress(ValueError, IndexError, UnicodeDecodeError):
            name = common_name(grant.certificate[0].decode()) or name
    return sanitize(name) or sanitize(auth.username or "") or UNKNOWN_USER


def common_name(pem: str) -> str:
    """The common name of a certificate's subject; empty without one.

    Args:
        pem: The certificate, perhaps with others or a key around it.

    Raises:
        ValueError: It is no certificate.
        IndexError: It is cut short.
    """
    begin = pem.index("-----BEGIN CERTIFICATE-----")
    end = pem.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(pem[begin:end])
    # Certificate: SEQUENCE { TBSCertificate: SEQUENCE { [0] version, serial, algorithm, issuer, validity,
    # subject, ...  (RFC 5280, section 4.1)
    place, _ = _der_content(der, _der_content(der, 0)[0])
    if der[place] == _EXPLICIT_VERSION:
        place = _der_content(der, place)[1]
    for _ in range(4):
        place = _der_content(der, place)[1]
    subject = der[place : _der_content(der, place)[1]]
    found = subject.rfind(_COMMON_NAME_OID)
    if found < 0:
        return ""
    start, stop = _der_content(subject, found + len(_COMMON_NAME_OID))
    return subject[start:stop].decode()


def _der_content(der: bytes, place: int) -> tuple[int, int]:
    """Where the contents of the DER element at `place` begin and end."""
    length, start = der[place + 1], place + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    return start, start + length


def _service_account_name(authorization: str) -> str:
    """The subject of a service account's token; other tokens' subjects need not be the user's name."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return ""
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        subject = text(msgspec.json.decode(raw), "sub")
    except (binascii.Error, *JSON_ERRORS):
        return ""
    return subject if subject.startswith("system:serviceaccount:") else ""


GONE_ALREADY = "the server says that it is gone: by this request or just before it"
APPLY_TRIES = 10
"""Writes of others to the object's status, in a row, before we give up getting ours in between."""


@dataclass(frozen=True, slots=True)
class Applied:
    """It is done.

    Attributes:
        version: The object's resourceVersion now; empty where the server does not say.
        time: Unix seconds, by this machine's clock.
        warning: What went wrong afterwards, such as the log; empty if nothing.
    """

    version: str
    time: float
    warning: str = ""


@dataclass(frozen=True, slots=True)
class ObjectChanged:
    """Nothing was written: the object was changed since the plan was made.

    Attributes:
        plan: What it would be now.
    """

    plan: ChangePlan


@dataclass(frozen=True, slots=True)
class NotApplied:
    """It was not done, or it is not known whether it was.

    Attributes:
        why: One sentence.
    """

    why: str


async def apply_plan(client: Client, plan: ChangePlan, log: AuditLog) -> Applied | ObjectChanged | NotApplied:
    """Applies a plan that somebody has said yes to.

    A write in between makes the server refuse it. If that write left all that the plan depends on as it was
    (see `memtop.change.change_plan`), the same plan is sent for the new version; else nothing is written, and
    the answer is the plan as it would be now. Without a line in the log nothing is sent.

    Args:
        client: The connection.
        plan: The plan.
        log: Where it is recorded.
    """
    record = _AuditRecord(client, plan, log)
    if plan.refused:
        return await record.refused(plan.refused)
    try:
        await record.write("begun")
    except AuditError as error:
        return NotApplied(f"nothing is changed without a record: {error}")
    try:
        return await _send_until_current(client, plan, record)
    except (CredentialError, KubeconfigError) as error:
        return await record.failed(str(error))
    except (ApiError, Unreachable) as error:
        if _is_gone(plan, error):
            return await record.applied("", GONE_ALREADY)
        if isinstance(error, ApiError) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return await record.failed(str(error))
        return await _settle_unanswered(
            client, plan, record, str(error)
        )  # a time-out may follow upon the change


async def record_not_applied(
    client: Client, plan: ChangePlan, log: AuditLog, *, outcome: PlanOutcome = "declined", why: str = ""
) -> str:
    """Records a plan that is not applied.

    Args:
        client: The connection.
        plan: The plan.
        log: Where it is recorded.
        outcome: Why it is not: somebody said no, only wanted to see it, or another plan failed before it.
        why: The reason in a sentence, where there is more to say.

    Returns:
        A warning if it cannot be recorded; empty if it is.
    """
    try:
        await _AuditRecord(client, plan, log).write(
            "refused" if plan.refused else outcome, plan.refused or why
        )
    except AuditError as error:
        return str(error)
    return ""


async def _send_until_current(
    client: Client, plan: ChangePlan, record: _AuditRecord
) -> Applied | ObjectChanged | NotApplied:
    said = ""
    for _ in range(APPLY_TRIES):
        try:
            answer = await client.request(
                plan.method, plan.path, plan.params, body=plan.body, content_type=plan.content_type
            )
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            said = str(error)
        else:
            version = text(decode_object(answer.body, "the answer"), "metadata", "resourceVersion")
            return await record.applied(version)
        try:
            _, found = await fetch_object(client, plan.ref)
            if object_digest(plan.ref.kind, found) != plan.digest:
                newer = await planning.make_plan(client, plan.change, plan.context)
                return await record.changed(_name_writer(newer, last_writer(found)))
        except (ApiError, Unreachable) as error:  # after a conflict there is no doubt whether it was done
            return await record.failed(f"it was changed meanwhile and nothing is written: {error}")
        plan = plan.at_version(text(found, "metadata", "resourceVersion"))
    return await record.failed(f"it was written by others {APPLY_TRIES} times in a row, so try again: {said}")


def _name_writer(newer: ChangePlan, writer: str) -> ChangePlan:
    """The plan that says first who changed the object since the one before it, where that is known."""
    if not writer:
        return newer
    told = ChangePlanLine("changed", f"in the meantime, last by {writer}", "warn")
    return replace(newer, lines=(*newer.lines[:1], told, *newer.lines[1:]))


async def _settle_unanswered(
    client: Client, plan: ChangePlan, record: _AuditRecord, error: str
) -> Applied | NotApplied:
    """What became of a request to which no clear answer came, as far as the object shows it."""
    try:
        _, found = await fetch_object(client, plan.ref)
    except CLUSTER_FAILURES as missing:
        if _is_gone(plan, missing):
            return await record.applied("", f"no clear answer came, and {plan.ref} is gone")
        return await record.failed(f"no clear answer came: it may or may not have been applied: {error}")
    if (
        validation.request_problem(plan.change, workload_from_object(plan.ref, found))
        in validation.NOTHING_TO_DO
    ):
        return await record.applied(text(found, "metadata", "resourceVersion"))
    if object_digest(plan.ref.kind, found) == plan.digest:
        return await record.failed(f"no clear answer came, and the object is as it was: {error}")
    return await record.failed(f"no clear answer came; look at what the object is like now: {error}")


def _is_gone(plan: ChangePlan, error: Exception) -> bool:
    """Whether what was to be deleted is not there any more.

    A DELETE may have been sent twice: on a connection that breaks before the answer, HTTP clients send again
    what can be repeated. The second then finds nothing.
    """
    return plan.method == "DELETE" and isinstance(error, ApiError) and error.status == HTTPStatus.NOT_FOUND


class _AuditRecord:
    """Writes what becomes of one plan."""

    def __init__(self, client: Client, plan: ChangePlan, log: AuditLog) -> None:
        self._client = client
        self._plan = plan
        self._log = log
        self._user = ""

    async def write(self, outcome: PlanOutcome, why: str = "", version: str = "") -> None:
        self._user = self._user or await current_user(self._client)
        server = self._client.target.shown_server
        LOGGER.info(
            "plan %s: %s of %s: %s %s", self._plan.id, self._plan.change.action, self._plan.ref, outcome, why
        )
        line = audit_entry(self._plan, outcome, server=server, user=self._user, why=why, version=version)
        await run_in_thread(self._log.write, line)  # it waits for the disk

    async def applied(self, version: str, why: str = "") -> Applied:
        return Applied(version, time.time(), await self._told("applied", why, version))

    async def changed(self, newer: ChangePlan) -> ObjectChanged:
        await self._told("conflict", f"the object was changed; the new plan is {newer.id}")
        return ObjectChanged(newer)

    async def failed(self, why: str) -> NotApplied:
        warning = await self._told("failed", why)
        return NotApplied(f"{why}; {warning}" if warning else why)

    async def refused(self, why: str) -> NotApplied:
        warning = await self._told("refused", why)
        return NotApplied(f"{why}; {warning}" if warning else why)

    async def _told(self, outcome: PlanOutcome, why: str = "", version: str = "") -> str:
        try:
            await self.write(outcome, why, version)
        except AuditError as error:
            return str(error)
        return ""
