"""The result of judging: a verdict with its rate, its forecast and its evidence, of one container or many.

Also here: the fitted floor as a line, to be drawn under the samples it was judged by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from memtop.analysis.memory_series import Batch, Floats, Ints, Series
from memtop.analysis.sample_summary import summarise_samples
from memtop.wording import YEAR_DAYS, bytes_, counted, duration, share

SURE_CONFIDENCE = 0.75
"""From this confidence on a leak is called a leak without "suspected".

Three in four, although only 1 container in 100 leaks: less than 1 false alarm among 1,000 healthy ones
(benchmarks/reliability.py).
"""
MIN_MEMORY_DEATHS = 3
"""From so many ends by memory on a container is said to die of it again and again.

Two may be one bad batch and its second attempt; three have come back twice.
"""
MIN_SAMPLES = 12
"""Below this nothing is said of growth."""
MIN_COLLECTING = 0.01
"""A smaller share of the time in full collections is not worth a word."""
MIN_STALLED = 0.01
"""A smaller share of the time spent waiting for memory is not worth a word."""
TOO_FAST_SECONDS = 120.0
"""A life of fewer seconds leaves no curve: metrics have a sample each 15 to 60 s."""
SUSPECTED_LEAK = "suspected leak"
"""What a leak is called below that."""


class Verdict(StrEnum):
    """What a container's memory does."""

    LEAK = "leak"
    OOM_LOOP = "OOM loop"
    """It runs out of memory again and again, and nobody has seen it grow. A limit below what it needs is no
    leak, and a leak that kills within seconds looks the same: so this says what is known."""
    SAWTOOTH = "sawtooth"
    SPIKE = "spike"
    STEP = "step"
    WARMUP = "warmup"
    STEADY = "steady"
    NOT_ENOUGH_DATA = "not enough data"


VERDICTS = tuple(Verdict)
"""The verdict of each code in `Judgements.codes`."""
VERDICT_CODES = {verdict: code for code, verdict in enumerate(VERDICTS)}
"""The code of each verdict."""
LEAK_CODE = VERDICT_CODES[Verdict.LEAK]
OOM_LOOP_CODE = VERDICT_CODES[Verdict.OOM_LOOP]
UNJUDGED_CODE = VERDICT_CODES[Verdict.NOT_ENOUGH_DATA]


