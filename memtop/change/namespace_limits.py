"""What limits a change in its namespace: quotas, limit ranges, disruption budgets, autoscalers.

Each of them can be forbidden or absent. Then the plan says so and goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memtop.change.change_plan import ChangePlanLine
from memtop.change.change_request import (
    ChangeRequest,
    DeletePod,
    Pause,
    ResizePod,
    Restart,
    Resume,
    Scale,
    SetImage,
    SetMemory,
    SetVariables,
    Undo,
)
from memtop.change.workload_state import TemplateContainer, template_containers
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.json_object import (
    Json,
    decode_object,
    labels,
    mapping,
    name_of,
    number,
    objects,
    text,
    texts,
)
from memtop.kube.object_ref import ObjectRef
from memtop.quantity import QuantityError, bytes_or_none, parse_bytes
from memtop.wording import bytes_

MOST_OBJECTS = 500
"""Objects of a kind in one namespace that are looked at."""
LIST_TIMEOUT = 10.0
"""Seconds; a plan must not wait long for what is only good to know."""

ObjectsOrReason = Sequence[Json] | str
"""Objects, or in words why they cannot be had."""

_LIMIT_PATHS = {
    "budgets": ("/apis/policy/v1", "/apis/policy/v1beta1", "poddisruptionbudgets"),
    "quotas": ("/api/v1", "resourcequotas"),
    "limit_ranges": ("/api/v1", "limitranges"),
    "horizontal": (
        "/apis/autoscaling/v2",
        "/apis/autoscaling/v2beta2",
        "/apis/autoscaling/v1",
        "horizontalpodautoscalers",
    ),
    "vertical": ("/apis/autoscaling.k8s.io/v1", "verticalpodautoscalers"),
}
_LIMITS_BY_REQUEST: dict[type[ChangeRequest], tuple[str, ...]] = {
    SetImage: ("budgets", "quotas"),
    SetVariables: ("budgets", "quotas"),
    SetMemory: ("budgets", "quotas", "limit_ranges", "horizontal", "vertical"),
    ResizePod: (),
    Restart: ("budgets", "quotas"),
    Undo: ("budgets", "quotas", "limit_ranges", "vertical"),
    Scale: ("budgets", "quotas", "horizontal"),
    DeletePod: ("budgets",),
    Pause: (),
    Resume: ("budgets", "quotas"),
}


@dataclass(frozen=True, slots=True)
class NamespaceLimits:
    """What there is in the object's namespace; what the change has nothing to do with is not asked for.

    Attributes:
        budgets: PodDisruptionBudgets.
        quotas: ResourceQuotas.
        limit_ranges: LimitRanges.
        horizontal: HorizontalPodAutoscalers.
        vertical: VerticalPodAutoscalers.
    """

    budgets: ObjectsOrReason = ()
    quotas: ObjectsOrReason = ()
    limit_ranges: ObjectsOrReason = ()
    horizontal: ObjectsOrReason = ()
    vertical: ObjectsOrReason = ()


async def read_namespace_limits(
    client: Client, ref: ObjectRef, change: type[ChangeRequest]
) -> NamespaceLimits:
    """Asks for what lies around an object, all at the same time.

    Raises:
        CredentialError: No credential could be had.
        KubeconfigError: A certificate or key is not usable.
    """
    names = _LIMITS_BY_REQUEST[change]
    found = await asyncio.gather(*(_list_objects(client, ref.namespace, name) for name in names))
    return NamespaceLimits(**dict(zip(names, found, strict=True)))


async def _list_objects(client: Client, namespace: str, name: str) -> ObjectsOrReason:
    *groups, plural = _LIMIT_PATHS[name]
    for group in groups:
        path = f"{group}/namespaces/{namespace}/{plural}"
        try:
            raw = await client.get(path, {"limit": str(MOST_OBJECTS)}, timeout=LIST_TIMEOUT)
            return objects(decode_object(raw, f"the {plural}"), "items")
        except ApiError as error:
            if error.status != 404:
                return str(error)
        except Unreachable as error:
            return str(error)
    return ()  # this cluster has no such kind


DISRUPTION_LABEL = "disruption"


def budget_lines(
    budgets: ObjectsOrReason, pod_labels: dict[str, str], *, deletes: bool
) -> Iterator[ChangePlanLine]:
    """What the budgets that cover a workload's pods mean for a change.

    Args:
        budgets: Those of the namespace.
        pod_labels: What its pods carry.
        deletes: Whether a pod is deleted, and not a rollout begun.
    """
    if isinstance(budgets, str):
        yield ChangePlanLine(
            DISRUPTION_LABEL, f"whether a PodDisruptionBudget covers the pods is not known: {budgets}"
        )
        return
    asked = "deleting a pod does not ask it either" if deletes else "a rollout does not ask it"
    for one in budgets:
        if not selector_matches(mapping(one, "spec", "selector"), pod_labels, empty=_empty_selects_all(one)):
            continue
        spec, left = mapping(one, "spec"), number(one, "status", "disruptionsAllowed")
        least, most = text(spec, "minAvailable"), text(spec, "maxUnavailable")
        bound = f"at least {least} available" if least else f"at most {most} unavailable"
        now = "" if left is None else f", {left} eviction{'' if left == 1 else 's'} allowed now"
        words = f"PodDisruptionBudget/{name_of(one)} ({bound}{now}) binds evictions such as node drains"
        yield ChangePlanLine(
            DISRUPTION_LABEL, f"{words}; {asked}", "warn" if deletes and left == 0 else "plain"
        )


def _empty_selects_all(budget: Json) -> bool:
    """In policy/v1 an empty selector means every pod of the namespace, in v1beta1 none."""
    return text(budget, "apiVersion") != "policy/v1beta1"


def selector_matches(selector: Json, pod_labels: dict[str, str], *, empty: bool = True) -> bool:
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
        _expression_matches(one, pod_labels) for one in expressions
    )


def _expression_matches(expression: Json, pod_labels: dict[str, str]) -> bool:
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


_POD_SCOPES = frozenset({"NotTerminating", "NotBestEffort"})
"""Scopes of a quota that pods with memory limits and without a deadline are in."""


@dataclass(frozen=True, slots=True)
class PodFootprint:
    """What one pod of a template asks for.

    Attributes:
        limit: Memory limit in bytes; None where a container has none.
        request: Memory request in bytes; a container without one requests its limit.
    """

    limit: int | None
    request: int


@dataclass(frozen=True, slots=True)
class ResourceDemand:
    """What a change asks for beyond what is used now, at its peak.

    Attributes:
        pods: More pods.
        limit: More bytes of limits; None where pods have none.
        request: More bytes of requests.
    """

    pods: int
    limit: int | None
    request: int


def pod_footprint(template: Json) -> PodFootprint:
    """What a pod of a template asks for: containers and sidecars together, or its hungriest init container.

    Where the pod has resources of its own (``spec.resources``), these count.
    """
    limits: dict[bool, list[int | None]] = {False: [], True: []}
    requests: dict[bool, list[int]] = {False: [], True: []}
    for one in template_containers(template):
        passes = one.init and not one.sidecar
        limits[passes].append(one.limit_bytes)
        asked = one.limit_bytes if one.request_bytes is None else one.request_bytes
        requests[passes].append(asked or 0)
    own = mapping(template, "spec", "resources")
    limit, request = (bytes_or_none(text(own, key, "memory")) for key in ("limits", "requests"))
    if request is None:
        request = max(sum(requests[False]), *requests[True], 0)
    if limit is None and None not in limits[False]:
        limit = max(sum(filter(None, limits[False])), *filter(None, limits[True]), 0)
    return PodFootprint(limit, request)


def peak_demand(before: PodFootprint, after: PodFootprint, had: int, has: int, surge: int) -> ResourceDemand:
    """What going from some pods to others asks for at its peak.

    While a Deployment rolls there are at most so many new pods as it wants, and so many in all as it wants
    and may have extra: whichever are larger, at the beginning or at the end the extra ones are of the others.

    Args:
        before: A pod as it is.
        after: A pod as it will be.
        had: How many there are.
        has: How many there will be.
        surge: How many more there are meanwhile.
    """

    def peak(old: int, new: int) -> int:
        return max(surge * new, has * new - had * old + surge * old)

    limit = None if before.limit is None or after.limit is None else peak(before.limit, after.limit)
    return ResourceDemand(has + surge - had, limit, peak(before.request, after.request))


def quota_lines(quotas: ObjectsOrReason, asked: ResourceDemand) -> Iterator[ChangePlanLine]:
    """Whether each quota has room for what is asked for."""
    if isinstance(quotas, str):
        yield ChangePlanLine("quota", f"whether a ResourceQuota has room for it is not known: {quotas}")
        return
    for quota in quotas:
        scopes = {*texts(quota, "spec", "scopes")}
        if not scopes <= _POD_SCOPES or mapping(quota, "spec", "scopeSelector"):
            continue
        hard = labels(quota, "status", "hard") or labels(quota, "spec", "hard")
        used = labels(quota, "status", "used")
        for resource, bound in hard.items():
            more = _demand_for(asked, resource)
            line = None if more is None else _quota_line(name_of(quota), resource, bound, used, more)
            if line is not None:
                yield line


def _demand_for(asked: ResourceDemand, resource: str) -> int | None:
    match resource:
        case "limits.memory":
            return asked.limit
        case "requests.memory" | "memory":
            return asked.request
        case "pods" | "count/pods":
            return asked.pods
        case _:
            return None


def _quota_line(
    name: str, resource: str, bound: str, used: dict[str, str], more: int
) -> ChangePlanLine | None:
    try:
        most, taken = parse_bytes(bound), parse_bytes(used.get(resource, "0"))
    except QuantityError:
        return None
    say = str if resource.endswith("pods") else bytes_
    state = f"ResourceQuota/{name} allows {say(most)} of {resource}, {say(taken)} used"
    if taken + max(more, 0) > most:
        words = f"{state}: up to {say(more)} more does not fit, so that pods will not be created"
        return ChangePlanLine("quota", words, "critical") if more > 0 else None
    return ChangePlanLine(
        "quota", f"{state}: up to {say(more)} more fits" if more > 0 else f"{state}: no more is needed"
    )


def limit_range_lines(limit_ranges: ObjectsOrReason, template: Json) -> Iterator[ChangePlanLine]:
    """What of a template the namespace's limit ranges do not allow."""
    if isinstance(limit_ranges, str):
        yield ChangePlanLine("limit range", f"whether a LimitRange allows it is not known: {limit_ranges}")
        return
    for one in limit_ranges:
        for item in objects(one, "spec", "limits"):
            found = list(_limit_range_violations(item, template))
            for words in found:
                yield ChangePlanLine(
                    "limit range",
                    f"LimitRange/{name_of(one)} {words}, so that pods will not be created",
                    "critical",
                )
            bounds = _bounds_text(item)
            if bounds and not found:
                what = f"a {text(item, 'type').lower()}"
                yield ChangePlanLine(
                    "limit range", f"LimitRange/{name_of(one)} allows {what} {bounds}: it fits"
                )


