"""A timeline in words: the sentence on its onset, a table, JSON, Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from memtop.analysis.likely_causes import NOTHING_POINTS_TO_ONE
from memtop.analysis.onset import Onset, OnsetKind
from memtop.analysis.traffic import TrafficVerdict
from memtop.files import new_file
from memtop.timeline.cluster_changes import ClusterChange
from memtop.timeline.workload_timeline import RevisionRate, WorkloadTimeline
from memtop.wording import UNKNOWN, bytes_, counted, duration, rate, share

ABOUT_SECONDS = 90.0
"""A change and an onset no further apart than this are told as one moment."""


def moment_words(at: float, now: float, zone: tzinfo | None = None) -> str:
    """A moment: ``14:05`` within the last 20 hours, else ``Nov 27 14:05``.

    Args:
        at: Unix seconds.
        now: The cluster's time, Unix seconds.
        zone: By default this machine's.
    """
    when = datetime.fromtimestamp(at, UTC).astimezone(zone)
    return when.strftime("%H:%M" if abs(now - at) < 20 * 3600 else "%b %d %H:%M")


def onset_sentence(told: WorkloadTimeline, zone: tzinfo | None = None) -> str:
    """When the climb began, and after which change: one sentence without its full stop.

    Args:
        told: What is known.
        zone: Of the clock; by default this machine's.
    """
    onset = told.onset
    match onset.kind:
        case OnsetKind.BEGAN:
            return f"{_began(onset, told.at, zone)}, {_after_what(told, zone)}"
        case OnsetKind.BEFORE_WINDOW:
            rises = f" ({rate(onset.rate_after)})" if onset.rate_after is not None else ""
            since = moment_words(onset.since or told.at, told.at, zone)
            return f"has climbed since before {since}{rises}: what is known begins there"
        case OnsetKind.NO_CLIMB:
            if onset.since is None:
                return "does not climb"
            return f"the floor does not climb: nothing began in the last {duration(told.at - onset.since)}"
        case _:
            if onset.since is None:
                return "not known: nobody has samples of it"
            return f"not known yet: too few samples since {moment_words(onset.since, told.at, zone)}"


def _began(onset: Onset, now: float, zone: tzinfo | None) -> str:
    assert onset.at is not None
    by = " by its OOM kills" if onset.by_deaths else ""
    return f"began {moment_words(onset.at, now, zone)} (±{duration(max(onset.margin or 0.0, 60.0))}){by}"


def _after_what(told: WorkloadTimeline, zone: tzinfo | None) -> str:
    change, at = told.brought_by, told.onset.at
    unknown = f" ({told.notes[0]})" if any("may not be read" in one for one in told.notes[:1]) else ""
    if change is None or at is None:
        return f"no change found within an hour of it{unknown}"
    gap = at - change.time
    by = f" by {change.actor}" if change.actor else ""
    if abs(gap) <= ABOUT_SECONDS:
        return f"with {change.name}{by}"
    if gap < 0:
        return f"at about the time of {change.name}{by} ({moment_words(change.time, told.at, zone)})"
    return f"{duration(gap)} after {change.name}{by}"


def rate_words(one: RevisionRate) -> str:
    """How a revision grew: ``+48 MiB/h (44 to 52)``."""
    figures = one.figures
    if figures.rate is None:
        return "no slope known" if figures.oom_kills else "too few samples"
    low, high = figures.rate_low, figures.rate_high
    between = f" ({rate(low)} to {rate(high)})" if low is not None and high is not None else ""
    return f"{rate(figures.rate)}{between}"


def service_lines(told: WorkloadTimeline, zone: tzinfo | None = None) -> Iterator[tuple[str, str]]:
    """Requests, errors and latency before the onset and since, name and words.

    Args:
        told: What is known.
        zone: Of the clock; by default this machine's.
    """
    for one in told.service:
        was = f"{_level_words(one.name, one.before)} before the climb, " if one.before is not None else ""
        since = "since" if one.before is not None else "as a rule"
        most = f"{_level_words(one.name, one.most)} at most ({moment_words(one.most_at, told.at, zone)})"
        yield one.name, f"{was}{_level_words(one.name, one.since)} {since}, {most}"


def _level_words(name: str, value: float) -> str:
    if name == "errors":
        return "none" if value <= 0 else share(value) if value >= 0.01 else f"{100 * value:.2g} %"
    if name == "latency":
        return f"{1000 * value:.0f} ms" if value < 10 else f"{value:.0f} s"
    return f"{value:.0f}/s" if value >= 9.5 else f"{value:.2g}/s"


def report_lines(told: WorkloadTimeline, zone: tzinfo | None = None) -> Iterator[str]:
    """The timeline as text for a terminal.

    Args:
        told: What is known.
        zone: Of the clock; by default this machine's.
    """
    named = datetime.fromtimestamp(told.at, UTC).astimezone(zone).tzname() or "local time"
    yield f"{told.ref.namespace}/{told.ref} container {told.container}: {onset_sentence(told, zone)}"
    yield from _figure_lines(told, zone)
    for note in told.notes:
        yield f"  not known  {note}"
    yield ""
    yield f"TIME ({named})   KIND         WHAT"
    marked = False
    for change in told.changes:
        if told.onset.at is not None and not marked and change.time > told.onset.at:
            yield _row(told.onset.at, told, "onset", "* the floor begins to climb", zone)
            marked = True
        by = f" (by {change.actor})" if change.actor else ""
        yield _row(change.time, told, change.kind.value, f"{change.words}{by}", zone)
    if told.onset.at is not None and not marked:
        yield _row(told.onset.at, told, "onset", "* the floor begins to climb", zone)
    if not told.changes:
        yield "  no change is known"
    if told.rates:
        yield ""
        yield "REVISION  GROWTH OF THE FLOOR"
        for one in told.rates:
            kills = f", {counted(one.figures.oom_kills, 'OOM kill')}" if one.figures.oom_kills else ""
            yield f"{one.number:<9} {rate_words(one)}{kills}  [{', '.join(one.images)}]"
    yield ""
    yield "LIKELY CAUSE"
    if not told.causes:
        yield f"  {NOTHING_POINTS_TO_ONE}"
    for place, cause in enumerate(told.causes, 1):
        yield f"  {place}. {cause.name}: {'; '.join(cause.evidence)}"
        yield f"     next: {cause.next_step}"


def _figure_lines(told: WorkloadTimeline, zone: tzinfo | None) -> Iterator[str]:
    if told.onset.rate_after is not None and told.onset.kind is OnsetKind.BEGAN:
        yield f"  floor      {rate(told.onset.rate_before)} before, {rate(told.onset.rate_after)} since"
    if traffic := told.traffic.words():
        yield f"  traffic    {traffic}"
    for name, words in service_lines(told, zone):
        yield f"  {name:<10} {words}"
    if told.basis:
        yield f"  basis      {told.basis}"


def _row(at: float, told: WorkloadTimeline, kind: str, words: str, zone: tzinfo | None) -> str:
    return f"{moment_words(at, told.at, zone):<13} {kind:<12} {words}"


def report_markdown(told: WorkloadTimeline, zone: tzinfo | None = None) -> str:
    """The timeline as Markdown, for an incident's page."""
    lines = [
        f"## {told.ref.namespace}/{told.ref}, container {told.container}",
        "",
        f"**{onset_sentence(told, zone)}.**",
        "",
    ]
    if traffic := told.traffic.words():
        lines += [f"Traffic: {traffic}.", ""]
    if served := list(service_lines(told, zone)):
        lines += [*(f"- {name}: {words}" for name, words in served), ""]
    lines += ["| Time (UTC) | Kind | What | Who |", "|---|---|---|---|"]
    lines += [
        f"| {_stamp(one.time)} | {one.kind.value} | {_cell(one.words)} | {_cell(one.actor)} |"
        for one in told.changes
    ]
    if told.onset.at is not None:
        lines += [
            "",
            f"Onset: {_stamp(told.onset.at)} "
            f"(between {_stamp(told.onset.low)} and {_stamp(told.onset.high)}).",
        ]
    if told.rates:
        lines += ["", "| Revision | Growth of the floor | Images |", "|---|---|---|"]
        lines += [
            f"| {one.number} | {rate_words(one)} | {_cell(', '.join(one.images))} |" for one in told.rates
        ]
    lines += ["", "### Likely cause", ""]
    lines += [
        f"{place}. **{cause.name}**: {'; '.join(cause.evidence)}. Next: {cause.next_step}."
        for place, cause in enumerate(told.causes, 1)
    ] or [f"{NOTHING_POINTS_TO_ONE[:1].upper()}{NOTHING_POINTS_TO_ONE[1:]}."]
    lines += ["", *(f"- Not known: {note}" for note in told.notes)]
    return "\n".join(lines).rstrip() + "\n"


