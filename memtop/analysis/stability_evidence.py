"""The two sides of a change as values: the evidence for each, its figures, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from memtop.analysis.judgement import SUSPECTED_LEAK, Verdict
from memtop.analysis.memory_series import Floats, Series
from memtop.analysis.stability_statistics import HOUR

LoadSignal = Literal["cpu", "received", "requests"]
FEWEST_LOAD_SAMPLES = 3
"""Below this an average says nothing of a load: the first sample after a start is that of the start."""
LEAST_CORES, LEAST_TRAFFIC = 0.001, 1024.0
"""An old level below this is no sign of load: an idle Python pod of the lab used 0.0003 cores and received 2
to 5 bytes a second; probes and scrapes every few seconds make some hundred."""
LEAST_REQUESTS = 1 / 60
"""Requests a second below which an old level is none to compare with: a probe asks more often."""
LIKE_BEFORE = 0.75
"""From this share on a load is as much as before: the hours of a day differ by as much."""


@dataclass(frozen=True, eq=False)
class LoadSeries:
    """A sign of how much a container, or its pod, has to do.

    Attributes:
        signal: ``cpu``, in cores of the container, ``received``, in bytes a second of its pod, or
            ``requests``, in requests a second that the pod answers.
        times: Unix seconds, ascending, shape (n,).
        values: Of the signal, shape (n,).
    """

    signal: LoadSignal
    times: Floats
    values: Floats


@dataclass(frozen=True, eq=False)
class ChangeEvidence:
    """What is known of one side of a change.

    Attributes:
        series: One per container that plays the same part, of every pod of the revision, in one metric.
        spans: From when to when each of them was watched, Unix seconds; by default its samples say so.
        limit: The limit that the revision sets, bytes; by default the largest of its series'.
        loads: Signs of load of the same pods, in any order; empty where nothing is known of it.
    """

    series: tuple[Series, ...] = ()
    spans: tuple[tuple[float, float], ...] = ()
    limit: float | None = None
    loads: tuple[LoadSeries, ...] = ()

    def __post_init__(self) -> None:
        if len(self.spans) != len(self.series):
            object.__setattr__(self, "spans", tuple(_watched_span(one) for one in self.series))
        limits = [one.limit for one in self.series if one.limit is not None]
        if self.limit is None and limits:
            object.__setattr__(self, "limit", max(limits))

    @property
    def known(self) -> bool:
        """Whether there is any sample, or any end."""
        return any(len(one.values) or len(one.restarts) or len(one.oom_kills) for one in self.series)

    def until(self, moment: float) -> ChangeEvidence:
        """What was known of it at an earlier moment, Unix seconds."""
        begun = [place for place, (begin, _) in enumerate(self.spans) if begin < moment]
        loads = ((one, one.times <= moment) for one in self.loads)
        return ChangeEvidence(
            tuple(self.series[place].until(moment) for place in begun),
            tuple((self.spans[place][0], min(self.spans[place][1], moment)) for place in begun),
            self.limit,
            tuple(LoadSeries(one.signal, one.times[kept], one.values[kept]) for one, kept in loads),
        )

    def load(self, signal: LoadSignal) -> float | None:
        """The usual load of one container; None where too little is known.

        The median, for a start or the last collections of a full heap are not the load; the mean of what is
        idle most of the time, and of requests, which are the work itself.
        """
        values = np.concatenate([np.empty(0), *(one.values for one in self.loads if one.signal == signal)])
        if len(values) < FEWEST_LOAD_SAMPLES:
            return None
        if signal == "requests":
            return float(values.mean())
        return float(np.median(values)) or float(values.mean())

    def requests_since(self, moment: float) -> float | None:
        """Requests that the pod which answered most has answered since a moment; None where nobody counts."""
        counted = []
        for one in self.loads:
            since = one.times >= moment
            if one.signal == "requests" and since.sum() > 1:
                counted.append(float(np.trapezoid(one.values[since], one.times[since])))
        return max(counted, default=None)


@dataclass(frozen=True)
class SideFigures:
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
        cpu: Cores that one container uses as a rule; None where not known.
        received: Bytes that one pod receives in a second as a rule; None where not known.
        requests: Requests that one pod answers in a second on average; None where nobody counts them.
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
    cpu: float | None = None
    received: float | None = None
    requests: float | None = None

    @property
    def grew(self) -> bool:
        """Whether it leaks, or is suspected to, at a rate that is known."""
        grows = self.leaks or self.shape in {Verdict.LEAK, SUSPECTED_LEAK}
        return grows and self.rate is not None and self.rate > 0

    @property
    def worst_seconds_to_limit(self) -> float | None:
        """Seconds to the limit if it grew by the upper end of its interval; None for never, or not known."""
        if self.limit is None or self.peak is None or self.rate_high is None or self.rate_high <= 0:
            return None
        return max(self.limit - self.peak, 0.0) / self.rate_high * HOUR

    @property
    def oom_per_hour(self) -> float | None:
        """OOM kills of one container per hour; None where nothing was watched."""
        return self.oom_kills / self.watched * HOUR if self.watched > 0 else None

    @property
    def restarts_per_hour(self) -> float | None:
        """Restarts of one container per hour; None where nothing was watched."""
        return self.restarts / self.watched * HOUR if self.watched > 0 else None


class StabilityVerdict(StrEnum):
    """What a change has done."""

    WATCHING = "watching"
    HOLDING = "holding"
    STILL_LEAKING = "still leaking"
    WORSE = "worse"
    ONLY_POSTPONED = "only postponed"

    @property
    def decided(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self is not StabilityVerdict.WATCHING


@dataclass(frozen=True)
class Stability:
    """The verdict on a change.

    Attributes:
        verdict: What it has done.
        sentence: Why, and what it stands on, in a line or two.
        since: Since when the verdict's evidence counts, Unix seconds; None where nothing was seen yet.
        needed_seconds: How long the new pods have to be watched in all, as far as that is known.
        remaining_seconds: How much of it is left; 0 when decided, None where that is not known.
        before: The figures before the change.
        after: The figures since.
        bought_seconds: What a raised limit has bought; None where it was not raised or nothing grows.
        watched_seconds: For how long there are samples since `since`, of the pod that has most; None where
            there are none.
        load_share: The load since the change as a share of that before, 1 for as much or more; None where it
            is not known of both sides.
        requests_done: Requests that a pod has answered since `since`; None where nobody counts them.
        requests_missing: How many more it takes until the old growth would have shown, at the present load;
            0 when decided, None where that is not known.
    """

    verdict: StabilityVerdict
    sentence: str
    since: float | None = None
    needed_seconds: float | None = None
    remaining_seconds: float | None = None
    before: SideFigures = SideFigures()
    after: SideFigures = SideFigures()
    bought_seconds: float | None = None
    watched_seconds: float | None = None
    load_share: float | None = None
    requests_done: float | None = None
    requests_missing: float | None = None


@dataclass(frozen=True)
class PendingWait:
    """Something that has to be waited for.

    Attributes:
        reason: ``slope``, ``not flat``, ``samples``, ``ends``, ``day``, ``size`` or ``load``.
        needed_seconds: Seconds in all.
        remaining_seconds: Seconds still to go.
    """

    reason: str
    needed_seconds: float
    remaining_seconds: float


def _watched_span(series: Series) -> tuple[float, float]:
    moments = np.concatenate([series.timestamps, series.restarts, series.oom_kills])
    return (float(moments.min()), float(moments.max())) if len(moments) else (0.0, 0.0)


def load_share(old: SideFigures, new: SideFigures) -> float | None:
    """The new load as a share of the old, at most 1; None where no signal is known of both sides.

    Requests where they are counted. Of several other signals the most favourable: a fix that saves
    collections needs less CPU for the same traffic, and an idle pod still answers its probes, but without
    traffic all signals fall.
    """
    if (counted := counted_share(old, new)) is not None:
        return min(counted, 1.0)
    both = ((old.cpu, new.cpu, LEAST_CORES), (old.received, new.received, LEAST_TRAFFIC))
    known = [now / was for was, now, least in both if was is not None and now is not None and was >= least]
    return min(max(known), 1.0) if known else None


def counted_share(old: SideFigures, new: SideFigures) -> float | None:
    """The new requests a second as a share of the old ones; None where they are not counted on both sides."""
    if old.requests is None or new.requests is None or old.requests < LEAST_REQUESTS:
        return None
    return new.requests / old.requests
