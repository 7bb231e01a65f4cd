"""One row in detail: its trend as a drawing, its verdict with the evidence, and its facts."""

from __future__ import annotations

import math

import numpy as np
from rich.text import Text

from memtop import wording
from memtop.analysis.judgement import Verdict
from memtop.observe.frame import Frame, FrameRows, RowDetail
from memtop.observe.frame_rows import time_to_limit_words
from memtop.observe.slots import ContainerIdentity
from tui.overview.cells import verdict_words
from widgets.trend_data import Trend

HOUR = 3600.0
TIME_RANGES = {"1 h": HOUR, "6 h": 6 * HOUR, "24 h": 24 * HOUR, "7 d": 7 * 24 * HOUR}
USUAL_RANGE = "24 h"
MOST_LIVES = 24
"""Lives that can be told apart in a graph of 80 columns: three columns each, beside the axis."""


def readable_range(detail: RowDetail | None, now: float) -> str:
    """The longest of the usual `TIME_RANGES` in which the lives of a row can be told apart.

    Args:
        detail: The row.
        now: Unix seconds.
    """
    if detail is None:
        return USUAL_RANGE
    names = list(TIME_RANGES)
    for name in reversed(names[: names.index(USUAL_RANGE) + 1]):
        since = now - TIME_RANGES[name]
        if sum(moment >= since for moment in (*detail.restarts, *detail.oom_kills)) <= MOST_LIVES:
            return name
    return names[0]


def readable_trend(frame: Frame) -> Trend | None:
    """What the plot shows of a frame's selected row where no range was chosen: all, or what can be read."""
    name = readable_range(frame.detail, frame.time)
    if name == USUAL_RANGE:
        return selected_trend(frame)
    return selected_trend(frame, frame.time - TIME_RANGES[name], name)


def selected_trend(frame: Frame, since: float = 0.0, note: str = "") -> Trend | None:
    """What the plot shows of a frame's selected row; None where nothing is selected.

    Args:
        frame: The frame.
        since: Where the graph begins, Unix seconds.
        note: What is to be said of that stretch of time.
    """
    detail = frame.detail
    if detail is None:
        return None
    drawn = detail.times >= since
    return Trend(
        title=detail.title,
        times=detail.times[drawn].tolist(),
        values=detail.values[drawn].tolist(),
        limit=detail.limit,
        request=detail.request,
        restarts=[moment for moment in detail.restarts if moment >= since],
        oom_kills=[moment for moment in detail.oom_kills if moment >= since],
        breaks=_deaths(detail),
        floor=_fitted_floor(detail, since),
        caption=_trend_caption(detail),
        note=note,
    )


def _deaths(detail: RowDetail) -> list[float]:
    """Moments across which the line is interrupted: a workload's as well, since what it holds falls there.

    A kill is put at the last sample of the life it ended, so the line is interrupted just after it.
    """
    return sorted([*detail.restarts, *(moment + 1.0 for moment in detail.oom_kills)])


def _fitted_floor(detail: RowDetail, since: float) -> tuple[list[float], list[float]] | None:
    """The fitted floor from a moment on; None where there is none."""
    if detail.floor is None or detail.floor[0][-1] <= since:
        return None
    times, values = detail.floor
    later = times > since
    if later.all():
        return times.tolist(), values.tolist()
    start = float(np.interp(since, times, values))
    return [since, *times[later].tolist()], [start, *values[later].tolist()]


def _trend_caption(detail: RowDetail) -> str:
    judgement = detail.judgement
    if detail.awaited is not None:
        return detail.awaited
    if judgement is None:
        return "" if len(detail.values) else f"memory {wording.UNKNOWN}: no sample yet"
    if judgement.verdict is Verdict.NOT_ENOUGH_DATA:
        return judgement.evidence()
    return f"{judgement.certainty}: {judgement.evidence()}"


def verdict_line(frame: Frame, row: int) -> Text:
    """The verdict and its evidence: the line a tired person reads first."""
    words, role = verdict_words(frame, row)
    line = Text(no_wrap=True, end="").append(f" {words} ", f"{role or 'strong'}")
    judgement = frame.detail.judgement if frame.detail is not None else None
    if row in frame.awaited:
        return line.append(f" {frame.awaited[row]}", "dim")
    if judgement is not None:
        line.append(f" {judgement.evidence()}")
    return line


def fact_lines(frame: Frame, row: int) -> list[tuple[str, str]]:
    """Name and value of what is known beside the graph."""
    rows = frame.rows
    identity = rows.identities[row]
    facts: list[tuple[str, str]] = []
    if isinstance(identity, ContainerIdentity):
        facts += [
            ("workload", f"{identity.workload}"),
            ("node", identity.node or wording.UNKNOWN),
        ]
    limit = rows.limit[row]
    facts += [
        ("state", rows.states[row]),
        ("working set", wording.bytes_(rows.working_set[row])),
        ("limit", wording.bytes_(limit) if math.isfinite(limit) else "none"),
        *_pod_limit_facts(rows, row),
        ("of limit", wording.share(rows.share[row])),
        ("request", wording.bytes_(rows.request[row]) if math.isfinite(rows.request[row]) else "none"),
        ("growth", wording.rate(rows.rate[row])),
        ("limit in", time_to_limit_words(rows, row)),
        ("restarts", _restart_words(frame, row)),
    ]
    last = rows.last_terminations[row]
    if last is not None:
        ended = wording.ago(None if last.finished_at is None else frame.time - last.finished_at)
        facts += [("last end", f"{last.words()}, exit code {last.exit_code}"), ("", ended)]
        if last.finished_at is not None and last.started_at is not None:
            facts.append(("", f"ran for {wording.duration(last.finished_at - last.started_at)}"))
    return facts


def _pod_limit_facts(rows: FrameRows, row: int) -> list[tuple[str, str]]:
    """Whose limit it is, where it is not the container's."""
    if not rows.pod_limit[row]:
        return []
    beside = float(rows.held_by_others[row])
    others = f"; its other containers hold {wording.bytes_(beside)}" if beside else ""
    return [("", f"the pod's{others}")]


def _restart_words(frame: Frame, row: int) -> str:
    rows = frame.rows
    lower = "" if rows.restarts_exact[row] else "at least "
    return f"{rows.restarts[row]}, {lower}{rows.restarts_hour[row]} in the last hour"
