"""What the overview says beside its rows: header, titles of the panes, and why there are no rows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from memtop.observe.view import OverviewPane, RowCondition, SourceCondition, SourceStatus
from memtop.wording import UNKNOWN, ago
from widgets.header import HeaderData, SourceLine, SourceState
from widgets.panes import PanelMessage
from widgets.styled_text import Level

if TYPE_CHECKING:
    from memtop.observe.frame import Frame

_SOURCE_STATES: dict[SourceCondition, SourceState] = {
    SourceCondition.CONNECTING: "connecting",
    SourceCondition.LIVE: "live",
    SourceCondition.STALE: "stale",
    SourceCondition.FORBIDDEN: "forbidden",
    SourceCondition.ABSENT: "absent",
    SourceCondition.FAILING: "failing",
    SourceCondition.OFF: "absent",
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
        return HeaderData(context="", namespace="", warnings=warnings, clock=clock_words(time.time()))
    scope = ", ".join(sorted(frame.view.namespaces)) or frame.scope
    gone = gone_words(frame, now)
    notes = (*warnings, *frame.notes)
    if frame.remaining:
        notes = (*notes, f"{frame.remaining} more pods are on their way")
    return HeaderData(
        context=frame.context,
        namespace=scope,
        warnings=notes,
        counts=_header_counts(frame),
        sources=[_source_line(status, now, brief=bool(gone)) for status in frame.sources],
        clock=clock_words(now),
        frozen=frozen,
        filter=frame.view.filter.text,
        banner=gone,
    )


def gone_words(frame: Frame, now: float) -> str:
    """That the API server is gone, so that all that is shown is old; empty while it answers."""
    pods = next((source for source in frame.sources if source.name == "pods"), None)
    if pods is None or pods.state is not SourceCondition.STALE or pods.data_at is None:
        return ""
    return (
        f"No answer from {frame.context}: what is shown is of {clock_words(pods.data_at)} "
        f"({ago(max(0.0, now - pods.data_at))}). memtop keeps trying, r tries now. {pods.words}"
    )


def clock_words(now: float) -> str:
    """The local time of day."""
    return datetime.fromtimestamp(now, UTC).astimezone().strftime("%H:%M")


COUNT_CONDITIONS: dict[str, RowCondition] = {
    "leaking": RowCondition.LEAKING,
    "suspected": RowCondition.SUSPECTED,
    "near limit": RowCondition.NEAR_LIMIT,
    "OOM-killed in 1 h": RowCondition.OOM_KILLED,
    "evicted": RowCondition.EVICTED,
}
"""What each count of the header counts, by its label: a click on it shows these rows alone."""


def _pods_listed(frame: Frame) -> bool:
    """Whether pods have been listed at least in part: before, nothing can be counted."""
    return bool(frame.counts.pods) or any(
        source.name == "pods" and source.data_at is not None for source in frame.sources
    )


def _header_counts(frame: Frame) -> list[tuple[str, int | None, Level]]:
    counts, listed = frame.counts, _pods_listed(frame)

    def bad(number: int | None, level: Level = "warn") -> Level:
        return level if number else "ok" if number is not None else "unknown"

    shown: list[tuple[str, int | None, Level]] = [
        ("pods", counts.pods if listed else None, "ok" if listed else "unknown"),
        ("leaking", counts.growing, bad(counts.growing, "critical")),
    ]
    if counts.suspected:
        shown.append(("suspected", counts.suspected, "warn"))
    killed = counts.oom_killed_last_hour if listed else None
    shown += [
        ("near limit", counts.near_limit, bad(counts.near_limit)),
        ("OOM-killed in 1 h", killed, bad(killed, "critical")),
    ]
    if counts.child_oom_kills_last_hour:
        shown.append(("child OOM kills", counts.child_oom_kills_last_hour, "warn"))
    if counts.evicted:
        shown.append(("evicted", counts.evicted, "warn"))
    if counts.nodes_under_pressure:
        nodes = "node" if counts.nodes_under_pressure == 1 else "nodes"
        shown.append((f"{nodes} under pressure", counts.nodes_under_pressure, "critical"))
    return shown


def _source_line(status: SourceStatus, now: float, *, brief: bool) -> SourceLine:
    watched = status.name != "metrics"
    # A watch that is open is up to date however long nothing has changed: only its failures have an age.
    age = (
        None
        if status.data_at is None or (watched and status.state is SourceCondition.LIVE)
        else now - status.data_at
    )
    if status.state is SourceCondition.FORBIDDEN and status.name in {"nodes", "owners"}:
        # Its whole refusal would push what matters more off the line; `memtop doctor` has its words.
        return SourceLine(status.name, _SOURCE_STATES[status.state])
    # A banner says why the API server does not answer, once; Prometheus may be elsewhere.
    words = "" if brief and status.state is SourceCondition.STALE else status.words
    return SourceLine(status.name, _SOURCE_STATES[status.state], words, age)


_TROUBLED_STATES = {SourceCondition.FAILING, SourceCondition.FORBIDDEN, SourceCondition.ABSENT}


def trouble_message(frame: Frame) -> PanelMessage | None:
    """The message to show, or None while the panes have something to show or may soon have."""
    pods = next((source for source in frame.sources if source.name == "pods"), None)
    if pods is None or frame.counts.pods or pods.data_at is not None or pods.state not in _TROUBLED_STATES:
        return None
    if pods.state is SourceCondition.FORBIDDEN:
        return PanelMessage(
            title="Listing pods is forbidden",
            sentence=pods.words,
            steps=(
                "press n and choose a namespace that you may see",
                "or ask for the rights that the README lists under Permissions",
            ),
            keys=(("n", "namespace"), ("c", "context"), ("r", "try again"), ("q", "quit")),
        )
    return PanelMessage(
        title=f"No connection to {frame.context}",
        sentence=pods.words,
        details=pods.output,
        details_title="The credential plugin said",
        steps=("memtop keeps trying, and goes on by itself when the server answers",),
        keys=(("r", "try now"), ("c", "context"), ("q", "quit")),
    )


def failing_frames_message(sentence: str) -> PanelMessage:
    """What is shown in place of the panes where no frame can be built at all.

    Args:
        sentence: Why.
    """
    return PanelMessage(
        title="Nothing can be shown",
        sentence=sentence,
        steps=(
            "memtop keeps trying, and goes on by itself when it works",
            "memtop --log-file FILE writes what failed, for a report",
        ),
        keys=(("c", "context"), ("q", "quit")),
    )


PANE_TITLES = {
    OverviewPane.TOP: "Top memory",
    OverviewPane.RESTARTS: "Restarts",
    OverviewPane.GROWTH: "Growth",
}
CONNECTING = "Connecting …"
EMPTY_PANE_WORDS = {
    OverviewPane.TOP: "No container in sight",
    OverviewPane.RESTARTS: "Nothing has restarted",
    OverviewPane.GROWTH: "Nothing is growing, as far as can be told yet",
}


PANE_TIPS = {
    OverviewPane.TOP: "n chooses another namespace, c another context",
    OverviewPane.RESTARTS: "what restarts is listed here with its last end; p shows the log before it",
    OverviewPane.GROWTH: "what grows is listed here; L then tells since when, h what grew",
}
FILTER_TIP = "esc clears the filter; is=leaking and !text work too, f shows what the header counts"


def empty_pane_words(frame: Frame, pane: OverviewPane, *, tips: bool = False) -> str:
    """What a pane without rows says; a second line says what can be done from there.

    Args:
        frame: The frame.
        pane: Which pane.
        tips: Whether the second line is wanted.
    """
    words, tip = _empty_words(frame, pane), FILTER_TIP if frame.view.filter else PANE_TIPS[pane]
    return f"{words}\nTip: {tip}" if tips and words != CONNECTING else words


def _empty_words(frame: Frame, pane: OverviewPane) -> str:
    if frame.view.filter:
        return f"Nothing matches /{frame.view.filter.text}"
    if any(source.name == "pods" and source.state is SourceCondition.CONNECTING for source in frame.sources):
        return CONNECTING
    if pane is OverviewPane.GROWTH and frame.counts.growing is None:
        return _awaited_words(frame)
    return EMPTY_PANE_WORDS[pane]


def _awaited_words(frame: Frame) -> str:
    """What has to come before it can be said what grows."""
    if not frame.past_known and any(
        source.name == "prometheus" and source.state in {SourceCondition.CONNECTING, SourceCondition.LIVE}
        for source in frame.sources
    ):
        return "Asking Prometheus …"
    return "Too early to say what grows: a verdict takes some minutes of watching"


def pane_subtitle(frame: Frame, count: int, marked: str = "") -> str:
    """What stands at the right of a pane's title: what is marked, how many rows it has, of which filter."""
    what = "workload" if frame.view.workloads else "container"
    number = f"{count:,}" if _pods_listed(frame) else UNKNOWN
    words = f"{number} {what}{'' if count == 1 else 's'}"
    words = f"{marked} · {words}" if marked else words
    return f"{words}  /{frame.view.filter.text}" if frame.view.filter else words
