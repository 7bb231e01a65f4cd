"""What matters for memory in a pod's description, said first.

Also here: the autoscalers that own a workload's memory request, or that scale by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from memtop.describe.container_sections import probe_words, qos_class
from memtop.describe.formatting import ZonedNow, align_columns, human_duration, seconds_between
from memtop.kube.json_object import (
    Json,
    at,
    has,
    labels,
    mapping,
    name_of,
    number,
    objects,
    sanitize_tree,
    text,
    texts,
)
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.kube.object_ref import ObjectRef
from memtop.quantity import canonical

METRICS_ANNOTATION = "autoscaling.alpha.kubernetes.io/metrics"
"""Where autoscaling/v1 keeps every metric but CPU."""


def hpa_sentences(autoscalers: Sequence[Json], targets: Collection[ObjectRef]) -> Iterator[str]:
    """What each HorizontalPodAutoscaler with a memory metric does to a workload.

    Args:
        autoscalers: Those of the namespace, of any version of the API.
        targets: The workload, and the controllers between it and the pod.
    """
    for autoscaler in autoscalers:
        if not _targets_workload(mapping(autoscaler, "spec", "scaleTargetRef"), targets):
            continue
        fewest = text(autoscaler, "spec", "minReplicas") or "1"
        most = text(autoscaler, "spec", "maxReplicas")
        for metric in _metrics(autoscaler):
            resource = mapping(metric, "resource") or mapping(metric, "containerResource")
            if text(resource, "name") == "memory":
                yield (
                    f"HorizontalPodAutoscaler/{name_of(autoscaler)} scales from {fewest} to {most} replicas "
                    f"on memory: {_target_words(resource)}"
                )


def _metrics(autoscaler: Json) -> list[Json]:
    metrics = objects(autoscaler, "spec", "metrics")
    annotated = labels(autoscaler, "metadata", "annotations").get(METRICS_ANNOTATION)
    if metrics or annotated is None:
        return metrics
    try:
        return objects({"metrics": sanitize_tree(msgspec.json.decode(annotated))}, "metrics")
    except JSON_ERRORS:
        return []


def _target_words(resource: Json) -> str:
    target = mapping(resource, "target")
    share = number(target, "averageUtilization") or number(resource, "targetAverageUtilization")
    if share is not None:
        return f"at {share} % of the request, so another request moves the point where it scales"
    value = text(target, "averageValue") or text(resource, "targetAverageValue")
    return f"at {canonical(value)} a pod" if value else "with a target of its own"


def vpa_sentences(autoscalers: Sequence[Json], targets: Collection[ObjectRef]) -> Iterator[str]:
    """What each VerticalPodAutoscaler does to a workload's memory request.

    Args:
        autoscalers: Those of the namespace.
        targets: The workload, and the controllers between it and the pod.
    """
    for autoscaler in autoscalers:
        if not _targets_workload(mapping(autoscaler, "spec", "targetRef"), targets):
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


def _targets_workload(target: Json, targets: Collection[ObjectRef]) -> bool:
    return any((text(target, "kind"), text(target, "name")) == (ref.kind, ref.name) for ref in targets)


OOM_KILLED = "OOMKilled"
_RESIZE_CONDITIONS: Final = {"PodResizePending": "pending", "PodResizeInProgress": "in progress"}
_EXIT_WORDS: Final = {
    137: "SIGKILL, and not by the OOM killer as far as the kubelet knows",
    134: "SIGABRT; Node.js ends so at its own heap limit",
    139: "SIGSEGV; Node.js as process 1 ends so at its own heap limit",
    3: "a JVM ends so with -XX:+ExitOnOutOfMemoryError",
}
"""What an exit code says of memory where the kubelet's reason says nothing."""
_PROBES: Final = {"livenessProbe": "Liveness", "readinessProbe": "Readiness", "startupProbe": "Startup"}


@dataclass(frozen=True, slots=True)
class PodSurroundings:
    """What lies around a pod.

    Attributes:
        node: Its node, or why that is not known.
        owners: The controllers above it, the nearest first.
        owners_note: Why the chain may end too early; empty where it does not.
        autoscalers: A sentence for each autoscaler that has to do with its memory, and for each kind of
            autoscaler that could not be asked for.
    """

    node: Json | str = ""
    owners: tuple[ObjectRef, ...] = ()
    owners_note: str = ""
    autoscalers: tuple[str, ...] = ()


def memory_lines(pod: Json, around: PodSurroundings, moment: ZonedNow) -> list[str]:
    """The block that comes before kubectl's text.

    Args:
        pod: The pod, sanitised.
        around: What lies around it.
        moment: When, and in which time zone.
    """
    return align_columns(_memory_block(pod, around, moment))


