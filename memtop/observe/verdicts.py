"""The verdict on every container, kept up to date a batch at a time, off the UI's thread."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from memtop.growth import Incremental, Judgement, Judgements, Series, Verdict, judge
from memtop.growth.judgement import CODES, SURE
from memtop.observe.lives import Lives
from memtop.observe.store import Store, Tick

BATCH = 128
"""Containers judged at a time: some 10 ms of work."""
CHUNK = 1024
"""Samples taken in at a time, so that folding all buckets at once takes little memory."""
LEAK = CODES[Verdict.LEAK]
UNKNOWN = CODES[Verdict.NOT_ENOUGH_DATA]
NOBODY = -1

Slots = npt.NDArray[np.intp]


class Verdicts:
    """What is judged of each slot of the store.

    Args:
        store: Whose containers are judged; only read.
        interval: Seconds between ticks.
        hours: Hours of the past that count.
    """

    def __init__(self, store: Store, interval: float, hours: float) -> None:
        self._store = store
        self._judge = Incremental(float(interval), hours * 3600.0)
        self._seat = np.zeros(0, np.int64)
        """Where `Incremental` keeps each slot's container; NOBODY before its first sample."""
        self._generation = np.zeros(0, np.int64)
        self._started_at = np.zeros(0)
        self._now = 0.0
        self._frozen: Judgements | None = None

    @property
    def pending(self) -> bool:
        """Whether containers are due that have not been judged yet."""
        return len(self._judge.due(self._now, 1)) > 0

    def take(self, tick: Tick, now: float) -> None:
        """Takes in the samples of one tick.

        Args:
            tick: What was new in it.
            now: The cluster's time.
        """
        self._now = now
        self._match()
        columns, slots = self._store.columns, tick.slots
        newcomers = slots[self._seat[slots] == NOBODY]
        self._seat[newcomers] = self._judge.admit(columns.limit[newcomers])
        self._generation[newcomers] = columns.generation[newcomers]
        self._started_at[newcomers] = columns.started_at[newcomers]
        self._judge.limits(self._seat[slots], columns.limit[slots])
        self._note_restarts()
        for first in range(0, len(slots), CHUNK):
            part = slice(first, first + CHUNK)
            self._judge.update(self._seat[slots[part]], tick.times[part], tick.values[part])

    def judge_next(self) -> bool:
        """Judges the next batch of those due; true if there were any."""
        judged = self._judge.judge_due(self._now, BATCH)
        if len(judged):
            self._frozen = None
        return len(judged) > 0

    def judgements(self) -> Judgements:
        """What is judged of every slot, as a copy that never changes."""
        self._match()
        if self._frozen is None:
            judged = taken(self._judge.judgements, self._seat)
            nobody = self._seat == NOBODY
            nothing = unjudged(int(nobody.sum()))
            for field in fields(Judgements):
                getattr(judged, field.name)[nobody] = getattr(nothing, field.name)
            self._frozen = judged
        return self._frozen

    def judgement(self, slot: int) -> Judgement:
        """The whole judgement on one container, made now, over all that is known of it."""
        return judge(self.series(slot))

    def series(self, slot: int) -> Series:
        """What there is to judge one container by."""
        times, values = self._store.history.series(slot)
        lives = self._store.lives.get(slot)
        limit = float(self._store.columns.limit[slot])
        return Series(
            times,
            values,
            np.array(lives.starts if lives else []),
            np.array(lives.oom_times() if lives else []),
            limit if np.isfinite(limit) else None,
        )

    def _match(self) -> None:
        """Lets those go whose slots have been given to others."""
        columns = self._store.columns
        extra = len(columns.generation) - len(self._seat)
        if extra:
            self._seat = np.append(self._seat, np.full(extra, NOBODY))
            self._generation = np.append(self._generation, np.zeros(extra, np.int64))
            self._started_at = np.append(self._started_at, np.full(extra, np.nan))
        gone = np.flatnonzero(
            (self._seat != NOBODY) & ((self._generation != columns.generation) | (columns.workload < 0))
        )
        if len(gone):
            self._judge.release(self._seat[gone])
            self._seat[gone] = NOBODY
        if extra or len(gone):
            self._frozen = None

    def _note_restarts(self) -> None:
        """Tells of every start since the last tick, and whether an OOM kill went before it."""
        columns = self._store.columns
        moved = (columns.started_at > self._started_at) & (self._seat != NOBODY)
        for slot in np.flatnonzero(moved).tolist():
            seat, lives = np.array([self._seat[slot]]), self._store.lives.get(slot)
            for start, killed in _starts(lives, self._started_at[slot]) if lives is not None else ():
                self._judge.restarted(seat, np.array([start]), np.array([killed]))
        running = np.isfinite(columns.started_at)
        self._started_at[running] = columns.started_at[running]


def _starts(lives: Lives, since: float) -> list[tuple[float, bool]]:
    """The starts after `since` (Unix seconds), and whether each came after an OOM kill."""
    found = []
    for before, start in zip([since, *lives.starts], lives.starts, strict=False):
        if start > since:
            killed = any(before < moment <= start for moment in lives.oom_times())
            found.append((start, killed))
    return found


def unjudged(count: int) -> Judgements:
    """What is judged of `count` containers before there is anything to judge by."""
    nan, zeros = np.full(count, np.nan), np.zeros(count, np.int64)
    return Judgements(
        codes=np.full(count, UNKNOWN, np.uint8),
        confidence=np.ones(count),
        rate=nan,
        rate_low=nan,
        rate_high=nan,
        seconds_to_limit=nan,
        seconds_to_limit_low=nan,
        seconds_to_limit_high=nan,
        seconds_per_life=nan,
        window_seconds=np.zeros(count),
        samples=zeros,
        cuts=zeros,
        oom_kills=zeros,
    )


def taken(judgements: Judgements, rows: Slots | npt.NDArray[np.int64]) -> Judgements:
    """Those of the given rows, as a copy."""
    return replace(
        judgements, **{field.name: getattr(judgements, field.name)[rows] for field in fields(Judgements)}
    )


def growing(judgements: Judgements, rows: Slots) -> tuple[int, int]:
    """How many of the rows are leaks, and how many only suspected."""
    leak = judgements.codes[rows] == LEAK
    sure = leak & (judgements.confidence[rows] >= SURE)
    return int(sure.sum()), int((leak & ~sure).sum())