def _bounds_text(item: Json) -> str:
    if text(item, "type") not in {"Container", "Pod"}:
        return ""
    least, most = _memory_bound(item, "min"), _memory_bound(item, "max")
    if least is not None and most is not None:
        return f"from {bytes_(least)} to {bytes_(most)}"
    if most is not None:
        return f"at most {bytes_(most)}"
    return "" if least is None else f"at least {bytes_(least)}"


def _limit_range_violations(item: Json, template: Json) -> Iterator[str]:
    least, most = _memory_bound(item, "min"), _memory_bound(item, "max")
    asked: list[tuple[str, int | None, int]] = []
    if text(item, "type") == "Container":
        for one in template_containers(template):
            who, (limit, request) = f"the container {one.name}", _with_defaults(item, one)
            asked.append((who, limit, request))
            if limit is not None and limit < request:
                yield (
                    f"gives {who} a limit of {bytes_(limit)} since it has none, which is less than the "
                    f"{bytes_(request)} it requests"
                )
    elif text(item, "type") == "Pod":
        whole = pod_footprint(template)
        asked.append(("a pod", whole.limit, whole.request))
    for who, limit, request in asked:
        if most is not None and (limit is None or limit > most):
            has = "no limit" if limit is None else f"a limit of {bytes_(limit)}"
            yield f"allows {who} at most {bytes_(most)}, and it would have {has}"
        if least is not None and request < least:
            yield f"wants at least {bytes_(least)} for {who}, and it would request {bytes_(request)}"
        ratio = text(item, "maxLimitRequestRatio", "memory")
        if ratio and limit is not None and request and limit > parse_ratio(ratio) * request:
            yield (
                f"allows a limit {ratio} times the request, and {who} would have {bytes_(limit)} to "
                f"{bytes_(request)}"
            )


def _with_defaults(item: Json, one: TemplateContainer) -> tuple[int | None, int]:
    """A container's limit and request in bytes with what a limit range gives to what is not set.

    A request that is missing beside a limit is the limit: the API sees to that before a limit range is asked.
    """
    limit, request = one.limit_bytes, one.request_bytes
    if request is None:
        request = _memory_bound(item, "defaultRequest") if limit is None else limit
    if limit is None:
        limit = _memory_bound(item, "default")
    return limit, (limit if request is None else request) or 0


def parse_ratio(written: str) -> float:
    """A ratio as a limit range has it; infinite where it is none."""
    try:
        return float(written)
    except ValueError:
        return float("inf")


def _memory_bound(item: Json, key: str) -> int | None:
    return bytes_or_none(text(item, key, "memory"))
