"""Asks Prometheus when alert rules were true in its past; and the table of what they would have done.

Load is bounded: one question at a time, each about one day of one rule at one moment every five minutes, with
a pause after it as long as its answer took, and none where more containers are asked for than can be borne.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from memtop.history.past_series import ContainerName
from memtop.history.prometheus_answers import MetricStream
from memtop.history.prometheus_client import PrometheusClient
from memtop.history.prometheus_past import ask_past, group_by_container
from memtop.history.prometheus_queries import QueryGrid, query_grid
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.rules.alert_rules import RuleId, RuleSet
from memtop.rules.rule_expressions import RuleWorkload
from memtop.rules.rule_history import DAY, FORECASTS, STEP, Backtest, RuleHistory, RulePast, RuleStreams
from memtop.wording import counted, duration, share

MOST_CONTAINERS = 2000
"""Containers at once: a day of the rule that looks at most samples is then some six million of them."""
LONGEST_PAUSE = 5.0
MOST_JUDGED = 50
"""Containers whose past is judged; a rule that pages for more is judged on these."""
LEAKS = frozenset({Verdict.LEAK})


def ask_rule_past(
    prometheus: PrometheusClient,
    rules: RuleSet,
    seconds: float,
    now: float,
    *,
    pause: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda _: None,
) -> RulePast:
    """Has rules evaluated on the past. Blocks.

    Args:
        prometheus: Whom to ask.
        rules: The rules.
        seconds: How far back.
        now: Unix seconds.
        pause: Waits between questions.
        tell: Told what is being asked.

    Raises:
        Unreachable: Prometheus does not answer at all.
        ApiError: It refuses.
        ValueError: More containers are asked for than can be borne; a sentence.
    """
    metrics = rules.metrics
    if metrics.schema.memory:
        count = prometheus.instant_query(f"count({metrics.per_container(metrics.memory_series())})", now)
        found = int(count.streams[0].last) if count.streams else 0
        if found > MOST_CONTAINERS:
            raise ValueError(
                f"{found} containers are too many to look at the past of (at most {MOST_CONTAINERS}): "
                "name namespaces or workloads"
            )
    asked = _Questions(prometheus, metrics.labels, now, seconds, pause)
    kills: Mapping[ContainerName, MetricStream] = {}
    if metrics.knows_oom_kills:
        tell("OOM kills")
        kills = asked.streams(metrics.oom_kills(STEP))
    judged: dict[ContainerName, bool] = {}
    streams: dict[tuple[RuleId, RuleWorkload | None], RuleStreams] = {}
    problems: dict[tuple[RuleId, RuleWorkload | None], str] = {}
    for rule in rules.rules:
        tell(rule.id)
        key = (rule.id, rule.workload)
        try:
            streams[key] = asked.streams(rule.expression)
        except (Unreachable, ApiError) as error:
            problems[key] = str(error)
            continue
        if rule.id in FORECASTS:
            names = [name for name in streams[key] if name not in judged and name not in kills]
            judged |= _leaking(prometheus, rules, names[:MOST_JUDGED], now, seconds)
    return RulePast(seconds, now, streams, kills, judged, problems)


@dataclass(frozen=True)
class _Questions:
    """Asks one thing after another."""

    prometheus: PrometheusClient
    labels: Sequence[str]
    now: float
    seconds: float
    pause: Callable[[float], None]

    def streams(self, expression: str) -> dict[ContainerName, MetricStream]:
        """When an expression was true of each container, and its value then."""
        parts: defaultdict[ContainerName, list[MetricStream]] = defaultdict(list)
        for grid in self._days():
            began = time.monotonic()
            answer = self.prometheus.range_query(expression, grid)
            for name, found in group_by_container(answer.streams, self.labels).items():
                parts[name] += found
            self.pause(min(LONGEST_PAUSE, time.monotonic() - began))
        return {name: _joined(found) for name, found in parts.items()}

    def _days(self) -> Iterator[QueryGrid]:
        last = self.now // STEP * STEP
        start = last - self.seconds // STEP * STEP
        while start <= last:
            end = min(start + DAY - STEP, last)
            yield QueryGrid(start, end, STEP)
            start = end + STEP


def _joined(parts: Sequence[MetricStream]) -> MetricStream:
    times = np.concatenate([one.times for one in parts])
    order = np.argsort(times, kind="stable")
    return MetricStream(parts[0].labels, times[order], np.concatenate([one.values for one in parts])[order])


def _leaking(
    prometheus: PrometheusClient, rules: RuleSet, names: Sequence[ContainerName], now: float, seconds: float
) -> dict[ContainerName, bool]:
    """Whether memtop sees a leak in the past of each container, as far as anything is known of it."""
    schema = rules.metrics.schema
    if not names or not schema.memory:
        return {}
    try:
        told = ask_past(prometheus, schema, names, schema.memory[:1], query_grid(now, seconds), names)
    except (Unreachable, ApiError):
        return {}
    verdicts = {
        name: judge_series(Series(past.times, past.values, past.restarts, past.oom_kills, past.limit)).verdict
        for (name, _), past in told.pasts.items()
    }
    return {
        name: verdict in LEAKS for name, verdict in verdicts.items() if verdict is not Verdict.NOT_ENOUGH_DATA
    }


HEADINGS = ("RULE", "PAGES", "PODS", "KILLS ANNOUNCED", "LEAD", "FALSE", "WHAT TO DO")


def backtest_rows(found: Backtest) -> list[tuple[str, ...]]:
    """The table of a back-test, a row a rule."""
    return [_row(one, found.seconds) for one in found.histories]


def _row(one: RuleHistory, seconds: float) -> tuple[str, ...]:
    name = one.rule.id if one.rule.workload is None else f"{one.rule.id} of {one.rule.workload.name}"
    if one.problem:
        return (name, "unknown", "", "", "", "", one.problem)
    forecast = one.rule.id in FORECASTS
    lead = duration(float(np.median(one.leads))) if one.leads else "–"
    pods = ", ".join(one.pods[:2]) + (f" and {len(one.pods) - 2} more" if len(one.pods) > 2 else "")
    return (
        name,
        str(len(one.pages)),
        pods or "–",
        f"{len(one.leads)} of {one.kills}" if forecast else "–",
        lead,
        str(len(one.false_alarms)) if forecast else "–",
        advice_words(one, seconds),
    )


def advice_words(one: RuleHistory, seconds: float) -> str:
    """What is to be said of a rule that would have paged too often; empty where nothing is."""
    if not one.noisy:
        return ""
    words = f"{counted(len(one.false_alarms), 'page')} in {duration(seconds)} without an incident"
    if one.offered is None:
        return f"{words}; no threshold helps: turn it off where it is wrong (memtop/alerts)"
    limit = f"{one.offered:g} h" if one.rule.id == "limit-soon" else share(one.offered)
    return f"{words}; {limit} would have paged once a day at most"
