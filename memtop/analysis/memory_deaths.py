"""What the ends of a container's lives say: how often it ran out of memory, whether it had grown before.

An OOM kill is a measurement, for at that moment memory was at the limit. A life that started low and ended
so has risen, even if nobody looked in between. A process that dies of its own heap limit (V8, the JVM)
leaves no OOM kill, but it too dies at the highest level of its life, again and again.

Where growth was seen, that is a leak. Where it was not (lives too short to be sampled, or flat until the
end), repeated deaths are a verdict of their own: a limit below what the program needs is no leak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.analysis.judgement import MIN_MEMORY_DEATHS
from memtop.analysis.memory_series import (
    Bools,
    EndCause,
    Floats,
    Ints,
    KnownEnds,
    RaggedTimes,
)
from memtop.analysis.sample_summary import SampleSummary

MIN_DEATHS_AND_RESTARTS = 5
"""Restarts of unknown cause count as well where the newest known end was by memory; then it takes more."""
OUTLASTED_FACTOR, MIN_OUTLASTED_SECONDS = 2.0, 600.0
"""A present life this many times longer than any that ran out of memory, and so many seconds at least, shows
that it no longer does: of three lives of random (exponential) length the longest is doubled by 1 in 10."""


@dataclass(frozen=True, eq=False)
class MemoryDeaths:
    """How often each container ran out of memory inside the window, shape (n,).

    Attributes:
        count: Ends known to be OOM kills, evictions for memory, or out of memory by a heap limit.
        heap_limit: Those of them by a heap limit of the runtime's own.
        evictions: Those of them by eviction.
        unexplained: Restarts whose cause nobody told; 0 unless the newest known end was by memory.
        seconds_lived: Median time from a start to such an end; NaN where no start is known.
        shortest: The shortest such time, NaN likewise.
        longest: The longest.
        repeated: Whether it dies of memory again and again and its present life has not outlasted those.
    """

    count: Ints
    heap_limit: Ints
    evictions: Ints
    unexplained: Ints
    seconds_lived: Floats
    shortest: Floats
    longest: Floats
    repeated: Bools

    @classmethod
    def none(cls, containers: int) -> MemoryDeaths:
        """Nobody ran out of memory."""
        zeros, unknown = np.zeros((4, containers), np.int64), np.full((3, containers), np.nan)
        return cls(
            zeros[0],
            zeros[1],
            zeros[2],
            zeros[3],
            unknown[0],
            unknown[1],
            unknown[2],
            np.zeros(containers, np.bool_),
        )


def count_memory_deaths(
    ends: KnownEnds, restarts: RaggedTimes, restart_count: Ints, started_at: Floats, until: Floats
) -> MemoryDeaths:
    """Counts how often each container ran out of memory.

    Args:
        ends: The ends whose cause is known.
        restarts: When each container started again.
        restart_count: Restarts as the kubelet counts them, shape (n,), also those of unknown time.
        started_at: Start of each present life, Unix seconds, NaN where unknown.
        until: The last sample of each, Unix seconds, NaN without one.
    """
    found = MemoryDeaths.none(len(until))
    for row in np.flatnonzero(ends.times.counts()):
        mine = slice(ends.times.starts[row], ends.times.starts[row + 1])
        at, causes = ends.times.times[mine], ends.causes[mine]
        memory = causes != EndCause.OTHER.value
        if not memory.any():
            continue
        again = restarts.times[restarts.starts[row] : restarts.starts[row + 1]]
        # Starts that nobody told are not made up from samples: those come minutes late.
        lived = (at - ends.started[mine])[memory & np.isfinite(ends.started[mine])]
        found.count[row] = memory.sum()
        found.heap_limit[row] = (causes == EndCause.HEAP_LIMIT.value).sum()
        found.evictions[row] = (causes == EndCause.EVICTION.value).sum()
        if memory[-1]:
            explained = np.unique(np.searchsorted(again, at, "left"))
            by_time = len(again) - int((explained < len(again)).sum())
            found.unexplained[row] = max(by_time, int(restart_count[row]) - len(at), 0)
        if len(lived):
            found.seconds_lived[row] = np.median(lived)
            found.shortest[row], found.longest[row] = lived.min(), lived.max()
        known_deaths = found.count[row] >= MIN_MEMORY_DEATHS
        known_deaths |= found.count[row] + found.unexplained[row] >= MIN_DEATHS_AND_RESTARTS
        running = _seconds_running(started_at[row], again, at[-1], until[row])
        usual = lived.max() if len(lived) else np.diff(at).max(initial=0.0)
        outlasted = running > max(OUTLASTED_FACTOR * usual, MIN_OUTLASTED_SECONDS)
        found.repeated[row] = known_deaths and not outlasted
    return found


def _seconds_running(started_at: float, restarts: Floats, last_end: float, until: float) -> float:
    """How long the present life has lasted; 0 where there is none, or nobody can tell."""
    if not np.isfinite(started_at):
        started_at = float(restarts[-1]) if len(restarts) else last_end
    return max(float(until) - started_at, 0.0) if started_at >= last_end and np.isfinite(until) else 0.0


MIN_BUCKETS_OF_LIFE = 4
"""Buckets from which a life shows what it did."""
PRIOR_LOG_ODDS = -4.6
"""Log-odds of a leak before anything is known: 1 container in 100."""
ODDS_KILLED, ODDS_DIED, ODDS_NOT_RISEN = 2.5, 2.0, -1.5
"""What one life adds to the log-odds: a rise that ended out of memory, a rise that ended otherwise, a life
that ended for another reason without having risen.

