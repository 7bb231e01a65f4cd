"""A Grafana dashboard for memory, with the metrics and labels that this installation has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from memtop.history.prometheus_queries import MEMORY_METRICS, OOM_EVENTS_METRIC, PRESSURE_METRIC
from memtop.rules.alert_rules import LOOP_SECONDS
from memtop.rules.rule_expressions import OWNER_METRIC, PodSelection, RuleMetrics
from memtop.rules.rule_files import MANAGED_BY

TITLE = "Memory of workloads"
UID = "memtop-memory"
DASHBOARD_FILE = "memtop-memory.json"
SIDECAR_LABEL = {"grafana_dashboard": "1"}
"""By which the sidecar of Grafana's chart finds the ConfigMaps that it loads."""
GROWTH_WINDOW = 3600.0
"""Seconds over which growth of the floor is drawn: long enough for several collections."""
CHANGE_WINDOW = "5m"
_PANEL_HEIGHT, _HALF_WIDTH = 8, 12


class DashboardError(Exception):
    """The dashboard cannot be made; one sentence."""


class GrafanaSelection(PodSelection):
    """The pods that the dashboard's variables choose."""

    def matchers(self, namespace: str, pod: str) -> list[str]:
        """Label matchers with Grafana's variables in them."""
        return [f'{namespace}=~"$namespace"', f'{pod}=~"$workload.*"', f'{pod}=~"$pod"']


@dataclass(frozen=True)
class GraphPanel:
    """One graph.

    Attributes:
        title: Its heading.
        description: What it shows, in a sentence.
        unit: Of its values, as Grafana calls it.
        queries: PromQL by what its lines are called.
        missing: Why it is left out; empty where it is not.
    """

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    missing: str = ""


def graph_panels(metrics: RuleMetrics) -> tuple[GraphPanel, ...]:
    """The graphs, those included that this installation has no metrics for."""
    found = replace(metrics, selection=GrafanaSelection())
    name = "{{pod}}" if metrics.schema.pods_only else "{{pod}} {{container}}"
    memory = "" if metrics.schema.memory else "no memory of containers is scraped"
    limit = memory or ("" if metrics.has_limits else "no limits of containers are scraped")
    kills = "" if metrics.knows_oom_kills else "nothing tells of OOM kills"
    pressure = "" if metrics.has(PRESSURE_METRIC) else f"{PRESSURE_METRIC} is not scraped"
    owners = memory or ("" if metrics.has(OWNER_METRIC) else f"{OWNER_METRIC} is not scraped")
    child = "" if metrics.has(OOM_EVENTS_METRIC) else f"{OOM_EVENTS_METRIC} is not scraped"

    def growing() -> str:
        return f"max by ({found.by}) ({found.growth_per_hour(GROWTH_WINDOW)})"

    def by_revision(memory: str) -> str:
        """The largest of a figure of each revision: those before the last change stand beside its own."""
        names = found.schema.state_labels()[:2]
        series = found.state_series(OWNER_METRIC, "", "", 'owner_kind="ReplicaSet"')
        revisions = f"max by ({', '.join(names)}, owner_name) ({series})"
        for old, new in zip(names, ("namespace", "pod"), strict=True):
            if old != new:
                revisions = f'label_replace({revisions}, "{new}", "$1", "{old}", "(.*)")'
        revisions = f"max by (namespace, pod, owner_name) ({revisions})"
        return (
            f"max by (namespace, owner_name) (({memory})\n"
            f"* on (namespace, pod) group_left (owner_name) {revisions})"
        )

    def panel(title: str, description: str, unit: str, missing: str, **queries: Any) -> GraphPanel:  # noqa: ANN401
        made = {}
        if not missing:
            for line, make in queries.items():
                made["{{owner_name}}" if line == "revision" else f"{name} {line}".strip()] = make()
        return GraphPanel(title, description, unit, made, missing)

    return (
        panel(
            "Memory and limit",
            "Without page cache where RSS is scraped.",
            "bytes",
            limit,
            memory=found.living,
            limit=found.limit,
        ),
        panel(
            "Share of the limit",
            "At 100 % the kernel kills.",
            "percentunit",
            limit,
            share=lambda: f"{found.living()} / {found.limit()}",
        ),
        panel(
            "Growth of the floor per hour",
            "What is left after each collection, over the last hour.",
            "bytes",
            memory,
            growth=growing,
        ),
        panel(
            "Time to the limit",
            "Hours at that growth; nothing is drawn for what does not grow.",
            "h",
            limit,
            hours=lambda: f"({found.limit()} - {found.living()}) / ({growing()} > 0)",
        ),
        panel(
            "Before and after the last change: memory by revision",
            "The fullest pod of each revision of a Deployment; a new revision begins where it was changed.",
            "bytes",
            owners,
            revision=lambda: by_revision(found.living()),
        ),
        panel(
            "Before and after the last change: growth of the floor by revision",
            "Per hour, of the pod that grows most. A fix that holds has a line near zero.",
            "bytes",
            owners,
            revision=lambda: by_revision(growing()),
        ),
        panel(
            "OOM kills",
            "Within the hour before.",
            "short",
            kills,
            kills=lambda: found.oom_kills(LOOP_SECONDS),
        ),
        panel(
            "OOM kills of child processes",
            "While the container lived on, within the hour before.",
            "short",
            child,
            kills=lambda: found.survived_oom_kills(LOOP_SECONDS),
        ),
        panel(
            "Restarts",
            "Within the hour before.",
            "short",
            memory,
            restarts=lambda: found.restarts(LOOP_SECONDS),
        ),
        panel(
            "Waiting for memory",
            "Share of the time in which processes wait (PSI).",
            "percentunit",
            pressure,
            waiting=lambda: found.per_container(f"rate({found.kubelet_series(PRESSURE_METRIC, '5m')})"),
        ),
    )


