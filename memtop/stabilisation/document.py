"""A verdict on a change as JSON, as a line, and as a report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from memtop.growth.judgement import SUSPECTED, Verdict
from memtop.growth.stability_evidence import Side
from memtop.growth.stability_words import slope
from memtop.new_file import new_file
from memtop.stabilisation.watch import Seen
from memtop.wording import UNKNOWN, bytes_, duration, share


def stamp(moment: float | None) -> str:
    """A time as ``2026-01-31T03:12:45Z``; a dash for none."""
    return UNKNOWN if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def as_line(seen: Seen) -> str:
    """Time, verdict and sentence."""
    stability = seen.stability
    return f"{stamp(seen.at)}  {stability.verdict:<14}  {stability.sentence}"


def as_json(seen: Seen) -> str:
    """One line of JSON; what is not known is null, times are UTC."""
    stability, change = seen.stability, seen.change
    return json.dumps(
        {
            "time": stamp(seen.at),
            "namespace": seen.ref.namespace,
            "workload": {"kind": seen.ref.kind, "name": seen.ref.name},
            "container": seen.container,
            "change": {
                "at": stamp(change.at),
                "revision": change.revision.number,
                "previous_revision": None if change.previous is None else change.previous.number,
                "what": change.words(seen.container),
            },
            "verdict": stability.verdict.value,
            "sentence": stability.sentence,
            "since": None if stability.since is None else stamp(stability.since),
            "needed_seconds": stability.needed_seconds,
            "remaining_seconds": stability.remaining_seconds,
            "bought_seconds": stability.bought_seconds,
            "before": _side(stability.before),
            "after": _side(stability.after),
        },
        ensure_ascii=False,
    )


def _side(side: Side) -> dict[str, object]:
    known = bool(side.pods)
    return {
        "pods": side.pods if known else None,
        "growth_bytes_per_hour": side.rate,
        "growth_low": side.rate_low,
        "growth_high": side.rate_high,
        "leaks": side.leaks if known else None,
        "oom_kills": side.oom_kills if known else None,
        "oom_kills_per_pod_hour": side.oom_per_hour,
        "restarts": side.restarts if known else None,
        "restarts_per_pod_hour": side.restarts_per_hour,
        "pod_hours": side.watched / 3600.0 if known else None,
        "limit_bytes": side.limit,
        "peak_bytes": side.peak,
        "seconds_to_limit": side.seconds_to_limit,
    }


FACTS = (
    "growth of the floor",
    "time to limit",
    "OOM kills",
    "restarts",
    "highest memory",
    "limit",
    "pods counted",
    "watched",
)
"""What is said of both sides, in this order."""
UNSURE = (Verdict.NOT_ENOUGH_DATA, SUSPECTED, Verdict.LEAK)
"""Shapes of which, where it is not sure that it leaks, it cannot be said either that nothing grows."""


def facts(side: Side) -> tuple[str, ...]:
    """One side in words, in the order of `FACTS`; what is not known is a dash."""
    if not side.pods:
        limit = UNKNOWN if side.limit is None else bytes_(side.limit)
        return (*(UNKNOWN,) * 5, limit, UNKNOWN, UNKNOWN)
    of_limit = f" ({share(side.peak / side.limit)} of the limit)" if side.peak and side.limit else ""
    return (
        # A minute after a start there is a slope, but it is that of the start.
        UNKNOWN if side.rate is None or side.shape == Verdict.NOT_ENOUGH_DATA else slope(side),
        _to_limit(side),
        f"{side.oom_kills} ({_per_hour(side.oom_per_hour)})",
        f"{side.restarts} ({_per_hour(side.restarts_per_hour)})",
        f"{bytes_(side.peak)}{of_limit}",
        "none" if side.limit is None else bytes_(side.limit),
        str(side.pods),
        f"{duration(side.seconds)}, {side.watched / 3600:.1f} pod hours",
    )


def _to_limit(side: Side) -> str:
    if side.leaks:
        return duration(side.seconds_to_limit)
    unsure = side.rate is None or side.shape in UNSURE
    return UNKNOWN if unsure else "not in sight"


def _per_hour(number: float | None) -> str:
    if number is None:
        return UNKNOWN
    if number == 0:
        return "0 per pod and hour"
    return f"{number:.1f} per pod and hour" if number >= 0.095 else f"{number:.2g} per pod and hour"


def save(path: Path, seen: Seen) -> None:
    """Writes the report to a new file. Blocks.

    Raises:
        NewFileError: There is a file of that name, or it cannot be written.
    """
    with new_file(path, str(path)) as file:
        file.write(as_markdown(seen))


def as_markdown(seen: Seen) -> str:
    """A report for a ticket or an incident channel."""
    stability, change = seen.stability, seen.change
    old = "unknown" if change.previous is None else f"revision {change.previous.number}"
    lines = [
        f"# {seen.ref.kind.lower()}/{seen.ref.name} in {seen.ref.namespace}: {stability.verdict}",
        "",
        f"{stability.sentence[:1].upper()}{stability.sentence[1:]}.",
        "",
        f"- change: {change.words(seen.container)} (container {seen.container}), {stamp(change.at)}, "
        f"by {change.how}",
        f"- judged: {stamp(seen.at)}, {duration(seen.at - change.at)} after the change",
        f"- evidence since: {stamp(stability.since)}",
    ]
    if stability.remaining_seconds:
        lines.append(f"- still to watch: {duration(stability.remaining_seconds)}")
    lines += [
        f"- judged on: {seen.sides[seen.container].basis}",
        *(f"- note: {note}" for note in (*seen.notes, seen.problem) if note),
        "",
        f"| | before ({old}) | after (revision {change.revision.number}) |",
        "|---|---|---|",
        *(
            f"| {name} | {before} | {after} |"
            for name, before, after in zip(
                FACTS, facts(stability.before), facts(stability.after), strict=True
            )
        ),
        "",
    ]
    return "\n".join(lines)
