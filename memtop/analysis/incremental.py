"""Verdicts that keep up with live samples: a new sample never redoes the past.

Samples are folded into buckets as they come (`memtop.analysis.buckets`), and a container is judged again
from its buckets, not from its samples, when its window has grown by a tenth or something has happened to
it.
"""

from __future__ import annotations

import numpy as np

from memtop.analysis.buckets import Buckets
from memtop.analysis.judgement import Judgements
from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.sample_summary import COLLAPSE_SHARE, GLITCH_SHARE, LATE_SAMPLES, SampleSummary
from memtop.analysis.verdict import judge_summary

MIN_JUDGE_SECONDS, MAX_JUDGE_SECONDS = 90.0, 600.0
"""Seconds between two verdicts on one container: a tenth of its window, within these."""
_WINDOW_SHARE = 0.1
_INITIAL_CAPACITY = 256


class IncrementalJudge:
    """Live verdicts on many containers, each in a slot of its own.

    The newest sample of each container waits for the next one, because only then can it be told from a false
    reading; so a verdict is one sample behind.

    Attributes:
        judgements: The latest verdict on every slot; a slot not judged yet has *not enough data*.
        judged_at: When each was made, unix seconds, NaN for never.

    Args:
        step: Seconds between samples; the narrowest bucket.
        history: Seconds of the past that count.
    """

    def __init__(self, step: float = 15.0, history: float = 86400.0) -> None:
        self._buckets = Buckets(_INITIAL_CAPACITY, step, history)
        self._free = list(range(_INITIAL_CAPACITY - 1, -1, -1))
        self.judgements = Judgements.unjudged(_INITIAL_CAPACITY)
        self.judged_at = np.full(_INITIAL_CAPACITY, np.nan)
        self._admitted = np.zeros(_INITIAL_CAPACITY, np.bool_)
        self._limit = np.full(_INITIAL_CAPACITY, np.nan)
        self._cuts = np.zeros(_INITIAL_CAPACITY, np.int64)
        self._kills = np.zeros(_INITIAL_CAPACITY, np.int64)
        self._started = np.full(_INITIAL_CAPACITY, np.nan)
        self._due = np.full(_INITIAL_CAPACITY, np.inf)
        self._waiting = np.full(_INITIAL_CAPACITY, np.nan)
        self._waiting_since = np.full(_INITIAL_CAPACITY, np.nan)
        self._cut_at = np.full(_INITIAL_CAPACITY, np.nan)
        self._young = np.zeros(_INITIAL_CAPACITY, np.int64)

    def __len__(self) -> int:
        return int(self._admitted.sum())

    @property
    def bytes(self) -> int:
        """Memory that the buckets take once all are in use."""
        return self._buckets.bytes

    def admit(self, limits: Floats) -> Ints:
        """Takes containers in, one for each memory limit (bytes, NaN for none), and returns their slots."""
        if len(self._free) < len(limits):
            short = len(limits) - len(self._free)
            self._grow(self._buckets.capacity + max(short, self._buckets.capacity // 4))
        slots = np.array([self._free.pop() for _ in limits], np.int64)
        self._buckets.clear(slots)
        self._admitted[slots] = True
        self._limit[slots] = limits
        self._cuts[slots] = self._kills[slots] = self._young[slots] = 0
        self._due[slots] = np.inf
        for column in (self._waiting, self._waiting_since, self._cut_at, self._started, self.judged_at):
            column[slots] = np.nan
        self._store(slots, Judgements.unjudged(len(slots)))
        return slots

    def release(self, slots: Ints) -> None:
        """Lets containers go; their slots will be given to others."""
        gone = slots[self._admitted[slots]]
        self._admitted[gone] = False
        self._due[gone] = np.inf
        self._free.extend(int(slot) for slot in gone)

    def limits(self, slots: Ints, limits: Floats) -> None:
        """Sets memory limits, bytes, NaN for none."""
        changed = ~((self._limit[slots] == limits) | (np.isnan(self._limit[slots]) & np.isnan(limits)))
        self._limit[slots] = limits
        self._due[slots[changed]] = -np.inf

    def started(self, slots: Ints, times: Floats) -> None:
        """Sets when the present lives began, unix seconds, NaN where that is not known."""
        self._started[slots] = times

    def restarted(self, slots: Ints, times: Floats, oom_killed: Bools | None = None) -> None:
        """Notes restarts at unix ``times``, and which of them were OOM kills."""
        self._cut_at[slots] = times
        np.add.at(self._cuts, slots, 1)
        if oom_killed is not None:
            np.add.at(self._kills, slots[oom_killed], 1)
        self._due[slots] = -np.inf

    def update(self, slots: Ints, times: Floats, values: Floats) -> None:
        """Takes one tick's samples.

        Args:
            slots: Containers that have a new sample, each once.
            times: Unix seconds of the samples; one that is not newer than the last one is ignored.
            values: Bytes; NaN is ignored.
        """
        # NaN, a container's first sample, is newer than nothing: hence the negation.
        new = np.isfinite(values) & self._admitted[slots] & ~(times <= self._waiting_since[slots])
        slots, times, values = slots[new], times[new], np.asarray(values[new], np.float64)
        before, waited = self._buckets.latest(slots), self._waiting[slots]
        # A life's first sample may show a process that is still loading.
        opens = np.isnan(before) | (self._waiting_since[slots] >= self._cut_at[slots])
        false = (waited <= 0) | (waited < GLITCH_SHARE * np.where(opens, values, np.minimum(before, values)))
        self._commit(slots[np.isfinite(waited) & ~false])
        self._waiting[slots], self._waiting_since[slots] = values, times
        first = slots[np.isinf(self._due[slots]) & (self._due[slots] > 0)]
        self._due[first] = self._waiting_since[first] + MIN_JUDGE_SECONDS

    def due(self, now: float, most: int) -> Ints:
        """The containers to be judged at ``now``, the longest overdue first, at most ``most``."""
        slots = np.nonzero(self._due <= now)[0]
        if len(slots) > most:
            slots = slots[np.argpartition(self._due[slots], most)[:most]]
        return slots

    def judge_due(self, now: float, most: int = 512) -> Ints:
        """Judges what is due and returns the slots judged; the verdicts are in `judgements`.

        Args:
            now: Unix seconds.
            most: How many at a time: judging 512 takes some 40 ms.
        """
        slots = self.due(now, most)
        if len(slots):
            self._store(slots, self.judge(slots))
            self.judged_at[slots] = now
            window = self._buckets.window(slots)
            self._due[slots] = now + np.clip(_WINDOW_SHARE * window, MIN_JUDGE_SECONDS, MAX_JUDGE_SECONDS)
        self._buckets.tidy(most)
        return slots

    def judge(self, slots: Ints) -> Judgements:
        """Judges some containers now."""
        return judge_summary(
            self.summary(slots),
            self._limit[slots],
            self._cuts[slots],
            self._kills[slots],
            started_at=self._started[slots],
        )

    def summary(self, slots: Ints) -> SampleSummary:
        """What is left of the samples of some containers, in the order of ``slots``."""
        return self._buckets.summary(slots)

    def _commit(self, slots: Ints) -> None:
        """Moves waiting samples into the buckets.

        Metrics lag behind restarts: if memory only falls some samples after one, that is where the life
        begins.
        """
        value, time = self._waiting[slots], self._waiting_since[slots]
        cut = time >= self._cut_at[slots]
        collapse = (self._young[slots] > 0) & (value < (1 - COLLAPSE_SHARE) * self._buckets.latest(slots))
        self._cut_at[slots[cut]] = np.nan
        older = np.where(collapse, 0, np.maximum(self._young[slots] - 1, 0))
        self._young[slots] = np.where(cut, LATE_SAMPLES, older)
        self._buckets.add(slots, time, value, cut | collapse)

    def _store(self, slots: Ints, judged: Judgements) -> None:
        for name in Judgements.__dataclass_fields__:
            getattr(self.judgements, name)[slots] = getattr(judged, name)

    def _grow(self, capacity: int) -> None:
        old = self._buckets.capacity
        self._buckets.grow(capacity)
        self._free = [*range(capacity - 1, old - 1, -1), *self._free]
        self.judgements = Judgements.joined([self.judgements, Judgements.unjudged(capacity - old)])
        blanks: dict[str, float] = {
            "judged_at": np.nan,
            "_admitted": False,
            "_limit": np.nan,
            "_cuts": 0,
            "_kills": 0,
            "_started": np.nan,
            "_due": np.inf,
            "_waiting": np.nan,
            "_waiting_since": np.nan,
            "_cut_at": np.nan,
            "_young": 0,
        }
        for name, blank in blanks.items():
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.full(capacity - old, blank, column.dtype)]))
