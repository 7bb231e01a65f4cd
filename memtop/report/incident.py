"""An incident as plain facts, in the order of a report: what grew, what happened when, what is not known.

Everything here is words and numbers that are ready to be written; `memtop.report.markdown_report` and
`memtop.report.html_report` only lay them out, and `memtop.report.redaction` exchanges names in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

import numpy as np

from memtop.advice.workload_evidence import LogEvidence, MemberFacts, WorkloadEvidence
from memtop.analysis.memory_series import Floats, Series
from memtop.analysis.onset import Onset, OnsetKind
from memtop.change.change_plan import field_label
from memtop.logs.heap_readings import HeapSummary
from memtop.stabilisation.stabilisation_watch import StabilisationState
from memtop.stabilisation.verdict_report import FACT_NAMES, side_facts, utc_stamp
from memtop.wording import UNKNOWN, bytes_, counted, duration, rate, share

FEWEST_MERGED = 4
"""Moments in a row that say the same from which on they are told as one."""
MOST_MOMENTS = 60
"""Lines of the timeline, the newest: a container that dies every two minutes would fill pages."""
MOST_CURVES = 24
"""Lines of the graph, the longest: more hide one another."""
SAME_MOMENT = 120.0
"""Seconds within which what two sources tell of one end is taken for the same."""


@dataclass(frozen=True)
class ReportRow:
    """One container in the table of a report, in words."""

    pod: str
    container: str
    node: str
    memory: str
    limit: str
    growth: str
    restarts: str
    last_end: str
    verdict: str
    evidence: str


@dataclass(frozen=True)
class ReportMoment:
    """Something that happened.

    Attributes:
        at: Unix seconds.
        kind: ``OOM kill``, ``restart``, ``rollout``, ``change`` or ``onset``.
        words: What, in a sentence.
        note: What somebody wrote of it, such as a change cause.
    """

    at: float
    kind: str
    words: str
    note: str = ""

    @property
    def time(self) -> str:
        """When, in UTC."""
        return f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, eq=False)
class ReportCurve:
    """The memory of one container over time.

    Attributes:
        times: Unix seconds, shape (n,), ascending.
        values: Bytes, shape (n,).
        after: Whether it belongs to the newest revision.
    """

    times: Floats
    values: Floats
    after: bool


@dataclass(frozen=True, eq=False)
class ReportGraph:
    """The graph of a report.

    Attributes:
        title: What it shows.
        curves: One for each container.
        limits: Limits that held, bytes, with what they are called.
        moments: What is marked.
    """

    title: str
    curves: tuple[ReportCurve, ...]
    limits: tuple[tuple[str, float], ...]
    moments: tuple[ReportMoment, ...]


@dataclass(frozen=True)
class ReportQuote:
    """Lines of a log, quoted, with what they come to."""

    title: str
    summary: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ReportChange:
    """A plan that was made on this machine, and what became of it."""

    time: str
    outcome: str
    what: str
    user: str
    why: str


@dataclass(frozen=True)
class ReportGap:
    """Something that is not known.

    Attributes:
        what: What.
        why: Why not.
        foreign: Whether a server said so, in words of its own.
    """

    what: str
    why: str
    foreign: bool = False

    @property
    def sentence(self) -> str:
        """Both."""
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, eq=False)
class Incident:
    """A report before it is laid out.

    Attributes:
        kind: Of the workload.
        name: Its name.
        namespace: Its namespace.
        context: The kubeconfig's context.
        time: When the report was made, in UTC.
        verdict: The present verdict in a word or two.
        summary: What grew, how fast, since when: sentences.
        rows: Its containers.
        graph: Memory over time; None where nothing is known of it.
        moments: The timeline, the oldest first.
        moments_left_out: Older moments that are not listed.
        quotes: What logs say.
        captures: Files that were captured.
        changes: What was planned and changed.
        help_verdict: How the newest change did, in a sentence; empty where there was none.
        sides: Name, before, after.
        advice: What memtop proposes: title and reason.
        rules: Alert rules that it proposes.
        unknown: What is not known.
        withheld: What was exchanged or left out by redaction.
    """

    kind: str
    name: str
    namespace: str
    context: str
    time: str
    verdict: str
    summary: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    graph: ReportGraph | None
    moments: tuple[ReportMoment, ...]
    moments_left_out: int
    quotes: tuple[ReportQuote, ...]
    captures: tuple[str, ...]
    changes: tuple[ReportChange, ...]
    help_verdict: str
    sides: tuple[tuple[str, str, str], ...]
    advice: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    unknown: tuple[ReportGap, ...]
    withheld: tuple[str, ...] = ()


def describe_incident(evidence: WorkloadEvidence, advice: tuple[tuple[str, str], ...] = ()) -> Incident:
    """The report that some evidence makes.

    Args:
        evidence: What is known.
        advice: What is proposed: title and reason of each.
    """
    container = _container_of(evidence)
    onset = evidence.onset(container) if container else None
    moments = sorted(_moments(evidence, onset), key=lambda one: one.at)
    listed = list(merge_moments(moments))
    state = evidence.stabilisation
    return Incident(
        kind=evidence.ref.kind,
        name=evidence.ref.name,
        namespace=evidence.ref.namespace,
        context=evidence.context,
        time=utc_stamp(evidence.at),
        verdict=_verdict(evidence),
        summary=tuple(_summary(evidence, container, onset)),
        rows=tuple(_row(one) for one in evidence.members),
        graph=_graph(evidence, container, moments),
        moments=tuple(listed[-MOST_MOMENTS:]),
        moments_left_out=max(0, len(listed) - MOST_MOMENTS),
        quotes=tuple(_quote(one) for one in evidence.logs),
        captures=tuple(f"{one.name}, {bytes_(one.size)}, {utc_stamp(one.at)}" for one in evidence.captures),
        changes=tuple(_changes(evidence)),
        help_verdict=_help_verdict(state) if state is not None else "",
        sides=_sides(state) if state is not None else (),
        advice=advice,
        rules=evidence.rules,
        unknown=tuple(_unknown(evidence, onset)),
    )


def _container_of(evidence: WorkloadEvidence) -> str:
    """The container that the report is about: the worst one that runs, else the one that decides."""
    worst = evidence.worst()
    if worst is not None:
        return worst.container
    return evidence.stabilisation.container if evidence.stabilisation is not None else ""


def _verdict(evidence: WorkloadEvidence) -> str:
    worst = evidence.worst()
    pooled = evidence.judgement.certainty if evidence.judgement is not None else ""
    if worst is None:
        return pooled or "not known: no container runs"
    return (
        worst.judgement.certainty if worst.judgement.certainty != "not enough data" else pooled or "not known"
    )


def _summary(evidence: WorkloadEvidence, container: str, onset: Onset | None) -> Iterator[str]:
    worst = evidence.worst()
    if worst is not None:
        judged = worst.judgement
        yield f"{worst.pod}, container {worst.container}: {judged.certainty} – {judged.evidence()}."
        now = f"It holds {bytes_(worst.working_set)}"
        if worst.limit is not None and worst.working_set is not None:
            now += f", {share(worst.working_set / worst.limit)} of its limit of {bytes_(worst.limit)}"
        elif worst.limit is None:
            now += "; it has no limit that is known"
        yield f"{now}."
    if evidence.judgement is not None and len(evidence.members) > 1:
        yield f"All pods together: {evidence.judgement.certainty} – {evidence.judgement.evidence()}."
    yield from (f"{one.words()}." for one in evidence.health)
    if onset is not None and (words := _onset_words(onset)):
        yield words
    kills = sum(one.judgement.oom_kills for one in evidence.members)
    restarts = sum(one.restarts for one in evidence.members)
    if evidence.members:
        yield (
            f"{counted(restarts, 'restart')} since the present pods were created; "
            f"{counted(kills, 'OOM kill')} within what was judged."
        )


def _onset_words(onset: Onset) -> str:
    if onset.kind is OnsetKind.BEGAN and onset.at is not None:
        margin = f" (± {duration(onset.margin)})" if onset.margin is not None else ""
        how = "by its OOM kills" if onset.by_deaths else "by its floor"
        before = f", before that {rate(onset.rate_before)}" if onset.rate_before is not None else ""
        return f"The climb began at {utc_stamp(onset.at)}{margin}, {how}{before}."
    if onset.kind is OnsetKind.BEFORE_WINDOW:
        return f"It climbed already at {utc_stamp(onset.since)}, where what is known begins."
    return ""


def _row(member: MemberFacts) -> ReportRow:
    judged, end = member.judgement, member.last_end
    ended = UNKNOWN if end is None else end.words()
    if end is not None and end.finished_at is not None:
        ended += f", {utc_stamp(end.finished_at)}"
    return ReportRow(
        member.pod,
        member.container,
        member.node or UNKNOWN,
        bytes_(member.working_set),
        bytes_(member.limit) if member.limit is not None else "none",
        rate(judged.rate),
        str(member.restarts),
        ended,
        judged.certainty,
        judged.evidence(),
    )


def _moments(evidence: WorkloadEvidence, onset: Onset | None) -> Iterator[ReportMoment]:
    for of in (evidence.before, evidence.after):
        for container, known in of.items():
            for series in known:
                yield from _series_moments(container, series)
    told = {round(moment) for known in _all_series(evidence) for moment in known.oom_kills.tolist()}
    for member in evidence.members:  # an end that the status tells and no series does
        end = member.last_end
        if (
            end is None
            or end.finished_at is None
            or any(abs(end.finished_at - at) < SAME_MOMENT for at in told)
        ):
            continue
        kind = "OOM kill" if end.oom else "end"
        yield ReportMoment(end.finished_at, kind, f"{member.pod}/{member.container}: {end.words()}")
    workload = evidence.workload
    for revision in workload.revisions if workload is not None else ():
        if revision.created:
            images = ", ".join(f"{name}={image}" for name, image in revision.images.items())
            yield ReportMoment(
                revision.created, "rollout", f"revision {revision.number}: {images}", revision.change_cause
            )
    for entry in evidence.plans:
        if entry.outcome == "applied" and (at := _unix(entry.time)) is not None:
            yield ReportMoment(at, "change", f"{entry.action} by {entry.user}")
    if onset is not None and onset.kind is OnsetKind.BEGAN and onset.at is not None:
        yield ReportMoment(onset.at, "onset", "the floor of its memory begins to climb")


def _all_series(evidence: WorkloadEvidence) -> Iterator[Series]:
    for of in (evidence.before, evidence.after):
        for known in of.values():
            yield from known


def merge_moments(moments: Iterable[ReportMoment]) -> Iterator[ReportMoment]:
    """One moment in place of several in a row that say the same, as of what dies every few minutes.

    Args:
        moments: The oldest first.
    """
    for _, group in groupby(moments, key=lambda one: (one.kind, one.words, one.note)):
        first, *more = group
        if len(more) + 1 < FEWEST_MERGED:
            yield from (first, *more)
        else:
            yield replace(first, words=f"{first.words}: {len(more) + 1} times, last at {more[-1].time}")


def _series_moments(container: str, series: Series) -> Iterator[ReportMoment]:
    kills, since = series.oom_kills, -np.inf
    for at in kills.tolist():
        yield ReportMoment(at, "OOM kill", f"a container {container} is OOM-killed")
    for at in series.restarts.tolist():
        # The start after a kill says nothing new; where scrapes are far apart it comes minutes later.
        if not ((kills > since) & (kills <= at + SAME_MOMENT)).any():
            yield ReportMoment(at, "restart", f"a container {container} starts again")
        since = at


def _unix(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None


def _graph(evidence: WorkloadEvidence, container: str, moments: list[ReportMoment]) -> ReportGraph | None:
    sides = ((evidence.before, False), (evidence.after, True))
    curves = [
        ReportCurve(one.timestamps, one.values, after)
        for of, after in sides
        for one in of.get(container, ())
        if len(one.values) > 1
    ]
    if not curves:
        return None
    curves = sorted(curves, key=lambda one: -len(one.values))[:MOST_CURVES]
    begin = min(float(one.times[0]) for one in curves)
    limits: dict[float, str] = {}
    for of, after in sides:
        for one in of.get(container, ()):
            if (limit := one.declared_limit or one.limit) is not None:
                limits[limit] = "limit" if after or not evidence.after.get(container) else "limit before"
    return ReportGraph(
        f"{container}: {evidence.basis}",
        tuple(curves),
        tuple((name, limit) for limit, name in limits.items()),
        tuple(one for one in moments if one.at >= begin and one.kind != "restart"),
    )


def _quote(log: LogEvidence) -> ReportQuote:
    run = "the run before" if log.previous else "the present run"
    summary = f"{counted(log.count, 'line')} of memory"
    if log.heap is not None:
        summary += f"; {heap_words(log.heap)}"
    return ReportQuote(f"{log.pod}/{log.container}, {run}", summary, log.lines)


def heap_words(heap: HeapSummary) -> str:
    """What a log says of a heap, in a few words."""
    parts = []
    if heap.heap:
        last = share(heap.heap[-1]) if heap.heap_is_share else bytes_(heap.heap[-1])
        of = f" of {bytes_(heap.total)}" if heap.total is not None and not heap.heap_is_share else ""
        parts.append(f"heap {'after the last collection ' if heap.after_gc else ''}{last}{of}")
    if heap.collections:
        parts.append(f"{counted(heap.collections, 'collection')}, {heap.full} of them full")
    if heap.longest_pause is not None:
        parts.append(f"longest pause {heap.longest_pause:.2g} s")
    return ", ".join(parts)


def _changes(evidence: WorkloadEvidence) -> Iterator[ReportChange]:
    for one in evidence.plans:
        fields = "; ".join(
            f"{field_label(field.path)}: {field.old or 'none'} → {field.new or 'none'}"
            for field in one.changes
        )
        yield ReportChange(
            one.time,
            "unknown" if one.outcome == "begun" else one.outcome,
            one.action + (f" ({fields})" if fields else ""),
            one.user,
            one.why,
        )


def _help_verdict(state: StabilisationState) -> str:
    stability, change = state.stability, state.change
    return (
        f"{stability.verdict}: {stability.sentence}. The change was {change.words(state.container)} of "
        f"container {state.container}, {utc_stamp(change.changed_at)}, by {change.how_known}."
    )


def _sides(state: StabilisationState) -> tuple[tuple[str, str, str], ...]:
    before, after = side_facts(state.stability.before), side_facts(state.stability.after)
    return tuple(zip(FACT_NAMES, before, after, strict=True))


def _unknown(evidence: WorkloadEvidence, onset: Onset | None) -> Iterator[ReportGap]:
    for sentence in evidence.missing:
        what, _, why = sentence.partition(": ")
        yield ReportGap(what, why, foreign=True)
    if not any(True for _ in _all_series(evidence)):
        yield ReportGap("how its memory went over time", "no sample of it is kept")
    if onset is not None and onset.kind is OnsetKind.UNKNOWN:
        yield ReportGap("when a climb began", "too little is known")
    if evidence.members and all(one.last_end is None for one in evidence.members):
        yield ReportGap("how a container of it ended", "no status tells of an end")
    if not evidence.logs and evidence.members:
        yield ReportGap("what its logs say of memory", "no line speaks of it")
    if not evidence.captures:
        yield ReportGap("what its heap holds", "nothing was captured into this folder (h captures it)")
    if not evidence.plans:
        yield ReportGap("who changed it, unless from this machine", "memtop's audit log has no plan for it")
