"""``memtop timeline``: since when a workload leaks, what changed then, and the likely cause, printed."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, TextIO

from memtop.change.audit_log import audit_log_path
from memtop.commands.object_argument import object_argument
from memtop.kube.api_errors import CLUSTER_FAILURES, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef
from memtop.observe.watchlist import DemoStartError, Watchlist, open_watchlist
from memtop.timeline.timeline_report import report_json, report_lines, report_markdown
from memtop.timeline.workload_timeline import TimelineOptions, WorkloadTimeline, gather_timeline

if TYPE_CHECKING:
    from config.invocation import Invocation

FAILED, BAD_INPUT = 1, 2
KINDS = (*ROLLING_KINDS, "Pod")


def run_timeline(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints the timeline of a workload.

    Args:
        invocation: The workload or pod among its arguments; its options ``container``, ``since`` (seconds, 0
            for a week) and ``output``.
        out: Where it goes.
        err: Where failures go.

    Returns:
        0; 1 where the cluster does not answer; 2 where there is no such object.

    Raises:
        ConfigError: A mistake in the arguments.
    """
    try:
        with open_watchlist(
            invocation.settings, os.environ, demo=bool(invocation.options.get("demo"))
        ) as plan:
            ref = _workload_or_pod(invocation, plan.target.namespace)
            told = asyncio.run(_gather(plan, ref, invocation))
    except KubeconfigError as error:
        print(f"memtop: {invocation.blame(error, error.setting)}", file=err)
        return BAD_INPUT
    except (DemoStartError, *CLUSTER_FAILURES) as error:
        print(f"memtop: {error}", file=err)
        return BAD_INPUT if getattr(error, "status", 0) == 404 else FAILED
    match invocation.options["output"]:
        case "json":
            print(report_json(told), file=out)
        case "markdown":
            print(report_markdown(told), file=out, end="")
        case _:
            for line in report_lines(told):
                print(line.rstrip(), file=out)
    return 0


def _workload_or_pod(invocation: Invocation, namespace: str) -> ObjectRef:
    """The workload or pod that the arguments name; a word alone is a pod.

    Raises:
        ConfigError: They name none, or there is not exactly one namespace.
    """
    words = invocation.arguments
    if len(words) == 1 and "/" not in words[0]:
        words = ("Pod", *words)
    return object_argument(invocation, words, namespace, KINDS)


async def _gather(plan: Watchlist, ref: ObjectRef, invocation: Invocation) -> WorkloadTimeline:
    options = timeline_options(plan, container=invocation.options["container"] or None)
    async with Client(plan.target) as client:
        return await gather_timeline(client, ref, options)


def timeline_options(plan: Watchlist, container: str | None = None) -> TimelineOptions:
    """How to gather the timeline of something that an engine observes.

    Args:
        plan: The engine's.
        container: Which container; None for the one that grows most.
    """
    return TimelineOptions(
        container=container,
        prometheus=plan.history.prometheus,
        folder=plan.history.folder,
        audit=audit_log_path(os.environ),
        server=plan.target.shown_server,
        speed=plan.speed,
    )
