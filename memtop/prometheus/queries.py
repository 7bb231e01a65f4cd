"""PromQL, built by pure functions: for the containers somebody looks at, a batch of pods per query."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from memtop.past import Metric
from memtop.prometheus.labels import LAST_REASON, LIMITS, MEMORY, OOM_EVENTS, RESTARTS, SPEC_LIMITS, Schema

POINTS = 720
"""Samples asked for per window: one per two minutes of a day, several per column of any screen."""
RECENT = 3600.0
"""Seconds back to which every scrape is asked for: a life of minutes shows no growth otherwise."""
MOST_POINTS = 11_000
"""Prometheus refuses a range query of more points per series."""
SHORTEST_STEP = 15.0
"""Seconds; every step is a multiple, so that the moments of a coarse grid are among those of a fine one."""
PODS_PER_QUERY = 50
LONGEST_QUERY = 3000
"""Characters; percent-encoded in a URL it must pass proxies that allow 8 KiB of headers."""


@dataclass(frozen=True)
class Grid:
    """The moments of a range query, all Unix seconds; the same moments whenever it is asked again."""

    start: float
    end: float
    step: float

    def since(self, moment: float) -> Grid:
        """The part of it from the last of its moments that is not after the given one."""
        steps = max(0, int((moment - self.start) // self.step))
        return Grid(self.start + steps * self.step, self.end, self.step)


def grid(end: float, window: float, points: int = POINTS) -> Grid:
    """The moments to ask for.

    Args:
        end: The newest, Unix seconds; rounded down to a multiple of the step, which lets caches help.
        window: Seconds back from there.
        points: About how many.
    """
    step = math.ceil(window / min(points, MOST_POINTS - 1) / SHORTEST_STEP) * SHORTEST_STEP
    return _grid(end, window, max(step, SHORTEST_STEP))


def recent(end: float, interval: float) -> Grid:
    """The moments of the last hour, as often as there are scrapes.

    Args:
        end: The newest, Unix seconds.
        interval: Seconds between scrapes.
    """
    return _grid(end, RECENT, max(SHORTEST_STEP, round(interval / SHORTEST_STEP) * SHORTEST_STEP))


def _grid(end: float, window: float, step: float) -> Grid:
    last = end // step * step
    return Grid(last - round(window / step) * step, last, step)


def batches(pods: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Cuts (namespace, pod) pairs into parts small enough for one query each."""
    part: list[tuple[str, str]] = []
    length = 0
    for pair in sorted(set(pods)):
        size = len(pair[0]) + len(pair[1]) + 4
        if part and (len(part) == PODS_PER_QUERY or length + size > LONGEST_QUERY):
            yield part
            part, length = [], 0
        part.append(pair)
        length += size
    if part:
        yield part


def memory(schema: Schema, metric: Metric, pods: Sequence[tuple[str, str]]) -> str:
    """Memory of every container of the pods.

    Scrapes by several jobs fall together in the maximum. The cgroup's ``id`` is kept apart, since for five
    minutes a dead container's series stands beside its successor's (see `memtop.prometheus.series`).
    """
    return _max(schema.cadvisor_labels("id"), _cadvisor(MEMORY[metric], schema, pods))


def kernel_limits(schema: Schema, pods: Sequence[tuple[str, str]]) -> str:
    """Limits as the kernel enforces them; without a limit the kernel says 0, which is none."""
    return _max(schema.cadvisor_labels(), _cadvisor(SPEC_LIMITS, schema, pods)) + " > 0"


def oom_events(schema: Schema, pods: Sequence[tuple[str, str]]) -> str:
    """OOM kills counted by the kernel, per cgroup."""
    return _max(schema.cadvisor_labels("id"), _cadvisor(OOM_EVENTS, schema, pods))


def declared_limits(schema: Schema, pods: Sequence[tuple[str, str]]) -> str:
    """Limits as the pods declare them."""
    return _max(schema.state_labels(), _state(LIMITS, schema, pods, ('resource="memory"',)))


def restarts(schema: Schema, pods: Sequence[tuple[str, str]]) -> str:
    """Restarts since each pod was created."""
    return _max(schema.state_labels(), _state(RESTARTS, schema, pods))


def ended_by_oom(schema: Schema, pods: Sequence[tuple[str, str]]) -> str:
    """1 while the last end of a container was an OOM kill.

    It stays 1 for ever, so it says only what kind of end a restart followed.
    """
    return _max(schema.state_labels(), _state(LAST_REASON, schema, pods, ('reason="OOMKilled"',)))


def growers(schema: Schema, metric: Metric, namespaces: Sequence[str], count: int, seconds: float) -> str:
    """The containers whose memory grew most over some time, and by how many bytes.

    Asked of the whole scope, but two samples of each container are enough for it.

    Args:
        schema: What this Prometheus calls things.
        metric: Which memory.
        namespaces: Only these; empty for all.
        count: How many containers.
        seconds: Over how long.
    """
    where = [*schema.selectors, *_real_containers(schema)]
    if namespaces:
        where.append(_one_of("namespace", namespaces))
    series = f"{MEMORY[metric]}{{{','.join(where)}}}"
    now, then = (_max(schema.cadvisor_labels(), part) for part in (series, f"{series} offset {seconds:.0f}s"))
    return f"topk({count}, {now} - {then})"


def oldest(schema: Schema, metric: Metric, ago: float) -> str:
    """How many containers had a sample that long ago, in seconds."""
    where = ",".join([*schema.selectors, *_real_containers(schema)])
    return f"count({MEMORY[metric]}{{{where}}} offset {ago:.0f}s)"


def quote(value: str) -> str:
    """A PromQL string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def regex(values: Iterable[str]) -> str:
    """A regular expression (RE2) that matches any of some texts and nothing else."""
    return "|".join(re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value) for value in values)


def _real_containers(schema: Schema) -> tuple[str, str]:
    """Leaves out cAdvisor's sums over a pod, and the pause containers."""
    return (f'{schema.container}!=""', f'{schema.container}!="POD"')


def _cadvisor(metric: str, schema: Schema, pods: Sequence[tuple[str, str]]) -> str:
    places = _of_pods(("namespace", schema.pod), pods)
    return f"{metric}{{{','.join([*schema.selectors, *places, *_real_containers(schema)])}}}"


def _state(metric: str, schema: Schema, pods: Sequence[tuple[str, str]], more: Sequence[str] = ()) -> str:
    places = _of_pods(schema.state_labels()[:2], pods)
    return f"{metric}{{{','.join([*schema.state_selectors, *places, *more])}}}"


def _of_pods(labels: tuple[str, str], pods: Sequence[tuple[str, str]]) -> tuple[str, str]:
    return (
        _one_of(labels[0], sorted({namespace for namespace, _ in pods})),
        _one_of(labels[1], sorted({pod for _, pod in pods})),
    )


def _one_of(label: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return f"{label}={quote(values[0])}"
    return f"{label}=~{quote(regex(values))}"


def _max(labels: Sequence[str], expression: str) -> str:
    return f"max by ({','.join(labels)}) ({expression})"
