"""What rules are made for: this installation's metrics, its workloads' exceptions, and where rules go."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from memtop.background import run_in_thread
from memtop.history.prometheus_client import PrometheusClient
from memtop.history.prometheus_connection import PrometheusConnection
from memtop.history.prometheus_queries import (
    LAST_REASON_METRIC,
    LIMITS_METRIC,
    OOM_EVENTS_METRIC,
    PRESSURE_METRIC,
    PROBE_SECONDS,
    RESTARTS_METRIC,
    SPEC_LIMITS_METRIC,
    MetricSchema,
    probe_schema,
)
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.json_object import Json, decode_object, labels, name_of, namespace_of, objects, text
from memtop.rules.alert_rules import (
    RULE_IDS,
    THRESHOLD_FIELDS,
    RuleException,
    RuleId,
    RuleSet,
    RuleThresholds,
    build_rules,
)
from memtop.rules.rule_expressions import (
    OWNER_METRIC,
    PodSelection,
    RuleMetrics,
    RuleWorkload,
)
from memtop.sanitize import sanitize

if TYPE_CHECKING:
    from config.settings import Settings

ALERTS_ANNOTATION = "memtop/alerts"
"""On a workload: ``off``, or ``leak=off, near-limit=97%, limit-soon=2h, restarts=10``."""
DEFAULT_NAMESPACE = "observability"
MOST_WORKLOADS = "1000"
"""Of a kind, asked for at once; what comes after them has no exceptions, and that is said."""
KUBE_PROMETHEUS = MetricSchema(
    frozenset(
        {
            "container_memory_rss",
            "container_memory_working_set_bytes",
            LIMITS_METRIC,
            SPEC_LIMITS_METRIC,
            RESTARTS_METRIC,
            LAST_REASON_METRIC,
            OOM_EVENTS_METRIC,
        }
    )
)
"""What kube-prometheus scrapes, for where no Prometheus can be asked."""
_COLLECTIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "CronJob": "batch/v1",
}
_MORE = (PRESSURE_METRIC, OWNER_METRIC)


@dataclass(frozen=True)
class RuleScope:
    """What rules are made for.

    Attributes:
        metrics: What the installation has, and which pods are asked for.
        exceptions: What workloads say for themselves.
        namespace: Where the object with the rules goes.
        labels: Its labels, by which a Prometheus operator selects it.
        operator: Whether the cluster knows PrometheusRules.
        notes: What is to be known, a sentence each.
        workloads: Those that there are, as far as they may be listed.
    """

    metrics: RuleMetrics
    exceptions: tuple[RuleException, ...] = ()
    namespace: str = DEFAULT_NAMESPACE
    labels: Mapping[str, str] = field(default_factory=dict)
    operator: bool = False
    notes: tuple[str, ...] = ()
    workloads: tuple[RuleWorkload, ...] = ()

    def rules(self, thresholds: RuleThresholds, more: Sequence[RuleException] = ()) -> RuleSet:
        """The rules; what a person has annotated counts before what was learned."""
        said = {one.workload: one for one in self.exceptions}
        learned = []
        for one in more:
            known = said.get(one.workload, RuleException(one.workload))
            own = {
                rule: value for rule, value in one.values.items() if rule not in {*known.off, *known.values}
            }
            learned.append(RuleException(one.workload, values=own, reason=one.reason))
        together = sorted([*self.exceptions, *learned], key=lambda one: one.workload)
        return build_rules(self.metrics, thresholds, together)


async def read_scope(
    client: Client,
    settings: Settings,
    selection: PodSelection,
    found: PrometheusConnection | None,
) -> RuleScope:
    """Finds out what rules are made for.

    Args:
        client: The connection to the API server.
        settings: Where rules are to go.
        selection: Which pods are asked for.
        found: The Prometheus that answers; None where there is none.

    Raises:
        ApiError: Prometheus refused to say what it has.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
    """
    notes: list[str] = []
    if found is None:
        notes.append("no Prometheus answers: the names of metrics are those of kube-prometheus")
        metrics = RuleMetrics(KUBE_PROMETHEUS, frozenset({OWNER_METRIC}), selection)
    else:
        pods = await _running_pods(client, selection.namespaces)
        metrics = await run_in_thread(probe_metrics, found.prometheus, pods, selection, time.time())
        if not metrics.schema.known:
            notes.append(f"{found.where} knows no pod of this cluster: names of labels are the usual ones")
    workloads, exceptions, problems = await read_exceptions(client, selection)
    namespace, chosen, operator = await _rule_place(client)
    alerts = settings.alerts
    in_cluster = found.where.split("/")[0] if found is not None and "/" in found.where else ""
    if found is not None and found.via == "its address":
        in_cluster = ""
    return RuleScope(
        metrics,
        tuple(exceptions),
        alerts.namespace or namespace or in_cluster or DEFAULT_NAMESPACE,
        dict(alerts.labels) or chosen,
        operator,
        (*notes, *problems),
        tuple(workloads),
    )


def probe_metrics(
    prometheus: PrometheusClient, pods: Sequence[str], selection: PodSelection, now: float
) -> RuleMetrics:
    """What a Prometheus has for rules. Blocks.

    Args:
        prometheus: Whom to ask.
        pods: Names of pods that run in the cluster.
        selection: Which pods rules are for.
        now: Unix seconds.

    Raises:
        Unreachable: No whole answer came.
        ApiError: The answer was a refusal.
    """
    schema = probe_schema(prometheus, pods, now)
    named = f'{{__name__=~"{"|".join(_MORE)}"}}'
    more = prometheus.label_values("__name__", [named], now - PROBE_SECONDS, now)
    return RuleMetrics(schema, frozenset(more), selection)


async def _running_pods(client: Client, namespaces: Sequence[str]) -> list[str]:
    """Names of some pods that run."""
    found: list[str] = []
    for path in _paths(namespaces, "/api/v1", "pods"):
        try:
            items = objects(decode_object(await client.get(path, {"limit": "200"}), "the pods"), "items")
        except (ApiError, Unreachable):
            continue
        found += [name_of(pod) for pod in items if text(pod, "status", "phase") == "Running"]
    return found


def _paths(namespaces: Sequence[str], group: str, plural: str) -> list[str]:
    if not namespaces:
        return [f"{group}/{plural}"]
    return [f"{group}/namespaces/{quote(one, safe='')}/{plural}" for one in namespaces]


async def read_exceptions(
    client: Client, selection: PodSelection
) -> tuple[list[RuleWorkload], list[RuleException], list[str]]:
    """The workloads, what they say of their alerts by annotation, and what of that cannot be understood."""
    workloads: list[RuleWorkload] = []
    found: list[RuleException] = []
    problems: list[str] = []
    for kind, version in _COLLECTIONS.items():
        for path in _paths(selection.namespaces, f"/apis/{version}", f"{kind.lower()}s"):
            try:
                body = decode_object(await client.get(path, {"limit": MOST_WORKLOADS}), path)
            except (ApiError, Unreachable) as error:
                if not (isinstance(error, ApiError) and error.status == 404):
                    problems.append(f"whether a {kind} has {ALERTS_ANNOTATION} is not known: {error}")
                continue
            if text(body, "metadata", "continue"):
                problems.append(f"only the first {MOST_WORKLOADS} {kind}s were asked for {ALERTS_ANNOTATION}")
            for item in objects(body, "items"):
                workload = RuleWorkload(namespace_of(item), kind, name_of(item))
                if selection.workloads and workload not in selection.workloads:
                    continue
                workloads.append(workload)
                one = _exception(item, workload, problems)
                if one is not None:
                    found.append(one)
    return workloads, found, problems


def _exception(item: Json, workload: RuleWorkload, problems: list[str]) -> RuleException | None:
    said = labels(item, "metadata", "annotations").get(ALERTS_ANNOTATION)
    if not said:
        return None
    try:
        off, values = read_annotation(said)
    except ValueError as error:
        where = f"{workload.kind.lower()}/{workload.name} in {workload.namespace}"
        problems.append(f"{ALERTS_ANNOTATION} of {where}: {sanitize(said)!r} {error}")
        return None
    return RuleException(workload, off, values, "its annotation")


def read_annotation(said: str) -> tuple[frozenset[RuleId], dict[RuleId, float]]:
    """Reads what a workload says of its alerts.

    Args:
        said: ``off``, or rules with ``off`` or a threshold, with commas between them.

    Returns:
        The rules that are off, and thresholds.

    Raises:
        ValueError: It cannot be understood; the end of a sentence.
    """
    if said.strip().lower() in {"off", "false", "none"}:
        return frozenset(RULE_IDS), {}
    off: set[RuleId] = set()
    values: dict[RuleId, float] = {}
    known: dict[str, RuleId] = {one: one for one in RULE_IDS}
    for part in filter(None, (one.strip() for one in said.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        rule = known.get(name)
        if rule is None:
            raise ValueError(
                f"names a rule that memtop does not know: {name}; it knows {', '.join(RULE_IDS)}"
            )
        if value.lower() == "off":
            off.add(rule)
        elif rule not in THRESHOLD_FIELDS:
            raise ValueError(f"gives a threshold to {rule}, which has none: it can only be off")
        else:
            values[rule] = read_threshold(rule, value)
    return frozenset(off), values


def read_threshold(rule: RuleId, value: str) -> float:
    """A threshold as a person writes it: ``97%``, ``2h``, ``10``.

    Raises:
        ValueError: It is none.
    """
    from config import values  # noqa: PLC0415  (only where somebody wrote one)

    if rule == "limit-soon":
        return values.hours(value)
    if rule in {"oom-loop", "restarts"}:
        return values.between(1, 1000)(value)
    if rule == "leak":  # more than twice as much may be healthy in a small process
        return values.between(0.01, 100)(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    return values.ratio(value)


async def _rule_place(client: Client) -> tuple[str, dict[str, str], bool]:
    """Where a Prometheus operator looks for rules: namespace and labels; and whether there is one."""
    try:
        body = await client.get("/apis/monitoring.coreos.com/v1/prometheuses", {"limit": "10"})
    except (ApiError, Unreachable) as error:
        return "", {}, isinstance(error, ApiError) and error.status == 403
    for item in objects(decode_object(body, "the Prometheus resources"), "items"):
        return namespace_of(item), dict(labels(item, "spec", "ruleSelector", "matchLabels")), True
    return "", {}, True
