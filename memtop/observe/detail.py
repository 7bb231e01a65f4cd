"""The selected row drawn large: its whole past, its limit, its restarts, and what is judged of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from memtop.growth import Series, floor_line, judge
from memtop.observe.frame import Detail, Rows, WorkloadKey
from memtop.observe.identity import Key
from memtop.observe.observer import Observer
from memtop.observe.rows import Groups
from memtop.past import WORDS


class Details:
    """Builds the detail of one row after another; one that would be the same is handed out again.

    Args:
        observer: Whose store it comes from.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._built: tuple[object, Detail | None] | None = None

    def of(self, key: object, rows: Rows, workloads: Groups | None) -> Detail | None:
        """The detail of a row, or None if there is no such row any more.

        Args:
            key: The row's.
            rows: The rows of the frame.
            workloads: Whose rows they are, where they are workloads'.
        """
        if isinstance(key, WorkloadKey):
            row = None if workloads is None else workloads.row_of(key)
            slots = [] if row is None or workloads is None else workloads.of(row).tolist()
        elif isinstance(key, Key):
            slot = self._observer.store.slot_of(key)
            row, slots = (None if workloads is not None else slot), ([] if slot is None else [slot])
        else:
            return None
        if not slots:
            return None
        columns = self._observer.store.columns
        state = (
            (key, row, tuple(slots), self._observer.ticks, self._observer.recollection.overlay.judgements()),
            np.nan_to_num(columns.limit[slots]).tobytes()
            + np.nan_to_num(columns.started_at[slots]).tobytes(),
            self._observer.pools.of(key) if isinstance(key, WorkloadKey) else None,
        )
        if self._built is None or self._built[0] != state:
            built = (
                self._of_workload(key, row, slots)
                if isinstance(key, WorkloadKey)
                else self._of_container(key, row, slots[0])
            )
            self._built = state, built
        return self._built[1]

    def _of_container(self, key: Key, row: int | None, slot: int) -> Detail | None:
        identity = self._observer.store.identities[slot]
        if identity is None:
            return None
        overlay = self._observer.recollection.overlay
        series = overlay.series(slot)
        judged, basis = overlay.basis(slot)
        judgement = judge(judged) if len(judged.values) else None
        if judgement is not None and not np.isfinite(self._observer.store.columns.started_at[slot]):
            judgement = judgement.at_rest()
        return Detail(
            key=key,
            row=row,
            title=identity.pod if identity.only else f"{identity.pod}/{identity.container}",
            times=series.timestamps,
            values=series.values,
            limit=series.limit,
            request=_known(self._observer.store.columns.request[slot]),
            restarts=tuple(series.restarts),
            oom_kills=tuple(series.oom_kills),
            judgement=judgement,
            basis=basis,
            floor=None if judgement is None else floor_line(series, judgement),
        )

    def _of_workload(self, key: WorkloadKey, row: int | None, slots: list[int]) -> Detail:
        """All its containers together: what they hold in sum, and each one's restarts."""
        series = [self._observer.recollection.overlay.series(slot) for slot in slots]
        times, values = total(series, self._observer.interval)
        columns = self._observer.store.columns
        return Detail(
            key=key,
            row=row,
            title=str(key.workload),
            times=times,
            values=values,
            limit=_known(columns.limit[slots].sum()),
            request=_known(columns.request[slots].sum()),
            restarts=tuple(sorted(time for one in series for time in one.restarts)),
            oom_kills=tuple(sorted(time for one in series for time in one.oom_kills)),
            judgement=self._observer.pools.of(key),
            basis=WORDS["working_set"],
        )


def total(series: Sequence[Series], step: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What several containers hold together, at the moments at which any of them was measured.

    A container counts from its first sample to its last, in between by interpolation; since they are not
    measured at the same moments, the last sample holds for two steps more.

    Args:
        series: One for each container.
        step: Seconds between two samples of one container.

    Returns:
        Unix seconds, ascending, and bytes; both of shape (n,).
    """
    moments = np.concatenate([np.empty(0), *(one.timestamps for one in series)])
    grid = np.unique(np.floor(moments / step)) * step
    sums = np.zeros(len(grid))
    for one in series:
        if len(one.timestamps):
            first, last = one.timestamps[0] - step, one.timestamps[-1] + 2 * step
            there = (grid >= first) & (grid <= last)
            sums[there] += np.interp(grid[there], one.timestamps, one.values)
    return grid, sums


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
