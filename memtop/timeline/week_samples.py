"""A week of samples of a workload's pods, dead ones included: from Prometheus, else from the disk."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memtop.analysis.memory_series import Series
from memtop.analysis.onset import find_onset
from memtop.analysis.traffic import WorkSeries
from memtop.background import run_in_thread
from memtop.history.past_series import (
    METRIC_WORDS,
    ORIGIN_DISK,
    ContainerName,
    Floats,
    Metric,
    PastSeries,
    drop_short_lives,
)
from memtop.history.sample_archive import archived_pods, read_archive
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, Unreachable
from memtop.kube.client import Client
from memtop.sanitize import sanitize

if TYPE_CHECKING:
    from config.settings import PrometheusSettings
    from memtop.history.prometheus_client import PrometheusClient
    from memtop.history.prometheus_queries import MetricSchema
    from memtop.history.work_metrics import WorkloadName

WEEK = 7 * 86400.0
"""Seconds looked back."""
WEEK_POINTS = 1008
"""Samples of a container asked for over a week: one in ten minutes."""
MOST_CONTAINERS = 100
"""Containers asked for, the newest pods first; those of a workload of more are alike enough."""
NEAR_HOURS, NEAR_POINTS = 4.0, 960
"""Hours on each side of an onset that are asked for once more, and samples of them: two a minute."""
WORK_POINTS = 504
"""Averages of the work asked for: one in twenty minutes of a week."""
GAUGE_POINTS = 288
"""Samples of threads and the like: one in five minutes of a day."""
GAUGE_SECONDS = 86400.0


@dataclass(frozen=True, eq=False)
class WeekSamples:
    """What is remembered of the pods of a workload.

    Attributes:
        series: Of each container of each pod, in one metric.
        work: Requests of each container; empty where nobody counts them.
        usual_work: By unit, what else each container had to do.
        gauges: Threads, descriptors, sockets and page cache: times and values.
        service: Requests a second, share of errors and mean latency of the workload: times and values.
        near: The same around the onset, by every scrape or nearly so; empty where there is none.
        basis: Which memory that is, and who remembers it, in words.
        since: From when on anything is known, Unix seconds; None for nothing.
        notes: What could not be asked.
    """

    series: Mapping[ContainerName, Series] = field(default_factory=dict)
    work: Mapping[ContainerName, WorkSeries] = field(default_factory=dict)
    usual_work: Sequence[Mapping[ContainerName, WorkSeries]] = ()
    gauges: Mapping[ContainerName, Mapping[str, tuple[Floats, Floats]]] = field(default_factory=dict)
    service: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    near: Mapping[ContainerName, Series] = field(default_factory=dict)
    basis: str = "nowhere yet"
    notes: tuple[str, ...] = ()

    @property
    def since(self) -> float | None:
        """From when on there are samples, Unix seconds; None without any."""
        return min(
            (float(one.timestamps[0]) for one in self.series.values() if len(one.values)), default=None
        )

    def of(self, container: str) -> dict[ContainerName, Series]:
        """The series of one container of every pod."""
        return {name: one for name, one in self.series.items() if name.container == container}

    def near_of(self, container: str) -> list[Series]:
        """What is known more closely of the time around its onset."""
        return [one for name, one in self.near.items() if name.container == container]


@dataclass(frozen=True)
class WeekQuestion:
    """Whose samples are asked for.

    Attributes:
        name: What metrics call the workload.
        containers: Its containers that last.
        living: Names of its pods that live now.
        now: The cluster's time, Unix seconds.
        seconds: How far back.
    """

    name: WorkloadName
    containers: tuple[str, ...]
    living: tuple[str, ...]
    now: float
    seconds: float = WEEK


async def ask_week(
    client: Client, question: WeekQuestion, prometheus: PrometheusSettings | None, folder: Path | None
) -> WeekSamples:
    """Asks Prometheus for a week of a workload; where it does not answer, what memtop itself has kept.

    Args:
        client: The connection to the API server.
        question: Whose samples.
        prometheus: How to find and ask Prometheus; None for not at all.
        folder: Where memtop keeps samples of this cluster; None for nowhere.
    """
    notes: list[str] = []
    if prometheus is not None:
        # What speaks HTTP the blocking way takes a sixth of a second to import.
        reach = await run_in_thread(importlib.import_module, "memtop.history.prometheus_connection")
        try:
            async with reach.connect_prometheus(client, prometheus) as found:
                told: WeekSamples = await run_in_thread(
                    _ask_prometheus, found.prometheus, question, prometheus.metric, found.where
                )
            if told.series:
                return told
            notes += [*told.notes, f"Prometheus at {found.where} knows none of these pods"]
        except (*CLUSTER_FAILURES, reach.PrometheusNotFoundError) as error:
            notes.append(f"Prometheus: {sanitize(str(error))}")
    else:
        notes.append("Prometheus is switched off")
    if folder is not None:
        kept = await run_in_thread(_read_disk, folder, question)
        if kept:
            return WeekSamples(kept, basis="working set from the disk", notes=tuple(notes))
    return WeekSamples(notes=(*notes, "memtop itself has kept nothing of these pods"))


def _ask_prometheus(
    prometheus: PrometheusClient, question: WeekQuestion, wanted: Metric, where: str
) -> WeekSamples:
    """All that is asked of it. Blocks.

    Raises:
        Unreachable: No whole answer came in time.
        ApiError: A question about memory was refused.
    """
    from memtop.history import (  # noqa: PLC0415  (with what blocks)
        prometheus_past,
        prometheus_queries,
        work_metrics,
    )

    now, start = question.now, question.now - question.seconds
    schema = prometheus_queries.probe_schema(prometheus, question.living, now)
    if not schema.memory:
        return WeekSamples(notes=(f"Prometheus at {where} knows no memory of containers",))
    metric = wanted if wanted in schema.memory else schema.memory[0]
    names = _container_names(prometheus, schema, question, start)
    if not names:
        return WeekSamples()
    grid = prometheus_queries.query_grid(now, question.seconds, WEEK_POINTS)
    pasts = prometheus_past.ask_past(prometheus, schema, names, [metric], grid, names).pasts
    fine = prometheus_queries.recent_grid(now, schema.interval)
    if fine.step < grid.step:
        recent = prometheus_past.ask_past(prometheus, schema, names, [metric], fine, names).pasts
        for key, news in recent.items():
            old = pasts.get(key)
            pasts[key] = (
                news if old is None else prometheus_past.extend_past(old, news, fine.start, grid, fine.start)
            )
    series = {name: _as_series(past) for (name, _), past in pasts.items()}
    near = _ask_near_onsets(prometheus, schema, question, metric, series)
    notes: list[str] = []
    work: dict[ContainerName, WorkSeries] = {}
    service: dict[str, tuple[Floats, Floats]] = {}
    usual: tuple[dict[ContainerName, WorkSeries], ...] = ()
    gauges: dict[ContainerName, dict[str, tuple[Floats, Floats]]] = {}
    coarse = prometheus_queries.query_grid(now, question.seconds, WORK_POINTS)
    try:
        found = work_metrics.find_request_counter(prometheus, question.name, question.living, now)
        if found is not None:
            living = {name: one.timestamps for name, one in series.items()}
            work = work_metrics.ask_requests(prometheus, found, coarse, schema.interval, names, living)
            service = work_metrics.ask_service_levels(prometheus, found, coarse, schema.interval)
    except (ApiError, Unreachable) as error:
        notes.append(f"requests could not be asked for: {sanitize(str(error))}")
    try:
        usual = work_metrics.ask_usual_work(prometheus, schema, names, coarse)
    except (ApiError, Unreachable) as error:
        notes.append(f"CPU and traffic could not be asked for: {sanitize(str(error))}")
    try:
        day = prometheus_queries.query_grid(now, min(question.seconds, GAUGE_SECONDS), GAUGE_POINTS)
        alive = [(question.name.namespace, pod) for pod in question.living]
        gauges = work_metrics.ask_gauges(prometheus, schema, alive, day)
    except (ApiError, Unreachable):
        gauges = {}  # nobody misses them: a cause has no evidence then
    basis = f"{METRIC_WORDS[metric]} from Prometheus at {where}"
    return WeekSamples(series, work, usual, gauges, service, near, basis, tuple(notes))


def _ask_near_onsets(
    prometheus: PrometheusClient,
    schema: MetricSchema,
    question: WeekQuestion,
    metric: Metric,
    series: Mapping[ContainerName, Series],
) -> dict[ContainerName, Series]:
    """Once more, closer, the hours around each container's onset. Blocks.

    One in ten minutes of a week dates an onset to an hour or so; with a sample a minute it is some minutes.
    """
    from memtop.history import prometheus_past, prometheus_queries  # noqa: PLC0415

    found: dict[ContainerName, Series] = {}
    for container in question.containers:
        mine = {name: one for name, one in series.items() if name.container == container}
        onset = find_onset(list(mine.values()))
        if onset.low is None or onset.high is None or onset.by_deaths:
            continue
        reach = max(NEAR_HOURS * 3600.0, onset.high - onset.low)
        end = min(onset.high + reach, question.now)
        grid = prometheus_queries.query_grid(end, end - (onset.low - reach), NEAR_POINTS)
        names = [
            name
            for name, one in mine.items()
            if len(one.timestamps) and one.timestamps[-1] > grid.start and one.timestamps[0] < grid.end
        ]
        pasts = prometheus_past.ask_past(prometheus, schema, names, [metric], grid, names).pasts
        found |= {name: _as_series(past) for (name, _), past in pasts.items()}
    return found


def _container_names(
    prometheus: PrometheusClient, schema: MetricSchema, question: WeekQuestion, start: float
) -> list[ContainerName]:
    """The containers that the workload's pods had, those of living pods first. Blocks."""
    from memtop.history import prometheus_queries  # noqa: PLC0415

    where = [
        *schema.selectors,
        f"namespace={prometheus_queries.quote_promql(question.name.namespace)}",
        f"{schema.pod}=~{prometheus_queries.quote_promql(question.name.pods)}",
        f'{schema.container}!=""',
        f'{schema.container}!="POD"',
    ]
    metric = prometheus_queries.MEMORY_METRICS[schema.memory[0]]
    found = prometheus.series([f"{metric}{{{','.join(where)}}}"], start, question.now)
    names = {
        ContainerName(question.name.namespace, labels[schema.pod], labels[schema.container])
        for labels in found
        if labels.get(schema.container) in question.containers and schema.pod in labels
    }
    living = frozenset(question.living)
    return sorted(names, key=lambda name: (name.pod not in living, name))[:MOST_CONTAINERS]


