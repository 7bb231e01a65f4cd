"""The ``promtool test rules`` file of some rules: for each rule series that fire and series that must not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from memtop.history.prometheus_queries import (
    LAST_REASON_METRIC,
    LIMITS_METRIC,
    MEMORY_METRICS,
    OOM_EVENTS_METRIC,
    PRESSURE_METRIC,
    RESTARTS_METRIC,
    SPEC_LIMITS_METRIC,
)
from memtop.rules.alert_rules import AlertRule, RuleSet
from memtop.rules.rule_expressions import OWNER_METRIC, RuleMetrics, promql_duration
from memtop.rules.rule_files import yaml_text

MIB = 2**20
_LIMIT = 1000 * MIB
_STAIRS = 240
_LONGEST_STEP = 60.0
"""Seconds between samples: a life without one for two minutes counts as over."""
Curve = Callable[[float], float]
"""A value for each share of the time that a test takes, 0 to 1."""


@dataclass(frozen=True)
class _World:
    """Writes series of invented pods under the names of one installation."""

    metrics: RuleMetrics
    namespace: str
    step: float
    steps: int

    def times(self, curve: Curve) -> str:
        """The values, in some hundred stairs at most, as promtool writes repetitions."""
        stair = max(1, self.steps // _STAIRS)
        values = [curve(at / self.steps) for at in range(0, self.steps + 1, stair)]
        parts = []
        for value, alike in groupby("" if value < 0 else f"{value:.0f}" for value in values):
            times = stair * sum(1 for _ in alike)
            parts.append(f"{value}+0x{times - 1}" if value else f"_x{times}")
        return " ".join(parts)

    def kubelet(self, metric: str, pod: str, curve: Curve, life: str = "a") -> dict[str, str]:
        schema = self.metrics.schema
        names = [*schema.selectors, f'namespace="{self.namespace}"', f'{schema.pod}="{pod}"']
        if not schema.pods_only:
            names.append(f'{schema.container}="app"')
        names.append(f'id="/kubepods/{pod}/{life}"')
        return {"series": f"{metric}{{{','.join(names)}}}", "values": self.times(curve)}

    def state(self, metric: str, pod: str, curve: Curve, *more: str) -> dict[str, str]:
        schema, prefix = self.metrics.schema, self.metrics.schema.state_prefix
        names = [
            *schema.state_selectors,
            f'{prefix}namespace="{self.namespace}"',
            f'{prefix}pod="{pod}"',
            f'{prefix}container="app"',
            *more,
        ]
        return {"series": f"{metric}{{{','.join(names)}}}", "values": self.times(curve)}

    def memory(
        self, pod: str, curve: Curve, life: str = "a", limit: float = _LIMIT
    ) -> Iterator[dict[str, str]]:
        """A container with a curve of memory, shares of the limit."""
        yield self.kubelet(
            MEMORY_METRICS[self.metrics.schema.memory[0]],
            pod,
            lambda at: curve(at) * _LIMIT if curve(at) >= 0 else -1,
            life,
        )
        if limit and life == "a":
            yield from self.limits(pod, limit)

    def limits(self, pod: str, limit: float) -> Iterator[dict[str, str]]:
        if self.metrics.has(LIMITS_METRIC):
            yield self.state(LIMITS_METRIC, pod, lambda _: limit, 'resource="memory"')
        elif self.metrics.has(SPEC_LIMITS_METRIC):
            yield self.kubelet(SPEC_LIMITS_METRIC, pod, lambda _: limit)

    def ends(self, pod: str, restarts: Curve, *, oom: bool) -> Iterator[dict[str, str]]:
        """Restarts, and why the last end came: after the first, which may be before the test begins."""
        if self.metrics.has(RESTARTS_METRIC):
            yield self.state(RESTARTS_METRIC, pod, restarts)
            reason = "OOMKilled" if oom else "Error"
            if self.metrics.has(LAST_REASON_METRIC):
                yield self.state(
                    LAST_REASON_METRIC, pod, lambda at: 1 if restarts(at) else -1, f'reason="{reason}"'
                )

    def dying(self, pod: str, restarts: Curve, *, oom: bool) -> Iterator[dict[str, str]]:
        """A container that ends again and again: its lives, its restarts, and the kernel's count."""
        lives = {restarts(at / self.steps) for at in range(self.steps + 1)}
        for number in sorted(lives):
            life = "a" if number == 0 else f"l{number:g}"
            yield from self.memory(pod, _while(restarts, number), life)
        if oom and self.metrics.has(OOM_EVENTS_METRIC):
            yield self.kubelet(OOM_EVENTS_METRIC, pod, restarts, "kernel")
        yield from self.ends(pod, restarts, oom=oom)


