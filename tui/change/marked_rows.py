"""The change of all marked rows: which objects are meant, one form, one plan, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from memtop.change.audit_log import AuditError
from memtop.change.change_request import (
    ChangeRequest,
    DeletePod,
    ResizePod,
    Restart,
    SetMemory,
    why_unsupported,
)
from memtop.change.pod_resize import why_no_resize
from memtop.change.several_changes import (
    SeveralOutcome,
    SeveralPlans,
    apply_several,
    counted_objects,
    object_name,
    outcome_lines,
    plan_lines,
    plan_several,
    record_several,
)
from memtop.change.validation import SAME_MEMORY, request_problem
from memtop.change.workload_state import TemplateContainer, WorkloadState, read_workload
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from tui.change.change_flow import CHANGE_FAILURES, ChangeFlow
from tui.change.memory_change import AMOUNT_HINT, resolve_amount
from tui.pod.tab import TabSubject
from widgets.confirm import ConfirmDialog, PlanLine
from widgets.form import FormChoice, FormDialog, FormField, FormNote, FormValueError, FormValues

MOST_SHOWN: Final = 6
"""Containers that the form names; the plan names all."""
_WHERE: Final = {
    "template": "new pods: a rollout of each workload",
    "pod": "only the marked pods, in place: they are not replaced",
}
_APPLY_WORDS: Final = {"restart": "Restart", "delete": "Delete"}

LeftOut = tuple[tuple[ObjectRef, str], ...]


@dataclass(frozen=True, slots=True)
class MemoryTarget:
    """One container that gets other memory.

    Attributes:
        state: Its workload, or its pod where that is resized in place.
        container: The container.
    """

    state: WorkloadState
    container: TemplateContainer

    def request(self, values: FormValues) -> SetMemory | ResizePod:
        """The request that the values mean for it.

        Raises:
            ValueError: They mean nothing for it; the sentence says why.
        """
        kind = ResizePod if self.state.ref.kind == "Pod" else SetMemory
        container = self.container
        wanted = kind(
            self.state.ref,
            container.name,
            _wanted(values["limit"], container.limit, container.limit_bytes),
            _wanted(values["request"], container.request, container.request_bytes),
        )
        if wanted.limit is None and wanted.request is None:
            raise ValueError(SAME_MEMORY)
        if why := request_problem(wanted, self.state):
            raise ValueError(why)
        return wanted


def _wanted(typed: str, written: str, now: int | None) -> str | None:
    quantity = resolve_amount(typed, now)
    return quantity if quantity not in {"", written} else None


def simple_requests(action: str, rows: Sequence[TabSubject]) -> tuple[list[ChangeRequest], LeftOut]:
    """What restarting or deleting marked rows means: each object once, and what is left out, with why."""
    requests: dict[ObjectRef, ChangeRequest] = {}
    left_out: dict[ObjectRef, str] = {}
    for row in rows:
        ref = row.workload if action == "restart" else row.pod_ref
        if ref is None:
            left_out[row.workload] = "this is a workload and not a pod: mark pods (w shows them)"
            continue
        change: Restart | DeletePod = Restart(ref) if action == "restart" else DeletePod(ref)
        if why := why_unsupported(ref, type(change)):
            left_out[ref] = why
        else:
            requests[ref] = change
    return list(requests.values()), tuple(left_out.items())


class MarkedRowsFlow(ChangeFlow):
    """One change of all marked rows, from its key to its outcome."""

    async def run_marked(self, action: str, rows: Sequence[TabSubject]) -> SeveralOutcome | None:
        """Takes an action on all of the rows, as far as its user goes along.

        Args:
            action: One of `tui.keys.MARKED_TITLES`.
            rows: Which rows.

        Returns:
            What became of it; None if nothing was tried.
        """
        try:
            if action == "memory":
                return await self._memory_changed(rows)
            requests, left_out = simple_requests(action, rows)
            planned = await self._soon(
                self._planned(requests, left_out), f"Planning: {len(requests)} changes"
            )
            return await self._agreed(planned, rows, _APPLY_WORDS[action])
        except CHANGE_FAILURES as error:
            self._complain(str(error))
        return None

    async def _planned(self, requests: Sequence[ChangeRequest], left_out: LeftOut) -> SeveralPlans:
        return await self._asked(lambda client: plan_several(client, requests, self._context, left_out))

    # -- memory

    async def _memory_changed(self, rows: Sequence[TabSubject]) -> SeveralOutcome | None:
        templates, left_out = await self._asked(lambda client: _template_targets(client, rows))
        pods: list[MemoryTarget] = []
        pods_left_out: LeftOut = ()
        if all(row.pod_ref is not None for row in rows) and not await self._asked(why_no_resize):
            pods, pods_left_out = await self._asked(lambda client: _pod_targets(client, rows))
        if not templates and not pods:
            return await self._agreed(SeveralPlans((), left_out), rows, "")
        form = memory_form_of_several(templates, pods, left_out)

        async def make(values: FormValues) -> SeveralPlans | None:
            meant = _meant(values, templates, pods)
            requests, problems = memory_requests(meant, values)
            kept = pods_left_out if meant is pods else left_out
            try:
                planned = await self._planned(list(requests.values()), (*kept, *problems.items()))
            except CHANGE_FAILURES as error:
                raise FormValueError(str(error)) from error
            return planned if await self._agrees_to_several(planned, rows, "Apply") else None

        planned = await self._answer(
            FormDialog(form.title, form.fields, form.check, make, facts=form.facts,
                       choices=form.choices, offers=form.offers, ascii_only=self._ascii_only)
        )  # fmt: skip
        return None if planned is None else await self._applied_several(planned)

    # -- the plan, the yes, the requests

    async def _agreed(
        self, planned: SeveralPlans, rows: Sequence[TabSubject], words: str
    ) -> SeveralOutcome | None:
        if not await self._agrees_to_several(planned, rows, words):
            return None
        return await self._applied_several(planned)

    async def _agrees_to_several(self, planned: SeveralPlans, rows: Sequence[TabSubject], words: str) -> bool:
        workloads = {row.pod_ref: row.workload for row in rows if row.pod_ref is not None}
        lines = [PlanLine(line.label, line.text, line.weight) for line in plan_lines(planned, workloads)]
        count = len(planned.plans)
        dialog = ConfirmDialog(
            planned.title,
            lines,
            apply=f"{words} {count}" if count else None,
            copy="\n".join(plan.kubectl for plan in planned.plans),
            typed=self._context if self._protected else "",
            why_typed=f"{self._context} is a protected context",
        )
        try:
            if await self._answer(dialog):
                return True
        except asyncio.CancelledError:
            self._left_open(lambda client: record_several(client, planned, self._log))
            raise
        if warning := await self._asked(lambda client: record_several(client, planned, self._log)):
            self._app.notify(warning, severity="warning", markup=False)
        return False

    async def _applied_several(self, planned: SeveralPlans) -> SeveralOutcome | None:
        self.applying = True
        try:
            sent = self._asked(lambda client: apply_several(client, planned.plans, self._log))
            outcome = await self._soon(sent, f"Applying, one after the other: {planned.title}")
        except (*CLUSTER_FAILURES, AuditError) as error:
            self._complain(
                f"{error}; what was done before is in memtop audit", "It is not known how far it came"
            )
            return None
        finally:
            self.applying = False
        await self._tell_outcome(planned, outcome)
        return outcome

    async def _tell_outcome(self, planned: SeveralPlans, outcome: SeveralOutcome) -> None:
        """A success in a few words; what was done and what was not in full, until it is closed."""
        if outcome.failed is None and not outcome.warnings:
            names = ", ".join(object_name(plan.ref) for plan in outcome.done[:MOST_SHOWN])
            more = len(outcome.done) - MOST_SHOWN
            words = f"{names}{f' and {more} others' if more > 0 else ''}"
            self._app.notify(words, title=f"Done: {planned.title}", markup=False)
            return
        lines = [PlanLine(line.label, line.text, line.weight) for line in outcome_lines(outcome)]
        total = len(planned.plans)
        title = (
            f"Done, with warnings: {counted_objects(outcome.done)}"
            if outcome.failed is None
            else f"{len(outcome.done)} of {total} done, then one failed"
        )
        await self._answer(ConfirmDialog(title, lines, apply=None))


async def _template_targets(client: Client, rows: Sequence[TabSubject]) -> tuple[list[MemoryTarget], LeftOut]:
    """The containers of workloads' templates that marked rows mean, each once."""
    wanted = dict.fromkeys((row.workload, row.container) for row in rows)
    found: list[MemoryTarget] = []
    left_out: dict[ObjectRef, str] = {}
    for ref, container in wanted:
        if why := why_unsupported(ref, SetMemory):
            left_out[ref] = why
            continue
        try:
            state = await read_workload(client, ref)
        except ApiError as error:
            left_out[ref] = str(error)
            continue
        ordinary = [one for one in state.containers if not one.init]
        named = state.container(container) if container else ordinary[0] if len(ordinary) == 1 else None
        if named is None:
            left_out[ref] = (
                f"its template has no container {container}"
                if container
                else f"it has {len(ordinary)} containers: mark the row of the one meant (w shows them)"
            )
        else:
            found.append(MemoryTarget(state, named))
    return _one_plan_each(found, left_out), tuple(left_out.items())


