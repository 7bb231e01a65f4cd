"""PodDisruptionBudgets: what they say, and that neither a rollout nor a deletion asks them."""

from __future__ import annotations

from collections.abc import Iterator

from memtop.change.around import Listed
from memtop.change.plan import Line
from memtop.cluster.tree import Json, labels, mapping, name_of, number, objects, text, texts

LABEL = "disruption"


def budget_lines(budgets: Listed, pod_labels: dict[str, str], *, deletes: bool) -> Iterator[Line]:
    """What the budgets that cover a workload's pods mean for a change.

    Args:
        budgets: Those of the namespace.
        pod_labels: What its pods carry.
        deletes: Whether a pod is deleted, and not a rollout begun.
    """
    if isinstance(budgets, str):
        yield Line(LABEL, f"whether a PodDisruptionBudget covers the pods is not known: {budgets}")
        return
    asked = "deleting a pod does not ask it either" if deletes else "a rollout does not ask it"
    for one in budgets:
        if not selects(mapping(one, "spec", "selector"), pod_labels, empty=_empty_selects(one)):
            continue
        spec, left = mapping(one, "spec"), number(one, "status", "disruptionsAllowed")
        least, most = text(spec, "minAvailable"), text(spec, "maxUnavailable")
        bound = f"at least {least} available" if least else f"at most {most} unavailable"
        now = "" if left is None else f", {left} eviction{'' if left == 1 else 's'} allowed now"
        words = f"PodDisruptionBudget/{name_of(one)} ({bound}{now}) binds evictions such as node drains"
        yield Line(LABEL, f"{words}; {asked}", "warn" if deletes and left == 0 else "plain")


def _empty_selects(budget: Json) -> bool:
    """In policy/v1 an empty selector means every pod of the namespace, in v1beta1 none."""
    return text(budget, "apiVersion") != "policy/v1beta1"


def selects(selector: Json, pod_labels: dict[str, str], *, empty: bool = True) -> bool:
    """Whether a label selector selects something with these labels.

    Args:
        selector: With ``matchLabels`` and ``matchExpressions``.
        pod_labels: The labels.
        empty: What a selector without either says.
    """
    wanted, expressions = labels(selector, "matchLabels"), objects(selector, "matchExpressions")
    if not wanted and not expressions:
        return empty
    return all(pod_labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(one, pod_labels) for one in expressions
    )


def _holds(expression: Json, pod_labels: dict[str, str]) -> bool:
    key, values = text(expression, "key"), texts(expression, "values")
    match text(expression, "operator"):
        case "In":
            return key in pod_labels and pod_labels[key] in values
        case "NotIn":
            return pod_labels.get(key) not in values
        case "Exists":
            return key in pod_labels
        case _:
            return key not in pod_labels
