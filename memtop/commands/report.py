"""``memtop report``: an incident as Markdown or as one HTML file, printed or written to a new file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from memtop.advice.proposals import propose
from memtop.advice.workload_evidence import WorkloadEvidence, gather_evidence
from memtop.change.audit_log import AuditLog, audit_log_path
from memtop.commands.object_argument import object_argument
from memtop.commands.once import NoFrameError, observe_once
from memtop.files import NewFileError, new_file
from memtop.heap.kept_captures import capture_places
from memtop.kube.api_errors import CLUSTER_FAILURES, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.kube.pod_facts import Workload
from memtop.observe.frame import WorkloadKey
from memtop.observe.view import Scope, View
from memtop.observe.watchlist import DemoStartError, Watchlist, open_watchlist
from memtop.report.html_report import html
from memtop.report.incident import Incident, describe_incident
from memtop.report.markdown_report import markdown
from memtop.report.redaction import names_of, redact, redaction_key
from memtop.rules.proposed_rules import rules_in_words
from memtop.sanitize import sanitize
from memtop.stabilisation.stabilisation_watch import StabilisationOptions

if TYPE_CHECKING:
    from config.invocation import Invocation
    from config.settings import Settings

NOTHING_KNOWN, BAD_INPUT = 1, 2
WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod")


class NoSuchWorkloadError(Exception):
    """Nothing is known of what was named; one sentence."""


def run_report(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Observes a workload, asks for all that is known of it, and prints the report.

    Args:
        invocation: The workload among its arguments; its options ``output``, ``file`` and ``redact``.
        out: Where the report goes, unless a file is named.
        err: Where sentences go.

    Returns:
        0; 1 where nothing is known of the workload, or the file cannot be written; 2 where what was asked
        for makes no sense.

    Raises:
        ConfigError: A mistake in the arguments.
    """
    options = invocation.options
    try:
        evidence = gather_for_command(invocation)
    except KubeconfigError as error:
        print(f"memtop: {invocation.blame(error, error.setting)}", file=err)
        return BAD_INPUT
    except (DemoStartError, NoFrameError, NoSuchWorkloadError) as error:
        print(f"memtop: {error}", file=err)
        return NOTHING_KNOWN
    incident = incident_of(evidence, redacted=bool(options["redact"]), environ=os.environ)
    written = html(incident) if options["output"] == "html" else markdown(incident)
    if not options["file"]:
        out.write(written)
        return 0
    try:
        with new_file(Path(options["file"]), options["file"]) as file:
            file.write(written)
    except NewFileError as error:
        print(f"memtop: {error}", file=err)
        return NOTHING_KNOWN
    print(f"memtop: written to {options['file']}", file=err)
    return 0


def incident_of(evidence: WorkloadEvidence, *, redacted: bool, environ: Mapping[str, str]) -> Incident:
    """The report of some evidence.

    Args:
        evidence: What is known.
        redacted: Whether names are exchanged for pseudonyms.
        environ: The environment variables.
    """
    proposed = tuple((f"{one.container}: {one.title}", one.reason) for one in propose(evidence))
    incident = describe_incident(evidence, proposed)
    return redact(incident, names_of(evidence), redaction_key(environ)) if redacted else incident


def write_reports(folder: Path, evidence: WorkloadEvidence) -> tuple[Path, ...]:
    """Writes a report to two new files, Markdown and HTML. Blocks.

    Args:
        folder: Where.
        evidence: What is known.

    Returns:
        The files.

    Raises:
        NewFileError: There is a file of that name, or it cannot be written.
    """
    incident = incident_of(evidence, redacted=False, environ=os.environ)
    stem = f"{evidence.ref.name}_incident_{datetime.fromtimestamp(evidence.at, UTC):%Y%m%dT%H%M%SZ}"
    written = []
    for suffix, text in ((".md", markdown(incident)), (".html", html(incident))):
        path = folder / f"{stem}{suffix}"
        with new_file(path, str(path)) as file:
            file.write(text)
        written.append(path)
    return tuple(written)


def gather_for_command(invocation: Invocation, *, working_set: bool = False) -> WorkloadEvidence:
    """What is known of the workload that a command's arguments name.

    Args:
        invocation: The arguments ``KIND/NAME`` and the settings.
        working_set: Whether the past is wanted as the working set, which limits are compared with, in place
            of the metric that growth is judged on.

    Raises:
        ConfigError: They name none, or there is not exactly one namespace.
        KubeconfigError: There is no kubeconfig, or it cannot be used.
        DemoStartError: The embedded cluster did not start.
        NoFrameError: Nothing can be observed.
        NoSuchWorkloadError: Nothing is known of it.
    """
    demo = bool(invocation.options.get("demo"))
    with open_watchlist(invocation.settings, os.environ, demo=demo) as plan:
        ref = object_argument(invocation, invocation.arguments, plan.target.namespace, WORKLOAD_KINDS)
        past, settings = plan.history.prometheus, None if working_set else invocation.settings
        if working_set and past is not None:
            past = replace(past, metric="working_set")
        return gather_from(replace(plan, history=replace(plan.history, prometheus=past)), ref, settings)


async def with_rules(client: Client, evidence: WorkloadEvidence, settings: Settings) -> WorkloadEvidence:
    """The same, with the alert rules that are proposed, or why they are not known."""
    try:
        return replace(evidence, rules=await rules_in_words(client, settings, evidence.ref))
    except CLUSTER_FAILURES as error:
        return replace(evidence, missing=(*evidence.missing, f"alert rules: {sanitize(str(error))}"))


def gather_from(plan: Watchlist, ref: ObjectRef, settings: Settings | None = None) -> WorkloadEvidence:
    """What is known of a workload, as `gather_for_command` says; with settings, the rules proposed too."""
    key = WorkloadKey(ref.namespace, Workload(ref.kind, ref.name))
    plan = replace(plan, scope=Scope((ref.namespace,)))
    frame = observe_once(plan, 0.0, View(workloads=True, selected=key))

    async def gather() -> WorkloadEvidence:
        async with Client(plan.target) as client:
            log = AuditLog(audit_log_path(os.environ))
            options = StabilisationOptions.of(plan)
            places = capture_places(os.environ)
            found = await gather_evidence(client, frame, ref, options, log, places)
            return found if settings is None else await with_rules(client, found, settings)

    found = asyncio.run(gather())
    if not found.members and found.workload is None:
        why = next((one for one in found.missing if "template" in one), "no pod of it is seen")
        raise NoSuchWorkloadError(f"{ref} in {ref.namespace}: {why.partition(': ')[2] or why}")
    return found
