"""The timeline of a workload: when its memory began to climb, what changed then, and the likely causes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memtop.analysis.judgement import Judgement, leak_confidence
from memtop.analysis.likely_causes import LikelyCause, likely_causes
from memtop.analysis.memory_series import Floats, Series
from memtop.analysis.onset import Onset, OnsetKind, find_onset
from memtop.analysis.stability_evidence import ChangeEvidence, SideFigures
from memtop.analysis.traffic import TrafficFit, TrafficVerdict, fit_traffic
from memtop.analysis.verdict import judge_series
from memtop.background import run_in_thread
from memtop.history.past_series import NOTICED_WITHIN, ContainerName
from memtop.history.work_metrics import WorkloadName
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.json_object import Json, mapping, name_of, objects, text
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef, fetch_object, owner_chain
from memtop.kube.workload_revisions import Revision, list_revisions
from memtop.observe.source import ServerClock
from memtop.stabilisation.earlier_revisions import figures_of
from memtop.stabilisation.past_samples import pod_names_of
from memtop.stabilisation.revision_change import belongs_to_replica_set
from memtop.timeline.cause_facts import LogFindings, gather_facts, read_log_findings
from memtop.timeline.change_sources import ChangeQuestion, WorkloadChanges, gather_changes, list_pods
from memtop.timeline.cluster_changes import ClusterChange, TimelineKind, end_changes, unix_time
from memtop.timeline.week_samples import WEEK, WeekQuestion, WeekSamples, ask_week

if TYPE_CHECKING:
    from config.settings import PrometheusSettings

NEAR_SECONDS = 3600.0
"""Seconds before an onset within which a change may have brought it."""
_RANK = {
    TimelineKind.ROLLOUT: 0,
    TimelineKind.MEMTOP: 1,
    TimelineKind.CONFIG: 1,
    TimelineKind.SCALE: 2,
    TimelineKind.AUTOSCALER: 2,
    TimelineKind.NODE: 3,
}
"""Of several changes near an onset, what brings a leak most often counts: other code, then other settings."""


@dataclass(frozen=True)
class TimelineOptions:
    """How to gather a timeline.

    Attributes:
        container: Which container; None for the one that grows most.
        prometheus: How to find and ask Prometheus; None for not at all.
        folder: Where memtop keeps samples of this cluster; None for nowhere.
        audit: memtop's audit log; None for none.
        server: The API server's address.
        speed: Seconds of cluster time per second here; 1 but for a simulated cluster.
        seconds: How far back.
    """

    container: str | None = None
    prometheus: PrometheusSettings | None = None
    folder: Path | None = None
    audit: Path | None = None
    server: str = ""
    speed: float = 1.0
    seconds: float = WEEK


@dataclass(frozen=True)
class RevisionRate:
    """How one revision's floor grew.

    Attributes:
        number: Of the revision.
        images: Its images.
        figures: What its samples say.
    """

    number: int
    images: tuple[str, ...]
    figures: SideFigures


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """How a workload served, before its climb began, since, and at its worst.

    Attributes:
        name: ``requests`` (a second), ``errors`` (share of the requests) or ``latency`` (seconds, mean).
        before: Median before the onset; None without one, or where nothing is known.
        since: Median since the onset, or of all that is known.
        most: The highest since then.
        most_at: When that was, Unix seconds.
    """

    name: str
    before: float | None
    since: float
    most: float
    most_at: float


@dataclass(frozen=True, eq=False)
class WorkloadTimeline:
    """All that is known.

    Attributes:
        ref: The workload.
        container: Which of its containers.
        at: The cluster's time, Unix seconds.
        series: The samples of that container of every pod, by pod.
        onset: When the climb began.
        changes: What changed, in the order of time, ends included.
        brought_by: The change that may have brought it; None for none.
        rates: How each revision grew, the newest first.
        traffic: What the floor rises with.
        judgement: What its memory does, of the pod that is worst off; None where there are no samples.
        causes: What may be the cause, the likeliest first.
        limit: Memory limit, bytes.
        basis: Which memory that is, and who remembers it.
        notes: What could not be asked.
        containers: All of its containers that last.
        service: Requests, errors and latency, those that somebody counts.
    """

    ref: ObjectRef
    container: str
    at: float
    series: Mapping[str, Series] = field(default_factory=dict)
    onset: Onset = Onset(OnsetKind.UNKNOWN)
    changes: tuple[ClusterChange, ...] = ()
    brought_by: ClusterChange | None = None
    rates: tuple[RevisionRate, ...] = ()
    traffic: TrafficFit = TrafficFit(TrafficVerdict.UNKNOWN)
    judgement: Judgement | None = None
    causes: tuple[LikelyCause, ...] = ()
    limit: float | None = None
    basis: str = ""
    notes: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    service: tuple[ServiceLevel, ...] = ()


async def gather_timeline(client: Client, ref: ObjectRef, options: TimelineOptions) -> WorkloadTimeline:
    """Asks the cluster and Prometheus, and judges.

    Args:
        client: The connection.
        ref: The workload, or one of its pods.
        options: How.

    Raises:
        ApiError: There is no such object, it may not be read, or it has no such container.
        Unreachable: No whole answer came.
    """
    ref, workload = await _find_workload(client, ref)
    clock = ServerClock(options.speed)
    head = await client.request("GET", "/version")
    clock.observe(head.headers.get("Date"))
    now = clock.now()
    notes: list[str] = []
    revisions: tuple[Revision, ...] = ()
    try:
        revisions = await list_revisions(client, ref, workload)
    except CLUSTER_FAILURES as error:
        notes.append(f"revisions cannot be read: {error}")
    pods: list[Json] = []
    try:
        pods = await list_pods(client, ref, workload)
    except CLUSTER_FAILURES as error:
        notes.append(f"pods cannot be read: {error}")
    containers = _lasting_containers(workload, ref)
    if options.container is not None and options.container not in containers:
        words = f"{ref} has no container {options.container!r}; it has {', '.join(containers)}"
        raise ApiError(404, "NotFound", words)
    names = pod_names_of(ref, [one.name for one in revisions]) or pod_names_of(ref, [ref.name])
    question = WeekQuestion(
        WorkloadName(ref.namespace, ref.name, names),
        containers if options.container is None else (options.container,),
        tuple(name_of(pod) for pod in pods),
        now,
        options.seconds,
    )
    week = await ask_week(client, question, options.prometheus, options.folder)
    began = rollout_times(revisions, workload, pods)
    seen = {name.pod for name in week.series}
    asked = ChangeQuestion(ref, workload, revisions, pods, began, options.audit, options.server, len(seen))
    changes = await gather_changes(client, asked)
    container = options.container
    if container is None:
        container = await run_in_thread(_worst_container, week, containers)
    log = await read_log_findings(client, ref.namespace, _worst_pod(pods, container), container)
    return await run_in_thread(
        judge_timeline,
        WorkloadTimeline(ref, container, now, containers=containers, notes=tuple(notes)),
        workload,
        revisions,
        week,
        changes,
        log,
    )


async def _find_workload(client: Client, ref: ObjectRef) -> tuple[ObjectRef, Json]:
    """The workload that a pod belongs to, as far as it is one that has revisions; else the object itself."""
    _, found = await fetch_object(client, ref)
    if ref.kind != "Pod":
        return ref, found
    owners, _ = await owner_chain(client, found)
    for owner in reversed(owners):
        if owner.kind in ROLLING_KINDS:
            return owner, (await fetch_object(client, owner))[1]
    return ref, found


def _lasting_containers(workload: Json, ref: ObjectRef) -> tuple[str, ...]:
    spec = mapping(workload, "spec") if ref.kind == "Pod" else mapping(workload, "spec", "template", "spec")
    sidecars = [one for one in objects(spec, "initContainers") if text(one, "restartPolicy") == "Always"]
    return tuple(text(one, "name") for one in (*objects(spec, "containers"), *sidecars))


def rollout_times(revisions: Sequence[Revision], workload: Json, pods: Sequence[Json]) -> dict[int, float]:
    """When the newest revision was rolled out where it was gone back to, so that its creation says nothing.

    It is the creation of the oldest pod that came after the revision it replaced, or else when the Deployment
    last said that a rollout made progress.
    """
    if len(revisions) < 2 or revisions[0].created >= revisions[1].created:
        return {}
    newest, replaced = revisions[0], revisions[1]
    created = [
        time
        for pod in pods
        if (time := unix_time(text(pod, "metadata", "creationTimestamp"))) is not None
        and time > replaced.created
        and belongs_to_replica_set(newest, name_of(pod))
    ]
    if created:
        return {newest.number: min(created)}
    said = [
        time
        for one in objects(workload, "status", "conditions")
        if text(one, "type") == "Progressing" and (time := unix_time(text(one, "lastUpdateTime"))) is not None
    ]
    return {newest.number: max([*said, replaced.created])}


def _worst_container(week: WeekSamples, containers: Sequence[str]) -> str:
    """Of several containers the one that leaks most surely, by its judgements."""
    if len(containers) < 2:
        return containers[0] if containers else ""

    def leaking(container: str) -> float:
        return max((leak_confidence(judge_series(one)) for one in week.of(container).values()), default=0.0)

    return max(containers, key=leaking)


def _worst_pod(pods: Sequence[Json], container: str) -> Json | None:
    """The pod whose container has restarted most; its logs tell most."""

    def restarts(pod: Json) -> int:
        return max(
            (
                int(text(one, "restartCount") or 0)
                for one in objects(pod, "status", "containerStatuses")
                if text(one, "name") == container
            ),
            default=0,
        )

    return max(pods, key=restarts, default=None)


def judge_timeline(
    begun: WorkloadTimeline,
    workload: Json,
    revisions: Sequence[Revision],
    week: WeekSamples,
    changes: WorkloadChanges,
    log: LogFindings,
) -> WorkloadTimeline:
    """Puts together what was asked for. Pure, but takes its time: not for a screen's thread.

    Args:
        begun: Workload, container, time and notes.
        workload: The object.
        revisions: The newest first.
        week: The samples.
        changes: What changed.
        log: What a log says.
    """
    mine = week.of(begun.container)
    series = {name.pod: one for name, one in mine.items()}
    onset = refine_onset(find_onset(list(mine.values())), find_onset(week.near_of(begun.container)))
    causal = [one for one in changes.changes if one.kind.may_cause]
    ends = end_changes(series, [one.time for one in causal])
    since = week.since if week.since is not None else begun.at - WEEK
    every = sorted([*causal, *ends], key=lambda one: one.time)
    kept = [one for one in every if one.time >= since or (one.revision and one.time >= begun.at - WEEK)]
    climbs = onset.kind in {OnsetKind.BEGAN, OnsetKind.BEFORE_WINDOW}
    traffic = _what_it_follows(mine, week) if climbs else TrafficFit(TrafficVerdict.NEITHER)
    worst = _worst_series(mine, begun.at)
    judgement = None if worst is None else judge_series(worst[1])
    living = [one for name, one in mine.items() if len(one.values) and begun.at - one.timestamps[-1] < 900.0]
    level = max((float(one.values[-1]) for one in living), default=None)
    container = next((one for one in _specs(workload, begun.ref) if text(one, "name") == begun.container), {})
    facts = gather_facts(
        container,
        judgement,
        traffic,
        week.gauges.get(worst[0], {}) if worst is not None else {},
        log,
        list(mine.values()),
        level,
        begun.at,
    )
    return replace(
        begun,
        series=series,
        onset=onset,
        changes=tuple(kept),
        brought_by=change_that_brought(onset, every),
        rates=tuple(revision_rates(begun.ref, revisions, series)),
        traffic=traffic,
        judgement=judgement,
        causes=likely_causes(facts),
        limit=facts.limit,
        basis=week.basis,
        notes=(*begun.notes, *week.notes, *changes.notes, *log.notes),
        service=tuple(service_levels(week.service, onset.at)),
    )


def service_levels(known: Mapping[str, tuple[Floats, Floats]], onset: float | None) -> Iterator[ServiceLevel]:
    """How a workload served before and since a moment.

    Args:
        known: Times (Unix seconds) and values by name.
        onset: When its climb began, Unix seconds; None for never.
    """
    for name, (times, values) in known.items():
        later = np.ones(len(times), dtype=bool) if onset is None else times >= onset
        if not later.any():
            continue
        place = int(np.argmax(np.where(later, values, -np.inf)))
        before = None if later.all() else float(np.median(values[~later]))
        since = float(np.median(values[later]))
        yield ServiceLevel(name, before, since, float(values[place]), float(times[place]))


def _specs(workload: Json, ref: ObjectRef) -> list[Json]:
    spec = mapping(workload, "spec") if ref.kind == "Pod" else mapping(workload, "spec", "template", "spec")
    return [*objects(spec, "containers"), *objects(spec, "initContainers")]


def _worst_series(series: Mapping[ContainerName, Series], now: float) -> tuple[ContainerName, Series] | None:
    """Of the living pods the one that leaks most surely; of the dead ones where none lives."""
    known = {name: one for name, one in series.items() if len(one.values)}
    living = {name: one for name, one in known.items() if now - one.timestamps[-1] < 900.0} or known
    if not living:
        return None
    name = max(living, key=lambda one: leak_confidence(judge_series(living[one])))
    return name, living[name]


def _what_it_follows(series: Mapping[ContainerName, Series], week: WeekSamples) -> TrafficFit:
    """What the floor rises with: requests where they are counted, else whichever sign explains it."""
    names = list(series)
    told: list[TrafficFit] = []
    for work in (week.work, *week.usual_work):
        if any(name in work for name in names):
            told.append(fit_traffic([series[name] for name in names], [work.get(name) for name in names]))
            if work is week.work:
                break
    telling = (TrafficVerdict.TRAFFIC, TrafficVerdict.BOTH, TrafficVerdict.TIME, TrafficVerdict.EVEN)
    found = sorted(
        (fit for fit in told if fit.verdict in telling), key=lambda fit: telling.index(fit.verdict)
    )
    return (found or told or [TrafficFit(TrafficVerdict.UNKNOWN)])[0]


def refine_onset(whole: Onset, near: Onset) -> Onset:
    """The onset as the samples around it tell it, where these find the same.

    Args:
        whole: By all that is known.
        near: By the samples around it.
    """
    if whole.low is None or whole.high is None or near.low is None or near.high is None:
        return whole
    slack = whole.high - whole.low
    same = near.low <= whole.high + slack and near.high >= whole.low - slack
    closer = near.high - near.low < slack
    return replace(near, since=whole.since, until=whole.until) if same and closer else whole


def change_that_brought(onset: Onset, changes: Sequence[ClusterChange]) -> ClusterChange | None:
    """The change that may have brought the climb: in the hour before it, or within its interval.

    Samples tell of a thing some minutes late, so the interval reaches as far beyond its end.

    Args:
        onset: When it began.
        changes: All that changed.
    """
    if onset.at is None or onset.low is None or onset.high is None:
        return None
    at, high = onset.at, onset.high
    earliest = min(onset.low, at - NEAR_SECONDS)
    latest = high + NOTICED_WITHIN
    near = [one for one in changes if one.kind.may_cause and earliest <= one.time <= latest]
    return min(near, key=lambda one: (_RANK[one.kind], abs(one.time - at)), default=None)


def revision_rates(
    ref: ObjectRef, revisions: Sequence[Revision], series: Mapping[str, Series]
) -> list[RevisionRate]:
    """How the floor of each revision's pods grew, with its interval; of those with samples.

    A Deployment's pods carry their revision in their name. Those of the other kinds are told apart by the
    time: what a pod did before the next revision was made is that of the one before.

    Args:
        ref: The workload.
        revisions: The newest first.
        series: The samples of one container, by pod.
    """
    found = []
    for place, revision in enumerate(revisions):
        if ref.kind == "Deployment":
            own = [one for pod, one in series.items() if belongs_to_replica_set(revision, pod)]
        else:
            until = revisions[place - 1].created if place else np.inf
            own = [_between(one, revision.created, until) for one in series.values()]
        own = [one for one in own if len(one.values) or len(one.oom_kills)]
        if own:
            images = tuple(revision.images.values())
            found.append(RevisionRate(revision.number, images, figures_of(ChangeEvidence(tuple(own)))))
    return found


def _between(series: Series, begin: float, end: float) -> Series:
    kept = (series.timestamps >= begin) & (series.timestamps < end)
    return replace(
        series,
        timestamps=series.timestamps[kept],
        values=series.values[kept],
        restarts=series.restarts[(series.restarts >= begin) & (series.restarts < end)],
        oom_kills=series.oom_kills[(series.oom_kills >= begin) & (series.oom_kills < end)],
    )
