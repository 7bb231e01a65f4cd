"""The selected row as a drawing."""

from __future__ import annotations

from memtop import wording
from memtop.observe.frame import Frame
from widgets.trend import Trend


def trend_of(frame: Frame) -> Trend | None:
    """What the plot shows of a frame's selected row; None where nothing is selected."""
    detail = frame.detail
    if detail is None:
        return None
    judgement = detail.judgement
    caption = ""
    if judgement is not None:
        caption = f"{judgement.certainty}: {judgement.evidence()}"
        if judgement.verdict.value == "not enough data":
            caption = judgement.evidence()
    elif not len(detail.values):
        caption = f"memory {wording.UNKNOWN}: no sample yet"
    return Trend(
        title=detail.title,
        times=detail.times.tolist(),
        values=detail.values.tolist(),
        limit=detail.limit,
        request=detail.request,
        restarts=detail.restarts,
        oom_kills=detail.oom_kills,
        caption=caption,
    )