def rule_tests(rules: RuleSet, rule_file: str) -> str:
    """The file for ``promtool test rules``.

    Args:
        rules: The rules.
        rule_file: The name of their rule file, beside which this one is to be.
    """
    head = (
        "# For promtool test rules. In each test one pod must raise the alert, and the others must not:\n"
        "# what saturates, what saws, what comes each night, what died yesterday.\n"
    )
    document = {
        "rule_files": [rule_file],
        "evaluation_interval": "1m",
        "tests": [_test(rule, rules) for rule in rules.rules],
    }
    return head + yaml_text(document)


def _test(rule: AlertRule, rules: RuleSet) -> dict[str, Any]:
    selection, workload = rules.metrics.selection, rule.workload
    if workload is None:
        excluded = set(selection.without)
        workload = next((one for one in selection.workloads if one not in excluded), None)
    namespace = workload.namespace if workload else next(iter(selection.namespaces), "production")
    numbers = (2, 4, 5, 6, 7, 8)
    pods = [workload.sample_pod(number) if workload else f"pod-{number}" for number in numbers]
    if len(set(pods)) < len(pods):  # a bare pod has one name: there is nothing else to be quiet
        pods = pods[:1]
    length = _length(rule, rules)
    step = min(_LONGEST_STEP, max(15.0, round(length / _STAIRS / 15) * 15.0))
    world = _World(rules.metrics, namespace, step, round(length / step))
    series = [
        one for pod, make in zip(pods, _CASES[rule.id], strict=False) for one in make(world, rule, rules, pod)
    ]
    labels = "" if "container" not in rules.metrics.labels else ', container="app"'
    return {
        "name": f"{rule.alert}: {pods[0]} fires, {', '.join(pods[1:]) or 'nothing else'} must not",
        "interval": promql_duration(step),
        "input_series": list({one["series"]: one for one in series}.values()),
        "promql_expr_test": [
            {
                "expr": f"max by (namespace, pod{', container' if labels else ''}) (ALERTS{{alertname="
                f'"{rule.alert}",alertstate="firing",memtop_rule="{rule.id}"}})',
                "eval_time": promql_duration(step * world.steps),
                "exp_samples": [
                    {"labels": f'{{namespace="{namespace}", pod="{pods[0]}"{labels}}}', "value": 1}
                ],
            }
        ],
    }


def _length(rule: AlertRule, rules: RuleSet) -> float:
    """Seconds that a test needs."""
    if rule.id == "leak":
        return rules.thresholds.leak_window * 2.5
    if rule.id == "limit-soon":
        return rules.thresholds.forecast_window * 2.5
    return 5400.0


def _while(restarts: Curve, number: float) -> Curve:
    """Half of the limit in one life, nothing in the others."""
    return lambda at: 0.5 if restarts(at) == number else -1


_Case = Callable[[_World, AlertRule, RuleSet, str], Iterator[dict[str, str]]]


def _flat(share: float) -> _Case:
    return lambda world, rule, rules, pod: world.memory(pod, lambda _: share)


