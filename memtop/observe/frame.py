"""A frame: one frozen snapshot of everything a screen may show, ready to draw.

Rows are columns of numbers plus shared, immutable descriptions; a table turns into text only the rows it
shows. Nothing in a frame changes after it is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from memtop.analysis.judgement import Judgement, Judgements
from memtop.kube.pod_facts import StateSeverity, Termination, Workload
from memtop.observe.slots import CodedColumn, ContainerIdentity, ContainerKey
from memtop.observe.view import OverviewPane, Scope, SourceStatus, View

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.intp]
SPARK_BINS = 32


class AwaitedData(StrEnum):
    """What is still to come before a row can be judged by all that is known of it."""

    PAST = "asking Prometheus for its past …"
    POOL = "judging its pods together …"


@dataclass(frozen=True, slots=True)
class WorkloadKey:
    """Names a workload's row."""

    namespace: str
    workload: Workload


@dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """What of a workload's row does not change."""

    key: WorkloadKey
    namespace: str
    workload: Workload
    labels: dict[str, str]

    def haystack(self) -> str:
        """What a text filter looks through, in lower case."""
        return f"{self.namespace}/{self.workload}".lower()


RowKey = ContainerKey | WorkloadKey


@dataclass(frozen=True, eq=False)
class FrameRows:
    """Rows in columns; all arrays have one entry a row, NaN is unknown.

    Attributes:
        identities: Who each row is.
        working_set: Bytes; of a workload, the sum of its containers.
        sampled_at: Unix seconds.
        limit: Bytes; of a workload, the sum, unknown if any container has none.
        pod_limit: Whether that is the pod's limit, which its containers share.
        limit_counts: Whether it counts where limits are added up: that of a pod counts once.
        held_by_others: Bytes of the pod's limit that its other containers hold.
        request: Bytes, likewise.
        share: Part of the limit in use, 0..1; of a workload, the highest of its containers.
        restarts: Restarts since the pods were created.
        restarts_hour: Restarts within the last hour, as far as known.
        restarts_exact: Whether that is exact, else it is a lower bound.
        ooms_hour: OOM kills within the last hour, as far as known.
        child_ooms_hour: Those of child processes while the container lived on; NaN where nobody counts them.
        pressure: Share of the last minutes, 0..1, in which some process waited for memory; of a workload, the
            highest; NaN where nobody exports it.
        swap: Bytes that are swapped out; NaN where nobody exports it.
        last_end: When it last ended, Unix seconds.
        failed: Whether its last end was a failure.
        judgements: What is judged of each; the next four are columns of it.
        rate: Growth of the floor, bytes per hour.
        seconds_to_limit: Until the limit is reached at that rate.
        verdict: Code as in `memtop.analysis.judgement.VERDICTS`.
        confidence: Of the verdict, 0..1.
        sparkline: Highest value of each part of the recent past, shape (rows, `SPARK_BINS`), bytes.
        states: The current state in words.
        severities: How much it asks for attention.
        last_terminations: The last end, or None.
        pods: Live pods behind the row.
        namespace: A number for the namespace.
        holds_memory: Whether it is no init container.
        first: Whether it stands for its pod where pods are counted.
    """

    identities: list[ContainerIdentity | WorkloadIdentity | None]
    working_set: Floats
    sampled_at: Floats
    limit: Floats
    pod_limit: npt.NDArray[np.bool_]
    limit_counts: npt.NDArray[np.bool_]
    held_by_others: Floats
    request: Floats
    share: Floats
    restarts: npt.NDArray[np.int32]
    restarts_hour: npt.NDArray[np.int32]
    restarts_exact: npt.NDArray[np.bool_]
    ooms_hour: npt.NDArray[np.int32]
    child_ooms_hour: Floats
    pressure: Floats
    swap: Floats
    last_end: Floats
    failed: npt.NDArray[np.bool_]
    judgements: Judgements
    rate: Floats
    seconds_to_limit: Floats
    verdict: npt.NDArray[np.uint8]
    confidence: Floats
    sparkline: npt.NDArray[np.float32]
    states: Sequence[str]
    severities: CodedColumn[StateSeverity]
    last_terminations: list[Termination | None]
    pods: npt.NDArray[np.int32]
    namespace: npt.NDArray[np.int32]
    holds_memory: npt.NDArray[np.bool_]
    first: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HeaderCounts:
    """The numbers of the header; None is unknown."""

    pods: int
    containers: int
    growing: int | None
    suspected: int | None
    near_limit: int | None
    over_critical: int | None
    oom_killed_last_hour: int
    evicted: int
    nodes_under_pressure: int | None
    child_oom_kills_last_hour: int | None = None


