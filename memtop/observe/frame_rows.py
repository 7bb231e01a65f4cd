"""From the store's columns to the rows of a frame: per container, or added up per workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memtop.analysis.judgement import LEAK_CODE, MIN_MEMORY_DEATHS, OOM_LOOP_CODE, Judgement, Judgements
from memtop.kube.pod_facts import ContainerKind, StateSeverity, Termination
from memtop.observe.container_store import ContainerStore
from memtop.observe.frame import Floats, FrameRows, WorkloadIdentity, WorkloadKey
from memtop.observe.live_verdicts import WorkloadVerdicts, select_judgements
from memtop.observe.slots import KIND_CODES, SEVERITIES, CodedColumn, ContainerIdentity, SlotColumns
from memtop.wording import duration

OUTLASTED_BY_HALF = 1.5
SHORT_LIFE_SECONDS = 600.0
INIT_CODE = KIND_CODES[ContainerKind.INIT]
_DOWN = {StateSeverity.WAITING, StateSeverity.FAILING, StateSeverity.OOM}
_CALM = {StateSeverity.RUNNING, StateSeverity.DONE}
_SEVERITY_ORDER = np.array(
    [-1 if severity is StateSeverity.DONE else code for code, severity in enumerate(SEVERITIES)], np.int8
)
"""Of each severity's code: a workload that runs and has a container that is done, runs."""


class HasJudgements(Protocol):
    """Whoever has a judgement on every slot."""

    def judgements(self) -> Judgements:
        """What is judged of every slot, as a copy that never changes."""


def container_rows(
    store: ContainerStore, verdicts: HasJudgements, spark: npt.NDArray[np.float32], now: float
) -> FrameRows:
    """One row per slot of the store; a slot that is not in use has no identity.

    Args:
        store: The store, as it is now; only read.
        verdicts: What is judged of its containers.
        spark: The recent past of every slot, shape (slots, bins).
        now: The cluster's time, Unix seconds.
    """
    columns = store.columns
    judgements = verdicts.judgements()
    judgements = replace(
        judgements,
        seconds_to_limit=_seconds_to_limit(columns, judgements, now),
        stalled=columns.pressure.copy(),
        child_kills=columns.child_ooms_hour.copy(),
        swapped=columns.swap.copy(),
    )
    return FrameRows(
        identities=[*store.identities],
        working_set=columns.working_set.copy(),
        sampled_at=columns.sampled_at.copy(),
        limit=columns.limit.copy(),
        request=columns.request.copy(),
        pod_limit=columns.pod_limit.copy(),
        limit_counts=columns.limit_counts.copy(),
        held_by_others=columns.held_by_others.copy(),
        share=(columns.working_set + columns.held_by_others) / columns.limit,
        restarts=columns.restarts.copy(),
        restarts_hour=columns.restarts_hour.copy(),
        restarts_exact=columns.restarts_exact.copy(),
        ooms_hour=columns.ooms_hour.copy(),
        child_ooms_hour=columns.child_ooms_hour.copy(),
        pressure=columns.pressure.copy(),
        swap=columns.swap.copy(),
        last_end=columns.last_end.copy(),
        failed=columns.failed.copy(),
        judgements=judgements,
        rate=judgements.rate,
        seconds_to_limit=judgements.seconds_to_limit,
        verdict=judgements.codes,
        confidence=judgements.confidence,
        sparkline=spark,
        states=CodedColumn(columns.state.copy(), store.states.words),
        severities=CodedColumn(columns.severity.copy(), SEVERITIES),
        last_terminations=store.last_terminations.copy(),
        pods=np.ones(len(store.identities), np.int32),
        namespace=columns.namespace.copy(),
        holds_memory=columns.kind != INIT_CODE,
        first=columns.first.copy(),
    )


def with_kernel_figures(judgement: Judgement, columns: SlotColumns, slots: Sequence[int]) -> Judgement:
    """The judgement with what the kernel counts beside memory: the worst stall, the sums of the rest.

    Args:
        judgement: On a container, or on a workload's pods together.
        columns: The store's.
        slots: Whose.
    """

    def total(column: Floats) -> float | None:
        known = column[slots][np.isfinite(column[slots])]
        return float(known.sum()) if len(known) else None

    stalls = columns.pressure[slots]
    stalled = float(np.nanmax(stalls)) if np.isfinite(stalls).any() else None
    kills, swapped = total(columns.child_ooms_hour), total(columns.swap)
    return replace(judgement, stalled=stalled, child_kills=kills, swapped=swapped)


