"""The past of some containers as one Prometheus has it: its streams joined to one series per container."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from memtop.history import prometheus_queries
from memtop.history.past_series import (
    ORIGIN_PROMETHEUS,
    ContainerName,
    Floats,
    KernelFigures,
    Metric,
    PastSeries,
    match_times,
    merge_times,
    no_times,
)
from memtop.history.prometheus_answers import MetricStream, QueryAnswer
from memtop.history.prometheus_client import PrometheusClient
from memtop.history.prometheus_queries import (
    LIMITS_METRIC,
    OOM_EVENTS_METRIC,
    PRESSURE_METRIC,
    SPEC_LIMITS_METRIC,
    SWAP_LIMIT_METRIC,
    SWAP_METRIC,
    MetricSchema,
    QueryGrid,
)

LOOKBACK_DELTA = 300.0
"""Seconds for which Prometheus answers with a sample that nothing has followed.

cAdvisor's samples carry their own time, which keeps Prometheus from marking a series as ended: a dead
container's goes on, flat, for that long beside its successor's.
"""


PODS_ONLY_WORDS = "its series have no container label: the sum of a pod is taken where that has one container"
NO_RSS_WORDS = "RSS is 0 throughout for some containers: they are judged by their working set"


def group_by_container(
    streams: Sequence[MetricStream], labels: Sequence[str]
) -> dict[ContainerName, list[MetricStream]]:
    """Sorts streams by the container that their labels name.

    Args:
        streams: Of one answer.
        labels: What namespace, pod and container are called in it; without the last, the container's name is
            empty.
    """
    found: dict[ContainerName, list[MetricStream]] = defaultdict(list)
    for stream in streams:
        names = [stream.labels.get(label, "") for label in labels[:3]]
        found[ContainerName(names[0], names[1], names[2] if len(names) > 2 else "")].append(stream)
    return dict(found)


def join_streams(streams: Sequence[MetricStream], grid: QueryGrid) -> tuple[Floats, Floats, Floats]:
    """Lays the lives of one container end to end.

    Each life is a stream (a cgroup of its own). What a dead one echoes is cut off: everything from where its
    successor begins, and the flat end before that. A stream that goes on beside another for longer than any
    echo (kubelets may tell of the dead for some minutes more) is the same container scraped twice, and counts
    once.

    Args:
        streams: All streams of the container, in any order.
        grid: The moments that were asked for.

    Returns:
        Unix seconds and bytes, shape (n,); and when each life but the first was first seen, Unix seconds.
    """
    lives: list[MetricStream] = []
    for stream in sorted(streams, key=lambda one: (one.times[0], one.times[-1])):
        if lives and lives[-1].times[-1] - stream.times[0] > 2 * LOOKBACK_DELTA + grid.step:
            continue
        if lives and lives[-1].times[0] == stream.times[0]:
            lives.pop()  # both there from the start: the one that ends first was an echo already
        lives.append(stream)
    if not lives:
        return no_times(), no_times(), no_times()
    times: list[Floats] = []
    values: list[Floats] = []
    for life, successor in zip(lives, [*lives[1:], None], strict=True):
        kept = len(life.times)
        if successor is not None or life.times[-1] <= grid.end - grid.step:
            kept = _own_samples(life)
        if successor is not None:
            kept = min(kept, int(np.searchsorted(life.times, successor.times[0])))
        times.append(life.times[:kept])
        values.append(life.values[:kept])
    return np.concatenate(times), np.concatenate(values), np.array([life.times[0] for life in lives[1:]])


def _own_samples(life: MetricStream) -> int:
    """How many samples of an ended stream are its own: of the flat end, only the first."""
    flat = (life.values == life.values[-1]) & (life.times > life.times[-1] - LOOKBACK_DELTA)
    differing = np.flatnonzero(~flat)
    return int(differing[-1]) + 2 if len(differing) else 1


def rise_times(counter: MetricStream) -> Floats:
    """When a counter rose, Unix seconds: once for each step up, at the first moment that shows it."""
    return np.repeat(counter.times[1:], np.clip(np.diff(counter.values), 0, 100).astype(np.int64))


def counter_steps(counter: MetricStream | None) -> tuple[Floats, Floats] | None:
    """When a counter was first seen and whenever it moved, Unix seconds, and what it was; None for none."""
    if counter is None or not len(counter.times):
        return None
    moved = np.append(True, np.diff(counter.values) != 0)
    return counter.times[moved], counter.values[moved]


def merge_ends(
    times: Floats,
    seen: Floats,
    counter: MetricStream | None,
    oom: MetricStream | None,
    oom_events: Sequence[MetricStream],
    grid: QueryGrid,
) -> tuple[Floats, Floats]:
    """Restarts and OOM kills, from all that tells of them.

    Args:
        times: When there were samples, Unix seconds, ascending.
        seen: When a new life was first seen, Unix seconds.
        counter: kube-state-metrics' count of restarts, if there is one; it also knows of lives too short to
            be scraped.
        oom: Its flag that the last end was an OOM kill.
        oom_events: The kernel's count of OOM kills, per life; asked where there is no flag.
        grid: The moments that were asked for.

    Returns:
        When the container started again, and when it was OOM-killed, both Unix seconds and ascending. Before
        a start there may be minutes of back-off: a kill is put at the last sample of the life it ended.
    """
    tolerance = 2 * grid.step + 60.0  # a scrape of each, and a moment of the grid of each
    counted = rise_times(counter) if counter is not None else no_times()
    restarts = merge_times(seen, counted, tolerance)
    if oom is not None:
        killed = counted[np.isin(counted, oom.times[oom.values > 0])]
    else:
        killed = np.sort(np.concatenate([no_times(), *(rise_times(stream) for stream in oom_events)]))
    which = match_times(killed, restarts, tolerance)
    if not len(times) or not len(restarts):
        return restarts, killed
    last = times[np.maximum(np.searchsorted(times, restarts[which]) - 1, 0)]
    return restarts, np.sort(np.where((which < 0) | (last >= restarts[which]), killed, last))


_PodPairs = Sequence[tuple[str, str]]
_StreamsByContainer = dict[ContainerName, list[MetricStream]]


@dataclass(eq=False)
class PastAnswers:
    """What was answered.

    Attributes:
        pasts: One series per container and metric; a container that Prometheus does not know is not in it.
        warnings: What Prometheus wants known of its answers.
    """

    pasts: dict[tuple[ContainerName, Metric], PastSeries] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def warn(self, words: str) -> None:
        """Keeps what is to be known of an answer, once."""
        if words not in self.warnings:
            self.warnings.append(words)

    def keep_warnings(self, answer: QueryAnswer) -> tuple[MetricStream, ...]:
        """The streams of an answer, after keeping its warnings."""
        for words in answer.warnings:
            self.warn(words)
        return answer.streams


def ask_past(
    prometheus: PrometheusClient,
    schema: MetricSchema,
    names: Collection[ContainerName],
    metrics: Sequence[Metric],
    grid: QueryGrid,
    restarted: Collection[ContainerName],
    alone: Collection[ContainerName] = (),
) -> PastAnswers:
    """Asks for the past of some containers, in batches of pods. Blocks.

    Args:
        prometheus: Whom to ask.
        schema: What it calls things.
        names: The containers.
        metrics: Which memory; those that it does not have are left out.
        grid: The moments to ask for.
        restarted: Those of the containers that have ever restarted; only of them restarts are asked for.
        alone: Those that are the only ones of their pods: where series have no container label, the sum of
            the pod is theirs.

    Raises:
        Unreachable: No whole answer came in time.
        ApiError: An answer was a refusal.
        CredentialError: No credential could be had.
    """
    told = PastAnswers()
    wanted = frozenset(names)
    of_pod = {name._replace(container=""): name for name in alone}
    if schema.pods_only:
        told.warn(PODS_ONLY_WORDS)
    for pods in prometheus_queries.batch_pods((name.namespace, name.pod) for name in wanted):
        again = [pair for pair in pods if pair in {(name.namespace, name.pod) for name in restarted}]
        counters, flags, kills = _query_ends(prometheus, schema, again, grid, told)
        limits = _query_limits(prometheus, schema, pods, grid.end, told)
        for metric in metrics:
            if metric not in schema.memory:
                continue
            streams = told.keep_warnings(
                prometheus.range_query(prometheus_queries.memory_query(schema, metric, pods), grid)
            )
            found = {
                of_pod.get(name, name): lives
                for name, lives in group_by_container(streams, schema.cadvisor_labels()).items()
            }
            # What dies before it is ever scraped has no memory, but its ends are counted.
            for name in wanted.intersection((*found, *counters, *kills)):
                times, values, seen = join_streams(found.get(name, ()), grid)
                if metric == "rss" and len(values) and not values.any():
                    told.warn(NO_RSS_WORDS)
                    continue
                restarts, oom_kills = merge_ends(
                    times,
                    seen,
                    _first_stream(counters, name),
                    _first_stream(flags, name),
                    kills.get(name, ()),
                    grid,
                )
                told.pasts[name, metric] = PastSeries(
                    metric,
                    ORIGIN_PROMETHEUS,
                    times,
                    values,
                    restarts,
                    oom_kills,
                    limits.get(name),
                    counter_steps(_first_stream(counters, name)),
                )
    return told


def kernel_figures(
    prometheus: PrometheusClient, schema: MetricSchema, namespaces: Sequence[str], seconds: float
) -> KernelFigures:
    """What the kernel counts of every container beside its memory. Blocks.

    Args:
        prometheus: Whom to ask.
        schema: What it calls things.
        namespaces: Only these; empty for all.
        seconds: Over how long kills are counted.

    Raises:
        Unreachable: No whole answer came in time.
        ApiError: The answer was a refusal.
        CredentialError: No credential could be had.
    """

    def asked(metric: str, query: str) -> dict[ContainerName, float] | None:
        if metric not in schema.names:
            return None
        found = group_by_container(prometheus.instant_query(query).streams, schema.cadvisor_labels())
        return {name: max(stream.last for stream in streams) for name, streams in found.items()}

    def gauge(metric: str) -> dict[ContainerName, float] | None:
        return asked(metric, prometheus_queries.gauge_query(schema, metric, namespaces))

    return KernelFigures(
        child_oom_kills(prometheus, schema, namespaces, seconds),
        asked(PRESSURE_METRIC, prometheus_queries.pressure_query(schema, namespaces)),
        gauge(SWAP_METRIC),
        gauge(SWAP_LIMIT_METRIC),
    )


def child_oom_kills(
    prometheus: PrometheusClient, schema: MetricSchema, namespaces: Sequence[str], seconds: float
) -> dict[ContainerName, int] | None:
    """How often the OOM killer struck in each container's cgroups; None if nobody counts. Blocks.

    Args:
        prometheus: Whom to ask.
        schema: What it calls things.
        namespaces: Only these; empty for all.
        seconds: Over how long.

    Raises:
        Unreachable: No whole answer came in time.
        ApiError: The answer was a refusal.
        CredentialError: No credential could be had.
    """
    if OOM_EVENTS_METRIC not in schema.names:
        return None
    streams = prometheus.instant_query(
        prometheus_queries.child_kills_query(schema, namespaces, seconds)
    ).streams
    found = group_by_container(streams, schema.cadvisor_labels())
    if streams and not any(name.pod and name.container for name in found):
        return None  # kills of nobody knows whom say nothing of any container
    return {name: round(sum(stream.last for stream in cgroups)) for name, cgroups in found.items()}


def fastest_growers(
    prometheus: PrometheusClient, schema: MetricSchema, namespaces: Sequence[str], count: int, seconds: float
) -> list[ContainerName]:
    """The containers that grew most over some time, whether or not anybody looks at them. Blocks.

    Args:
        prometheus: Whom to ask.
        schema: What it calls things.
        namespaces: Only these; empty for all.
        count: How many.
        seconds: Over how long.

    Raises:
        Unreachable: No whole answer came in time.
        ApiError: The answer was a refusal.
        CredentialError: No credential could be had.
    """
    if not schema.memory:
        return []
    query = prometheus_queries.growers_query(schema, schema.memory[0], namespaces, count, seconds)
    return list(group_by_container(prometheus.instant_query(query).streams, schema.cadvisor_labels()))


def extend_past(
    old: PastSeries, news: PastSeries, since: float, whole: QueryGrid, dense_since: float
) -> PastSeries:
    """A series with its newest part asked for again.

    The result is what somebody who asks for all of it now would get: the moments of `whole`, and every scrape
    of the last hour. So the verdict on a container does not depend on how long it has been watched.

    Args:
        old: What was known.
        news: The answer for the moments from `since` on, on a finer grid.
        since: From where on the answer counts, Unix seconds.
        whole: What is older than its start is dropped.
        dense_since: Of what is older than this (Unix seconds) only the moments of `whole` are kept.
    """
    start, step = whole.start - whole.step, whole.step

    def spliced(before: Floats, after: Floats) -> Floats:
        # An event at the very first moment asked for was noticed there before, if it was one. On a coarse
        # grid it was noticed up to a step later.
        late = before[(before > since) & (before <= since + step)]
        missed = late[match_times(late, after, step) < 0]
        before = before[(before >= start) & (before <= since)]
        return np.sort(np.concatenate([before, missed, after[after > since]]))

    kept = (old.times < since) & (old.times >= start)
    kept &= (old.times >= dense_since) | (old.times % step == 0)
    return replace(
        news,
        times=np.concatenate([old.times[kept], news.times]),
        values=np.concatenate([old.values[kept], news.values]),
        restarts=spliced(old.restarts, news.restarts),
        oom_kills=spliced(old.oom_kills, news.oom_kills),
        limit=old.limit if news.limit is None else news.limit,
        counted=old.counted or news.counted,
    )


def overlapping_grid(grid: QueryGrid, known_until: float) -> QueryGrid:
    """The newest part of a grid, from early enough that echoes of the dead are seen as such."""
    return grid.starting_at(known_until - 2 * LOOKBACK_DELTA)


def _query_ends(
    prometheus: PrometheusClient, schema: MetricSchema, pods: _PodPairs, grid: QueryGrid, told: PastAnswers
) -> tuple[_StreamsByContainer, _StreamsByContainer, _StreamsByContainer]:
    """Streams of restarts, of ends by OOM, and of the kernel's OOM kills, as far as they are there."""
    if not pods:
        return {}, {}, {}
    counters: _StreamsByContainer = {}
    flags: _StreamsByContainer = {}
    kills: _StreamsByContainer = {}
    if schema.kube_state:
        labels = schema.state_labels()
        counters = group_by_container(
            told.keep_warnings(prometheus.range_query(prometheus_queries.restarts_query(schema, pods), grid)),
            labels,
        )
        flags = group_by_container(
            told.keep_warnings(
                prometheus.range_query(prometheus_queries.ended_by_oom_query(schema, pods), grid)
            ),
            labels,
        )
    if OOM_EVENTS_METRIC in schema.names:
        answer = prometheus.range_query(prometheus_queries.oom_events_query(schema, pods), grid)
        kills = group_by_container(told.keep_warnings(answer), schema.cadvisor_labels())
    return counters, flags, kills


def _query_limits(
    prometheus: PrometheusClient, schema: MetricSchema, pods: _PodPairs, at: float, told: PastAnswers
) -> dict[ContainerName, float]:
    if LIMITS_METRIC in schema.names:
        query = prometheus_queries.declared_limits_query(schema, pods)
        labels: Sequence[str] = schema.state_labels()
    elif SPEC_LIMITS_METRIC in schema.names:
        query = prometheus_queries.kernel_limits_query(schema, pods)
        labels = schema.cadvisor_labels()
    else:
        return {}
    streams = told.keep_warnings(prometheus.instant_query(query, at))
    return {name: found[0].last for name, found in group_by_container(streams, labels).items()}


def _first_stream(
    found: Mapping[ContainerName, Iterable[MetricStream]], name: ContainerName
) -> MetricStream | None:
    return next(iter(found.get(name, ())), None)
