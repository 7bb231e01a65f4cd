"""``memtop heap what-grew``: two captures of a pod's heap some minutes apart, and what grew between them."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from memtop.change.change_plan import ChangePlanLine
from memtop.commands.change import Console, plan_table
from memtop.heap.capture_plan import CapturePlan, NothingToCaptureError, plan_captures
from memtop.heap.capture_run import CAPTURE_FAILURES, CaptureFailedError, CaptureStep
from memtop.heap.container_probe import NoShellError
from memtop.heap.growth_plan import GrowthPlan, growth_plans
from memtop.heap.growth_run import WhatGrew, find_what_grew
from memtop.heap.kept_captures import KeptCapture, captures_folder, kept_captures
from memtop.heap_files.heap_tables import growth_text
from memtop.kube.api_errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef
from memtop.kube.object_ref import ObjectRef, parse_object_name
from memtop.logs.log_request import LOGGED_KINDS, NoSuchLog, find_log_target
from memtop.observe.watchlist import DemoStartError, open_watchlist

if TYPE_CHECKING:
    from config.invocation import Invocation

FAILED, BAD_INPUT, NOT_AGREED = 1, 2, 1
_SAY_EVERY = 30.0
"""Seconds between two lines that say how far it is."""


def run_what_grew(invocation: Invocation, console: Console) -> int:
    """Plans, asks, captures, compares and prints.

    Args:
        invocation: The pod or workload among its arguments; its options ``container``, ``every`` (seconds, 0
            for a time that suits), ``times``, ``since``, ``yes``, ``dry_run``, ``output`` and ``top``.
        console: Where it reads and writes.

    Returns:
        0; 1 where nothing came of it or nobody agreed; 2 where what was asked for makes no sense.

    Raises:
        ConfigError: A flag or an argument is wrong.
    """
    if invocation.settings.safety.read_only and not invocation.options["dry_run"]:
        console.warn("read-only: memtop starts no process in a container")
        return BAD_INPUT
    try:
        with open_watchlist(
            invocation.settings, os.environ, demo=bool(invocation.options.get("demo"))
        ) as plan:
            namespaces = invocation.settings.cluster.namespaces
            if len(namespaces) > 1:
                raise invocation.mistake(
                    "cluster.namespaces", "a heap is of one pod, so it needs one namespace"
                )
            namespace = next(iter(namespaces), plan.target.namespace)
            return asyncio.run(_answer(invocation, Client(plan.target), namespace, console, plan.speed))
    except KubeconfigError as error:
        console.warn(str(invocation.blame(error, error.setting)))
        return BAD_INPUT
    except NoSuchLog as error:
        console.warn(str(error))
        return BAD_INPUT
    except (
        *(DemoStartError, ApiError, Unreachable, CredentialError),
        *(CaptureFailedError, NoShellError, NothingToCaptureError, *CAPTURE_FAILURES),
    ) as error:
        console.warn(str(error))
        for words in getattr(error, "left", ()):
            console.warn(words)
        return FAILED


async def _answer(
    invocation: Invocation, client: Client, namespace: str, console: Console, pace: float
) -> int:
    options = invocation.options
    async with client:
        place = await _container(invocation, client, namespace, console)
        folder = captures_folder(os.environ)
        captures = await plan_captures(client, place, folder)
        plan = _chosen(invocation, captures, kept_captures(folder), pace)
        if plan is None:
            for words in why_nothing_can_be_compared(captures):
                console.warn(words)
            return FAILED
        show_plan(plan, console)
        if options["dry_run"]:
            return 0
        if not options["yes"]:
            if not console.is_interactive:
                console.warn("nobody is there to agree: --yes takes the captures")
                return NOT_AGREED
            if (await asyncio.to_thread(console.ask, "Take the captures? [y/N]")).lower() not in ("y", "yes"):
                console.warn("nothing was captured")
                return NOT_AGREED
        answer = await find_what_grew(client, plan, _Progress(console))
    print_answer(answer, invocation, console)
    return 0


def _chosen(
    invocation: Invocation, captures: tuple[CapturePlan, ...], kept: tuple[KeptCapture, ...], pace: float
) -> GrowthPlan | None:
    """The best plan, or the one that begins with the capture that was named."""
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    options = invocation.options
    found = growth_plans(
        captures, (), floor_rate=None, seconds=options["every"] or None, times=options["times"], pace=pace
    )
    since = options["since"]
    if not since:
        return next(iter(found), None)
    named = Path(since)
    earlier = next((one for one in kept if named in (one.path, Path(one.path.name))), None)
    if earlier is None:
        raise ConfigError(f"--since: {since!r} is no capture that memtop keeps; see memtop heap list")
    fitting = (one for one in found if one.capture.capture.suffix == earlier.suffix)
    plan = next(fitting, None)
    if plan is None:
        raise ConfigError(f"--since: a {earlier.kind} cannot be compared with what this container offers")
    return GrowthPlan(plan.capture, 0.0, "", 2, earlier, None, pace)


def why_nothing_can_be_compared(captures: tuple[CapturePlan, ...]) -> list[str]:
    """What is missing, a sentence for each way there would be."""
    missing = [f"{one.capture.title}: {one.capture.missing}" for one in captures if one.capture.missing]
    return ["nothing that could be compared can be captured in this container", *missing]


async def _container(
    invocation: Invocation, client: Client, namespace: str, console: Console
) -> ContainerRef:
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    words = invocation.arguments
    ref = ObjectRef("Pod", namespace, words[0])
    if len(words) > 1 or "/" in words[0]:
        try:
            ref = parse_object_name(words, namespace, LOGGED_KINDS)
        except ValueError as error:
            raise ConfigError(f"command {invocation.command!r}: {' '.join(words)!r} {error}") from None
    found = await find_log_target(client, ref, invocation.options["container"])
    if found.how_chosen:
        console.warn(found.how_chosen)
    if len(found.containers) != 1:
        names = ", ".join(found.containers)
        raise ConfigError(f"pod {found.pod} has several containers: name one with --container ({names})")
    return ContainerRef(namespace, found.pod, found.containers[0])


def show_plan(plan: GrowthPlan, console: Console) -> None:
    """Prints a plan in full, what may cost the container its life first."""
    risks = plan.risks()
    lines = [
        *(ChangePlanLine("risk", risk.sentence, "critical") for risk in risks if risk.is_severe),
        *(
            ChangePlanLine(name, words, "command" if name == "runs there" else "plain")
            for name, words in plan.facts()
        ),
        *(ChangePlanLine("risk", risk.sentence, "warn") for risk in risks if not risk.is_severe),
    ]
    width = shutil.get_terminal_size().columns if console.err.isatty() else None
    console.warn(f"plan: {plan.title}")
    for line in plan_table(lines, width):
        print(line, file=console.err)
    console.err.flush()


class _Progress:
    """Says how far it is, each time that something new begins and every half minute."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._words = ""
        self._at = 0.0

    def __call__(self, step: CaptureStep) -> None:
        begun = step.words.partition(" · ")[0].rstrip("0123456789 hms")
        if begun != self._words or time.monotonic() - self._at > _SAY_EVERY:
            self._words, self._at = begun, time.monotonic()
            self._console.warn(step.words)


def print_answer(answer: WhatGrew, invocation: Invocation, console: Console) -> None:
    """Prints what grew, and what else rose."""
    options = invocation.options
    print(growth_text(answer.growth, options["top"], options["output"], answer.floor_rate), file=console.out)
    if options["output"] != "json":
        for words in answer.sentences[2:]:
            print(words, file=console.out)
        for cause in answer.causes:
            print(f"Likely cause: {cause.name}. Next: {cause.next_step}.", file=console.out)
    console.warn("kept: " + ", ".join(str(path) for path in answer.files))
