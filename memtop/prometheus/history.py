"""The past of some containers, as one Prometheus remembers it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from memtop.past import PROMETHEUS, ContainerName, Floats, Metric, Past
from memtop.prometheus import queries
from memtop.prometheus.answers import Answer, Stream
from memtop.prometheus.connection import Prometheus
from memtop.prometheus.labels import LIMITS, OOM_EVENTS, SPEC_LIMITS, Schema
from memtop.prometheus.queries import Grid
from memtop.prometheus.series import LOOKBACK, by_container, ends, one_series, steps

_Pods = Sequence[tuple[str, str]]
_Found = dict[ContainerName, list[Stream]]


@dataclass(eq=False)
class Told:
    """What was answered.

    Attributes:
        pasts: One series per container and metric; a container that Prometheus does not know is not in it.
        warnings: What Prometheus wants known of its answers.
    """

    pasts: dict[tuple[ContainerName, Metric], Past] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def hear(self, answer: Answer) -> tuple[Stream, ...]:
        """The streams of an answer, after keeping its warnings."""
        self.warnings += [words for words in answer.warnings if words not in self.warnings]
        return answer.streams


def ask(
    prometheus: Prometheus,
    schema: Schema,
    names: Collection[ContainerName],
    metrics: Sequence[Metric],
    grid: Grid,
    restarted: Collection[ContainerName],
) -> Told:
    """Asks for the past of some containers, in batches of pods. Blocks.

    Args:
        prometheus: Whom to ask.
        schema: What it calls things.
        names: The containers.
        metrics: Which memory; those that it does not have are left out.
        grid: The moments to ask for.
        restarted: Those of the containers that have ever restarted; only of them restarts are asked for.

    Raises:
        Unreachable: No whole answer came in time.
        ApiError: An answer was a refusal.
        CredentialError: No credential could be had.
    """
    told = Told()
    wanted = frozenset(names)
    for pods in queries.batches((name.namespace, name.pod) for name in wanted):
        again = [pair for pair in pods if pair in {(name.namespace, name.pod) for name in restarted}]
        counters, flags, kills = _ends(prometheus, schema, again, grid, told)
        limits = _limits(prometheus, schema, pods, grid.end, told)
        for metric in metrics:
            if metric not in schema.memory:
                continue
            streams = told.hear(prometheus.over(queries.memory(schema, metric, pods), grid))
            for name, lives in by_container(streams, schema.cadvisor_labels()).items():
                if name not in wanted:
                    continue
                times, values, seen = one_series(lives, grid)
                restarts, oom_kills = ends(
                    times, seen, _one(counters, name), _one(flags, name), kills.get(name, ()), grid
                )
                told.pasts[name, metric] = Past(
                    metric,
                    PROMETHEUS,
                    times,
                    values,
                    restarts,
                    oom_kills,
                    limits.get(name),
                    steps(_one(counters, name)),
                )
    return told


def fastest(
    prometheus: Prometheus, schema: Schema, namespaces: Sequence[str], count: int, seconds: float
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
    query = queries.growers(schema, schema.memory[0], namespaces, count, seconds)
    return list(by_container(prometheus.instant(query).streams, schema.cadvisor_labels()))


def extended(old: Past, news: Past, since: float, whole: Grid) -> Past:
    """A series with its newest part asked for again.

    Args:
        old: What was known.
        news: The answer for the moments from `since` on, on a finer grid.
        since: From where on the answer counts, Unix seconds.
        whole: What is older than its start is dropped; before `since` only its moments are kept.
    """
    start, step = whole.start - whole.step, whole.step

    def spliced(before: Floats, after: Floats) -> Floats:
        # An event at the very first moment asked for was noticed there before, if it was one.
        return np.concatenate([before[(before >= start) & (before <= since)], after[after > since]])

    kept = (old.times < since) & (old.times >= start) & (old.times % step == 0)
    return replace(
        news,
        times=np.concatenate([old.times[kept], news.times]),
        values=np.concatenate([old.values[kept], news.values]),
        restarts=spliced(old.restarts, news.restarts),
        oom_kills=spliced(old.oom_kills, news.oom_kills),
        limit=old.limit if news.limit is None else news.limit,
        counted=old.counted or news.counted,
    )


def overlap(grid: Grid, known_until: float) -> Grid:
    """The newest part of a grid, from early enough that echoes of the dead are seen as such."""
    return grid.since(known_until - 2 * LOOKBACK)


def _ends(
    prometheus: Prometheus, schema: Schema, pods: _Pods, grid: Grid, told: Told
) -> tuple[_Found, _Found, _Found]:
    """Streams of restarts, of ends by OOM, and of the kernel's OOM kills, as far as they are there."""
    if not pods:
        return {}, {}, {}
    counters: _Found = {}
    flags: _Found = {}
    kills: _Found = {}
    if schema.kube_state:
        labels = schema.state_labels()
        counters = by_container(told.hear(prometheus.over(queries.restarts(schema, pods), grid)), labels)
        flags = by_container(told.hear(prometheus.over(queries.ended_by_oom(schema, pods), grid)), labels)
    if OOM_EVENTS in schema.names:
        answer = prometheus.over(queries.oom_events(schema, pods), grid)
        kills = by_container(told.hear(answer), schema.cadvisor_labels())
    return counters, flags, kills


def _limits(
    prometheus: Prometheus, schema: Schema, pods: _Pods, at: float, told: Told
) -> dict[ContainerName, float]:
    if LIMITS in schema.names:
        query = queries.declared_limits(schema, pods)
        labels: Sequence[str] = schema.state_labels()
    elif SPEC_LIMITS in schema.names:
        query = queries.kernel_limits(schema, pods)
        labels = schema.cadvisor_labels()
    else:
        return {}
    streams = told.hear(prometheus.instant(query, at))
    return {name: found[0].last for name, found in by_container(streams, labels).items()}


def _one(found: Mapping[ContainerName, Iterable[Stream]], name: ContainerName) -> Stream | None:
    return next(iter(found.get(name, ())), None)
