"""A frame as text: JSON for scripts, columns for a terminal, a Markdown table for an incident channel.

The JSON is the schema of ``memtop --once -o json``, which `docs/json.md` documents and scripts rely on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from memtop.analysis.judgement import VERDICTS, Judgement, Verdict
from memtop.kube.pod_facts import ContainerKind, StateSeverity, Termination
from memtop.observe.frame import Frame, FrameRows
from memtop.observe.frame_rows import time_to_limit_words
from memtop.observe.slots import ContainerIdentity
from memtop.wording import UNKNOWN, ago, at_least, bytes_, rate, share


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """One row of a frame that stands for a container.

    Attributes:
        row: Its index in the frame's `Rows`.
        identity: Whose it is.
    """

    row: int
    identity: ContainerIdentity


def list_containers(frame: Frame) -> list[ListedContainer]:
    """Every container of a frame by working set, the largest first, unknown last; equal ones by name."""
    found = [
        ListedContainer(row, identity)
        for row, identity in enumerate(frame.rows.identities)
        if isinstance(identity, ContainerIdentity)
    ]
    memory = frame.rows.working_set

    def rank(listing: ListedContainer) -> tuple[float, str, str, str]:
        size = float(memory[listing.row])
        who = listing.identity
        return (-size if math.isfinite(size) else math.inf, who.namespace, who.pod, who.container)

    return sorted(found, key=rank)


def as_json(frame: Frame) -> str:
    """The frame as an indented JSON document; what is unknown is null."""
    return msgspec.json.format(msgspec.json.encode(frame_document(frame)), indent=2).decode()


def frame_document(frame: Frame) -> dict[str, Any]:
    """The frame as plain values: bytes and seconds as whole numbers, times in ISO 8601, UTC."""
    namespaces = frame.observed.namespaces
    return {
        "context": frame.context,
        "namespace": ",".join(namespaces) if namespaces else None,
        "time": iso_time(frame.time),
        "notes": list(frame.notes),
        "sources": {
            source.name: {
                "state": source.state.value,
                "words": source.words or None,
                "data_at": iso_time(source.data_at),
            }
            for source in frame.sources
        },
        "containers": [
            container_document(frame.rows, listing, frame.time) for listing in list_containers(frame)
        ],
    }


def container_document(rows: FrameRows, listing: ListedContainer, now: float) -> dict[str, Any]:
    """One container as plain values.

    Args:
        rows: The frame's rows.
        listing: Which of them.
        now: The cluster's time, Unix seconds.
    """
    row, who = listing.row, listing.identity
    judgement = rows.judgements[row]
    return {
        "namespace": who.namespace,
        "pod": who.pod,
        "container": who.container,
        "kind": who.kind.value,
        "workload": {"kind": who.workload.kind, "name": who.workload.name},
        "node": who.node or None,
        "working_set_bytes": whole_or_none(rows.working_set[row]),
        "sampled_at": iso_time(rows.sampled_at[row]),
        "sample_age_seconds": whole_or_none(max(now - float(rows.sampled_at[row]), 0.0)),
        "limit_bytes": whole_or_none(rows.limit[row]),
        "limit_of_pod": bool(rows.pod_limit[row]),
        "request_bytes": whole_or_none(rows.request[row]),
        "limit_ratio": _rounded_or_none(rows.share[row]),
        "restarts": int(rows.restarts[row]),
        "restarts_last_hour": int(rows.restarts_hour[row]),
        "restarts_last_hour_exact": bool(rows.restarts_exact[row]),
        "oom_kills_last_hour": int(rows.ooms_hour[row]),
        "child_oom_kills_last_hour": whole_or_none(rows.child_ooms_hour[row]),
        "memory_pressure_ratio": _rounded_or_none(rows.pressure[row]),
        "swap_bytes": whole_or_none(rows.swap[row]),
        "memory_deaths": judgement.memory_deaths,
        "state": rows.states[row],
        "last_termination": _termination_document(rows.last_terminations[row]),
        "growth_bytes_per_hour": whole_or_none(rows.rate[row]),
        "seconds_to_limit": whole_or_none(rows.seconds_to_limit[row]),
        "verdict": judgement.certainty,
        "verdict_confidence": _rounded_or_none(rows.confidence[row]),
        "evidence": judgement.evidence(),
    }


def _termination_document(end: Termination | None) -> dict[str, Any] | None:
    if end is None:
        return None
    return {
        "reason": end.reason or None,
        "exit_code": end.exit_code,
        "finished_at": iso_time(end.finished_at),
    }


def iso_time(seconds: float | None) -> str | None:
    """Unix seconds as ``2025-01-31T12:00:00Z``; None for what is unknown."""
    if seconds is None or not math.isfinite(seconds):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def whole_or_none(value: float) -> int | None:
    """A whole number; None for what is not finite."""
    return round(float(value)) if math.isfinite(value) else None


def _rounded_or_none(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


COLUMN_GAP = "   "
OLD_SAMPLE_SECONDS = 150.0
"""Seconds from which the age of a sample is said: metrics-server measures once a minute by default, and its
sample is up to a minute older than that where the kubelet is slow."""
MAX_MARKDOWN_ROWS = 40
"""Rows of a Markdown table; an incident channel is no place for ten thousand."""
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")

CellText = Callable[[Frame, ListedContainer], str]


@dataclass(frozen=True, slots=True)
class TableField:
    """One column: its heading, its text, and whether it is a number."""

    heading: str
    text: CellText
    number: bool = False


def container_name(listing: ListedContainer) -> str:
    """The pod's name, and the container's where the pod has several."""
    who = listing.identity
    return who.pod if who.is_only_container else f"{who.pod}/{who.container}"


def verdict_words(frame: Frame, listing: ListedContainer) -> str:
    """The verdict as the screen says it; one that is not sure is ``suspected``."""
    rows, row = frame.rows, listing.row
    return Judgement(VERDICTS[rows.verdict[row]], float(rows.confidence[row])).certainty


def _last_end_words(frame: Frame, listing: ListedContainer) -> str:
    end = frame.rows.last_terminations[listing.row]
    if end is None:
        return UNKNOWN
    return end.words() if end.finished_at is None else f"{end.words()} {ago(frame.time - end.finished_at)}"


def _limit_words(rows: FrameRows, row: int) -> str:
    return bytes_(rows.limit[row]) + (" (pod)" if rows.pod_limit[row] else "")


def _last_hour_words(frame: Frame, listing: ListedContainer) -> str:
    rows, row = frame.rows, listing.row
    return at_least(int(rows.restarts_hour[row]), bool(rows.restarts_exact[row]))


def _memory_words(frame: Frame, row: int) -> str:
    """The working set, with its age where the sample is old."""
    memory = frame.rows.working_set[row]
    age = frame.time - float(frame.rows.sampled_at[row])
    old = math.isfinite(memory) and age > OLD_SAMPLE_SECONDS
    return f"{bytes_(memory)}, {ago(age).removesuffix(' ago')} old" if old else bytes_(memory)


NAMESPACE = TableField("NAMESPACE", lambda _, listing: listing.identity.namespace)
POD = TableField("POD", lambda _, listing: container_name(listing))
MEMORY = TableField("MEMORY", lambda frame, at: _memory_words(frame, at.row), number=True)
REQUEST = TableField("REQUEST", lambda frame, at: bytes_(frame.rows.request[at.row]), number=True)
LIMIT = TableField("LIMIT", lambda frame, at: _limit_words(frame.rows, at.row), number=True)
USED = TableField("USED", lambda frame, at: share(frame.rows.share[at.row]), number=True)
RESTARTS = TableField("RESTARTS", lambda frame, at: str(frame.rows.restarts[at.row]), number=True)
LAST_HOUR = TableField("LAST HOUR", _last_hour_words, number=True)
LAST_END = TableField("LAST END", _last_end_words)
GROWTH = TableField("GROWTH", lambda frame, at: rate(frame.rows.rate[at.row]), number=True)
LIMIT_IN = TableField("LIMIT IN", lambda frame, at: time_to_limit_words(frame.rows, at.row), number=True)
VERDICT = TableField("VERDICT", verdict_words)
STATE = TableField("STATE", lambda frame, at: frame.rows.states[at.row])
KIND = TableField("KIND", lambda _, listing: listing.identity.kind.value)
WORKLOAD = TableField("WORKLOAD", lambda _, listing: str(listing.identity.workload))
NODE = TableField("NODE", lambda _, listing: listing.identity.node or UNKNOWN)

NARROW_FIELDS = (
    *(NAMESPACE, POD, MEMORY, LIMIT, USED, RESTARTS, LAST_HOUR, LAST_END),
    *(GROWTH, LIMIT_IN, VERDICT, STATE),
)
WIDE_FIELDS = (
    *(NAMESPACE, POD, KIND, MEMORY, REQUEST, LIMIT, USED, RESTARTS, LAST_HOUR, LAST_END),
    *(GROWTH, LIMIT_IN, VERDICT, STATE, WORKLOAD, NODE),
)
MARKDOWN_FIELDS = (NAMESPACE, POD, MEMORY, LIMIT, USED, RESTARTS, LAST_END, GROWTH, LIMIT_IN, VERDICT, STATE)


def as_table(frame: Frame, *, wide: bool = False) -> str:
    """Aligned columns, one container a line; init containers that are done are left out."""
    fields = WIDE_FIELDS if wide else NARROW_FIELDS
    lines = [[field.heading for field in fields]]
    lines += [[field.text(frame, listing) for field in fields] for listing in _present_containers(frame)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(fields))]
    return "\n".join(
        COLUMN_GAP.join(
            cell.rjust(width) if field.number else cell.ljust(width)
            for cell, width, field in zip(line, widths, fields, strict=True)
        ).rstrip()
        for line in lines
    )


def as_markdown(frame: Frame) -> str:
    """A heading, the header's counts, and the containers that ask for attention before the others."""
    present = sorted(_present_containers(frame), key=lambda listing: not _asks_for_attention(frame, listing))
    shown, hidden = present[:MAX_MARKDOWN_ROWS], len(present) - MAX_MARKDOWN_ROWS
    lines = [
        f"**memory in {_escape_markdown(frame.context)}, {_escape_markdown(frame.scope)}**"
        f" at {iso_time(frame.time)}",
        "",
        f"{_count_words(frame)} – what asks for attention first, then by memory",
        "",
        _markdown_row([field.heading.capitalize() for field in MARKDOWN_FIELDS]),
        _markdown_row(["---:" if field.number else "---" for field in MARKDOWN_FIELDS]),
        *(
            _markdown_row([_escape_markdown(field.text(frame, listing)) for field in MARKDOWN_FIELDS])
            for listing in shown
        ),
    ]
    if hidden > 0:
        lines += ["", f"and {hidden} more containers that hold less and ask for no attention"]
    return "\n".join(lines)


