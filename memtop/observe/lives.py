"""The lives of a container: when it ended, when it started again, and how often within the last hour."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from math import inf

import numpy as np

from memtop.cluster.containers import ContainerFacts, Termination
from memtop.past import NOTICED_WITHIN, Floats, matched

REMEMBERED = 200
HOUR = 3600.0


@dataclass(slots=True)
class Lives:
    """What has been seen of one container's ends and starts.

    Attributes:
        created_at: Creation of the pod, Unix seconds.
        first_seen: When memtop saw the container first, Unix seconds.
        ends: Known ends, oldest first.
        starts: Known starts after an end, Unix seconds, oldest first.
    """

    created_at: float
    first_seen: float
    ends: list[Termination] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    _counts: list[tuple[float, int]] = field(default_factory=list)
    _told_kills: list[float] = field(default_factory=list)

    def observe(self, facts: ContainerFacts, now: float) -> None:
        """Takes in one status; what is already known is not counted twice."""
        for end in facts.terminations:
            if all(end != known for known in self.ends[-4:]):
                self.ends.append(end)
        if facts.restarts and facts.started_at is not None and facts.started_at not in self.starts[-2:]:
            self.starts.append(facts.started_at)
        if not self._counts or self._counts[-1][1] != facts.restarts:
            self._counts.append((now, facts.restarts))
        del self.ends[:-REMEMBERED], self.starts[:-REMEMBERED], self._counts[:-REMEMBERED]

    def recall(self, times: Floats, counts: Floats, oom_kills: Floats) -> None:
        """Takes in what somebody else counted before the container was first seen here.

        A count that falls, or that is higher than what was seen first, was of an earlier pod of that name.

        Args:
            times: Unix seconds, ascending.
            counts: Restarts by then.
            oom_kills: When it was OOM-killed, as near as its samples tell, Unix seconds, ascending.
        """
        if len(oom_kills) and not self._told_kills:
            here = np.array([end.finished_at or self.first_seen for end in self.ends if end.oom])
            told = oom_kills[(oom_kills >= self.created_at) & (oom_kills < self.first_seen)]
            self._told_kills = told[matched(told, here, NOTICED_WITHIN) < 0].tolist()
        known: list[tuple[float, int]] = []
        ceiling = self._counts[0][1] if self._counts else 0
        for at, count in zip(times[::-1].tolist(), counts[::-1].astype(int).tolist(), strict=True):
            if at >= self.first_seen:
                continue
            if at < self.created_at or count > ceiling:
                break
            known.append((at, count))
            ceiling = count
        if known:
            self._counts = [*reversed(known), *self._counts][-REMEMBERED:]
            self.first_seen = self._counts[0][0] if len(self._counts) == REMEMBERED else known[-1][0]

    @property
    def last(self) -> Termination | None:
        """The newest end, or None."""
        return self.ends[-1] if self.ends else None

    def restarts_within(self, now: float, window: float = HOUR) -> tuple[int, bool]:
        """Restarts between `now` − `window` and `now`, and whether that is exact or only a lower bound.

        It is exact for a pod younger than the window, for a container observed for the whole of it, and
        where the last end is older than the window.
        """
        total = self._counts[-1][1] if self._counts else 0
        since = now - window
        if self.created_at >= since:
            return total, True
        if self.first_seen <= since:
            index = bisect_right(self._counts, since, key=lambda entry: entry[0]) - 1
            return total - self._counts[max(index, 0)][1], True
        known_ends = sum(1 for end in self.ends if end.finished_at is not None and end.finished_at > since)
        last = self.last
        if not known_ends and last is not None and last.finished_at is not None:
            return 0, True
        seen = total - self._counts[0][1]
        return max(seen, min(known_ends, total)), total == 0

    def oom_kills_within(self, now: float, window: float = HOUR) -> int:
        """OOM kills known to have happened between `now` − `window` and `now`."""
        seen = sum(
            1 for end in self.ends if end.oom and (end.finished_at is None or end.finished_at > now - window)
        )
        return seen + sum(1 for at in self._told_kills if at > now - window)

    def next_change(self, now: float, window: float = HOUR) -> float:
        """When a figure of the last `window` may change by the passing of time alone; infinity for never."""
        moments = [self.created_at, self.first_seen]
        moments += [moment for moment, _ in self._counts]
        moments += [end.finished_at for end in self.ends if end.finished_at is not None]
        moments += self._told_kills
        return min((moment + window for moment in moments if moment + window >= now), default=inf)

    def oom_times(self) -> list[float]:
        """When it was OOM-killed, as far as known, Unix seconds, oldest first."""
        return [end.finished_at for end in self.ends if end.oom and end.finished_at is not None]
