"""``memtop watch``: watches a change without a screen and ends with the exit code of the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from config.private_files import replace_file
from memtop.analysis.stability import StabilityVerdict
from memtop.background import run_in_thread
from memtop.commands.object_argument import object_argument
from memtop.kube.api_errors import ApiError, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef
from memtop.observe import watchlist
from memtop.observe.watchlist import Watchlist
from memtop.stabilisation import verdict_report
from memtop.stabilisation.stabilisation_watch import (
    INTERNAL_ERROR,
    StabilisationOptions,
    StabilisationState,
    follow_stabilisation,
)
from memtop.stabilisation.verdict_report import report_document, report_json, report_line

if TYPE_CHECKING:
    from config.invocation import Invocation

HOLDING, LEAKING, MISTAKE, TIMED_OUT = 0, 1, 2, 3
"""Exit codes."""
_OUTCOMES = {HOLDING: "holding", LEAKING: "not holding", MISTAKE: "mistake", TIMED_OUT: "not known in time"}
MOST_NOTES = 50
"""Different notes that are printed: what goes wrong for two days may go wrong in many words."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BELL = "\a"


def run_watch(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Watches a workload's newest change and prints a line whenever the verdict on it changes.

    Args:
        invocation: The workload among its arguments; its options ``until``, ``timeout`` (seconds, 0 for
            none), ``revision`` (0 for the newest), ``against`` (0 for the last that ran), ``container``,
            ``bell``, ``exec``, ``output``, ``quiet`` and ``result``.
        out: Where verdicts go.
        err: Where it is said what is in the way.

    Returns:
        0 when the fix holds, 1 when it does not, 3 when it was not known in time, 128 and the number of the
        signal that ended it, 2 when what was asked for does not exist.

    Raises:
        ConfigError: A mistake in the arguments.
    """
    command = _user_command(invocation)
    try:
        plan = watchlist.make_watchlist(invocation.settings, os.environ)
        ref = object_argument(invocation, invocation.arguments, plan.target.namespace, ROLLING_KINDS)
        return asyncio.run(_HeadlessWatch(invocation, plan, command, out, err).run(ref))
    except KubeconfigError as error:
        print(f"memtop: {error}", file=err)
        return MISTAKE


def _user_command(invocation: Invocation) -> tuple[str, ...]:
    """The words of the user's command; none if there is none."""
    from config.errors import ConfigError  # noqa: PLC0415

    flag, setting = invocation.options["exec"], invocation.settings.watch.command
    try:
        if flag:
            return verdict_report.split_command(flag)
        return verdict_report.split_command(setting) if setting else ()
    except ValueError as error:
        if not flag:
            raise invocation.mistake("watch.command", f"{setting!r} {error}") from None
        raise ConfigError(f"--exec: {flag!r} {error}") from None


class _HeadlessWatch:
    def __init__(
        self, invocation: Invocation, plan: Watchlist, command: tuple[str, ...], out: TextIO, err: TextIO
    ) -> None:
        options = invocation.options
        self._plan = plan
        self._command = command
        self._out, self._err = out, err
        self._json = options["output"] == "json"
        self._bell = bool(options["bell"]) or invocation.settings.watch.bell
        self._forever = options["until"] == "forever"
        self._timeout = options["timeout"] or None
        self._options = replace(
            StabilisationOptions.of(plan),
            revision=int(options["revision"]) or None,
            container=options["container"] or None,
            against=int(options["against"]) or None,
            record=True,
        )
        self._quiet = bool(options["quiet"])
        self._result = Path(options["result"]) if options["result"] else None
        self._verdict: StabilityVerdict | None = None
        self._last: StabilisationState | None = None
        self._problem = ""
        self._noted: set[str] = set()

    async def run(self, ref: ObjectRef) -> int:
        """Watches until there is a verdict, the time is over, or a signal comes; tells how it ended."""
        code = await self._until_the_end(ref)
        if self._quiet and self._last is not None:
            self._print(self._last)
        if self._result is not None:
            try:
                await run_in_thread(replace_file, self._result, self._result_document(ref, code))
            except OSError as error:
                print(f"memtop: {self._result} cannot be written: {error.strerror or error}", file=self._err)
                return code or MISTAKE
        return code

    def _result_document(self, ref: ObjectRef, code: int) -> bytes:
        """The last verdict with the exit code; all else is null where none came."""
        seen = self._last
        known = report_document(seen) if seen is not None else dict.fromkeys(("verdict", "sentence"))
        document = {
            "exit_code": code,
            "outcome": _OUTCOMES.get(code, "interrupted"),
            **known,
            "workload": {"kind": ref.kind, "name": ref.name},
            "problem": self._problem,
        }
        return json.dumps(document, ensure_ascii=False).encode() + b"\n"

    async def _until_the_end(self, ref: ObjectRef) -> int:
        work = asyncio.ensure_future(self._watch(ref))
        with _cancel_on_signal(work) as caught:
            try:
                async with asyncio.timeout(self._timeout):
                    return await work
            except TimeoutError:
                return self._code()
            except asyncio.CancelledError:
                if not caught:
                    raise
                return 128 + caught[0]
            except ApiError as error:
                print(f"memtop: {error}", file=self._err)
                return MISTAKE

    def _code(self) -> int:
        if self._verdict is None or not self._verdict.decided:
            return TIMED_OUT
        return HOLDING if self._verdict is StabilityVerdict.HOLDING else LEAKING

    async def _watch(self, ref: ObjectRef) -> int:
        async with (
            Client(self._plan.target) as client,
            contextlib.aclosing(follow_stabilisation(client, ref, self._options)) as looks,
        ):
            async for seen in looks:
                if isinstance(seen, str):
                    self._complain(seen)
                    continue
                self._complain(seen.problem)
                self._note(seen.notes)
                if seen.problem or seen.without_prometheus:
                    continue
                self._last = seen
                verdict = seen.stability.verdict
                if verdict is not self._verdict:
                    await self._say(seen)
                    if verdict.decided and not self._forever:
                        break
        return self._code()

    def _complain(self, problem: str) -> None:
        """Says once what is in the way, and once that it is over; a mistake of memtop's own in any case."""
        mistake = problem.startswith(INTERNAL_ERROR) and problem != self._problem
        if mistake or bool(problem) != bool(self._problem):
            over = (
                "it works again" if self._problem.startswith(INTERNAL_ERROR) else "the cluster answers again"
            )
            words = f"{problem}; still trying" if problem else over
            print(f"memtop: {words}", file=self._err, flush=True)
        self._problem = problem

    def _note(self, notes: tuple[str, ...]) -> None:
        """Says once where the past comes from, or why it does not."""
        for note in notes:
            if note not in self._noted and len(self._noted) < MOST_NOTES:
                self._noted.add(note)
                print(f"memtop: {note}", file=self._err, flush=True)

    async def _say(self, seen: StabilisationState) -> None:
        """Prints a verdict that is new, and runs the user's command."""
        previous, self._verdict = self._verdict, seen.stability.verdict
        if not self._quiet:
            ring = self._bell and previous is not None and self._out.isatty()
            self._print(seen, _BELL if ring else "")
        if self._command and (previous is not None or self._verdict.decided):
            problem = await verdict_report.run_command(
                self._command, seen, previous.value if previous else ""
            )
            if problem:
                print(f"memtop: {problem}", file=self._err, flush=True)

    def _print(self, seen: StabilisationState, before: str = "") -> None:
        print(before + (report_json(seen) if self._json else report_line(seen)), file=self._out, flush=True)


@contextlib.contextmanager
def _cancel_on_signal(work: asyncio.Future[int]) -> Iterator[list[int]]:
    """Cancels the work when the session ends; tells by which signal. What nohup ignores stays ignored."""
    caught: list[int] = []
    loop = asyncio.get_running_loop()
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def end(number: int) -> None:
        caught.append(number)
        work.cancel()

    for number in heeded:
        loop.add_signal_handler(number, end, number)
    try:
        yield caught
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
