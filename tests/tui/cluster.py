"""A cluster made by hand, with a clock that stands still, behind an engine that does nothing by itself.

The store, the order of rows, the filter and the frames are memtop's own; only what would come over the
network is said here instead, and so are the verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from memtop.analysis.judgement import SURE_CONFIDENCE, VERDICTS, WHOLE_COLUMNS, Judgement, Judgements, Verdict
from memtop.analysis.memory_series import Series
from memtop.history.past_requests import LookBack
from memtop.kube.api_errors import Unreachable
from memtop.kube.api_objects import Pod, PodMetrics
from memtop.kube.client import Client
from memtop.kube.connection_target import Auth, ClusterTarget
from memtop.observe.container_store import INITIAL_SLOTS, ContainerStore
from memtop.observe.engine import build_next_frame
from memtop.observe.frame import Frame
from memtop.observe.live_verdicts import LiveVerdicts, WorkloadVerdicts
from memtop.observe.sample_rings import SampleHistory
from memtop.observe.snapshot import FrameBuilder
from memtop.observe.view import Scope, SourceCondition, SourceStatus, View
from memtop.observe.watchlist import LimitThresholds, Watchlist

NOW = datetime(2025, 3, 14, 3, 26, 53, tzinfo=UTC).timestamp()
"""Three in the morning."""
MI = 1024**2
GI = 1024**3
HOUR = 3600.0
MINUTE = 60.0
INTERVAL = 60.0
"""Seconds between samples."""
UNJUDGED = Judgement(Verdict.NOT_ENOUGH_DATA, 1.0)


@dataclass(frozen=True)
class Ended:
    """How a container last ended: the kubelet's reason, its exit code, and how many seconds ago."""

    reason: str
    exit_code: int
    ago: float


class Clock:
    """The cluster's time, which passes when it is told to."""

    def __init__(self) -> None:
        self.time = NOW
        self.speed = 1.0

    def now(self) -> float:
        return self.time

    def skew(self) -> float | None:
        return None


class GivenVerdicts(LiveVerdicts):
    """Verdicts that were given and not found."""

    def __init__(self, store: ContainerStore) -> None:
        super().__init__(store, INTERVAL, 24.0)
        self.given: dict[str, Judgement] = {}

    def judgement(self, slot: int) -> Judgement:
        identity = self._store.identities[slot]
        assert identity is not None
        return self.given.get(identity.pod, Judgement(Verdict.STEADY, 0.99, 0.0))

    def basis(self, slot: int) -> tuple[Series, str]:
        return self.series(slot), "working set"

    def judgements(self) -> Judgements:
        live = set(self._store.live_slots().tolist())
        slots = range(len(self._store.identities))
        return in_columns([self.judgement(slot) if slot in live else UNJUDGED for slot in slots])


def in_columns(judgements: Sequence[Judgement]) -> Judgements:
    """The judgements as a frame has them."""

    def column(name: str) -> np.ndarray:
        values = [getattr(judgement, name) for judgement in judgements]
        return np.array(values, np.int64 if name in WHOLE_COLUMNS else np.float64)  # None becomes NaN

    codes = np.array([VERDICTS.index(judgement.verdict) for judgement in judgements], np.uint8)
    names = [field.name for field in fields(Judgements) if field.name != "codes"]
    return Judgements(codes, **{name: column(name) for name in names})


@dataclass(frozen=True)
class Recollection:
    """Nothing is remembered but what was seen."""

    verdicts: GivenVerdicts
    notes: tuple[str, ...] = ()
    settled: bool = True

    look_backs: LookBack = field(default_factory=lambda: LookBack(lambda: None))
    waits: bool = False

    def set_wanted(self, containers: object) -> None:
        """Has nowhere to look."""

    def set_look_back(self, containers: object, seconds: float) -> None:
        """Has nowhere to look."""

    def series_to_draw(self, slot: int) -> Series:
        """What was seen."""
        return self.verdicts.series(slot)

    def is_asking(self, slot: int) -> bool:
        """Whether somebody is asked."""
        return self.waits


