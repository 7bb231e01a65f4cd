"""The two sides of a change: the evidence for each, its figures, and the sentences that say the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from memtop.analysis.memory_series import Series
from memtop.analysis.stability_statistics import HOUR
from memtop.wording import bytes_, counted, duration, rate


@dataclass(frozen=True, eq=False)
class ChangeEvidence:
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
            object.__setattr__(self, "spans", tuple(_watched_span(one) for one in self.series))
        limits = [one.limit for one in self.series if one.limit is not None]
        if self.limit is None and limits:
            object.__setattr__(self, "limit", max(limits))

    @property
    def known(self) -> bool:
        """Whether there is any sample, or any end."""
        return any(len(one.values) or len(one.restarts) or len(one.oom_kills) for one in self.series)


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
class PendingWait:
    """Something that has to be waited for.

    Attributes:
        why: ``slope``, ``not flat``, ``samples``, ``ends``, ``day`` or ``size``.
        needed: Seconds in all.
        left: Seconds still to go.
    """

    why: str
    needed: float
    left: float


def _watched_span(series: Series) -> tuple[float, float]:
    moments = np.concatenate([series.timestamps, series.restarts, series.oom_kills])
    return (float(moments.min()), float(moments.max())) if len(moments) else (0.0, 0.0)


NEXT_TO_NONE = 0.05
"""Share of the old growth up to which what may be left of it (with 95 %) is none, unless it surely grows."""


def slope_words(side: SideFigures) -> str:
    """The floor's growth with its 95 % interval: ``+1.2 MiB/h ±4 MiB/h``."""
    if side.rate is None:
        return "unknown"
    if side.rate_low is None or side.rate_high is None:
        return rate(side.rate)
    return f"{rate(side.rate)} ±{bytes_((side.rate_high - side.rate_low) / 2)}/h"


def nothing_seen_sentence(old: SideFigures) -> str:
    """No sample of the new pods has come."""
    return f"no sample of the new pods yet{_unknown_before(old)}"


def growing_sentence(verdict: str, old: SideFigures, new: SideFigures, bought: float | None) -> str:
    """It grows, or it dies, all the same."""
    parts = []
    if new.leaks:
        parts.append(f"the floor rises {slope_words(new)}{_was(old)}")
    if new.oom_kills:
        parts.append(f"{counted(new.oom_kills, 'OOM kill')} since the change{_pace(old, new)}")
    elif new.restarts and not new.leaks:
        parts.append(f"{counted(new.restarts, 'restart')} since the change")
    if verdict == "only postponed" and bought is not None:
        parts.append(f"the higher limit bought {duration(bought)}")
    if new.seconds_to_limit is not None:
        parts.append(f"limit in about {duration(new.seconds_to_limit)}")
    return "; ".join(parts) + _unknown_before(old)


def holding_sentence(old: SideFigures, new: SideFigures, aim: float, seconds: float, expected: float) -> str:
    """It has held: growth as of old is excluded, which is not to say that nothing grows."""
    left = new.rate_high / old.rate if old.leaks and old.rate and new.rate_high is not None else 0.0
    moves = f"the floor moves {slope_words(new)}{_was(old)}"
    rises = new.rate_low is not None and new.rate_low > 0
    if left > NEXT_TO_NONE or (left > 0 and rises):
        parts = [f"at most {math.ceil(100 * left)} % of the old growth for {duration(seconds)}: {moves}"]
    elif rises:
        parts = [f"less growth than {_plain(aim / 2)} for {duration(seconds)}: {moves}"]
    elif old.leaks:
        parts = [f"no growth for {duration(seconds)}: {moves}"]
    else:
        parts = [f"no growth for {duration(seconds)}: even {_plain(aim / 2)} would have shown"]
    if old.oom_kills or old.restarts:
        what = "OOM kill" if old.oom_kills else "restart"
        seen = new.oom_kills if old.oom_kills else new.restarts
        told = counted(seen, what) if seen else f"no {what}"
        parts.append(f"{told}, at the old pace there would have been {_about(expected)}")
    elif new.oom_kills == 0:
        parts.append("no OOM kill")
    return "; ".join(parts) + _unknown_before(old)


def watching_sentence(
    old: SideFigures,
    new: SideFigures,
    wait: PendingWait,
    aim: float,
    *,
    suspected: bool,
    lately: bool,
    bought: float | None,
) -> str:
    """It is too early to say, and how much longer it will be."""
    togo = f"{duration(wait.left)} to go" if 0 < wait.left < 1e9 else ""
    match wait.why:
        case _ if suspected and not wait.left > 0:
            text = f"grows {slope_words(new)}{_was(old)}, but that may yet level off"
        case "ends":
            what = "OOM-killed" if old.oom_kills else "restarted"
            every = duration(old.watched / max(old.oom_kills or old.restarts, 1))
            text = f"the old pods were {what} every {every}; {togo} to outlive that"
        case "not flat":
            text = (
                f"the floor still moves {slope_words(new)}{_was(old)}; it may be warming up; at least {togo}"
            )
        case "day":
            text = f"growth as slow as {_plain(aim)} can hide in the rhythm of a day; {togo}"
        case _ if wait.why == "samples" or not new.pods or not togo:
            text = "too few samples of the new pods to tell" + (f"; {togo}" if togo else "")
        case _:
            at = f"at the old rate of {_plain(old.rate or aim)}" if old.leaks else f"growth of {_plain(aim)}"
            verb = "it would have shown" if old.leaks else "would show"
            text = f"{at} {verb} after {duration(wait.needed)}: {togo}"
    if lately:
        what = "OOM kill" if new.oom_kills else "restart"
        text += f"; {counted(new.oom_kills or new.restarts, what)} since the change"
    if bought is not None:
        text += f"; at the old rate the higher limit buys {duration(bought)}"
    return text + _unknown_before(old)


def _plain(bytes_per_hour: float) -> str:
    return f"{bytes_(bytes_per_hour)}/h"


def _was(old: SideFigures) -> str:
    return f", was {rate(old.rate)}" if old.leaks and old.rate is not None else ""


def _pace(old: SideFigures, new: SideFigures) -> str:
    if old.oom_per_hour is None or new.oom_per_hour is None:
        return ""
    return f" ({_per_hour(new.oom_per_hour)} per pod, was {_per_hour(old.oom_per_hour)})"


def _per_hour(number: float) -> str:
    return f"{number:.1f}/h" if number >= 0.095 else f"{number:.2g}/h"


def _unknown_before(old: SideFigures) -> str:
    return "" if old.pods else " (what was before the change is not known)"


def _about(number: float) -> str:
    return f"about {number:.0f}" if number >= 1.5 else "about 1" if number >= 0.5 else "less than one"
