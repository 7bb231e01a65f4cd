"""Memory limit and request from what was seen: highest memory of each day, its spread, deaths included.

A leak is never sized: any limit is reached, so what is said instead is how many hours a higher one buys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memtop.analysis.judgement import Judgement, Verdict
from memtop.analysis.memory_series import Series
from memtop.wording import bytes_, counted, duration, rate

WANTED_DAYS = 7
"""A week has its quiet days and its batch days; what is known of less may miss the highest."""
MARGIN = 0.15
"""Above the highest memory seen, for what has not been seen yet: VPA and krr add 15 % as well."""
SPREADS = 3.0
"""Standard deviations of the daily peaks, where these differ by more than the margin."""
UNSEEN_NEED = 1.5
"""Where it was killed at its limit, what it needs beyond that was never seen: half as much again, to be
looked at afterwards."""
NEAR_ENOUGH = 0.1
"""A size within a tenth of the one that stands is not worth a rollout."""
STEP = 16 * 2**20
"""Sizes are whole multiples of 16 MiB: more digits would look like knowledge."""
DAY = 86_400.0


@dataclass(frozen=True)
class SizeAdvice:
    """Sizes for one container.

    Attributes:
        limit: Bytes; None where none can be given.
        request: Bytes; None where none can be given.
        reason: Why, in sentences.
        sure: How sure it is, and what is missing.
        worth_it: Whether it differs enough from what stands.
    """

    limit: int | None
    request: int | None
    reason: str
    sure: str
    worth_it: bool


@dataclass(frozen=True)
class DailyPeaks:
    """The highest memory of each day.

    Attributes:
        peaks: Bytes, the oldest day first.
        floor: Lowest memory that was held after the first minutes, bytes.
        days: For how long there are samples, in days.
        oom_kills: OOM kills in that time.
        restarts: Restarts in that time.
    """

    peaks: tuple[float, ...]
    floor: float
    days: float
    oom_kills: int
    restarts: int


def daily_peaks(series: Sequence[Series]) -> DailyPeaks | None:
    """What some containers of one name held at most on each day; None without any sample.

    Args:
        series: Of all pods, in bytes of one metric.
    """
    known = [one for one in series if len(one.values)]
    if not known:
        return None
    times = np.concatenate([one.timestamps for one in known])
    values = np.concatenate([one.values for one in known])
    day = np.floor((times - times.min()) / DAY).astype(np.int64)
    peaks = tuple(float(values[day == one].max()) for one in np.unique(day))
    return DailyPeaks(
        peaks,
        float(np.quantile(values, 0.05)),
        float(times.max() - times.min()) / DAY,
        sum(len(one.oom_kills) for one in known),
        sum(len(one.restarts) for one in known),
    )


def size_advice(
    peaks: DailyPeaks | None, judged: Judgement, limit: float | None, request: float | None
) -> SizeAdvice:
    """Sizes for a container, or why there are none.

    Args:
        peaks: What was seen.
        judged: What is judged of it.
        limit: Its present limit, bytes.
        request: Its present request, bytes.
    """
    if judged.verdict is Verdict.LEAK:
        return SizeAdvice(None, None, _leak_reason(judged, limit), "no limit fits a leak", worth_it=False)
    if peaks is None:
        return SizeAdvice(None, None, "no sample of it is kept", "nothing is known", worth_it=False)
    highest, spread = max(peaks.peaks), float(np.std(peaks.peaks)) if len(peaks.peaks) > 1 else 0.0
    deaths = max(peaks.oom_kills, judged.oom_kills, judged.memory_deaths)
    if deaths and limit is not None:
        wanted = max(highest, limit) * UNSEEN_NEED
        why = (
            f"It was killed for memory {counted(deaths, 'time')} at {bytes_(limit)}, so what it needs beyond "
            f"that was never seen: half as much again, and look at the peaks afterwards."
        )
    else:
        wanted = highest + max(MARGIN * highest, SPREADS * spread)
        why = (
            f"Highest memory {bytes_(highest)}, daily peaks differ by {bytes_(spread)} (standard deviation), "
            f"floor {bytes_(peaks.floor)}, no OOM kill: the limit is the highest and "
            f"{'15 %' if MARGIN * highest >= SPREADS * spread else 'three standard deviations'}."
        )
    new_limit = _rounded(wanted)
    new_request = min(_rounded(float(np.median(peaks.peaks))), new_limit)
    why += f" The request is what it holds at the peak of a usual day, {bytes_(new_request)}."
    worth = _differs(limit, new_limit) or _differs(request, new_request)
    return SizeAdvice(new_limit, new_request, why, _sure(peaks, spread, highest), worth)


def quantity(size: int) -> str:
    """Bytes as a Kubernetes quantity: ``1536Mi``, ``2Gi``."""
    mebibytes = size // 2**20
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def _leak_reason(judged: Judgement, limit: float | None) -> str:
    """What a higher limit buys of a leak, in hours, at the rate that is known."""
    said = f"It is a {judged.certainty}: {judged.evidence()}."
    if judged.rate is None or judged.rate <= 0 or limit is None:
        return f"{said} A higher limit only postpones the next kill; for how long is not known."
    bought = limit / judged.rate * 3600.0
    return (
        f"{said} At {rate(judged.rate)} doubling the limit to {bytes_(2 * limit)} buys {duration(bought)} "
        "for each pod, once, and holds that much more memory."
    )


def _sure(peaks: DailyPeaks, spread: float, highest: float) -> str:
    seen = duration(peaks.days * DAY)
    if peaks.days < WANTED_DAYS:
        return f"not yet sure: {seen} seen; {WANTED_DAYS} days wanted"
    if spread > MARGIN * highest:
        return f"fairly sure: {seen} seen, but its days differ much"
    return f"sure: {seen} seen"


def _rounded(size: float) -> int:
    return max(1, math.ceil(size / STEP)) * STEP


def _differs(present: float | None, wanted: int) -> bool:
    return present is None or abs(present - wanted) > NEAR_ENOUGH * present
