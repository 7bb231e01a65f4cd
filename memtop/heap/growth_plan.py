"""Plans for finding out what grew: two captures some minutes apart, their costs, and how long is enough."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from memtop.heap.capture_methods import CaptureMethod
from memtop.heap.capture_plan import CapturePlan, CaptureRisk
from memtop.heap.kept_captures import KeptCapture, earlier_captures
from memtop.wording import ago, bytes_, duration, rate

MIB = 1024 * 1024
DEFAULT_SECONDS = 600.0
"""Between two captures where nothing is known of a rate: 10 minutes show 1 MiB of a leak of 6 MiB/h."""
LEAST_SECONDS, MOST_SECONDS = 60.0, 1800.0
TELLING_BYTES = 16 * MIB
"""Growth that stands out of what a heap does by itself within minutes: caches and buffers of a server that
starts to warm up take some MiB."""
GROWTH_SUFFIXES = ("-histogram.txt", ".pb.gz", "-objects.txt", ".heapsnapshot", "-smaps.txt")
"""What can be compared, by how its file ends: what carries no data first, then what does, then the map, which
only tells heap from arenas and files."""
_NOUNS = {
    "-histogram.txt": "class histograms",
    ".pb.gz": "heap profiles",
    "-objects.txt": "counts of objects by type",
    ".heapsnapshot": "heap snapshots",
    "-smaps.txt": "memory maps",
}


@dataclass(frozen=True, slots=True)
class GrowthPlan:
    """Two captures, or more, and their comparison.

    Attributes:
        capture: How each is taken.
        seconds: Between two of them.
        reason: Why so long.
        times: How many are taken.
        earlier: A capture that is here already and is the first; None where all are taken.
        floor_rate: Bytes an hour by which the container's floor rises; None where that is not known.
        pace: Seconds of the cluster's time that pass in one here; the demo's cluster may be hurried.
    """

    capture: CapturePlan
    seconds: float
    reason: str
    times: int = 2
    earlier: KeptCapture | None = None
    floor_rate: float | None = None
    pace: float = 1.0

    @property
    def title(self) -> str:
        """What it is, for a list of choices."""
        if self.earlier is not None:
            whose = "" if self.earlier.pod == self.capture.container_ref.pod else f" of {self.earlier.pod}"
            when = ago(time.time() - self.earlier.taken)
            return f"what grew since the {self.earlier.kind}{whose} {when}"
        many = "two" if self.times == 2 else str(self.times)
        return f"what grew: {many} {self.noun}, {duration(self.seconds)} apart"

    @property
    def noun(self) -> str:
        """What is compared, in the plural."""
        return _NOUNS.get(self.capture.capture.suffix, "captures")

    @property
    def lasts(self) -> float:
        """Seconds that it takes, without the captures themselves."""
        return 0.0 if self.earlier is not None else self.seconds * (self.times - 1)

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Name and value of what is to be done, for a person who decides."""
        whole = [("takes", f"{duration(self.lasts)}: {self.reason}")] if self.lasts else []
        if self.earlier is not None:
            whole = [("first of the two", str(self.earlier.path))]
        else:
            whole.append(("captures", f"{self.times}, each as follows"))
        facts = [(name, words) for name, words in self.capture.facts() if name != "kept here"]
        kept = f"{self.capture.target.parent}; memtop heap remove deletes them"
        return (*whole, *facts, ("kept here", kept))

    def risks(self) -> tuple[CaptureRisk, ...]:
        """What may go wrong: what each capture risks, and what the wait does."""
        found = list(self.capture.risks())
        if self.capture.capture.suffix == "-smaps.txt":
            found.append(
                CaptureRisk(
                    "A memory map tells heap from arenas, stacks and files; it names no type of object."
                )
            )
        if self.lasts:
            found.append(
                CaptureRisk(
                    "Before each further capture memtop looks again, and takes none where the container has "
                    "come near its limit."
                )
            )
        return tuple(found)


def growth_plans(
    captures: Sequence[CapturePlan],
    kept: tuple[KeptCapture, ...],
    *,
    floor_rate: float | None,
    seconds: float | None = None,
    times: int = 2,
    pace: float = 1.0,
) -> tuple[GrowthPlan, ...]:
    """The ways to find out what grew, the best first; none where nothing that can be compared is possible.

    Args:
        captures: What can be captured.
        kept: What was captured earlier.
        floor_rate: Bytes an hour by which the container's floor rises.
        seconds: Between two captures; None for a time that suits the rate.
        times: How many captures.
        pace: Seconds of the cluster's time that pass in one here.
    """
    found = _plans(captures, kept, floor_rate, seconds, times)
    return tuple(replace(one, pace=pace) for one in found)


def _plans(
    captures: Sequence[CapturePlan],
    kept: tuple[KeptCapture, ...],
    floor_rate: float | None,
    seconds: float | None,
    times: int,
) -> Iterator[GrowthPlan]:
    fitting = [
        plan
        for plan in captures
        if not plan.capture.missing and plan.capture.method is not CaptureMethod.LEFT
    ]
    fitting = [plan for plan in fitting if plan.capture.suffix in GROWTH_SUFFIXES]
    grave = {id(plan): any(risk.is_severe for risk in plan.risks()) for plan in fitting}
    fitting.sort(key=lambda plan: (grave[id(plan)], GROWTH_SUFFIXES.index(plan.capture.suffix)))
    seen: set[str] = set()
    for plan in fitting:
        if plan.capture.suffix in seen:
            continue
        seen.add(plan.capture.suffix)
        wait, reason = (seconds, "as asked for") if seconds else waiting_time(plan, floor_rate)
        yield GrowthPlan(plan, wait, reason, times, None, floor_rate)
        for earlier in earlier_captures(kept, plan.container_ref, plan.capture.suffix)[:1]:
            yield GrowthPlan(plan, 0.0, "", 2, earlier, floor_rate)


def waiting_time(plan: CapturePlan, floor_rate: float | None) -> tuple[float, str]:
    """Seconds between two captures that show a leak, and why so many.

    So long that 16 MiB are added, between one minute and half an hour; but no longer than half the time that
    is left until the limit, since the second capture has to find the container alive.
    """
    if floor_rate is None or floor_rate <= 0:
        return DEFAULT_SECONDS, "nothing is known of a rate, and most leaks show in that time"
    wait = min(MOST_SECONDS, max(LEAST_SECONDS, TELLING_BYTES / floor_rate * 3600))
    wait = round(wait / 60) * 60.0
    adds = f"at {rate(floor_rate)} it adds about {bytes_(floor_rate * wait / 3600)}"
    memory = plan.space.memory
    if memory is not None and memory.headroom is not None:
        left = memory.headroom / floor_rate * 3600
        if wait > left / 2:
            wait = max(15.0, left / 2)
            return wait, f"half of the {duration(left)} that are left at {rate(floor_rate)} until the limit"
    return wait, f"{adds}, which stands out"
