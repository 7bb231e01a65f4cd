"""The likely causes of a container's memory trouble, in words: rules over evidence, none without any.

Each rule is a function that states its reason. It looks at `CauseFacts` and gives a `LikelyCause` with its
evidence and what to check next, or None. "Nothing points to one" is an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Floats
from memtop.analysis.traffic import TrafficFit, TrafficVerdict
from memtop.analysis.verdict import FIRST_SECONDS
from memtop.wording import bytes_, counted, duration, rate, share

MIB = 2.0**20
CORE_SECOND = "core-second"
"""The unit of work that CPU is counted in."""


@dataclass(frozen=True, slots=True)
class LogHint:
    """What a search of a log found.

    Attributes:
        count: Lines that match.
        line: The newest of them.
    """

    count: int
    line: str


@dataclass(frozen=True, slots=True)
class GrownPart:
    """Something that grew between two captures of a heap.

    Attributes:
        name: A type, a function or a mapping.
        size: Bytes that it grew by.
        share: Of the floor's rise between the captures that it explains, 0..1; None where not known.
        kept_by: What keeps it; empty where that is not known. Of a function it is who calls it.
        count: Objects, goroutines or mappings that were added.
    """

    name: str
    size: float
    share: float | None = None
    kept_by: str = ""
    count: int = 0


@dataclass(frozen=True, eq=False)
class CauseFacts:
    """What is known of one container; whatever is not known is None or empty.

    Attributes:
        verdict: What its memory does.
        certain: Whether that is certain and not only suspected.
        rate: Growth of the floor, bytes per hour.
        level: Memory in use now, bytes.
        limit: Bytes.
        age: Seconds since its present start.
        oom_kills: In the time that is known.
        restarts: Likewise, all of them.
        heap_flag: The flag that bounds its heap, as written.
        heap_flag_size: Bytes that it bounds it to.
        heap_live: Bytes that collections left, the oldest first, as its log tells.
        traffic: What its floor rises with.
        gauges: Threads, file descriptors, sockets, page cache, RSS: times (Unix seconds) and values.
        hints: What its log says, by what was looked for: ``load``, ``cache``, ``listeners``, ``direct``,
            ``threads``, ``buffered``.
        grown: What grew between two captures, what tells most first.
        off_heap: Bytes that were added beside the heap between those captures; None for none worth a word.
        between: Threads and the like at the first and at the last of those captures, named as `gauges` are.
    """

    verdict: Verdict = Verdict.NOT_ENOUGH_DATA
    certain: bool = False
    rate: float | None = None
    level: float | None = None
    limit: float | None = None
    age: float | None = None
    oom_kills: int = 0
    restarts: int = 0
    heap_flag: str = ""
    heap_flag_size: float | None = None
    heap_live: tuple[float, ...] = ()
    traffic: TrafficFit | None = None
    gauges: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    hints: Mapping[str, LogHint] = field(default_factory=dict)
    grown: tuple[GrownPart, ...] = ()
    off_heap: float | None = None
    between: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def grows(self) -> bool:
        """Whether its floor rises for good, or is suspected to."""
        return self.verdict is Verdict.LEAK

    def rise_of(self, gauge: str) -> tuple[float, float] | None:
        """What a gauge was in the first and in the last tenth of its time; None where little is known.

        Where nobody remembers it, at two captures.
        """
        times, values = self.gauges.get(gauge, (np.empty(0), np.empty(0)))
        if len(times) < 10:
            return self.between.get(gauge)
        tenth = max(len(values) // 10, 3)
        return float(np.median(values[:tenth])), float(np.median(values[-tenth:]))


@dataclass(frozen=True, slots=True)
class LikelyCause:
    """A cause that evidence points to.

    Attributes:
        name: In a few words.
        evidence: What points to it, a sentence each.
        next_step: What to check next.
        weight: How strongly: 4 for what was counted and brings the rest with it, 3 for what explains it
            alone, 2 for a good sign, 1 for a hint.
    """

    name: str
    evidence: tuple[str, ...]
    next_step: str
    weight: int


NOTHING_POINTS_TO_ONE = (
    "nothing points to one cause yet: two heap captures some minutes apart (h) show what grew"
)
MOST_CAUSES = 5


def likely_causes(facts: CauseFacts) -> tuple[LikelyCause, ...]:
    """The causes that something points to, the strongest first; none where nothing does.

    Args:
        facts: What is known of the container.
    """
    found = [cause for rule in RULES if (cause := rule(facts)) is not None]
    return tuple(sorted(found, key=lambda cause: (-cause.weight, -len(cause.evidence)))[:MOST_CAUSES])


def _heap_larger_than_limit(facts: CauseFacts) -> LikelyCause | None:
    """A heap that may grow to the limit or beyond is killed before it collects: the kernel comes first."""
    size, limit = facts.heap_flag_size, facts.limit
    if size is None or limit is None or size < limit:
        return None
    evidence = [f"{facts.heap_flag} lets the heap grow to {bytes_(size)}, and the limit is {bytes_(limit)}"]
    if facts.oom_kills:
        evidence.append(f"it was OOM-killed {_times(facts.oom_kills)}")
    step = f"set the heap to three quarters of the limit at most ({bytes_(0.75 * limit)}), or raise that (M)"
    return LikelyCause("heap larger than the limit", tuple(evidence), step, 3)


def _limit_below_working_heap(facts: CauseFacts) -> LikelyCause | None:
    """What dies at its limit without climbing needs more than it may have: no leak, but a limit too small.

    A floor that does not rise, at nine tenths of the limit or with kills, is no leak; nor is a heap whose
    collections leave nine tenths of the limit right after the start.
    """
    if facts.limit is None or facts.grows:
        return None
    evidence = []
    live = facts.heap_live
    if len(live) >= 3 and min(live[-3:]) > 0.9 * facts.limit:
        evidence.append(f"collections leave {bytes_(live[-1])} of {bytes_(facts.limit)}")
    high = facts.level is not None and facts.level > 0.9 * facts.limit
    if high and facts.verdict in {Verdict.STEADY, Verdict.SAWTOOTH, Verdict.WARMUP, Verdict.STEP}:
        evidence.append(
            f"it holds {share((facts.level or 0) / facts.limit)} of its limit without climbing further"
        )
    if facts.oom_kills and facts.verdict is Verdict.OOM_LOOP:
        evidence.append(f"it was OOM-killed {_times(facts.oom_kills)} without a climb being seen between")
    if not evidence:
        return None
    step = "raise the limit (M) and see where it levels off; or make it hold less"
    return LikelyCause("limit below the working heap", tuple(evidence), step, 2)


def _warm_up(facts: CauseFacts) -> LikelyCause | None:
    """What has just started fills its caches and compiles its code: every start grows at first."""
    young = facts.age is not None and facts.age < FIRST_SECONDS
    if facts.verdict is Verdict.WARMUP:
        evidence = "it rose after its start and has levelled off"
    elif young and facts.grows and not facts.certain:
        evidence = f"it started {duration(facts.age)} ago: what starts still grows for up to three hours"
    else:
        return None
    step = "wait; a leak goes on climbing at the same rate, a warm-up bends"
    return LikelyCause("warm-up mistaken for a leak", (evidence,), step, 2)


def _page_cache(facts: CauseFacts) -> LikelyCause | None:
    """Cached files count as usage and are given back under pressure: their rise is no leak of the program."""
    cache, rss = facts.rise_of("page cache"), facts.rise_of("RSS")
    if cache is None or rss is None:
        return None
    risen, own = cache[1] - cache[0], rss[1] - rss[0]
    if risen < 16 * MIB or risen < 2 * max(own, 0.0) or cache[1] < 0.2 * max(facts.level or 0.0, rss[1]):
        return None
    evidence = (f"page cache rose {bytes_(risen)} to {bytes_(cache[1])}, RSS {bytes_(max(own, 0.0))}",)
    step = "look at memory by kind (B): cache is reclaimed before anything is killed; which files are they?"
    return LikelyCause("page cache, not the program", evidence, step, 3)


def _threads(facts: CauseFacts) -> LikelyCause | None:
    """Each thread has a stack, and arenas besides: threads that only come and never go are a leak of them."""
    risen = facts.rise_of("threads")
    evidence = []
    if risen is not None and risen[1] - risen[0] >= 10 and risen[1] >= 1.3 * risen[0]:
        evidence.append(f"threads rose from {risen[0]:.0f} to {risen[1]:.0f}")
    if hint := facts.hints.get("threads"):
        evidence.append(_said(hint))
    if not evidence:
        return None
    step = "take a thread dump and count them by name: a pool made per request, or never shut down"
    many = risen is not None and risen[1] - risen[0] >= 50 and risen[1] >= 1.5 * risen[0]
    weight = 4 if many else 3 if len(evidence) > 1 else 2  # their stacks and arenas follow from them
    return LikelyCause("threads that are never ended", tuple(evidence), step, weight)


def _connections(facts: CauseFacts) -> LikelyCause | None:
    """Sockets and files that are opened and not closed keep their buffers, and whatever hangs on them."""
    evidence = []
    for gauge in ("sockets", "file descriptors"):
        risen = facts.rise_of(gauge)
        if risen is not None and risen[1] - risen[0] >= 20 and risen[1] >= 1.3 * risen[0]:
            evidence.append(f"{gauge} rose from {risen[0]:.0f} to {risen[1]:.0f}")
    if not evidence:
        return None
    step = "list what is open (x, then ls -l /proc/1/fd): no time limits, or a client made per request"
    return LikelyCause("connections that are never closed", tuple(evidence), step, 2)


_FLAT_HEAP_SHARE = 0.25


def _off_heap(facts: CauseFacts) -> LikelyCause | None:
    """Where collections leave the same as before and memory climbs all the same, it is not the heap.

    Direct buffers, arenas of the allocator and native libraries are what is left; a message of direct memory
    says it outright.
    """
    evidence = []
    live = np.array(facts.heap_live)
    if facts.grows and len(live) >= 8 and facts.level:
        third = len(live) // 3
        risen = float(np.median(live[-third:]) - np.median(live[:third]))
        beside = facts.level - float(np.median(live[-third:]))
        if risen < _FLAT_HEAP_SHARE * 0.1 * facts.level and beside > 0.3 * facts.level:
            evidence.append(
                f"collections leave {bytes_(float(np.median(live[-third:])))}, no more than before, while "
                f"{bytes_(facts.level)} are in use and climb"
            )
    if hint := facts.hints.get("direct"):
        evidence.append(_said(hint))
    evidence += [f"{_grew(one)}" for one in facts.grown if re.search(r"arena|\[anon|native|Direct", one.name)]
    if facts.off_heap is not None:
        evidence.append(f"{bytes_(facts.off_heap)} were added beside the heap between two captures")
    if not evidence:
        return None
    step = (
        "count direct buffers and arenas (B shows the mappings; MALLOC_ARENA_MAX=2, -XX:MaxDirectMemorySize)"
    )
    return LikelyCause("off the heap: direct buffers, arenas or native code", tuple(evidence), step, 3)


def _fragmentation(facts: CauseFacts) -> LikelyCause | None:
    """Memory far above a live heap, and level, is held by the allocator, which cannot give it back."""
    live = np.array(facts.heap_live)
    if facts.grows or len(live) < 8 or not facts.level:
        return None
    kept = float(np.median(live[-len(live) // 3 :]))
    if facts.level < 1.8 * kept or facts.verdict not in {Verdict.WARMUP, Verdict.STEP, Verdict.STEADY}:
        return None
    if facts.level - kept < 64 * MIB:
        return None
    evidence = (
        f"{bytes_(kept)} are live after collections, {bytes_(facts.level)} are held, and it has levelled off",
    )
    step = "compare the heap's size with its live part; let the runtime give it back (GOGC, MinHeapFreeRatio)"
    return LikelyCause("fragmentation, or a heap that is not given back", evidence, step, 1)


_CACHE_NAMES = re.compile(r"cache|\bLRU|\bmemo(?:iz|\b)|HashMap|\bMap\b|dict", re.IGNORECASE)
_LISTENER_NAMES = re.compile(r"listener|handler|observer|subscri|EventEmitter", re.IGNORECASE)
_CLOSURE_NAMES = re.compile(r"closure|lambda|\$\$Lambda|Context\b", re.IGNORECASE)
_GLOBAL_NAMES = re.compile(r"static|global|module|<Class|singleton|ThreadLocal", re.IGNORECASE)


def _unbounded_cache(facts: CauseFacts) -> LikelyCause | None:
    """A cache without an end is the most frequent leak there is: warnings of its size, or a map that grew."""
    evidence = [_said(hint)] if facts.grows and (hint := facts.hints.get("cache")) else []
    evidence += _named(facts, _CACHE_NAMES)
    if not evidence:
        return None
    if facts.traffic is not None and facts.traffic.verdict is TrafficVerdict.TRAFFIC:
        evidence.append(facts.traffic.words())
    step = "look for what adds and never removes; give it a size and a time to live"
    return LikelyCause("unbounded cache", tuple(evidence), step, 3 if len(evidence) > 1 else 2)


def _listeners(facts: CauseFacts) -> LikelyCause | None:
    """Listeners that are added for each request and never removed keep all that they refer to."""
    evidence = [_said(hint)] if (hint := facts.hints.get("listeners")) else []
    evidence += _named(facts, _LISTENER_NAMES)
    if not evidence:
        return None
    step = "find where listeners are added: each needs its removal, or once()"
    return LikelyCause("listeners that are never removed", tuple(evidence), step, 3)


def _goroutines(facts: CauseFacts) -> LikelyCause | None:
    """A goroutine that waits for what never comes keeps its stack and all that it refers to."""
    found = [one for one in facts.grown if one.name.startswith("goroutine of ")]
    if not found:
        return None
    evidence = [
        f"{one.count:+,} {one.name}{f', called by {one.kept_by}' if one.kept_by else ''}" for one in found[:2]
    ]
    step = "see what it waits for: a channel nobody closes, a context or request without a time limit"
    return LikelyCause("goroutines that never end", tuple(evidence), step, 4)


def _cycles(facts: CauseFacts) -> LikelyCause | None:
    """Objects that only refer to one another are freed by the collector alone: it is off, or too late."""
    found = [one for one in facts.grown if one.kept_by.split(" → ")[0] == one.name]
    if not found:
        return None
    evidence = (f"{_grew(found[0])}: nothing else keeps it",)
    return LikelyCause(
        "cycles that nobody collects",
        evidence,
        "look for gc.disable() and gc.freeze(), or break the cycle",
        3,
    )


def _closures(facts: CauseFacts) -> LikelyCause | None:
    """A closure keeps everything of its scope as long as a timer or a list keeps the closure."""
    evidence = _named(facts, _CLOSURE_NAMES)
    if not evidence:
        return None
    return LikelyCause(
        "closures that are kept", tuple(evidence), "look for timers and callbacks that never end", 2
    )


def _globals(facts: CauseFacts) -> LikelyCause | None:
    """What hangs on a global, a static field or a thread's own variable lives as long as the process."""
    evidence = _named(facts, _GLOBAL_NAMES)
    if not evidence:
        return None
    return LikelyCause(
        "globals that only grow", tuple(evidence), "look at the fields that keep it: clear them", 2
    )


