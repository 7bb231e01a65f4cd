"""One change on the screen from its key to its outcome: form, plan, yes or no, request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError as Cancelled
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from textual.app import App
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen

from config.private_files import write_unused
from memtop.change import workload_state as subjects
from memtop.change.apply import Applied, NotApplied, ObjectChanged, apply_plan, record_not_applied
from memtop.change.audit_log import AuditError, AuditLog
from memtop.change.change_plan import ChangePlan
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
    Undo,
)
from memtop.change.patch_file import PatchFileError, PatchFormat, change_as_file
from memtop.change.planning import ReadLeak
from memtop.change.planning import make_plan as plan_of
from memtop.change.pod_resize import why_no_resize
from memtop.change.validation import request_problem
from memtop.change.workload_state import TemplateContainer, WorkloadState
from memtop.kube.api_errors import CLUSTER_FAILURES, Unreachable
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.observe.engine import EngineStopped
from memtop.wording import bytes_
from tui.change import change_forms, memory_change
from tui.change.change_forms import ChangeForm, revision_summary
from tui.change.memory_change import PooledUsage
from tui.pod.tab import AskCluster
from tui.pod.tab import TabSubject as Row
from widgets.confirm import ConfirmDialog, PlanLine
from widgets.dialogs import WaitingDialog
from widgets.form import FormDialog, FormField, FormValueError, FormValues
from widgets.picker import Picker, PickerItem

T = TypeVar("T")
ReadUsage = Callable[[], Awaitable[Mapping[str, PooledUsage]]]
"""What the containers of a workload do now, as soon as it is known."""
CHANGE_FAILURES = (*CLUSTER_FAILURES, AuditError)
_SLOW_SECONDS = 0.4
"""Seconds after which a wait is worth a word."""
_LAST_SECONDS = 2.0
"""Seconds that the end of memtop waits for a plan to be written down."""
_BUTTONS: Mapping[type[ChangeRequest], str] = {
    Restart: "Restart", Undo: "Undo", DeletePod: "Delete", Pause: "Pause", Resume: "Resume",
}  # fmt: skip


_FILE_FORMS: Mapping[PatchFormat, str] = {
    "patch": "strategic-merge patch, for kubectl patch --patch-file or a patches: list",
    "kustomize": "kustomization.yaml with the patch in it",
    "helm": "values for helm upgrade -f, where the chart's values name the field",
}


class NothingToDoError(Exception):
    """There is nothing to plan; the sentence says why."""


@dataclass(frozen=True, slots=True)
class AgreedPlan:
    """A plan that was agreed to, and what was typed for it."""

    plan: ChangePlan
    values: FormValues


class ChangeFlow:
    """One change after another, each from its key to its outcome.

    Args:
        app: On whose screen.
        ask: Does something with the cluster.
        context: The kubeconfig's context.
        protected: Patterns of contexts in which the workload's name has to be typed.
        log: Where every plan is written down.
        now: The cluster's time, Unix seconds.
        follow_resize: Follows a resize that was asked for, beside what is on the screen.
        waiting: What lies on the screen until the first question, and keeps what is typed for that.
        read_leak: Tells whether a revision leaked; None where nobody can.
        ascii_only: Whether signs must do with ASCII.

    Attributes:
        applying: Whether a request is on its way that must not be cut short.
    """

    def __init__(
        self,
        app: App[int],
        ask: AskCluster,
        *,
        context: str,
        protected: tuple[str, ...],
        log: AuditLog,
        now: Callable[[], float],
        follow_resize: Callable[[ResizePod], None],
        waiting: WaitingDialog,
        read_leak: ReadLeak | None = None,
        ascii_only: bool = False,
    ) -> None:
        self._app = app
        self._ask = ask
        self._context = context
        self._protected = next((pattern for pattern in protected if fnmatchcase(context, pattern)), "")
        self._log = log
        self._now = now
        self._follow_resize = follow_resize
        self._waiting = waiting
        self._read_leak = read_leak
        self._ascii_only = ascii_only
        self.applying = False
        self._uses: ReadUsage | None = None

    async def run(self, action: str, row: Row, uses: ReadUsage) -> ChangePlan | None:
        """Takes an action on a row, as far as its user goes along.

        Args:
            action: Such as ``image``; see `tui.keys`.
            row: On which row.
            uses: What the containers of its workload do.

        Returns:
            The plan that was applied; None if none was.
        """
        try:
            match action:
                case "image" | "memory":
                    return await self._container_changed(action, row, uses)
                case "scale":
                    found = await self._found(row.workload)
                    return await self._filled_in(change_forms.scale_form(found), row)
                case "undo":
                    return await self._undone(row)
                case "pause":
                    found = await self._found(row.workload)
                    change: ChangeRequest = Resume(row.workload) if found.paused else Pause(row.workload)
                    return await self._agreed_and_done(change, row)
                case "restart":
                    return await self._agreed_and_done(Restart(row.workload), row)
                case _:
                    return await self._agreed_and_done(DeletePod(row.pod_ref or row.workload), row)
        except CHANGE_FAILURES as error:
            self._complain(str(error))
        except NothingToDoError as error:
            self._app.notify(str(error), markup=False)
        return None

    async def run_request(self, change: ChangeRequest, row: Row) -> ChangePlan | None:
        """Plans a change that was proposed and, after a yes, makes it; see `run`."""
        try:
            return await self._agreed_and_done(change, row)
        except CHANGE_FAILURES as error:
            self._complain(str(error))
        except NothingToDoError as error:
            self._app.notify(str(error), markup=False)
        return None

    # -- what is asked

    async def _container_changed(self, action: str, row: Row, uses: ReadUsage) -> ChangePlan | None:
        found = await self._found(row.workload)
        container = await self._container(found, row, uses)
        if container is None:
            return None
        self._uses = uses
        if action == "image":
            return await self._filled_in(change_forms.image_form(found, container, self._now()), row)
        pod = await self._resizable_pod(row)
        done = await self._filled_in(memory_change.memory_form(found, container, await uses(), pod), row)
        if done is None or not isinstance(done.change, ResizePod):
            return done
        self._follow_resize(done.change)
        then = done.change.for_template()
        return done if then is None else await self._agreed_and_done(then, row)

    async def _resizable_pod(self, row: Row) -> ObjectRef | None:
        """The pod of a row, where its server resizes pods in place."""
        if row.pod_ref is None:
            return None
        why = await self._asked(why_no_resize)
        if why and row.workload.kind == "Pod":
            raise NothingToDoError(why)
        return None if why else row.pod_ref

    async def _container(self, found: WorkloadState, row: Row, uses: ReadUsage) -> TemplateContainer | None:
        if len(found.containers) < 2:
            if not found.containers:
                raise NothingToDoError(f"{found.ref} has no container")
            return found.containers[0]
        used = await uses()
        items = [
            PickerItem(
                one.name,
                f"{one.name} (init)" if one.init else one.name,
                f"{bytes_(used.get(one.name, PooledUsage()).working_set)} of {one.limit or 'no limit'}, "
                f"{one.image}",
            )
            for one in found.containers
        ]
        current = row.container or None
        name = await self._answer(Picker(f"Which container of {found.ref}?", items, current=current))
        return None if name is None else found.container(name)

    async def _undone(self, row: Row) -> ChangePlan | None:
        found = await self._found(row.workload)
        if why := request_problem(Undo(row.workload), found):
            raise NothingToDoError(why)
        items = [
            PickerItem(
                one.number,
                f"{one.number}  {', '.join(one.images.values())}",
                revision_summary(one, self._now()),
                request_problem(Undo(row.workload, one.number), found),
            )
            for one in found.revisions
        ]
        before = next((item.value for item in items if not item.disabled), None)
        number = await self._answer(
            Picker(f"Take {found.ref} back to which revision?", items, current=before)
        )
        return None if number is None else await self._agreed_and_done(Undo(row.workload, number), row)

    async def _filled_in(self, asked: ChangeForm, row: Row) -> ChangePlan | None:
        """Has a form filled in until its plan is applied or it is left."""

        async def make(values: FormValues) -> AgreedPlan | None:
            try:
                plan = await self._asked(
                    lambda client: plan_of(client, asked.to_request(values), self._context)
                )
            except CHANGE_FAILURES as error:
                raise FormValueError(str(error)) from error
            return AgreedPlan(plan, values) if await self._agrees(plan, row) else None

        values = _typed_ahead(asked.fields[0], self._waiting.finish())
        why = ""
        while True:
            form = FormDialog(
                asked.title,
                asked.fields,
                asked.check,
                make,
                facts=asked.facts,
                choices=asked.choices,
                offers=asked.offers,
                typed=values,
                complaint=why,
                ascii_only=self._ascii_only,
            )
            agreed = await self._answer(form)
            if agreed is None:
                return None
            values = agreed.values
            done, why = await self._done(agreed.plan, row)
            if not why:
                return done

    # -- the plan, the yes, the request

    async def _agreed_and_done(self, change: ChangeRequest, row: Row) -> ChangePlan | None:
        plan = await self._soon(
            self._asked(lambda client: plan_of(client, change, self._context, self._read_leak)),
            f"Planning: {change.title}",
        )
        if not await self._agrees(plan, row):
            return None
        done, why = await self._done(plan, row)
        if why:
            self._complain(why, "It was not done")
        return done

    async def _agrees(self, plan: ChangePlan, row: Row, note: str = "") -> bool:
        """Shows a plan in full; a no is written down as well."""
        lines = [
            PlanLine(line.label, line.text, line.weight)
            for line in plan.lines
            if line.text != plan.kubectl  # which the dialog keeps in sight
        ]
        if note:
            lines.insert(0, PlanLine("", note, "critical"))
        if plan.refused and not any(plan.refused in line.text for line in lines):
            lines.insert(0, PlanLine("refused", plan.refused, "critical"))
        dialog = ConfirmDialog(
            plan.title,
            lines,
            apply=None if plan.refused else _BUTTONS.get(type(plan.change), "Apply"),
            copy=plan.kubectl,
            save=partial(self._save_file, plan)
            if isinstance(plan.change, SetImage | SetMemory | Scale)
            else None,
            typed=row.workload.name if self._protected else "",
            why_typed=f"{self._context} is a protected context",
        )
        try:
            if await self._answer(dialog):
                return True
        except asyncio.CancelledError:
            self._left_open(lambda client: record_not_applied(client, plan, self._log))
            raise
        if warning := await self._asked(lambda client: record_not_applied(client, plan, self._log)):
            self._app.notify(warning, severity="warning", markup=False)
        return False

    async def _save_file(self, plan: ChangePlan) -> None:
        """Writes a plan as a patch file into the folder that memtop was started in."""
        forms = [PickerItem(form, form, note) for form, note in _FILE_FORMS.items()]
        form = await self._app.push_screen_wait(Picker("Write the change as which file?", forms))
        if form is None:
            return
        evidence = await self._evidence(plan.change)
        try:
            written = await self._asked(lambda client: change_as_file(client, plan, form, evidence))
            path = await asyncio.to_thread(
                write_unused, Path.cwd(), f"{plan.ref.name}.{form}", ".yaml", written
            )
        except (*CHANGE_FAILURES, PatchFileError, OSError) as error:
            self._complain(str(error), "No file was written")
        else:
            self._app.notify(str(path), title="Written, with a commit message at its top", markup=False)

    async def _evidence(self, request: ChangeRequest) -> list[str]:
        """What is known of the container that speaks for the change."""
        if self._uses is None or not isinstance(request, SetImage | SetMemory):
            return []
        judgement = (await self._uses()).get(request.container, PooledUsage()).judgement
        return [] if judgement is None else [f"{judgement.certainty}: {judgement.evidence()}"]

    def _left_open(self, record: Callable[[Client], Coroutine[Any, Any, str]]) -> None:
        """Has a plan written down that is in front while memtop ends, which waits for that."""
        with suppress(*CHANGE_FAILURES, TimeoutError, Cancelled):
            self._begun(record).result(_LAST_SECONDS)

    async def _done(self, plan: ChangePlan, row: Row) -> tuple[ChangePlan | None, str]:
        """Applies a plan that was agreed to; where the object is another by then, asks again.

        Returns:
            The plan that was applied, and why none could be; both are empty after a no.
        """
        while True:
            match await self._applied(plan):
                case Applied(warning=warning):
                    severity: SeverityLevel = "warning" if warning else "information"
                    self._app.notify(
                        warning or plan.kubectl, title=f"Done: {plan.title}", severity=severity, markup=False
                    )
                    return plan, ""
                case NotApplied(why):
                    return None, why
                case ObjectChanged(newer):
                    if not await self._agrees(newer, row, _CHANGED_MEANWHILE):
                        return None, ""
                    plan = newer

    async def _applied(self, plan: ChangePlan) -> Applied | ObjectChanged | NotApplied:
        self.applying = True
        try:
            sent = self._asked(lambda client: apply_plan(client, plan, self._log))
            return await self._soon(sent, f"Applying: {plan.title}")
        except CHANGE_FAILURES as error:
            return NotApplied(str(error))
        finally:
            self.applying = False

    # -- small things

    async def _answer(self, dialog: ModalScreen[T]) -> T:
        """Shows a dialog in place of the wait for it."""
        self._waiting.finish()
        return await self._app.push_screen_wait(dialog)

    async def _found(self, ref: ObjectRef) -> WorkloadState:
        return await self._asked(lambda client: subjects.read_workload(client, ref))

    async def _asked(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        return await asyncio.wrap_future(self._begun(work))

    def _begun(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> Future[T]:
        try:
            return self._ask(work)
        except EngineStopped as error:  # such as one that was ended for another context
            raise Unreachable(f"the connection to {self._context} has ended") from error

    async def _soon(self, waited: Awaitable[T], words: str) -> T:
        """Waits, and says so where it takes longer than a moment."""
        timer = self._app.set_timer(_SLOW_SECONDS, lambda: self._app.notify(words, timeout=3, markup=False))
        try:
            return await waited
        finally:
            timer.stop()

    def _complain(self, why: str, title: str = "") -> None:
        self._app.notify(why, title=title, severity="error", markup=False)


def _typed_ahead(field: FormField, typed: str) -> FormValues:
    """What stands in a field after something was typed for it before it was there."""
    start, end = field.selected
    return {field.name: field.value[:start] + typed + field.value[end:]} if typed else {}


_CHANGED_MEANWHILE = (
    "Somebody changed it while the plan was shown. Nothing was written; this is the plan now."
)
