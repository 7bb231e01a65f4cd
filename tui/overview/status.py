"""From a frame to the header's data."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from memtop.observe.status import SourceStatus, State
from widgets.header import HeaderData, SourceLine, SourceState
from widgets.palette import Level

if TYPE_CHECKING:
    from memtop.observe.frame import Frame

_STATES: dict[State, SourceState] = {
    State.CONNECTING: "connecting",
    State.LIVE: "live",
    State.STALE: "stale",
    State.FORBIDDEN: "forbidden",
    State.ABSENT: "absent",
    State.FAILING: "failing",
    State.OFF: "absent",
}


def header_data(frame: Frame | None, now: float, *, frozen: bool, warnings: tuple[str, ...]) -> HeaderData:
    """What the header says.

    Args:
        frame: The newest frame, or None before the first.
        now: The cluster's time, Unix seconds.
        frozen: Whether the tables stand still.
        warnings: What else must not be overlooked, such as ``read-only``.
    """
    if frame is None:
        return HeaderData(context="", namespace="", warnings=warnings, clock=clock(time.time()))
    scope = ", ".join(sorted(frame.view.namespaces)) or frame.scope
    notes = (*warnings, *frame.notes)
    if frame.remaining:
        notes = (*notes, f"{frame.remaining} more pods are on their way")
    return HeaderData(
        context=frame.context,
        namespace=scope,
        warnings=notes,
        counts=_counts(frame),
        sources=[_source(status, now) for status in frame.sources],
        clock=clock(now),
        frozen=frozen,
        filter=frame.view.filter.text,
    )


def clock(now: float) -> str:
    """The local time of day."""
    return datetime.fromtimestamp(now, UTC).astimezone().strftime("%H:%M")


def _counts(frame: Frame) -> list[tuple[str, int | None, Level]]:
    counts = frame.counts

    def bad(number: int | None, level: Level = "warn") -> Level:
        return level if number else "ok" if number is not None else "unknown"

    shown: list[tuple[str, int | None, Level]] = [
        ("pods", counts.pods, "ok"),
        ("leaking", counts.growing, bad(counts.growing, "critical")),
    ]
    if counts.suspected:
        shown.append(("suspected", counts.suspected, "warn"))
    killed = counts.oom_killed_last_hour
    shown += [
        ("near limit", counts.near_limit, bad(counts.near_limit)),
        ("OOM-killed in 1 h", killed, bad(killed, "critical")),
    ]
    if counts.evicted:
        shown.append(("evicted", counts.evicted, "warn"))
    if counts.nodes_under_pressure:
        nodes = "node" if counts.nodes_under_pressure == 1 else "nodes"
        shown.append((f"{nodes} under pressure", counts.nodes_under_pressure, "critical"))
    return shown


def _source(status: SourceStatus, now: float) -> SourceLine:
    watched = status.name != "metrics"
    # A watch that is open is up to date however long nothing has changed: only its failures have an age.
    age = None if status.data_at is None or (watched and status.state is State.LIVE) else now - status.data_at
    if status.state is State.FORBIDDEN and status.name in {"nodes", "owners"}:
        # Its whole refusal would push what matters more off the line; `memtop doctor` has its words.
        return SourceLine(status.name, _STATES[status.state])
    return SourceLine(status.name, _STATES[status.state], status.words, age)
