"""What rules would have done: pages, lead before OOM kills, false alarms; thresholds learned from that.

Everything here reckons with answers that are there; `memtop/rules/backtest.py` asks for them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from memtop.history.past_series import ContainerName, Floats
from memtop.history.prometheus_answers import MetricStream
from memtop.rules.alert_rules import AlertRule, RuleException, RuleId, RuleSet
from memtop.rules.rule_expressions import RuleWorkload
from memtop.wording import counted, duration

STEP = 300.0
"""Seconds between the moments at which a rule is evaluated: the hold of a rule is five minutes or more."""
DAY = 86400.0
WARNING_SECONDS = DAY
"""A kill that comes within a day after a page was announced by it."""
FORECASTS = frozenset({"near-limit", "leak", "limit-soon", "pressure"})
"""The rules that say what is to come, and so may be wrong; the others say what has happened."""
LEARNED_MARGIN = 0.1
"""How much further a learned threshold lies than what was seen: the next night is not quite like the last."""


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


RuleStreams = Mapping[ContainerName, MetricStream]
"""When a rule was true of each container, and its value then."""


@dataclass(frozen=True, eq=False)
class RulePast:
    """What Prometheus remembers of some rules; stricter thresholds can be tried on it without asking again.

    Attributes:
        seconds: How far back was asked.
        now: Unix seconds.
        streams: When each rule was true, by its name and the one workload that it is about.
        kills: When each container was OOM-killed.
        leaking: Whether memtop sees a leak in a container, where it can tell.
        problems: Why nothing is known of a rule, by its name and workload.
    """

    seconds: float
    now: float
    streams: Mapping[tuple[RuleId, RuleWorkload | None], RuleStreams] = field(default_factory=dict)
    kills: RuleStreams = field(default_factory=dict)
    leaking: Mapping[ContainerName, bool] = field(default_factory=dict)
    problems: Mapping[tuple[RuleId, RuleWorkload | None], str] = field(default_factory=dict)


def evaluate_rules(past: RulePast, rules: RuleSet) -> Backtest:
    """What rules would have done, from what is known of the same rules with the same or milder thresholds."""
    return Backtest(past.seconds, tuple(_evaluated(past, rule, rules) for rule in rules.rules))


def _evaluated(past: RulePast, rule: AlertRule, rules: RuleSet) -> RuleHistory:
    key = (rule.id, rule.workload)
    if key not in past.streams:
        key = (rule.id, None)
    if why := past.problems.get(key):
        return RuleHistory(rule, problem=why)
    others = [one.workload for one in rules.rules if one.id == rule.id and one.workload is not None]

    def is_meant(name: ContainerName) -> bool:
        if rule.workload is not None:
            return is_pod_of(name, rule.workload)
        return not any(is_pod_of(name, other) for other in others)

    streams = {
        name: _beyond(rule, stream, rule.threshold)
        for name, stream in past.streams.get(key, {}).items()
        if is_meant(name)
    }
    kills = {name: stream for name, stream in past.kills.items() if is_meant(name)}
    return rule_history(rule, streams, kills, past.leaking, past.seconds, past.now)


def is_pod_of(name: ContainerName, workload: RuleWorkload) -> bool:
    """Whether a container is of a pod of a workload, as its name tells."""
    return name.namespace == workload.namespace and bool(re.fullmatch(workload.pod_regex, name.pod))


def learn_exceptions(
    past: RulePast, rules: RuleSet, workloads: Sequence[RuleWorkload]
) -> tuple[RuleException, ...]:
    """Thresholds with which workloads that were healthy would not have paged anybody.

    A workload teaches a rule nothing where any of its pages was right, or may have been: only what memtop
    judges to be no leak, and what was not OOM-killed afterwards, is healthy.

    Args:
        past: What is known.
        rules: The rules that it is known of.
        workloads: Those that there are.
    """
    learned: dict[RuleWorkload, dict[RuleId, float]] = defaultdict(dict)
    counts: defaultdict[RuleWorkload, int] = defaultdict(int)
    for rule in rules.rules:
        if rule.workload is not None or rule.threshold is None or rule.id not in FORECASTS:
            continue
        history = _evaluated(past, rule, rules)
        streams = past.streams.get((rule.id, None), {})
        for workload in workloads:
            pages = [page for page in history.pages if is_pod_of(page.container, workload)]
            if not pages or not set(pages) <= set(history.false_alarms):
                continue
            quiet = _offered(rule, streams, {page.container for page in pages}, 0)
            if quiet is not None:
                learned[workload][rule.id] = _with_margin(rule.id, quiet)
                counts[workload] += len(pages)
    return tuple(
        RuleException(
            workload,
            values=learned[workload],
            reason=f"learned from {duration(past.seconds)}: {counted(counts[workload], 'page')} in vain",
        )
        for workload in sorted(learned)
    )


def _with_margin(rule: RuleId, quiet: float) -> float:
    if rule == "limit-soon":
        return round(quiet * (1 - LEARNED_MARGIN), 3)
    if rule == "leak":
        return round(quiet * (1 + LEARNED_MARGIN), 3)
    return round(quiet + LEARNED_MARGIN * (1 - quiet), 4)


def _beyond(rule: AlertRule, stream: MetricStream, threshold: float | None) -> MetricStream:
    """The part of a stream that lies beyond a threshold; all of it for a rule that counts or has none."""
    if threshold is None or rule.id not in FORECASTS:
        return stream
    kept = stream.values < threshold if rule.id == "limit-soon" else stream.values > threshold
    return replace(stream, times=stream.times[kept], values=stream.values[kept])


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
    rule: AlertRule, streams: Mapping[ContainerName, MetricStream], wrong: set[ContainerName], most: float
) -> float | None:
    """The nearest threshold with which what has paged in vain would have paged at most so many times."""
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
            left += sum(1 for _ in _pages(rule, name, _beyond(rule, streams[name], candidate)))
        if left <= most:
            return candidate
    return None
