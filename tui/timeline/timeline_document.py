"""What the timeline screen shows: the sentence, the curves around the onset, changes, revisions, causes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from memtop.analysis.likely_causes import NOTHING_POINTS_TO_ONE
from memtop.analysis.memory_series import Series
from memtop.analysis.onset import OnsetKind
from memtop.timeline.cluster_changes import TimelineKind
from memtop.timeline.timeline_report import (
    moment_words,
    onset_sentence,
    rate_words,
    service_lines,
    traffic_line,
)
from memtop.timeline.workload_timeline import WorkloadTimeline
from memtop.wording import counted, rate
from widgets.memory_plots import Curve, MemoryComparison
from widgets.styled_text import Symbols, literal

TIMELINE_RANGES = {"all": 0.0, "the onset": -1.0, "6 h": 6 * 3600.0, "24 h": 86400.0, "7 d": 7 * 86400.0}
"""Stretches of time that the graph can show; 0 for all that is known, -1 for as much before as after."""
MOST_CURVES = 60
"""Lives drawn, the newest."""
_SIGNS = {
    TimelineKind.ROLLOUT: "primary",
    TimelineKind.CONFIG: "accent",
    TimelineKind.SCALE: "accent",
    TimelineKind.AUTOSCALER: "accent",
    TimelineKind.NODE: "warn",
    TimelineKind.MEMTOP: "primary",
    TimelineKind.END: "critical",
}
_KIND_WIDTH, _TIME_WIDTH = 11, 13


def head_lines(told: WorkloadTimeline, width: int) -> list[Text]:
    """The sentence, plain and first; the rates; what it follows; the likeliest cause."""
    sentence = onset_sentence(told)
    role = {OnsetKind.BEGAN: "critical", OnsetKind.BEFORE_WINDOW: "warn"}.get(told.onset.kind, "")
    lines = [Text(f" {line}", role) for line in _wrapped(sentence[:1].upper() + sentence[1:], width - 2)[:2]]
    onset = told.onset
    if onset.kind is OnsetKind.BEGAN and onset.rate_after is not None:
        line = Text(
            f"   the floor rose {rate(onset.rate_before)} before and {rate(onset.rate_after)} since", "dim"
        )
        lines.append(line)
    if onset.kind in {OnsetKind.BEGAN, OnsetKind.BEFORE_WINDOW}:
        lines.append(Text(f"   {literal(traffic_line(told))}", "dim"))
    cause = told.causes[0] if told.causes else None
    named = f"likely cause: {cause.name}" if cause is not None else NOTHING_POINTS_TO_ONE
    lines.append(Text(f"   {named}", "warn" if cause is not None else "dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _wrapped(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, max(20, width))


def curves_around_onset(told: WorkloadTimeline, stretch: float) -> MemoryComparison:
    """The lives of all pods, those parts before the onset apart from those after it.

    Args:
        told: What is known.
        stretch: Seconds back from now; 0 for all, -1 for as much before the onset as there is after it.
    """
    onset = told.onset.at
    known = [float(one.timestamps[0]) for one in told.series.values() if len(one.values)]
    first = min(known, default=told.at - 3600.0)
    start = first if stretch <= 0 else max(told.at - stretch, first)
    if stretch < 0 and onset is not None:
        start = max(first, onset - max(told.at - onset, 3600.0))
    before: list[Curve] = []
    after: list[Curve] = []
    for one in told.series.values():
        for times, values in _lives(one):
            cut = len(times) if onset is None else int(np.searchsorted(times, onset))
            if cut:
                before.append((times[:cut].tolist(), values[:cut].tolist()))
            if cut < len(times):
                after.append((times[cut:].tolist(), values[cut:].tolist()))
    return MemoryComparison(
        before=before[-MOST_CURVES:],
        after=after[-MOST_CURVES:],
        span=(start, told.at),
        changed_at=onset,
        limits=(told.limit, told.limit),
        oom_kills=[float(at) for one in told.series.values() for at in one.oom_kills],
    )


def _lives(series: Series) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    life = np.searchsorted(np.sort(series.restarts), series.timestamps, "right")
    for which in np.unique(life):
        mine = life == which
        yield series.timestamps[mine], series.values[mine]


def document_lines(told: WorkloadTimeline, width: int, symbols: Symbols) -> list[str | Text]:
    """Changes in the order of time with the onset among them; revisions; causes; what is not known."""
    lines: list[str | Text] = [Text(" What changed", "strong")]
    marked = told.onset.at is None
    for change in told.changes:
        if not marked and told.onset.at is not None and change.time > told.onset.at:
            lines.append(_onset_line(told, symbols))
            marked = True
        line = _moment(change.time, told)
        line.append(f"{change.kind.value:<{_KIND_WIDTH}}", _SIGNS[change.kind])
        line.append(literal(change.words), "strong" if change is told.brought_by else "")
        if change.actor:
            line.append(f"  by {literal(change.actor)}", "dim")
        lines.append(line)
    if not marked:
        lines.append(_onset_line(told, symbols))
    if not told.changes:
        lines.append(Text("   no change is known", "dim"))
    if told.rates:
        lines += ["", Text(" Growth of the floor by revision, with its 95 % interval", "strong")]
        for one in told.rates:
            line = Text(f"   {one.number:<5}")
            line.append(f"{rate_words(one):<44}", "critical" if one.figures.leaks else "")
            kills = counted(one.figures.oom_kills, "OOM kill") if one.figures.oom_kills else ""
            line.append(f"{kills:<14}", "warn").append(literal(", ".join(one.images)), "dim")
            lines.append(line)
    if served := list(service_lines(told)):
        lines += ["", Text(" How it served", "strong")]
        lines += [Text(f"   {name:<{_KIND_WIDTH}}{words}") for name, words in served]
    lines += ["", Text(" Likely cause", "strong")]
    lines += list(cause_lines(told, width))
    lines += list(origin_lines(told))
    return lines


def origin_lines(told: WorkloadTimeline) -> Iterator[str | Text]:
    """Where it comes from, and what is not known."""
    if told.basis or told.notes:
        yield from ("", Text(" Where it comes from", "strong"), Text(f"   {literal(told.basis)}", "dim"))
    yield from (Text(f"   not known: {literal(note)}", "warn") for note in told.notes)


def _moment(at: float, told: WorkloadTimeline) -> Text:
    return Text(f"   {moment_words(at, told.at):<{_TIME_WIDTH}}", "dim", end="")


def _onset_line(told: WorkloadTimeline, symbols: Symbols) -> Text:
    assert told.onset.at is not None
    sign = "*" if symbols == "ascii" else "▲"
    line = _moment(told.onset.at, told)
    return line.append(f"{'onset':<{_KIND_WIDTH}}{sign} the floor begins to climb", "critical")


def cause_lines(told: WorkloadTimeline, width: int) -> Iterator[Text]:
    """The causes, the likeliest first, each with its evidence and what to check next."""
    if not told.causes:
        yield Text(f"   {NOTHING_POINTS_TO_ONE}", "dim")
    room = max(20, width - 8)
    for place, cause in enumerate(told.causes, 1):
        yield Text(f"   {place}. {cause.name}", "warn")
        for evidence in cause.evidence:
            yield from (Text(f"      {literal(line)}") for line in _wrapped(evidence, room))
        yield from (Text(f"      {line}", "dim") for line in _wrapped(f"next: {cause.next_step}", room))


def noted(told: WorkloadTimeline | None, problem: str, name: str) -> Sequence[Text]:
    """What stands in place of the sentence until it is known."""
    if problem:
        return [Text(f" {literal(problem)}", "warn")]
    return [Text(f" Asking for a week of {name} and for what changed …", "dim")] if told is None else []
