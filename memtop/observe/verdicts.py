"""The verdict on every container, kept up to date a batch at a time, off the UI's thread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memtop.growth.judgement import CODES, SURE, Judgement, Verdict
from memtop.growth.series import Batch, Ragged, Series
from memtop.growth.verdict import judge, judge_many
from memtop.observe.frame import Floats, Slots
from memtop.observe.store import Store

BATCH = 512
LEAK = CODES[Verdict.LEAK]
UNKNOWN = CODES[Verdict.NOT_ENOUGH_DATA]


class Verdicts:
    """Verdicts in columns, one per slot of the store.

    Attributes:
        code: Code of the verdict, as in `memtop.growth.judgement.VERDICTS`.
        confidence: 0..1.
        rate: Bytes per hour of the floor, NaN when unknown.
        seconds_to_limit: From the last sample, NaN when it is not in sight.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: list[int] = []
        self.code = np.full(0, UNKNOWN, np.uint8)
        self.confidence = np.zeros(0)
        self.rate = np.zeros(0)
        self.seconds_to_limit = np.zeros(0)
        self._fit()

    def _fit(self) -> None:
        extra = len(self._store.identities) - len(self.code)
        if extra > 0:
            self.code = np.append(self.code, np.full(extra, UNKNOWN, np.uint8))
            self.confidence = np.append(self.confidence, np.zeros(extra))
            self.rate = np.append(self.rate, np.full(extra, np.nan))
            self.seconds_to_limit = np.append(self.seconds_to_limit, np.full(extra, np.nan))

    def forget(self, slots: Slots) -> None:
        """The containers of these slots are new: nothing is known of them yet."""
        self._fit()
        self.code[slots] = UNKNOWN
        self.confidence[slots] = 0
        self.rate[slots] = np.nan
        self.seconds_to_limit[slots] = np.nan

    def queue_all(self) -> None:
        """A tick has come: every container is due, after those still waiting."""
        if not self._queue:
            self._queue = self._store.live_slots().tolist()

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
            self.code[batch] = verdicts.codes
            self.confidence[batch] = verdicts.confidence
            self.rate[batch] = verdicts.rate
            self.seconds_to_limit[batch] = verdicts.seconds_to_limit
        return bool(self._queue)

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

    def _restarts(self, slot: int) -> list[float]:
        lives = self._store.lives.get(slot)
        return lives.starts if lives else []

    def _oom_kills(self, slot: int) -> list[float]:
        lives = self._store.lives.get(slot)
        return lives.oom_times() if lives else []


def growing(code: npt.NDArray[np.uint8], confidence: Floats) -> tuple[int, int]:
    """How many are leaks, and how many only suspected."""
    leak = code == LEAK
    sure = leak & (confidence >= SURE)
    return int(sure.sum()), int((leak & ~sure).sum())
