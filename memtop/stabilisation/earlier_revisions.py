"""What is remembered of revisions before the last change: whether they leaked, and which to compare with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memtop.analysis.stability_evidence import ChangeEvidence, SideFigures
from memtop.analysis.stability_waits import observe_side
from memtop.background import run_in_thread
from memtop.kube.api_errors import CLUSTER_FAILURES
from memtop.kube.client import Client
from memtop.kube.json_object import decode_object, name_of, objects
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import Revision, list_revisions
from memtop.observe.source import ServerClock
from memtop.stabilisation.before_and_after import gather_sides
from memtop.stabilisation.live_samples import LiveContainer
from memtop.stabilisation.past_samples import PastByContainer, PastSamples, PrometheusSamples, samples_on_disk
from memtop.stabilisation.revision_change import RevisionChange, find_change
from memtop.wording import counted, duration, rate

if TYPE_CHECKING:
    from config.settings import PrometheusSettings

BRIEF_SECONDS = 3 * 3600.0
"""A revision that ran for less may not have shown what it does: a warm-up or a leak of hours."""
PATIENCE_SECONDS = 8.0
"""Seconds that a plan waits to hear whether a revision leaked."""


def how_it_leaked(side: SideFigures) -> str:
    """How a revision leaked, in words; empty where it is not known that it did."""
    parts = []
    if side.leaks:
        parts.append(f"leaked {rate(side.rate)}" if side.rate is not None else "leaked")
    if side.oom_kills:
        parts.append(f"{counted(side.oom_kills, 'OOM kill')} in {duration(side.seconds)}")
    return ", ".join(parts)


def figures_of(evidence: ChangeEvidence) -> SideFigures:
    """What the samples of one revision say."""
    return observe_side(evidence, oom=any(len(one.oom_kills) for one in evidence.series)).side


def earlier_leak(
    change: RevisionChange,
    container: str,
    watched: Mapping[tuple[str, str], LiveContainer],
    memory: PastSamples,
    disk: PastByContainer,
    now: float,
) -> tuple[Revision, str] | None:
    """The revision whose leak is still the question, where the one that was replaced ran only briefly.

    A second deploy soon after a fix is compared with the fixed revision, which did not leak either.

    Returns:
        The newest earlier revision that leaked, and how; None where the comparison is right as it is, or
        nothing is known of a leak.
    """
    previous = change.previous
    if previous is None or change.previous_until - previous.created >= BRIEF_SECONDS:
        return None
    for old in change.earlier:
        if old.number >= previous.number:
            continue
        sides = gather_sides(replace(change, previous=old), container, watched, memory, disk, now)
        words = how_it_leaked(figures_of(sides.before))
        if words:
            return old, words
    return None


async def leak_of_revision(
    client: Client,
    ref: ObjectRef,
    number: int,
    *,
    prometheus: PrometheusSettings | None,
    folder: Path | None,
    speed: float = 1.0,
) -> str | None:
    """How a revision leaked when it ran last, from Prometheus and from the disk.

    Args:
        client: The connection.
        ref: The workload.
        number: Of the revision.
        prometheus: How to find and ask Prometheus; None for not at all.
        folder: Where memtop keeps samples of this cluster; None for nowhere.
        speed: Seconds of cluster time per second here.

    Returns:
        A few words; empty where it ran and is not known to have leaked, None where nothing is known of it.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            newer = [one for one in await list_revisions(client, ref) if one.number > number]
            if not newer:
                return None
            change = await find_change(client, ref, newer[-1].number)
            memory, disk, now = await _ask_past(client, change, prometheus, folder, speed)
    except (TimeoutError, *CLUSTER_FAILURES):
        return None
    found = [
        figures_of(gather_sides(change, container, {}, memory, disk, now).before)
        for container in change.lasting_containers
    ]
    if not any(side.pods for side in found):
        return None
    return "; ".join(filter(None, map(how_it_leaked, found)))


async def _ask_past(
    client: Client,
    change: RevisionChange,
    prometheus: PrometheusSettings | None,
    folder: Path | None,
    speed: float,
) -> tuple[PastSamples, PastByContainer, float]:
    """What is remembered of the pods of a change; and the cluster's time, Unix seconds."""
    clock = ServerClock(speed)
    path = f"/api/v1/namespaces/{change.ref.namespace}/pods"
    response = await client.request("GET", path, {"labelSelector": change.selector, "resourceVersion": "0"})
    clock.observe(response.headers.get("Date"))
    now = clock.now()
    living = [name_of(pod) for pod in objects(decode_object(response.body), "items")]
    disk = await run_in_thread(samples_on_disk, folder, change, now) if folder is not None else {}
    if prometheus is None:
        return PastSamples(), disk, now
    asked = PrometheusSamples(client, prometheus, speed)
    try:
        await asked.refresh(change, living, now)
        return asked.samples, disk, now
    finally:
        await asked.close()
