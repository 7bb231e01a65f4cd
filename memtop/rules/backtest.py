"""What rules would have done in the past: pages, lead before OOM kills, false alarms.

Load is bounded: one question at a time, each about one day of one rule at one moment every five minutes, with
a pause after it as long as its answer took, and none where more containers are asked for than can be borne.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from memtop.history.past_series import ContainerName, Floats
from memtop.history.prometheus_answers import MetricStream
from memtop.history.prometheus_client import PrometheusClient
from memtop.history.prometheus_past import ask_past, group_by_container
from memtop.history.prometheus_queries import QueryGrid, query_grid
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.rules.alert_rules import AlertRule, RuleSet
from memtop.wording import counted, duration, share

STEP = 300.0
"""Seconds between the moments at which a rule is evaluated: the hold of a rule is five minutes or more."""
DAY = 86400.0
MOST_CONTAINERS = 2000
"""Containers at once: a day of the rule that looks at most samples is then some six million of them."""
LONGEST_PAUSE = 5.0
WARNING_SECONDS = DAY
"""A kill that comes within a day after a page was announced by it."""
MOST_JUDGED = 50
"""Containers whose past is judged; a rule that pages for more is judged on these."""
FORECASTS = frozenset({"near-limit", "leak", "limit-soon", "pressure"})
"""The rules that say what is to come, and so may be wrong; the others say what has happened."""
LEAKS = frozenset({Verdict.LEAK})


@dataclass(frozen=True)
class RulePage:
    """One time that a rule would have paged.

    Attributes:
        container: For what.
        at: When, Unix seconds: after it had been true for as long as the rule wants.
        until: When it was last true.
    """

    container: ContainerName
    at: float
    until: float


@dataclass(frozen=True)
class RuleHistory:
    """What one rule would have done.

    Attributes:
        rule: The rule.
        pages: All of its pages.
        leads: Seconds from a page to the OOM kill that it announced, for each kill that one did.
        kills: OOM kills in that time; of one container at most one each five minutes.
        false_alarms: Pages after which no OOM kill came and where memtop sees no leak; empty for rules that
            say what has happened.
        offered: The threshold with which there would have been no more than one a day; None where the rule is
            right as it is, or no threshold helps.
        noisy: Whether it would have paged more than once a day in vain.
        problem: Why it is not known; empty if it is.
    """

    rule: AlertRule
    pages: tuple[RulePage, ...] = ()
    leads: tuple[float, ...] = ()
    kills: int = 0
    false_alarms: tuple[RulePage, ...] = ()
    offered: float | None = None
    noisy: bool = False
    problem: str = ""

    @property
    def pods(self) -> tuple[str, ...]:
        """The pods it would have paged for, those with most pages first."""
        counts: defaultdict[str, int] = defaultdict(int)
        for page in self.pages:
            counts[page.container.pod] += 1
        return tuple(sorted(counts, key=lambda pod: (-counts[pod], pod)))


@dataclass(frozen=True)
class Backtest:
    """What a set of rules would have done.

    Attributes:
        seconds: How far back was asked.
        histories: Rule by rule.
    """

    seconds: float
    histories: tuple[RuleHistory, ...]


def run_backtest(
    prometheus: PrometheusClient,
    rules: RuleSet,
    seconds: float,
    now: float,
    *,
    pause: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """Evaluates rules on the past. Blocks.

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
    histories = []
    for rule in rules.rules:
        tell(rule.id)
        try:
            streams = asked.streams(rule.expression)
        except (Unreachable, ApiError) as error:
            histories.append(RuleHistory(rule, problem=str(error)))
            continue
        if rule.id in FORECASTS:
            names = [name for name in streams if name not in judged and name not in kills]
            judged |= _leaking(prometheus, rules, names[:MOST_JUDGED], now, seconds)
        histories.append(rule_history(rule, streams, kills, judged, seconds, now))
    return Backtest(seconds, tuple(histories))


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
    return {
        name: judge_series(Series(past.times, past.values, past.restarts, past.oom_kills, past.limit)).verdict
        in LEAKS
        for (name, _), past in told.pasts.items()
    }


def rule_history(
    rule: AlertRule,
    streams: Mapping[ContainerName, MetricStream],
    kills: Mapping[ContainerName, MetricStream],
    leaking: Mapping[ContainerName, bool],
    seconds: float,
    now: float,
) -> RuleHistory:
    """What one rule would have done.

    Args:
        rule: The rule.
        streams: When it was true of each container, and its value then.
        kills: When each container was OOM-killed.
        leaking: Whether memtop sees a leak in it, as far as that is known.
        seconds: How far back was asked.
        now: Unix seconds.
    """
    pages = [page for name, stream in streams.items() for page in _pages(rule, name, stream)]
    pages.sort(key=lambda page: page.at)
    ends = {name: stream.times for name, stream in kills.items()}
    wrong = [page for page in pages if rule.id in FORECASTS and _is_false(page, ends, leaking, now)]
    days = max(seconds / DAY, 1.0)
    noisy = len(wrong) > days
    return RuleHistory(
        rule,
        tuple(pages),
        tuple(_leads(pages, ends)) if rule.id in FORECASTS else (),
        sum(len(times) for times in ends.values()),
        tuple(wrong),
        _offered(rule, streams, {page.container for page in wrong}, days) if noisy else None,
        noisy,
    )


def _pages(rule: AlertRule, name: ContainerName, stream: MetricStream) -> Iterator[RulePage]:
    """The pages of one container: one for each time that the rule was true for long enough."""
    cuts = np.flatnonzero(np.diff(stream.times) > 1.5 * STEP) + 1
    for times in np.split(stream.times, cuts):
        if len(times) and times[-1] - times[0] >= rule.hold:
            yield RulePage(name, float(times[0]) + rule.hold, float(times[-1]))


def _is_false(
    page: RulePage, ends: Mapping[ContainerName, Floats], leaking: Mapping[ContainerName, bool], now: float
) -> bool:
    times = ends.get(page.container)
    if times is not None and ((times >= page.at - STEP) & (times <= page.until + WARNING_SECONDS)).any():
        return False
    return not leaking.get(page.container, True) and page.at < now


def _leads(pages: Sequence[RulePage], ends: Mapping[ContainerName, Floats]) -> Iterator[float]:
    """How long before each kill the last page before it came, where that was within a day."""
    for name, times in ends.items():
        before = 0.0
        for end in times.tolist():
            ahead = [
                page.at
                for page in pages
                if page.container == name and before <= page.at < end and end - page.until <= WARNING_SECONDS
            ]
            if ahead:
                yield end - ahead[0]
            before = end


def _offered(
    rule: AlertRule, streams: Mapping[ContainerName, MetricStream], wrong: set[ContainerName], days: float
) -> float | None:
    """The nearest threshold with which what has paged in vain would not have done so more than once a day."""
    if rule.threshold is None:
        return None
    below = rule.id == "limit-soon"
    values = np.unique(np.concatenate([streams[name].values for name in wrong]))
    for value in np.round(np.quantile(values, np.linspace(1, 0, 40) if below else np.linspace(0, 1, 40)), 3):
        candidate = float(value) - 0.001 if below else float(value) + 0.001
        if candidate <= 0 or (rule.id in {"near-limit", "pressure"} and candidate >= 1):
            continue
        left = 0
        for name in wrong:
            stream = streams[name]
            kept = stream.values < candidate if below else stream.values > candidate
            kept_only = replace(stream, times=stream.times[kept], values=stream.values[kept])
            left += sum(1 for _ in _pages(rule, name, kept_only))
        if left <= days:
            return candidate
    return None


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
