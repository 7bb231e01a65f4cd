"""Makes a change plan: reads the object, tries the change on the server, collects effects and risks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from memtop.change import api_request, validation
from memtop.change.api_request import DryRunAnswer, dry_run
from memtop.change.change_plan import (
    ChangePlan,
    ChangePlanLine,
    FieldChange,
    field_label,
    object_digest,
    path_text,
)
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
    pod_template,
)
from memtop.change.field_owners import (
    apply_conflict_lines,
    autoscaler_lines,
    controller_lines,
    owner_lines,
    pod_owner_lines,
)
from memtop.change.heap_flags import heap_lines
from memtop.change.images import became_ready, image_lines, utc_minute
from memtop.change.namespace_limits import (
    NamespaceLimits,
    ResourceDemand,
    budget_lines,
    limit_range_lines,
    peak_demand,
    pod_footprint,
    quota_lines,
    read_namespace_limits,
)
from memtop.change.node_capacity import NodeSpace, node_line, pod_level_lines, read_node_space
from memtop.change.pod_resize import resize_effect, resize_lines, why_no_resize
from memtop.change.rollout_strategy import PodReplacement, pod_count_text, pod_replacement
from memtop.change.workload_state import WorkloadState, memory_in_use, workload_from_object
from memtop.describe.container_sections import qos_class
from memtop.describe.memory_section import hpa_sentences, vpa_sentences
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.custom_workloads import custom_workload, status_words
from memtop.kube.json_object import Json, controller_of, has, labels, mapping, name_of, number, objects, text
from memtop.kube.object_ref import ObjectRef, fetch_object
from memtop.kube.workload_revisions import Revision, list_revisions

_GRACE_SECONDS = 30
"""Seconds a pod has to stop, unless it says otherwise."""


def effect_on_pods(change: ChangeRequest, subject: WorkloadState) -> PodReplacement:
    """What granting a change does to the pods."""
    match change:
        case SetImage() | SetMemory() | SetVariables() | Restart() | Undo():
            return pod_replacement(subject.ref.kind, subject.object)
        case ResizePod():
            return resize_effect(change, subject.object)
        case Scale():
            return _scale_effect(change, subject)
        case DeletePod():
            return _delete_effect(subject)
        case Pause():
            moving = rollout_under_way(subject)
            stop = (
                "The rollout that is under way stops where it is" if moving else "The pods stay as they are"
            )
            return PodReplacement(
                f"{stop}; changes from now on wait until it is resumed", "warn" if moving else "plain"
            )
        case Resume():
            return _resume_effect(subject)


def rollout_under_way(subject: WorkloadState) -> bool:
    """Whether a rollout of the workload has not come to its end."""
    if (custom := custom_workload(subject.ref.kind, subject.ref.api_version)) is not None:
        return not status_words(custom, subject.object)[1]
    status, wanted = subject.object.get("status"), subject.replicas
    if wanted is None:
        return False
    if (number(status, "observedGeneration") or 0) < (number(subject.object, "metadata", "generation") or 0):
        return True
    updated = "updatedNumberScheduled" if subject.ref.kind == "DaemonSet" else "updatedReplicas"
    total = wanted if subject.ref.kind == "DaemonSet" else number(status, "replicas") or 0
    return (number(status, updated) or 0) < max(wanted, total)


def _scale_effect(change: Scale, subject: WorkloadState) -> PodReplacement:
    before = subject.replicas or 0
    count = abs(change.replicas - before)
    stateful = subject.ref.kind == "StatefulSet"
    if change.replicas > before:
        order = ", one after the other" if stateful and count > 1 else ""
        return PodReplacement(
            f"{pod_count_text(count)} more{order}: {pod_count_text(change.replicas)} then", replaced=count
        )
    if change.replicas == 0:
        return PodReplacement(
            f"No pod is left: all {before} stop" if before > 1 else "No pod is left", "critical"
        )
    which = "those with the highest numbers; their volumes stay" if stateful else "not ready ones first"
    return PodReplacement(
        f"{pod_count_text(count)} stop{'s' if count == 1 else ''}, {which}", "warn", replaced=count
    )


def _delete_effect(subject: WorkloadState) -> PodReplacement:
    pod, grace = subject.object, number(subject.object, "spec", "terminationGracePeriodSeconds")
    until = f"it has {_GRACE_SECONDS if grace is None else grace} s to stop"
    owner = controller_of(pod)
    if not owner:
        return PodReplacement(f"No controller makes another one: it is gone for good; {until}", "critical")
    again = "one of the same name" if text(owner, "kind") == "StatefulSet" else "another one"
    lost = [
        name_of({"metadata": volume}) for volume in objects(pod, "spec", "volumes") if has(volume, "emptyDir")
    ]
    files = f"; what it keeps in {', '.join(lost)} (emptyDir) is lost" if lost else ""
    return PodReplacement(
        f"{text(owner, 'kind')}/{text(owner, 'name')} makes {again}; {until}{files}",
        "warn" if lost else "plain",
    )


def _resume_effect(subject: WorkloadState) -> PodReplacement:
    if (custom := custom_workload(subject.ref.kind, subject.ref.api_version)) is not None:
        return PodReplacement(f"What has waited goes on, by the rules of {custom.product}")
    then = pod_replacement(subject.ref.kind, {**subject.object, "spec": _without_pause(subject)})
    known = subject.revisions
    if known and any(one.current and one.replicas for one in known) and not rollout_under_way(subject):
        return PodReplacement("Nothing waits: the pods are those of the present template")
    return then


def _without_pause(subject: WorkloadState) -> dict[str, object]:
    spec = subject.object.get("spec")
    parts = dict(spec) if isinstance(spec, dict) else {}
    parts.pop("paused", None)
    return parts


READ_TRIES = 5
"""Times that an object is read again because it was written between reading and trying."""
LONGEST_VALUE = 120
"""Characters of a field's value that are shown."""
MOST_FIELDS = 20
"""Fields that are shown; a plan to undo may have more."""


