"""Did the fix hold? The verdict on a change, which stays what it is until the evidence against it lasts.

The verdict is a function of the samples alone. It is judged at fixed moments since the change and now, each
time by what was known then (`memtop.analysis.stability_moment`), and those are gone through in their order.
So a memtop that has watched all the time and one that is started afresh on the same samples say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from memtop.analysis.stability_evidence import ChangeEvidence, Stability, StabilityVerdict
from memtop.analysis.stability_moment import judge_moment

__all__ = ["Stability", "StabilityVerdict", "checkpoints", "judge_change", "last_verdict"]

FIRST_CHECKPOINT = 120.0
"""Seconds after a change at which it is judged first: before that no pod has samples enough."""
CHECKPOINT_SHARE = 0.1
"""The next checkpoint comes after this share of the time that has passed: judging more often says the same
again, for what is known grows with the time."""
CHECKPOINT_SECONDS = (60.0, 1800.0)
"""But no sooner and no later than this: scrapes are up to a minute apart, and after a day nobody wants to
wait for two hours and a half."""
LASTING = 3
"""A verdict gives way to another that was found at so many moments in a row. In the lab, pods that died every
two and a half minutes were called worse at each death and still leaking between them, eight times in half an
hour; of two in a row there would have been three."""
CONFIRMED = 2
"""*Watching* gives way to a verdict that was found at so many moments in a row: for a moment a warm-up looks
like a leak."""


def checkpoints(changed_at: float, now: float) -> Iterator[float]:
    """The moments before now at which a change is judged, Unix seconds; always the same ones."""
    after = FIRST_CHECKPOINT
    least, most = CHECKPOINT_SECONDS
    while changed_at + after < now:
        yield changed_at + after
        after += min(max(CHECKPOINT_SHARE * after, least), most)


def judge_change(before: ChangeEvidence, after: ChangeEvidence, changed_at: float, now: float) -> Stability:
    """Judges a change.

    A verdict that decides is reached when it is found twice in a row (`CONFIRMED`), and left only for one
    that lasts (`LASTING`); but deaths tell at once. Only as many earlier moments are judged as it takes to
    know the present verdict.

    Args:
        before: The revision that was replaced; empty if nothing is known of it.
        after: The new revision.
        changed_at: When it was made, Unix seconds.
        now: Unix seconds.
    """
    found = [judge_moment(before, after, changed_at, now)]
    for moment in reversed(list(checkpoints(changed_at, now))):
        if len(found) >= LASTING and len({one.verdict for one in found[-LASTING:]}) == 1:
            break
        found.append(judge_moment(before, after.until(moment), changed_at, moment))
    return last_verdict(found[::-1])


def last_verdict(found: Sequence[Stability]) -> Stability:
    """The verdict after some moments.

    Args:
        found: What the evidence of each moment said, the oldest first; at least one.
    """
    kept, newest = found[0], found[-1]
    lasted, last = 0, kept.verdict
    for one in found:
        lasted = lasted + 1 if one.verdict is last else 1
        last = one.verdict
        enough = lasted >= (LASTING if kept.verdict.decided else CONFIRMED)
        if one.verdict is kept.verdict or enough or _died_since(kept, one):
            kept = one
    if kept.verdict is newest.verdict:
        return newest
    return replace(kept, sentence=f"{kept.sentence}; the newest samples alone would say {newest.verdict}")


def _died_since(kept: Stability, newer: Stability) -> bool:
    """Whether what was not known to leak has died of memory since."""
    hopeful = kept.verdict in {StabilityVerdict.WATCHING, StabilityVerdict.HOLDING}
    return hopeful and newer.after.oom_kills > kept.after.oom_kills
