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
from memtop.change.field_owners import autoscaler_lines, controller_lines, owner_lines
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
from memtop.describe.memory_section import hpa_sentences, vpa_sentences
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.json_object import Json, controller_of, has, labels, name_of, number, objects, text
from memtop.kube.object_ref import ObjectRef, fetch_object
from memtop.kube.workload_revisions import Revision, list_revisions

_GRACE_SECONDS = 30
"""Seconds a pod has to stop, unless it says otherwise."""


def effect_on_pods(wish: ChangeRequest, subject: WorkloadState) -> PodReplacement:
    """What granting a wish does to the pods."""
    match wish:
        case SetImage() | SetMemory() | SetVariables() | Restart() | Undo():
            return pod_replacement(subject.ref.kind, subject.object)
        case ResizePod():
            return resize_effect(wish, subject.object)
        case Scale():
            return _scale_effect(wish, subject)
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
    status, wanted = subject.object.get("status"), subject.replicas
    if wanted is None:
        return False
    if (number(status, "observedGeneration") or 0) < (number(subject.object, "metadata", "generation") or 0):
        return True
    updated = "updatedNumberScheduled" if subject.ref.kind == "DaemonSet" else "updatedReplicas"
    total = wanted if subject.ref.kind == "DaemonSet" else number(status, "replicas") or 0
    return (number(status, updated) or 0) < max(wanted, total)


def _scale_effect(wish: Scale, subject: WorkloadState) -> PodReplacement:
    before = subject.replicas or 0
    count = abs(wish.replicas - before)
    stateful = subject.ref.kind == "StatefulSet"
    if wish.replicas > before:
        order = ", one after the other" if stateful and count > 1 else ""
        return PodReplacement(
            f"{pod_count_text(count)} more{order}: {pod_count_text(wish.replicas)} then", replaced=count
        )
    if wish.replicas == 0:
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

    wish: ChangeRequest
    context: str
    subject: WorkloadState
    request: api_request.ApiRequest
    answer: DryRunAnswer
    effect: PodReplacement
    around: NamespaceLimits
    spaces: Sequence[NodeSpace] | str
    target: Revision | None
    leak: str | None
    used: float | None
    command: str

    @property
    def after(self) -> Json:
        """The object as it would be."""
        return self.answer.after or self.subject.object


ReadLeak = Callable[[Client, ObjectRef, int], Awaitable[str | None]]
"""How a revision of a workload leaked: a few words, empty where it did not, None where that is not known."""


