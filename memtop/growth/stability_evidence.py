"""The two sides of a change: what is known of each, and what that comes to in figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth.series import Series
from memtop.growth.stability_slope import HOUR


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one side of a change.

    Attributes:
        series: One per container that plays the same part, of every pod of the revision, in one metric.
        spans: From when to when each of them was watched, Unix seconds; by default its samples say so.
        limit: The limit that the revision sets, bytes; by default the largest of its series'.
    """

    series: tuple[Series, ...] = ()
    spans: tuple[tuple[float, float], ...] = ()
    limit: float | None = None

    def __post_init__(self) -> None:
        if len(self.spans) != len(self.series):
            object.__setattr__(self, "spans", tuple(_span(one) for one in self.series))
        limits = [one.limit for one in self.series if one.limit is not None]
        if self.limit is None and limits:
            object.__setattr__(self, "limit", max(limits))

    @property
    def known(self) -> bool:
        """Whether there is any sample, or any end."""
        return any(len(one.values) or len(one.restarts) or len(one.oom_kills) for one in self.series)


@dataclass(frozen=True)
class Side:
    """One side of a change in figures.

    Attributes:
        pods: Containers counted.
        rate: Growth of the floor, bytes per hour; None where not known.
        rate_low: Lower end of its 95 % interval.
        rate_high: Upper end of it.
        leaks: Whether it surely leaks.
        shape: What the memory does, in a word.
        oom_kills: How many.
        restarts: How many, OOM kills among them.
        watched: Container-seconds over which these were counted.
        seconds: From the first to the last sample.
        limit: Bytes, None without one or where not known.
        peak: Highest memory, bytes; None where not known.
        seconds_to_limit: When the next would reach its limit; None for never, or not known.
    """

    pods: int = 0
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    leaks: bool = False
    shape: str = "not enough data"
    oom_kills: int = 0
    restarts: int = 0
    watched: float = 0.0
    seconds: float = 0.0
    limit: float | None = None
    peak: float | None = None
    seconds_to_limit: float | None = None

    @property
    def oom_per_hour(self) -> float | None:
        """OOM kills of one container per hour; None where nothing was watched."""
        return self.oom_kills / self.watched * HOUR if self.watched > 0 else None

    @property
    def restarts_per_hour(self) -> float | None:
        """Restarts of one container per hour; None where nothing was watched."""
        return self.restarts / self.watched * HOUR if self.watched > 0 else None


@dataclass(frozen=True)
class Wait:
    """Something that has to be waited for.

    Attributes:
        why: ``slope``, ``not flat``, ``samples``, ``ends``, ``day`` or ``size``.
        needed: Seconds in all.
        left: Seconds still to go.
    """

    why: str
    needed: float
    left: float


def _span(series: Series) -> tuple[float, float]:
    moments = np.concatenate([series.timestamps, series.restarts, series.oom_kills])
    return (float(moments.min()), float(moments.max())) if len(moments) else (0.0, 0.0)
