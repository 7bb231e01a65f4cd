"""``memtop rollout compare``: old and new pods of a rollout over the same minutes, printed."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from memtop.commands.object_argument import object_argument
from memtop.kube.api_errors import CLUSTER_FAILURES, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef
from memtop.observe.watchlist import DemoStartError, open_watchlist
from memtop.stabilisation.canary import CanaryComparison, canary_json, canary_lines, compare_canary
from memtop.stabilisation.stabilisation_watch import (
    StabilisationOptions,
    StabilisationState,
    follow_stabilisation,
)

if TYPE_CHECKING:
    from config.invocation import Invocation

FAILED, BAD_INPUT = 1, 2


def run_compare(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints the old and new pods of a workload's newest rollout side by side.

    Args:
        invocation: The workload among its arguments; its options ``container`` and ``output``.
        out: Where it goes.
        err: Where failures go.

    Returns:
        0; 1 where the cluster does not answer; 2 where there is no such workload.

    Raises:
        ConfigError: A mistake in the arguments.
    """
    try:
        with open_watchlist(
            invocation.settings, os.environ, demo=bool(invocation.options.get("demo"))
        ) as plan:
            ref = object_argument(invocation, invocation.arguments, plan.target.namespace, ROLLING_KINDS)
            options = replace(
                StabilisationOptions.of(plan), container=invocation.options["container"] or None
            )

            async def work() -> CanaryComparison:
                async with Client(plan.target) as client:
                    return await look_once(client, ref, options)

            found = asyncio.run(work())
    except KubeconfigError as error:
        print(f"memtop: {invocation.blame(error, error.setting)}", file=err)
        return BAD_INPUT
    except (DemoStartError, *CLUSTER_FAILURES) as error:
        print(f"memtop: {error}", file=err)
        return BAD_INPUT if getattr(error, "status", 0) == 404 else FAILED
    if invocation.options["output"] == "json":
        print(canary_json(found), file=out)
    else:
        for line in canary_lines(found):
            print(line.rstrip(), file=out)
    return 0


async def look_once(client: Client, ref: ObjectRef, options: StabilisationOptions) -> CanaryComparison:
    """Looks at a rollout until Prometheus has been asked too, and compares.

    Raises:
        ApiError: There is no such workload, or it may not be read.
        Unreachable: No whole answer came.
        KubeconfigError: A certificate or key is not usable.
    """
    async with aclosing(follow_stabilisation(client, ref, options)) as looks:
        async for seen in looks:
            if isinstance(seen, StabilisationState) and not seen.without_prometheus:
                return compare_canary(seen)
    raise RuntimeError("following ended")
