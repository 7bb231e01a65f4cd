"""Past samples of a workload's pods, dead ones included: from Prometheus and from the archive on disk."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memtop.analysis.stability_evidence import LoadSeries, LoadSignal
from memtop.background import run_in_thread
from memtop.history.past_series import ORIGIN_DISK, ContainerName, Metric, PastSeries
from memtop.history.sample_archive import archived_pods, read_archive
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.retry import MAX_DELAY, Backoff
from memtop.sanitize import sanitize
from memtop.stabilisation.revision_change import RevisionChange, belongs_to_replica_set

if TYPE_CHECKING:
    from config.settings import PrometheusSettings
    from memtop.history.prometheus_client import PrometheusClient
    from memtop.history.prometheus_queries import MetricSchema
    from memtop.history.work_metrics import RequestCounter

LOOKBACK_SECONDS = 24 * 3600.0
"""Seconds before a change that count as before."""
DRAIN_SECONDS = 1800.0
"""Seconds after a change for which old pods may still be there."""
MOST_POINTS = 1440
"""Samples of a container asked for, of each side."""
MOST_NAMES = 200
"""Containers asked for; those of a workload of more are alike enough."""
FASTEST_CLOCK = 60.0
"""Speed of the cluster's clock from which on questions are a second apart here."""
RECONNECT_SECONDS = 60.0
"""Seconds between two attempts to reach a Prometheus that does not answer."""
REFRESH_SECONDS = 60.0
"""Seconds of the cluster's clock between two questions; scrapes are 15 to 60 s apart."""


LOAD_POINTS = 288
"""Averages of the load asked for, of each side: one in five minutes of a day."""
LEAST_SCRAPES = 4
"""Scrapes that an average goes over: a rate needs two, and some come late."""

PastByContainer = dict[tuple[ContainerName, Metric], PastSeries]
LoadsByContainer = dict[tuple[ContainerName, LoadSignal], LoadSeries]
"""Signs of load; what is known of a pod only has the container's name empty."""


@dataclass(eq=False)
class PastSamples:
    """What is remembered: samples by container and metric.

    Attributes:
        before: Of the time before the change, and until the old pods are gone.
        after: Since the change.
        metric: What growth is judged on where it is known.
        loads_before: Signs of load before the change.
        loads_after: And since.
        sentence: How the asking went, in one sentence.
        reached_until: Cluster time of the newest sample, Unix seconds; None without any.
    """

    before: PastByContainer = field(default_factory=dict)
    after: PastByContainer = field(default_factory=dict)
    metric: Metric = "working_set"
    sentence: str = ""
    reached_until: float | None = None
    loads_before: LoadsByContainer = field(default_factory=dict)
    loads_after: LoadsByContainer = field(default_factory=dict)


def pod_name_pattern(change: RevisionChange) -> str:
    """A regular expression for the names of a workload's pods, of all revisions compared."""
    return pod_names_of(change.ref, [one.name for one in change.revisions])


def pod_names_of(ref: ObjectRef, revisions: Sequence[str]) -> str:
    """A regular expression (RE2 and Python) for the names of a workload's pods.

    A Deployment's pods are named after their ReplicaSet, with five characters more; a DaemonSet's after it;
    a StatefulSet's have a number. Names too long for the rest to fit in 63 characters are cut
    (k8s.io/apiserver, pkg/storage/names/generate.go).

    Args:
        ref: The workload, or a pod.
        revisions: The names of a Deployment's ReplicaSets.
    """
    match ref.kind:
        case "Deployment":
            return "|".join(f"{_escaped_name(f'{one}-'[:58])}[a-z0-9]{{5}}" for one in revisions)
        case "StatefulSet":
            return f"{_escaped_name(ref.name)}-[0-9]+"
        case "Pod":
            return _escaped_name(ref.name)
        case _:
            return f"{_escaped_name(f'{ref.name}-'[:58])}[a-z0-9]{{5}}"