def _kept_per_request(facts: CauseFacts) -> LikelyCause | None:
    """A floor that rises with each request and stands still without keeps something of each request.

    Which of the usual things (a cache, a session, a listener, a closure) only a capture can tell. A part that
    follows the CPU beside one that follows time is no sign: what grows costs its collector more and more.
    """
    if not facts.grows or facts.traffic is None:
        return None
    verdict, by_cpu = facts.traffic.verdict, facts.traffic.unit == CORE_SECOND
    if verdict is not TrafficVerdict.TRAFFIC and (verdict is not TrafficVerdict.BOTH or by_cpu):
        return None
    step = "capture twice some minutes of traffic apart (h): what grew per request is it"
    return LikelyCause("something of each request is kept", (facts.traffic.words(),), step, 2)


def _timer(facts: CauseFacts) -> LikelyCause | None:
    """What grows at night as by day is fed by a clock: a scheduled job, a poll, a timer never cleared."""
    if not facts.grows or facts.traffic is None or facts.traffic.verdict is not TrafficVerdict.TIME:
        return None
    if facts.traffic.unit == CORE_SECOND:  # a collector at work takes CPU as well: no sign of traffic
        return None
    step = "look at scheduled jobs, polls and timers, and at what they keep"
    return LikelyCause("a job or timer that keeps what it makes", (facts.traffic.words(),), step, 1)


