"""From the store's columns to the rows of a frame: per container, or added up per workload."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memtop.cluster.containers import Kind, Mood, Termination
from memtop.growth.judgement import CODES, Verdict
from memtop.observe.frame import Floats, Rows, WorkloadIdentity, WorkloadKey
from memtop.observe.store import Identity, Store
from memtop.observe.verdicts import Verdicts, taken

LEAK = CODES[Verdict.LEAK]
WORST_FIRST = (Mood.OOM, Mood.FAILING, Mood.WAITING)


def container_rows(store: Store, verdicts: Verdicts, spark: npt.NDArray[np.float32], now: float) -> Rows:
    """One row per slot of the store; a slot that is not in use has no identity.

    Args:
        store: The store, as it is now.
        verdicts: What is judged of its containers.
        spark: The recent past of every slot, shape (slots, bins).
        now: The cluster's time, Unix seconds.
    """
    columns = store.columns
    judgements = verdicts.judgements()
    slots = len(store.identities)
    restarts_hour = np.zeros(slots, np.int32)
    ooms_hour = np.zeros(slots, np.int32)
    exact = np.ones(slots, np.bool_)
    last_end = np.full(slots, np.nan)
    lasts: list[Termination | None] = [None] * slots
    for slot, lives in store.lives.items():
        restarts_hour[slot], exact[slot] = lives.restarts_within(now)
        ooms_hour[slot] = lives.oom_kills_within(now)
        last = lasts[slot] = lives.last
        if last is not None and last.finished_at is not None:
            last_end[slot] = last.finished_at
    with np.errstate(invalid="ignore"):
        share = columns.working_set / columns.limit
    return Rows(
        identities=list(store.identities),
        working_set=columns.working_set.copy(),
        sampled_at=columns.sampled_at.copy(),
        limit=columns.limit.copy(),
        request=columns.request.copy(),
        share=share,
        restarts=columns.restarts.copy(),
        restarts_hour=restarts_hour,
        restarts_exact=exact,
        ooms_hour=ooms_hour,
        last_end=last_end,
        judgements=judgements,
        rate=judgements.rate,
        seconds_to_limit=judgements.seconds_to_limit,
        verdict=judgements.codes,
        confidence=judgements.confidence,
        spark=spark,
        states=store.states.copy(),
        moods=store.moods.copy(),
        lasts=lasts,
        pods=np.ones(slots, np.int32),
    )


def workload_rows(store: Store, rows: Rows) -> Rows:
    """Adds container rows up: one row per workload that has a live container.

    Memory, limits and restarts are sums; the share of the limit is the highest of any container, since that
    is the one to be killed; verdict and rate are those of the container that is worst off.

    Args:
        store: The store the rows came from, unchanged since.
        rows: Its container rows.
    """
    members = np.array(
        [
            slot
            for slot, identity in enumerate(store.identities)
            if identity is not None and identity.kind is not Kind.INIT
        ],
        np.intp,
    )
    groups = store.columns.workload[members]
    # Within each workload the container that is worst off comes first: leaks by confidence, then by memory.
    worst = np.lexsort(
        (
            -np.nan_to_num(rows.working_set[members], nan=-1.0),
            -rows.confidence[members],
            rows.verdict[members] != LEAK,
            groups,
        )
    )
    members, groups = members[worst], groups[worst]
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    judgements = taken(rows.judgements, members[starts])

    def total(values: Floats) -> Floats:
        """Sum of what is known; unknown where nothing is."""
        known = np.isfinite(values[members])
        sums = np.add.reduceat(np.where(known, values[members], 0.0), starts)
        return np.where(np.add.reduceat(known, starts) > 0, sums, np.nan)

    def complete(values: Floats) -> Floats:
        """Sum, unknown where any part is."""
        return np.add.reduceat(values[members], starts)

    def count(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        return np.add.reduceat(values[members], starts).astype(np.int32)

    identities: list[Identity | WorkloadIdentity | None] = []
    states: list[str] = []
    moods: list[Mood] = []
    lasts: list[Termination | None] = []
    pods: list[int] = []
    for number, slots in zip(groups[starts], np.split(members, starts[1:]), strict=True):
        namespace, workload = store.workloads[number]
        known = [identity for slot in slots if (identity := store.identities[slot]) is not None]
        identities.append(
            WorkloadIdentity(WorkloadKey(namespace, workload), namespace, workload, known[0].labels)
        )
        pods.append(len({identity.key.uid for identity in known}))
        state, mood = _worst_state([(rows.states[slot], rows.moods[slot]) for slot in slots])
        states.append(state)
        moods.append(mood)
        ends = [end for slot in slots if (end := rows.lasts[slot]) is not None]
        lasts.append(max(ends, key=lambda end: end.finished_at or 0.0, default=None))
    return Rows(
        identities=identities,
        working_set=total(rows.working_set),
        sampled_at=np.fmax.reduceat(rows.sampled_at[members], starts),
        limit=complete(rows.limit),
        request=complete(rows.request),
        share=np.fmax.reduceat(rows.share[members], starts),
        restarts=count(rows.restarts),
        restarts_hour=count(rows.restarts_hour),
        restarts_exact=np.logical_and.reduceat(rows.restarts_exact[members], starts),
        ooms_hour=count(rows.ooms_hour),
        last_end=np.fmax.reduceat(rows.last_end[members], starts),
        judgements=judgements,
        rate=judgements.rate,
        seconds_to_limit=np.fmin.reduceat(rows.seconds_to_limit[members], starts),
        verdict=judgements.codes,
        confidence=judgements.confidence,
        spark=np.add.reduceat(np.nan_to_num(rows.spark[members]), starts, axis=0),
        states=states,
        moods=moods,
        lasts=lasts,
        pods=np.array(pods, np.int32),
    )


def _worst_state(states: list[tuple[str, Mood]]) -> tuple[str, Mood]:
    """``Running`` if all do, else the most alarming state and how many containers are in it."""
    for mood in WORST_FIRST:
        words = [word for word, its_mood in states if its_mood is mood]
        if words:
            number = f"{len(words)}/{len(states)} " if len(states) > 1 else ""
            return f"{number}{words[0]}", mood
    return states[0]