def _memory_block(pod: Json, around: PodSurroundings, moment: ZonedNow) -> Iterator[str]:
    spec, status = mapping(pod, "spec"), mapping(pod, "status")
    statuses = {
        text(one, "name"): one
        for key in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for one in objects(status, key)
    }
    yield "Memory:"
    yield from _pod_lines(status)
    pod_limit = text(spec, "resources", "limits", "memory")
    pod_limit = (text(status, "resources", "limits", "memory") or pod_limit) if pod_limit else ""
    if pod_limit:
        yield f"  Pod Limit:\t{canonical(pod_limit)} for all its containers together"
    for container in (*objects(spec, "containers"), *objects(spec, "ephemeralContainers")):
        own = statuses.get(text(container, "name"), {})
        yield from _container_lines(container, own, moment, pod_limit)
    for container in objects(spec, "initContainers"):
        own = statuses.get(text(container, "name"), {})
        if text(container, "restartPolicy") == "Always" or _has_failed(_last_end(own)):
            yield from _container_lines(container, own, moment, pod_limit)
    yield f"  QoS Class:\t{text(status, 'qosClass') or qos_class(spec)}"
    yield f"  Node:\t{_node_words(text(spec, 'nodeName'), around.node)}"
    owners = " ← ".join(map(str, around.owners)) or "none: nothing starts this pod again elsewhere"
    yield f"  Owners:\t{owners}"
    if around.owners_note:
        yield f"  \tthat may not be all of them: {around.owners_note}"
    yield from _list_lines("  Autoscalers", around.autoscalers or ("none has to do with its memory",))


def _pod_lines(status: Json) -> Iterator[str]:
    """What became of the pod as a whole: evicted, or not placed for want of memory."""
    reason, message = text(status, "reason"), " ".join(text(status, "message").split())
    if reason:
        yield f"  Pod:\t{text(status, 'phase')}, {reason}{f': {message}' if message else ''}"
    for condition in objects(status, "conditions"):
        if text(condition, "type") == "PodScheduled" and text(condition, "status") == "False":
            why = text(condition, "message") or text(condition, "reason")
            yield f"  Pod:\tnot scheduled: {why}"
        if text(condition, "type") in _RESIZE_CONDITIONS and text(condition, "status") == "True":
            kind = text(condition, "reason").lower() or _RESIZE_CONDITIONS[text(condition, "type")]
            why = text(condition, "message")
            yield f"  Resize:\t{kind}{f': {why}' if why else ''}"


def _container_lines(container: Json, status: Json, moment: ZonedNow, pod_limit: str) -> Iterator[str]:
    yield f"  {text(container, 'name')}:"
    yield f"    State:\t{_state_words(mapping(status, 'state'))}"
    yield f"    Restart Count:\t{number(status, 'restartCount') or 0}"
    end = _last_end(status)
    if end:
        started, finished = text(end, "startedAt"), text(end, "finishedAt")
        code, reason = number(end, "exitCode") or 0, text(end, "reason")
        words = "" if reason == OOM_KILLED else _EXIT_WORDS.get(code, "")
        ran = seconds_between(started, finished)
        yield "    Last State:\tTerminated"
        yield f"      Reason:\t{reason or 'not given'}"
        yield f"      Exit Code:\t{code}{f' ({words})' if words else ''}"
        yield f"      Started:\t{moment.stamp(started)}"
        yield f"      Finished:\t{moment.stamp(finished)} ({moment.age_of(finished)} ago)"
        if ran is not None:
            yield f"      Ran For:\t{human_duration(ran)}"
    for key, title, none in (
        ("limits", "Limit", "none: it may take all the memory of its node"),
        ("requests", "Request", "none"),
    ):
        wanted = text(container, "resources", key, "memory")
        actual = has(status, "resources") and has(status, "state", "running")
        holds = text(status, "resources", key, "memory") if actual else wanted
        of_pod = f"none of its own, but the pod's {canonical(pod_limit)}" if key == "limits" else none
        words = canonical(holds) if holds else of_pod if pod_limit else none
        asked = f" now; {canonical(wanted) if wanted else 'none'} is asked for" if wanted != holds else ""
        yield f"    {title}:\t{words}{asked}"
    probes = [
        f"{title.lower()} {probe_words(mapping(container, key))}"
        for key, title in _PROBES.items()
        if has(container, key)
    ]
    yield from _list_lines("    Probes", probes or ("none",))


def _list_lines(title: str, values: Sequence[str]) -> Iterator[str]:
    for number_, value in enumerate(values):
        yield f"  \t{value}" if number_ else f"{title}:\t{value}"


def _last_end(status: Json) -> Json:
    """How it ended last, be it in its present state or in the one before."""
    return mapping(status, "state", "terminated") or mapping(status, "lastState", "terminated")


def _has_failed(end: Json) -> bool:
    return bool(end) and (number(end, "exitCode") or 0) != 0


def _state_words(state: Json) -> str:
    for key, words in (("running", "Running"), ("terminated", "Terminated"), ("waiting", "Waiting")):
        if has(state, key):
            reason = text(state, key, "reason")
            return f"{words}, {reason}" if reason else words
    return "Waiting"


def _node_words(name: str, node: Json | str) -> str:
    if not name:
        return "none yet"
    if isinstance(node, str):
        return f"{name}, MemoryPressure not known: {node}" if node else name
    for condition in objects(node, "status", "conditions"):
        if text(condition, "type") == "MemoryPressure":
            message = text(condition, "message")
            return f"{name}, MemoryPressure {text(condition, 'status')}{f' ({message})' if message else ''}"
    return f"{name}, which does not report MemoryPressure"