def _kept_allocations(facts: CauseFacts) -> LikelyCause | None:
    """What grew between two captures and is most of the rise is kept somewhere, whatever the place is called.

    The rules of maps, listeners, closures and globals say more where a name tells; this one says that much.
    """
    main = [one for one in facts.grown[:1] if one.size >= MIB and (one.share or 0.0) >= 0.3]
    if not main or re.search(r"arena|\[|^/|malloc", main[0].name):
        return None
    step = "find the slice, list or map that it is added to: what removes from it?"
    return LikelyCause("a collection that only grows", (_grew(main[0]),), step, 1)


def _large_data(facts: CauseFacts) -> LikelyCause | None:
    """Peaks that come and go, or a log that speaks of large loads, are too much at once, and no leak."""
    evidence = []
    if facts.verdict is Verdict.SPIKE:
        evidence.append("memory has peaks that come back down")
    if hint := facts.hints.get("load"):
        evidence.append(_said(hint))
    if not evidence:
        return None
    step = "read it in parts (streams, pages) instead of whole; bound what one request may ask for"
    return LikelyCause("large data held at once", tuple(evidence), step, 3 if len(evidence) > 1 else 2)


def _buffered_logs(facts: CauseFacts) -> LikelyCause | None:
    """A log or message shipper whose target is slow keeps what it cannot send."""
    hint = facts.hints.get("buffered")
    if hint is None:
        return None
    step = "see whether the target takes what is sent; bound the buffer, or let it drop"
    return LikelyCause("logs or messages buffered", (_said(hint),), step, 2)