def save_timeline(path: Path, told: WorkloadTimeline) -> None:
    """Writes the timeline as Markdown to a new file. Blocks.

    Raises:
        NewFileError: There is a file of that name, or it cannot be written.
    """
    with new_file(path, str(path)) as file:
        file.write(report_markdown(told))


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def _stamp(at: float | None) -> str:
    return UNKNOWN if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def report_json(told: WorkloadTimeline) -> str:
    """The timeline as JSON text."""
    return msgspec.json.format(msgspec.json.encode(timeline_document(told)), indent=2).decode()


def timeline_document(told: WorkloadTimeline) -> dict[str, Any]:
    """The timeline as plain values: times in UTC, bytes, bytes per hour; None for what is not known."""
    onset = told.onset
    return {
        "kind": told.ref.kind,
        "namespace": told.ref.namespace,
        "name": told.ref.name,
        "container": told.container,
        "at": _iso(told.at),
        "sentence": onset_sentence(told, UTC),
        "onset": {
            "kind": onset.kind.value,
            "at": _iso(onset.at),
            "low": _iso(onset.low),
            "high": _iso(onset.high),
            "rate_before": onset.rate_before,
            "rate_after": onset.rate_after,
            "known_since": _iso(onset.since),
        },
        "brought_by": None if told.brought_by is None else _change(told.brought_by),
        "changes": [_change(one) for one in told.changes],
        "revisions": [
            {
                "revision": one.number,
                "images": list(one.images),
                "rate": one.figures.rate,
                "rate_low": one.figures.rate_low,
                "rate_high": one.figures.rate_high,
                "leaks": one.figures.leaks,
                "oom_kills": one.figures.oom_kills,
            }
            for one in told.rates
        ],
        "traffic": {
            "verdict": told.traffic.verdict.value,
            "words": told.traffic.words(),
            "unit": told.traffic.unit or None,
            "origin": told.traffic.origin or None,
            "per_unit": told.traffic.per_unit,
            "per_unit_margin": told.traffic.per_unit_margin,
            "without_traffic_per_hour": told.traffic.without,
        },
        "service": [
            {
                "name": one.name,
                "before": one.before,
                "since": one.since,
                "most": one.most,
                "most_at": _iso(one.most_at),
            }
            for one in told.service
        ],
        "causes": [
            {"name": one.name, "evidence": list(one.evidence), "next": one.next_step} for one in told.causes
        ],
        "basis": told.basis,
        "notes": list(told.notes),
    }


def _change(one: ClusterChange) -> dict[str, Any]:
    return {
        "time": _iso(one.time),
        "kind": one.kind.value,
        "what": one.words,
        "actor": one.actor or None,
        "revision": one.revision or None,
    }


def traffic_line(told: WorkloadTimeline) -> str:
    """What the floor rises with, or why that is not known."""
    words = told.traffic.words()
    if words:
        return words
    if told.traffic.verdict is TrafficVerdict.NEITHER:
        return f"neither time nor traffic explains it alone, by {told.traffic.origin or 'what is known'}"
    return "not known whether it follows the traffic"


def limit_words(told: WorkloadTimeline) -> str:
    """The limit, for a title."""
    return "no limit" if told.limit is None else f"limit {bytes_(told.limit)}"