def _present_containers(frame: Frame) -> list[ListedContainer]:
    return [
        listing
        for listing in list_containers(frame)
        if listing.identity.kind is not ContainerKind.INIT
        or frame.rows.severities[listing.row] is not StateSeverity.DONE
    ]


def _asks_for_attention(frame: Frame, listing: ListedContainer) -> bool:
    rows, row = frame.rows, listing.row
    return bool(
        rows.restarts_hour[row]
        or rows.ooms_hour[row]
        or VERDICTS[rows.verdict[row]] in {Verdict.LEAK, Verdict.OOM_LOOP}
        or rows.severities[row] in {StateSeverity.OOM, StateSeverity.FAILING}
    )


def _count_words(frame: Frame) -> str:
    counts = frame.counts
    parts: Sequence[tuple[int | None, str]] = (
        (counts.pods, "pods"),
        (counts.containers, "containers"),
        (counts.growing, "leaking"),
        (counts.suspected, "suspected of leaking"),
        (counts.near_limit, "near the limit"),
        (counts.oom_killed_last_hour, "OOM-killed in the last hour"),
    )
    if counts.child_oom_kills_last_hour:
        parts = (*parts, (counts.child_oom_kills_last_hour, "OOM kills of child processes"))
    return ", ".join(f"{UNKNOWN if number is None else number} {words}" for number, words in parts)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape_markdown(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)