class FakeCluster:
    """Stands where an observer would."""

    def __init__(self, context: str = "prod-eu-1") -> None:
        self.clock = Clock()
        self.target = ClusterTarget(
            context=context,
            cluster=context,
            user="tester",
            server="https://10.0.0.1:6443",
            namespace="production",
            source="a test",
            auth=Auth(),
        )
        self.scope = Scope()
        self.store = ContainerStore(SampleHistory(INITIAL_SLOTS, INTERVAL))
        self.verdicts = GivenVerdicts(self.store)
        self.past_sources = Recollection(self.verdicts)
        self.interval = INTERVAL
        self.workload_verdicts = WorkloadVerdicts(
            self.store, lambda slot: [self.verdicts.series(slot)], self.clock.now
        )
        self.last_words = SimpleNamespace(settled=True, set_wanted=lambda slots: None)
        self.remaining = 0
        self.settled = True
        self.ticks = 0
        self.sources = [
            SourceStatus("metrics", SourceCondition.LIVE, data_at=NOW - 9),
            SourceStatus("pods", SourceCondition.LIVE, data_at=NOW),
        ]
        self.plan = Watchlist(self.target, self.scope, speed=0.0)
        self._pods: dict[tuple[str, str], dict[str, float]] = {}

    def statuses(self) -> tuple[SourceStatus, ...]:
        return tuple(self.sources)

    def source(self, name: str, **fields: object) -> None:
        """Changes how a source is."""
        self.sources = [
            replace(status, **fields) if status.name == name else status  # type: ignore[arg-type]
            for status in self.sources
        ]

    def pod(
        self,
        name: str,
        memory: float | None = None,
        limit: float | None = None,
        *,
        namespace: str = "production",
        containers: Sequence[str] = ("app",),
        restarts: int = 0,
        ended: Ended | None = None,
        waiting: str = "",
        labels: Mapping[str, str] | None = None,
        deployment: str = "",
        node: str = "node-1",
        judged: Judgement | None = None,
    ) -> None:
        """Adds a pod or changes it; each of its containers holds ``memory`` and has ``limit``, in bytes."""
        end = ended and {
            "terminated": {
                "reason": ended.reason,
                "exitCode": ended.exit_code,
                "startedAt": moment(self.clock.time - ended.ago - 20 * MINUTE),
                "finishedAt": moment(self.clock.time - ended.ago),
            }
        }
        began = self.clock.time - (ended.ago - 1 if ended else 24 * HOUR)
        state = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": moment(began)}}
        owner = {"kind": "ReplicaSet", "name": f"{deployment}-abc12", "uid": deployment, "controller": True}
        limits = {"memory": f"{limit:.0f}"} if limit else {}
        pod = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": name,
                "creationTimestamp": moment(NOW - 30 * HOUR),
                "labels": {**(labels or {}), **({"pod-template-hash": "abc12"} if deployment else {})},
                "ownerReferences": [owner] if deployment else [],
            },
            "spec": {
                "nodeName": node,
                "containers": [
                    {"name": each, "resources": {"limits": limits, "requests": limits}} for each in containers
                ],
            },
            "status": {
                "phase": "Running",
                "containerStatuses": [
                    {"name": each, "restartCount": restarts, "state": state, "lastState": end or {}}
                    for each in containers
                ],
            },
        }
        self.store.put_pod(msgspec.convert(pod, Pod, strict=False), self.clock.time)
        self._pods[namespace, name] = {} if memory is None else dict.fromkeys(containers, memory)
        if judged is not None:
            self.verdicts.given[name] = judged

    def gone(self, name: str) -> None:
        """Removes a pod."""
        self.store.remove_pod(name)
        self._pods = {key: sizes for key, sizes in self._pods.items() if key[1] != name}

    def sample(self, share: Callable[[str], float] = lambda _: 1.0) -> None:
        """Takes one sample of every container now: its memory times ``share(pod)``."""
        taken = [
            {
                "metadata": {"name": name, "namespace": namespace},
                "timestamp": moment(self.clock.time),
                "containers": [
                    {"name": container, "usage": {"memory": f"{memory * share(name):.0f}"}}
                    for container, memory in sizes.items()
                ],
            }
            for (namespace, name), sizes in self._pods.items()
        ]
        self.store.put_metrics(msgspec.convert(taken, list[PodMetrics]), self.clock.time)
        self.ticks += 1

    def past(self, hours: float, share: Callable[[str, float], float]) -> None:
        """Lives through the last hours: ``share(pod, hours ago)`` times its memory, a sample a minute."""
        for step in range(int(hours * HOUR / INTERVAL), 0, -1):
            ago = step * INTERVAL
            self.clock.time = NOW - ago
            self.sample(lambda name, ago=ago: share(name, ago / HOUR))  # type: ignore[misc]
        self.clock.time = NOW
        self.sample()

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        self.clock.time += seconds