async def make_plan(
    client: Client, wish: ChangeRequest, context: str, read_leak: ReadLeak | None = None
) -> ChangePlan:
    """Makes a plan; nothing is changed.

    Args:
        client: The connection.
        wish: What is wanted.
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
    nearby = asyncio.ensure_future(read_namespace_limits(client, wish.ref, type(wish)))
    nodes = asyncio.ensure_future(_node_space(client, wish))
    try:
        for _ in range(READ_TRIES):
            collection, subject = await _read_object(client, wish)
            why, target, used = validation.request_problem(wish, subject), None, None
            if isinstance(wish, ResizePod):
                why = why or await why_no_resize(client)
                used = (await memory_in_use(client, subject)).get(wish.container)
            if not why and isinstance(wish, Undo):
                target, why = validation.undo_target(wish, subject)
                if target is not None:  # what is shown is what is meant, whatever comes in between
                    wish = Undo(wish.ref, target.number)
            command = api_request.kubectl_command(wish, subject, client.target, os.environ)
            if why:
                return _refused_plan(wish, subject, context, command, why)
            cause = api_request.change_cause(wish, subject)
            request = api_request.build_request(wish, subject, collection, cause, target, time.time())
            try:
                answer = await dry_run(client, request, subject.object)
            except ApiError:  # somebody wrote in between
                continue
            leak = await read_leak(client, wish.ref, target.number) if read_leak and target else ""
            draft = _PlanDraft(
                wish,
                context,
                subject,
                request,
                answer,
                effect_on_pods(wish, subject),
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
    return _refused_plan(wish, subject, context, command, why)


async def _read_object(client: Client, wish: ChangeRequest) -> tuple[str, WorkloadState]:
    collection, found = await fetch_object(client, wish.ref)
    known: tuple[Revision, ...] = ()
    note = ""
    if isinstance(wish, SetImage | Undo | Resume):
        try:
            known = await list_revisions(client, wish.ref, found)
        except (ApiError, Unreachable) as error:
            note = str(error)
    return collection, workload_from_object(wish.ref, found, known, note)


async def _node_space(client: Client, wish: ChangeRequest) -> Sequence[NodeSpace] | str:
    return await read_node_space(client) if isinstance(wish, SetMemory | ResizePod | Scale) else ()


def _refused_plan(
    wish: ChangeRequest, subject: WorkloadState, context: str, command: str, why: str
) -> ChangePlan:
    lines = (_object_line(wish.ref, context), ChangePlanLine("refused", why, "critical"))
    version = subject.resource_version
    digest = object_digest(wish.ref.kind, subject.object)
    return ChangePlan(
        wish, context, wish.ref, wish.title, (), lines, command, "", "", "", b"", version, why, False, digest
    )


def _finished_plan(draft: _PlanDraft) -> ChangePlan:
    request, subject = draft.request, draft.subject
    changes = tuple(FieldChange(path_text(steps), old, new) for steps, old, new in request.changed)
    return ChangePlan(
        wish=draft.wish,
        context=draft.context,
        ref=subject.ref,
        title=draft.wish.title,
        changes=changes,
        lines=tuple(_plan_lines(draft, changes)),
        kubectl=draft.command,
        method=request.method,
        path=request.path,
        content_type=request.content_type,
        body=msgspec.json.encode(request.body),
        version=subject.resource_version,
        refused=draft.answer.refused,
        opens_rollout=draft.effect.moves and not isinstance(draft.wish, DeletePod),
        essence=object_digest(subject.ref.kind, subject.object),
    )


def _plan_lines(draft: _PlanDraft, changes: Sequence[FieldChange]) -> Iterator[ChangePlanLine]:
    wish, subject = draft.wish, draft.subject
    yield _object_line(subject.ref, draft.context)
    for change in changes[:MOST_FIELDS]:
        yield ChangePlanLine(
            field_label(change.path), f"{_short_value(change.old)} → {_short_value(change.new)}"
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
    if isinstance(wish, ResizePod):
        yield from resize_lines(wish, subject, draft.spaces, draft.used)
        yield from heap_lines(subject.object, draft.after)
    else:
        yield from _workload_lines(draft)
    if draft.request.cause:
        again = " of that revision" if isinstance(wish, Undo) else ""
        yield ChangePlanLine("recorded", f"change cause{again}: {draft.request.cause}")
    yield ChangePlanLine("kubectl", draft.command, "command")


def _workload_lines(draft: _PlanDraft) -> Iterator[ChangePlanLine]:
    """What a change means for a workload, its pods and what surrounds it."""
    wish, subject = draft.wish, draft.subject
    yield from _present_lines(subject, wish)
    if isinstance(wish, SetImage):
        yield from image_lines(wish, subject)
    yield from _affected_lines(draft)
    yield from _capacity_lines(draft)
    template = pod_template(subject.ref.kind, subject.object)
    yield from budget_lines(
        draft.around.budgets, labels(template, "metadata", "labels"), deletes=isinstance(wish, DeletePod)
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


def _present_lines(subject: WorkloadState, wish: ChangeRequest) -> Iterator[ChangePlanLine]:
    """How the workload is doing before it is changed."""
    if subject.replicas is None:
        return
    status = subject.object.get("status")
    daemons = subject.ref.kind == "DaemonSet"
    ready = number(status, "numberReady" if daemons else "readyReplicas") or 0
    words = f"{pod_count_text(subject.replicas)} wanted, {ready} ready"
    if ready < subject.replicas:
        yield ChangePlanLine("now", words, "warn")
    else:
        yield ChangePlanLine("now", words)
    if rollout_under_way(subject) and not subject.paused and not isinstance(wish, Pause):
        yield ChangePlanLine("now", "another rollout is under way: this one takes its place", "warn")


def _affected_lines(draft: _PlanDraft) -> Iterator[ChangePlanLine]:
    """Who will revert it, or is affected by it."""
    wish, subject, near = draft.wish, draft.subject, draft.around
    if isinstance(wish, DeletePod):
        return
    changed = [steps for steps, _, _ in draft.request.changed]
    if isinstance(wish, Restart | Pause | Resume):  # what no manifest names, only a controller takes back
        yield from controller_lines(subject.object)
    else:
        becoming = {steps: new for steps, _, new in draft.request.changed}
        yield from owner_lines(subject.object, changed, becoming)
    ref = subject.ref
    if isinstance(wish, Scale):
        if isinstance(near.horizontal, str):
            yield ChangePlanLine(
                "owner", f"whether a HorizontalPodAutoscaler scales it is not known: {near.horizontal}"
            )
        else:
            yield from autoscaler_lines(near.horizontal, ref.kind, ref.name, wish.replicas)
    if isinstance(wish, SetMemory | Undo):
        if isinstance(near.vertical, str):
            yield ChangePlanLine(
                "owner", f"whether a VerticalPodAutoscaler sets it is not known: {near.vertical}"
            )
        else:
            for words in vpa_sentences(near.vertical, (ref,)):
                yield ChangePlanLine("owner", words, "warn")
    if isinstance(wish, SetMemory) and not isinstance(near.horizontal, str):
        for words in hpa_sentences(near.horizontal, (ref,)):
            yield ChangePlanLine("scaling", words, "warn")


def _capacity_lines(draft: _PlanDraft) -> Iterator[ChangePlanLine]:
    """Whether there is room for the pods that come."""
    wish, kind = draft.wish, draft.subject.ref.kind
    if isinstance(wish, DeletePod | Pause) or draft.subject.replicas is None or draft.answer.refused:
        return
    template = pod_template(kind, draft.after)
    before, after = pod_footprint(pod_template(kind, draft.subject.object)), pod_footprint(template)
    had = draft.subject.replicas
    asked = peak_demand(before, after, had, had, draft.effect.surge)
    if isinstance(wish, Scale):
        asked = peak_demand(before, before, had, wish.replicas, 0)
    if asked != ResourceDemand(0, 0, 0):
        yield from quota_lines(draft.around.quotas, asked)
    if isinstance(wish, SetMemory | SetVariables | Undo):
        yield from heap_lines(pod_template(kind, draft.subject.object), template)
        yield from limit_range_lines(draft.around.limit_ranges, template)
        impossible = list(pod_level_lines(template))
        yield from impossible
        if impossible:
            return  # whether a node has room for it is beside the point
    more = after.request > before.request if isinstance(wish, SetMemory) else asked.pods > 0
    if isinstance(wish, SetMemory | Scale) and more:
        line = node_line(draft.spaces, after.request, asked.pods if isinstance(wish, Scale) else 1)
        if line is not None:
            yield line
