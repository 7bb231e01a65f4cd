"""The selected row drawn large: its whole past, its limit, its restarts, and what is judged of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from memtop.analysis.judgement import Judgement, floor_line
from memtop.analysis.memory_series import Series
from memtop.history.past_requests import MAX_LOOK_BACK as MOST_BACK
from memtop.history.past_series import METRIC_WORDS
from memtop.observe.frame import AwaitedData, FrameRows, RowDetail, WorkloadKey
from memtop.observe.frame_rows import WorkloadGroups, with_kernel_figures
from memtop.observe.observer import Observer
from memtop.observe.slots import ContainerKey
from memtop.observe.view import SourceCondition, View
from memtop.wording import duration

_ANSWERING_STATES = (SourceCondition.LIVE, SourceCondition.CONNECTING)


class DetailBuilder:
    """Builds the detail of one row after another; one that would be the same is handed out again.

    Args:
        observer: Whose store it comes from.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._built: tuple[object, RowDetail | None] | None = None

    def build(
        self,
        view: View,
        rows: FrameRows,
        workloads: WorkloadGroups | None,
        awaited: Mapping[int, AwaitedData],
    ) -> RowDetail | None:
        """The detail of the selected row, or None if there is no such row any more.

        Args:
            view: Which row is selected.
            rows: The rows of the frame.
            workloads: Whose rows they are, where they are workloads'.
            awaited: What is still to come of rows.
        """
        key, back = view.selected, self._back(view)
        if isinstance(key, WorkloadKey):
            row = None if workloads is None else workloads.row_of(key)
            slots = [] if row is None or workloads is None else workloads.members_of(row).tolist()
        elif isinstance(key, ContainerKey):
            slot = self._observer.store.slot_of(key)
            row, slots = (None if workloads is not None else slot), ([] if slot is None else [slot])
        else:
            return None
        if not slots:
            return None
        columns = self._observer.store.columns
        until = None if row is None else _finite_or_none(rows.seconds_to_limit[row])
        state = (
            (key, row, until, tuple(slots)),
            (self._observer.ticks, self._observer.past_sources.verdicts.judgements()),
            np.nan_to_num(columns.usable_limit(np.array(slots))).tobytes()
            + np.nan_to_num(columns.started_at[slots]).tobytes()
            + np.nan_to_num(
                [columns.pressure[slots], columns.swap[slots], columns.child_ooms_hour[slots]]
            ).tobytes(),
            self._observer.workload_verdicts.get(key) if isinstance(key, WorkloadKey) else None,
            self._observer.past_sources.look_backs.version,
        )
        if self._built is None or self._built[0] != state:
            built = (
                self._of_workload(key, row, until, slots)
                if isinstance(key, WorkloadKey)
                else self._of_container(key, row, until, slots[0])
            )
            self._built = state, built
        detail = self._built[1]
        waits = None if row is None else awaited.get(row)
        if detail is None or (detail.awaited, detail.look_back_note) == (waits, back):
            return detail
        self._built = state, replace(detail, awaited=waits, look_back_note=back)
        return self._built[1]

    def _back(self, view: View) -> str:
        """How it stands with what lies further back than samples are kept."""
        back = self._observer.past_sources.look_backs
        if back.request is None:
            return ""
        problem = back.problem
        if back.waiting:
            sources = (one for one in self._observer.statuses() if one.name == "prometheus")
            problem = next((one.words for one in sources if one.state not in _ANSWERING_STATES), "")
            if not problem:
                return f"asking Prometheus for {duration(view.look_back_seconds)} …"
        return f"Prometheus does not say what was before: {problem}" if problem else ""

    def _of_container(
        self, key: ContainerKey, row: int | None, until: float | None, slot: int
    ) -> RowDetail | None:
        identity = self._observer.store.identities[slot]
        if identity is None:
            return None
        overlay = self._observer.past_sources.verdicts
        series = self._observer.past_sources.series_to_draw(slot)
        judged, basis = overlay.basis(slot)
        # The verdict of the row and no other: what is judged twice may be judged differently.
        judgement = None
        if len(judged.values):
            judgement = _with_row_forecast(overlay.judgements()[slot], until)
            judgement = with_kernel_figures(judgement, self._observer.store.columns, [slot])
        return RowDetail(
            key=key,
            row=row,
            title=identity.pod if identity.is_only_container else f"{identity.pod}/{identity.container}",
            times=series.timestamps,
            values=series.values,
            limit=series.limit,
            request=_finite_or_none(self._observer.store.columns.request[slot]),
            restarts=tuple(series.restarts),
            oom_kills=tuple(series.oom_kills),
            judgement=judgement,
            basis=basis,
            floor=None if judgement is None else floor_line(overlay.series(slot), judgement),
        )

    def _of_workload(
        self, key: WorkloadKey, row: int | None, until: float | None, slots: list[int]
    ) -> RowDetail:
        """All its containers together: what they hold in sum, and each one's restarts."""
        past_sources = self._observer.past_sources
        series = [past_sources.series_to_draw(slot) for slot in slots]
        times, values = sum_series(series, self._observer.interval)
        columns, judgement = self._observer.store.columns, self._observer.workload_verdicts.get(key)
        floor = None
        if judgement is not None and len(slots) <= MOST_BACK:
            kept = [past_sources.verdicts.series(slot) for slot in slots]
            floor = sum_floors(kept, judgement, self._observer.interval)
        return RowDetail(
            key=key,
            row=row,
            title=str(key.workload),
            times=times,
            values=values,
            limit=_finite_or_none(np.where(columns.limit_counts[slots], columns.limit[slots], 0.0).sum()),
            request=_finite_or_none(columns.request[slots].sum()),
            restarts=tuple(sorted(time for one in series for time in one.restarts)),
            oom_kills=tuple(sorted(time for one in series for time in one.oom_kills)),
            judgement=None
            if judgement is None
            else with_kernel_figures(_with_row_forecast(judgement, until), columns, slots),
            basis=METRIC_WORDS["working_set"],
            floor=floor,
        )


