"""Verdicts on live samples: of every container a batch at a time, and of workloads whose pods are pooled.

A leak belongs to the workload. Pooling takes milliseconds for each, so only workloads on screen are pooled,
and only when there is something new.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from memtop.analysis.incremental import IncrementalJudge
from memtop.analysis.judgement import (
    LEAK_CODE,
    OOM_LOOP_CODE,
    VERDICT_CODES,
    VERDICTS,
    Judgement,
    Judgements,
    verdict_urgency,
)
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from memtop.analysis.workload_verdict import judge_pooled
from memtop.kube.custom_workloads import ROLLOUT_HASH
from memtop.log_file import get_logger
from memtop.observe.container_store import ContainerStore, MetricsTick
from memtop.observe.frame import WorkloadKey
from memtop.observe.past_verdicts import Known, hold_verdict, known_of
from memtop.observe.slots import ContainerIdentity, ContainerKey, ContainerLives

LOGGER = get_logger("verdict")
MAX_LOGGED = 20
"""Containers of one batch whose new verdicts are logged by name."""
POOL_SECONDS = 60.0
"""Seconds of the cluster's clock between two verdicts on one workload."""
MAX_POOLED = 12
"""Containers pooled at most: those that hold the most memory; more add little to what is known."""
REVISION_LABELS = ("pod-template-hash", "controller-revision-hash", ROLLOUT_HASH)
PoolPart = tuple[str, str]
"""A container's name, and the value of the revision label of its pod; empty for pods without one."""


@dataclass(frozen=True, slots=True)
class PooledWorkload:
    """A workload that somebody looks at.

    Attributes:
        key: Which one.
        slots: Where its containers are.
    """

    key: WorkloadKey
    slots: npt.NDArray[np.intp]


_PoolKnown = tuple[tuple[ContainerKey, float | None, float, float, Known], ...]
"""What a pool was judged by as of a moment: each container, its limit, sums of times and values, the rest."""


@dataclass(frozen=True, slots=True)
class _PoolJudgement:
    """What is judged of a workload and its parts, and of what was known of pools as of each moment."""

    time: float
    news_count: int
    worst: Judgement
    parts: Mapping[PoolPart, Judgement]
    moments: Mapping[_PoolKnown, Judgement]


class WorkloadVerdicts:
    """What is judged of the workloads that are looked at.

    A workload's verdict is held like a container's: its pods are pooled as of the same moments, and it
    changes when several of them say so.

    Args:
        store: Their containers; only read.
        series: What there is to judge a slot by as of each of those moments, the latest last; as many of
            every slot.
        now: The cluster's time.
        told: Whether all that is known of a slot has come; what comes later is a reason to judge again.
    """

    def __init__(
        self,
        store: ContainerStore,
        series: Callable[[int], Sequence[Series]],
        now: Callable[[], float],
        told: Callable[[int], bool] = lambda slot: True,
    ) -> None:
        self._store = store
        self._series = series
        self._now = now
        self._told = told
        self._wanted: list[PooledWorkload] = []
        self._judged: dict[WorkloadKey, _PoolJudgement] = {}

    def set_wanted(self, wanted: Iterable[PooledWorkload]) -> None:
        """Says which workloads are looked at, what matters most first; others are forgotten."""
        self._wanted = list(wanted)
        keys = {one.key for one in self._wanted}
        self._judged = {key: judged for key, judged in self._judged.items() if key in keys}

    def judge_next(self) -> bool:
        """Judges one that is due; false if none is."""
        now = self._now()
        for wanted in self._wanted:
            judged = self._judged.get(wanted.key)
            told = sum(self._told(slot) for slot in wanted.slots[:MAX_POOLED].tolist())
            if judged is None or now - judged.time >= POOL_SECONDS or told > judged.news_count:
                parts, moments = self._judge(wanted.slots, {} if judged is None else judged.moments)
                worst = max(parts.values(), key=verdict_urgency, default=judge_pooled(()))
                if judged is None or judged.worst.verdict is not worst.verdict:
                    name = f"{wanted.key.namespace}/{wanted.key.workload}"
                    LOGGER.info("verdict of workload %s: %s", name, worst.verdict)
                self._judged[wanted.key] = _PoolJudgement(now, told, worst, parts, moments)
                return True
        return False

    def get(self, key: WorkloadKey) -> Judgement | None:
        """What is judged of a workload, or None before it is."""
        judged = self._judged.get(key)
        return None if judged is None else judged.worst

    def parts(self, key: WorkloadKey) -> Mapping[PoolPart, Judgement]:
        """What is judged of each of a workload's containers in each of its revisions."""
        judged = self._judged.get(key)
        return {} if judged is None else judged.parts

    def overlay(self, live: Judgements, identities: Iterable[object]) -> Judgements:
        """The judgements of rows with the pooled ones in place of what one container says.

        Args:
            live: Of every row; not changed.
            identities: Whose rows they are.
        """
        if not self._judged:
            return live
        columns = {field.name: getattr(live, field.name).copy() for field in fields(Judgements)}
        for row, identity in enumerate(identities):
            found = self._judged.get(getattr(identity, "key", None))  # type: ignore[arg-type]
            if found is not None:
                _set_row(columns, row, found.worst)
        return replace(live, **columns)

    def _judge(
        self, slots: npt.NDArray[np.intp], before: Mapping[_PoolKnown, Judgement]
    ) -> tuple[dict[PoolPart, Judgement], dict[_PoolKnown, Judgement]]:
        """Containers of one name in pods of one revision are pooled together, as of each moment."""
        held = np.nan_to_num(self._store.columns.working_set[slots])
        parts: dict[PoolPart, list[tuple[ContainerKey, Sequence[Series]]]] = {}
        for slot in slots[np.argsort(-held, kind="stable")].tolist():
            identity = self._store.identities[slot]
            if identity is None:
                continue
            part = parts.setdefault((identity.container, revision_hash_of(identity)), [])
            if len(part) < MAX_POOLED:
                part.append((identity.key, self._series(slot)))
        found: dict[PoolPart, Judgement] = {}
        moments: dict[_PoolKnown, Judgement] = {}
        for name, part in parts.items():
            judged = []
            keys = [key for key, _ in part]
            for pods in zip(*(series for _, series in part), strict=True):
                known = tuple(
                    (key, pod.limit, float(pod.timestamps.sum()), float(pod.values.sum()), known_of(pod))
                    for key, pod in zip(keys, pods, strict=True)
                )
                if known not in moments:
                    moments[known] = before[known] if known in before else judge_pooled(pods)
                judged.append(moments[known])
            found[name] = hold_verdict(judged)
        return found, moments