def _near(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    return world.memory(pod, lambda _: min(0.999, (1 + (rule.threshold or 0)) / 2))


def _spike(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    return world.memory(pod, lambda at: 0.999 if 0.97 < at < 0.98 else 0.4)


def _ramp(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    if rule.id == "limit-soon":  # half of the time allowed is left at the end
        ahead = (rule.threshold or 1) * 3600 / (world.step * world.steps) / 2
        return world.memory(pod, lambda at: 0.05 + 0.94 * at / (1 + ahead))
    growth = min(2 * (rule.threshold or 0.1) + 0.1, 8.0)  # in a window, of which there are two and a half
    top = 1 + 2.5 * growth
    return world.memory(pod, lambda at: 0.95 / top * (1 + 2.5 * growth * at))


def _just_below(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    """As high as a healthy workload of this threshold comes."""
    return world.memory(pod, lambda _: 0.99 * (rule.threshold or 0))


def _slower_ramp(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    """Growth that this threshold still allows."""
    if rule.id == "limit-soon":  # twice the time allowed is left at the end
        ahead = (rule.threshold or 1) * 3600 / (world.step * world.steps) * 2
        return world.memory(pod, lambda at: 0.05 + 0.94 * at / (1 + ahead))
    growth = rule.threshold or 0.1  # from quarter to quarter of a window it is three quarters of that
    return world.memory(pod, lambda at: 0.9 * (1 + 2.5 * growth * at) / (1 + 2.5 * growth))


def _saturating(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    return world.memory(pod, lambda at: 0.8 * (1 - 2.0 ** (-12 * at)))


def _saw(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    return world.memory(pod, lambda at: 0.3 + 0.4 * ((at * 17) % 1))


def _nightly(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    """The same ramp before the window as in it: a batch that comes back."""
    return world.memory(
        pod, lambda at: 0.2 + 0.6 * ((at / 0.5) % 1) if at % 0.5 > 0.01 and at < 1 else 0.2 + 0.6 * (at >= 1)
    )


def _stepped(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    return world.memory(pod, lambda at: 0.3 if at < 0.9 else 0.7)


def _dying(step: Callable[[_World, AlertRule], Curve], *, oom: bool) -> _Case:
    return lambda world, rule, rules, pod: world.dying(pod, step(world, rule), oom=oom)


def _once_lately(world: _World, rule: AlertRule) -> Curve:
    return lambda at: float(at > 0.96)


def _once_long_ago(world: _World, rule: AlertRule) -> Curve:
    return lambda at: float(at > 0.3)


def _often(world: _World, rule: AlertRule) -> Curve:
    times = int(rule.threshold or 3) + 1
    return lambda at: float(max(0, int((at - 0.5) / 0.5 * times + 0.5)) if at > 0.5 else 0)


def _child(lives: bool) -> _Case:
    def case(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
        yield from world.memory(pod, lambda at: 0.5 if lives or at < 0.92 else -1)
        yield world.kubelet(OOM_EVENTS_METRIC, pod, lambda at: float(at > 0.91) if lives or at < 0.92 else -1)

    return case


def _unlimited(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    yield from world.memory(pod, lambda _: 0.5, limit=0)
    if not rules.metrics.has(LIMITS_METRIC):  # the kernel says 0 where there is none
        yield world.kubelet(SPEC_LIMITS_METRIC, pod, lambda _: 0)


def _waiting(share: float) -> _Case:
    def case(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
        waited = share if share < 0 else min(1.0, (rule.threshold or 0.1) * share)
        total = world.step * world.steps
        yield world.kubelet(PRESSURE_METRIC, pod, lambda at: 1000 * 0 + waited * total * at)

    return case


def _batch_job(world: _World, rule: AlertRule, rules: RuleSet, pod: str) -> Iterator[dict[str, str]]:
    """The same growth as a leak's, in a pod of a Job; without its owner nothing tells it apart."""
    if rules.metrics.has(OWNER_METRIC):
        yield from _ramp(world, rule, rules, pod)
        yield world.state(OWNER_METRIC, pod, lambda _: 1, 'owner_kind="Job"')


_CASES: Mapping[str, tuple[_Case, ...]] = {
    "near-limit": (_near, _flat(0.4), _spike, _saw, _just_below),
    "leak": (_ramp, _saturating, _nightly, _stepped, _batch_job, _slower_ramp),
    "limit-soon": (_ramp, _saturating, _nightly, _stepped, _batch_job, _slower_ramp),
    "oom-kill": (_dying(_once_lately, oom=True), _dying(_once_long_ago, oom=True), _flat(0.99)),
    "child-oom-kill": (_child(lives=True), _child(lives=False), _flat(0.9)),
    "oom-loop": (_dying(_often, oom=True), _dying(_once_lately, oom=True), _flat(0.9)),
    "restarts": (_dying(_often, oom=False), _dying(_once_lately, oom=False), _flat(0.9)),
    "no-limit": (_unlimited, _flat(0.5)),
    "pressure": (_waiting(2.0), _waiting(0.5)),
}
