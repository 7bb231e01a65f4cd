"""Resizing a pod in place: whether the server can, what a plan says of it, and how the resize goes on."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from memtop.change.change_plan import ChangePlanLine
from memtop.change.change_request import ResizePod
from memtop.change.node_capacity import NODES_LABEL, NodeSpace
from memtop.change.rollout_strategy import PodReplacement
from memtop.change.workload_state import WorkloadState
from memtop.describe.container_sections import qos_class
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.json_object import Json, decode_object, mapping, number, objects, text
from memtop.kube.list_watch import await_change
from memtop.kube.object_ref import fetch_object
from memtop.quantity import bytes_or_none
from memtop.retry import Backoff
from memtop.wording import bytes_

LABEL = "resize"
_OOM_LOOP_RESTARTS = 2
"""Restarts from which a container that was OOM-killed last is taken to be in a loop."""
_LOOK_SECONDS, _RETRY_SECONDS = 30.0, 5.0
"""Seconds after which a pod is looked at again though nothing was heard of it, and after a failure."""

ResizeState = Literal["accepted", "in progress", "deferred", "infeasible", "done", "gone"]


@dataclass(frozen=True, slots=True)
class ResizeProgress:
    """How a resize stands.

    Attributes:
        state: Accepted: by the API server, and the kubelet has not taken it up. Deferred: the node has no
            room now, and the kubelet tries again. Infeasible: the node never will have it.
        words: In a sentence, with the kubelet's reason.
    """

    state: ResizeState
    words: str

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self.state in {"done", "infeasible", "gone"}


async def why_no_resize(client: Client) -> str:
    """Why the server cannot resize pods in place; empty if it can.

    The server's own list of resources tells it: a version says nothing of a feature that is switched off.

    Raises:
        ApiError: The list is refused.
        Unreachable: No whole answer came.
    """
    listed = decode_object(await client.get("/api/v1"), "the resources of the core API")
    if any(text(one, "name") == "pods/resize" for one in objects(listed, "resources")):
        return ""
    return (
        "this server does not resize pods in place (its core API has no pods/resize; Kubernetes 1.33 has it)"
    )


def resize_problem(request: ResizePod, pod: Json) -> str:
    """Why a pod can't be resized so; empty if nothing is known against it.

    The QoS class of a pod cannot change while it lives (KEP-1287).
    """
    if text(pod, "status", "phase") in {"Succeeded", "Failed"}:
        return "it has ended: there is nothing to resize"
    before = text(pod, "status", "qosClass") or qos_class(mapping(pod, "spec"))
    after = qos_class(mapping(resized_pod(request, pod), "spec"))
    if before != after:
        return f"its QoS class would change from {before} to {after}, and a resize must leave it as it is"
    return ""


def resized_pod(request: ResizePod, pod: Json) -> dict[str, Any]:
    """The pod as its specification would be."""
    after: dict[str, Any] = copy.deepcopy(dict(pod))
    for key in ("containers", "initContainers"):
        for container in after.get("spec", {}).get(key) or ():
            if container.get("name") == request.container:
                for kind, amount in (("limits", request.limit), ("requests", request.request)):
                    if amount is not None:
                        container.setdefault("resources", {}).setdefault(kind, {})["memory"] = amount
    return after


def resize_effect(request: ResizePod, pod: Json) -> PodReplacement:
    """What a resize does to the pod: nothing, or one of its containers is restarted."""
    container = _container(request, pod)
    policies = {
        text(one, "resourceName"): text(one, "restartPolicy") for one in objects(container, "resizePolicy")
    }
    if policies.get("memory") == "RestartContainer":
        return PodReplacement(
            f"{request.container} is restarted (resizePolicy of its memory: RestartContainer); the pod stays",
            "warn",
        )
    return PodReplacement(f"No restart: {request.container} keeps running, the pod stays where it is")


def resize_lines(
    request: ResizePod, subject: WorkloadState, spaces: Sequence[NodeSpace] | str, used: float | None
) -> Iterator[ChangePlanLine]:
    """What there is to know before a pod is resized.

    Args:
        request: What is asked for.
        subject: The pod as it is.
        spaces: The nodes.
        used: Working set of the container, bytes; None where it is not known.
    """
    pod, container = subject.object, subject.container(request.container)
    limit = bytes_or_none(request.limit or "")
    if limit is not None and used is not None and limit < used:
        yield ChangePlanLine(
            LABEL,
            f"{bytes_(used)} are in use: a limit below that does not take effect, the resize stays in "
            "progress and the old limit holds",
            "critical",
        )
    yield from _loop_lines(request, pod)
    more = (bytes_or_none(request.request or "") or 0) - ((container and container.request_bytes) or 0)
    if request.request is not None and more > 0:
        yield _node_room_line(text(pod, "spec", "nodeName"), spaces, more)
    yield from _template_lines(request, pod)


def _loop_lines(request: ResizePod, pod: Json) -> Iterator[ChangePlanLine]:
    status = _container_status(request, pod)
    reason = text(status, "lastState", "terminated", "reason") or text(
        status, "state", "terminated", "reason"
    )
    restarts = number(status, "restartCount") or 0
    if reason == "OOMKilled" and restarts >= _OOM_LOOP_RESTARTS:
        waits = (
            "; it waits in back-off now, which a resize does not end"
            if mapping(status, "state", "waiting")
            else ""
        )
        yield ChangePlanLine(
            LABEL,
            f"{request.container} was OOM-killed and has restarted {restarts} times: a resize does not "
            f"rescue what grows, it only moves the next kill{waits}",
            "warn",
        )


def _node_room_line(node: str, spaces: Sequence[NodeSpace] | str, more: int) -> ChangePlanLine:
    here = next((one for one in spaces if isinstance(one, NodeSpace) and one.name == node), None)
    if here is None or here.free is None:
        why = f": {spaces}" if isinstance(spaces, str) else ""
        return ChangePlanLine(
            NODES_LABEL, f"whether {node or 'its node'} has {bytes_(more)} more is not known{why}"
        )
    if more > here.free:
        return ChangePlanLine(
            NODES_LABEL,
            f"it requests {bytes_(more)} more, and {node} has {bytes_(max(here.free, 0))} left: the resize "
            "is deferred until other pods go",
            "critical",
        )
    return ChangePlanLine(
        NODES_LABEL, f"it requests {bytes_(more)} more; {node} has {bytes_(here.free)} left"
    )


def _template_lines(request: ResizePod, pod: Json) -> Iterator[ChangePlanLine]:
    """What becomes of the value when the pod is replaced."""
    if request.template is not None:
        yield ChangePlanLine(
            "then", f"a second plan sets the same in the template of {request.template}: that makes new pods"
        )
    elif owner := next(iter(objects(pod, "metadata", "ownerReferences")), None):
        yield ChangePlanLine(
            "template",
            f"only this pod: the template of {text(owner, 'kind')}/{text(owner, 'name')} keeps its value, "
            "and the next pod has that again",
            "warn",
        )
    else:
        yield ChangePlanLine(
            "template", "no controller owns the pod: a new one would have the old value again"
        )


def resize_progress(request: ResizePod, pod: Json) -> ResizeProgress:
    """How far a resize has come, from the pod's status.

    Args:
        request: What was asked for.
        pod: The pod as it is now.
    """
    wanted = mapping(_container(request, pod), "resources")
    holds = mapping(_container_status(request, pod), "resources")
    amounts = {kind: text(wanted, kind, "memory") for kind in ("limits", "requests")}
    words = ", ".join(f"{kind.removesuffix('s')} {amount}" for kind, amount in amounts.items() if amount)
    for condition in objects(pod, "status", "conditions"):
        if text(condition, "status") != "True":
            continue
        why = text(condition, "message")
        if text(condition, "type") == "PodResizePending":
            state: ResizeState = "infeasible" if text(condition, "reason") == "Infeasible" else "deferred"
            return ResizeProgress(state, f"the resize to {words} is {state}: {why or 'no reason is given'}")
        if text(condition, "type") == "PodResizeInProgress":
            return ResizeProgress(
                "in progress", f"the resize to {words} is in progress{_hindrance(why, wanted, holds)}"
            )
    seen = number(pod, "status", "observedGeneration")
    behind = seen is not None and seen < (number(pod, "metadata", "generation") or 0)
    same = all(
        bytes_or_none(text(holds, kind, "memory")) == bytes_or_none(amount)
        for kind, amount in amounts.items()
    )
    if behind or not same:
        return ResizeProgress("accepted", f"the resize to {words} is not taken up by the kubelet yet")
    return ResizeProgress("done", f"{request.container} of {request.ref.name} has {words} now")


def _hindrance(why: str, wanted: Json, holds: Json) -> str:
    if why:
        return f": {why}"
    limits = [bytes_or_none(text(one, "limits", "memory")) for one in (wanted, holds)]
    if limits[0] is not None and limits[1] is not None and limits[0] < limits[1]:
        return f": a limit below what is in use does not take effect, {bytes_(limits[1])} still holds"
    return ""


async def await_resize(
    client: Client, request: ResizePod, known: ResizeProgress | None = None
) -> ResizeProgress:
    """Waits until a resize stands otherwise than is known.

    Args:
        client: The connection.
        request: The resize.
        known: How it stood; None returns at once.
    """
    looks, watches = Backoff(), Backoff()
    while True:
        try:
            _, pod = await fetch_object(client, request.ref)
            progress = resize_progress(request, pod)
            if progress != known:
                return progress
            looks.reset()
        except ApiError as error:
            if error.status == 404:
                return ResizeProgress("gone", f"{request.ref.name} is gone")
            await looks.wait(error, at_least=_RETRY_SECONDS)
            continue
        except Unreachable as error:
            await looks.wait(error, at_least=_RETRY_SECONDS)
            continue
        params = {
            "fieldSelector": f"metadata.name={request.ref.name}",
            "resourceVersion": text(pod, "metadata", "resourceVersion"),
            "timeoutSeconds": str(round(_LOOK_SECONDS)),
        }
        await await_change(
            client,
            request.ref.collections()[0],
            params,
            watches,
            at_least=_RETRY_SECONDS,
            idle_timeout=2 * _LOOK_SECONDS,
        )


async def settle_resize(client: Client, request: ResizePod, patience: float) -> ResizeProgress:
    """Waits until a resize is over, or for so long.

    Args:
        client: The connection.
        request: The resize.
        patience: Seconds.
    """
    progress, until = await await_resize(client, request), time.monotonic() + patience
    while not progress.over and (left := until - time.monotonic()) > 0:
        try:
            progress = await asyncio.wait_for(await_resize(client, request, progress), left)
        except TimeoutError:
            break
    return progress


def _container(request: ResizePod, pod: Json) -> Json:
    return _named(request, pod, "spec", "containers", "initContainers")


def _container_status(request: ResizePod, pod: Json) -> Json:
    return _named(request, pod, "status", "containerStatuses", "initContainerStatuses")


def _named(request: ResizePod, pod: Json, part: str, *lists: str) -> Json:
    found = (one for key in lists for one in objects(pod, part, key))
    return next((one for one in found if text(one, "name") == request.container), {})
