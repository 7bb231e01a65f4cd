"""Changes without a screen: ``memtop set image``, ``memtop set memory`` and whatever else makes a plan.

Exit codes are kubectl's, but for mistakes on the command line: 0 done (or nothing to do), 1 refused, declined
or failed, 2 a mistake.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from memtop.change import check
from memtop.change.apply import Applied, Changed, Refused, apply, decline
from memtop.change.audit import AuditLog, Outcome, default_path
from memtop.change.console import Console
from memtop.change.kinds import TEMPLATED
from memtop.change.make import plan as plan_of
from memtop.change.plan import Plan
from memtop.change.rights import refusal
from memtop.change.subject import Subject, subject
from memtop.change.usage import used
from memtop.change.wish import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster import kubeconfig
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.refs import ObjectRef
from memtop.cluster.target import Target
from memtop.cluster.typed_name import typed_name

if TYPE_CHECKING:
    from config import Invocation

DONE, FAILED, MISTAKE = 0, 1, 2
_DONE_WORDS: Final[dict[type[Wish], str]] = {
    SetImage: "image updated",
    SetMemory: "resource requirements updated",
    Restart: "restarted",
    Undo: "rolled back",
    Scale: "scaled",
    Pause: "paused",
    Resume: "resumed",
    DeletePod: "deleted",
}
"""What kubectl says when it is done."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which conditions a plan is applied.

    Attributes:
        yes: It has been agreed to beforehand.
        dry_run: It is only to be seen.
        confirm: The object's name, as protected contexts want it typed.
        read_only: Nothing may be changed.
        protected: Patterns of the contexts that are protected.
    """

    yes: bool = False
    dry_run: bool = False
    confirm: str = ""
    read_only: bool = False
    protected: Sequence[str] = ()


def run_set_image(invocation: Invocation, console: Console) -> int:
    """``memtop set image KIND/NAME CONTAINER=IMAGE``; returns the exit code."""
    *words, pair = invocation.arguments
    container, equals, image = pair.partition("=")
    if not equals or not container or not image:
        raise _mistake(invocation, f"{pair!r} is not CONTAINER=IMAGE")
    target, ref = one_object(invocation, words, TEMPLATED)
    return run(invocation, target, SetImage(ref, container, image), console)


def run_set_memory(invocation: Invocation, console: Console) -> int:
    """``memtop set memory KIND/NAME [CONTAINER] --limit 4Gi --request 1Gi``; returns the exit code."""
    limit, request = invocation.options["limit"], invocation.options["request"]
    if limit is None and request is None:
        raise _mistake(invocation, "needs --limit, --request or both")
    named = 1 if "/" in invocation.arguments[0] else 2
    words, rest = invocation.arguments[:named], invocation.arguments[named:]
    if len(rest) > 1:
        raise _mistake(invocation, f"has no use for {rest[1]!r}")
    target, ref = one_object(invocation, words, TEMPLATED)
    return run(invocation, target, SetMemory(ref, rest[0] if rest else "", limit, request), console)


def one_object(
    invocation: Invocation, words: Sequence[str], kinds: Sequence[str]
) -> tuple[Target, ObjectRef]:
    """The cluster, and the object that words name in one namespace of it.

    Args:
        invocation: The settings.
        words: Such as ``deployment/user-service``.
        kinds: Which kinds make sense.

    Raises:
        ConfigError: They name none, there is not exactly one namespace, or the kubeconfig cannot be used.
    """
    from config import ConfigError  # noqa: PLC0415  (only where something is wrong)

    cluster = invocation.settings.cluster
    try:
        target = kubeconfig.load(kubeconfig=cluster.kubeconfig, context=cluster.context, environ=os.environ)
    except KubeconfigError as error:
        raise ConfigError(str(error)) from error
    one = f"{invocation.command!r} is about one object, so it needs one namespace"
    if len(cluster.namespaces) > 1:
        raise invocation.mistake("cluster.namespaces", one)
    said = invocation.provenance.get("cluster.all_namespaces", "")
    if cluster.all_namespaces and said.startswith("flag"):
        raise invocation.mistake("cluster.all_namespaces", one)  # as a lasting setting it is for the screen
    namespace = next(iter(cluster.namespaces), target.namespace)
    try:
        return target, typed_name(words, namespace, kinds)
    except ValueError as error:
        raise _mistake(invocation, f"{' '.join(words)!r} {error}") from None


def run(invocation: Invocation, target: Target, wish: Wish, console: Console) -> int:
    """Plans, asks and applies, under the conditions of the flags and settings; returns the exit code.

    Args:
        invocation: Its options ``yes``, ``dry_run`` and ``confirm``; the settings' ``safety``.
        target: The cluster.
        wish: What is wanted.
        console: Where to show the plan and ask.
    """
    options, safety = invocation.options, invocation.settings.safety
    terms = Terms(
        yes=bool(options.get("yes")),
        dry_run=bool(options.get("dry_run")),
        confirm=options.get("confirm") or "",
        read_only=safety.read_only,
        protected=safety.protected_contexts,
    )
    return carry_out(target, wish, terms, console, AuditLog(default_path(os.environ)))


def carry_out(target: Target, wish: Wish, terms: Terms, console: Console, log: AuditLog) -> int:
    """Plans, asks and applies.

    Questions are asked outside the event loop, so that Ctrl-C ends them at once.

    Args:
        target: The cluster.
        wish: What is wanted; a container's name may be empty where the workload has only one.
        terms: Under which conditions.
        console: Where to show the plan and ask.
        log: Where every plan is recorded.

    Returns:
        The exit code.
    """
    with asyncio.Runner() as runner:
        client = Client(target)
        try:
            return _Change(runner, client, terms, console, log).run(wish)
        except (ApiError, Unreachable, CredentialError, KubeconfigError) as error:
            console.warn(str(error))
            return FAILED
        finally:
            runner.run(client.close())


class _Change:
    """One wish on its way through plan and question."""

    def __init__(
        self, runner: asyncio.Runner, client: Client, terms: Terms, console: Console, log: AuditLog
    ) -> None:
        self._runner = runner
        self._client = client
        self._terms = terms
        self._console = console
        self._log = log

    def run(self, wish: Wish) -> int:
        context = self._client.target.context
        found, wish, why = self._runner.run(self._prepared(wish))
        if why:
            self._console.warn(why)
            return FAILED
        why = check.problem(wish, found, self._runner.run(used(self._client, found)))
        if why in check.NOTHING_TO_DO:
            self._console.say(f"nothing to do: {why}")
            return DONE
        if why:
            self._console.warn(why)
            return MISTAKE
        plan, anew = self._runner.run(plan_of(self._client, wish, context)), False
        while True:
            self._console.tell(plan)
            if plan.refused or self._terms.dry_run:
                return self._only_shown(plan)
            if not self._agreed(plan, anew=anew):
                return self._declined(plan)
            match self._runner.run(apply(self._client, plan, self._log)):
                case Applied(warning=warning):
                    self._console.say(f"{plan.ref.kind.lower()}/{plan.ref.name} {_DONE_WORDS[type(wish)]}")
                    if warning:
                        self._console.warn(warning)
                    return DONE
                case Refused(why):
                    self._console.warn(why)
                    return FAILED
                case Changed(newer):
                    self._console.warn("it was changed in the meantime: nothing is written; the plan is now:")
                    plan, anew = newer, True
                    if not self._console.attended:
                        self._console.tell(plan)
                        self._note(plan, "declined")
                        self._console.warn("agree to that plan by running the command again")
                        return FAILED

    async def _prepared(self, wish: Wish) -> tuple[Subject, Wish, str]:
        """The object, the wish with its container's name filled in, and why it can't be granted."""
        why = await refusal(self._client, wish.ref, type(wish), read_only=self._terms.read_only)
        found = await subject(self._client, wish.ref)
        if isinstance(wish, SetMemory) and not wish.container:
            ordinary = [one.name for one in found.containers if not one.init]
            if len(ordinary) != 1:
                why = why or f"{wish.ref.name} has several containers: say which of {', '.join(ordinary)}"
            else:
                wish = SetMemory(wish.ref, ordinary[0], wish.limit, wish.request)
        return found, wish, why

    def _only_shown(self, plan: Plan) -> int:
        self._note(plan, "dry run")
        if plan.refused:
            self._console.warn(f"nothing is changed: {plan.refused}")
            return FAILED
        self._console.say("dry run: nothing is changed")
        return DONE

    def _declined(self, plan: Plan) -> int:
        self._note(plan, "declined")
        self._console.warn("nothing is changed")
        return FAILED if self._console.attended else MISTAKE

    def _note(self, plan: Plan, outcome: Outcome) -> None:
        warning = self._runner.run(decline(self._client, plan, self._log, outcome=outcome))
        if warning:
            self._console.warn(warning)

    def _agreed(self, plan: Plan, *, anew: bool) -> bool:
        """Whether somebody has said yes, or says so now; a yes given beforehand is no yes to another plan."""
        terms, name = self._terms, plan.ref.name
        protected = any(fnmatchcase(plan.context, pattern) for pattern in terms.protected)
        if terms.confirm and terms.confirm != name:
            self._console.warn(f"--confirm {terms.confirm!r} is not the name {name!r}")
            return False
        if protected and not terms.confirm and not self._console.attended:
            self._console.warn(f"the context {plan.context} is protected: add --confirm {name}")
            return False
        if not anew and ((terms.yes and not protected) or terms.confirm):
            return True
        if not self._console.attended:
            self._console.warn("there is nobody to ask: add --yes to apply it, or --dry-run to see it only")
            return False
        try:
            with _heeding_signals():
                if protected:
                    question = (
                        f"The context {plan.context} is protected. To apply it, type its name ({name}):"
                    )
                    return self._console.ask(question) == name
                return self._console.ask("Apply it? [y/N]").lower() in {"y", "yes"}
        except (KeyboardInterrupt, SystemExit):
            self._note(plan, "declined")
            raise


@contextlib.contextmanager
def _heeding_signals() -> Iterator[None]:
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


def _mistake(invocation: Invocation, problem: str) -> Exception:
    from config import ConfigError  # noqa: PLC0415  (only where something is wrong)

    return ConfigError(f"command {invocation.command!r}: {problem}")