def _revision_age(change: RevisionChange, pod: str) -> int:
    """How many revisions ago a Deployment's pod was made, so that the newest are asked for first."""
    fits = (place for place, one in enumerate(change.revisions) if belongs_to_replica_set(one, pod))
    return next(fits, 0) if change.ref.kind == "Deployment" else 0


def _escaped_name(name: str) -> str:
    return name.replace(".", r"\.")  # the only character of a name that means something else


class PrometheusSamples:
    """A Prometheus, found and asked when it is time; it may die and come back.

    Args:
        client: The connection to the API server.
        settings: How to find and ask it.
        speed: Seconds of cluster time per second here.
    """

    def __init__(self, client: Client, settings: PrometheusSettings, speed: float = 1.0) -> None:
        self.samples = PastSamples(metric=settings.metric)
        self._client = client
        self._settings = settings
        self._pause = REFRESH_SECONDS * max(1.0, speed / FASTEST_CLOCK)
        patience = max(1.0, RECONNECT_SECONDS / speed)
        self._backoff = Backoff(first=patience, longest=max(patience, MAX_DELAY))
        self._stack = contextlib.AsyncExitStack()
        self._prometheus: PrometheusClient | None = None
        self._where = ""
        self._next = float("-inf")
        self._next_try = float("-inf")
        self._of: tuple[int, str] | None = None
        self._counter: RequestCounter | None = None
        self._before_until = float("-inf")

    async def refresh(
        self, change: RevisionChange, living: Sequence[str], now: float, *, old_living: bool = False
    ) -> None:
        """Asks, if it is time; what cannot be learned is said in `memory.sentence`, and what was known stays.

        Args:
            change: The change that is watched.
            living: Names of pods that live now, by which it is known what this Prometheus calls things.
            now: The cluster's time, Unix seconds.
            old_living: Whether pods of an earlier revision still run, as in a rollout that is paused.
        """
        clock = asyncio.get_running_loop().time
        if change.key != self._of:
            self._of, self._before_until, self._next = change.key, float("-inf"), float("-inf")
            self.samples.before, self.samples.after, self._counter = {}, {}, None
            self.samples.loads_before, self.samples.loads_after = {}, {}
        if now < self._next or clock() < self._next_try:
            return
        # What speaks HTTP the blocking way takes a sixth of a second to import.
        reach = await run_in_thread(importlib.import_module, "memtop.history.prometheus_connection")
        try:
            if self._prometheus is None:
                found = await self._stack.enter_async_context(
                    reach.connect_prometheus(self._client, self._settings)
                )
                self._prometheus, self._where = found.prometheus, found.where
            await self._ask(self._prometheus, change, living, now, old_living=old_living)
            self._next = now + self._pause
            self._backoff.reset()
        except (*CLUSTER_FAILURES, reach.PrometheusNotFoundError) as error:
            self.samples.sentence = f"Prometheus: {sanitize(str(error))}"
            self._next_try = clock() + self._backoff.next_pause(error)
            await self.close()

    def ask_now(self) -> None:
        """Makes it time to ask."""
        self._next = self._next_try = float("-inf")

    async def close(self) -> None:
        """Ends the connection."""
        self._prometheus = None
        await self._stack.aclose()

    async def _ask(
        self,
        prometheus: PrometheusClient,
        change: RevisionChange,
        living: Sequence[str],
        now: float,
        *,
        old_living: bool,
    ) -> None:
        from memtop.history import (  # noqa: PLC0415  (with what speaks HTTP the blocking way)
            prometheus_queries,
            work_metrics,
        )

        schema = await run_in_thread(prometheus_queries.probe_schema, prometheus, living, now)
        if not schema.memory:
            self.samples.sentence = f"Prometheus at {self._where} knows no memory of containers"
            return
        if self._counter is None and living:
            whose = work_metrics.WorkloadName(change.ref.namespace, change.ref.name, pod_name_pattern(change))
            find = work_metrics.find_request_counter
            with contextlib.suppress(ApiError):  # refused: signs of load have to do
                self._counter = await run_in_thread(find, prometheus, whose, living, now)
        # Once the old pods are gone, nothing more comes of the time before.
        drained = now if old_living else change.changed_at + DRAIN_SECONDS
        if self._before_until < drained:
            until = min(now, drained)
            start = change.changed_at - LOOKBACK_SECONDS
            self.samples.before = await self._told(prometheus, schema, change, start, until)
            names = {name for name, _ in self.samples.before}
            self.samples.loads_before = await run_in_thread(
                self._ask_loads, prometheus, schema, names, start, until if old_living else change.changed_at
            )
            self._before_until = now
        self.samples.after = await self._told(prometheus, schema, change, change.changed_at, now)
        names = {name for name, _ in self.samples.after}
        self.samples.loads_after = await run_in_thread(
            self._ask_loads, prometheus, schema, names, change.changed_at, now
        )
        ends = [past.times[-1] for past in self.samples.after.values() if len(past)]
        self.samples.reached_until = float(max(ends)) if ends else None
        known = self.samples.before or self.samples.after
        self.samples.sentence = f"Prometheus at {self._where}{'' if known else ' knows none of these pods'}"

    def _ask_loads(
        self,
        prometheus: PrometheusClient,
        schema: MetricSchema,
        names: set[ContainerName],
        start: float,
        end: float,
    ) -> LoadsByContainer:
        """The signs of load of some containers, and the requests that their pods answered. Blocks."""
        found = _ask_loads(prometheus, schema, names, start, end)
        if not names or end - start < LEAST_SCRAPES * schema.interval:
            return found
        from memtop.history import prometheus_queries, work_metrics  # noqa: PLC0415  (as below)

        if self._counter is None:
            return found
        told = {**self.samples.before, **self.samples.after}
        lived = {
            name: told[name, self.samples.metric].times
            for name in names
            if (name, self.samples.metric) in told
        }
        grid = prometheus_queries.query_grid(end, end - start, LOAD_POINTS)
        asked = work_metrics.ask_requests(
            prometheus, self._counter, grid, schema.interval, sorted(names), lived
        )
        for whose, work in asked.items():
            found[whose, "requests"] = LoadSeries("requests", work.times, work.values)
        return found

    async def _told(
        self,
        prometheus: PrometheusClient,
        schema: MetricSchema,
        change: RevisionChange,
        start: float,
        end: float,
    ) -> PastByContainer:
        """What it knows of a stretch of time; of its last hour every scrape, since some lives are short."""
        from memtop.history import prometheus_past, prometheus_queries  # noqa: PLC0415

        if end - start < prometheus_queries.MIN_STEP:
            return {}
        names = await run_in_thread(_container_names, prometheus, schema, change, start, end)
        metrics: tuple[Metric, ...] = tuple(dict.fromkeys(("working_set", self.samples.metric)))
        whole = prometheus_queries.query_grid(end, end - start, MOST_POINTS)
        told = (
            await run_in_thread(prometheus_past.ask_past, prometheus, schema, names, metrics, whole, names)
        ).pasts
        fine = prometheus_queries.recent_grid(end, schema.interval)
        if fine.step < whole.step and fine.start > whole.start:
            recent = (
                await run_in_thread(prometheus_past.ask_past, prometheus, schema, names, metrics, fine, names)
            ).pasts
            for key, news in recent.items():
                old = told.get(key)
                told[key] = (
                    news
                    if old is None
                    else prometheus_past.extend_past(old, news, fine.start, whole, fine.start)
                )
        return told


