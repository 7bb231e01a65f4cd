"""What an engine is to observe, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memtop.cluster.target import Target
from memtop.observe.scope import Scope

if TYPE_CHECKING:
    from config.settings import Prometheus as PrometheusSettings

SHORTEST_PAUSE = 0.5
"""Seconds between two polls of the metrics, at least."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares of the limit from which a container is near it, and at it."""

    warn: float = 0.70
    critical: float = 0.90


@dataclass(frozen=True)
class Remember:
    """Who knows the past.

    Attributes:
        prometheus: How to find and ask Prometheus; None for not at all.
        folder: Where samples of this cluster are kept between runs; None for nowhere.
    """

    prometheus: PrometheusSettings | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What an engine is to observe.

    Attributes:
        target: Which cluster.
        scope: What of it.
        interval: Seconds of the cluster's clock between polls of the metrics.
        hours: Hours of samples kept.
        speed: Seconds of cluster time per second here.
        thresholds: For the header's counts.
        notes: What else the header must say of the connection.
        remember: Who knows the past.
    """

    target: Target
    scope: Scope
    interval: float = 15.0
    hours: float = 24.0
    speed: float = 1.0
    thresholds: Thresholds = Thresholds()
    notes: tuple[str, ...] = ()
    remember: Remember = Remember()
