"""The alert rules: what each fires on, its threshold, and what its alert tells a person to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from memtop.history.past_series import METRIC_WORDS
from memtop.history.prometheus_queries import (
    MEMORY_METRICS,
    OOM_EVENTS_METRIC,
    PRESSURE_METRIC,
    RESTARTS_METRIC,
)
from memtop.rules.rule_expressions import PodSelection, RuleMetrics, RuleWorkload
from memtop.wording import duration

if TYPE_CHECKING:
    from config.settings import AlertSettings, Settings

RuleId = Literal[
    "near-limit",
    "leak",
    "limit-soon",
    "oom-kill",
    "child-oom-kill",
    "oom-loop",
    "restarts",
    "no-limit",
    "pressure",
]
RULE_IDS: tuple[RuleId, ...] = get_args(RuleId)
RuleSeverity = Literal["info", "warning", "critical"]
NEWS_SECONDS = 600.0
"""How long an OOM kill is news: an alert that fires at each kill, and goes away if none follows."""
LOOP_SECONDS = 3600.0
LEAST_GROWTH = 8 * 2**20
"""Bytes below which growth of a floor is no leak, whatever its share: arenas come in such steps."""
_LEAK_STEPS = (
    "memtop -n {namespace}    # is it a leak, since when, and which revision began it",
    "memtop logs -n {namespace} {pod}{container} --preset memory --values",
    "memtop rollout history -n {namespace} KIND/NAME    # what changed before it began",
    "memtop rollout undo -n {namespace} KIND/NAME --dry-run    # the way back, as a plan",
)
_KILL_STEPS = (
    "memtop logs -n {namespace} {pod}{container} --previous --preset oom    # its last words",
    "memtop -n {namespace}    # does it grow, and how long until the next kill",
    "memtop rollout history -n {namespace} KIND/NAME    # what changed before it began",
    "memtop set memory -n {namespace} KIND/NAME --limit QUANTITY --dry-run    # buys time, mends no leak",
    "memtop watch -n {namespace} KIND/NAME    # after the fix: does it hold",
)


@dataclass(frozen=True)
class RuleThresholds:
    """From where on rules fire.

    Attributes:
        near_limit: Share of the limit.
        leak_growth: Share by which the floor grows within the leak window.
        leak_window: Seconds over which growth of the floor is judged.
        limit_hours: Hours within which the limit would be reached.
        forecast_window: Seconds from which the time to the limit is reckoned.
        loop_kills: OOM kills in an hour.
        restarts: Restarts in an hour.
        pressure: Share of the time in which processes wait for memory.
    """

    near_limit: float = 0.90
    leak_growth: float = 0.10
    leak_window: float = 6 * 3600.0
    limit_hours: float = 4.0
    forecast_window: float = 3600.0
    loop_kills: float = 3
    restarts: float = 3
    pressure: float = 0.10

    @classmethod
    def of(cls, settings: Settings) -> RuleThresholds:
        """Those of the settings."""
        alerts: AlertSettings = settings.alerts
        return cls(
            near_limit=settings.observe.critical_ratio,
            leak_growth=alerts.leak_growth,
            leak_window=alerts.leak_window,
            limit_hours=alerts.limit_within / 3600,
            forecast_window=alerts.forecast_window,
            loop_kills=alerts.restarts,
            restarts=alerts.restarts,
            pressure=alerts.pressure,
        )

    def value(self, rule: RuleId) -> float | None:
        """The threshold of one rule; None where it has none to be set."""
        name = THRESHOLD_FIELDS.get(rule)
        return None if name is None else float(getattr(self, name))

    def with_value(self, rule: RuleId, value: float) -> RuleThresholds:
        """The same with another threshold of one rule that has one."""
        return replace(self, **{THRESHOLD_FIELDS[rule]: value})


THRESHOLD_FIELDS: Mapping[RuleId, str] = {
    "near-limit": "near_limit",
    "leak": "leak_growth",
    "limit-soon": "limit_hours",
    "oom-loop": "loop_kills",
    "restarts": "restarts",
    "pressure": "pressure",
}


@dataclass(frozen=True)
class AlertRule:
    """One alert.

    Attributes:
        id: Which rule.
        alert: Its name in Prometheus.
        expression: PromQL; true of the containers that it is about.
        hold: Seconds for which it must be true.
        severity: How urgent.
        summary: One line, as a template of Prometheus.
        description: What was found, likewise.
        steps: Commands, likewise.
        threshold: From where on it fires; None where any is too many.
        workload: The workload that this rule alone is about, with a threshold of its own; None for all.
        reason: Where that threshold comes from, in words.
    """

    id: RuleId
    alert: str
    expression: str
    hold: float
    severity: RuleSeverity
    summary: str
    description: str
    steps: tuple[str, ...]
    threshold: float | None = None
    workload: RuleWorkload | None = None
    reason: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the alert, beside those of the container."""
        own = {"workload": self.workload.name} if self.workload is not None else {}
        return {"severity": self.severity, "memtop_rule": self.id, **own}


