"""A container's memory from before memtop looked, as a series of one metric, joined to live samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from memtop.analysis.memory_series import Series

Floats = npt.NDArray[np.float64]
Metric = Literal["rss", "working_set", "usage"]

NOTICED_WITHIN = 330.0
"""Seconds between an event and the sample that showed it: two steps of a day's grid, and scrapes."""
MIN_SAMPLES_OF_LIFE = 4
"""Samples of a life that is over, below which it shows no slope."""
ORIGIN_PROMETHEUS, ORIGIN_DISK = "Prometheus", "disk"
"""Who may remember."""
METRIC_WORDS: dict[Metric, str] = {"rss": "RSS", "working_set": "working set", "usage": "usage"}
"""What a person calls each metric."""


class ContainerName(NamedTuple):
    """What metrics call a container. A pod created again under its name (StatefulSet) has the same one."""

    namespace: str
    pod: str
    container: str


def no_times() -> Floats:
    """No times at all."""
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class PastSeries:
    """One container's memory over a stretch of time, in one metric.

    Attributes:
        metric: Which memory the values are.
        origin: Who remembered it, for people: `PROMETHEUS` or `ORIGIN_DISK`.
        times: Unix seconds, ascending, shape (n,).
        values: Bytes, shape (n,).
        restarts: When the container started again, Unix seconds, ascending.
        oom_kills: When it was OOM-killed.
        limit: Its memory limit in bytes at the end of that time; None without one, or where not known.
        counted: How often it had restarted, and when somebody counted that: Unix seconds and restarts, where
            the count begins and wherever it rose; None where nobody counts.
    """

    metric: Metric
    origin: str
    times: Floats
    values: Floats
    restarts: Floats = field(default_factory=no_times)
    oom_kills: Floats = field(default_factory=no_times)
    limit: float | None = None
    counted: tuple[Floats, Floats] | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def span(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.times[-1] - self.times[0]) if len(self.times) else 0.0

    def before(self, moment: float) -> PastSeries:
        """The part older than a moment, Unix seconds."""
        kept = self.times < moment
        return PastSeries(
            self.metric,
            self.origin,
            self.times[kept],
            self.values[kept],
            self.restarts[self.restarts < moment],
            self.oom_kills[self.oom_kills < moment],
            self.limit,
            self.counted,
        )


def match_times(coarse: Floats, exact: Floats, tolerance: float) -> npt.NDArray[np.intp]:
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


def merge_times(exact: Floats, coarse: Floats, tolerance: float) -> Floats:
    """Events known from two sides, once each; arguments as in `matched`."""
    unexplained = coarse[match_times(coarse, exact, tolerance) < 0]
    return np.sort(np.concatenate([exact, unexplained]))


def join_past_and_live(past: PastSeries | None, live: Series) -> Series:
    """The remembered past and what was seen since, as one series of one metric, without a seam.

    Live samples win where both are there. A restart seen on both sides is one, at the time the kubelet says.

    Args:
        past: What is remembered, in the metric of `live`; None for nothing.
        live: What was seen.
    """
    if past is None or not len(past):
        return live
    before = past.before(float(live.timestamps[0])) if len(live.timestamps) else past
    return Series(
        np.concatenate([before.times, live.timestamps]),
        np.concatenate([before.values, live.values]),
        merge_times(np.sort(live.restarts), before.restarts, NOTICED_WITHIN),
        merge_times(np.sort(live.oom_kills), before.oom_kills, NOTICED_WITHIN),
        past.limit if live.limit is None else live.limit,
    )


def with_live_limit(past: PastSeries, seen: Series) -> Series:
    """The series of another metric, with the ends and the room to the limit of the one that was seen.

    The kernel kills by the working set (more exactly, by what cannot be reclaimed), whichever metric is
    judged: so the limit is moved by what the two metrics differ now, and the room left stays what it is.

    Args:
        past: Another metric's series.
        seen: The working set of the same container.
    """
    limit = seen.limit
    if limit is not None and len(seen.values) and len(past):
        limit = max(limit + float(past.values[-1] - seen.values[-1]), 1.0)
    return Series(
        past.times,
        past.values,
        merge_times(np.sort(seen.restarts), past.restarts, NOTICED_WITHIN),
        merge_times(np.sort(seen.oom_kills), past.oom_kills, NOTICED_WITHIN),
        limit,
    )


def drop_short_lives(series: Series) -> Series:
    """The part of a series that growth can be read from.

    A life that ended within a step or two of a coarse grid has left one or two samples, wherever on its way
    it happened to be seen: together they look like noise. Such lives go, all but the latest, and with them
    the ends before the first sample that is left.
    """
    if not len(series.restarts) or not len(series.timestamps):
        return series
    life = np.searchsorted(np.sort(series.restarts), series.timestamps, "right")
    kept = (np.bincount(life)[life] >= MIN_SAMPLES_OF_LIFE) | (life == life[-1])
    times = series.timestamps[kept]
    return Series(
        times,
        series.values[kept],
        series.restarts[series.restarts > times[0]],
        series.oom_kills[series.oom_kills > times[0]],
        series.limit,
    )
