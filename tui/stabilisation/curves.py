"""From the sides of a change to the curves of the graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from memtop.growth import Series
from memtop.stabilisation.watch import Seen
from widgets.before_after import Comparison, Curve

HOUR = 3600.0
RANGES = {"the change": 0.0, "1 h": HOUR, "6 h": 6 * HOUR, "24 h": 24 * HOUR, "7 d": 168 * HOUR}
"""Stretches of time that the graph can show; 0 for as much before the change as there is since."""
MOST = 24
"""Curves drawn of each side: the newest."""


def by_clock(seen: Seen, stretch: float) -> Comparison:
    """Both sides in absolute time.

    Args:
        seen: What is known.
        stretch: Seconds back from now; 0 for about as much before the change as there is since.
    """
    sides = seen.sides[seen.container]
    since = max(seen.at - seen.change.at, 600.0)
    start = seen.at - stretch if stretch else seen.change.at - max(since, HOUR)
    known = [
        one.timestamps[0] for side in (sides.before, sides.after) for one in side.series if len(one.values)
    ]
    start = max(start, min(known, default=start))
    kills = [float(at) for side in (sides.before, sides.after) for one in side.series for at in one.oom_kills]
    return Comparison(
        before=[(one.timestamps, one.values) for one in sides.before.series[-MOST:]],  # type: ignore[misc]
        after=[(one.timestamps, one.values) for one in sides.after.series[-MOST:]],  # type: ignore[misc]
        span=(float(start), seen.at),
        changed_at=seen.change.at,
        limits=(sides.before.limit, sides.after.limit),
        oom_kills=kills,
    )


def by_age(seen: Seen, stretch: float) -> Comparison:
    """The lives of both sides laid over one another by the time since each began.

    Args:
        seen: What is known.
        stretch: The longest age shown, seconds; 0 for the oldest of the new pods, half as much again.
    """
    sides = seen.sides[seen.container]
    old = [life for one in sides.before.series for life in _lives(one, begun=False)][-MOST:]
    new = [life for one in sides.after.series for life in _lives(one, begun=True)][-MOST:]
    before, after = [curve for curve, _ in old], [curve for curve, _ in new]
    kills = [float(curve[0][-1]) for curve, killed in (*old, *new) if killed]
    newest = max((float(curve[0][-1]) for curve in after), default=0.0)
    oldest = max((float(curve[0][-1]) for curve in (*before, *after)), default=0.0)
    end = stretch or max(1.5 * newest, HOUR)
    return Comparison(
        before=before,
        after=after,
        span=(0.0, max(min(end, oldest), 60.0)),
        limits=(sides.before.limit, sides.after.limit),
        oom_kills=kills,
        by_age=True,
    )


def _lives(series: Series, *, begun: bool) -> Iterator[tuple[Curve, bool]]:
    """Each life of a container at its age, and whether an OOM kill ended it.

    Args:
        series: The container's samples.
        begun: Whether it began with the first of them. If not, the age of its first life is not known, and
            that life is left out if there are others.
    """
    cuts: Sequence[float] = sorted(series.restarts.tolist())
    for begin, end in zip([-math.inf, *cuts], [*cuts, math.inf], strict=True):
        inside = (series.timestamps >= begin) & (series.timestamps < end)
        if np.count_nonzero(inside) < 2 or (not begun and cuts and not math.isfinite(begin)):
            continue
        times = series.timestamps[inside]
        start = begin if math.isfinite(begin) else float(times[0])
        killed = bool(((series.oom_kills > start) & (series.oom_kills <= end)).any())
        yield ((times - start).tolist(), series.values[inside].tolist()), killed
