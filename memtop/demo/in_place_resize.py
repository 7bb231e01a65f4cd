"""Resizing a pod in place: what the API server checks, and how the kubelet carries it out or puts it off.

The messages and conditions are those of an API server and kubelet 1.36.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from memtop.demo.api.status_errors import ApiStatusError, details_of
from memtop.demo.api_resources import PODS
from memtop.demo.memory_curves import levels_of
from memtop.demo.object_store import Object
from memtop.demo.pod_admission import REQUESTS, Scheduler, demand
from memtop.demo.simulated_pod import Container, SimulatedPod, memory_bounds, qos_class

RETRY = 10.0  # seconds between two tries of a resize that is put off or in progress
_IMMUTABLE = "Forbidden: only cpu and memory resources for sidecar and app containers are mutable"
_QOS = "Invalid value: {qos!r}: Pod QOS Class may not change as a result of resizing"


def check_resize(before: Object, after: Object, allocatable: int) -> None:
    """Check a resize as the API server does, before it is stored.

    Args:
        before: the pod.
        after: the pod as it would be.
        allocatable: bytes that pods may request on its node.

    Raises:
        ApiStatusError: 422 for another change than that of resources, or of the QoS class; 403 for more than
            the node can ever give.
    """
    name, invalid = before["metadata"]["name"], ""
    if _without_resources(before["spec"]) != _without_resources(after["spec"]):
        invalid = f"spec: {_IMMUTABLE}"
    elif qos_class(before["spec"]) != (qos := qos_class(after["spec"])):
        invalid = f"spec: {_QOS.format(qos=qos).replace(chr(39), chr(34))}"
    else:
        invalid = next(_requests_above_limits(after["spec"]), "")
    if invalid:
        raise ApiStatusError(422, f'Pod "{name}" is invalid: {invalid}', details=details_of(PODS, name))
    wanted = demand({"spec": after["spec"]})[REQUESTS]
    if wanted > allocatable:
        said = f"memory, requested: {wanted * 1000}, allocatable: {allocatable}"  # requested as 1.36 tells it
        message = f'pods "{name}" is forbidden: node didn\'t have enough allocatable resources: {said}'
        raise ApiStatusError(403, message, details=details_of(PODS, name))


def _without_resources(spec: Mapping[str, Any]) -> object:
    plain = copy.deepcopy(dict(spec))
    for container in plain["containers"]:
        container.pop("resources", None)
    return plain


def _requests_above_limits(spec: Mapping[str, Any]) -> Iterator[str]:
    for index, container in enumerate(spec["containers"]):
        limit, request = memory_bounds(container)
        if limit and request > limit:
            field = f"spec.containers[{index}].resources.requests"
            wanted = container["resources"]["requests"]["memory"]
            yield f'{field}: Invalid value: "{wanted}": must be less than or equal to memory limit'


def carry_out(pod: SimulatedPod, scheduler: Scheduler, at: float) -> bool:
    """Give a pod's containers the memory that its specification asks for, as far as that is possible now.

    A request that the node has no room for puts it off. A limit below what a container uses is not set, and
    the resize stays in progress.

    Args:
        pod: the pod; its conditions say afterwards what is in the way.
        scheduler: which node has how much room.
        at: when.

    Returns:
        Whether all of it is done.
    """
    spec = pod.template["spec"]
    wanted = demand(pod.template)[REQUESTS]
    short = "" if pod.node is None else scheduler.shortage(pod.uid, pod.node, wanted)
    pod.resize_deferred = short
    if short:
        return False
    if pod.node is not None:
        scheduler.claim(pod.uid, pod.node, wanted)
    wanted_of = {container["name"]: container for container in spec["containers"]}
    pod.containers = [one if one.init else _resized(one, wanted_of[one.name], at) for one in pod.containers]
    return not pod.unresized


def _resized(container: Container, wanted: Mapping[str, Any], at: float) -> Container:
    limit, request = memory_bounds(wanted)
    if (limit, request) == (container.limit, container.request):
        return container
    restarts = any(
        policy.get("resourceName") == "memory" and policy.get("restartPolicy") == "RestartContainer"
        for policy in wanted.get("resizePolicy") or ()
    )
    if limit and not restarts and _used(container, at) >= limit:
        return container
    if limit != container.limit:
        container.timeline.resize(at, float(limit) if limit else math.inf, restart=restarts)
    return replace(container, limit=limit, request=request)


def _used(container: Container, at: float) -> float:
    runs = container.timeline.runs(at)
    if not runs or at >= runs[-1].end:
        return 0.0
    run = runs[-1]
    return float(levels_of(run.curve, run.start, np.array([at]), run.seed)[0])
