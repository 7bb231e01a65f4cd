"""Each cause is named for its own evidence, and none without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memtop.analysis.judgement import Verdict
from memtop.analysis.likely_causes import RULES, CauseFacts, GrownPart, LogHint, likely_causes, rate_words
from memtop.analysis.traffic import TrafficFit, TrafficVerdict

MIB = 2.0**20
LEAKING = CauseFacts(
    verdict=Verdict.LEAK, certain=True, rate=100 * MIB, level=800 * MIB, limit=1024 * MIB, age=9e5
)


def _gauge(first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(100.0), np.linspace(first, last, 100)


FOUND = (
    (replace(LEAKING, heap_flag="-Xmx2g", heap_flag_size=2048 * MIB), "heap larger than the limit"),
    (replace(LEAKING, hints={"cache": LogHint(3, "cache size 90000")}), "unbounded cache"),
    (
        replace(LEAKING, grown=(GrownPart("java.util.HashMap$Node", 9e8, 0.7, "SessionCache"),)),
        "unbounded cache",
    ),
    (
        replace(LEAKING, hints={"listeners": LogHint(1, "MaxListeners")}),
        "listeners that are never removed",
    ),
    (replace(LEAKING, gauges={"threads": _gauge(20, 900)}), "threads that are never ended"),
    (replace(LEAKING, gauges={"sockets": _gauge(20, 900)}), "connections that are never closed"),
    (replace(LEAKING, heap_live=(2e8,) * 12), "off the heap: direct buffers, arenas or native code"),
    (
        replace(LEAKING, gauges={"page cache": _gauge(0, 600 * MIB), "RSS": _gauge(100 * MIB, 101 * MIB)}),
        "page cache, not the program",
    ),
    (replace(LEAKING, hints={"buffered": LogHint(1, "queue full")}), "logs or messages buffered"),
    (replace(LEAKING, verdict=Verdict.SPIKE), "large data held at once"),
    (replace(LEAKING, verdict=Verdict.OOM_LOOP, oom_kills=5), "limit below the working heap"),
    (replace(LEAKING, certain=False, age=1800.0), "warm-up mistaken for a leak"),
    (
        replace(LEAKING, verdict=Verdict.WARMUP, heap_live=(1e8,) * 12),
        "fragmentation, or a heap that is not given back",
    ),
    (replace(LEAKING, grown=(GrownPart("(closure)", 9e8),)), "closures that are kept"),
    (
        replace(LEAKING, grown=(GrownPart("Order", 9e8, None, "static Registry.all"),)),
        "globals that only grow",
    ),
    (
        replace(LEAKING, traffic=TrafficFit(TrafficVerdict.TRAFFIC, "request", "x", 12_000.0, 800.0)),
        "something of each request is kept",
    ),
    (
        replace(LEAKING, traffic=TrafficFit(TrafficVerdict.TIME, "request", "x", without=1e7)),
        "a job or timer that keeps what it makes",
    ),
)


@pytest.mark.parametrize(("facts", "name"), FOUND)
def test_each_cause_comes_of_its_own_evidence_and_says_what_next(facts: CauseFacts, name: str) -> None:
    """The rule finds it, with evidence and a next step."""
    found = {cause.name: cause for cause in likely_causes(facts)}
    assert name in found
    assert found[name].evidence
    assert found[name].next_step


@pytest.mark.parametrize(
    "facts",
    [
        CauseFacts(),
        LEAKING,
        CauseFacts(verdict=Verdict.STEADY, level=100 * MIB, limit=1024 * MIB),
        replace(LEAKING, heap_flag="-Xmx512m", heap_flag_size=512 * MIB),
        replace(LEAKING, gauges={"threads": _gauge(40, 44), "sockets": _gauge(10, 12)}),
        replace(LEAKING, traffic=TrafficFit(TrafficVerdict.EVEN, "request", "x", 12_000.0, 800.0)),
        replace(LEAKING, traffic=TrafficFit(TrafficVerdict.TIME, "core-second", "x", without=1e7)),
        replace(LEAKING, traffic=TrafficFit(TrafficVerdict.BOTH, "core-second", "x", 1e8, 1e8, without=1e7)),
    ],
)
def test_without_evidence_no_cause_is_named(facts: CauseFacts) -> None:
    """Nothing points to one: that a container leaks is no cause."""
    assert likely_causes(facts) == ()


def test_each_rule_names_a_cause_of_its_own() -> None:
    """Two rules under one name could not be told apart on a screen."""
    names = [{cause.name for facts, _ in FOUND if (cause := rule(facts)) is not None} for rule in RULES]
    told = [name for one in names for name in one]
    assert len(told) == len(set(told))
    assert {name for _, name in FOUND} <= set(told)
    assert all(len(one) <= 1 for one in names)


@pytest.mark.parametrize(
    ("grown", "words"),
    [
        (
            GrownPart("HashMap$Node", 10 * MIB, 0.7, "Cache.all"),
            "10 MiB, 70 % of the rise, kept by Cache.all",
        ),
        (GrownPart("HashMap$Node", 10 * MIB, float("nan")), "10 MiB"),
        (GrownPart("HashMap$Node", 10 * MIB), "10 MiB"),
    ],
)
def test_what_grew_is_told_as_far_as_it_is_known(grown: GrownPart, words: str) -> None:
    """A share or a keeper that is not known is left out."""
    causes = likely_causes(replace(LEAKING, grown=(grown,)))
    cause = next(one for one in causes if one.name == "unbounded cache")
    assert cause.evidence == (f"HashMap$Node grew by {words}",)


def test_the_strongest_cause_comes_first_and_there_are_not_many() -> None:
    """More evidence weighs more; of many causes five are told."""
    facts = replace(
        LEAKING,
        hints={name: LogHint(2, "seen") for name in ("cache", "listeners", "direct", "threads", "buffered")},
        gauges={"threads": _gauge(20, 900), "sockets": _gauge(20, 900)},
        traffic=TrafficFit(TrafficVerdict.TRAFFIC, "request", "x", 12_000.0, 800.0),
    )
    causes = likely_causes(facts)
    assert len(causes) == 5
    assert [cause.weight for cause in causes] == sorted((cause.weight for cause in causes), reverse=True)
    assert "its log says it 2 times: seen" in causes[0].evidence


def test_a_gauge_that_few_remember_is_taken_from_the_captures() -> None:
    """Two captures know how many threads there were at each."""
    few = (np.arange(5.0), np.linspace(20, 900, 5))
    known = replace(LEAKING, gauges={"threads": few}, between={"threads": (20.0, 900.0)})
    assert [cause.name for cause in likely_causes(known)] == ["threads that are never ended"]
    assert likely_causes(replace(LEAKING, gauges={"threads": few})) == ()


def test_what_is_to_be_explained_is_said_in_a_few_words() -> None:
    """The rate of a floor that rises; else the verdict; and kills."""
    assert rate_words(LEAKING) == "the floor rises +100 MiB/h"
    assert rate_words(replace(LEAKING, oom_kills=2)) == "the floor rises +100 MiB/h, 2 OOM kills"
    assert rate_words(CauseFacts(verdict=Verdict.STEADY)) == "steady"


@pytest.mark.parametrize(
    ("grown", "name"),
    [
        (GrownPart("main.recordOrder", 8e6, 0.9, "main.main", 100), "a collection that only grows"),
        (GrownPart("goroutine of main.wait", 0.0, None, "main.handle", 900), "goroutines that never end"),
        (GrownPart("app.Order", 5e5, 0.1, "app.Order → dict", 9000), "cycles that nobody collects"),
    ],
)
def test_what_grew_between_two_captures_has_its_cause(grown: GrownPart, name: str) -> None:
    """Each of these names its cause by itself."""
    causes = likely_causes(CauseFacts(verdict=Verdict.LEAK, rate=1e6, grown=(grown,)))
    assert causes[0].name == name
    assert causes[0].next_step


def test_many_threads_come_before_the_arenas_that_they_bring() -> None:
    """Stacks and arenas follow from threads; and memory that is merely called so is no memo of a cache."""
    arenas = GrownPart("malloc arenas of glibc (64 MiB each)", 3e7, None, "", 6)
    causes = likely_causes(
        CauseFacts(verdict=Verdict.LEAK, grown=(arenas,), off_heap=3e7, between={"threads": (200.0, 600.0)})
    )
    assert causes[0].name == "threads that are never ended"
    memory = GrownPart("anonymous memory", 3e7, 0.9)
    named = [one.name for one in likely_causes(CauseFacts(verdict=Verdict.LEAK, grown=(memory,)))]
    assert "unbounded cache" not in named