def _as_series(past: PastSeries) -> Series:
    known = Series(past.times, past.values, past.restarts, past.oom_kills, past.limit)
    return drop_short_lives(known)


def _read_disk(folder: Path, question: WeekQuestion) -> dict[ContainerName, Series]:
    """What memtop itself saw and kept. Blocks."""
    since = question.now - question.seconds
    fits = re.compile(question.name.pods).fullmatch
    of_pod = {
        whose: pod
        for whose, pod in archived_pods(folder, question.name.namespace, since).items()
        if fits(pod) and whose.container in question.containers
    }
    found: dict[ContainerName, Series] = {}
    for whose, kept in read_archive(folder, list(of_pod)[:MOST_CONTAINERS], since).items():
        known = np.isfinite(kept.values) & (kept.times <= question.now)
        past = PastSeries(
            "working_set", ORIGIN_DISK, kept.times[known], kept.values[known], kept.restarts, kept.oom_kills
        )
        if not len(past):
            continue
        name = ContainerName(question.name.namespace, of_pod[whose], whose.container)
        found[name] = _appended(found.get(name), _as_series(past))
    return found


def _appended(first: Series | None, second: Series) -> Series:
    """Two pods of one name, one after the other (StatefulSet)."""
    if first is None:
        return second
    one, other = sorted((first, second), key=lambda series: float(series.timestamps[0]))
    cut = one.until(float(other.timestamps[0]) - 1.0)
    return replace(
        other,
        timestamps=np.concatenate([cut.timestamps, other.timestamps]),
        values=np.concatenate([cut.values, other.values]),
        restarts=np.concatenate([cut.restarts, other.timestamps[:1], other.restarts]),
        oom_kills=np.concatenate([cut.oom_kills, other.oom_kills]),
    )