Rises that end in deaths by chance (a restart just then, a batch) are about one in ten lives of healthy
containers, OOM kills of healthy containers rarer still; a bit less is taken, for lives of one container are
alike. A life that ran out of memory without having risen speaks neither for a leak nor against one.
"""
_MAX_LOG_ODDS, _MIN_LOG_ODDS = 6.0, -9.0
_MATERIAL, _NEGLIGIBLE = 0.2, 2.0 * 2**20
_TOP_SHARE, _MIN_CORRELATION = 0.75, 0.7
_EARLIEST, _LATEST, _LATEST_AT_THE_LIMIT = 0.2, 0.65, 0.9
_NEAR_LIMIT = 0.85
_LONG_ENOUGH, _GREW = 0.75, 0.35
_ALIKE_ENDS, _BELOW_LIMIT, _ALIKE_SHARE = 3, 0.9, 0.15


@dataclass(frozen=True, eq=False)
class LifeEndEvidence:
    """What the ends of each container's lives say of a leak, shape (n,).

    Attributes:
        log_odds: Of a leak, in a cluster where 1 container in 100 leaks; `PRIOR_LOG_ODDS` where no life has
            ended.
        rises: How many lives rose until they ended.
        level: Bytes at which lives end below the container's limit; NaN where they end at the limit or
            nothing is known.
        seconds_lived: Median length of the lives that ended there, as far as samples show it, NaN likewise.
        age: Seconds of the present life so far, by its samples.
    """

    log_odds: Floats
    rises: Ints
    level: Floats
    seconds_lived: Floats
    age: Floats

    def of(self, containers: Ints) -> LifeEndEvidence:
        """Those of some containers."""
        return LifeEndEvidence(
            *(getattr(self, name)[containers] for name in LifeEndEvidence.__dataclass_fields__)
        )


def weigh_life_ends(
    summary: SampleSummary,
    limits: Floats,
    oom_kills: Ints,
    ends: KnownEnds | None = None,
    running: Bools | None = None,
) -> LifeEndEvidence:
    """Weighs how the lives of every container ended.

    A life *rose until it ended* when it ended within a quarter of its highest level, rose by a fifth of
    that, rose with time (correlation 0.7), and was on its way for a good part of it: a batch rises at the
    end only, a warm-up at the beginning only. Near the limit, or out of memory, the top may be longer: a
    full heap is collected for minutes before the runtime gives up.

    What the container does now has the last word: a life that outlasts the others and has not grown as they
    did is one that was fixed.

    Args:
        summary: Buckets of n containers.
        limits: Bytes, shape (n,), NaN for none.
        oom_kills: OOM kills inside the window, shape (n,).
        ends: The ends whose cause is known; None if only the number of OOM kills is.
        running: Lives that go on, shape (lives,); None if that is at most the latest of each container.
    """
    owner, life = summary.life_container, summary.life
    containers, lives = len(summary.samples), len(owner)
    ended = np.zeros(lives, np.bool_)
    ended[:-1] = owner[1:] == owner[:-1]
    if running is not None:
        ended &= ~running
    buckets = np.bincount(life, minlength=lives)
    low, high = _extremes(summary, lives)
    first = np.cumsum(buckets) - buckets
    last = first + buckets - 1
    length = summary.time[last] - summary.time[first]
    rise = high - low
    share, together = _rise_course(summary, low, rise, lives)
    limit = limits[owner]
    cause = _cause_of_each_life(summary, ended, first, ends)
    ended |= cause >= 0  # the latest life, too, if its end is known
    killed = (oom_kills > 0) & (oom_kills >= 0.5 * np.bincount(owner, ended, containers))
    by_memory = np.where(cause >= 0, cause != EndCause.OTHER.value, killed[owner])
    told = buckets >= MIN_BUCKETS_OF_LIFE
    near = by_memory | (high > _NEAR_LIMIT * limit)
    rose = (
        told
        & (rise > np.maximum(_MATERIAL * high, _NEGLIGIBLE))
        & (summary.mean[last] > low + _TOP_SHARE * rise)
        & (together > _MIN_CORRELATION)
        & (share > _EARLIEST)
        & (share < np.where(near, _LATEST_AT_THE_LIMIT, _LATEST))
    )

    def count(which: Bools) -> Floats:
        return np.asarray(np.bincount(owner, which & ended, containers))

    log_odds = (
        PRIOR_LOG_ODDS
        + ODDS_KILLED * count(rose & by_memory)
        + ODDS_DIED * count(rose & ~by_memory)
        + ODDS_NOT_RISEN * count(told & ~rose & ~by_memory)
    )
    mended = _outlasted(summary, owner, ended, rose, length, rise, summary.mean[last] - low)
    unknown = rose & (cause < 0) & ~by_memory
    level, lived = _usual_end(owner, ended & told, unknown, cause, high, length, limits)
    age = np.zeros(containers)
    age[owner[~ended]] = length[~ended]
    return LifeEndEvidence(
        np.clip(np.where(mended, _MIN_LOG_ODDS, log_odds), _MIN_LOG_ODDS, _MAX_LOG_ODDS),
        count(rose).astype(np.int64),
        level,
        lived,
        age,
    )


def _cause_of_each_life(summary: SampleSummary, ended: Bools, first: Ints, ends: KnownEnds | None) -> Ints:
    """Why each life ended, as an index into `END_CAUSES`; −1 where nobody told, or it goes on.

    A life whose end nobody explained is taken to have ended as the newest known did, if that was of memory.
    """
    owner = summary.life_container
    cause = np.full(len(owner), -1, np.int64)
    if ends is None or not len(ends.causes):
        return cause
    begin = summary.time[first]
    for row in np.flatnonzero(ends.times.counts()):
        mine = np.flatnonzero(owner == row)
        if not len(mine):
            continue
        part = slice(ends.times.starts[row], ends.times.starts[row + 1])
        # An end belongs to the last life that had begun by then.
        where = mine[np.maximum(np.searchsorted(begin[mine], ends.times.times[part], "right") - 1, 0)]
        cause[where] = ends.causes[part]
        newest = ends.causes[part][-1]
        if newest != EndCause.OTHER.value:
            cause[mine[ended[mine] & (cause[mine] < 0)]] = newest
    return cause


def _usual_end(
    owner: Ints, told: Bools, unknown: Bools, cause: Ints, high: Floats, length: Floats, limits: Floats
) -> tuple[Floats, Floats]:
    """The level at which lives end below the limit, and how long those lived, NaN where they do not.

    Known to be so where the runtime gave up at a heap limit of its own. Else three rises that ended alike,
    a tenth or more below the limit and for no known reason, say the same.
    """
    containers = len(limits)
    level, lived = np.full(containers, np.nan), np.full(containers, np.nan)
    by_heap = told & (cause == EndCause.HEAP_LIMIT.value)
    unknown = told & unknown
    for row in np.unique(owner[by_heap | unknown]):
        mine = owner == row
        which = mine & by_heap
        if not which.any():
            which = mine & unknown
            highs = high[which]
            usual = float(np.median(highs))
            alike = (np.abs(highs - usual) < _ALIKE_SHARE * usual).sum()
            if alike < max(_ALIKE_ENDS, 0.75 * len(highs)) or usual > _BELOW_LIMIT * limits[row]:
                continue
        level[row], lived[row] = np.median(high[which]), np.median(length[which])
    return level, lived


def _extremes(summary: SampleSummary, lives: int) -> tuple[Floats, Floats]:
    low, high = np.full(lives, np.inf), np.full(lives, -np.inf)
    np.minimum.at(low, summary.life, summary.mean)
    np.maximum.at(high, summary.life, summary.mean)
    return low, high


def _rise_course(summary: SampleSummary, low: Floats, rise: Floats, lives: int) -> tuple[Floats, Floats]:
    """Each life's mean level between its lowest (0) and its highest (1), and its correlation with time."""
    life = summary.life
    count = np.maximum(np.bincount(life, minlength=lives), 1)
    mid_time = np.bincount(life, summary.time, lives) / count
    mid_value = np.bincount(life, summary.mean, lives) / count
    dt, dv = summary.time - mid_time[life], summary.mean - mid_value[life]
    power = np.bincount(life, dt * dt, lives) * np.bincount(life, dv * dv, lives)
    together = np.bincount(life, dt * dv, lives) / np.sqrt(np.maximum(power, 1e-9))
    return (mid_value - low) / np.maximum(rise, 1.0), together


def _outlasted(
    summary: SampleSummary, owner: Ints, ended: Bools, rose: Bools, length: Floats, rise: Floats, now: Floats
) -> Bools:
    """Containers whose running life has outlasted its forerunners' usual rise without growing as they did.

    Where no rise was seen, only the time from one start to the next is known.
    """
    containers = len(summary.samples)
    some = ended & rose
    rises = np.bincount(owner, some, containers)
    ends = np.bincount(owner, ended, containers)
    usual_rise = np.bincount(owner, some * rise, containers) / np.maximum(rises, 1)
    running = np.nonzero(~ended)[0]
    mine = owner[running]
    lived, whole = np.zeros(containers), np.nan_to_num(summary.last - summary.first)
    lived[mine] = length[running]
    between = (whole - lived) / np.maximum(ends, 1)
    usual = np.where(rises > 0, np.bincount(owner, some * length, containers) / np.maximum(rises, 1), between)
    grew = np.zeros(containers)
    grew[mine] = now[running]
    expected = usual_rise * np.minimum(lived / np.maximum(usual, 1.0), 1.0)
    return np.asarray((lived > _LONG_ENOUGH * usual) & (grew < np.maximum(_GREW * expected, 1.0)))