def _container_names(
    prometheus: PrometheusClient, schema: MetricSchema, change: RevisionChange, start: float, end: float
) -> list[ContainerName]:
    """The containers that pods of all revisions compared had. Blocks."""
    from memtop.history import prometheus_queries  # noqa: PLC0415
    from memtop.history.prometheus_queries import MEMORY_METRICS  # noqa: PLC0415

    namespace = prometheus_queries.quote_promql(change.ref.namespace)
    where = [
        *schema.selectors,
        f"namespace={namespace}",
        f"{schema.pod}=~{prometheus_queries.quote_promql(pod_name_pattern(change))}",
        f'{schema.container}!=""',
        f'{schema.container}!="POD"',
    ]
    found = prometheus.series([f"{MEMORY_METRICS[schema.memory[0]]}{{{','.join(where)}}}"], start, end)
    wanted = set(change.revision.limits)
    names = {
        ContainerName(change.ref.namespace, labels[schema.pod], labels[schema.container])
        for labels in found
        if labels.get(schema.container) in wanted and schema.pod in labels
    }
    return sorted(names, key=lambda name: (_revision_age(change, name.pod), name))[:MOST_NAMES]


def _ask_loads(
    prometheus: PrometheusClient, schema: MetricSchema, names: set[ContainerName], start: float, end: float
) -> LoadsByContainer:
    """How much some containers had to do, as far as this Prometheus knows it. Blocks."""
    from memtop.history import prometheus_past, prometheus_queries  # noqa: PLC0415

    if end - start < prometheus_queries.MIN_STEP:
        return {}
    grid = prometheus_queries.query_grid(end, end - start, LOAD_POINTS)
    window = max(grid.step, LEAST_SCRAPES * schema.interval)
    found: LoadsByContainer = {}
    for pods in prometheus_queries.batch_pods((name.namespace, name.pod) for name in names):
        cpu = prometheus.range_query(prometheus_queries.cpu_query(schema, pods, window), grid)
        received = prometheus.range_query(prometheus_queries.received_query(schema, pods, window), grid)
        labels = schema.cadvisor_labels()
        for name, (one, *_) in prometheus_past.group_by_container(cpu.streams, labels).items():
            found[name, "cpu"] = LoadSeries("cpu", one.times, one.values)
        for name, (one, *_) in prometheus_past.group_by_container(received.streams, labels).items():
            found[name, "received"] = LoadSeries("received", one.times, one.values)
    return found


