"""Rules as text: a rule file of Prometheus, a PrometheusRule, or the ConfigMap that Prometheus mounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import yaml

from memtop.rules.alert_rules import AlertRule, RuleSet
from memtop.rules.rule_expressions import promql_duration

RuleForm = Literal["file", "prometheusrule", "configmap", "auto"]
RULE_FILE_KEY = "alerts.yml"
"""The file in the ConfigMap."""
GROUP = "memtop-memory"
GROWTH_GROUP = "memtop-memory-growth"
GROWTH_RULES = frozenset({"leak", "limit-soon"})
"""Those that look at a day of samples, and so are asked less often than the others."""
LONGEST_INTERVAL = 300.0
"""Seconds between two evaluations of growth; a window of hours changes little within them."""
SHORTEST_INTERVAL = 10.0
MANAGED_BY = {"app.kubernetes.io/managed-by": "memtop"}
MONITORING_GROUP = "monitoring.coreos.com/v1"


class _BlockDumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        """Nothing is referred to: people read it."""
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_BlockDumper.add_representer(str, _write_text)


def yaml_text(document: object) -> str:
    """A document as YAML, in the order of its keys."""
    return yaml.dump(document, Dumper=_BlockDumper, sort_keys=False, allow_unicode=True, width=110)


def rule_groups(rules: RuleSet) -> dict[str, Any]:
    """The rules as Prometheus' own rule files have them."""
    window = min(rules.thresholds.leak_window, rules.thresholds.forecast_window)
    interval = min(LONGEST_INTERVAL, max(SHORTEST_INTERVAL, window / 24 // 10 * 10))
    groups = [
        {"name": GROUP, "rules": [_rule(one) for one in rules.rules if one.id not in GROWTH_RULES]},
        {
            "name": GROWTH_GROUP,
            "interval": promql_duration(interval),
            "rules": [_rule(one) for one in rules.rules if one.id in GROWTH_RULES],
        },
    ]
    return {"groups": [group for group in groups if group["rules"]]}


def _rule(rule: AlertRule) -> dict[str, Any]:
    hold = {"for": promql_duration(rule.hold)} if rule.hold else {}
    return {
        "alert": rule.alert,
        "expr": rule.expression,
        **hold,
        "labels": rule.labels,
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            **({"threshold": f"{rule.threshold:g}, {rule.reason}"} if rule.reason else {}),
            "next_steps": "\n".join(rule.steps),
        },
    }


def rule_file(rules: RuleSet) -> str:
    """A rule file; what is left out stands at its top."""
    missing = "".join(f"# left out: {name}: {why}\n" for name, why in rules.left_out.items())
    return f"{missing}{yaml_text(rule_groups(rules))}"


def rule_object(
    rules: RuleSet, form: RuleForm, name: str, namespace: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The Kubernetes object that holds the rules.

    Args:
        rules: The rules.
        form: ``prometheusrule`` or ``configmap``.
        name: Of the object.
        namespace: Of the object.
        labels: By which Prometheus, or what loads its files, finds it.
    """
    metadata = {"name": name, "namespace": namespace, "labels": {**MANAGED_BY, **labels}}
    if form == "prometheusrule":
        return {
            "apiVersion": MONITORING_GROUP,
            "kind": "PrometheusRule",
            "metadata": metadata,
            "spec": rule_groups(rules),
        }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {RULE_FILE_KEY: rule_file(rules)},
    }


def groups_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The rule groups in any of the forms; empty where there are none."""
    if document.get("kind") == "PrometheusRule":
        return dict(document.get("spec") or {})
    if document.get("kind") == "ConfigMap":
        data = document.get("data") or {}
        return dict(yaml.safe_load(data.get(RULE_FILE_KEY) or "{}") or {})
    return dict(document)
