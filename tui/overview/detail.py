"""The selected row as a drawing."""

from __future__ import annotations

import numpy as np

from memtop import wording
from memtop.growth.judgement import Verdict
from memtop.observe.frame import Detail, Frame
from widgets.trend import Trend


def trend_of(frame: Frame, since: float = 0.0, note: str = "") -> Trend | None:
    """What the plot shows of a frame's selected row; None where nothing is selected.

    Args:
        frame: The frame.
        since: Where the graph begins, Unix seconds.
        note: What is to be said of that stretch of time.
    """
    detail = frame.detail
    if detail is None:
        return None
    drawn = detail.times >= since
    return Trend(
        title=detail.title,
        times=detail.times[drawn].tolist(),
        values=detail.values[drawn].tolist(),
        limit=detail.limit,
        request=detail.request,
        restarts=[moment for moment in detail.restarts if moment >= since],
        oom_kills=[moment for moment in detail.oom_kills if moment >= since],
        floor=_floor(detail, since),
        caption=_caption(detail),
        note=note,
    )


def _floor(detail: Detail, since: float) -> tuple[list[float], list[float]] | None:
    """The fitted floor from a moment on; None where there is none."""
    if detail.floor is None or detail.floor[0][-1] <= since:
        return None
    times, values = detail.floor
    later = times > since
    if later.all():
        return times.tolist(), values.tolist()
    start = float(np.interp(since, times, values))
    return [since, *times[later].tolist()], [start, *values[later].tolist()]


def _caption(detail: Detail) -> str:
    judgement = detail.judgement
    if detail.awaited is not None:
        return detail.awaited
    if judgement is None:
        return "" if len(detail.values) else f"memory {wording.UNKNOWN}: no sample yet"
    if judgement.verdict is Verdict.NOT_ENOUGH_DATA:
        return judgement.evidence()
    return f"{judgement.certainty}: {judgement.evidence()}"