def change_query(metrics: RuleMetrics) -> str:
    """True for some minutes after a revision's first pod; empty where nothing tells of owners."""
    if not metrics.has(OWNER_METRIC):
        return ""
    found = replace(metrics, selection=GrafanaSelection())
    kinds = 'owner_kind=~"ReplicaSet|StatefulSet|DaemonSet"'
    by = f"count by ({found.schema.state_labels()[0]}, owner_name)"
    now = found.state_series(OWNER_METRIC, "", "", kinds)
    return f"{by} ({now}) unless {by} ({found.state_series(OWNER_METRIC, '', CHANGE_WINDOW, kinds)})"


def dashboard_json(metrics: RuleMetrics) -> str:
    """The dashboard as Grafana reads it.

    Raises:
        DashboardError: The SDK is not installed.
    """
    try:  # it takes 0.7 s to import, and only this needs it
        from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries  # noqa: PLC0415
        from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415
        from grafana_foundation_sdk.models import dashboard as models  # noqa: PLC0415
    except ImportError:
        raise DashboardError("grafana-foundation-sdk is not installed: install memtop[dashboard]") from None
    source = models.DataSourceRef(type_val="prometheus", uid="$datasource")
    made = (
        dashboard.Dashboard(TITLE)
        .uid(UID)
        .tags(["memtop", "memory"])
        .refresh("1m")
        .time("now-6h", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for name, query in _variables(metrics).items():
        made.with_variable(
            dashboard.QueryVariable(name)
            .label(name.capitalize())
            .datasource(source)
            .query(query)
            .include_all(True)
            .all_value(".*")
            .multi(False)
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        )
    if changes := change_query(metrics):
        made.annotation(
            dashboard.AnnotationQuery()
            .name("New revision")
            .datasource(source)
            .enable(True)
            .icon_color("purple")
            .expr(changes)
        )
    for at, panel in enumerate(one for one in graph_panels(metrics) if not one.missing):
        drawn = timeseries.Panel().title(panel.title).description(panel.description).unit(panel.unit)
        drawn.datasource(source).min(0).grid_pos(
            models.GridPos(h=_PANEL_HEIGHT, w=_HALF_WIDTH, x=at % 2 * _HALF_WIDTH, y=at // 2 * _PANEL_HEIGHT)
        )
        for number, (legend, query) in enumerate(panel.queries.items()):
            drawn.with_target(
                prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(ord("A") + number))
            )
        made.with_panel(drawn)
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _variables(metrics: RuleMetrics) -> dict[str, str]:
    """The variables, each within the choice of those before it."""
    schema = metrics.schema
    memory = MEMORY_METRICS[(schema.memory or ("working_set",))[0]]
    selectors = "".join(f",{one}" for one in schema.selectors)
    where = f'namespace=~"$namespace"{selectors}'
    workloads = f"label_values({memory}{{{where}}}, {schema.container})"
    if metrics.has(OWNER_METRIC):
        namespace = schema.state_labels()[0]
        owners = "".join(f",{one}" for one in schema.state_selectors)
        workloads = f'label_values({OWNER_METRIC}{{{namespace}=~"$namespace"{owners}}}, owner_name)'
    return {
        "namespace": f"label_values({memory}{{{selectors.lstrip(',')}}}, namespace)",
        "workload": workloads,
        "pod": f'label_values({memory}{{{where},{schema.pod}=~"$workload.*"}}, {schema.pod})',
    }


def dashboard_object(written: str, namespace: str) -> dict[str, Any]:
    """The ConfigMap that Grafana's sidecar loads.

    Args:
        written: The dashboard as JSON.
        namespace: Where it goes.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": UID,
            "namespace": namespace,
            "labels": {**MANAGED_BY, **SIDECAR_LABEL},
        },
        "data": {DASHBOARD_FILE: written},
    }
