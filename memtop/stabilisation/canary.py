"""Old and new pods of a running rollout over the same minutes, and what can be said of them so far.

The figures of both sides are of the minutes in which pods of both revisions ran: the same hour, the same
traffic. The verdict is that of the stabilisation, which also knows how the old revision grew before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from memtop.analysis.stability_evidence import ChangeEvidence, LoadSeries, SideFigures, StabilityVerdict
from memtop.analysis.stability_sentences import slope_words
from memtop.analysis.stability_waits import observe_side
from memtop.stabilisation.stabilisation_watch import StabilisationState
from memtop.stabilisation.verdict_report import per_pod_hour, side_document, utc_stamp
from memtop.wording import UNKNOWN, bytes_, duration, share

START_SECONDS = 300.0
"""Age in seconds below which a slope is that of the start; the shortest warm-up that the verdict leaves out
(`memtop.analysis.stability_moment.SHORT_WARM_UP`)."""
PRESENT_SECONDS = 120.0
"""Seconds before now at which a pod was seen last that counts as running: two scrapes of a minute."""


@dataclass(frozen=True)
class CanarySide:
    """The pods of one revision in the common minutes.

    Attributes:
        revision: Its number; None where it is not known.
        figures: What they did in these minutes.
        running: How many of them run at their end.
        level: What the median pod holds at their end, bytes; None without samples.
        age: Age of the median pod then, seconds; None without pods.
        least_age: Whether that is a lower bound: of old pods no more is looked at than the samples of a day.
    """

    revision: int | None
    figures: SideFigures
    running: int
    level: float | None
    age: float | None
    least_age: bool = False


@dataclass(frozen=True)
class CanaryComparison:
    """Old and new pods side by side.

    Attributes:
        container: Which of their containers.
        changed: What is new, such as ``v2.0.0 → v2.1.0``.
        since: Begin of the common minutes, Unix seconds: when the first new pod started.
        until: Their end: when one looked last.
        old: The old pods.
        new: The new ones.
        verdict: Of the stabilisation.
        sentence: What can be said so far, and how much longer it takes.
        remaining_seconds: How much longer it has to be watched; None where that is not known.
        basis: Which memory the figures are of, and who remembered it.
    """

    container: str
    changed: str
    since: float
    until: float
    old: CanarySide
    new: CanarySide
    verdict: StabilityVerdict
    sentence: str
    remaining_seconds: float | None
    basis: str


def compare_canary(seen: StabilisationState) -> CanaryComparison:
    """Compares the two revisions of a rollout over the minutes in which both ran.

    Args:
        seen: What the stabilisation knows, of the container that is meant.
    """
    sides = seen.by_container[seen.container]
    begins = [begin for begin, _ in sides.after.spans]
    since = min(begins, default=seen.change.changed_at)
    by_kill = any(len(one.oom_kills) for side in (sides.before, sides.after) for one in side.series)
    previous = seen.change.previous
    old = _side(None if previous is None else previous.number, sides.before, since, seen.time, oom=by_kill)
    old = replace(old, least_age=True)
    new = _side(seen.change.revision.number, sides.after, since, seen.time, oom=by_kill)
    stability = seen.stability
    if stability.after.rate is not None:  # of the same pods and minutes, without what may be their warm-up
        new = replace(new, figures=_with_slope(new.figures, stability.after))
    return CanaryComparison(
        container=seen.container,
        changed=seen.change.words(seen.container),
        since=since,
        until=seen.time,
        old=old,
        new=new,
        verdict=stability.verdict,
        sentence=_sentence(stability.verdict, stability.sentence, old, new),
        remaining_seconds=stability.remaining_seconds,
        basis=sides.basis,
    )


def _with_slope(figures: SideFigures, judged: SideFigures) -> SideFigures:
    return replace(
        figures, rate=judged.rate, rate_low=judged.rate_low, rate_high=judged.rate_high, leaks=judged.leaks
    )


def _sentence(verdict: StabilityVerdict, sentence: str, old: CanarySide, new: CanarySide) -> str:
    if not new.figures.pods:
        return f"no new pod has been seen yet: {sentence}"
    said = f"too early: {sentence}" if verdict is StabilityVerdict.WATCHING else f"{verdict}: {sentence}"
    if not old.figures.pods:
        said += "; no old pod is known to have run in the same minutes, so they are compared with before"
    return said


def evidence_since(evidence: ChangeEvidence, moment: float) -> ChangeEvidence:
    """What is known from a moment on (Unix seconds) of the pods that still ran then."""
    kept = [place for place, (_, end) in enumerate(evidence.spans) if end > moment]
    return ChangeEvidence(
        tuple(evidence.series[place].since(moment) for place in kept),
        tuple((max(evidence.spans[place][0], moment), evidence.spans[place][1]) for place in kept),
        evidence.limit,
        tuple(
            LoadSeries(one.signal, one.times[inside], one.values[inside])
            for one in evidence.loads
            if (inside := one.times >= moment).any()
        ),
    )


def _side(
    revision: int | None, evidence: ChangeEvidence, since: float, until: float, *, oom: bool
) -> CanarySide:
    common = evidence_since(evidence, since)
    present = [place for place, (_, end) in enumerate(common.spans) if end >= until - PRESENT_SECONDS]
    levels = [float(common.series[place].values[-1]) for place in present if len(common.series[place].values)]
    ages = [until - begin for begin, end in evidence.spans if end > since and end >= until - PRESENT_SECONDS]
    return CanarySide(
        revision,
        observe_side(common, oom=oom).side if common.series else SideFigures(limit=evidence.limit),
        len(present),
        _median(levels),
        _median(ages),
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


CANARY_FACTS = (
    "growth of the floor",
    "memory now",
    "restarts",
    "OOM kills",
    "traffic per pod",
    "CPU per pod",
    "highest memory",
    "limit",
    "age",
    "pods",
)
"""What is said of both sides, in this order: what matters most first, for low screens."""


def canary_facts(side: CanarySide) -> tuple[str, ...]:
    """One side in words, in the order of `CANARY_FACTS`; what is not known is a dash."""
    figures = side.figures
    limit = "none" if figures.limit is None and figures.pods else bytes_(figures.limit)
    if not figures.pods:
        return (*(UNKNOWN,) * (len(CANARY_FACTS) - 3), limit, UNKNOWN, "none in these minutes")
    starting = side.age is not None and side.age < START_SECONDS and not side.least_age
    age = f"{'at least ' if side.least_age else ''}{duration(side.age)}"
    return (
        "still starting" if starting else UNKNOWN if figures.rate is None else slope_words(figures),
        _of_limit(side.level, figures.limit),
        f"{figures.restarts} ({per_pod_hour(figures.restarts_per_hour)})",
        f"{figures.oom_kills} ({per_pod_hour(figures.oom_per_hour)})",
        _traffic(figures),
        UNKNOWN if figures.cpu is None else f"{figures.cpu:.2g} cores",
        _of_limit(figures.peak, figures.limit),
        limit,
        UNKNOWN if side.age is None else age,
        f"{side.running} now, {figures.pods} in these minutes",
    )


def _traffic(figures: SideFigures) -> str:
    """The requests that a pod answers, else the bytes that it receives."""
    if figures.requests is not None:
        return f"{figures.requests:.3g} requests/s"
    return UNKNOWN if figures.received is None else f"{bytes_(figures.received)}/s received"


def _of_limit(size: float | None, limit: float | None) -> str:
    return bytes_(size) + (f" ({share(size / limit)} of the limit)" if size is not None and limit else "")


def canary_lines(found: CanaryComparison) -> list[str]:
    """The comparison as lines of text."""
    old, new = _heading("old", found.old), _heading("new", found.new)
    rows = list(zip(CANARY_FACTS, canary_facts(found.old), canary_facts(found.new), strict=True))
    name, first = (max(len(row[place]) for row in (*rows, ("", old, new))) for place in (0, 1))
    return [
        f"{found.container}: {found.changed}; the same {duration(found.until - found.since)}, "
        f"{utc_stamp(found.since)} to {utc_stamp(found.until)}",
        found.sentence[:1].upper() + found.sentence[1:],
        "",
        f"{'':<{name}}  {old:<{first}}  {new}",
        *(f"{fact:<{name}}  {was:<{first}}  {now}" for fact, was, now in rows),
        "",
        found.basis,
    ]


def _heading(word: str, side: CanarySide) -> str:
    return f"{word} pods" if side.revision is None else f"{word} pods: revision {side.revision}"


def canary_json(found: CanaryComparison) -> str:
    """The comparison as an indented JSON document; what is unknown is null."""
    document = {
        "container": found.container,
        "changed": found.changed,
        "since": utc_stamp(found.since),
        "until": utc_stamp(found.until),
        "verdict": found.verdict.value,
        "sentence": found.sentence,
        "remaining_seconds": found.remaining_seconds,
        "basis": found.basis,
        "old": _document(found.old),
        "new": _document(found.new),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _document(side: CanarySide) -> dict[str, object]:
    return {
        "revision": side.revision,
        "pods_now": side.running,
        "memory_bytes": side.level,
        "age_seconds": side.age,
        **side_document(side.figures),
    }
