"""Alert rules put into the cluster as a plan: difference, dry run, compare-and-swap, audit, and undo."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
import yaml

from memtop.background import run_in_thread
from memtop.change.apply import current_user
from memtop.change.audit_log import AuditEntry, AuditError, AuditField, AuditLog, PlanOutcome
from memtop.change.change_plan import ChangePlanLine
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.json_object import Json, decode_object, labels, mapping, text
from memtop.kube.object_ref import ObjectRef
from memtop.rules.rule_files import MANAGED_BY, RULE_FILE_KEY, groups_of, yaml_text

APPLY_ACTION, UNDO_ACTION = "apply rules", "undo rules"
_COLLECTIONS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "PrometheusRule": "/apis/monitoring.coreos.com/v1/namespaces/{}/prometheusrules",
}
_FIELDS = {"ConfigMap": f"data[{RULE_FILE_KEY}]", "PrometheusRule": "spec"}
_MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class RulesPlan:
    """One object with rules, to be made, changed or deleted.

    Attributes:
        action: What it is called in the audit log.
        context: The kubeconfig's context.
        ref: The object.
        before: Its rules now, as text; empty where it is not there.
        after: Its rules then; empty where it is deleted.
        lines: What there is to say, for a person.
        difference: Line by line.
        method: Of the request; empty where there is nothing to do.
        path: Of the request.
        body: Of the request; holds the version, so that the server refuses it for another object.
        version: The resourceVersion that the plan was made from.
        refused: Why it cannot be applied; empty if it can.
        id: Names the plan in the audit log.
    """

    action: str
    context: str
    ref: ObjectRef
    before: str
    after: str
    lines: tuple[ChangePlanLine, ...]
    difference: tuple[str, ...]
    method: str
    path: str
    body: bytes
    version: str
    refused: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12], compare=False)

    @property
    def title(self) -> str:
        """The plan in a few words."""
        what = "Put the alert rules into" if self.action == APPLY_ACTION else "Take the alert rules back in"
        return f"{what} {self.ref.kind.lower()}/{self.ref.name}"

    @property
    def content_type(self) -> str:
        """Of the body."""
        return _MERGE_PATCH if self.method == "PATCH" else "application/json"


def rules_as_text(found: Mapping[str, Any]) -> str:
    """The rules in an object, as they are compared and recorded; empty where there are none."""
    if found.get("kind") == "PrometheusRule":
        return yaml_text(dict(mapping(found, "spec"))) if found.get("spec") else ""
    return str(mapping(found, "data").get(RULE_FILE_KEY) or "")


async def plan_rules(client: Client, document: Mapping[str, Any], *, read_only: str = "") -> RulesPlan:
    """A plan for an object with rules; nothing is changed.

    Args:
        client: The connection.
        document: The object as it is to be.
        read_only: Why nothing may be changed; empty where something may.

    Raises:
        ApiError: The object may not be read.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
    """
    metadata = document["metadata"]
    ref = ObjectRef(document["kind"], metadata["namespace"], metadata["name"], "", document["apiVersion"])
    return await _make(client, APPLY_ACTION, ref, document, rules_as_text(document), read_only, ())


async def plan_undo(client: Client, last: AuditEntry, *, read_only: str = "") -> RulesPlan:
    """A plan for the way back from what was applied last; raises like `plan_rules`.

    Args:
        client: The connection.
        last: What was applied.
        read_only: Why nothing may be changed; empty where something may.
    """
    ref = ObjectRef(last.kind, last.namespace, last.name)
    before = last.changes[0].old if last.changes else ""
    document: dict[str, Any] | None = None
    if before:
        held = (
            {"spec": yaml.safe_load(before)}
            if ref.kind == "PrometheusRule"
            else {"data": {RULE_FILE_KEY: before}}
        )
        document = {"kind": ref.kind, "metadata": {"name": ref.name, "namespace": ref.namespace}, **held}
    told = ChangePlanLine("undoes", f"the plan {last.id}, applied by {last.user} at {last.time}")
    return await _make(client, UNDO_ACTION, ref, document, before, read_only, (told,), last.changes[0].new)


def last_applied(
    entries: Sequence[AuditEntry], server: str, name: str, namespace: str = ""
) -> AuditEntry | None:
    """What was applied last to the object with rules on a server, and has not been undone.

    Args:
        entries: The audit log, the oldest first.
        server: The API server's address.
        name: The object's name.
        namespace: The object's namespace; empty for any.
    """
    waiting: list[AuditEntry] = []
    for one in entries:
        if one.server != server or one.name != name or one.outcome != "applied":
            continue
        if namespace and one.namespace != namespace:
            continue
        if one.action == APPLY_ACTION and one.changes:
            waiting.append(one)
        elif one.action == UNDO_ACTION and waiting:
            waiting.pop()
    return waiting[-1] if waiting else None


async def _make(
    client: Client,
    action: str,
    ref: ObjectRef,
    document: Mapping[str, Any] | None,
    after: str,
    read_only: str,
    more: Sequence[ChangePlanLine],
    expected: str | None = None,
) -> RulesPlan:
    collection = _COLLECTIONS[ref.kind].format(quote(ref.namespace, safe=""))
    path = f"{collection}/{quote(ref.name, safe='')}"
    found: Json | None = None
    try:
        found = decode_object(await client.get(path), f"the {ref.kind} {ref.name}")
    except ApiError as error:
        if error.status != 404:
            raise
    before = rules_as_text({"kind": ref.kind, **found}) if found is not None else ""
    version = text(found, "metadata", "resourceVersion")
    lines = [
        ChangePlanLine(
            "object",
            f"{ref.kind} {ref.name} in the namespace {ref.namespace}, context {client.target.context}",
        ),
        *more,
        *_rule_lines(ref.kind, before, after),
    ]
    managed = labels(found, "metadata", "labels").get("app.kubernetes.io/managed-by", "")
    if found is not None and managed != MANAGED_BY["app.kubernetes.io/managed-by"]:
        words = f"it was made by {managed or 'somebody else'}, not by memtop"
        lines.append(ChangePlanLine("owner", words, "warn"))
    if expected is not None and before != expected:
        lines.append(ChangePlanLine("changed", "its rules are not those that memtop put there", "critical"))
    method, body = _request(document, found, version)
    if before == after and (found is None) == (document is None):
        method = ""
    refused = read_only
    if method and not refused:
        refused = await _tried(client, method, path if method != "POST" else collection, body)
        words = (
            f"the server refuses it: {refused}" if refused else "the server accepts it, admission included"
        )
        lines.append(ChangePlanLine("dry run", words, "critical" if refused else "plain"))
    difference = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "now", "then", lineterm="", n=2
    )
    return RulesPlan(
        action,
        client.target.context,
        ref,
        before,
        after,
        tuple(lines),
        tuple(difference),
        method,
        collection if method == "POST" else path,
        msgspec.json.encode(body),
        version,
        refused,
    )


def _request(
    document: Mapping[str, Any] | None, found: Json | None, version: str
) -> tuple[str, dict[str, Any]]:
    """The method and the body that lead from what is there to what is to be."""
    if document is None:
        if found is None:
            return "", {}
        conditions = {"resourceVersion": version, "uid": text(found, "metadata", "uid")}
        return "DELETE", {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
    if found is None:
        return "POST", dict(document)
    held = {key: document[key] for key in ("data", "spec") if key in document}
    wanted = document["metadata"].get("labels")
    metadata = {"resourceVersion": version, **({"labels": wanted} if wanted else {})}
    return "PATCH", {"metadata": metadata, **held}


def _rule_lines(kind: str, before: str, after: str) -> list[ChangePlanLine]:
    """Which alerts come, go and change."""
    old, new = _alerts(kind, before), _alerts(kind, after)
    changed = [name for name in new if name in old and new[name] != old[name]]
    parts = {
        "adds": [name for name in new if name not in old],
        "changes": changed,
        "removes": [name for name in old if name not in new],
    }
    lines = [ChangePlanLine(what, ", ".join(names)) for what, names in parts.items() if names]
    return lines or [ChangePlanLine("alerts", "stay as they are")]


def _alerts(kind: str, written: str) -> dict[str, object]:
    try:
        document = yaml.safe_load(written) if written else {}
    except yaml.YAMLError:
        return {"what cannot be read": written}
    found = groups_of(document if isinstance(document, dict) else {})
    rules = [rule for group in found.get("groups") or [] for rule in group.get("rules") or []]
    made: dict[str, object] = {}
    for rule in rules:
        name = str(rule.get("alert") or rule.get("record"))
        workload = mapping(rule, "labels").get("workload")
        made[f"{name} of {workload}" if workload else name] = rule
    return made


async def _tried(client: Client, method: str, path: str, body: dict[str, Any]) -> str:
    """Why the server would refuse a request; empty if it would not."""
    tried = {**body, "dryRun": ["All"]} if method == "DELETE" else body
    params = {} if method == "DELETE" else {"dryRun": "All", "fieldManager": "memtop"}
    kind = _MERGE_PATCH if method == "PATCH" else "application/json"
    try:
        await client.request(method, path, params, body=msgspec.json.encode(tried), content_type=kind)
    except ApiError as error:
        return str(error)
    return ""


async def apply_rules(client: Client, plan: RulesPlan, log: AuditLog) -> tuple[str, str]:
    """Applies a plan that somebody has said yes to; without a line in the log nothing is sent.

    Returns:
        Why it was not done, empty if it was; and what went wrong afterwards, such as the log.
    """
    try:
        await record_rules(client, plan, log, "begun")
    except AuditError as error:
        return f"nothing is changed without a record: {error}", ""
    params = {} if plan.method == "DELETE" else {"fieldManager": "memtop"}
    try:
        answer = await client.request(
            plan.method, plan.path, params, body=plan.body, content_type=plan.content_type
        )
    except CLUSTER_FAILURES as error:
        why = str(error)
        conflict = isinstance(error, ApiError) and error.status == 409
        if conflict:
            why = f"it was changed in the meantime and nothing is written: plan it again ({error})"
        return why, await _noted(client, plan, log, "conflict" if conflict else "failed", why)
    version = text(decode_object(answer.body), "metadata", "resourceVersion")
    return "", await _noted(client, plan, log, "applied", version=version)


async def _noted(
    client: Client, plan: RulesPlan, log: AuditLog, outcome: PlanOutcome, why: str = "", version: str = ""
) -> str:
    try:
        await record_rules(client, plan, log, outcome, why, version)
    except AuditError as error:
        return str(error)
    return ""


async def record_rules(
    client: Client, plan: RulesPlan, log: AuditLog, outcome: PlanOutcome, why: str = "", version: str = ""
) -> None:
    """Records what became of a plan, with the rules before and after, from which it can be undone.

    Raises:
        AuditError: It cannot be written.
    """
    entry = AuditEntry(
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        id=plan.id,
        outcome=outcome,
        action=plan.action,
        kind=plan.ref.kind,
        namespace=plan.ref.namespace,
        name=plan.ref.name,
        context=plan.context,
        server=client.target.shown_server,
        user=await current_user(client),
        changes=(AuditField(_FIELDS[plan.ref.kind], plan.before, plan.after),),
        version=version or plan.version,
        why=why or plan.refused,
    )
    await run_in_thread(log.write, entry)
