"""The verdict on every container, kept up to date a batch at a time, off the UI's thread."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from memtop.growth.judgement import CODES, SURE, Judgement, Judgements, Verdict
from memtop.growth.series import Batch, Ragged, Series
from memtop.growth.verdict import FEWEST_SAMPLES, judge, judge_many
from memtop.observe.store import Store

BATCH = 512
LEAK = CODES[Verdict.LEAK]
UNKNOWN = CODES[Verdict.NOT_ENOUGH_DATA]


class Verdicts:
    """What is judged of each slot of the store.

    Args:
        store: Whose containers are judged; only read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: list[int] = []
        self._columns = unjudged(0)
        self._generation = np.zeros(0, np.int64)
        self._frozen: Judgements | None = None

    @property
    def pending(self) -> bool:
        """Whether containers are due that have not been judged yet."""
        return bool(self._queue)

    def queue_all(self) -> None:
        """A tick has come: every container with enough samples is due, after those still waiting."""
        if not self._queue:
            self._queue = np.flatnonzero(self._store.columns.samples >= FEWEST_SAMPLES).tolist()

    def judge_next(self) -> bool:
        """Judges the next batch of those due; true if more are waiting."""
        self._fit()
        batch = np.array(self._queue[:BATCH], np.intp)
        del self._queue[:BATCH]
        batch = batch[self._store.columns.workload[batch] >= 0]
        if len(batch):
            times, values = self._store.history.recent.matrix(batch)
            verdicts = judge_many(
                Batch(
                    times,
                    values,
                    Ragged.of([self._restarts(slot) for slot in batch]),
                    Ragged.of([self._oom_kills(slot) for slot in batch]),
                    self._store.columns.limit[batch],
                )
            )
            for field in fields(Judgements):
                getattr(self._columns, field.name)[batch] = getattr(verdicts, field.name)
            self._generation[batch] = self._store.columns.generation[batch]
            self._frozen = None
        return bool(self._queue)

    def judgements(self) -> Judgements:
        """What is judged of every slot, as a copy that never changes; a new container is not judged yet."""
        self._fit()
        stale = self._generation != self._store.columns.generation
        if self._frozen is None or stale.any():
            nothing = unjudged(int(stale.sum()))
            for field in fields(Judgements):
                getattr(self._columns, field.name)[stale] = getattr(nothing, field.name)
            self._generation[stale] = self._store.columns.generation[stale]
            self._frozen = taken(self._columns, slice(None))
        return self._frozen

    def judgement(self, slot: int) -> Judgement:
        """The whole judgement on one container, over all that is known of it."""
        return judge(self.series(slot))

    def series(self, slot: int) -> Series:
        """What there is to judge one container by."""
        times, values = self._store.history.series(slot)
        limit = float(self._store.columns.limit[slot])
        return Series(
            times,
            values,
            np.array(self._restarts(slot)),
            np.array(self._oom_kills(slot)),
            limit if np.isfinite(limit) else None,
        )

    def _fit(self) -> None:
        extra = len(self._store.identities) - len(self._generation)
        if extra > 0:
            self._columns = Judgements.joined([self._columns, unjudged(extra)])
            self._generation = np.append(self._generation, np.zeros(extra, np.int64))
            self._frozen = None

    def _restarts(self, slot: int) -> list[float]:
        lives = self._store.lives.get(slot)
        return lives.starts if lives else []

    def _oom_kills(self, slot: int) -> list[float]:
        lives = self._store.lives.get(slot)
        return lives.oom_times() if lives else []


def unjudged(count: int) -> Judgements:
    """What is judged of `count` containers before there is anything to judge by."""
    nan = np.full(count, np.nan)
    zeros = np.zeros(count, np.int64)
    return Judgements(
        codes=np.full(count, UNKNOWN, np.uint8),
        confidence=np.zeros(count),
        rate=nan,
        rate_low=nan.copy(),
        rate_high=nan.copy(),
        seconds_to_limit=nan.copy(),
        seconds_to_limit_low=nan.copy(),
        seconds_to_limit_high=nan.copy(),
        window_seconds=np.zeros(count),
        samples=zeros,
        cuts=zeros.copy(),
        oom_kills=zeros.copy(),
    )


def taken(judgements: Judgements, rows: npt.NDArray[np.intp] | slice) -> Judgements:
    """Those of the given rows, as a copy."""
    return replace(
        judgements,
        **{field.name: getattr(judgements, field.name)[rows].copy() for field in fields(Judgements)},
    )


def growing(judgements: Judgements, rows: npt.NDArray[np.intp]) -> tuple[int, int]:
    """How many of the rows are leaks, and how many only suspected."""
    leak = judgements.codes[rows] == LEAK
    sure = leak & (judgements.confidence[rows] >= SURE)
    return int(sure.sum()), int((leak & ~sure).sum())
