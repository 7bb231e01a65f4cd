"""Recorded hours of a real cluster, played to as many memtops as a test likes: pods, metrics, Prometheus.

The recording holds what the cluster's Prometheus answered for every moment (`tests/recordings/README.md`).
What the API server and the metrics API said at each of them follows from it.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from memtop.analysis.judgement import Judgement
from memtop.history.past_requests import LookBack, PastRequest
from memtop.history.past_series import ContainerName
from memtop.history.prometheus_answers import MetricStream, QueryAnswer
from memtop.history.prometheus_queries import MetricSchema
from memtop.kube.connection_target import ClusterTarget
from memtop.observe.observer import Observer
from memtop.observe.prometheus_source import PrometheusPast
from memtop.observe.view import Scope
from memtop.observe.watchlist import HistorySettings

WORKING_SET, RSS = "container_memory_working_set_bytes", "container_memory_rss"
RESTARTS = "kube_pod_container_status_restarts_total"
REASON = "kube_pod_container_status_last_terminated_reason"
LIMITS = "kube_pod_container_resource_limits"
STEP = 15.0
DELAY = 7.0
"""Seconds by which a sample of the metrics API is older than the moment of its answer."""


@dataclass(frozen=True, eq=False)
class Life:
    """One run of a container: when it was seen first and last, and its working set."""

    first: float
    last: float
    times: np.ndarray
    values: np.ndarray


@dataclass(eq=False)
class Recording:
    """What Prometheus told, by metric and pod, and the lives that follow from it.

    Attributes:
        start: The first moment, Unix seconds.
        end: The last.
        streams: By metric and pod.
        lives: Of every container, in order.
    """

    start: float
    end: float
    streams: dict[tuple[str, str], list[MetricStream]]
    lives: dict[ContainerName, list[Life]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = defaultdict(list)
        for (metric, _), streams in self.streams.items():
            for stream in streams if metric == WORKING_SET else ():
                found[name_of(stream)].append(stream)
        for name, streams in found.items():
            lives = self.lives[name] = []
            streams.sort(key=lambda one: one.times[0])
            for stream, after in zip(streams, [*streams[1:], None], strict=True):
                over = after is not None or stream.times[-1] < self.end
                own = len(stream.times)
                if over:
                    own = int(np.flatnonzero(np.append(True, np.diff(stream.values) != 0))[-1]) + 1
                    if after is not None:
                        own = max(1, min(own, int(np.searchsorted(stream.times, after.times[0]))))
                lives.append(
                    Life(stream.times[0], stream.times[own - 1], stream.times[:own], stream.values[:own])
                )

    def at(self, metric: str, name: ContainerName, moment: float) -> list[tuple[MetricStream, float]]:
        """The series of a container that had a sample at a moment, each with its value."""
        found = []
        for stream in self.streams.get((metric, name.pod), ()):
            if name_of(stream) != name:
                continue
            index = int(np.searchsorted(stream.times, moment // STEP * STEP))
            if index < len(stream.times) and stream.times[index] == moment // STEP * STEP:
                found.append((stream, float(stream.values[index])))
        return found


def name_of(stream: MetricStream) -> ContainerName:
    return ContainerName(*(stream.labels[label] for label in ("namespace", "pod", "container")))


def read_recording(path: Path) -> Recording:
    raw = json.loads(gzip.decompress(path.read_bytes()))
    streams = defaultdict(list)
    for metric, found in raw["metrics"].items():
        for labels, first, values in found:
            times = raw["start"] + STEP * (first + np.arange(len(values)))
            known = np.array([value is not None for value in values])
            numbers = np.array([value or 0 for value in values], float)
            streams[metric, labels["pod"]].append(MetricStream(labels, times[known], numbers[known]))
    return Recording(float(raw["start"]), float(raw["end"]), dict(streams))


class RecordedPrometheus:
    """Answers from a recording as Prometheus did; some moments may be lost to it.

    Args:
        recording: What it knows.
        lost: Stretches without scrapes: from and until, Unix seconds.
    """

    def __init__(self, recording: Recording, lost: tuple[tuple[float, float], ...] = ()) -> None:
        self._recording = recording
        self._lost = lost

    def range_query(self, query, grid):
        return QueryAnswer(
            tuple(
                MetricStream(stream.labels, stream.times[kept], stream.values[kept])
                for stream in self._asked_for(query)
                if (kept := self._kept(stream, grid.start, grid.end, grid.step)).any()
            )
        )

    def instant_query(self, query, at=None):
        at = at // STEP * STEP
        return QueryAnswer(
            tuple(
                MetricStream(stream.labels, stream.times[kept], stream.values[kept])
                for stream in self._asked_for(query)
                if (kept := self._kept(stream, at, at, STEP)).any()
            )
        )

    def _kept(self, stream, start, end, step):
        kept = (stream.times >= start) & (stream.times <= end) & (stream.times % step == start % step)
        for begin, until in self._lost:
            kept &= (stream.times < begin) | (stream.times >= until)
        return kept

    def _asked_for(self, query):
        metric = next(name for name in (WORKING_SET, RSS, RESTARTS, REASON, LIMITS) if name in query)
        pods = re.search(r'pod=~?"([^"]*)"', query)[1].split("|")
        reason = re.search(r'reason="([^"]*)"', query)
        for pod in pods:
            for stream in self._recording.streams.get((metric, pod), ()):
                if reason is None or stream.labels["reason"] == reason[1]:
                    yield stream


class Memtop:
    """One memtop that watches the recorded cluster: everything but the network is the real thing.

    Args:
        recording: What happens.
        world: Makes pods and samples (`tests/observe/conftest.py`).
        lost: Stretches that Prometheus has no samples of.
        missed: Moments at which the metrics API did not answer.
        prometheus: Whether there is one.
    """

    def __init__(self, recording, world, *, lost=(), missed=frozenset(), prometheus=True) -> None:
        self.recording, self.world, self.missed = recording, world, missed
        target = ClusterTarget("test", "c", "u", "http://127.0.0.1:1", "shop", "a test")
        settings = SimpleNamespace(metric="rss") if prometheus else None
        self.observer = Observer(
            target,
            Scope(),
            interval=STEP,
            hours=24.0,
            remember=HistorySettings(prometheus=settings),
            on_change=lambda: None,
        )
        self.now = 0.0
        self.observer.clock.now = lambda: self.now
        recollection = self.observer.past_sources
        self.past_verdicts = recollection.verdicts
        self.past_verdicts._now = recollection._now = lambda: self.now
        self.prometheus = RecordedPrometheus(recording, lost) if prometheus else None
        self.past = PrometheusPast(
            None,
            settings,
            recollection.cache,
            hours=24.0,
            speed=1.0,
            now=lambda: self.now,
            live=lambda: [],
            namespaces=(),
            on_change=lambda: None,
            back=LookBack(lambda: None),
        )

    def see(self, moment: float) -> None:
        """Takes in pods and metrics as they are at a moment."""
        self.now = moment
        store, samples = self.observer.store, []
        by_pod = defaultdict(list)
        for name, lives in self.recording.lives.items():
            if lives[0].first - STEP <= moment:
                by_pod[name.namespace, name.pod].append((name, lives))
        for (namespace, pod), containers in by_pod.items():
            statuses = [self._container(name, lives, moment) for name, lives in containers]
            born = min(lives[0].first for _, lives in containers) - STEP
            store.put_pod(
                self.world.pod(
                    pod, *statuses, namespace=namespace, created=born - self.world.NOW, owner=("Job", pod)
                ),
                moment,
            )
            held = {name.container: self._memory(lives, moment - DELAY) for name, lives in containers}
            held = {container: f"{value:.0f}" for container, value in held.items() if value is not None}
            if held:
                at = moment - DELAY - self.world.NOW
                samples.append(self.world.sample(pod, at, namespace=namespace, **held))
        if moment in self.missed:
            return
        self.observer.verdicts.take_samples(store.put_metrics(samples, moment), moment)
        while self.observer.verdicts.judge_next():
            pass
        self.observer.ticks += 1

    async def ask(self) -> None:
        """Asks Prometheus for every container."""
        if self.prometheus is None:
            return
        schema = MetricSchema(frozenset({WORKING_SET, RSS, RESTARTS, REASON, LIMITS}), interval=STEP)
        columns, requests = self.observer.store.columns, []
        for slot in self.observer.store.live_slots().tolist():
            who = self.observer.store.identities[slot]
            name = ContainerName(who.namespace, who.pod, who.container)
            requests.append(PastRequest(name, bool(columns.restarts[slot]), who.key.uid))
        await self.past.ask_for(self.prometheus, schema, requests)

    def verdicts(self) -> dict[ContainerName, Judgement]:
        """What is judged of every container now."""
        overlay, store = self.past_verdicts, self.observer.store
        while overlay.pending:
            overlay.judge_next()
        judged = overlay.judgements()
        return {
            ContainerName(who.namespace, who.pod, who.container): judged[slot]
            for slot in store.live_slots().tolist()
            if (who := store.identities[slot]) is not None
        }

    def _container(self, name, lives, moment):
        world = self.world
        ended = [life for life in lives if life.last + 3 < moment and life is not lives[-1]]
        if lives[-1].last + 3 * STEP < min(moment, self.recording.end - STEP):
            ended = list(lives)
        begun = [life for life in lives if life.first - 10 <= moment]
        counted = self.recording.at(RESTARTS, name, moment)
        restarts = int(counted[0][1]) if counted else max(0, len(begun) - 1)
        reasons = [one.labels["reason"] for one, on in self.recording.at(REASON, name, moment) if on]
        reason = reasons[0] if reasons else "Error"
        last = (
            world.ended(
                ended[-1].last + 3 - world.NOW,
                reason,
                137 if reason == "OOMKilled" else 1,
                started=ended[-1].first - 10 - world.NOW,
            )
            if ended
            else None
        )
        running = begun and begun[-1] not in ended
        state = (
            world.running(begun[-1].first - 10 - world.NOW)
            if running
            else {"waiting": {"reason": "CrashLoopBackOff"}}
        )
        limits = self.recording.at(LIMITS, name, moment)
        limit = f"{limits[0][1]:.0f}" if limits else None
        return world.container(name.container, limit, state, last, restarts)

    @staticmethod
    def _memory(lives, moment):
        """The working set of the life that runs, once the metrics API has it: after two scrapes."""
        running = [life for life in lives if life.first + STEP <= moment <= life.last + STEP]
        if not running:
            return None
        life = running[-1]
        return float(life.values[max(0, int(np.searchsorted(life.times, moment, "right")) - 1)])
