"""The sentences that say a verdict on a change, each true of its figures."""

from __future__ import annotations

import math

from memtop.analysis.stability_evidence import LIKE_BEFORE, PendingWait, SideFigures, load_share
from memtop.wording import bytes_, counted, duration, rate, share

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
    """It has held: growth as of old is excluded, which is not to say that nothing grows.

    Args:
        old: Before the change.
        new: Since.
        aim: The growth that had to be told from none, bytes per hour.
        seconds: For how long there are samples.
        expected: Ends there would have been at the old pace.
    """
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
    parts.append(load_words(old, new))
    return "; ".join(parts) + _unknown_before(old)


def load_words(old: SideFigures, new: SideFigures) -> str:
    """How the load compares with the one before: ``at 4 % of the old load (CPU 2m, was 60m)``."""
    of_old = load_share(old, new)
    figures = []
    if new.requests is not None:
        was = f", were {_requests(old.requests)}" if old.requests is not None else ""
        figures.append(f"requests {_requests(new.requests)}{was}")
    if new.cpu is not None:
        figures.append(f"CPU {_cores(new.cpu)}" + (f", was {_cores(old.cpu)}" if old.cpu is not None else ""))
    if new.received is not None:
        was = f", was {_per_second(old.received)}" if old.received is not None else ""
        figures.append(f"traffic in {_per_second(new.received)}{was}")
    known = f" ({'; '.join(figures)})" if figures else ""
    if of_old is None:
        return f"whether the load is as before is not known{known}"
    if of_old >= LIKE_BEFORE:
        return f"under as much load as before{known}"
    return f"at {share(of_old)} of the old load{known}"


def work_words(old: SideFigures, done: float | None, missing: float | None) -> str:
    """How many requests a pod has answered since, and how many more it takes; empty where nobody counts.

    Args:
        old: Before the change.
        done: Requests that a pod has answered since.
        missing: How many more until the old growth would have shown; 0 for none, None where not known.
    """
    if done is None:
        return ""
    answered = f"; {done:,.0f} {'request' if round(done) == 1 else 'requests'} answered per pod since"
    if missing is None:
        return answered
    if missing > 0.5:
        return f"{answered}, about {missing:,.0f} more until the old growth would have shown"
    if not old.grew or not old.rate or not old.requests:
        return answered
    each = old.rate / (old.requests * 3600)
    return f"{answered}: of old, at {bytes_(each)} each, these would have added {bytes_(each * done)}"


def _requests(per_second: float) -> str:
    return f"{per_second:.0f}/s" if per_second >= 9.5 else f"{per_second:.2g}/s"


def _cores(cores: float) -> str:
    """CPU as Kubernetes writes it, in thousandths of a core."""
    return f"{1000 * cores:.0f}m" if cores >= 0.0095 else f"{1000 * cores:.1f}m"


def _per_second(bytes_per_second: float) -> str:
    return f"{bytes_(bytes_per_second)}/s"


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
    """It is too early to say: what it looks like so far, and how much longer it will be.

    Args:
        old: Before the change.
        new: Since.
        wait: What has to be waited for the longest.
        aim: The growth that must be told from none, bytes per hour.
        suspected: Whether a leak is suspected in the new pods.
        lately: Whether any of them has ended.
        bought: Seconds that a raised limit buys at the old rate; None where it was not raised.
    """
    left = duration(wait.remaining_seconds) if 0 < wait.remaining_seconds < 1e9 else ""
    togo = f"{left} to go" if left else "for how much longer is not known yet"
    leaning = _leaning(old, new)
    match wait.reason:
        case _ if suspected and not wait.remaining_seconds > 0:
            text = f"grows {slope_words(new)}{_was(old)}, but that may yet level off"
            leaning = ""
        case "load":
            text = (
                f"the new pods run {load_words(old, new)}, and what leaks under load does not show without; "
                + (f"{left} to go, or until the load is back" if left else "waits until the load is back")
            )
        case "ends":
            what = "OOM-killed" if old.oom_kills else "restarted"
            every = duration(old.watched / max(old.oom_kills or old.restarts, 1))
            outlive = f"{left} to go to outlive that" if left else "it takes longer to outlive that"
            text = f"the old pods were {what} every {every}; {outlive}"
        case "not flat":
            more = f"at least {left} to go" if left else togo
            text = f"the floor still moves {slope_words(new)}{_was(old)}; it may be warming up; {more}"
            leaning = ""
        case "day":
            text = f"growth as slow as {_plain(aim)} can hide in the rhythm of a day; {togo}"
        case _ if wait.reason == "samples" or not new.pods or not left:
            text = "too few samples of the new pods to tell" + (f"; {togo}" if left else "")
        case _:
            at = f"at the old rate of {_plain(old.rate or aim)}" if old.leaks else f"growth of {_plain(aim)}"
            verb = "it would have shown" if old.leaks else "would show"
            shows = f"{at} {verb} after {duration(wait.needed_seconds)}"
            text = f"sure in about {left}: {shows}" if leaning else f"{shows}: {togo}"
    if lately:
        what = "OOM kill" if new.oom_kills else "restart"
        text += f"; {counted(new.oom_kills or new.restarts, what)} since the change"
    if bought is not None:
        text += f"; at the old rate the higher limit buys {duration(bought)}"
    return leaning + text + _unknown_before(old)


def _leaning(old: SideFigures, new: SideFigures) -> str:
    """What it looks like so far; empty where growth as of old cannot be told from none at all yet."""
    if not old.grew or not old.rate or new.rate is None or new.rate_high is None:
        return ""
    so_far, most = max(new.rate, 0.0) / old.rate, max(new.rate_high, 0.0) / old.rate
    if most - so_far >= 1.0:
        return ""
    at_most = f", at most {share(most)}" if most - so_far >= 0.05 else ""
    return f"so far {share(so_far)} of the old growth{at_most}; "


def _plain(bytes_per_hour: float) -> str:
    return f"{bytes_(bytes_per_hour)}/h"


def _was(old: SideFigures) -> str:
    return f", was {rate(old.rate)}" if old.grew or (old.leaks and old.rate is not None) else ""


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