@dataclass(frozen=True)
class RuleException:
    """What one workload says of its alerts.

    Attributes:
        workload: Which.
        off: Rules that are not for it.
        values: Thresholds of its own.
        reason: Where it comes from, in words.
    """

    workload: RuleWorkload
    off: frozenset[RuleId] = frozenset()
    values: Mapping[RuleId, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class RuleSet:
    """The rules for one installation.

    Attributes:
        rules: In order.
        left_out: Rules that this installation has no metrics for, and why.
        metrics: What it has.
        thresholds: From where on they fire.
    """

    rules: tuple[AlertRule, ...]
    left_out: Mapping[RuleId, str]
    metrics: RuleMetrics
    thresholds: RuleThresholds


def build_rules(
    metrics: RuleMetrics, thresholds: RuleThresholds, exceptions: Sequence[RuleException] = ()
) -> RuleSet:
    """The rules that this installation has the metrics for.

    Args:
        metrics: What it has, and which pods are asked for.
        thresholds: From where on rules fire.
        exceptions: What workloads say for themselves.
    """
    rules: list[AlertRule] = []
    left_out: dict[RuleId, str] = {}
    for rule in RULE_IDS:
        if why := _missing(rule, metrics):
            left_out[rule] = why
            continue
        apart = tuple(one for one in exceptions if rule in one.off or rule in one.values)
        selection = replace(metrics.selection, without=tuple(sorted({one.workload for one in apart})))
        rules.append(_build(rule, replace(metrics, selection=selection), thresholds))
        for one in apart:
            if rule not in one.off:
                own = PodSelection((one.workload.namespace,), (one.workload,))
                if metrics.selection.pods:
                    own = own.only(metrics.selection.pods)
                made = _build(
                    rule, replace(metrics, selection=own), thresholds.with_value(rule, one.values[rule])
                )
                rules.append(replace(made, workload=one.workload, reason=one.reason))
    return RuleSet(tuple(rules), left_out, metrics, thresholds)


def _missing(rule: RuleId, metrics: RuleMetrics) -> str:
    """Which metric a rule lacks; empty if none."""
    needs_memory = rule in {"near-limit", "leak", "limit-soon", "no-limit", "restarts"}
    if (
        needs_memory
        and not metrics.schema.memory
        and not (rule == "restarts" and metrics.has(RESTARTS_METRIC))
    ):
        return "no memory of containers (container_memory_rss) is scraped"
    if rule in {"near-limit", "limit-soon", "no-limit"} and not metrics.has_limits:
        return "no limits (kube_pod_container_resource_limits) are scraped"
    if rule in {"oom-kill", "oom-loop"} and not metrics.knows_oom_kills:
        return "neither kube-state-metrics nor container_oom_events_total is scraped"
    if rule == "child-oom-kill" and not metrics.has(OOM_EVENTS_METRIC):
        return f"{OOM_EVENTS_METRIC} is not scraped"
    if rule == "pressure" and not metrics.has(PRESSURE_METRIC):
        return f"{PRESSURE_METRIC} is not scraped (Kubernetes 1.36 and cgroup v2 have it)"
    return ""


def _build(rule: RuleId, metrics: RuleMetrics, limits: RuleThresholds) -> AlertRule:
    what = "{{ $labels.pod }}" if metrics.schema.pods_only else "{{ $labels.container }} of {{ $labels.pod }}"
    memory = METRIC_WORDS[metrics.schema.memory[0]] if metrics.schema.memory else "memory"
    memory += "" if memory == "RSS" else ", page cache included"

    def made(
        alert: str, expression: str, hold: float, severity: RuleSeverity, summary: str, description: str,
        steps: Sequence[str], *, jobs: bool = False, state: bool = False,
    ) -> AlertRule:  # fmt: skip
        drive = RESTARTS_METRIC if state else MEMORY_METRICS[(metrics.schema.memory or ("rss",))[0]]
        return AlertRule(
            rule,
            alert,
            metrics.except_for(expression, drive, jobs=jobs),
            hold,
            severity,
            summary.replace("WHAT", what),
            description.replace("MEMORY", memory),
            tuple(_step(one, metrics) for one in steps),
            limits.value(rule),
        )

    state = metrics.has(RESTARTS_METRIC)
    match rule:
        case "near-limit":
            return made(
                "MemoryNearLimit",
                f"{metrics.living()}\n/ {metrics.limit()}\n> {limits.near_limit:g}",
                300,
                "warning",
                "WHAT is near its memory limit",
                "It holds {{ $value | humanizePercentage }} of its limit (MEMORY).",
                _LEAK_STEPS[:2] + _KILL_STEPS[3:4],
            )
        case "leak":
            window = limits.leak_window
            conditions = (
                f"{metrics.growth(window)} / {metrics.floor(window / 4, 3)} > {limits.leak_growth:g}",
                f"and {metrics.growth(window)} > {LEAST_GROWTH}",
                *metrics.steadily(window),
            )
            return made(
                "MemoryLeakSuspected",
                f"max by ({metrics.by}) (\n" + "\n".join(conditions) + "\n)",
                window / 6,
                "warning",
                "WHAT may leak memory",
                "What is left after each collection has grown by {{ $value | humanizePercentage }} within "
                f"{duration(window)}, in every part of it, to more than in the day before (MEMORY).",
                _LEAK_STEPS,
                jobs=True,
            )
        case "limit-soon":
            window = limits.forecast_window
            conditions = (
                f"{metrics.growth_per_hour(window)} > 0",
                f"and {metrics.growth(window)} > 0.01 * {metrics.floor(window / 4, 3)}",
                *metrics.steadily(window),
            )
            growing = f"max by ({metrics.by}) (\n" + "\n".join(conditions) + "\n)"
            return made(
                "MemoryLimitSoon",
                f"({metrics.limit()}\n- {metrics.living()})\n/ {growing}\n< {limits.limit_hours:g}",
                window / 6,
                "critical",
                "WHAT reaches its memory limit soon",
                "At the growth of the last "
                f"{duration(window)} it reaches its limit in {{{{ $value | humanize }}}} hours (MEMORY).",
                _LEAK_STEPS,
                jobs=True,
            )
        case "oom-kill":
            return made(
                "ContainerOOMKilled",
                metrics.oom_kills(NEWS_SECONDS),
                0,
                "critical",
                "WHAT was OOM-killed",
                f"It was OOM-killed within the last {duration(NEWS_SECONDS)}.",
                _KILL_STEPS,
                state=state,
            )
        case "child-oom-kill":
            return made(
                "ChildProcessOOMKilled",
                metrics.survived_oom_kills(NEWS_SECONDS),
                180,
                "warning",
                "a process in WHAT was OOM-killed",
                "The container lives on, so that neither a restart nor OOMKilled tells of it.",
                _KILL_STEPS[1:],
            )
        case "oom-loop":
            return made(
                "OOMKillLoop",
                metrics.oom_kills(LOOP_SECONDS, round(limits.loop_kills)),
                0,
                "critical",
                "WHAT is OOM-killed again and again",
                "It ended {{ $value | humanize }} times within an hour, the last time by an OOM kill.",
                _KILL_STEPS,
                state=state,
            )
        case "restarts":
            not_oom = f"\nunless {metrics.died_by_oom()}" if metrics.has(RESTARTS_METRIC) else ""
            return made(
                "RestartsRising",
                f"{metrics.restarts(LOOP_SECONDS)} >= {limits.restarts:g}{not_oom}",
                0,
                "warning",
                "WHAT restarts again and again",
                "It restarted {{ $value | humanize }} times within an hour, and not by an OOM kill.",
                ("memtop logs -n {namespace} {pod}{container} --previous", *_KILL_STEPS[1:3]),
                state=state,
            )
        case "no-limit":
            return made(
                "NoMemoryLimit",
                f"{metrics.living()}\nunless {metrics.limit()}",
                1800,
                "info",
                "WHAT has no memory limit",
                "A leak in it would take memory from its whole node. It holds {{ $value | humanize1024 }}B "
                "(MEMORY).",
                _KILL_STEPS[3:4],
            )
        case "pressure":
            stalled = f"rate({metrics.kubelet_series(PRESSURE_METRIC, '5m')})"  # of a counter of seconds
            return made(
                "MemoryPressure",
                f"{metrics.per_container(stalled)} > {limits.pressure:g}",
                600,
                "warning",
                "WHAT waits for memory",
                "Its processes wait for memory in {{ $value | humanizePercentage }} of the time.",
                _LEAK_STEPS[:2] + _KILL_STEPS[3:4],
            )


def _step(words: str, metrics: RuleMetrics) -> str:
    """A command, with the workload's name in it where the rule is about one alone."""
    container, workloads = not metrics.schema.pods_only, metrics.selection.workloads
    if len(workloads) == 1:
        words = words.replace("KIND/NAME", f"{workloads[0].kind.lower()}/{workloads[0].name}")
    return words.format(
        namespace="{{ $labels.namespace }}",
        pod="{{ $labels.pod }}",
        container=" -c {{ $labels.container }}" if container else "",
    )
