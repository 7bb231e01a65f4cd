"""A timeline made by hand: two revisions of a shop's cart, the second of which leaks."""

from __future__ import annotations

import numpy as np

from memtop.analysis.likely_causes import LikelyCause
from memtop.analysis.memory_series import Series
from memtop.analysis.onset import Onset, OnsetKind
from memtop.analysis.stability_evidence import SideFigures
from memtop.analysis.traffic import TrafficFit, TrafficVerdict
from memtop.kube.object_ref import ObjectRef
from memtop.timeline.cluster_changes import ClusterChange, TimelineKind
from memtop.timeline.workload_timeline import RevisionRate, WorkloadTimeline

MIB, HOUR = 2.0**20, 3600.0
BEGAN = 1_795_953_900.0
NOW = BEGAN + 6 * HOUR


def _series(onset: float) -> Series:
    times = np.arange(BEGAN - 12 * HOUR, NOW, 300.0)
    memory = 300 * MIB + 40 * MIB * np.maximum(times - onset, 0.0) / HOUR
    return Series(times, memory + 8 * MIB * np.sin(times / 900.0), limit=1024 * MIB)


ROLLOUT = ClusterChange(
    BEGAN - 180,
    TimelineKind.ROLLOUT,
    "revision 12: image v2.0.0, before v1.9.3",
    "helm",
    12,
    "revision 12 (image v2.0.0)",
)
CONFIG = ClusterChange(
    BEGAN - 4 * HOUR, TimelineKind.CONFIG, "ConfigMap cart changed (mounted)", "kubectl-edit"
)
KILL = ClusterChange(BEGAN + 5 * HOUR, TimelineKind.END, "2 OOM kills of 2 containers in 12 m")
LEAKY = SideFigures(2, 40 * MIB, 38 * MIB, 42 * MIB, True, "leak", 2, 2, 6 * HOUR, 6 * HOUR)
FLAT = SideFigures(2, 0.1 * MIB, -0.4 * MIB, 0.6 * MIB, False, "steady", 0, 0, 12 * HOUR, 12 * HOUR)
CART = WorkloadTimeline(
    ObjectRef("Deployment", "shop", "cart"),
    "app",
    NOW,
    {"cart-h12-aaaaa": _series(BEGAN), "cart-h12-bbbbb": _series(BEGAN + 60)},
    Onset(OnsetKind.BEGAN, BEGAN, BEGAN - 600, BEGAN + 600, 0.1 * MIB, 40 * MIB, BEGAN - 12 * HOUR, NOW),
    (CONFIG, ROLLOUT, KILL),
    ROLLOUT,
    (RevisionRate(12, ("cart:v2.0.0",), LEAKY), RevisionRate(11, ("cart:v1.9.3",), FLAT)),
    TrafficFit(TrafficVerdict.TRAFFIC, "request", "http_requests_total", 12.4 * 1024, 0.8 * 1024),
    None,
    (
        LikelyCause(
            "unbounded cache",
            ("its log says it 26 times: session cache holds 122492 entries",),
            "look for what adds and never removes; give it a size and a time to live",
            2,
        ),
    ),
    1024 * MIB,
    "RSS from Prometheus at observability/prometheus:9090",
    ("Secrets: 1 may not be read",),
    ("app", "proxy"),
)