def revision_hash_of(identity: ContainerIdentity) -> str:
    """The hash that tells the revision of a container's pod; empty where its pod carries none."""
    return next((identity.labels[label] for label in REVISION_LABELS if label in identity.labels), "")


def _is_alarm(codes: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    return np.isin(codes, (LEAK_CODE, OOM_LOOP_CODE))


def _set_row(columns: dict[str, npt.NDArray[np.generic]], row: int, judgement: Judgement) -> None:
    columns["codes"][row] = VERDICT_CODES[judgement.verdict]
    for name, column in columns.items():
        if name != "codes":
            value = getattr(judgement, name)
            column[row] = np.nan if value is None else value


BATCH_SIZE = 128
"""Containers judged at a time: some 10 ms of work."""
CHUNK_SIZE = 1024
"""Samples taken in at a time, so that folding all buckets at once takes little memory."""
NO_SEAT = -1

Slots = npt.NDArray[np.intp]


class LiveVerdicts:
    """What is judged of each slot of the store.

    Args:
        store: Whose containers are judged; only read.
        interval: Seconds between ticks.
        hours: Hours of the past that count.
    """

    def __init__(self, store: ContainerStore, interval: float, hours: float) -> None:
        self._store = store
        self._window = hours * 3600.0
        self._judge = IncrementalJudge(float(interval), hours * 3600.0)
        self._seat = np.zeros(0, np.int64)
        """Where `IncrementalJudge` keeps each slot's container; NOBODY before its first sample."""
        self._generation = np.zeros(0, np.int64)
        self._started_at = np.zeros(0)
        self._now = 0.0
        self._frozen: Judgements | None = None

    @property
    def pending(self) -> bool:
        """Whether containers are due that have not been judged yet."""
        return len(self._judge.due(self._now, 1)) > 0

    def take_samples(self, tick: MetricsTick, now: float) -> None:
        """Takes in the samples of one tick.

        Args:
            tick: What was new in it.
            now: The cluster's time.
        """
        self._now = now
        self._match()
        columns, slots = self._store.columns, tick.slots
        newcomers = slots[self._seat[slots] == NO_SEAT]
        self._seat[newcomers] = self._judge.admit(columns.usable_limit(newcomers))
        self._generation[newcomers] = columns.generation[newcomers]
        self._started_at[newcomers] = columns.started_at[newcomers]
        self._judge.limits(self._seat[slots], columns.usable_limit(slots))
        self._judge.started(self._seat[slots], columns.started_at[slots])
        self._note_restarts()
        for first in range(0, len(slots), CHUNK_SIZE):
            part = slice(first, first + CHUNK_SIZE)
            self._judge.update(self._seat[slots[part]], tick.times[part], tick.values[part])

    def judge_next(self) -> bool:
        """Judges the next batch of those due; true if there were any."""
        before = self._judge.judgements.codes.copy() if LOGGER.isEnabledFor(logging.INFO) else None
        judged = self._judge.judge_due(self._now, BATCH_SIZE)
        if len(judged):
            self._frozen = None
            if before is not None:
                self._log_changes(before, judged)
        return len(judged) > 0

    def _log_changes(self, before: npt.NDArray[np.generic], judged: Slots) -> None:
        """Logs whose verdict became one of growth, or is one no longer."""
        after = self._judge.judgements.codes
        changed = judged[
            (before[judged] != after[judged]) & (_is_alarm(before[judged]) | _is_alarm(after[judged]))
        ]
        slots = np.flatnonzero(np.isin(self._seat, changed)) if len(changed) else changed
        for slot in slots[:MAX_LOGGED].tolist():
            seat, identity = self._seat[slot], self._store.identities[slot]
            if identity is not None:
                name = f"{identity.namespace}/{identity.pod}/{identity.container}"
                LOGGER.info("verdict of %s: %s, was %s", name, VERDICTS[after[seat]], VERDICTS[before[seat]])
        if len(slots) > MAX_LOGGED:
            LOGGER.info("verdicts of %d more containers changed", len(slots) - MAX_LOGGED)

    def judgements(self) -> Judgements:
        """What is judged of every slot, as a copy that never changes."""
        self._match()
        if self._frozen is None:
            judged = select_judgements(self._judge.judgements, self._seat)
            nobody = self._seat == NO_SEAT
            nothing = Judgements.unjudged(int(nobody.sum()))
            for field in fields(Judgements):
                getattr(judged, field.name)[nobody] = getattr(nothing, field.name)
            self._frozen = judged
        return self._frozen

    def judgement(self, slot: int) -> Judgement:
        """The whole judgement on one container, made now, over all that is known of it."""
        return judge_series(self.series(slot))

    def series(self, slot: int) -> Series:
        """What there is to judge one container by."""
        times, values = self._store.history.series(slot)
        lives = self._store.lives.get(slot)
        limit = float(self._store.columns.usable_limit(np.array([slot]))[0])
        started_at = float(self._store.columns.started_at[slot])
        young = lives is not None and self._now - lives.created_at <= self._window
        return Series(
            times,
            values,
            np.array(lives.starts if lives else []),
            np.array(lives.oom_times() if lives else []),
            limit if np.isfinite(limit) else None,
            lives.life_ends() if lives else (),
            started_at if np.isfinite(started_at) else None,
            lives.restarts_in_all() if lives is not None and young else 0,
            full_heap=self._store.full_heaps.get(slot),
        )

    def _match(self) -> None:
        """Lets those go whose slots have been given to others."""
        columns = self._store.columns
        extra = len(columns.generation) - len(self._seat)
        if extra:
            self._seat = np.append(self._seat, np.full(extra, NO_SEAT))
            self._generation = np.append(self._generation, np.zeros(extra, np.int64))
            self._started_at = np.append(self._started_at, np.full(extra, np.nan))
        gone = np.flatnonzero(
            (self._seat != NO_SEAT) & ((self._generation != columns.generation) | (columns.workload < 0))
        )
        if len(gone):
            self._judge.release(self._seat[gone])
            self._seat[gone] = NO_SEAT
        if extra or len(gone):
            self._frozen = None

    def _note_restarts(self) -> None:
        """Tells of every start since the last tick, and whether an OOM kill went before it."""
        columns = self._store.columns
        moved = (columns.started_at > self._started_at) & (self._seat != NO_SEAT)
        for slot in np.flatnonzero(moved).tolist():
            seat, lives = np.array([self._seat[slot]]), self._store.lives.get(slot)
            for start, killed in _starts_since(lives, self._started_at[slot]) if lives is not None else ():
                self._judge.restarted(seat, np.array([start]), np.array([killed]))
        running = np.isfinite(columns.started_at)
        self._started_at[running] = columns.started_at[running]


def _starts_since(lives: ContainerLives, since: float) -> list[tuple[float, bool]]:
    """The starts after `since` (Unix seconds), and whether each came after an OOM kill."""
    found = []
    for before, start in zip([since, *lives.starts], lives.starts, strict=False):
        if start > since:
            killed = any(before < moment <= start for moment in lives.oom_times())
            found.append((start, killed))
    return found


def select_judgements(judgements: Judgements, rows: Slots | npt.NDArray[np.int64]) -> Judgements:
    """Those of the given rows, as a copy."""
    return replace(
        judgements, **{field.name: getattr(judgements, field.name)[rows] for field in fields(Judgements)}
    )


def count_leaks(judgements: Judgements, rows: Slots) -> tuple[int, int]:
    """How many of the rows are leaks, and how many only suspected."""
    sure, suspected = judgements.leaks(rows)
    return int(sure.sum()), int(suspected.sum())