@dataclass(frozen=True)
class Judgement:
    """The verdict on one container (or one workload) and what it stands on.

    Attributes:
        verdict: What the memory does.
        confidence: The chance that the verdict is right in a cluster where 1 container in 100 leaks, 0..1.
        rate: Growth of the floor in bytes per hour, None when there is too little data to say: also of a
            leak that kills every life before it can be measured twice.
        rate_low: Lower end of the 95 % interval of `rate`.
        rate_high: Upper end of it.
        seconds_to_limit: From the last sample until memory reaches the limit; None without limit or growth.
        seconds_to_limit_low: The earliest of its 95 % interval.
        seconds_to_limit_high: The latest; None if growth might be too slow to ever arrive.
        window_seconds: From the first to the last sample.
        samples: How many samples were judged.
        cuts: Restarts inside the window.
        oom_kills: OOM kills inside the window.
        seconds_per_life: From a start to the limit at that rate: what can be said of a container that dies
            again and again and does not run now. None without several lives, limit or growth.
        memory_deaths: Ends inside the window that are known to be OOM kills, evictions for memory, or out of
            memory by the runtime's own heap limit.
        heap_deaths: Those of them by the heap limit.
        evictions: Those of them by eviction.
        unexplained_ends: Further restarts whose cause nobody told, where the newest known end was by memory.
        seconds_lived: Usual time from a start to an end by memory; None where no start is known.
        death_level: Bytes at which it dies below the container's limit; None if it does not.
        limit: The container's memory limit in bytes; None without one.
        heap_live: Bytes that full collections leave of a heap that is full; None where that is not known.
        heap_size: Bytes that this heap may hold.
        collecting: Share of the time that full collections take, 0..1; None where it is not known.
        stalled: Share of the last minutes, 0..1, in which some process waited for memory (PSI); None where
            nobody exports it. Like the next two it is of now and no part of the verdict.
        child_kills: OOM kills of child processes within the last hour, while the container lived on.
        swapped: Bytes that are swapped out.
    """

    verdict: Verdict
    confidence: float
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    seconds_to_limit: float | None = None
    seconds_to_limit_low: float | None = None
    seconds_to_limit_high: float | None = None
    window_seconds: float = 0.0
    samples: int = 0
    cuts: int = 0
    oom_kills: int = 0
    seconds_per_life: float | None = None
    memory_deaths: int = 0
    heap_deaths: int = 0
    evictions: int = 0
    unexplained_ends: int = 0
    seconds_lived: float | None = None
    death_level: float | None = None
    limit: float | None = None
    heap_live: float | None = None
    heap_size: float | None = None
    collecting: float | None = None
    stalled: float | None = None
    child_kills: float | None = None
    swapped: float | None = None

    @property
    def certainty(self) -> str:
        """The verdict in words: a leak is only ``leak`` when it is sure, else ``suspected leak``."""
        if self.verdict is Verdict.LEAK and self.confidence < SURE_CONFIDENCE:
            return SUSPECTED_LEAK
        return self.verdict.value

    def evidence(self) -> str:
        """One sentence that says what the verdict stands on, and what the kernel counts beside the memory."""
        return f"{self._basis()}{self._kernel_words()}"

    def _kernel_words(self) -> str:
        said = ""
        if self.stalled is not None and self.stalled >= MIN_STALLED:
            said += f"; stalls on memory {share(self.stalled)} of the time"
        if self.child_kills:
            kills = counted(round(self.child_kills), "OOM kill")
            said += f"; {kills} of child processes within the last hour"
        if self.swapped:
            said += f"; {bytes_(self.swapped)} swapped out"
        return said

    def _basis(self) -> str:
        over = f"over {duration(self.window_seconds)}{self._cuts()}"
        match self.verdict:
            case Verdict.NOT_ENOUGH_DATA:
                return f"only {counted(self.samples, 'sample')} {over}; too little to judge"
            case Verdict.OOM_LOOP:
                return f"{self._deaths()}{self._full_heap('; ')}"
            case Verdict.LEAK if self.rate is None and self.heap_live is not None:
                return f"{self._full_heap()}, {over}"
            case Verdict.LEAK:
                flat = self.rate is None or (self.memory_deaths and self._may_be_flat())
                rises = "rises until it dies, again and again," if flat else f"floor rises {self._rate()}"
                return f"{rises} {over}{self._forecast()}{self._full_heap('; ')}"
            case Verdict.SAWTOOTH:
                return f"rises and falls back to a flat floor {over}"
            case Verdict.SPIKE:
                return f"jumps and comes back to its old level {over}"
            case Verdict.STEP:
                return f"moved to another level and stayed there {over}"
            case Verdict.WARMUP:
                return f"grew, then levelled off {over}"
            case Verdict.STEADY:
                return f"no lasting growth {over}"

    def _cuts(self) -> str:
        if self.oom_kills and self.oom_kills >= self.cuts:
            return f" across {counted(self.oom_kills, 'OOM kill')}"
        if self.cuts:
            kills = f", {counted(self.oom_kills, 'OOM kill')}" if self.oom_kills else ""
            return f" across {counted(self.cuts, 'restart')}{kills}"
        return ""

    def _deaths(self) -> str:
        """How often it ran out of memory, how long after each start, and why no more can be said."""
        said = self._ends_by_memory()
        if self.unexplained_ends and self.memory_deaths < MIN_MEMORY_DEATHS:
            said += f", restarted {_times(self.unexplained_ends)} more for reasons not known"
        if self.seconds_lived is not None:
            each = "each about " if self.memory_deaths > 1 else ""
            said += f", {each}{duration(self.seconds_lived)} after its start"
        if self.seconds_lived is not None and self.seconds_lived < TOO_FAST_SECONDS:
            said += ": too fast to see it grow"
        else:
            few = self.samples < MIN_SAMPLES
            said += ": too few samples to see it grow" if few else ": no growth was seen before"
        if self.death_level is not None:
            said += f"; dies at about {bytes_(self.death_level)}"
        return said if self.limit is None else f"{said}; limit {bytes_(self.limit)}"

    def _ends_by_memory(self) -> str:
        """``OOM-killed 26 times``; of several kinds of ends, how many there were of each."""
        kills = self.memory_deaths - self.heap_deaths - self.evictions
        kinds = (
            (kills, "OOM-killed"),
            (self.heap_deaths, "ran out of heap"),
            (self.evictions, "evicted for memory"),
        )
        return ", ".join(f"{words} {_times(count)}" for count, words in kinds if count)

    def _full_heap(self, before: str = "") -> str:
        if self.heap_live is None or self.heap_size is None:
            return ""
        said = f"{before}the heap is full: {bytes_(self.heap_live)} of {bytes_(self.heap_size)} live"
        if self.collecting is None or self.collecting < MIN_COLLECTING:
            return f"{said} after full collections"
        return f"{said}, {share(self.collecting)} of the time in full collections"

    def _may_be_flat(self) -> bool:
        """Whether the floor may as well not rise, as that of a heap that is full soon after each start."""
        return self.rate_low is not None and self.rate_low <= 0

    def _rate(self) -> str:
        said = f"{bytes_(self.rate)}/h"
        if self.rate_low is None or self.rate_high is None:
            return said
        half = (self.rate_high - self.rate_low) / 2
        size, unit = bytes_(self.rate).rsplit(" ", 1)
        margin, margin_unit = bytes_(half).rsplit(" ", 1)
        return f"{size} {unit}/h (±{margin}{'' if margin_unit == unit else ' ' + margin_unit})"

    def at_rest(self) -> Judgement:
        """The same of a container that does not run now: nothing approaches its limit."""
        return replace(self, seconds_to_limit=None, seconds_to_limit_low=None, seconds_to_limit_high=None)

    def _forecast(self) -> str:
        if self.death_level is not None:
            said = f"; dies at about {bytes_(self.death_level)}"
            return (
                said
                if self.seconds_lived is None
                else f"{said}, {duration(self.seconds_lived)} after each start"
            )
        if self.seconds_to_limit is None and self.seconds_per_life is None:
            return ""
        if self.seconds_to_limit is None:
            return f"; limit about {duration(self.seconds_per_life)} after each start"
        if self.seconds_to_limit < 1:
            return "; at the limit now"
        if self.seconds_to_limit < 60:
            return "; limit within a minute"
        if self.seconds_to_limit > YEAR_DAYS * 86_400:
            return "; limit in more than a year"
        return f"; limit in about {duration(self.seconds_to_limit)}"