@dataclass(frozen=True, slots=True)
class _PlanDraft:
    """All that the lines of a plan are made from."""

    change: ChangeRequest
    context: str
    subject: WorkloadState
    request: api_request.ApiRequest
    answer: DryRunAnswer
    effect: PodReplacement
    limits: NamespaceLimits
    spaces: Sequence[NodeSpace] | str
    target: Revision | None
    leak: str | None
    used: float | None
    command: str

    @property
    def object_after(self) -> Json:
        """The object as it would be."""
        return self.answer.object_after or self.subject.object


ReadLeak = Callable[[Client, ObjectRef, int], Awaitable[str | None]]
"""How a revision of a workload leaked: a few words, empty where it did not, None where that is not known."""


async def make_plan(
    client: Client, change: ChangeRequest, context: str, read_leak: ReadLeak | None = None
) -> ChangePlan:
    """Makes a plan; nothing is changed.

    Args:
        client: The connection.
        change: What is wanted.
        context: The kubeconfig's context, to be shown.
        read_leak: Tells of the revision that is gone back to whether it leaked; None where nobody can.

    Returns:
        The plan; one that cannot be applied says why.

    Raises:
        ApiError: The object is not there or may not be read.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
        KubeconfigError: A certificate or key is not usable.
    """
    nearby = asyncio.ensure_future(read_namespace_limits(client, change.ref, type(change)))
    nodes = asyncio.ensure_future(_node_space(client, change))
    try:
        for _ in range(READ_TRIES):
            collection, subject = await _read_object(client, change)
            why, target, used = validation.request_problem(change, subject), None, None
            if isinstance(change, ResizePod):
                why = why or await why_no_resize(client)
                used = (await memory_in_use(client, subject)).get(change.container)
            if not why and isinstance(change, Undo):
                target, why = validation.undo_target(change, subject)
                if target is not None:  # what is shown is what is meant, whatever comes in between
                    change = Undo(change.ref, target.number)
            command = api_request.kubectl_command(change, subject, client.target, os.environ)
            if why:
                return _refused_plan(change, subject, context, command, why)
            cause = api_request.change_cause(change, subject)
            request = api_request.build_request(change, subject, collection, cause, target, time.time())
            command = api_request.patch_command(request, subject, command)
            try:
                answer = await dry_run(client, request, subject.object)
            except ApiError:  # somebody wrote in between
                continue
            leak = await read_leak(client, change.ref, target.number) if read_leak and target else ""
            draft = _PlanDraft(
                change,
                context,
                subject,
                request,
                answer,
                effect_on_pods(change, subject),
                await nearby,
                await nodes,
                target,
                leak,
                used,
                command,
            )
            return _finished_plan(draft)
    finally:
        nearby.cancel()
        nodes.cancel()
        await asyncio.gather(nearby, nodes, return_exceptions=True)
    why = f"it is written so often that it changed {READ_TRIES} times while the plan was made: try again"
    return _refused_plan(change, subject, context, command, why)


async def _read_object(client: Client, change: ChangeRequest) -> tuple[str, WorkloadState]:
    collection, found = await fetch_object(client, change.ref)
    known: tuple[Revision, ...] = ()
    note = ""
    if isinstance(change, SetImage | Undo | Resume):
        try:
            known = await list_revisions(client, change.ref, found)
        except (ApiError, Unreachable) as error:
            note = str(error)
    return collection, workload_from_object(change.ref, found, known, note)


async def _node_space(client: Client, change: ChangeRequest) -> Sequence[NodeSpace] | str:
    return await read_node_space(client) if isinstance(change, SetMemory | ResizePod | Scale) else ()