async def _pod_targets(client: Client, rows: Sequence[TabSubject]) -> tuple[list[MemoryTarget], LeftOut]:
    """The same of the pods themselves."""
    pods = [row for row in rows if row.pod_ref is not None and row.container]
    alone = [replace(row, workload=row.pod_ref) for row in pods if row.pod_ref is not None]
    found: list[MemoryTarget] = []
    left_out: dict[ObjectRef, str] = {}
    for row in alone:
        try:
            state = await read_workload(client, row.workload)
        except ApiError as error:
            left_out[row.workload] = str(error)
            continue
        if (named := state.container(row.container)) is not None:
            found.append(MemoryTarget(state, named))
    return _one_plan_each(found, left_out), tuple(left_out.items())


def _one_plan_each(found: Sequence[MemoryTarget], left_out: dict[ObjectRef, str]) -> list[MemoryTarget]:
    """One container an object: a second plan of the same object would be out of date after the first."""
    first: dict[ObjectRef, MemoryTarget] = {}
    for target in found:
        if target.state.ref in first:
            kept = first[target.state.ref].container.name
            left_out[target.state.ref] = (
                f"its container {target.container.name}: one container of an object at a time, {kept} first"
            )
        else:
            first[target.state.ref] = target
    return list(first.values())


def _meant(
    values: FormValues, templates: Sequence[MemoryTarget], pods: Sequence[MemoryTarget]
) -> Sequence[MemoryTarget]:
    return pods if values.get("where", "template") == "pod" or not templates else templates


