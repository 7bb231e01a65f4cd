"""The JSON of ``memtop --once -o json`` as types, from which its JSON Schema is made.

What the program prints is built in `memtop.commands.frame_output`; a test reads it back with these types,
strictly, so that neither can change without the other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from memtop.analysis.judgement import SUSPECTED_LEAK, Verdict

Time = Annotated[str, Meta(description="UTC, ISO 8601, as 2026-01-31T03:12:45Z")]
Bytes = Annotated[int, Meta(description="bytes; null where unknown")]
VerdictWord = Annotated[
    str,
    Meta(
        description="one of " + ", ".join([*(verdict.value for verdict in Verdict), SUSPECTED_LEAK]),
        examples=["leak"],
    ),
]


class SourceDocument(Struct, forbid_unknown_fields=True):
    """How a source is."""

    state: str
    words: str | None
    data_at: Time | None


class WorkloadDocument(Struct, forbid_unknown_fields=True):
    """The controller that a person would name."""

    kind: str
    name: str


class TerminationDocument(Struct, forbid_unknown_fields=True):
    """How a container last ended."""

    reason: str | None
    exit_code: int
    finished_at: Time | None


class ContainerDocument(Struct, forbid_unknown_fields=True):
    """One container. Unknown values are null, never 0."""

    namespace: str
    pod: str
    container: str
    kind: Literal["container", "init", "sidecar", "ephemeral"]
    workload: WorkloadDocument
    node: str | None
    working_set_bytes: Bytes | None
    sampled_at: Time | None
    sample_age_seconds: int | None
    limit_bytes: Bytes | None
    limit_of_pod: Annotated[bool, Meta(description="the limit is the pod's, and its containers share it")]
    request_bytes: Bytes | None
    limit_ratio: Annotated[float, Meta(description="share of the limit in use, 0..1 and more")] | None
    restarts: int
    restarts_last_hour: int
    restarts_last_hour_exact: Annotated[bool, Meta(description="false: the number is a lower bound")]
    oom_kills_last_hour: int
    child_oom_kills_last_hour: (
        Annotated[int, Meta(description="of child processes; null where nobody counts them")] | None
    )
    memory_deaths: Annotated[
        int, Meta(description="OOM kills, evictions, ends at a heap limit, in the window")
    ]
    state: str
    last_termination: TerminationDocument | None
    growth_bytes_per_hour: Annotated[int, Meta(description="growth of the floor")] | None
    seconds_to_limit: int | None
    verdict: VerdictWord
    verdict_confidence: Annotated[float, Meta(ge=0.0, le=1.0)] | None
    evidence: str


class OnceDocument(Struct, forbid_unknown_fields=True):
    """What ``memtop --once -o json`` prints; containers by working set, the largest first."""

    context: str
    namespace: Annotated[str, Meta(description="null where all are observed")] | None
    time: Time
    notes: list[str]
    sources: dict[str, SourceDocument]
    containers: list[ContainerDocument]


def once_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "memtop --once -o json",
        **msgspec.json.schema(OnceDocument),
    }
