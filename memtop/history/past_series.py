"""A container's memory from before memtop looked, as a series of one metric, joined to live samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
STRETCH_SECONDS = 300.0
"""Seconds within which two observers of one memory are compared: the steps of the live samples that are kept
longest, so that these never stand in place of a denser past."""
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
        origin: Who remembered it, for people: `ORIGIN_PROMETHEUS` or `ORIGIN_DISK`.
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
    def has_data(self) -> bool:
        """Whether it has a sample, or knows of an end."""
        return bool(len(self.times) or len(self.restarts) or len(self.oom_kills))

    @property
    def span(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.times[-1] - self.times[0]) if len(self.times) else 0.0

    def before(self, moment: float) -> PastSeries:
        """The part older than a moment, Unix seconds."""
        kept = self.times < moment
        return replace(
            self,
            times=self.times[kept],
            values=self.values[kept],
            restarts=self.restarts[self.restarts < moment],
            oom_kills=self.oom_kills[self.oom_kills < moment],
        )


def match_times(coarse: Floats, exact: Floats, tolerance: float) -> npt.NDArray[np.intp]:
    """Finds the exact time of events that were seen only when somebody looked; each exact time is one event.

    The nearest pairs are matched first: of five restarts of which one is known exactly, that one is the last
    and not the first that lies within the tolerance.

    Args:
        coarse: When each event was noticed, Unix seconds.
        exact: Times known better.
        tolerance: Seconds by which the two may differ.

    Returns:
        For each coarse time the index of the exact one that is the same event, or -1.
    """
    found = np.full(len(coarse), -1, np.intp)
    if not len(coarse) or not len(exact):
        return found
    distance = np.abs(coarse[:, None] - exact[None, :])
    taken = np.zeros(len(exact), np.bool_)
    for pair in np.argsort(distance, axis=None, kind="stable").tolist():
        event, candidate = divmod(pair, len(exact))
        if distance[event, candidate] > tolerance:
            break
        if found[event] < 0 and not taken[candidate]:
            found[event] = candidate
            taken[candidate] = True
    return found


def merge_times(exact: Floats, coarse: Floats, tolerance: float) -> Floats:
    """Events known from two sides, once each; arguments as in `match_times`."""
    unexplained = coarse[match_times(coarse, exact, tolerance) < 0]
    return np.sort(np.concatenate([exact, unexplained]))


def merge_samples(
    times: Floats, values: Floats, other_times: Floats, other_values: Floats
) -> tuple[Floats, Floats]:
    """The samples that two observers took of one memory, as one series.

    Of each stretch of `STRETCH_SECONDS` the first observer is believed, unless the other has more than twice
    as many samples: so it does not matter how long the other has watched. What the other saw fills the gaps
    that are longer than half a stretch, and what is newer than everything is kept: nothing that matters is
    lost, and nothing is counted twice.

    Args:
        times: Of the first observer, Unix seconds, ascending.
        values: Bytes.
        other_times: Of the second, likewise.
        other_values: Bytes.

    Returns:
        Unix seconds, ascending, and bytes.
    """
    if not len(times) or not len(other_times):
        return (times, values) if len(times) else (other_times, other_values)
    every = np.concatenate([times, other_times])
    second = np.arange(len(every)) >= len(times)
    stretch = np.floor(every / STRETCH_SECONDS).astype(np.int64)
    stretch -= stretch.min()
    counts = [np.bincount(stretch[part], minlength=stretch.max() + 1) for part in (~second, second)]
    chosen = second == (counts[1] > 2 * counts[0])[stretch]
    believed = np.sort(every[chosen])
    after = np.searchsorted(believed, every)
    since = every - believed[np.maximum(after - 1, 0)]
    until = believed[np.minimum(after, len(believed) - 1)] - every
    chosen |= (after == len(believed)) & (since > 0)
    chosen |= np.minimum(np.abs(since), np.abs(until)) > STRETCH_SECONDS / 4
    order = np.flatnonzero(chosen)[np.argsort(every[chosen], kind="stable")]
    return every[order], np.concatenate([values, other_values])[order]


def merge_pasts(pasts: Sequence[PastSeries]) -> PastSeries:
    """What several origins remember of one container in one metric, as one series; Prometheus first.

    Args:
        pasts: At least one.
    """
    first, *others = sorted(pasts, key=lambda past: past.origin != ORIGIN_PROMETHEUS)
    for other in others:
        times, values = merge_samples(first.times, first.values, other.times, other.values)
        first = replace(
            first,
            origin=f"{first.origin} and {other.origin}",
            times=times,
            values=values,
            restarts=merge_times(other.restarts, first.restarts, NOTICED_WITHIN),
            oom_kills=merge_times(other.oom_kills, first.oom_kills, NOTICED_WITHIN),
            limit=other.limit if first.limit is None else first.limit,
        )
    return first


def merge_past_and_live(past: PastSeries | None, live: Series) -> Series:
    """What is remembered and what was seen, as one series of one metric: the same whoever watched how long.

    A restart known from both sides is one, at the time that the kubelet says.

    Args:
        past: What is remembered, in the metric of `live`; None for nothing.
        live: What was seen.
    """
    if past is None or not past.has_data:
        return live
    times, values = merge_samples(past.times, past.values, live.timestamps, live.values)
    return replace(
        live,
        timestamps=times,
        values=values,
        restarts=merge_times(np.sort(live.restarts), past.restarts, NOTICED_WITHIN),
        oom_kills=merge_times(np.sort(live.oom_kills), past.oom_kills, NOTICED_WITHIN),
        limit=past.limit if live.limit is None else live.limit,
    )


def with_live_limit(past: PastSeries, seen: Series) -> Series:
    """The series of another metric, with the ends and the room to the limit of the one that was seen.

    The kernel kills by the working set (more exactly, by what cannot be reclaimed), whichever metric is
    judged: so the limit is moved by what the two metrics differed at the last moment at which both are known,
    and the room left stays what it is.

    Args:
        past: Another metric's series.
        seen: The working set of the same container.
    """
    limit = seen.limit
    if limit is not None and len(seen.values) and len(past):
        together = float(np.interp(past.times[-1], seen.timestamps, seen.values))
        limit = max(limit + float(past.values[-1]) - together, 1.0)
    return replace(
        seen,
        timestamps=past.times,
        values=past.values,
        restarts=merge_times(np.sort(seen.restarts), past.restarts, NOTICED_WITHIN),
        oom_kills=merge_times(np.sort(seen.oom_kills), past.oom_kills, NOTICED_WITHIN),
        limit=limit,
        declared_limit=seen.limit,
    )


def drop_short_lives(series: Series) -> Series:
    """The part of a series that growth can be read from.

    A life that ended within a step or two of a coarse grid has left one or two samples, wherever on its way
    it happened to be seen: together they look like noise. Such lives go, all but the latest. That they ended,
    and how, is a fact and stays.
    """
    if not len(series.restarts) or not len(series.timestamps):
        return series
    life = np.searchsorted(np.sort(series.restarts), series.timestamps, "right")
    kept = (np.bincount(life)[life] >= MIN_SAMPLES_OF_LIFE) | (life == life[-1])
    return replace(series, timestamps=series.timestamps[kept], values=series.values[kept])


@dataclass(frozen=True)
class KernelFigures:
    """What the kernel counts of containers beside their memory; None where nobody exports it.

    Attributes:
        child_kills: OOM kills in its cgroups within the last hour, where there were any.
        stalled: Share of the time, 0..1, in which some process of it waited for memory.
        swapped: Bytes that are swapped out, where there are any.
        swap_limits: Bytes as ``container_swap_limit_bytes`` has them, where not 0.
    """

    child_kills: Mapping[ContainerName, int] | None = None
    stalled: Mapping[ContainerName, float] | None = None
    swapped: Mapping[ContainerName, float] | None = None
    swap_limits: Mapping[ContainerName, float] | None = None
