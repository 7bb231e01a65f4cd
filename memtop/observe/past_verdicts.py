"""The verdict on each container by all that is known of it: remembered and seen, merged to one series.

It is a function of the samples and ends alone. A container is judged as of whole minutes of the cluster's
clock, some of them past, and the verdict is held against single moments that say otherwise. A memtop that has
watched for hours and one that starts now judge the same samples at the same moments, and so agree.

Where nothing is remembered of a container and it has never ended, what is judged of its live samples stands.
What has ended is judged here by its ends as well: they are facts, also where there is no sample at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np

from memtop.analysis.judgement import (
    MIN_SAMPLES,
    SURE_CONFIDENCE,
    SUSPECTED_LEAK,
    VERDICT_CODES,
    Judgement,
    Judgements,
    Verdict,
)
from memtop.analysis.memory_series import Batch, HeapFill, LifeEnd, Series
from memtop.analysis.verdict import judge_batch
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
MOMENT_SECONDS = 300.0
HELD_MOMENTS = 7
"""Seconds between two moments at which a container is judged, and how many of them its verdict is held from:
half an hour, several times as long as a missed scrape or a back-off (five minutes at most)."""
MOMENTS_TO_LEAVE = 3
"""Moments in a row that must say less than the verdict held before it is given up: a quarter of an hour."""
KNOWN_AFTER_SECONDS = 100.0
"""Seconds after which the samples of a moment are known to everybody: Prometheus is asked each minute, has a
scrape each 15 s, and a round of questions may take some seconds."""
SCRAPE_SECONDS = 15.0
DENSE_SECONDS = 3600.0
THIN_SECONDS = 120.0
"""Every sample of the hour before a moment is judged, and one in two minutes of the time before: the most
that is asked of Prometheus for a day."""
COARSE_LIFE_SAMPLES = 8
"""Samples of a life that ended before that hour, below which it is left out: both its ends are uncertain by a
step, so a quarter of its length."""
FRESH_SECONDS = 3600.0
"""Seconds by which what is remembered may lag behind the live samples and still be what is judged: while
Prometheus is away, a verdict stays what it was."""
_ALARMS = {SUSPECTED_LEAK: 1, Verdict.OOM_LOOP.value: 2, Verdict.LEAK.value: 3}
"""How much each verdict alarms, by its words; others do not."""
_MOST_SUSPECTED = np.nextafter(SURE_CONFIDENCE, 0.0)
"""Confidence of a leak that is sure as of one moment only."""


Known = tuple[int, tuple[LifeEnd, ...], int, HeapFill | None]
"""What a judgement was made of: samples, ends of known cause, restarts, and a heap that is full."""


def known_of(series: Series) -> Known:
    """What is known of a container in a series; the same makes the same judgement."""
    return len(series.values), series.ends, len(series.restarts), series.full_heap


@dataclass(frozen=True)
class _PastJudgement:
    """What is judged of one container as of the latest moment, and as of those that it is held from.

    `moments` has for each moment, Unix seconds, which samples and ends were known, and what was judged of
    them.
    """

    generation: int
    time: float
    judgement: Judgement
    moments: Mapping[float, tuple[Known, Judgement]]


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
        self._columns: tuple[Judgements, Judgements] | None = None

    def series(self, slot: int) -> Series:
        """One container's working set over the whole time known, remembered and seen."""
        name = self._name(slot)
        seen = self._live.series(slot)
        return (
            seen
            if name is None
            else self._without_echo(slot, merge_past_and_live(self._pasts.get(name), seen))
        )

    def basis(self, slot: int) -> tuple[Series, str]:
        """What a container is judged by, and which memory that is, in words."""
        name = self._name(slot)
        whole = self.series(slot)
        if name is None:
            return whole, METRIC_WORDS["working_set"]
        other = self._pasts.get(name, self._pasts.metric)
        if other is not None and other.metric != "working_set" and _reaches_as_far(other, whole):
            series = self._without_echo(slot, with_live_limit(other, whole))
            return series, f"{METRIC_WORDS[other.metric]} from {other.origin}"
        past = self._pasts.get(name)
        if past is None:
            return whole, METRIC_WORDS["working_set"]
        words = f"{METRIC_WORDS['working_set']}, {duration(past.span)} of it from {past.origin}"
        return whole, words

    def judged_series(self, slot: int) -> Series:
        """What a container is judged by as of the latest moment."""
        return self.held_series(slot)[-1]

    def held_series(self, slot: int) -> list[Series]:
        """What a container is judged by as of each of the moments that its verdict is held from, in order."""
        name, whole = self._name(slot), self.basis(slot)[0]
        latest = latest_moment(self._now()) if name is None else self._moment(name)
        known = [as_of(whole, moment) for moment in held_moments(latest)]
        known[-1] = replace(known[-1], full_heap=whole.full_heap)  # a log tells of the present only
        return known

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

    def has_unjudged_news(self, slot: int) -> bool:
        """Whether something was remembered of a container that it has not been judged by yet."""
        name = self._name(slot)
        return name is not None and (name in self._due or self._pasts.has_news_of(name))

    @property
    def pending(self) -> bool:
        """Whether containers are due."""
        if not self._due:
            self._due = self._pasts.changes()
            self._due |= set(filter(None, map(self._name_of, self._store.take_news_of_ends())))
            self._due |= {name for name, judged in self._judged.items() if judged.time != self._moment(name)}
        return bool(self._due)

    def judge_next(self) -> list[tuple[ContainerName, int]]:
        """Judges the next few of those due; returns which, with the slot of each."""
        batch: list[tuple[ContainerName, int]] = []
        while self.pending and len(batch) < BATCH_SIZE:
            name = self._due.pop()
            slot = self._slot(name)
            if slot is None or not self._knows_more(name, slot):
                self._judged.pop(name, None)
            else:
                batch.append((name, slot))
        if batch:
            self._judge(batch)
            self._columns = None
        return batch

    def _moment(self, name: ContainerName) -> float:
        """The newest moment of which all that matters is known of a container, Unix seconds.

        What Prometheus was not asked for yet is not known, unless it has been away for long.
        """
        now, told_at = self._now(), self._pasts.told_at(name)
        if told_at is None or now - told_at > FRESH_SECONDS:
            return latest_moment(now)
        return min(latest_moment(now), (told_at - SCRAPE_SECONDS) // MOMENT_SECONDS * MOMENT_SECONDS)

    def _judge(self, batch: Sequence[tuple[ContainerName, int]]) -> None:
        moments: dict[ContainerName, list[float]] = {}
        known: dict[ContainerName, dict[float, tuple[Known, Judgement]]] = {}
        open_: list[tuple[ContainerName, float, Series]] = []
        for name, slot in batch:
            before, whole, latest = self._judged.get(name), self.basis(slot)[0], self._moment(name)
            moments[name] = held_moments(latest)
            old = {} if before is None or before.generation != self._generation(slot) else before.moments
            known[name] = {moment: old[moment] for moment in moments[name] if moment in old}
            for moment in moments[name]:
                series = as_of(whole, moment)
                if moment == latest:  # a log tells of the present only
                    series = replace(series, full_heap=whole.full_heap)
                if moment not in known[name] or known[name][moment][0] != known_of(series):
                    open_.append((name, moment, series))
        judged = judge_batch(Batch.of([series for _, _, series in open_]))
        for (name, moment, series), judgement in zip(open_, judged, strict=True):
            known[name][moment] = known_of(series), judgement
        for name, slot in batch:
            held = hold_verdict([known[name][moment][1] for moment in moments[name]])
            self._judged[name] = _PastJudgement(self._generation(slot), moments[name][-1], held, known[name])

    def _generation(self, slot: int) -> int:
        return int(self._store.columns.generation[slot])

    def judgements(self) -> Judgements:
        """What is judged of every slot, as a copy that never changes."""
        live = self._live.judgements()
        if self._columns is not None and self._columns[0] is live:
            return self._columns[1]
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
        self._columns = live, Judgements(**merged)
        return self._columns[1]

    def _knows_more(self, name: ContainerName, slot: int) -> bool:
        """Whether more than its live samples is known of a container."""
        return name in self._pasts or slot in self._store.lives or slot in self._store.full_heaps

    def _slot(self, name: ContainerName) -> int | None:
        return self._store.slot_named(*name)

    def _name(self, slot: int) -> ContainerName | None:
        """The name of a container that is remembered."""
        name = self._name_of(slot)
        return name if name is not None and name in self._pasts else None

    def _name_of(self, slot: int) -> ContainerName | None:
        identity = self._store.identities[slot]
        return (
            None if identity is None else ContainerName(identity.namespace, identity.pod, identity.container)
        )


def latest_moment(now: float) -> float:
    """The newest moment whose samples everybody knows, Unix seconds."""
    return (now - KNOWN_AFTER_SECONDS) // MOMENT_SECONDS * MOMENT_SECONDS


def held_moments(latest: float) -> list[float]:
    """The moments that a verdict is held from, Unix seconds, the latest of them last."""
    return [latest - MOMENT_SECONDS * back for back in reversed(range(HELD_MOMENTS))]


def as_of(series: Series, moment: float) -> Series:
    """The samples known of a container at a moment: all of the hour before it, and thinned what is older.

    How its lives ended is a fact and known at every moment: who starts to watch knows only the last end.

    Args:
        series: All that is known now.
        moment: Unix seconds.
    """
    times, dense = series.timestamps, moment - DENSE_SECONDS
    part = np.floor(times / THIN_SECONDS)
    first = np.append(True, part[1:] != part[:-1])[: len(times)]
    kept = (times <= moment) & ((times >= dense) | first)
    restarts = np.sort(series.restarts)
    if len(restarts) and kept.any():
        life = np.searchsorted(restarts, times, "right")
        short = np.bincount(life[kept], minlength=life.max() + 1) < COARSE_LIFE_SAMPLES
        ended_before = np.append(restarts, np.inf)[life] < dense
        kept &= ~(short[life] & ended_before)
    known = replace(
        series,
        timestamps=times[kept],
        values=series.values[kept],
        restarts=restarts[restarts <= moment],
        started_at=None if (series.started_at or moment) > moment else series.started_at,
        full_heap=None,
    )
    return drop_short_lives(known)


def hold_verdict(judged: Sequence[Judgement]) -> Judgement:
    """The verdict after several moments: it needs more to leave a leak than to enter it.

    It starts as what most of the moments say. What says more (a leak after something else) is believed at
    once, but a leak without "suspected" only if the moment before was alarming too. What says less, or
    something else, is believed when `MOMENTS_TO_LEAVE` moments in a row do. That there is not enough data
    never replaces a verdict.

    Args:
        judged: As of several moments, oldest first.

    Returns:
        The newest of them that says what is held.
    """
    known = [one for one in judged if one.verdict is not Verdict.NOT_ENOUGH_DATA]
    if not known:
        return judged[-1]
    words = [one.certainty for one in known]
    held = max(dict.fromkeys(words), key=words.count) if len(known) == len(judged) else words[0]
    for index in range(1, len(known)):
        word, recent = words[index], words[max(0, index - MOMENTS_TO_LEAVE + 1) : index + 1]
        if _alarm(word) > _alarm(held):
            alone = word == Verdict.LEAK.value and not _alarm(words[index - 1])
            held = SUSPECTED_LEAK if alone else word
        elif len(recent) == MOMENTS_TO_LEAVE and _alarm(held) > max(map(_alarm, recent)):
            held = max(recent, key=_alarm)
        elif word != held and recent == [word] * MOMENTS_TO_LEAVE:
            held = word
    newest = next((one for one in reversed(known) if one.certainty == held), known[-1])
    return newest if newest.certainty == held else replace(newest, confidence=_MOST_SUSPECTED)


def _alarm(word: str) -> int:
    return _ALARMS.get(word, 0)


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
