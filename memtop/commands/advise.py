"""``memtop advise``: what to do about a workload's memory, and the plan of one proposal of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from memtop.advice.proposals import Proposal, propose
from memtop.commands.change import Console, run_change
from memtop.commands.once import NoFrameError
from memtop.commands.report import NoSuchWorkloadError, gather_for_command
from memtop.kube import kubeconfig
from memtop.kube.api_errors import KubeconfigError
from memtop.observe.watchlist import DemoStartError

if TYPE_CHECKING:
    from config.invocation import Invocation

NOTHING_KNOWN, BAD_INPUT = 1, 2
WIDTH = 100


def run_advise(invocation: Invocation, console: Console) -> int:
    """Prints what is proposed; with ``--plan ID`` plans that proposal and, after a yes, applies it.

    Args:
        invocation: The workload among its arguments; its options ``container``, ``plan`` and ``output``, and
            those of every command that changes something.
        console: Where to print and ask.

    Returns:
        0; 1 where nothing is known of the workload or the plan was not applied; 2 for what makes no sense.

    Raises:
        ConfigError: A mistake in the arguments.
    """
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    options = invocation.options
    try:
        evidence = gather_for_command(invocation, working_set=True)
    except KubeconfigError as error:
        console.warn(str(invocation.blame(error, error.setting)))
        return BAD_INPUT
    except (DemoStartError, NoFrameError, NoSuchWorkloadError) as error:
        console.warn(str(error))
        return NOTHING_KNOWN
    found = propose(evidence, options["container"])
    if not found:
        raise ConfigError(f"--container: {evidence.ref} has no container {options['container']!r}")
    if options["plan"]:
        return _planned(invocation, found, console)
    for gap in evidence.missing:
        console.warn(gap)
    if options["output"] == "json":
        documents = [proposal_document(one) for one in found]
        print(msgspec.json.format(msgspec.json.encode(documents), indent=2).decode(), file=console.out)
    else:
        for line in proposal_lines(found):
            print(line, file=console.out)
    return 0


def _planned(invocation: Invocation, found: Sequence[Proposal], console: Console) -> int:
    """Plans the proposal that is named."""
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    wanted = invocation.options["plan"]
    able = [one for one in found if one.request is not None]
    chosen = [one for one in able if one.id == wanted]
    if len(chosen) != 1 or chosen[0].request is None:
        known = ", ".join(dict.fromkeys(one.id for one in able)) or "none"
        why = (
            "is proposed for several containers: add --container"
            if chosen
            else f"can be planned; {known} can"
        )
        raise ConfigError(f"--plan: {wanted!r} {why}" if chosen else f"--plan: no {wanted!r} {why}")
    if invocation.options.get("demo"):
        raise ConfigError("--plan: the demo ends with the command, so there is nothing to change in it")
    cluster = invocation.settings.cluster
    target = kubeconfig.load_target(kubeconfig=cluster.kubeconfig, context=cluster.context)
    return run_change(invocation, target, chosen[0].request, console)


def proposal_lines(found: Sequence[Proposal]) -> Iterator[str]:
    """The proposals as text, container by container."""
    container = None
    for one in found:
        if one.container != container:
            container = one.container
            yield f"container {container}"
        yield f"  {one.id}: {one.title}"
        for words in (
            one.reason,
            one.evidence and f"Evidence: {one.evidence}.",
            one.sure and f"Sure? {one.sure}.",
        ):
            if words:
                yield from textwrap.wrap(words, WIDTH, initial_indent="      ", subsequent_indent="      ")
        if one.request is not None:
            yield f"      Plan it: add --plan {one.id}"
        yield from (f"      | {line}" for line in one.code.splitlines())


def proposal_document(one: Proposal) -> dict[str, object]:
    """A proposal for scripts; what there is none of is null."""
    return {
        "id": one.id,
        "container": one.container,
        "title": one.title,
        "reason": one.reason,
        "evidence": one.evidence or None,
        "sure": one.sure or None,
        "plannable": one.request is not None,
        "code": one.code or None,
    }
