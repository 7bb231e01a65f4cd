"""What an engine is to observe, as a value made from the settings: which cluster, what of it, how often."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from config.sources import state_folder
from memtop.kube import kubeconfig
from memtop.kube.connection_target import ClusterTarget
from memtop.observe.view import Scope

if TYPE_CHECKING:
    from config.settings import PrometheusSettings, Settings
    from memtop.kube.connection_target import ClusterTarget

MIN_POLL_SECONDS = 0.5
"""Seconds between two polls of the metrics, at least."""


@dataclass(frozen=True, slots=True)
class LimitThresholds:
    """Shares of the limit from which a container is near it, and at it."""

    warn: float = 0.70
    critical: float = 0.90


@dataclass(frozen=True)
class HistorySettings:
    """Who knows the past.

    Attributes:
        prometheus: How to find and ask Prometheus; None for not at all.
        folder: Where samples of this cluster are kept between runs; None for nowhere.
    """

    prometheus: PrometheusSettings | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Watchlist:
    """What an engine is to observe.

    Attributes:
        target: Which cluster.
        scope: What of it.
        interval: Seconds of the cluster's clock between polls of the metrics.
        hours: Hours of samples kept.
        speed: Seconds of cluster time per second here.
        thresholds: For the header's counts.
        notes: What else the header must say of the connection.
        history: Who knows the past.
    """

    target: ClusterTarget
    scope: Scope
    interval: float = 15.0
    hours: float = 24.0
    speed: float = 1.0
    thresholds: LimitThresholds = LimitThresholds()
    notes: tuple[str, ...] = ()
    history: HistorySettings = HistorySettings()


INSECURE_NOTE = "TLS certificate is not verified"


class DemoStartError(Exception):
    """The embedded cluster did not start; the sentence says why."""


@contextlib.contextmanager
def open_watchlist(
    settings: Settings, environ: Mapping[str, str], *, demo: bool = False
) -> Iterator[Watchlist]:
    """What to observe, for as long as the context lasts: the demo cluster, if asked for, lives that long.

    Args:
        settings: The effective settings.
        environ: The environment variables.
        demo: Whether to start the embedded cluster and observe that.

    Yields:
        The plan of an engine.

    Raises:
        KubeconfigError: There is no kubeconfig, or it cannot be used.
        DemoStartError: The embedded cluster did not start.
    """
    if not demo:
        yield make_watchlist(settings, environ)
        return
    with start_demo(settings, environ) as started:
        yield started()


@contextlib.contextmanager
def start_demo(settings: Settings, environ: Mapping[str, str]) -> Iterator[Callable[[], Watchlist]]:
    """Starts the embedded cluster, which lives as long as the context lasts.

    Args:
        settings: The effective settings.
        environ: The environment variables.

    Yields:
        A function that waits until the cluster serves, which takes seconds, and returns the plan of an
        engine. It raises `DemoStartError` if the cluster does not start.
    """
    from memtop.demo.child_process import (  # noqa: PLC0415
        DemoChild,
        DemoFailedError,
        DemoOptions,
    )

    wanted = settings.demo
    options = DemoOptions(pods=wanted.pods, speed=wanted.speed, seed=wanted.seed, churn=wanted.churn)
    with DemoChild(options) as child:

        def started() -> Watchlist:
            try:
                path = child.wait()
            except DemoFailedError as error:
                raise DemoStartError(str(error)) from error
            mine = replace(settings.cluster, kubeconfig=str(path), context=None)
            found = make_watchlist(replace(settings, cluster=mine), environ)
            # Nothing of it is worth keeping: the next one is another cluster.
            return at_speed(replace(found, history=replace(found.history, folder=None)), wanted.speed)

        yield started


def make_watchlist(settings: Settings, environ: Mapping[str, str]) -> Watchlist:
    """What to observe of a cluster that is there already. Reads the kubeconfig; sends and starts nothing.

    Without ``-n`` all namespaces are observed; where that is forbidden, the engine turns to the context's.

    Args:
        settings: The effective settings.
        environ: The environment variables.

    Raises:
        KubeconfigError: There is no kubeconfig, or it cannot be used.
    """
    cluster, observe = settings.cluster, settings.observe
    target = kubeconfig.load_target(kubeconfig=cluster.kubeconfig, context=cluster.context, environ=environ)
    return Watchlist(
        target=target,
        scope=Scope(() if cluster.all_namespaces else cluster.namespaces, cluster.selector),
        interval=observe.interval,
        hours=observe.history,
        thresholds=LimitThresholds(observe.warn_ratio, observe.critical_ratio),
        notes=(INSECURE_NOTE,) if target.insecure else (),
        history=HistorySettings(
            settings.prometheus if settings.prometheus.enabled else None,
            samples_folder(target, environ) if observe.keep_history else None,
        ),
    )


def samples_folder(target: ClusterTarget, environ: Mapping[str, str]) -> Path:
    """Where samples of a cluster are kept between runs.

    Args:
        target: The cluster; server and authority name it, since a tunnel's address may lead to several.
        environ: The environment variables; ``XDG_STATE_HOME`` counts on every platform.
    """
    digest = hashlib.sha256(target.server.encode() + b"\0" + (target.authority or b"")).hexdigest()
    return state_folder(environ) / "samples" / digest[:16]


def at_speed(plan: Watchlist, speed: float) -> Watchlist:
    """The plan for a cluster whose time passes `speed` times as fast, asked no more often than is sensible.

    Args:
        plan: The plan at speed 1.
        speed: Seconds of cluster time per second here.
    """
    return replace(plan, speed=speed, interval=max(plan.interval, MIN_POLL_SECONDS * speed))
