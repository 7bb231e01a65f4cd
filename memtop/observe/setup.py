"""From the settings to what an engine is to observe: which cluster, what of it, how often."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_state_path

from memtop.cluster import kubeconfig
from memtop.observe.plan import SHORTEST_PAUSE, Plan, Remember, Thresholds
from memtop.observe.scope import Scope

if TYPE_CHECKING:
    from config import Settings
    from memtop.cluster.target import Target

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
        mine = replace(settings.cluster, kubeconfig=str(path), context=None)
        found = plan(replace(settings, cluster=mine), environ)
        # Nothing of it is worth keeping: the next one is another cluster.
        yield at_speed(replace(found, remember=replace(found.remember, folder=None)), wanted.speed)


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
        remember=Remember(
            settings.prometheus if settings.prometheus.enabled else None,
            samples_folder(target, environ) if observe.keep_history else None,
        ),
    )


def samples_folder(target: Target, environ: Mapping[str, str]) -> Path:
    """Where samples of a cluster are kept between runs.

    Args:
        target: The cluster; server and authority name it, since a tunnel's address may lead to several.
        environ: The environment variables; ``XDG_STATE_HOME`` counts on every platform.
    """
    chosen = environ.get("XDG_STATE_HOME")
    state = Path(chosen) / "memtop" if chosen else user_state_path("memtop", appauthor=False)
    digest = hashlib.sha256(target.server.encode() + b"\0" + (target.authority or b"")).hexdigest()
    return state / "samples" / digest[:16]


def at_speed(plan: Plan, speed: float) -> Plan:
    """The plan for a cluster whose time passes `speed` times as fast, asked no more often than is sensible.

    Args:
        plan: The plan at speed 1.
        speed: Seconds of cluster time per second here.
    """
    return replace(plan, speed=speed, interval=max(plan.interval, SHORTEST_PAUSE * speed))