def _refused_plan(
    change: ChangeRequest, subject: WorkloadState, context: str, command: str, why: str
) -> ChangePlan:
    lines = (_object_line(change.ref, context), ChangePlanLine("refused", why, "critical"))
    version = subject.resource_version
    digest = object_digest(change.ref.kind, subject.object)
    return ChangePlan(
        change,
        context,
        change.ref,
        change.title,
        (),
        lines,
        command,
        "",
        "",
        "",
        b"",
        version,
        why,
        False,
        digest,
    )


def _finished_plan(draft: _PlanDraft) -> ChangePlan:
    request, subject = draft.request, draft.subject
    changes = tuple(FieldChange(path_text(steps), old, new) for steps, old, new in request.changed)
    return ChangePlan(
        change=draft.change,
        context=draft.context,
        ref=subject.ref,
        title=draft.change.title,
        changes=changes,
        lines=tuple(_plan_lines(draft, changes)),
        kubectl=draft.command,
        method=request.method,
        path=request.path,
        content_type=request.content_type,
        body=msgspec.json.encode(request.body),
        version=subject.resource_version,
        refused=draft.answer.refused,
        opens_rollout=draft.effect.replaces_pods
        and not isinstance(draft.change, DeletePod)
        and custom_workload(subject.ref.kind, subject.ref.api_version) is None,
        digest=object_digest(subject.ref.kind, subject.object),
    )


def _plan_lines(draft: _PlanDraft, changes: Sequence[FieldChange]) -> Iterator[ChangePlanLine]:
    change, subject = draft.change, draft.subject
    yield _object_line(subject.ref, draft.context)
    for field in changes[:MOST_FIELDS]:
        yield ChangePlanLine(
            field_label(field.path), f"{_short_value(field.old)} → {_short_value(field.new)}"
        )
    if len(changes) > MOST_FIELDS:
        yield ChangePlanLine("", f"and {len(changes) - MOST_FIELDS} other fields")
    if draft.target is not None:
        yield ChangePlanLine("revision", _revision_text(draft.target, subject))
        if draft.leak:
            yield ChangePlanLine("leak", f"revision {draft.target.number} {draft.leak}", "warn")
        elif draft.leak is None:
            yield ChangePlanLine("leak", f"whether revision {draft.target.number} leaked is not known")
    yield from draft.answer.lines
    yield ChangePlanLine("pods", draft.effect.words, draft.effect.weight)
    if isinstance(change, ResizePod):
        becoming = {steps: new for steps, _, new in draft.request.changed}
        yield from pod_owner_lines(subject.object, list(becoming), becoming)
        yield from resize_lines(change, subject, draft.spaces, draft.used)
        yield from heap_lines(subject.object, draft.object_after)
    else:
        yield from _workload_lines(draft)
    if draft.request.cause:
        again = " of that revision" if isinstance(change, Undo) else ""
        yield ChangePlanLine("recorded", f"change cause{again}: {draft.request.cause}")
    yield ChangePlanLine("kubectl", draft.command, "command")


def _workload_lines(draft: _PlanDraft) -> Iterator[ChangePlanLine]:
    """What a change means for a workload, its pods and what surrounds it."""
    change, subject = draft.change, draft.subject
    yield from _present_lines(subject, change)
    if isinstance(change, SetImage):
        yield from image_lines(change, subject)
    yield from _affected_lines(draft)
    yield from _capacity_lines(draft)
    template = pod_template(subject.ref.kind, subject.object)
    yield from budget_lines(
        draft.limits.budgets, labels(template, "metadata", "labels"), deletes=isinstance(change, DeletePod)
    )


def _object_line(ref: ObjectRef, context: str) -> ChangePlanLine:
    return ChangePlanLine(
        "object", f"{ref.kind} {ref.name} in the namespace {ref.namespace}, context {context}"
    )


def _short_value(value: str) -> str:
    """A value on one line; a script in a variable may have many."""
    words = " ".join(value.split())
    return (words if len(words) <= LONGEST_VALUE else f"{words[:LONGEST_VALUE]}…") or "none"


def _revision_text(target: Revision, subject: WorkloadState) -> str:
    cause = f"; change cause: {target.change_cause}" if target.change_cause else ""
    doubt = "" if became_ready(target, subject) else "; whether it ever ran is not known"
    return f"{target.number}, first on {utc_minute(target.created)}{cause}{doubt}"


