"""Deaths: lives that rise until they end. Nothing says *leak* more plainly, however short each life is.

An OOM kill is a measurement: at that moment memory was at the limit. A life that started low and ended so has
risen, even if nobody looked in between. A process that dies of its own heap limit (V8, the JVM) leaves no OOM
kill, but it too dies at the highest level of its life, again and again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth.series import Bools, Floats, Ints
from memtop.growth.summary import Summary

FEWEST_BUCKETS = 4
"""Buckets from which a life shows what it did."""
PRIOR = -4.6
"""Log-odds of a leak before anything is known: 1 container in 100."""
KILLED, DIED, IN_A_BLINK, OTHERWISE = 2.5, 2.0, 0.7, -1.5
"""What one life adds to the log-odds: a rise that ended in an OOM kill, a rise that ended otherwise, an OOM
kill with nothing seen before it, a life that ended without having risen.

Rises that end in deaths by chance (a restart just then, a batch) are about one in ten lives of healthy
containers, OOM kills of healthy containers rarer still; a bit less is taken, for lives of one container are
alike.
"""
_MOST, _MOST_IN_A_BLINK = 6.0, 2.2
_LEAST = -9.0
_MATERIAL, _NEGLIGIBLE = 0.2, 2.0 * 2**20
_AT_ITS_TOP, _TOGETHER = 0.75, 0.7
_EARLIEST, _LATEST, _LATEST_AT_THE_LIMIT = 0.2, 0.65, 0.9
_NEAR_LIMIT, _LOW = 0.85, 0.7
_LONG_ENOUGH, _GREW = 0.75, 0.35


@dataclass(frozen=True, eq=False)
class Deaths:
    """What the ends of each container's lives say, shape (n,).

    Attributes:
        log_odds: Of a leak, in a cluster where 1 container in 100 leaks; `PRIOR` where no life has ended.
        rises: How many lives rose until they ended.
    """

    log_odds: Floats
    rises: Ints

    def of(self, containers: Ints) -> Deaths:
        """Those of some containers."""
        return Deaths(self.log_odds[containers], self.rises[containers])


def deaths(summary: Summary, limits: Floats, oom_kills: Ints) -> Deaths:
    """Weighs how the lives of every container ended.

    A life *rose until it ended* when it ended within a quarter of its highest level, rose by a fifth of
    that, rose with time (correlation 0.7), and was on its way for a good part of it: a batch rises at the
    end only, a warm-up at the beginning only. Near the limit, or killed, the top may be longer: a full heap
    is collected for minutes before the runtime gives up.

    What the container does now has the last word: a life that outlasts the others and has not grown as they
    did is one that was fixed.

    Args:
        summary: Buckets of n containers.
        limits: Bytes, shape (n,), NaN for none.
        oom_kills: OOM kills inside the window, shape (n,).
    """
    owner, life = summary.life_container, summary.life
    containers, lives = len(summary.samples), len(owner)
    ended = np.zeros(lives, np.bool_)
    ended[:-1] = owner[1:] == owner[:-1]
    buckets = np.bincount(life, minlength=lives)
    low, high = _extremes(summary, lives)
    first = np.cumsum(buckets) - buckets
    last = first + buckets - 1
    length = summary.time[last] - summary.time[first]
    rise = high - low
    share, together = _course(summary, low, rise, lives)
    limit = limits[owner]
    ends = np.bincount(owner, ended, containers)
    killed = (oom_kills > 0) & (oom_kills >= 0.5 * ends)
    told = buckets >= FEWEST_BUCKETS
    near = killed[owner] | (high > _NEAR_LIMIT * limit)
    rose = (
        told
        & (rise > np.maximum(_MATERIAL * high, _NEGLIGIBLE))
        & (summary.mean[last] > low + _AT_ITS_TOP * rise)
        & (together > _TOGETHER)
        & (share > _EARLIEST)
        & (share < np.where(near, _LATEST_AT_THE_LIMIT, _LATEST))
    )
    blink = ended & ~told & killed[owner] & ~(low > _LOW * limit)
    rises = np.bincount(owner, rose & ended, containers).astype(np.int64)
    others = np.bincount(owner, told & ended & ~rose, containers)
    blinks = np.bincount(owner, blink, containers)
    by_kill = np.minimum(rises, oom_kills)
    log_odds = PRIOR + KILLED * by_kill + DIED * (rises - by_kill) + OTHERWISE * others
    log_odds += np.minimum(IN_A_BLINK * np.minimum(blinks, oom_kills), _MOST_IN_A_BLINK - PRIOR)
    mended = _mended(summary, owner, ended, rose, length, rise, summary.mean[last] - low)
    return Deaths(np.clip(np.where(mended, _LEAST, log_odds), _LEAST, _MOST), rises)


def _extremes(summary: Summary, lives: int) -> tuple[Floats, Floats]:
    low, high = np.full(lives, np.inf), np.full(lives, -np.inf)
    np.minimum.at(low, summary.life, summary.mean)
    np.maximum.at(high, summary.life, summary.mean)
    return low, high


def _course(summary: Summary, low: Floats, rise: Floats, lives: int) -> tuple[Floats, Floats]:
    """Each life's mean level between its lowest (0) and its highest (1), and its correlation with time."""
    life = summary.life
    count = np.maximum(np.bincount(life, minlength=lives), 1)
    mid_time = np.bincount(life, summary.time, lives) / count
    mid_value = np.bincount(life, summary.mean, lives) / count
    dt, dv = summary.time - mid_time[life], summary.mean - mid_value[life]
    power = np.bincount(life, dt * dt, lives) * np.bincount(life, dv * dv, lives)
    together = np.bincount(life, dt * dv, lives) / np.sqrt(np.maximum(power, 1e-9))
    return (mid_value - low) / np.maximum(rise, 1.0), together


def _mended(
    summary: Summary, owner: Ints, ended: Bools, rose: Bools, length: Floats, rise: Floats, now: Floats
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
