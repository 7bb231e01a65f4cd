"""The containers behind one workload, for whoever looks at that workload or at one of its pods."""

from __future__ import annotations

import numpy as np

from memtop.observe.frame import Members, Rows, WorkloadKey
from memtop.observe.identity import Key
from memtop.observe.observer import Observer
from memtop.observe.pools import Wanted
from memtop.observe.rows import INIT, Groups


def workload_of(observer: Observer, selected: object, groups: Groups | None) -> Wanted | None:
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
        return None if row is None or groups is None else Wanted(selected, groups.of(row))
    slot = store.slot_of(selected) if isinstance(selected, Key) else None
    if slot is None:
        return None
    number = columns.workload[slot]
    slots = np.flatnonzero((columns.workload == number) & (columns.kind != INIT))
    return Wanted(WorkloadKey(*store.workloads[int(number)]), slots)


def members(observer: Observer, workload: Wanted, rows: Rows) -> Members:
    """What a frame says of them, those that hold the most memory first.

    Args:
        observer: Who judges them.
        workload: Which, and its containers.
        rows: The container rows of the frame.
    """
    key, slots, pools = workload.key, workload.slots, observer.pools
    held = np.nan_to_num(rows.working_set[slots])
    return Members(key, rows, slots[np.argsort(-held, kind="stable")], pools.of(key), pools.parts(key))
