"""The verdict on each container by all that is known of it: remembered and seen, merged to one series.

Where nothing is remembered of a container, what is judged of its live samples stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np

from memtop.analysis.judgement import VERDICT_CODES, Judgement, Judgements
from memtop.analysis.memory_series import Batch, Series
from memtop.analysis.verdict import MIN_SAMPLES, judge_batch, judge_series
from memtop.history.past_requests import PastCache
from memtop.history.past_series import (
    METRIC_WORDS,
    ContainerName,
    PastSeries,
    drop_short_lives,
    merge_past_and_live,
    with_live_limit,
)
from memtop.observe.container_store import ContainerStore
from memtop.wording import duration

BATCH_SIZE = 32
"""Containers judged at a time: some milliseconds, so that nothing else waits for long."""
REJUDGE_SECONDS = 60.0
"""Seconds until a container is judged again though nothing more was remembered: live samples have come."""
FRESH_SECONDS = 900.0
"""Seconds by which another metric may lag behind the live samples and still be what is judged."""


@dataclass(frozen=True)
class _PastJudgement:
    generation: int
    at: float
    judgement: Judgement


class LiveJudge(Protocol):
    """Whoever judges live samples."""

    def judgements(self) -> Judgements:
        """What is judged of every slot, as a copy that never changes."""

    def series(self, slot: int) -> Series:
        """The live samples of a slot."""


class PastVerdicts:
    """What is judged of every container: by the merged series of those that have a remembered past.

    Args:
        store: Whose containers they are; only read.
        pasts: What is remembered.
        live: What is judged by live samples alone.
        now: The cluster's time.
    """

    def __init__(
        self, store: ContainerStore, pasts: PastCache, live: LiveJudge, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._pasts = pasts
        self._live = live
        self._now = now
        self._judged: dict[ContainerName, _PastJudgement] = {}
        self._due: set[ContainerName] = set()
        self._laid: tuple[Judgements, Judgements] | None = None

    def series(self, slot: int) -> Series:
        """One container's working set over the whole time known, remembered and seen."""
        name = self._name(slot)
        seen = self._live.series(slot)
        return (
            seen
            if name is None
            else self._without_echo(slot, merge_past_and_live(self._pasts.of(name), seen))
        )

    def basis(self, slot: int) -> tuple[Series, str]:
        """What a container is judged by, and which memory that is, in words."""
        name = self._name(slot)
        whole = self.series(slot)
        if name is None:
            return whole, METRIC_WORDS["working_set"]
        other = self._pasts.of(name, self._pasts.metric)
        if other is not None and other.metric != "working_set" and _reaches_as_far(other, whole):
            series = self._without_echo(slot, with_live_limit(other, whole))
            return drop_short_lives(series), f"{METRIC_WORDS[other.metric]} from {other.origin}"
        past = self._pasts.of(name)
        if past is None:
            return whole, METRIC_WORDS["working_set"]
        words = f"{METRIC_WORDS['working_set']}, {duration(past.span)} of it from {past.origin}"
        return drop_short_lives(whole), words

    def _without_echo(self, slot: int, series: Series) -> Series:
        """The series without what Prometheus repeats of a dead container while it is down.

        For five minutes the last sample is told again and again; it looks like growth that has ended.
        """
        ended, started = self._store.columns.last_end[slot], self._store.columns.started_at[slot]
        if not ended < series.timestamps[-1:].max(initial=-np.inf):  # nothing after it, or no end known
            return series
        until = started if started > ended else np.inf
        kept = ~((series.timestamps > ended) & (series.timestamps < until))
        if started < ended or kept.all():  # it has been started since, and that start was not told
            return series
        return replace(series, timestamps=series.timestamps[kept], values=series.values[kept])

    def awaits(self, slot: int) -> bool:
        """Whether something was remembered of a container that it has not been judged by yet."""
        name = self._name(slot)
        return name is not None and (name in self._due or self._pasts.has_news_of(name))

    def judgement(self, slot: int) -> Judgement:
        """The whole judgement on one container, over all that is known of it."""
        return judge_series(self.basis(slot)[0])

    @property
    def pending(self) -> bool:
        """Whether containers are due."""
        if not self._due:
            now = self._now()
            self._due = self._pasts.changes()
            self._due |= {name for name, judged in self._judged.items() if now - judged.at >= REJUDGE_SECONDS}
        return bool(self._due)

    def judge_next(self) -> list[tuple[ContainerName, int]]:
        """Judges the next few of those due; returns which, with the slot of each."""
        batch: list[tuple[ContainerName, int]] = []
        while self.pending and len(batch) < BATCH_SIZE:
            name = self._due.pop()
            slot = self._slot(name)
            if slot is None or name not in self._pasts:
                self._judged.pop(name, None)
            else:
                batch.append((name, slot))
        if batch:
            judgements = judge_batch(Batch.of([self.basis(slot)[0] for _, slot in batch]))
            for (name, slot), judgement in zip(batch, judgements, strict=True):
                generation = int(self._store.columns.generation[slot])
                self._judged[name] = _PastJudgement(generation, self._now(), judgement)
            self._laid = None
        return batch

    def judgements(self) -> Judgements:
        """What is judged of every slot, as a copy that never changes."""
        live = self._live.judgements()
        if self._laid is not None and self._laid[0] is live:
            return self._laid[1]
        found = [
            (slot, judged.judgement)
            for name, judged in self._judged.items()
            if (slot := self._slot(name)) is not None
            and self._store.columns.generation[slot] == judged.generation
        ]
        if not found:
            return live
        slots = np.array([slot for slot, _ in found], np.intp)
        ours = _judgement_columns([judgement for _, judgement in found])
        merged = {}
        for field in fields(Judgements):
            merged[field.name] = getattr(live, field.name).copy()
            merged[field.name][slots] = ours[field.name]
        self._laid = live, Judgements(**merged)
        return self._laid[1]

    def _slot(self, name: ContainerName) -> int | None:
        return self._store.slot_named(*name)

    def _name(self, slot: int) -> ContainerName | None:
        identity = self._store.identities[slot]
        if identity is None:
            return None
        name = ContainerName(identity.namespace, identity.pod, identity.container)
        return name if name in self._pasts else None


def _reaches_as_far(other: PastSeries, whole: Series) -> bool:
    """Whether another metric's past can be judged, and reaches nearly as far as what else there is."""
    if len(other) < MIN_SAMPLES or not len(whole.timestamps):
        return len(other) >= MIN_SAMPLES
    late = float(whole.timestamps[-1] - other.times[-1])
    return late <= FRESH_SECONDS and other.span >= float(whole.timestamps[-1] - whole.timestamps[0]) / 2


def _judgement_columns(judgements: list[Judgement]) -> dict[str, list[float]]:
    def known(value: float | None) -> float:
        return np.nan if value is None else value

    return {
        "codes": [VERDICT_CODES[one.verdict] for one in judgements],
        **{
            field.name: [known(getattr(one, field.name)) for one in judgements]
            for field in fields(Judgements)
            if field.name != "codes"
        },
    }
