"""The same change of several objects: one plan with all of them, applied one by one until one fails.

Each object keeps a plan of its own, with its own dry run, version and audit entries. This module shows them
together, and says afterwards what was done and what was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from memtop.change.apply import Applied, NotApplied, ObjectChanged, apply_plan, record_not_applied
from memtop.change.audit_log import AuditLog, PlanOutcome
from memtop.change.change_plan import ChangePlan, ChangePlanLine, field_label
from memtop.change.change_request import ChangeRequest, DeletePod, Restart, SetMemory
from memtop.change.planning import make_plan
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef

PLANS_AT_ONCE = 4
"""Objects that are planned at the same time: each plan takes some ten requests, and a server has others."""
MOST_NAMES = 4
"""Objects that are named where several have the same to be said of them."""
_SAID_BY_SUMMARY = frozenset({"object", "kubectl", "pods", "now", "recorded"})
"""Labels of the lines that say the same of every object, or that stand in its one line already."""
_VERBS: Mapping[type[ChangeRequest], str] = {
    Restart: "Restart", DeletePod: "Delete", SetMemory: "Set the memory of",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeveralPlans:
    """The plans of several objects, to be agreed to together.

    Attributes:
        plans: Those that can be applied, in the order in which they will be.
        left_out: The objects that nothing is done with, and why.
    """

    plans: tuple[ChangePlan, ...]
    left_out: tuple[tuple[ObjectRef, str], ...] = ()

    @property
    def title(self) -> str:
        """What is to be agreed to, in a few words."""
        if not self.plans:
            return "Nothing can be done with what is marked"
        verb = _VERBS.get(type(self.plans[0].change), "Resize in place:")
        return f"{verb} {counted_objects(self.plans)}"


@dataclass(frozen=True, slots=True)
class SeveralOutcome:
    """What became of the plans of several objects.

    Attributes:
        done: Those that were applied.
        warnings: What went wrong after one was applied, such as the log.
        failed: The one that was not; None if all were applied.
        why: Why it was not.
        untried: Those that were not tried after it.
    """

    done: tuple[ChangePlan, ...]
    warnings: tuple[str, ...] = ()
    failed: ChangePlan | None = None
    why: str = ""
    untried: tuple[ChangePlan, ...] = ()


async def plan_several(
    client: Client,
    requests: Sequence[ChangeRequest],
    context: str,
    left_out: Sequence[tuple[ObjectRef, str]] = (),
) -> SeveralPlans:
    """Makes the plans of several objects; nothing is changed.

    Args:
        client: The connection.
        requests: What is wanted of each; no object twice.
        context: The kubeconfig's context, to be shown.
        left_out: Objects that are known to be left out, and why.

    Raises:
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
        KubeconfigError: A certificate or key is not usable.
    """
    room = asyncio.Semaphore(PLANS_AT_ONCE)

    async def plan(request: ChangeRequest) -> ChangePlan | str:
        async with room:
            try:
                return await make_plan(client, request, context)
            except ApiError as error:  # of this object alone, such as that it is gone
                return str(error)

    tasks = [asyncio.ensure_future(plan(request)) for request in requests]
    try:
        made = await asyncio.gather(*tasks)
    finally:
        for task in tasks:  # where one found the cluster gone, or somebody left
            task.cancel()
    refused = [
        (request.ref, one if isinstance(one, str) else one.refused)
        for request, one in zip(requests, made, strict=True)
        if isinstance(one, str) or one.refused
    ]
    plans = tuple(one for one in made if isinstance(one, ChangePlan) and not one.refused)
    return SeveralPlans(plans, (*left_out, *refused))


async def apply_several(
    client: Client,
    plans: Sequence[ChangePlan],
    log: AuditLog,
    tell: Callable[[int], None] = lambda number: None,
) -> SeveralOutcome:
    """Applies plans that somebody has said yes to, one after the other; the first failure ends it.

    Args:
        client: The connection.
        plans: The plans, in order.
        log: Where each is recorded, also those that are not tried.
        tell: Is told before each the number of those that are done; must return at once.
    """
    warnings: list[str] = []
    for number, plan in enumerate(plans):
        tell(number)
        try:
            outcome = await apply_plan(client, plan, log)
        except CLUSTER_FAILURES as error:
            outcome = NotApplied(str(error))
        match outcome:
            case Applied(warning=warning):
                warnings += [f"{plan.ref}: {warning}"] if warning else []
                continue
            case NotApplied(why):
                pass
            case ObjectChanged():
                why = "somebody changed it while the plan was shown; nothing was written to it"
        untried = tuple(plans[number + 1 :])
        told = f"not tried, because the change of {plan.ref} before it failed"
        for left in untried:
            if warning := await record_not_applied(client, left, log, outcome="not tried", why=told):
                warnings.append(warning)
        return SeveralOutcome(tuple(plans[:number]), tuple(dict.fromkeys(warnings)), plan, why, untried)
    return SeveralOutcome(tuple(plans), tuple(dict.fromkeys(warnings)))


async def record_several(
    client: Client, planned: SeveralPlans, log: AuditLog, outcome: PlanOutcome = "declined"
) -> str:
    """Records plans that are not applied, each by itself.

    Returns:
        A warning if one cannot be recorded; empty if all are.
    """
    for plan in planned.plans:
        if warning := await record_not_applied(client, plan, log, outcome=outcome):
            return warning
    return ""


def counted_objects(plans: Sequence[ChangePlan]) -> str:
    """``3 pods``, ``2 workloads``; of one its name."""
    if len(plans) == 1:
        return str(plans[0].ref)
    return f"{len(plans)} {'pods' if all(plan.ref.kind == 'Pod' for plan in plans) else 'workloads'}"


def object_name(ref: ObjectRef) -> str:
    """An object with its namespace, since several may be of several."""
    return f"{ref.namespace}/{ref}"


def plan_lines(planned: SeveralPlans, workloads: Mapping[ObjectRef, ObjectRef]) -> Iterator[ChangePlanLine]:
    """All that there is to say about several plans, for a person.

    Args:
        planned: The plans.
        workloads: Of each pod the workload that it belongs to, where that is known.
    """
    plans = planned.plans
    if plans:
        yield ChangePlanLine(
            "objects",
            f"{counted_objects(plans)} in the context {plans[0].context}, one after the other; "
            "the first that fails ends it",
        )
    for ref, why in planned.left_out:
        yield ChangePlanLine("left out", f"{object_name(ref)}: {why}", "warn")
    yield from _same_workload_lines(plans, workloads)
    for number, plan in enumerate(plans, 1):
        yield ChangePlanLine(f"{number}", _summary_of(plan))
    yield from _shared_lines(plans)
    if len(plans) > 1 and not isinstance(plans[0].change, Restart | DeletePod):
        yield ChangePlanLine(
            "room", "each was tried by itself: whether there is room for all of them together is not known"
        )


def _summary_of(plan: ChangePlan) -> str:
    """One plan in a line: its object, its fields, and what happens to the pods."""
    fields = [
        f"{field_label(change.path)} {change.old or 'none'} → {change.new or 'none'}"
        for change in plan.changes
        if not isinstance(plan.change, Restart)
    ]
    pods = [line.text for line in plan.lines if line.label == "pods"]
    ready = [line.text for line in plan.lines if line.label == "now" and line.weight == "plain"]
    return f"{object_name(plan.ref)}: {'; '.join([*fields, *pods, *ready])}"


def _same_workload_lines(
    plans: Sequence[ChangePlan], workloads: Mapping[ObjectRef, ObjectRef]
) -> Iterator[ChangePlanLine]:
    """Says where several pods of one workload go: it is without all of them for a while."""
    pods: dict[ObjectRef, int] = {}
    for plan in plans:
        if isinstance(plan.change, DeletePod) and plan.ref in workloads:
            pods[workloads[plan.ref]] = pods.get(workloads[plan.ref], 0) + 1
    for workload, count in pods.items():
        if count > 1 and workload.kind != "Pod":
            words = (
                f"{count} of these are pods of {object_name(workload)}: none waits for another's successor"
            )
            yield ChangePlanLine("pods", words, "warn")


def _shared_lines(plans: Sequence[ChangePlan]) -> Iterator[ChangePlanLine]:
    """What else the plans say; what several say in the same words is said once."""
    said: dict[ChangePlanLine, list[ChangePlan]] = {}
    for plan in plans:
        for line in plan.lines:
            grave = line.weight in {"warn", "critical"}
            if grave or (line.label not in _SAID_BY_SUMMARY and not _is_field(line, plan)):
                said.setdefault(line, []).append(plan)
    for line, of in said.items():
        if line.label == "pods":
            continue  # which the object's own line says
        names = ", ".join(object_name(plan.ref) for plan in of[:MOST_NAMES])
        if len(of) > MOST_NAMES:
            names += f" and {len(of) - MOST_NAMES} others"
        about = "" if len(of) == len(plans) else f"{names}: "
        each = "each: " if len(of) == len(plans) > 1 else ""
        yield ChangePlanLine(line.label, f"{about}{each}{line.text}", line.weight)


def _is_field(line: ChangePlanLine, plan: ChangePlan) -> bool:
    return any(line.label == field_label(change.path) for change in plan.changes)


def outcome_lines(outcome: SeveralOutcome) -> Iterator[ChangePlanLine]:
    """What was done and what was not, for a person."""
    if outcome.failed is not None:
        yield ChangePlanLine("failed", f"{object_name(outcome.failed.ref)}: {outcome.why}", "critical")
    for plan in outcome.untried:
        yield ChangePlanLine(
            "not done", f"{object_name(plan.ref)}: it was not tried after that failure", "warn"
        )
    for plan in outcome.done:
        yield ChangePlanLine("done", object_name(plan.ref))
    if outcome.failed is not None and not outcome.done:
        yield ChangePlanLine("done", "none: it was the first that failed")
    for words in outcome.warnings:
        yield ChangePlanLine("", words, "warn")