Rule = Callable[[CauseFacts], LikelyCause | None]
RULES: tuple[Rule, ...] = (
    _heap_larger_than_limit,
    _unbounded_cache,
    _listeners,
    _goroutines,
    _cycles,
    _threads,
    _off_heap,
    _connections,
    _large_data,
    _buffered_logs,
    _page_cache,
    _limit_below_working_heap,
    _closures,
    _globals,
    _kept_allocations,
    _kept_per_request,
    _warm_up,
    _fragmentation,
    _timer,
)
"""In the order in which equally strong ones are told."""


def _named(facts: CauseFacts, names: re.Pattern[str]) -> list[str]:
    """What grew between two captures and is named, or kept by something named, like that."""
    fit = [one for one in facts.grown if names.search(one.name) or names.search(one.kept_by)]
    return [_grew(one) for one in fit[:2]]


def _grew(part: GrownPart) -> str:
    of = f", {share(part.share)} of the rise" if part.share is not None and math.isfinite(part.share) else ""
    kept = f", kept by {part.kept_by}" if part.kept_by else ""
    return f"{part.name} grew by {bytes_(part.size)}{of}{kept}"


def _said(hint: LogHint) -> str:
    return f"its log says it {_times(hint.count)}: {hint.line}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def rate_words(facts: CauseFacts) -> str:
    """What is to be explained, in a few words."""
    grown = f"the floor rises {rate(facts.rate)}" if facts.grows and facts.rate else str(facts.verdict)
    kills = f", {counted(facts.oom_kills, 'OOM kill')}" if facts.oom_kills else ""
    return f"{grown}{kills}"