def _with_row_forecast(judgement: Judgement, until: float | None) -> Judgement:
    """The same with the time to the limit that the row shows, so that the two never contradict each other.

    Right after a start there is no sample of the new run, and the last one of the old run is near the limit.
    """
    if until is None or judgement.seconds_to_limit is None:
        return judgement.at_rest()
    return replace(judgement, seconds_to_limit=until)


def sum_series(
    series: Sequence[Series], step: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What several containers hold together, at the moments at which any of them was measured.

    A container counts from the first sample of each of its lives to the last, in between by interpolation;
    while it is down it holds nothing. Since they are not measured at the same moments, the last sample of
    what runs holds for two steps more.

    Args:
        series: One for each container.
        step: Seconds between two samples of one container.

    Returns:
        Unix seconds, ascending, and bytes; both of shape (n,).
    """
    moments = np.concatenate([np.empty(0), *(one.timestamps for one in series)])
    grid = np.unique(np.floor(moments / step)) * step
    sums = np.zeros(len(grid))
    cells = np.round(grid / step).astype(np.int64)
    for one in series:
        held = np.zeros(len(grid))
        for start, times, values, ended in _seen_lives(one):
            first, last = np.floor(times[[0, -1]] / step)
            there = (cells >= first) & (cells <= last + (0 if ended else 2)) & (grid >= start)
            held[there] = np.interp(grid[there], times, values)
        sums += held
    return grid, sums


def _seen_lives(
    series: Series,
) -> Iterator[tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64], bool]]:
    """Start, times and values of each life that has samples, and whether it has ended."""
    starts = np.sort(series.restarts)
    life = np.searchsorted(starts, series.timestamps, "right")
    for number in np.unique(life):
        mine = life == number
        start = float(starts[number - 1]) if number else -np.inf
        yield start, series.timestamps[mine], series.values[mine], bool(number < len(starts))


def sum_floors(
    series: Sequence[Series], judgement: Judgement, step: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """The floor of several containers together: the sum of each one's, at the pooled rate.

    Where one of them has no floor (it was down, its life was too short), the sum has none either.

    Args:
        series: One for each container.
        judgement: What is judged of them pooled.
        step: Seconds between two samples of one container.

    Returns:
        Unix seconds and bytes, NaN where it is interrupted; None where nothing was fitted.
    """
    lines = [line for one in series if (line := floor_line(one, judgement)) is not None]
    if not lines:
        return None
    grid, _ = sum_series(series, step)
    sums, covered = np.zeros(len(grid)), np.zeros(len(grid), np.int64)
    for times, values in lines:
        here = np.interp(grid, times, values, left=np.nan, right=np.nan)
        covered += np.isfinite(here)
        sums += np.nan_to_num(here)
    alive = np.zeros(len(grid), np.int64)
    for one in series:
        if len(one.timestamps):
            alive += (grid >= one.timestamps[0]) & (grid <= one.timestamps[-1])
    drawn = np.where((covered > 0) & (covered >= alive), sums, np.nan)
    return (grid, drawn) if np.isfinite(drawn).any() else None


def _finite_or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