def _present_lines(subject: WorkloadState, change: ChangeRequest) -> Iterator[ChangePlanLine]:
    """How the workload is doing before it is changed."""
    if subject.replicas is None:
        return
    status = subject.object.get("status")
    if not status:  # as of a custom resource whose controller does not run
        yield ChangePlanLine(
            "now", f"{pod_count_text(subject.replicas)} wanted; how it stands is not told", "warn"
        )
        return
    daemons = subject.ref.kind == "DaemonSet"
    ready = number(status, "numberReady" if daemons else "readyReplicas") or 0
    words = f"{pod_count_text(subject.replicas)} wanted, {ready} ready"
    if ready < subject.replicas:
        yield ChangePlanLine("now", words, "warn")
    else:
        yield ChangePlanLine("now", words)
    if rollout_under_way(subject) and not subject.paused and not isinstance(change, Pause):
        yield ChangePlanLine("now", "another rollout is under way: this one takes its place", "warn")


def _affected_lines(draft: _PlanDraft) -> Iterator[ChangePlanLine]:
    """Who will revert it, or is affected by it."""
    change, subject, near = draft.change, draft.subject, draft.limits
    if isinstance(change, DeletePod):
        yield from _ephemeral_lines(subject.object)
        return
    changed = [steps for steps, _, _ in draft.request.changed]
    if isinstance(change, Restart | Pause | Resume):  # what no manifest names, only a controller takes back
        yield from controller_lines(subject.object)
        yield from apply_conflict_lines(subject.object, changed)
    else:
        becoming = {steps: new for steps, _, new in draft.request.changed}
        yield from owner_lines(subject.object, changed, becoming)
    ref = subject.ref
    if isinstance(change, Scale):
        if isinstance(near.horizontal, str):
            yield ChangePlanLine(
                "owner", f"whether a HorizontalPodAutoscaler scales it is not known: {near.horizontal}"
            )
        else:
            yield from autoscaler_lines(near.horizontal, ref.kind, ref.name, change.replicas)
    if isinstance(change, SetMemory | Undo):
        if isinstance(near.vertical, str):
            yield ChangePlanLine(
                "owner", f"whether a VerticalPodAutoscaler sets it is not known: {near.vertical}"
            )
        else:
            for words in vpa_sentences(near.vertical, (ref,)):
                yield ChangePlanLine("owner", words, "warn")
    if isinstance(change, SetMemory) and not isinstance(near.horizontal, str):
        for words in hpa_sentences(near.horizontal, (ref,)):
            yield ChangePlanLine("scaling", words, "warn")


def _ephemeral_lines(pod: Json) -> Iterator[ChangePlanLine]:
    """The ephemeral containers that run in a pod: nobody makes them again."""
    running = [
        text(one, "name")
        for one in objects(pod, "status", "ephemeralContainerStatuses")
        if has(one, "state", "running")
    ]
    if running:
        ends = "an ephemeral container, runs in it and ends" if len(running) == 1 else (
            "ephemeral containers, run in it and end"
        )  # fmt: skip
        yield ChangePlanLine("debugging", f"{', '.join(running)}, {ends} with it", "warn")


def _qos_lines(before: Json, after: Json) -> Iterator[ChangePlanLine]:
    """What becomes of the QoS class, by which the kernel and the kubelet choose whom to kill first."""
    was, then = (qos_class(mapping(template, "spec")) for template in (before, after))
    if was == then:
        return
    order = ("BestEffort", "Burstable", "Guaranteed")
    sooner = order.index(then) < order.index(was)
    yield ChangePlanLine(
        "QoS",
        f"new pods are {then} and no longer {was}: where a node runs short of memory they are killed "
        f"{'sooner' if sooner else 'later'} than before",
        "warn" if sooner else "plain",
    )


def _capacity_lines(draft: _PlanDraft) -> Iterator[ChangePlanLine]:
    """Whether there is room for the pods that come."""
    change, kind = draft.change, draft.subject.ref.kind
    if isinstance(change, DeletePod | Pause) or draft.subject.replicas is None or draft.answer.refused:
        return
    template = pod_template(kind, draft.object_after)
    before, after = pod_footprint(pod_template(kind, draft.subject.object)), pod_footprint(template)
    had = draft.subject.replicas
    asked = peak_demand(before, after, had, had, draft.effect.surge)
    if isinstance(change, Scale):
        asked = peak_demand(before, before, had, change.replicas, 0)
    if asked != ResourceDemand(0, 0, 0):
        yield from quota_lines(draft.limits.quotas, asked)
    if isinstance(change, SetMemory | SetVariables | Undo):
        yield from _qos_lines(pod_template(kind, draft.subject.object), template)
        yield from heap_lines(pod_template(kind, draft.subject.object), template)
        yield from limit_range_lines(draft.limits.limit_ranges, template)
        impossible = list(pod_level_lines(template))
        yield from impossible
        if impossible:
            return  # whether a node has room for it is beside the point
    more = after.request > before.request if isinstance(change, SetMemory) else asked.pods > 0
    if isinstance(change, SetMemory | Scale) and more:
        line = node_line(draft.spaces, after.request, asked.pods if isinstance(change, Scale) else 1)
        if line is not None:
            yield line
