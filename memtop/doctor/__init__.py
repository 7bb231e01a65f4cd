"""``memtop doctor``: what memtop can reach and may do, a line each, with what to do where it cannot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TextIO

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, KubeconfigError, Unreachable
from memtop.cluster.objects import Metadata
from memtop.cluster.sanitize import sanitize
from memtop.doctor import machine, past, server
from memtop.doctor.finding import Finding, Mark, bad, good, open_
from memtop.observe.clock import ServerClock
from memtop.observe.plan import Plan
from memtop.observe.setup import StartError, connection

if TYPE_CHECKING:
    from config import Invocation, Settings

NAMED = ("kubeconfig", "API server", "credentials", "pods")
"""Subjects without which nothing works."""
CARRIERS = ("metrics API", "Prometheus")
"""Subjects of which one must be well, or there is no memory to show."""
PODS_ASKED = 100


def run(invocation: Invocation, out: TextIO) -> int:
    """Checks everything and prints a line for each.

    Args:
        invocation: The settings; its option ``demo`` checks the embedded cluster.
        out: Where the report goes.

    Returns:
        0 if all that memtop needs is there, else 1.
    """
    settings = invocation.settings
    findings: list[Finding] = []
    plain = not machine.speaks_unicode(out)

    def tell(finding: Finding) -> None:
        findings.append(finding)
        for line in finding.lines(plain=plain):
            print(line, file=out, flush=True)

    async def examine(plan: Plan) -> None:
        async for finding in cluster(plan, settings):
            tell(finding)

    try:
        with connection(settings, os.environ, demo=bool(invocation.options.get("demo"))) as plan:
            target = plan.target
            where = f"{sanitize(target.source)}, context {sanitize(target.context)}"
            tell(good("kubeconfig", f"{where}, namespace {sanitize(target.namespace)}"))
            if target.insecure:
                tell(
                    open_("kubeconfig", "the server's certificate is not checked (insecure-skip-tls-verify)")
                )
            asyncio.run(examine(plan))
    except KubeconfigError as error:
        tell(bad("kubeconfig", invocation.blame(error, error.setting)))
    except StartError as error:
        tell(bad("kubeconfig", str(error)))
    tell(machine.terminal(out, os.environ))
    tell(machine.state_folder(settings.observe.keep_history))
    return 0 if healthy(findings) else 1


def healthy(findings: list[Finding]) -> bool:
    """Whether all that memtop needs is there."""
    needed = all(finding.mark is not Mark.BAD for finding in findings if finding.subject in NAMED)
    carried = any(finding.mark is Mark.GOOD for finding in findings if finding.subject in CARRIERS)
    return needed and carried


async def cluster(plan: Plan, settings: Settings) -> AsyncIterator[Finding]:
    """Checks what a plan leads to; each finding comes as soon as it is known.

    Args:
        plan: The cluster, and what of it is observed.
        settings: Those of Prometheus count.
    """
    namespaces = plan.scope.namespaces or (plan.target.namespace,)
    async with Client(plan.target) as client:
        finding, greeting = await server.reachable(client)
        yield finding
        if greeting is None:
            return
        who = await server.identity(client)
        yield who
        if who.mark is Mark.BAD:
            return
        clock = ServerClock(plan.speed)
        clock.observe(greeting.response.headers.get("Date"))
        yield await server.pods(client, namespaces)
        for right in await server.rights(client, namespaces):
            yield right
        yield await server.metrics(client, namespaces, clock.now)
        names = await _pod_names(client, plan.scope.namespaces, plan.target.namespace)
        for finding in await past.prometheus(client, settings.prometheus, names, clock.now()):
            yield finding
        if plan.speed == 1:
            yield server.clock(greeting)


class _Named(msgspec.Struct):
    metadata: Metadata


class _Names(msgspec.Struct):
    items: list[_Named] | None = None


async def _pod_names(client: Client, namespaces: tuple[str, ...], fallback: str) -> list[str]:
    """Some running pods, to look for in Prometheus."""
    query = {"limit": str(PODS_ASKED), "fieldSelector": "status.phase=Running"}
    named = [f"namespaces/{name}/pods" for name in namespaces]
    for path in (*named, "pods", f"namespaces/{fallback}/pods"):
        try:
            found = msgspec.json.decode(await client.get(f"/api/v1/{path}", query), type=_Names).items
        except (ApiError, Unreachable, msgspec.MsgspecError):
            continue
        if found:
            return [pod.metadata.name for pod in found]
    return []