@dataclass(frozen=True, eq=False)
class RowDetail:
    """The selected row drawn large.

    Attributes:
        key: Whose it is.
        row: Its index in the frame's rows; None where those are of another kind.
        title: Its name in words.
        times: Unix seconds, shape (n,).
        values: Bytes, shape (n,).
        limit: Bytes or None.
        request: Bytes or None.
        restarts: When it started again, Unix seconds.
        oom_kills: When it was OOM-killed, Unix seconds.
        judgement: What is judged of it, or None before anything is.
        basis: Which memory the judgement is made on, and who remembered it, in words.
        floor: The floor that the judgement speaks of, see `memtop.analysis.judgement.floor_line`: Unix
            seconds and bytes of its points; None where nothing was fitted.
        awaited: What is still to come before it can be judged by all that is known of it.
        look_back_note: Why the time before the kept samples is not drawn, in words; empty where it is
            drawn or was not asked for.
    """

    key: RowKey
    row: int | None
    title: str
    times: Floats
    values: Floats
    limit: float | None
    request: float | None
    restarts: tuple[float, ...]
    oom_kills: tuple[float, ...]
    judgement: Judgement | None
    basis: str = ""
    floor: tuple[Floats, Floats] | None = None
    awaited: AwaitedData | None = None
    look_back_note: str = ""


@dataclass(frozen=True, eq=False)
class WorkloadMembers:
    """The containers behind the workload of the selected row.

    Attributes:
        key: The workload.
        rows: All container rows of the frame, also where the frame's own are workloads.
        slots: Those of its rows that belong to the workload, the largest first; init containers do not.
        judgement: What is judged of its pods pooled, or None before anything is.
        parts: The same for each container's name and revision hash; only of what has live pods.
    """

    key: WorkloadKey
    rows: FrameRows
    slots: Slots
    judgement: Judgement | None
    parts: Mapping[tuple[str, str], Judgement]


@dataclass(frozen=True, eq=False)
class Frame:
    """Everything a screen may show, at one moment.

    Attributes:
        number: Counts up with every frame.
        time: The cluster's time, Unix seconds.
        context: The kubeconfig's context.
        scope: Which namespaces are observed, in words.
        observed: What is observed.
        notes: What a user must know about the connection (TLS not verified, clock skew …).
        sources: How each source is.
        counts: The header's numbers, of the namespaces in view and before the text filter.
        view: What was asked for.
        rows: All rows.
        pane_rows: For each pane the rows it shows, in order.
        detail: The selected row drawn large, or None.
        members: The containers behind the workload of the selected row, or None.
        remaining: How many pods of the first list are still on their way.
        settled: Whether pods, metrics and verdicts have come, or are known not to come for now.
        past_known: Whether the past has come too, or is known not to come for now.
        namespaces: Namespaces known to exist, for the picker.
        pressured_nodes: Nodes that report MemoryPressure.
        awaited: Of rows in sight, what is still to come before they can be judged by all that is known.
        urgent: Where in the pane of the largest the row is that needs somebody first.
    """

    number: int
    time: float
    context: str
    scope: str
    observed: Scope
    notes: tuple[str, ...]
    sources: tuple[SourceStatus, ...]
    counts: HeaderCounts
    view: View
    rows: FrameRows
    pane_rows: dict[OverviewPane, Slots]
    detail: RowDetail | None
    remaining: int
    settled: bool
    namespaces: tuple[str, ...]
    pressured_nodes: frozenset[str]
    past_known: bool = True
    awaited: Mapping[int, AwaitedData] = field(default_factory=dict)
    members: WorkloadMembers | None = None
    urgent: int = 0
