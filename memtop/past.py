"""What is known of a container's memory from before memtop looked: one metric, never two in one series."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Metric = Literal["rss", "working_set", "usage"]

WORDS: dict[Metric, str] = {"rss": "RSS", "working_set": "working set", "usage": "usage"}
"""What a person calls each metric."""


class ContainerName(NamedTuple):
    """What metrics call a container. A pod created again under its name (StatefulSet) has the same one."""

    namespace: str
    pod: str
    container: str


def nothing() -> Floats:
    """No times at all."""
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class Past:
    """One container's memory over a stretch of time, in one metric.

    Attributes:
        metric: Which memory the values are.
        origin: Who remembered it, for people: ``Prometheus`` or ``disk``.
        times: Unix seconds, ascending, shape (n,).
        values: Bytes, shape (n,).
        restarts: When the container started again, Unix seconds, ascending.
        oom_kills: When it was OOM-killed.
        limit: Its memory limit in bytes at the end of that time; None without one, or where not known.
    """

    metric: Metric
    origin: str
    times: Floats
    values: Floats
    restarts: Floats = field(default_factory=nothing)
    oom_kills: Floats = field(default_factory=nothing)
    limit: float | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def span(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.times[-1] - self.times[0]) if len(self.times) else 0.0

    def before(self, moment: float) -> Past:
        """The part older than a moment, Unix seconds."""
        kept = self.times < moment
        return Past(
            self.metric,
            self.origin,
            self.times[kept],
            self.values[kept],
            self.restarts[self.restarts < moment],
            self.oom_kills[self.oom_kills < moment],
            self.limit,
        )


def matched(coarse: Floats, exact: Floats, tolerance: float) -> npt.NDArray[np.intp]:
    """Finds the exact time of events that were seen only when somebody looked; each exact time is one event.

    Args:
        coarse: When each event was noticed, Unix seconds, ascending.
        exact: Times known better, ascending.
        tolerance: Seconds by which the two may differ.

    Returns:
        For each coarse time the index of the nearest exact one that no other has taken, or -1.
    """
    found = np.full(len(coarse), -1, np.intp)
    free = np.ones(len(exact), np.bool_)
    for event, moment in enumerate(coarse):
        if not free.any():
            break
        distance = np.where(free, np.abs(exact - moment), np.inf)
        nearest = int(np.argmin(distance))
        if distance[nearest] <= tolerance:
            found[event] = nearest
            free[nearest] = False
    return found


def merged_times(exact: Floats, coarse: Floats, tolerance: float) -> Floats:
    """Events known from two sides, once each; arguments as in `matched`."""
    unexplained = coarse[matched(coarse, exact, tolerance) < 0]
    return np.sort(np.concatenate([exact, unexplained]))
