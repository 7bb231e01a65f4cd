"""How lives ended before a change, and how surely they no longer do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memtop.growth.series import Floats, Series

CHANCE = 0.01
"""What may still be luck: a fix is believed when its pods would have died with 99 % under the old version."""
_MOST_REGULAR = 9
_FEWEST_LIVES = 3
_HORIZON = 400 * 86400.0


@dataclass(frozen=True)
class Ends:
    """The ends that count of one side of a change.

    Attributes:
        count: How many there were.
        watched: Container-seconds over which they were counted.
        regular: How regular they are: 1 for ends at random, up to 9 for a clockwork.
    """

    count: int
    watched: float
    regular: int = 1

    @property
    def per_hour(self) -> float | None:
        """Ends of one container per hour; None where nothing was watched."""
        return self.count / self.watched * 3600.0 if self.watched > 0 else None

    @property
    def every(self) -> float | None:
        """Seconds that one container lives on average; None where none has ended."""
        return self.watched / self.count if self.count and self.watched > 0 else None

    def survival(self, seconds: float) -> float:
        """The chance that one container lives longer than that, if nothing has changed.

        Lives are taken as Erlang-distributed with the mean that was seen: exp(−kt/X)·Σ (kt/X)^j/j! for
        j < k. With k = 1, ends at random, that is the Poisson argument exp(−t/X): three lives without an end
        still happen by luck in 1 of 20. A leak kills like a clockwork (k up to 9), and one life and three
        quarters tell as much (Cox, Renewal Theory, 1962, ch. 1).
        """
        if self.every is None or seconds <= 0:
            return 1.0
        stages = self.regular * seconds / self.every
        if stages > 500:
            return 0.0
        term = total = 1.0
        for stage in range(1, self.regular):
            term *= stages / stage
            total += term
        return math.exp(-stages) * total

    def luck(self, lived: Sequence[float]) -> float:
        """The chance that containers have all lived that long (seconds each) though nothing has changed."""
        return math.prod(self.survival(seconds) for seconds in lived)

    def missing(self, lived: Sequence[float]) -> float:
        """Seconds more that all of them must live until luck is at most `CHANCE`."""
        if not self.count or self.luck(lived) <= CHANCE:
            return 0.0
        if not lived:
            return math.inf
        low, high = 0.0, _HORIZON
        if self.luck([seconds + high for seconds in lived]) > CHANCE:
            return math.inf
        while high - low > 1.0:
            middle = (low + high) / 2
            if self.luck([seconds + middle for seconds in lived]) > CHANCE:
                low = middle
            else:
                high = middle
        return high


def ends(series: Sequence[Series], spans: Sequence[tuple[float, float]], *, oom: bool) -> Ends:
    """Counts the ends of one side.

    Args:
        series: Its containers.
        spans: From when to when each was watched, Unix seconds.
        oom: Whether OOM kills count; else all restarts do (V8 and the JVM die of their own heap limit,
            without an OOM kill).
    """
    moments = [one.oom_kills if oom else one.restarts for one in series]
    count = sum(len(one) for one in moments)
    watched = sum(max(end - begin, 0.0) for begin, end in spans)
    return Ends(count, watched, _regularity(moments))


def _regularity(moments: Sequence[Floats]) -> int:
    """The shape of an Erlang distribution by the spread of whole lives (method of moments, k = 1/CV²)."""
    lives = np.concatenate([np.empty(0), *(np.diff(np.sort(one)) for one in moments)])
    lives = lives[lives > 0]
    if len(lives) < _FEWEST_LIVES:
        return 1
    variation = float(lives.std(ddof=1) / lives.mean())
    return int(np.clip(1.0 / max(variation, 0.1) ** 2, 1, min(_MOST_REGULAR, len(lives))))


def more_often(before: Ends, after: Ends) -> bool:
    """Whether ends have surely become more frequent: 1 in 100 by chance.

    Given all ends together, those after the change are binomial with the share of the time that was watched
    after it, if nothing has changed (Przyborowski and Wilenski 1940).
    """
    if after.count < 2 or before.watched <= 0 or after.watched <= 0:
        return False
    together, total = before.watched + after.watched, before.count + after.count
    more, less = math.log(after.watched / together), math.log(before.watched / together)
    chance = 0.0
    for count in range(after.count, total + 1):
        # By logarithms: a crash loop ends thousands of times, and that many orders overflow a float.
        orders = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
        chance += math.exp(orders + count * more + (total - count) * less)
    return chance < CHANCE