class FakeEngine:
    """Hands out frames of a `FakeCluster` when it is asked for another view, or when a test says so."""

    def __init__(
        self,
        cluster: FakeCluster,
        on_frame: Callable[[Frame], None],
        on_crash: Callable[[BaseException], None],
        view: View | None,
        on_trouble: Callable[[str], None],
    ) -> None:
        self.cluster = cluster
        self.on_crash = on_crash
        self.on_trouble = on_trouble
        self.view = view or View()
        self.views: list[View] = []
        self.intervals: list[float] = []
        self.retries = 0
        self.running = False
        self._on_frame = on_frame
        self._snapshots = FrameBuilder(cluster, LimitThresholds())  # type: ignore[arg-type]

    def start(self) -> None:
        self.running = True
        self.push()

    def stop(self) -> None:
        self.running = False

    def show(self, view: View) -> None:
        self.view = view
        self.views.append(view)
        self.push()

    def set_interval(self, interval: float) -> None:
        self.intervals.append(interval)

    def retry(self) -> None:
        self.retries += 1

    def submit(self, work: Callable[[Client], Coroutine[Any, Any, Any]]) -> Future[Any]:
        """Nobody answers: there is nothing behind this cluster but its frames."""
        answer: Future[Any] = Future()
        answer.set_exception(Unreachable("the cluster is made by hand"))
        return answer

    def push(self) -> None:
        """Sends a frame of what the cluster is like now."""
        self._on_frame(build_next_frame(self.cluster, self._snapshots, self.view))  # type: ignore[arg-type]


BY_MEMORY = [
    "user-service-7f86b968-bx2kq",
    "user-service-7f86b968-ax2kq",
    "billing-5d9c7f-kk2p9",
    "search-0",
    "order-6b5f-2x9qq/order",
    "order-6b5f-2x9qq/log-agent",
    "scratch",
    "report-crash-77",
]
"""The rows of `busy_night` in the pane of the largest."""


def busy_night() -> FakeCluster:
    """Seven pods in three namespaces: one workload leaks and is OOM-killed, one fails for another reason."""
    cluster = FakeCluster()
    leak = Judgement(
        Verdict.LEAK, 0.98, 512 * MI, 480 * MI, 544 * MI, 62 * MINUTE, window_seconds=6 * HOUR,
        samples=360, cuts=3, oom_kills=3,
    )  # fmt: skip
    for name, memory, restarts, ago in (("ax2kq", 1.55 * GI, 7, 4.0), ("bx2kq", 1.85 * GI, 6, 26.0)):
        cluster.pod(
            f"user-service-7f86b968-{name}", memory, 2 * GI, restarts=restarts, judged=leak,
            ended=Ended("OOMKilled", 137, ago * MINUTE), deployment="user-service",
            labels={"app": "user-service", "tier": "backend"},
        )  # fmt: skip
    cluster.pod(
        "billing-5d9c7f-kk2p9", 1.2 * GI, 3 * GI, deployment="billing", labels={"app": "billing"},
        judged=Judgement(Verdict.SAWTOOTH, 0.9, 0.0, window_seconds=6 * HOUR),
    )  # fmt: skip
    cluster.pod(
        "search-0", 700 * MI, 1 * GI, namespace="search", labels={"app": "search"},
        judged=replace(leak, confidence=SURE_CONFIDENCE - 0.2, rate=12.0 * MI, seconds_to_limit=31 * HOUR),
    )  # fmt: skip
    cluster.pod(
        "report-crash-77", None, 256 * MI, namespace="batch", restarts=12, node="node-2",
        ended=Ended("Error", 1, 90.0), waiting="CrashLoopBackOff",
    )  # fmt: skip
    cluster.pod(
        "order-6b5f-2x9qq", 210 * MI, 256 * MI, containers=("order", "log-agent"), deployment="order",
        labels={"app": "order"}, node="node-2",
    )  # fmt: skip
    cluster.pod("scratch", 90 * MI, None, namespace="batch", node="node-2")
    cluster.past(6, _shape_of_the_night)
    return cluster


def _shape_of_the_night(pod: str, hours_ago: float) -> float:
    if pod.startswith("user"):
        return max(0.1, 1.0 - (hours_ago % 2.0) * 0.4)
    if pod.startswith("billing"):
        return 0.6 + 0.4 * ((hours_ago * 3) % 1.0)
    return 1.0 - hours_ago / 60 if pod == "search-0" else 1.0


def moment(seconds: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
