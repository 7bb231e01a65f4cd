"""Builds frames: the store as it is now, under the view that a screen asked for.

Also here: the containers behind the selected workload, and workloads that share a name across namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from memtop.analysis.judgement import OOM_LOOP_CODE, UNJUDGED_CODE, VERDICT_CODES, Verdict
from memtop.history.past_requests import MAX_LOOK_BACK as MOST_BACK
from memtop.observe.frame import (
    SPARK_BINS,
    AwaitedData,
    Frame,
    FrameRows,
    HeaderCounts,
    Slots,
    WorkloadIdentity,
    WorkloadKey,
    WorkloadMembers,
)
from memtop.observe.frame_rows import (
    INIT_CODE,
    WorkloadGroups,
    container_rows,
    group_by_workload,
    with_kernel_figures,
    workload_rows,
)
from memtop.observe.live_verdicts import PooledWorkload, count_leaks
from memtop.observe.observer import Observer
from memtop.observe.row_detail import DetailBuilder
from memtop.observe.row_order import NameRanks, filter_rows, most_urgent_row, order_rows
from memtop.observe.slots import ContainerKey
from memtop.observe.view import OverviewPane, SourceCondition, View
from memtop.observe.watchlist import LimitThresholds
from memtop.wording import duration


def selected_workload(
    observer: Observer, selected: object, groups: WorkloadGroups | None
) -> PooledWorkload | None:
    """The workload of the selected row, with its ordinary containers and sidecars.

    Args:
        observer: Whose store it is in.
        selected: The key of a container, or of a workload.
        groups: All workloads, where rows are workloads.

    Returns:
        None where nothing is selected, or what was is gone.
    """
    store, columns = observer.store, observer.store.columns
    if isinstance(selected, WorkloadKey):
        row = None if groups is None else groups.row_of(selected)
        return None if row is None or groups is None else PooledWorkload(selected, groups.members_of(row))
    slot = store.slot_of(selected) if isinstance(selected, ContainerKey) else None
    if slot is None:
        return None
    number = columns.workload[slot]
    slots = np.flatnonzero((columns.workload == number) & (columns.kind != INIT_CODE))
    return PooledWorkload(WorkloadKey(*store.workloads[int(number)]), slots)


def workload_members(observer: Observer, workload: PooledWorkload, rows: FrameRows) -> WorkloadMembers:
    """What a frame says of them, those that hold the most memory first.

    Args:
        observer: Who judges them.
        workload: Which, and its containers.
        rows: The container rows of the frame.
    """
    key, slots, pools = workload.key, workload.slots, observer.workload_verdicts
    held, pooled = np.nan_to_num(rows.working_set[slots]), pools.get(key)
    if pooled is not None:
        pooled = with_kernel_figures(pooled, observer.store.columns, slots.tolist())
    return WorkloadMembers(key, rows, slots[np.argsort(-held, kind="stable")], pooled, pools.parts(key))


MIN_SKEW_SECONDS = 30.0
_LEVELLED_OFF = frozenset(VERDICT_CODES[verdict] for verdict in (Verdict.WARMUP, Verdict.STEP))
ROWS_ON_SCREEN = 40
"""Rows of a pane whose past is wished for: those that a tall screen shows."""
CONTAINERS_PER_WORKLOAD = 5
"""Containers of a workload whose past is wished for; its replicas are much alike."""


@dataclass(frozen=True, eq=False)
class ArrangedRows:
    """The rows of a frame in their order, and what has to be asked for since somebody may look at it.

    Attributes:
        view: What was asked for.
        time: The cluster's time, Unix seconds.
        containers: A row for each container.
        rows: The rows shown: containers or workloads.
        pane_rows: The rows of each pane, in order.
        counts: For the header.
        selected: The workload of the selected row; None without one.
        looked_at: Containers whose past is wanted, what matters most first.
        looked_back: Containers of the selected row, whose past is wanted for as far as the view reaches.
        pooled: Workloads to be judged as a whole, what matters most first.
        levelled_off: Containers that are looked at and have grown and stand still, or have a full heap.
    """

    view: View
    time: float
    containers: FrameRows
    rows: FrameRows
    pane_rows: dict[OverviewPane, Slots]
    counts: HeaderCounts
    selected: PooledWorkload | None
    looked_at: tuple[int, ...]
    looked_back: tuple[int, ...]
    pooled: tuple[PooledWorkload, ...]
    levelled_off: tuple[int, ...]


def _whole_or_none(counts: npt.NDArray[np.float64]) -> int | None:
    """The sum of what is known; None where nothing is."""
    known = counts[np.isfinite(counts)]
    return int(known.sum()) if len(known) else None


class FrameBuilder:
    """Builds one frame after another from one observer, which it only reads.

    Args:
        observer: Whose store is shown.
        thresholds: For the counts.
        notes: What else the header must say of the connection.
    """

    def __init__(self, observer: Observer, thresholds: LimitThresholds, notes: Sequence[str] = ()) -> None:
        self._observer = observer
        self._thresholds = thresholds
        self._notes = tuple(notes)
        self._number = 0
        self._version = -1
        self._names = NameRanks()
        self._workload_names = NameRanks()
        self._groups: WorkloadGroups | None = None
        self._details = DetailBuilder(observer)
        self._spark: npt.NDArray[np.float32] = np.empty((0, SPARK_BINS), np.float32)
        self._spark_of = -1
        self._past_known = False
        self._seen_selected: tuple[object, WorkloadKey] | None = None

    def arrange(self, view: View) -> ArrangedRows:
        """The rows of this moment under a view."""
        observer = self._observer
        store = observer.store
        now = observer.clock.now()
        self._renew()
        rows = container_rows(store, observer.past_sources.verdicts, self._recent_past(), now)
        containers, everyone = rows, self._in_view(rows, view)
        counts = self._counts(rows, everyone, view)
        names = self._names
        if view.workloads:
            rows, names = (
                workload_rows(self._workloads(), rows, observer.workload_verdicts),
                self._workload_names,
            )
            candidates = filter_rows(rows, self._in_view(rows, view), view.filter, self._thresholds.warn)
        else:
            candidates = filter_rows(rows, everyone, view.filter, self._thresholds.warn)
        orders = {pane: order_rows(pane, rows, candidates, view.sorts[pane], names) for pane in OverviewPane}
        shown = self._workload_of(view)
        looked_at = tuple(self._looked_at(view, orders))
        return ArrangedRows(
            view=view,
            time=now,
            containers=containers,
            rows=rows,
            pane_rows=orders,
            counts=counts,
            selected=shown,
            looked_at=looked_at,
            looked_back=tuple(self._selected(view)),
            pooled=tuple(self._pooled(shown, orders, view)),
            levelled_off=tuple(
                slot
                for slot in dict.fromkeys(looked_at)
                if containers.verdict[slot] in _LEVELLED_OFF or slot in store.full_heaps
            ),
        )

    def _workload_of(self, view: View) -> PooledWorkload | None:
        """The workload of the selected row, also after its container is gone, while it stays selected."""
        shown = selected_workload(
            self._observer, view.selected, self._workloads() if view.workloads else None
        )
        if shown is not None:
            self._seen_selected = view.selected, shown.key
        elif self._seen_selected is not None and self._seen_selected[0] == view.selected:
            groups = self._workloads()
            row = groups.row_of(self._seen_selected[1])
            return None if row is None else PooledWorkload(self._seen_selected[1], groups.members_of(row))
        return shown

    def build(self, arranged: ArrangedRows) -> Frame:
        """The frame of rows that were just arranged, once what they want has been asked for."""
        observer, view, rows, orders = self._observer, arranged.view, arranged.rows, arranged.pane_rows
        store = observer.store
        self._number += 1
        awaited = self._awaited(rows, orders)
        return Frame(
            number=self._number,
            time=arranged.time,
            context=observer.target.context,
            scope=observer.scope.words(),
            observed=observer.scope,
            notes=(*self._notes, *self._skew(), *observer.past_sources.notes),
            sources=observer.statuses(),
            counts=arranged.counts,
            view=view,
            rows=rows,
            pane_rows=orders,
            detail=self._details.build(view, rows, self._workloads() if view.workloads else None, awaited),
            remaining=observer.remaining,
            settled=observer.settled,
            namespaces=tuple(sorted(store.live_namespaces())),
            pressured_nodes=store.pressured_nodes,
            past_known=observer.past_sources.settled and observer.last_words.settled,
            awaited=awaited,
            urgent=most_urgent_row(rows, orders[OverviewPane.TOP], self._thresholds.critical),
            members=None
            if arranged.selected is None
            else workload_members(observer, arranged.selected, arranged.containers),
        )

    def _looked_at(self, view: View, orders: dict[OverviewPane, Slots]) -> Iterator[int]:
        """The containers a person may be looking at: the selected one, then the first of every pane."""
        yield from self._selected(view)
        for shown in zip_longest(*(orders[pane][:ROWS_ON_SCREEN].tolist() for pane in OverviewPane)):
            for row in shown:
                if row is None:
                    continue
                if view.workloads:
                    yield from self._workloads().members_of(row)[:CONTAINERS_PER_WORKLOAD].tolist()
                else:
                    yield row

    def _selected(self, view: View) -> list[int]:
        """The containers of the selected row, no more than are asked for together."""
        if isinstance(view.selected, ContainerKey):
            slot = self._observer.store.slot_of(view.selected)
            return [] if slot is None else [slot]
        if isinstance(view.selected, WorkloadKey) and view.workloads:
            row = self._workloads().row_of(view.selected)
            return [] if row is None else self._workloads().members_of(row)[:MOST_BACK].tolist()
        return []

    def _awaited(self, rows: FrameRows, orders: dict[OverviewPane, Slots]) -> dict[int, AwaitedData]:
        """Of the rows in sight that cannot be judged yet, what may change that."""
        past_sources, pools = self._observer.past_sources, self._observer.workload_verdicts
        shown = {row for pane in OverviewPane for row in orders[pane][:ROWS_ON_SCREEN].tolist()}
        awaited = {}
        for row in shown:
            identity = rows.identities[row]
            if rows.verdict[row] != UNJUDGED_CODE or identity is None:
                continue
            group = isinstance(identity, WorkloadIdentity)
            slots = self._workloads().members_of(row)[:CONTAINERS_PER_WORKLOAD].tolist() if group else [row]
            if any(map(past_sources.is_asking, slots)):
                awaited[row] = AwaitedData.PAST
            elif isinstance(identity, WorkloadIdentity) and pools.get(identity.key) is None:
                awaited[row] = AwaitedData.POOL
        return awaited

    def _pooled(
        self, selected: PooledWorkload | None, orders: dict[OverviewPane, Slots], view: View
    ) -> Iterator[PooledWorkload]:
        """The workloads that a person may be looking at: that of the selected row, then those on screen."""
        if selected is not None:
            yield selected
        if not view.workloads:
            return
        workloads = self._workloads()
        shown = dict.fromkeys(row for pane in OverviewPane for row in orders[pane][:ROWS_ON_SCREEN].tolist())
        for row in shown:
            identity = workloads.identities[row]
            if isinstance(identity, WorkloadIdentity):
                yield PooledWorkload(identity.key, workloads.members_of(row))

    def _renew(self) -> None:
        """Drops what was kept of identities that have changed since."""
        if self._version != self._observer.store.version:
            self._version = self._observer.store.version
            self._names, self._workload_names, self._groups = NameRanks(), NameRanks(), None

    def _workloads(self) -> WorkloadGroups:
        if self._groups is None:
            self._groups = group_by_workload(self._observer.store)
        return self._groups

    def _in_view(self, rows: FrameRows, view: View) -> Slots:
        """The rows of the namespaces in view, before the text filter, ascending."""
        if not view.namespaces:
            return np.flatnonzero(rows.namespace >= 0)
        numbers = [self._observer.store.namespaces.find(name) for name in view.namespaces]
        return np.flatnonzero(np.isin(rows.namespace, [number for number in numbers if number >= 0]))

    def _recent_past(self) -> npt.NDArray[np.float32]:
        """The sparklines' data; it changes with ticks and with what is remembered, not with every frame."""
        peaks = self._observer.store.history.peaks
        if self._spark_of != peaks.version:
            self._spark, self._spark_of = peaks.read(), peaks.version
        return self._spark

    def _counts(self, rows: FrameRows, everyone: Slots, view: View) -> HeaderCounts:
        share = rows.share[everyone]
        measured = np.isfinite(rows.working_set[everyone]).any()
        leaks, suspected = count_leaks(rows.judgements, everyone)
        # An OOM loop is told by deaths alone, without a sample: it says nothing of what grows.
        by_samples = ~np.isin(rows.verdict[everyone], (UNJUDGED_CODE, OOM_LOOP_CODE))
        judged = self._past_is_known() and by_samples.any()
        nodes_known = any(
            status.name == "nodes" and status.state is SourceCondition.LIVE
            for status in self._observer.statuses()
        )
        store = self._observer.store
        pods = everyone[rows.first[everyone]]
        return HeaderCounts(
            pods=len(pods),
            containers=len(everyone),
            growing=leaks if judged else None,
            suspected=suspected if judged else None,
            near_limit=int((share >= self._thresholds.warn).sum()) if measured else None,
            over_critical=int((share >= self._thresholds.critical).sum()) if measured else None,
            oom_killed_last_hour=int(np.count_nonzero(rows.ooms_hour[everyone]))
            + store.departed.oom_killed(self._observer.clock.now(), view.namespaces),
            evicted=int((store.columns.state[pods] == store.states.find("Evicted")).sum()),
            nodes_under_pressure=len(store.pressured_nodes) if nodes_known else None,
            child_oom_kills_last_hour=_whole_or_none(rows.child_ooms_hour[everyone]),
        )

    def _past_is_known(self) -> bool:
        """Whether the first of what is remembered has come: until then nobody can say that nothing leaks."""
        self._past_known = self._past_known or self._observer.past_sources.settled
        return self._past_known

    def _skew(self) -> tuple[str, ...]:
        skew = self._observer.clock.skew()
        if skew is None or self._observer.clock.speed != 1 or abs(skew) < MIN_SKEW_SECONDS:
            return ()
        way = "ahead of" if skew > 0 else "behind"
        return (f"the cluster's clock is {duration(abs(skew))} {way} this machine's",)