def samples_on_disk(folder: Path, change: RevisionChange, now: float) -> PastByContainer:
    """What memtop itself saw and kept of the pods of all revisions compared. Blocks.

    Args:
        folder: The cluster's.
        change: Whose pods.
        now: Unix seconds.
    """
    since = change.changed_at - LOOKBACK_SECONDS
    fits = re.compile(pod_name_pattern(change)).fullmatch
    of_pod = {
        whose: pod
        for whose, pod in archived_pods(folder, change.ref.namespace, since).items()
        if fits(pod) and whose.container in change.revision.limits
    }
    wanted = sorted(of_pod, key=lambda whose: _revision_age(change, of_pod[whose]))[:MOST_NAMES]
    found: PastByContainer = {}
    for whose, kept in read_archive(folder, wanted, since).items():
        name = ContainerName(change.ref.namespace, of_pod[whose], whose.container)
        known = np.isfinite(kept.values) & (kept.times <= now)
        past = PastSeries(
            "working_set", ORIGIN_DISK, kept.times[known], kept.values[known], kept.restarts, kept.oom_kills
        )
        if len(past):
            found[name, "working_set"] = _one_after_other(found.get((name, "working_set")), past)
    return found


def _one_after_other(one: PastSeries | None, other: PastSeries) -> PastSeries:
    """Two pods of one name, one after the other (StatefulSet)."""
    if one is None:
        return other
    first, second = sorted((one, other), key=lambda past: float(past.times[0]))
    cut = first.before(float(second.times[0]))
    return replace(
        second,
        times=np.concatenate([cut.times, second.times]),
        values=np.concatenate([cut.values, second.values]),
        restarts=np.concatenate([cut.restarts, second.restarts]),
        oom_kills=np.concatenate([cut.oom_kills, second.oom_kills]),
    )
