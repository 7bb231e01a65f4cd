"""What several installations call things, for tests of rules and dashboards."""

from memtop.history.prometheus_queries import (
    LAST_REASON_METRIC,
    LIMITS_METRIC,
    OOM_EVENTS_METRIC,
    PRESSURE_METRIC,
    RESTARTS_METRIC,
    SPEC_LIMITS_METRIC,
    MetricSchema,
)
from memtop.rules.rule_expressions import OWNER_METRIC, RuleMetrics

KUBELET = frozenset({"container_memory_rss", "container_memory_working_set_bytes", SPEC_LIMITS_METRIC})
STATE = frozenset({LIMITS_METRIC, RESTARTS_METRIC, LAST_REASON_METRIC})
EVERYTHING = KUBELET | STATE | {OOM_EVENTS_METRIC}
MORE = frozenset({PRESSURE_METRIC, OWNER_METRIC})
INSTALLATIONS = {
    "kube-prometheus": RuleMetrics(MetricSchema(EVERYTHING, known=True), MORE),
    "plain cAdvisor, old labels, one of several clusters": RuleMetrics(
        MetricSchema(
            frozenset({"container_memory_working_set_bytes", SPEC_LIMITS_METRIC, OOM_EVENTS_METRIC}),
            pod="pod_name",
            container="container_name",
            selectors=('cluster="a"',),
            known=True,
        )
    ),
    "kube-state-metrics without honor_labels": RuleMetrics(
        MetricSchema(EVERYTHING, state_prefix="exported_", interval=60.0, known=True), MORE
    ),
    "without container labels": RuleMetrics(MetricSchema(EVERYTHING, pods_only=True, known=True)),
    "no OOM events": RuleMetrics(MetricSchema(KUBELET | STATE, known=True)),
}