def memory_requests(
    targets: Sequence[MemoryTarget], values: FormValues
) -> tuple[dict[ObjectRef, SetMemory | ResizePod], dict[ObjectRef, str]]:
    """What the values mean for each container, and why they mean nothing for others."""
    requests: dict[ObjectRef, SetMemory | ResizePod] = {}
    problems: dict[ObjectRef, str] = {}
    for target in targets:
        try:
            requests[target.state.ref] = target.request(values)
        except ValueError as error:
            problems[target.state.ref] = str(error)
    return requests, problems


@dataclass(frozen=True, slots=True)
class SeveralForm:
    """The form for the memory of several containers, as data; see `widgets.form.FormDialog`."""

    title: str
    fields: tuple[FormField, ...]
    facts: tuple[PlanLine, ...]
    choices: tuple[FormChoice, ...]
    offers: str
    templates: Sequence[MemoryTarget]
    pods: Sequence[MemoryTarget]

    def check(self, values: FormValues) -> FormNote:
        """What is said of the values: what is wrong with them, or what each container would get."""
        if values.get("where", "template") not in _WHERE:
            return FormNote(f"where is one of {', '.join(_WHERE)}", "where")
        if not values["limit"] and not values["request"]:
            return FormNote(f"which limit or request should all of them have? {AMOUNT_HINT}", "limit")
        targets = _meant(values, self.templates, self.pods)
        requests, problems = memory_requests(targets, values)
        if not requests:
            ref, why = next(iter(problems.items()))
            return FormNote(why if len(set(problems.values())) == 1 else f"{ref.name}: {why}", "limit")
        becoming = [
            PlanLine(ref.name, _becomes(target.container, requests[ref]))
            for target in targets
            if (ref := target.state.ref) in requests
        ]
        out = [PlanLine("left out", f"{ref.name}: {why}", "warn") for ref, why in problems.items()]
        return FormNote(lines=(*_shortened(becoming), *_shortened(out)))


def _becomes(container: TemplateContainer, wanted: SetMemory | ResizePod) -> str:
    pairs = (("limit", container.limit, wanted.limit), ("request", container.request, wanted.request))
    return ", ".join(f"{name} {old or 'none'} → {new}" for name, old, new in pairs if new is not None)


def _shortened(lines: Sequence[PlanLine]) -> Iterator[PlanLine]:
    yield from lines[:MOST_SHOWN]
    if len(lines) > MOST_SHOWN:
        yield PlanLine("", f"and {len(lines) - MOST_SHOWN} others likewise")


def memory_form_of_several(
    templates: Sequence[MemoryTarget], pods: Sequence[MemoryTarget], left_out: LeftOut
) -> SeveralForm:
    """The form for the memory of several containers.

    Args:
        templates: Those of the workloads' templates.
        pods: Those of the pods, where they can be resized in place; empty where they cannot.
        left_out: The objects that are left out, and why.
    """
    shown = templates or pods
    facts = [
        PlanLine(target.state.ref.name, f"{target.container.name}: {_has(target.container)}")
        for target in shown
    ]
    out = [PlanLine("left out", f"{object_name(ref)}: {why}", "warn") for ref, why in left_out]
    chooses = bool(templates and pods)
    count = len(shown)
    return SeveralForm(
        title=f"Memory of {count} marked {'containers' if count != 1 else 'container'}",
        fields=(
            FormField("limit", "limit", "", AMOUNT_HINT),
            FormField("request", "request", "", "empty: it stays as it is"),
            *([FormField("where", "where", "template", ", ".join(_WHERE))] if chooses else []),
        ),
        facts=(*_shortened(facts), *out),
        choices=tuple(FormChoice({"where": where}, where, note) for where, note in _WHERE.items())
        if chooses
        else (),
        offers="Where to set it",
        templates=templates,
        pods=() if not chooses and templates else pods,
    )


def _has(container: TemplateContainer) -> str:
    return f"limit {container.limit or 'none'}, request {container.request or 'none'}"
