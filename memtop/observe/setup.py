"""From the settings to what an engine is to observe: which cluster, what of it, how often."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from memtop.cluster import kubeconfig
from memtop.observe.plan import SHORTEST_PAUSE, Plan, Thresholds
from memtop.observe.scope import Scope

if TYPE_CHECKING:
    from config import Settings

INSECURE = "TLS certificate is not verified"


class StartError(Exception):
    """The embedded cluster did not start; the sentence says why."""


@contextlib.contextmanager
def connection(settings: Settings, environ: Mapping[str, str], *, demo: bool = False) -> Iterator[Plan]:
    """What to observe, for as long as the context lasts: the demo cluster, if asked for, lives that long.

    Args:
        settings: The effective settings.
        environ: The environment variables.
        demo: Whether to start the embedded cluster and observe that.

    Yields:
        The plan of an engine.

    Raises:
        KubeconfigError: There is no kubeconfig, or it cannot be used.
        StartError: The embedded cluster did not start.
    """
    if not demo:
        yield plan(settings, environ)
        return
    from memtop.demo.child import DemoChild, DemoFailedError  # noqa: PLC0415  (only the demo needs them)
    from memtop.demo.command import DemoOptions  # noqa: PLC0415

    wanted = settings.demo
    options = DemoOptions(pods=wanted.pods, speed=wanted.speed, seed=wanted.seed, churn=wanted.churn)
    with DemoChild(options) as child:
        try:
            path = child.wait()
        except DemoFailedError as error:
            raise StartError(str(error)) from error
        mine = settings.cluster.model_copy(update={"kubeconfig": str(path), "context": None})
        yield at_speed(plan(settings.model_copy(update={"cluster": mine}), environ), wanted.speed)


def plan(settings: Settings, environ: Mapping[str, str]) -> Plan:
    """What to observe of a cluster that is there already. Reads the kubeconfig; sends and starts nothing.

    Without ``-n`` all namespaces are observed; where that is forbidden, the engine turns to the context's.

    Args:
        settings: The effective settings.
        environ: The environment variables.

    Raises:
        KubeconfigError: There is no kubeconfig, or it cannot be used.
    """
    cluster, observe = settings.cluster, settings.observe
    target = kubeconfig.load(kubeconfig=cluster.kubeconfig, context=cluster.context, environ=environ)
    return Plan(
        target=target,
        scope=Scope(() if cluster.all_namespaces else cluster.namespaces, cluster.selector),
        interval=observe.interval,
        hours=observe.history,
        thresholds=Thresholds(observe.warn_ratio, observe.critical_ratio),
        notes=(INSECURE,) if target.insecure else (),
    )


def at_speed(plan: Plan, speed: float) -> Plan:
    """The plan for a cluster whose time passes `speed` times as fast, asked no more often than is sensible.

    Args:
        plan: The plan at speed 1.
        speed: Seconds of cluster time per second here.
    """
    return replace(plan, speed=speed, interval=max(plan.interval, SHORTEST_PAUSE * speed))
