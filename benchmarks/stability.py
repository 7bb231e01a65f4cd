"""Does "holding" hold? First verdicts on changes of which it is known what they did.

    python benchmarks/stability.py [--each 200] [--seed 7]

Makes workloads (tests/analysis/changes.py: 1 to 5 pods, leaks that kill every 20 minutes to every 40 hours,
warm-ups, teeth, a rhythm of the day, slow and fast noise, 15 to 120 s between samples), changes each in five
ways, looks at it again and again for 48 hours as `memtop watch` does, and prints which verdict came first and
when. "ever holding" counts changes that were called holding at any look before another verdict.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from memtop.analysis.stability import StabilityVerdict, judge_change
from tests.analysis.changes import TRUTHS, change

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

LOOKS = (
    10,
    15,
    20,
    30,
    45,
    60,
    90,
    120,
    180,
    240,
    360,
    480,
    600,
    720,
    960,
    1200,
    1440,
    1500,
    1800,
    2160,
    2880,
)
"""Minutes after the change."""

RIGHT = {
    "fixed": {StabilityVerdict.HOLDING},
    "half fixed": {StabilityVerdict.STILL_LEAKING},
    "unfixed": {StabilityVerdict.STILL_LEAKING},
    "worse": {StabilityVerdict.WORSE},
    "limit raised": {StabilityVerdict.ONLY_POSTPONED},
}


def first_verdict(truth: str, seed: int) -> tuple[StabilityVerdict, float, str]:
    """The first verdict that decides, hours after the change, and its sentence."""
    made = change(truth, seed)
    for minutes in LOOKS:
        now = made.at + 60.0 * minutes
        stability = judge_change(made.before, made.until(now), made.at, now)
        if stability.verdict.decided:
            return stability.verdict, minutes / 60, stability.sentence
    return StabilityVerdict.WATCHING, 48.0, stability.sentence


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=200, help="changes of each kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", action="store_true", help="print what is wrongly called")
    asked = parser.parse_args()
    counted: dict[str, Counter[StabilityVerdict]] = {}
    times: dict[tuple[str, StabilityVerdict], list[float]] = defaultdict(list)
    for truth in TRUTHS:
        counted[truth] = Counter()
        for number in range(asked.each):
            verdict, hours, sentence = first_verdict(truth, asked.seed * 100_003 + number)
            counted[truth][verdict] += 1
            times[truth, verdict].append(hours)
            if asked.show and verdict.decided and verdict not in RIGHT[truth]:
                print(f"  {truth} {asked.seed * 100_003 + number}: {verdict} after {hours:g} h: {sentence}")
    print(f"{asked.each} changes of each kind; first verdict within 48 h, and after how many hours (median)")
    print(f"{'truth':>14}" + "".join(f"{verdict:>22}" for verdict in StabilityVerdict))
    for truth, counts in counted.items():
        cells = []
        for verdict in StabilityVerdict:
            after = times[truth, verdict]
            when = f" {np.median(after):5.1f} h" if after and verdict.decided else ""
            cells.append(f"{counts[verdict] / asked.each:10.1%}{when}".rjust(22))
        print(f"{truth:>14}" + "".join(cells))


if __name__ == "__main__":
    main()
