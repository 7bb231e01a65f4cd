"""A pod, and the pod template inside a workload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memtop.describe.container_sections import container_lines, pod_field_reader, qos_class, resource_lines
from memtop.describe.formatting import (
    ZonedNow,
    align_columns,
    annotation_lines,
    event_lines,
    label_lines,
    spread_lines,
    toleration_lines,
)
from memtop.describe.volume_sections import volume_lines
from memtop.kube.json_object import (
    Json,
    controller_of,
    has,
    labels,
    mapping,
    name_of,
    namespace_of,
    number,
    objects,
    text,
)


def describe_pod(pod: Json, events: Sequence[Json] | None, moment: ZonedNow) -> list[str]:
    """A pod as ``kubectl describe pod`` prints it.

    Args:
        pod: The pod, sanitised.
        events: The events of the pod; None where they could not be had.
        moment: When, and in which time zone.
    """
    return align_columns(_pod_lines(pod, events, moment))


def _pod_lines(pod: Json, events: Sequence[Json] | None, moment: ZonedNow) -> Iterator[str]:
    spec, status = mapping(pod, "spec"), mapping(pod, "status")
    yield from _head_lines(pod, moment)
    yield from _status_lines(pod, moment)
    yield f"IP:\t{text(status, 'podIP')}"
    addresses = objects(status, "podIPs")
    yield "IPs:" if addresses else "IPs:\t<none>"
    for address in addresses:
        yield f"  IP:\t{text(address, 'ip')}"
    yield from controlled_by(pod)
    if text(status, "nominatedNodeName"):
        yield f"NominatedNodeName:\t{text(status, 'nominatedNodeName')}"
    if has(spec, "resources"):
        yield "Resources:"
        yield from resource_lines(mapping(spec, "resources"), "  ")
    yield from _container_lines(spec, status, moment, pod)
    yield from _condition_lines(spec, status)
    yield from volume_lines(objects(spec, "volumes"))
    yield f"QoS Class:\t{text(status, 'qosClass') or qos_class(spec)}"
    yield from label_lines("Node-Selectors", labels(spec, "nodeSelector"))
    yield from toleration_lines("Tolerations", objects(spec, "tolerations"))
    yield from spread_lines(objects(spec, "topologySpreadConstraints"))
    yield from event_lines(events, moment)


def _head_lines(pod: Json, moment: ZonedNow) -> Iterator[str]:
    spec, status = mapping(pod, "spec"), mapping(pod, "status")
    yield f"Name:\t{name_of(pod)}"
    yield f"Namespace:\t{namespace_of(pod)}"
    if has(spec, "priority"):
        yield f"Priority:\t{number(spec, 'priority') or 0}"
    for key, title in (
        ("priorityClassName", "Priority Class Name"),
        ("runtimeClassName", "Runtime Class Name"),
        ("serviceAccountName", "Service Account"),
    ):
        if text(spec, key):
            yield f"{title}:\t{text(spec, key)}"
    node = text(spec, "nodeName")
    yield f"Node:\t{node}/{text(status, 'hostIP')}" if node else "Node:\t<none>"
    if has(status, "startTime"):
        yield f"Start Time:\t{moment.stamp(text(status, 'startTime'))}"
    yield from label_lines("Labels", labels(pod, "metadata", "labels"))
    yield from annotation_lines("Annotations", labels(pod, "metadata", "annotations"))


def _status_lines(pod: Json, moment: ZonedNow) -> Iterator[str]:
    status, phase = mapping(pod, "status"), text(pod, "status", "phase")
    deleted = text(pod, "metadata", "deletionTimestamp")
    if deleted and phase not in {"Failed", "Succeeded"}:
        yield f"Status:\tTerminating (lasts {moment.age_of(deleted)})"
        grace = number(pod, "metadata", "deletionGracePeriodSeconds") or 0
        yield f"Termination Grace Period:\t{grace}s"
    else:
        yield f"Status:\t{phase}"
    for key, title in (("reason", "Reason"), ("message", "Message")):
        if text(status, key):
            yield f"{title}:\t{text(status, key)}"
    profile = mapping(pod, "spec", "securityContext", "seccompProfile")
    if profile:
        yield f"SeccompProfile:\t{text(profile, 'type')}"
        if text(profile, "type") == "Localhost":
            yield f"LocalhostProfile:\t{text(profile, 'localhostProfile')}"


def controlled_by(controlled: Json) -> Iterator[str]:
    """The controller, where there is one."""
    owner = controller_of(controlled)
    if owner:
        yield f"Controlled By:\t{text(owner, 'kind')}/{text(owner, 'name')}"


def _container_lines(spec: Json, status: Json, moment: ZonedNow, pod: Json) -> Iterator[str]:
    for title, key, status_key in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        containers = objects(spec, key)
        if containers or key == "containers":
            yield from container_lines(
                title, containers, objects(status, status_key), moment, pod_field_reader(pod)
            )


def _condition_lines(spec: Json, status: Json) -> Iterator[str]:
    conditions = objects(status, "conditions")
    gates = objects(spec, "readinessGates")
    if gates:
        known = {text(condition, "type"): text(condition, "status") for condition in conditions}
        yield "Readiness Gates:"
        yield "  Type\tStatus"
        for gate in gates:
            kind = text(gate, "conditionType")
            yield f"  {kind} \t{known.get(kind, '<none>')} "
    if conditions:
        yield "Conditions:"
        yield "  Type\tStatus"
    for condition in conditions:
        yield f"  {text(condition, 'type')} \t{text(condition, 'status')} "


def template_lines(template: Json, moment: ZonedNow) -> Iterator[str]:
    """The pod template of a workload."""
    spec = mapping(template, "spec")
    yield "Pod Template:"
    yield from label_lines("  Labels", labels(template, "metadata", "labels"))
    annotations = labels(template, "metadata", "annotations")
    if annotations:
        yield from annotation_lines("  Annotations", annotations)
    if text(spec, "serviceAccountName"):
        yield f"  Service Account:\t{text(spec, 'serviceAccountName')}"
    if objects(spec, "initContainers"):
        yield from container_lines("Init Containers", objects(spec, "initContainers"), (), moment, space="  ")
    yield from container_lines("Containers", objects(spec, "containers"), (), moment, space="  ")
    yield from volume_lines(objects(spec, "volumes"), "  ")
    yield from spread_lines(objects(spec, "topologySpreadConstraints"), "  ")
    if text(spec, "priorityClassName"):
        yield f"  Priority Class Name:\t{text(spec, 'priorityClassName')}"
    yield from label_lines("  Node-Selectors", labels(spec, "nodeSelector"))
    yield from toleration_lines("  Tolerations", objects(spec, "tolerations"))
