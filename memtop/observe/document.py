"""A frame as JSON: the schema of ``memtop --once -o json``, which README.md documents and scripts rely on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from memtop.cluster.containers import Termination
from memtop.growth.judgement import VERDICTS
from memtop.observe.frame import Frame, Rows
from memtop.observe.store import Identity


@dataclass(frozen=True, slots=True)
class Listing:
    """One row of a frame that stands for a container.

    Attributes:
        row: Its index in the frame's `Rows`.
        identity: Whose it is.
    """

    row: int
    identity: Identity


def listings(frame: Frame) -> list[Listing]:
    """Every container of a frame by working set, the largest first, unknown last; equal ones by name."""
    found = [
        Listing(row, identity)
        for row, identity in enumerate(frame.rows.identities)
        if isinstance(identity, Identity)
    ]
    memory = frame.rows.working_set

    def rank(listing: Listing) -> tuple[float, str, str, str]:
        size = float(memory[listing.row])
        who = listing.identity
        return (-size if math.isfinite(size) else math.inf, who.namespace, who.pod, who.container)

    return sorted(found, key=rank)


def as_json(frame: Frame) -> str:
    """The frame as an indented JSON document; what is unknown is null."""
    return msgspec.json.format(msgspec.json.encode(document(frame)), indent=2).decode()


def document(frame: Frame) -> dict[str, Any]:
    """The frame as plain values: bytes and seconds as whole numbers, times in ISO 8601, UTC."""
    namespaces = frame.observed.namespaces
    return {
        "context": frame.context,
        "namespace": ",".join(namespaces) if namespaces else None,
        "time": moment(frame.time),
        "notes": list(frame.notes),
        "sources": {
            source.name: {
                "state": source.state.value,
                "words": source.words or None,
                "data_at": moment(source.data_at),
            }
            for source in frame.sources
        },
        "containers": [_container(frame.rows, listing) for listing in listings(frame)],
    }


def _container(rows: Rows, listing: Listing) -> dict[str, Any]:
    row, who = listing.row, listing.identity
    judgement = rows.judgements[row]
    return {
        "namespace": who.namespace,
        "pod": who.pod,
        "container": who.container,
        "kind": who.kind.value,
        "workload": {"kind": who.workload.kind, "name": who.workload.name},
        "node": who.node or None,
        "working_set_bytes": _whole(rows.working_set[row]),
        "sampled_at": moment(rows.sampled_at[row]),
        "limit_bytes": _whole(rows.limit[row]),
        "request_bytes": _whole(rows.request[row]),
        "limit_ratio": _rounded(rows.share[row]),
        "restarts": int(rows.restarts[row]),
        "restarts_last_hour": int(rows.restarts_hour[row]),
        "restarts_last_hour_exact": bool(rows.restarts_exact[row]),
        "oom_kills_last_hour": int(rows.ooms_hour[row]),
        "state": rows.states[row],
        "last_termination": _termination(rows.lasts[row]),
        "growth_bytes_per_hour": _whole(rows.rate[row]),
        "seconds_to_limit": _whole(rows.seconds_to_limit[row]),
        "verdict": VERDICTS[rows.verdict[row]].value,
        "verdict_confidence": _rounded(rows.confidence[row]),
        "evidence": judgement.evidence(),
    }


def _termination(end: Termination | None) -> dict[str, Any] | None:
    if end is None:
        return None
    return {"reason": end.reason or None, "exit_code": end.exit_code, "finished_at": moment(end.finished_at)}


def moment(seconds: float | None) -> str | None:
    """Unix seconds as ``2025-01-31T12:00:00Z``; None for what is unknown."""
    if seconds is None or not math.isfinite(seconds):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _whole(value: float) -> int | None:
    return round(float(value)) if math.isfinite(value) else None


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
