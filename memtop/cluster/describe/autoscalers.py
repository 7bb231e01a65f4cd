"""Autoscalers that own a workload's memory request, or that scale by it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec

from memtop.cluster.describe.amounts import canonical
from memtop.cluster.refs import ObjectRef
from memtop.cluster.tree import (
    Json,
    at,
    clean,
    labels,
    mapping,
    name_of,
    number,
    objects,
    text,
    texts,
)

METRICS_ANNOTATION = "autoscaling.alpha.kubernetes.io/metrics"
"""Where autoscaling/v1 keeps every metric but CPU."""


def horizontal_sentences(autoscalers: Sequence[Json], targets: Collection[ObjectRef]) -> Iterator[str]:
    """What each HorizontalPodAutoscaler with a memory metric does to a workload.

    Args:
        autoscalers: Those of the namespace, of any version of the API.
        targets: The workload, and the controllers between it and the pod.
    """
    for autoscaler in autoscalers:
        if not _aims(mapping(autoscaler, "spec", "scaleTargetRef"), targets):
            continue
        fewest = text(autoscaler, "spec", "minReplicas") or "1"
        most = text(autoscaler, "spec", "maxReplicas")
        for metric in _metrics(autoscaler):
            resource = mapping(metric, "resource") or mapping(metric, "containerResource")
            if text(resource, "name") == "memory":
                yield (
                    f"HorizontalPodAutoscaler/{name_of(autoscaler)} scales from {fewest} to {most} replicas "
                    f"on memory: {_target(resource)}"
                )


def _metrics(autoscaler: Json) -> list[Json]:
    metrics = objects(autoscaler, "spec", "metrics")
    annotated = labels(autoscaler, "metadata", "annotations").get(METRICS_ANNOTATION)
    if metrics or annotated is None:
        return metrics
    try:
        return objects({"metrics": clean(msgspec.json.decode(annotated))}, "metrics")
    except msgspec.MsgspecError:
        return []


def _target(resource: Json) -> str:
    target = mapping(resource, "target")
    share = number(target, "averageUtilization") or number(resource, "targetAverageUtilization")
    if share is not None:
        return f"at {share} % of the request, so another request moves the point where it scales"
    value = text(target, "averageValue") or text(resource, "targetAverageValue")
    return f"at {canonical(value)} a pod" if value else "with a target of its own"


def vertical_sentences(autoscalers: Sequence[Json], targets: Collection[ObjectRef]) -> Iterator[str]:
    """What each VerticalPodAutoscaler does to a workload's memory request.

    Args:
        autoscalers: Those of the namespace.
        targets: The workload, and the controllers between it and the pod.
    """
    for autoscaler in autoscalers:
        if not _aims(mapping(autoscaler, "spec", "targetRef"), targets):
            continue
        mode = text(autoscaler, "spec", "updatePolicy", "updateMode") or "Auto"
        name = f"VerticalPodAutoscaler/{name_of(autoscaler)}"
        policies = objects(autoscaler, "spec", "resourcePolicy", "containerPolicies")
        if policies and all(_leaves_memory(policy) for policy in policies):
            yield f"{name} leaves memory alone"
        elif mode == "Off":
            yield f"{name} only recommends (mode Off){_recommended(autoscaler)}"
        else:
            yield (
                f"{name} owns the memory request (mode {mode}): what is set by hand will be changed again"
                f"{_recommended(autoscaler)}"
            )


def _leaves_memory(policy: Json) -> bool:
    controlled = at(policy, "controlledResources")
    return text(policy, "mode") == "Off" or (
        controlled is not None and "memory" not in texts(policy, "controlledResources")
    )


def _recommended(autoscaler: Json) -> str:
    """The recommendation for each container, such as ``; main: 300Mi``."""
    found = [
        f"{text(one, 'containerName')}: {canonical(text(one, 'target', 'memory'))}"
        for one in objects(autoscaler, "status", "recommendation", "containerRecommendations")
        if text(one, "target", "memory")
    ]
    return f"; recommends {', '.join(found)}" if found else ""


def _aims(target: Json, targets: Collection[ObjectRef]) -> bool:
    return any((text(target, "kind"), text(target, "name")) == (ref.kind, ref.name) for ref in targets)