def _seconds_to_limit(columns: SlotColumns, judgements: Judgements, now: float) -> Floats:
    """Seconds from now until the limit is reached, or until it ends as it did before.

    The rate is the verdict's, which may be some minutes old; the room that is left is of now. What does not
    run now holds no memory, and nothing approaches its limit. What dies below its limit, or too fast to be
    seen to grow, has as long as its lives before had, unless the present one has outlasted them by half.
    """
    reached = np.fmin(columns.limit - columns.held_by_others + columns.swap_room, judgements.death_level)
    room = np.maximum(reached - columns.working_set, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_rate = np.where(np.isfinite(judgements.seconds_to_limit), room / judgements.rate * 3600.0, np.nan)
    age = now - columns.started_at
    by_age = np.maximum(judgements.seconds_lived - age, 0.0)
    below_limit = (judgements.codes == LEAK_CODE) & np.isfinite(judgements.death_level)
    # A sample is up to a minute old: of a life of minutes the time since its start says more.
    short = (judgements.memory_deaths >= MIN_MEMORY_DEATHS) & (judgements.seconds_lived < SHORT_LIFE_SECONDS)
    ends_alike = below_limit | (judgements.codes == OOM_LOOP_CODE) | ((judgements.codes == LEAK_CODE) & short)
    known = ends_alike & (age < OUTLASTED_BY_HALF * judgements.seconds_lived)
    return np.where(known, by_age, by_rate)


def time_to_limit_words(rows: FrameRows, row: int) -> str:
    """When a row reaches its limit, in words; ``down`` of what is dead and not yet started again."""
    down = (
        rows.verdict[row] in (LEAK_CODE, OOM_LOOP_CODE)
        and rows.severities[row] in _DOWN
        and not np.isfinite(rows.working_set[row])
    )
    return "down" if down else duration(rows.seconds_to_limit[row])


@dataclass(frozen=True, eq=False)
class WorkloadGroups:
    """Which containers make up which workload; stays true until an identity changes.

    Attributes:
        members: Slots of all ordinary containers and sidecars, those of one workload side by side.
        starts: Where in `members` each workload begins.
        identities: Who each workload is.
        namespace: Number of each workload's namespace.
        pods: Live pods of each workload.
    """

    members: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    identities: list[ContainerIdentity | WorkloadIdentity | None]
    namespace: npt.NDArray[np.int32]
    pods: npt.NDArray[np.int32]

    def members_of(self, workload: int) -> npt.NDArray[np.intp]:
        """The members of one workload."""
        ends = np.append(self.starts, len(self.members))
        return self.members[ends[workload] : ends[workload + 1]]

    def row_of(self, key: WorkloadKey) -> int | None:
        """The row of a workload, or None if it has no container any more."""
        return next(
            (row for row, who in enumerate(self.identities) if who is not None and who.key == key), None
        )

    @property
    def owner(self) -> npt.NDArray[np.intp]:
        """For each member the workload it belongs to."""
        return np.repeat(np.arange(len(self.starts)), np.diff(np.append(self.starts, len(self.members))))


def group_by_workload(store: ContainerStore) -> WorkloadGroups:
    """Puts the containers of each workload together; workloads in the order of their first container."""
    columns = store.columns
    members = np.flatnonzero((columns.workload >= 0) & (columns.kind != INIT_CODE))
    members = members[np.argsort(columns.workload[members], kind="stable")]
    numbers = columns.workload[members]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    identities: list[ContainerIdentity | WorkloadIdentity | None] = []
    for slot, number in zip(members[starts].tolist(), numbers[starts].tolist(), strict=True):
        namespace, workload = store.workloads[number]
        identity = store.identities[slot]
        labels = identity.labels if identity is not None else {}
        identities.append(WorkloadIdentity(WorkloadKey(namespace, workload), namespace, workload, labels))
    return WorkloadGroups(
        members=members,
        starts=starts,
        identities=identities,
        namespace=columns.namespace[members[starts]],
        pods=_group_sums(columns.first[members], starts),
    )


def workload_rows(groups: WorkloadGroups, rows: FrameRows, pools: WorkloadVerdicts) -> FrameRows:
    """Adds container rows up: one row per workload that has a live container.

    Memory, limits and restarts are sums; the share of the limit is the highest of any container, since that
    is the one to be killed; verdict and rate are those of the pods pooled, and until they are, those of the
    container that is worst off.

    Args:
        groups: Which rows make up which workload.
        rows: The container rows.
        pools: What is judged of workloads.
    """
    members, starts = groups.members, groups.starts
    judgements = pools.overlay(
        select_judgements(rows.judgements, _worst_containers(groups, rows)), groups.identities
    )
    judgements = replace(
        judgements,
        stalled=np.fmax.reduceat(rows.pressure[members], starts),
        child_kills=_known_sum(rows.child_ooms_hour[members], starts),
        swapped=_known_sum(rows.swap[members], starts),
    )
    states, severities = _workload_states(groups, rows)
    return FrameRows(
        identities=groups.identities,
        working_set=_known_sum(rows.working_set[members], starts),
        sampled_at=np.fmax.reduceat(rows.sampled_at[members], starts),
        limit=np.add.reduceat(np.where(rows.limit_counts, rows.limit, 0.0)[members], starts),
        pod_limit=np.logical_or.reduceat(rows.pod_limit[members], starts),
        limit_counts=np.ones(len(starts), np.bool_),
        held_by_others=np.zeros(len(starts)),
        request=np.add.reduceat(rows.request[members], starts),
        share=np.fmax.reduceat(rows.share[members], starts),
        restarts=_group_sums(rows.restarts[members], starts),
        restarts_hour=_group_sums(rows.restarts_hour[members], starts),
        restarts_exact=np.logical_and.reduceat(rows.restarts_exact[members], starts),
        ooms_hour=_group_sums(rows.ooms_hour[members], starts),
        child_ooms_hour=_known_sum(rows.child_ooms_hour[members], starts),
        pressure=np.fmax.reduceat(rows.pressure[members], starts),
        swap=_known_sum(rows.swap[members], starts),
        last_end=np.fmax.reduceat(rows.last_end[members], starts),
        failed=np.logical_or.reduceat(rows.failed[members], starts),
        judgements=judgements,
        rate=judgements.rate,
        seconds_to_limit=np.fmin.reduceat(rows.seconds_to_limit[members], starts),
        verdict=judgements.codes,
        confidence=judgements.confidence,
        sparkline=np.add.reduceat(np.nan_to_num(rows.sparkline[members]), starts, axis=0),
        states=states,
        severities=severities,
        last_terminations=_last_terminations(groups, rows),
        pods=groups.pods,
        namespace=groups.namespace,
        holds_memory=np.ones(len(starts), np.bool_),
        first=np.ones(len(starts), np.bool_),
    )


def _group_sums(
    values: npt.NDArray[np.int32] | npt.NDArray[np.bool_], starts: npt.NDArray[np.intp]
) -> npt.NDArray[np.int32]:
    return np.add.reduceat(values.astype(np.int32), starts)


def _known_sum(values: Floats, starts: npt.NDArray[np.intp]) -> Floats:
    """Sum of what is known; unknown where nothing is."""
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(np.logical_or.reduceat(known, starts), sums, np.nan)


def _worst_containers(groups: WorkloadGroups, rows: FrameRows) -> npt.NDArray[np.intp]:
    """Of each workload the container that is worst off: leaks, OOM loops, then by confidence and memory."""
    members = groups.members
    worst_first = np.lexsort(
        (
            -np.nan_to_num(rows.working_set[members], nan=-1.0),
            -rows.confidence[members],
            np.select(
                [rows.verdict[members] == LEAK_CODE, rows.verdict[members] == OOM_LOOP_CODE], [0, 1], 2
            ),
            groups.owner,
        )
    )
    return members[worst_first][groups.starts]


def _workload_states(groups: WorkloadGroups, rows: FrameRows) -> tuple[list[str], CodedColumn[StateSeverity]]:
    """The state that asks most for attention, and how many containers ask as much."""
    urgency = _SEVERITY_ORDER[rows.severities.codes[groups.members]]
    owner = groups.owner
    most = urgency == np.maximum.reduceat(urgency, groups.starts)[owner]
    how_many = _group_sums(most, groups.starts)
    sizes = np.bincount(owner)
    example = np.zeros(len(groups.starts), np.intp)
    example[owner[most][::-1]] = groups.members[most][::-1]  # the first of them has the last word
    states = []
    for slot, number, size in zip(example.tolist(), how_many.tolist(), sizes.tolist(), strict=True):
        calm = rows.severities[slot] in _CALM
        states.append(rows.states[slot] if calm or size == 1 else f"{number}/{size} {rows.states[slot]}")
    return states, CodedColumn(rows.severities.codes[example], SEVERITIES)


def _last_terminations(groups: WorkloadGroups, rows: FrameRows) -> list[Termination | None]:
    """Of each workload the newest end of any container."""
    ends = rows.last_end[groups.members]
    owner = groups.owner
    newest = np.fmax.reduceat(ends, groups.starts)
    found: list[Termination | None] = [None] * len(groups.starts)
    at = np.flatnonzero(ends == newest[owner])
    for which, slot in zip(owner[at].tolist(), groups.members[at].tolist(), strict=True):
        found[which] = rows.last_terminations[slot]
    return found