def _times(count: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def leak_confidence(judgement: Judgement) -> float:
    """How sure a leak is, 0..1; −1 for what is none, so that leaks come first."""
    return judgement.confidence if judgement.verdict is Verdict.LEAK else -1.0


def verdict_urgency(judgement: Judgement) -> float:
    """The order in which verdicts matter: a sure leak, an OOM loop, a suspected leak, anything else."""
    if judgement.verdict is Verdict.OOM_LOOP:
        return SURE_CONFIDENCE - 1e-6
    return leak_confidence(judgement)


WHOLE_COLUMNS = (
    "samples",
    "cuts",
    "oom_kills",
    "memory_deaths",
    "heap_deaths",
    "evictions",
    "unexplained_ends",
)


@dataclass(frozen=True, eq=False)
class Judgements:
    """Verdicts of many containers in columns; NaN is the None of `Judgement`.

    Attributes:
        codes: Index into `VERDICTS`, shape (n,).
        confidence: Shape (n,), 0..1.
        rate: Bytes per hour of the floor, NaN when unknown; likewise `rate_low` and `rate_high`.
        seconds_to_limit: NaN when there is no limit, no growth or too little data; likewise the interval and
            `seconds_per_life`.
        window_seconds: From the first to the last sample.
        samples: Samples judged.
        cuts: Restarts inside the window.
        oom_kills: OOM kills inside the window.
        memory_deaths: As in `Judgement`; likewise what follows.
    """

    codes: NDArray[np.uint8]
    confidence: Floats
    rate: Floats
    rate_low: Floats
    rate_high: Floats
    seconds_to_limit: Floats
    seconds_to_limit_low: Floats
    seconds_to_limit_high: Floats
    window_seconds: Floats
    samples: Ints
    cuts: Ints
    oom_kills: Ints
    seconds_per_life: Floats
    memory_deaths: Ints
    heap_deaths: Ints
    evictions: Ints
    unexplained_ends: Ints
    seconds_lived: Floats
    death_level: Floats
    limit: Floats
    heap_live: Floats
    heap_size: Floats
    collecting: Floats
    stalled: Floats
    child_kills: Floats
    swapped: Floats

    def __len__(self) -> int:
        return len(self.codes)

    def leaks(self, rows: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of the rows are leaks for sure, and which are only suspected.

        Args:
            rows: Positions, shape (m,).

        Returns:
            Two masks of shape (m,).
        """
        leak = self.codes[rows] == LEAK_CODE
        sure = self.confidence[rows] >= SURE_CONFIDENCE
        return leak & sure, leak & ~sure

    def __getitem__(self, row: int) -> Judgement:
        def known(column: Floats) -> float | None:
            value = float(column[row])
            return value if np.isfinite(value) else None

        return Judgement(
            VERDICTS[self.codes[row]],
            float(self.confidence[row]),
            known(self.rate),
            known(self.rate_low),
            known(self.rate_high),
            known(self.seconds_to_limit),
            known(self.seconds_to_limit_low),
            known(self.seconds_to_limit_high),
            float(self.window_seconds[row]),
            int(self.samples[row]),
            int(self.cuts[row]),
            int(self.oom_kills[row]),
            known(self.seconds_per_life),
            int(self.memory_deaths[row]),
            int(self.heap_deaths[row]),
            int(self.evictions[row]),
            int(self.unexplained_ends[row]),
            known(self.seconds_lived),
            known(self.death_level),
            known(self.limit),
            known(self.heap_live),
            known(self.heap_size),
            known(self.collecting),
            known(self.stalled),
            known(self.child_kills),
            known(self.swapped),
        )

    def __iter__(self) -> Iterator[Judgement]:
        return (self[row] for row in range(len(self)))

    @classmethod
    def unjudged(cls, count: int) -> Judgements:
        """What is judged of containers before there is anything to judge by: *not enough data*."""
        zeros, nan = np.zeros(count, np.int64), np.full(count, np.nan)
        whole = dict.fromkeys(WHOLE_COLUMNS, zeros)
        rest = {name: nan for name in cls.__dataclass_fields__ if name not in whole}
        rest |= {"window_seconds": np.zeros(count), "confidence": np.ones(count)}
        columns = {name: column.copy() for name, column in (whole | rest).items()}
        return cls(**columns | {"codes": np.full(count, UNJUDGED_CODE, np.uint8)})

    @classmethod
    def joined(cls, parts: list[Judgements]) -> Judgements:
        """Several parts as one, in order."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__)
        )


MIN_FLOOR_POINTS = 3
"""A life of fewer buckets has no line."""
_FLOOR_QUANTILE = 0.1
_FLOOR_VERDICTS = (Verdict.LEAK, Verdict.SAWTOOTH, Verdict.STEADY)


def floor_line(series: Series, judgement: Judgement) -> tuple[Floats, Floats] | None:
    """The floor that a judgement speaks of.

    A line of the judged rate under the samples of a life: nine in ten of its buckets are above it. A leak has
    one under every life, for its rate was made from all; what does not grow has one under its latest.

    Args:
        series: The samples to draw it under.
        judgement: What was judged of them, or of the same container by another metric.

    Returns:
        Unix seconds, ascending, and bytes: two points for each life, and between two lives one whose value is
        NaN; both of shape (3 × lives − 1,). None where there is no floor: too little data, no rate, or a
        level that shifted.
    """
    if judgement.rate is None or judgement.verdict not in _FLOOR_VERDICTS:
        return None
    summary = summarise_samples(Batch.of([series]))
    lives = range(len(summary.life_container))
    slope = judgement.rate / 3600.0
    times: list[float] = []
    values: list[float] = []
    for life in lives if judgement.verdict is Verdict.LEAK else lives[-1:]:
        mine = summary.life == life
        if np.count_nonzero(mine) < MIN_FLOOR_POINTS:
            continue
        time, low = summary.time[mine], summary.low[mine]
        base = float(np.quantile(low - slope * (time - time[0]), _FLOOR_QUANTILE))
        rise = slope * float(time[-1] - time[0])
        if times:
            times.append((times[-1] + float(time[0])) / 2)
            values.append(np.nan)
        times += [float(time[0]), float(time[-1])]
        values += [max(base, 0.0), max(base + rise, 0.0)]
    return (np.array(times), np.array(values)) if times else None
