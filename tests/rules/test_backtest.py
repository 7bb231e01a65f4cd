"""What rules would have done in the past, from what Prometheus answers."""

from dataclasses import replace

import numpy as np
import pytest

from memtop.history.past_series import ContainerName
from memtop.history.prometheus_answers import MetricStream, QueryAnswer
from memtop.rules import backtest
from memtop.rules.alert_rules import RuleThresholds, build_rules
from memtop.rules.backtest import advice_words, ask_rule_past
from memtop.rules.rule_history import DAY, STEP, evaluate_rules, rule_history
from tests.rules.installations import INSTALLATIONS

NOW = 100 * DAY
RULES = build_rules(INSTALLATIONS["kube-prometheus"], RuleThresholds())
NEAR, SOON, KILLED = (
    next(rule for rule in RULES.rules if rule.id == name) for name in ("near-limit", "limit-soon", "oom-kill")
)
APP, OTHER = ContainerName("shop", "web-1", "app"), ContainerName("shop", "web-2", "app")


def stream(*spans, value=0.95):
    """True from so many to so many seconds before now."""
    times = np.concatenate([np.arange(NOW - far, NOW - near + 1, STEP) for far, near in spans])
    return MetricStream({}, times, np.full(len(times), value))


def history(rule, streams, kills=None, leaking=None, days=7.0):
    return rule_history(rule, streams, kills or {}, leaking or {}, days * DAY, NOW)


def test_a_page_comes_once_for_each_time_that_a_rule_holds_for_long_enough():
    found = history(NEAR, {APP: stream((9000, 7000), (5000, 5000), (3000, 900))})
    assert [page.at for page in found.pages] == [NOW - 9000 + 300, NOW - 3000 + 300]


def test_a_kill_is_announced_by_the_page_before_it():
    kills = {APP: stream((3600, 3600))}
    found = history(NEAR, {APP: stream((9000, 4000))}, kills, {APP: False})
    assert found.leads == (9000 - 300 - 3600,)
    assert found.kills == 1
    assert not found.false_alarms


def test_a_page_without_a_kill_is_false_where_memtop_sees_no_leak():
    streams = {APP: stream((9000, 4000)), OTHER: stream((9000, 4000))}
    found = history(NEAR, streams, leaking={APP: False, OTHER: True})
    assert [page.container for page in found.false_alarms] == [APP]
    assert found.pods == ("web-1", "web-2")


def test_nothing_is_false_of_what_is_not_known():
    assert not history(NEAR, {APP: stream((9000, 4000))}).false_alarms


def test_what_has_happened_is_no_forecast_and_not_false():
    found = history(KILLED, {APP: stream((9000, 4000))}, leaking={APP: False})
    assert found.pages
    assert not found.false_alarms
    assert not found.leads


def busy(value):
    """Twelve times in half a day."""
    return stream(*((3600 * hour + 1800, 3600 * hour) for hour in range(12, 0, -1)), value=value)


def test_a_noisy_rule_is_offered_the_threshold_that_would_have_been_quiet():
    found = history(NEAR, {APP: busy(0.93)}, leaking={APP: False}, days=1)
    assert found.noisy
    assert found.offered == pytest.approx(0.931)
    assert "12 pages in 1 d without an incident; 93 % would" in advice_words(found, DAY)
    quieter = build_rules(INSTALLATIONS["kube-prometheus"], RuleThresholds(near_limit=found.offered)).rules[0]
    assert quieter.expression.endswith("> 0.931")


def test_hours_to_the_limit_are_offered_below():
    found = history(SOON, {APP: busy(2.5)}, leaking={APP: False}, days=1)
    assert found.offered == pytest.approx(2.499)


def test_where_no_threshold_helps_it_says_so():
    found = history(NEAR, {APP: busy(1.0)}, leaking={APP: False}, days=1)
    assert found.offered is None
    assert "turn it off" in advice_words(found, DAY)


def test_a_rule_that_pages_less_than_once_a_day_is_left_as_it_is():
    found = history(NEAR, {APP: busy(0.93)}, leaking={APP: False}, days=30)
    assert not found.noisy
    assert advice_words(found, 30 * DAY) == ""


class Asked:
    """A Prometheus that notes what it is asked."""

    def __init__(self, count):
        self.count, self.grids = count, []

    def instant_query(self, query, at=None):
        return QueryAnswer((MetricStream({}, np.array([NOW]), np.array([self.count])),))

    def range_query(self, query, grid):
        self.grids.append(grid)
        return QueryAnswer()


def test_load_is_bounded():
    asked, pauses = Asked(20), []
    rules = replace(RULES, rules=(NEAR,))
    found = evaluate_rules(ask_rule_past(asked, rules, 7 * DAY, NOW, pause=pauses.append), rules)
    assert len(asked.grids) == 2 * 8  # OOM kills and one rule, a day at a time
    assert all((grid.end - grid.start) / grid.step < 300 for grid in asked.grids)
    assert len(pauses) == len(asked.grids)
    moments = [at for grid in asked.grids[:8] for at in np.arange(grid.start, grid.end + 1, grid.step)]
    assert len(moments) == len(set(moments)) == 7 * 288 + 1
    assert backtest.backtest_rows(found)[0][:2] == ("near-limit", "0")


def test_too_many_containers_are_refused_with_a_sentence():
    with pytest.raises(ValueError, match="name namespaces or workloads"):
        ask_rule_past(Asked(5000), RULES, DAY, NOW)
