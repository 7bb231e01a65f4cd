"""``memtop set image``, ``memtop set memory``, and how every change in a terminal is shown and confirmed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import textwrap
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TextIO

from memtop.change import validation
from memtop.change.apply import Applied, NotApplied, ObjectChanged, apply_plan, record_not_applied
from memtop.change.audit_completion import complete_begun
from memtop.change.audit_log import AuditLog, PlanOutcome, audit_log_path
from memtop.change.change_plan import ChangePlan, ChangePlanLine, LineWeight
from memtop.change.change_request import (
    KINDS_WITH_TEMPLATE,
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
    why_not_allowed,
)
from memtop.change.patch_file import PatchFileError, PatchFormat, change_as_file
from memtop.change.planning import ReadLeak
from memtop.change.planning import make_plan as plan_of
from memtop.change.pod_resize import settle_resize
from memtop.change.workload_state import WorkloadState, memory_in_use, read_workload
from memtop.commands.object_argument import needs_one_namespace, object_argument
from memtop.kube import kubeconfig
from memtop.kube.api_errors import CLUSTER_FAILURES, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.connection_target import ClusterTarget
from memtop.kube.object_ref import CUSTOM_KINDS, ObjectRef
from memtop.sanitize import sanitize, sanitize_text

if TYPE_CHECKING:
    from config.invocation import Invocation

_WEIGHT_SIGNS: Final[dict[LineWeight, str]] = {"plain": "", "command": "", "warn": "! ", "critical": "!! "}
_WIDEST_PLAN = 120
RESIZE_PATIENCE = 30.0
"""Seconds to wait for a resize; the kubelet takes one up within seconds, or says why not."""


@dataclass(frozen=True)
class Console:
    """Where a command reads and writes.

    What it says may name what a kubeconfig holds as it stands there, such as the context.

    Attributes:
        out: What it is about.
        err: Questions and failures.
        keyboard: Answers; somebody is there if it is a terminal.
    """

    out: TextIO
    err: TextIO
    keyboard: TextIO

    @property
    def is_interactive(self) -> bool:
        """Whether there is somebody to ask."""
        return self.keyboard.isatty()

    def show_plan(self, plan: ChangePlan) -> None:
        """Shows a plan in full."""
        width = min(_WIDEST_PLAN, shutil.get_terminal_size().columns) if self.out.isatty() else None
        print(plan.title, file=self.out)
        for line in plan_table(plan.lines, width):
            print(line, file=self.out)
        self.out.flush()

    def say(self, words: str) -> None:
        """Says what has been done."""
        print(sanitize_text(words), file=self.out, flush=True)

    def warn(self, words: str) -> None:
        """Says what went wrong, or may."""
        print(f"memtop: {sanitize_text(words)}", file=self.err, flush=True)

    def ask(self, question: str) -> str:
        """What somebody answers, without the white space around it; empty at the end of the input."""
        print(sanitize_text(question), end=" ", file=self.err, flush=True)
        answer = self.keyboard.readline()
        if not answer.endswith("\n"):
            print(file=self.err)
        return answer.strip()


def plan_table(lines: Sequence[ChangePlanLine], width: int | None) -> Iterator[str]:
    """The lines of a plan, their labels in a column.

    Args:
        lines: The lines.
        width: Columns to wrap at; None does not wrap. Commands are never wrapped: they are copied.
    """
    indent = max((len(line.label) for line in lines), default=0) + 4
    for line in lines:
        words = _WEIGHT_SIGNS[line.weight] + " ".join(sanitize(line.text).split())
        if width is None or line.weight == "command":
            pieces = [words]
        else:
            pieces = textwrap.wrap(words, max(20, width - indent), break_on_hyphens=False) or [""]
        yield f"  {line.label:<{indent - 4}}  {pieces[0]}".rstrip()
        yield from (" " * indent + piece for piece in pieces[1:])


DONE, FAILED, MISTAKE = 0, 1, 2
_DONE_WORDS: Final[dict[type[ChangeRequest], str]] = {
    SetImage: "image updated",
    SetMemory: "resource requirements updated",
    SetVariables: "env updated",
    ResizePod: "resize asked for",
    Restart: "restarted",
    Undo: "rolled back",
    Scale: "scaled",
    Pause: "paused",
    Resume: "resumed",
    DeletePod: "deleted",
}
"""What kubectl says when it is done."""


@dataclass(frozen=True, slots=True)
class ApplyTerms:
    """Under which conditions a plan is applied.

    Attributes:
        yes: It has been agreed to beforehand.
        dry_run: It is only to be seen.
        confirm: The object's name, as protected contexts want it typed.
        read_only: Nothing may be changed.
        protected: Patterns of the contexts that are protected.
        file: The form of file that is printed in place of any change; empty for none.
    """

    yes: bool = False
    dry_run: bool = False
    confirm: str = ""
    read_only: bool = False
    protected: Sequence[str] = ()
    file: PatchFormat | Literal[""] = ""


def run_set_image(invocation: Invocation, console: Console) -> int:
    """``memtop set image KIND/NAME CONTAINER=IMAGE``; returns the exit code."""
    *words, pair = invocation.arguments
    container, equals, image = pair.partition("=")
    if not equals or not container or not image:
        raise _config_error(invocation, f"{pair!r} is not CONTAINER=IMAGE")
    target, ref = named_object(invocation, words, (*KINDS_WITH_TEMPLATE, *CUSTOM_KINDS))
    return run_change(invocation, target, SetImage(ref, container, image), console)


def run_set_memory(invocation: Invocation, console: Console) -> int:
    """``memtop set memory KIND/NAME [CONTAINER] --limit 4Gi --request 1Gi``; returns the exit code."""
    limit, request = invocation.options["limit"], invocation.options["request"]
    if limit is None and request is None:
        raise _config_error(invocation, "needs --limit, --request or both")
    named = 1 if "/" in invocation.arguments[0] else 2
    words, rest = invocation.arguments[:named], invocation.arguments[named:]
    if len(rest) > 1:
        raise _config_error(invocation, f"has no use for {rest[1]!r}")
    target, ref = named_object(invocation, words, (*KINDS_WITH_TEMPLATE, "Pod", *CUSTOM_KINDS))
    kind = ResizePod if ref.kind == "Pod" else SetMemory
    return run_change(invocation, target, kind(ref, rest[0] if rest else "", limit, request), console)


def named_object(
    invocation: Invocation, words: Sequence[str], kinds: Sequence[str]
) -> tuple[ClusterTarget, ObjectRef]:
    """The cluster, and the object that words name in one namespace of it.

    Args:
        invocation: The settings.
        words: Such as ``deployment/user-service``.
        kinds: Which kinds make sense.

    Raises:
        ConfigError: They name none, there is not exactly one namespace, or the kubeconfig cannot be used.
    """
    cluster = invocation.settings.cluster
    try:
        target = kubeconfig.load_target(
            kubeconfig=cluster.kubeconfig, context=cluster.context, environ=os.environ
        )
    except KubeconfigError as error:
        from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

        raise ConfigError(str(error)) from error
    said = invocation.provenance.get("cluster.all_namespaces", "")
    if cluster.all_namespaces and said.startswith("flag"):  # as a lasting setting it is for the screen
        raise invocation.mistake("cluster.all_namespaces", needs_one_namespace(invocation, "object"))
    return target, object_argument(invocation, words, target.namespace, kinds, "object")


def run_change(invocation: Invocation, target: ClusterTarget, change: ChangeRequest, console: Console) -> int:
    """Plans, asks and applies, under the conditions of the flags and settings; returns the exit code.

    Args:
        invocation: Its options ``yes``, ``dry_run`` and ``confirm``; the settings' ``safety``.
        target: The cluster.
        change: What is wanted.
        console: Where to show the plan and ask.
    """
    options, safety = invocation.options, invocation.settings.safety
    terms = ApplyTerms(
        yes=bool(options.get("yes")),
        dry_run=bool(options.get("dry_run")),
        confirm=options.get("confirm") or "",
        read_only=safety.read_only,
        protected=safety.protected_contexts,
        file="" if options.get("output") in {None, "table"} else options["output"],
    )
    log = AuditLog(audit_log_path(os.environ))
    return plan_and_apply(target, change, terms, console, log, _leak_reader(invocation, target))


def _leak_reader(invocation: Invocation, target: ClusterTarget) -> ReadLeak:
    """What tells whether a revision leaked, from where the settings say that the past is kept."""
    from memtop.observe.watchlist import samples_folder  # noqa: PLC0415  (only where something is undone)
    from memtop.stabilisation.earlier_revisions import leak_of_revision  # noqa: PLC0415

    prometheus, observe = invocation.settings.prometheus, invocation.settings.observe
    return partial(
        leak_of_revision,
        prometheus=prometheus if prometheus.enabled else None,
        folder=samples_folder(target, os.environ) if observe.keep_history else None,
    )


def plan_and_apply(
    target: ClusterTarget,
    change: ChangeRequest,
    terms: ApplyTerms,
    console: Console,
    log: AuditLog,
    read_leak: ReadLeak | None = None,
) -> int:
    """Plans, asks and applies.

    Questions are asked outside the event loop, so that Ctrl-C ends them at once.

    Args:
        target: The cluster.
        change: What is wanted; a container's name may be empty where the workload has only one.
        terms: Under which conditions.
        console: Where to show the plan and ask.
        log: Where every plan is recorded.
        read_leak: Tells whether a revision leaked; None where nobody can.

    Returns:
        The exit code.
    """
    with asyncio.Runner() as runner:
        client = Client(target)
        try:
            runner.run(complete_begun(client, log, patient=False))
            return _TerminalChange(runner, client, terms, console, log, read_leak).run(change)
        except CLUSTER_FAILURES as error:
            console.warn(str(error))
            return FAILED
        finally:
            runner.run(client.close())


class _TerminalChange:
    """One change on its way through plan and question."""

    def __init__(
        self,
        runner: asyncio.Runner,
        client: Client,
        terms: ApplyTerms,
        console: Console,
        log: AuditLog,
        read_leak: ReadLeak | None,
    ) -> None:
        self._read_leak = read_leak
        self._runner = runner
        self._client = client
        self._terms = terms
        self._console = console
        self._log = log

    def run(self, change: ChangeRequest) -> int:
        context = self._client.target.context
        found, change, why = self._runner.run(self._prepared(change))
        if why:
            self._console.warn(why)
            return FAILED
        why = validation.request_problem(change, found, self._runner.run(memory_in_use(self._client, found)))
        if why in validation.NOTHING_TO_DO:
            self._console.say(f"nothing to do: {why}")
            return DONE
        if why:
            self._console.warn(why)
            return MISTAKE
        plan, anew = self._runner.run(plan_of(self._client, change, context, self._read_leak)), False
        if self._terms.file:
            return self._as_file(plan, self._terms.file)
        while True:
            self._console.show_plan(plan)
            if plan.refused or self._terms.dry_run:
                return self._only_shown(plan)
            if not self._agreed(plan, anew=anew):
                return self._declined(plan)
            match self._runner.run(apply_plan(self._client, plan, self._log)):
                case Applied(warning=warning):
                    self._console.say(f"{plan.ref.kind.lower()}/{plan.ref.name} {_DONE_WORDS[type(change)]}")
                    if warning:
                        self._console.warn(warning)
                    return self._resized(change) if isinstance(change, ResizePod) else DONE
                case NotApplied(why):
                    self._console.warn(why)
                    return FAILED
                case ObjectChanged(newer):
                    self._console.warn("it was changed in the meantime: nothing is written; the plan is now:")
                    plan, anew = newer, True
                    if not self._console.is_interactive:
                        self._console.show_plan(plan)
                        self._note(plan, "declined")
                        self._console.warn("agree to that plan by running the command again")
                        return FAILED

    async def _prepared(self, change: ChangeRequest) -> tuple[WorkloadState, ChangeRequest, str]:
        """The object, the change with its container's name filled in, and why it can't be granted."""
        why = await why_not_allowed(self._client, change.ref, type(change), read_only=self._terms.read_only)
        found = await read_workload(self._client, change.ref)
        if isinstance(change, SetMemory | ResizePod) and not change.container:
            ordinary = [one.name for one in found.containers if not one.init]
            if len(ordinary) != 1:
                why = why or f"{change.ref.name} has several containers: say which of {', '.join(ordinary)}"
            else:
                change = replace(change, container=ordinary[0])
        return found, change, why

    def _as_file(self, plan: ChangePlan, form: PatchFormat) -> int:
        """Prints the change as a file; nothing is changed."""
        try:
            written = self._runner.run(change_as_file(self._client, plan, form))
        except PatchFileError as error:
            self._console.warn(str(error))
            return FAILED
        self._note(plan, "dry run")
        print(written, end="", file=self._console.out)
        if plan.refused:
            self._console.warn(f"the server would refuse this: {plan.refused}")
        return DONE

    def _resized(self, request: ResizePod) -> int:
        """Waits for the kubelet's word on a resize that was accepted."""
        progress = self._runner.run(settle_resize(self._client, request, RESIZE_PATIENCE))
        if progress.state == "done":
            self._console.say(progress.words)
            return DONE
        self._console.warn(progress.words)
        return FAILED

    def _only_shown(self, plan: ChangePlan) -> int:
        self._note(plan, "dry run")
        if plan.refused:
            self._console.warn(f"nothing is changed: {plan.refused}")
            return FAILED
        self._console.say("dry run: nothing is changed")
        return DONE

    def _declined(self, plan: ChangePlan) -> int:
        self._note(plan, "declined")
        self._console.warn("nothing is changed")
        return FAILED if self._console.is_interactive else MISTAKE

    def _note(self, plan: ChangePlan, outcome: PlanOutcome) -> None:
        warning = self._runner.run(record_not_applied(self._client, plan, self._log, outcome=outcome))
        if warning:
            self._console.warn(warning)

    def _agreed(self, plan: ChangePlan, *, anew: bool) -> bool:
        """Whether somebody has said yes, or says so now; a yes given beforehand is no yes to another plan."""
        try:
            return is_agreed(self._console, self._terms, plan.context, plan.ref.name, anew=anew)
        except (KeyboardInterrupt, SystemExit):
            self._note(plan, "declined")
            raise


