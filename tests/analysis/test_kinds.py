"""How well other kinds than the bench's are told apart. The seed is not one that was looked at in
development.
"""

from collections import Counter

import pytest

from memtop.analysis.judgement import Verdict
from memtop.commands.classify import NamedSeries, judge_named_series
from tests.analysis.healthy import HEALTHY, SHARE
from tests.analysis.kinds import all_kinds, make
from tests.analysis.leaking import LEAKS
from tests.analysis.unfinished import UNFINISHED
from tests.analysis.unseen import UNSEEN_HEALTHY

EACH = 40
SEED = 97


@pytest.fixture(scope="module")
def judged():
    made = [*all_kinds(SEED, EACH, live=False), *all_kinds(SEED + 1, EACH, live=True)]
    verdicts = judge_named_series([NamedSeries(one.kind, one.series) for one in made])
    return list(zip(made, verdicts, strict=True))


@pytest.mark.parametrize("kind", sorted(LEAKS))
def test_leaks_of_every_kind_are_found(judged, kind):
    found = [verdict.verdict is Verdict.LEAK for made, verdict in judged if made.kind == kind]
    assert sum(found) >= 0.85 * len(found)


@pytest.mark.parametrize("kind", sorted(HEALTHY))
def test_no_healthy_kind_is_taken_for_a_leak(judged, kind):
    called = Counter(verdict.certainty for made, verdict in judged if made.kind == kind)
    assert called["leak"] <= 1
    assert called["suspected leak"] <= 0.2 * 2 * EACH


@pytest.mark.parametrize("kind", sorted(UNFINISHED))
def test_growth_that_may_yet_end_is_no_more_than_suspected(kind):
    made = [make(kind, SEED * 1000 + number, live=bool(number % 2)) for number in range(2 * EACH)]
    verdicts = judge_named_series([NamedSeries(one.kind, one.series) for one in made])
    assert sum(verdict.certainty == "leak" for verdict in verdicts) <= 0.05 * len(made)


@pytest.mark.parametrize("kind", sorted(HEALTHY))
def test_healthy_kinds_get_a_name_that_fits(judged, kind):
    fits = [str(verdict.verdict) in made.labels for made, verdict in judged if made.kind == kind]
    assert sum(fits) >= 0.75 * len(fits)


def test_most_leaks_are_found_and_few_others(judged):
    leak = [verdict.verdict is Verdict.LEAK for _, verdict in judged]
    truly = [made.leak for made, _ in judged]
    hits = sum(a and b for a, b in zip(leak, truly, strict=True))
    precision, recall = hits / sum(leak), hits / sum(truly)
    assert 2 * precision * recall / (precision + recall) > 0.975


def test_rates_are_close(judged):
    for kind in LEAKS:
        errors = sorted(
            abs(verdict.rate / made.rate - 1)
            for made, verdict in judged
            if made.kind == kind and verdict.verdict is Verdict.LEAK
        )
        assert errors[len(errors) // 2] < 0.15, kind


def test_high_confidence_is_deserved(judged):
    sure = [(made, verdict) for made, verdict in judged if verdict.confidence >= 0.95]
    right = sum(str(verdict.verdict) in made.labels for made, verdict in sure)
    assert len(sure) > len(judged) / 2
    assert right >= 0.95 * len(sure)


def test_fewer_than_one_healthy_container_in_a_thousand_is_called_a_leak():
    healthy = (*HEALTHY, *UNFINISHED)
    whole = sum(SHARE.get(kind, 1.0) for kind in healthy)
    made = [
        make(kind, SEED * 1000 + number, live=bool(number % 2))
        for kind in healthy
        for number in range(round(10_000 * SHARE.get(kind, 1.0) / whole))
    ]
    verdicts = judge_named_series([NamedSeries(one.kind, one.series) for one in made])
    called = [one.kind for one, verdict in zip(made, verdicts, strict=True) if verdict.certainty == "leak"]
    assert len(made) > 9_900
    assert len(called) < 10, Counter(called)


def test_kinds_that_came_after_the_rules_are_told_apart_as_well():
    made = [*all_kinds(SEED, 30, live=False, unseen=True), *all_kinds(SEED, 30, live=True, unseen=True)]
    verdicts = judge_named_series([NamedSeries(one.kind, one.series) for one in made])
    leak = [verdict.verdict is Verdict.LEAK for verdict in verdicts]
    hits = sum(called and one.leak for called, one in zip(leak, made, strict=True))
    precision, recall = hits / sum(leak), hits / sum(one.leak for one in made)
    assert 2 * precision * recall / (precision + recall) > 0.97
    sure = Counter(
        one.kind for one, verdict in zip(made, verdicts, strict=True) if verdict.certainty == "leak"
    )
    assert sum(count for kind, count in sure.items() if kind in UNSEEN_HEALTHY) <= 3