def is_agreed(console: Console, terms: ApplyTerms, context: str, name: str, *, anew: bool = False) -> bool:
    """Whether somebody has said yes to what is shown, or says so now.

    Args:
        console: Where to ask.
        terms: What has been agreed to beforehand.
        context: The kubeconfig's context, which may be protected.
        name: The object's name, as protected contexts want it typed.
        anew: Whether another plan was shown before: a yes given beforehand is no yes to this one.
    """
    protected = any(fnmatchcase(context, pattern) for pattern in terms.protected)
    if terms.confirm and terms.confirm != name:
        console.warn(f"--confirm {terms.confirm!r} is not the name {name!r}")
        return False
    if protected and not terms.confirm and not console.is_interactive:
        console.warn(f"the context {context} is protected: add --confirm {name}")
        return False
    if not anew and ((terms.yes and not protected) or terms.confirm):
        return True
    if not console.is_interactive:
        console.warn("there is nobody to ask: add --yes to apply it, or --dry-run to see it only")
        return False
    with _signals_end_the_question():
        if protected:
            question = f"The context {context} is protected. To apply it, type its name ({name}):"
            return console.ask(question) == name
        return console.ask("Apply it? [y/N]").lower() in {"y", "yes"}


@contextlib.contextmanager
def _signals_end_the_question() -> Iterator[None]:
    """Has a signal that would end the process at once raise SystemExit: a terminal that goes sends one."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    found = {}
    if threading.current_thread() is threading.main_thread():
        found = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    heeded = {one: before for one, before in found.items() if before is signal.SIG_DFL}
    for one in heeded:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one, before in heeded.items():
            signal.signal(one, before)


def _config_error(invocation: Invocation, problem: str) -> Exception:
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    return ConfigError(f"command {invocation.command!r}: {problem}")
