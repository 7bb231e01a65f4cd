"""What one Prometheus calls things, and the PromQL to ask it about some containers, in batches of pods.

Installations differ, so names and labels are probed and assumed nowhere. Queries are built by pure
functions.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from memtop.history.past_series import Metric
from memtop.history.prometheus_answers import QueryAnswer

PODS_PROBED = 30
PROBE_SECONDS = 900.0
"""Seconds back in which a series must have had a sample to count."""
USUAL_INTERVAL = 30.0
MEMORY_METRICS: dict[Metric, str] = {
    "rss": "container_memory_rss",
    "working_set": "container_memory_working_set_bytes",
    "usage": "container_memory_usage_bytes",
}
CPU_METRIC = "container_cpu_usage_seconds_total"
RECEIVED_METRIC = "container_network_receive_bytes_total"
LIMITS_METRIC = "kube_pod_container_resource_limits"
SPEC_LIMITS_METRIC = "container_spec_memory_limit_bytes"
RESTARTS_METRIC = "kube_pod_container_status_restarts_total"
LAST_REASON_METRIC = "kube_pod_container_status_last_terminated_reason"
OOM_EVENTS_METRIC = "container_oom_events_total"
PRESSURE_METRIC = "container_pressure_memory_waiting_seconds_total"
"""Seconds in which some process of a cgroup waited for memory (PSI): Kubernetes 1.36, cgroup v2."""
SWAP_METRIC = "container_memory_swap"
SWAP_LIMIT_METRIC = "container_swap_limit_bytes"
PRESSURE_SECONDS = 300.0
"""Seconds over which stalls on memory are averaged, as the kernel's own avg300."""
CLUSTER_LABELS = ("cluster", "cluster_name", "cluster_id", "k8s_cluster", "kubernetes_cluster")
"""Labels by which one Thanos or Mimir tells the clusters in it apart; the first is most usual."""
_POD_LABELS = ("pod", "pod_name")
_CONTAINER_LABELS = (
    "container",
    "container_name",
)  # before Kubernetes 1.16 the kubelet wrote the longer ones
_EXPORTED_PREFIX = (
    "exported_"  # put before an exporter's label where the scrape has one of that name (no honor_labels)
)


class ProbedPrometheus(Protocol):
    """The part of a connection that probing needs."""

    def label_values(self, label: str, matches: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        """The values of a label among the series that match."""

    def series(self, matches: Sequence[str], start: float, end: float) -> tuple[dict[str, str], ...]:
        """The labels of the series that match."""

    def instant_query(self, query: str, at: float | None = None) -> QueryAnswer:
        """The answer to a query at one moment."""


@dataclass(frozen=True)
class MetricSchema:
    """What one Prometheus has of containers and what it calls it.

    Attributes:
        names: Which of the metrics that memtop can use are there.
        pod: The kubelet's label for the pod's name.
        container: The kubelet's label for the container's name.
        state_prefix: What stands before kube-state-metrics' own label names.
        selectors: Matchers that single out this cluster among the kubelet's series.
        state_selectors: The same among the series of kube-state-metrics.
        jobs: The jobs that scrape this cluster's containers; more than one is a series too many for each.
        interval: Seconds between scrapes of the kubelets.
        pods_only: Whether no series of a container has a container label, so that only the sums of pods can
            be told apart.
        known: Whether any of the pods probed for was there; False without a probe.
    """

    names: frozenset[str] = frozenset()
    pod: str = "pod"
    container: str = "container"
    state_prefix: str = ""
    selectors: tuple[str, ...] = ()
    state_selectors: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    interval: float = USUAL_INTERVAL
    pods_only: bool = False
    known: bool = False

    @property
    def memory(self) -> tuple[Metric, ...]:
        """The memory metrics there are, the best for a verdict first."""
        return tuple(metric for metric, name in MEMORY_METRICS.items() if name in self.names)

    @property
    def kube_state(self) -> bool:
        """Whether kube-state-metrics is scraped."""
        return RESTARTS_METRIC in self.names

    def cadvisor_labels(self, *more: str) -> tuple[str, ...]:
        """Labels that name a container in the kubelet's series; where there are only pods, a pod."""
        return ("namespace", self.pod) if self.pods_only else ("namespace", self.pod, self.container, *more)

    def state_labels(self) -> tuple[str, str, str]:
        """Labels that name a container in the series of kube-state-metrics."""
        return (f"{self.state_prefix}namespace", f"{self.state_prefix}pod", f"{self.state_prefix}container")


def probe_schema(prometheus: ProbedPrometheus, pods: Iterable[str], now: float) -> MetricSchema:
    """Finds out what a Prometheus has and what it calls it.

    Args:
        prometheus: The connection.
        pods: Names of pods that run in this cluster; a few are asked for.
        now: The cluster's time, Unix seconds.

    Raises:
        Unreachable: No answer came.
        ApiError: The answer was a refusal.
    """
    start = now - PROBE_SECONDS
    wanted = (
        *MEMORY_METRICS.values(),
        LIMITS_METRIC,
        SPEC_LIMITS_METRIC,
        RESTARTS_METRIC,
        LAST_REASON_METRIC,
        OOM_EVENTS_METRIC,
        PRESSURE_METRIC,
        SWAP_METRIC,
        SWAP_LIMIT_METRIC,
    )
    named = f'__name__=~"{"|".join(wanted)}"'
    few = sorted(set(pods))[:PODS_PROBED]
    one_of = "|".join(name.replace(".", "\\\\.") for name in few)

    def of_pods(label: str) -> tuple[dict[str, str], ...]:
        return prometheus.series([f'{{{named},{label}=~"{one_of}"}}'], start, now) if few else ()

    # The series of a few pods tell it all, and cost the same however large the cluster is.
    found = of_pods(_POD_LABELS[0]) or of_pods(_POD_LABELS[1])
    if not _metric_names(found) & {RESTARTS_METRIC}:
        found += of_pods(f"{_EXPORTED_PREFIX}pod")
    names = _metric_names(found) & frozenset(wanted)
    memory = next((name for name in MEMORY_METRICS.values() if name in names), None)
    if memory is None:
        return MetricSchema(frozenset(prometheus.label_values("__name__", [f"{{{named}}}"], start, now)))
    kubelet = [labels for labels in found if labels.get("__name__") == memory]
    state = [labels for labels in found if labels.get("__name__") == RESTARTS_METRIC]
    pod = _present_label(_POD_LABELS, kubelet)
    cluster = _cluster_label(prometheus, kubelet, pod, memory, start, now)
    return MetricSchema(
        names,
        pod=pod,
        container=_present_label(_CONTAINER_LABELS, kubelet),
        state_prefix=_EXPORTED_PREFIX if any(f"{_EXPORTED_PREFIX}pod" in labels for labels in state) else "",
        selectors=_cluster_selector(cluster, kubelet),
        state_selectors=_cluster_selector(cluster, state),
        interval=_scrape_interval(prometheus, f'{memory}{{{pod}=~"{one_of}"}}', now),
        pods_only=not any(map(_is_container, kubelet)),
        jobs=tuple(sorted({labels.get("job", "") for labels in kubelet if _is_container(labels)})),
        known=True,
    )


def _metric_names(found: Sequence[Mapping[str, str]]) -> frozenset[str]:
    return frozenset(labels.get("__name__", "") for labels in found)


def _scrape_interval(prometheus: ProbedPrometheus, series: str, now: float) -> float:
    """Seconds between scrapes, by the pod that has been there for most of the time."""
    answer = prometheus.instant_query(f"max(count_over_time({series}[{PROBE_SECONDS:.0f}s]))", now)
    counts = [stream.last for stream in answer.streams]
    return PROBE_SECONDS / max(counts) if counts and max(counts) > 1 else USUAL_INTERVAL


def _is_container(labels: Mapping[str, str]) -> bool:
    return any(labels.get(name) not in {None, "", "POD"} for name in _CONTAINER_LABELS)


def _present_label(candidates: tuple[str, str], found: Sequence[Mapping[str, str]]) -> str:
    """The newer label, unless only the older one is there."""
    newer, older = candidates
    if any(newer in labels for labels in found) or not any(older in labels for labels in found):
        return newer
    return older


def _cluster_label(
    prometheus: ProbedPrometheus,
    kubelet: Sequence[Mapping[str, str]],
    pod: str,
    memory: str,
    start: float,
    end: float,
) -> tuple[str, str] | None:
    """The label and value of this cluster, where one Prometheus holds several; the pods known tell which."""
    for label in CLUSTER_LABELS:
        pods_in: Counter[str] = Counter(
            cluster
            for cluster, _ in {(labels[label], labels.get(pod)) for labels in kubelet if label in labels}
        )
        if pods_in:
            values = prometheus.label_values(label, [memory], start, end)
            return (label, pods_in.most_common(1)[0][0]) if len(values) > 1 else None
    return None


def _cluster_selector(cluster: tuple[str, str] | None, found: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    if cluster is None or not any(cluster[0] in labels for labels in found):
        return ()
    value = cluster[1].replace("\\", "\\\\").replace('"', '\\"')
    return (f'{cluster[0]}="{value}"',)


POINTS = 720
"""Samples asked for per window: one per two minutes of a day, several per column of any screen."""
RECENT_SECONDS = 5700.0
"""Seconds back to which every scrape is asked for: a life of minutes shows no growth otherwise.

A verdict looks at every scrape of an hour, and is held from moments up to half an hour ago
(`memtop.observe.past_verdicts`); five minutes more are for what is told late.
"""
MAX_POINTS = 11_000
"""Prometheus refuses a range query of more points per series."""
MIN_STEP = 15.0
"""Seconds; every step is a multiple, so that the moments of a coarse grid are among those of a fine one."""
MIN_GROWTH_SECONDS = 600.0
"""Seconds over which growth is looked for at least; what is younger is asked for anyway."""
PODS_PER_QUERY = 50
MAX_QUERY_LENGTH = 3000
"""Characters; percent-encoded in a URL it must pass proxies that allow 8 KiB of headers."""


@dataclass(frozen=True)
class QueryGrid:
    """The moments of a range query, all Unix seconds; the same moments whenever it is asked again."""

    start: float
    end: float
    step: float

    def starting_at(self, moment: float) -> QueryGrid:
        """The part of it from the last of its moments that is not after the given one."""
        steps = max(0, int((moment - self.start) // self.step))
        return QueryGrid(self.start + steps * self.step, self.end, self.step)


def query_grid(end: float, window: float, points: int = POINTS) -> QueryGrid:
    """The moments to ask for.

    Args:
        end: The newest, Unix seconds; rounded down to a multiple of the step, which lets caches help.
        window: Seconds back from there.
        points: About how many.
    """
    step = math.ceil(window / min(points, MAX_POINTS - 1) / MIN_STEP) * MIN_STEP
    return _aligned_grid(end, window, max(step, MIN_STEP))


def recent_grid(end: float, interval: float) -> QueryGrid:
    """The moments of the last hour, as often as there are scrapes.

    Args:
        end: The newest, Unix seconds.
        interval: Seconds between scrapes.
    """
    return _aligned_grid(end, RECENT_SECONDS, max(MIN_STEP, round(interval / MIN_STEP) * MIN_STEP))


def _aligned_grid(end: float, window: float, step: float) -> QueryGrid:
    last = end // step * step
    return QueryGrid(last - round(window / step) * step, last, step)


def batch_pods(pods: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Cuts (namespace, pod) pairs into parts small enough for one query each."""
    part: list[tuple[str, str]] = []
    length = 0
    for pair in sorted(set(pods)):
        size = len(pair[0]) + len(pair[1]) + 4
        if part and (len(part) == PODS_PER_QUERY or length + size > MAX_QUERY_LENGTH):
            yield part
            part, length = [], 0
        part.append(pair)
        length += size
    if part:
        yield part


def memory_query(schema: MetricSchema, metric: Metric, pods: Sequence[tuple[str, str]]) -> str:
    """Memory of every container of the pods.

    Scrapes by several jobs fall together in the maximum. The cgroup's ``id`` is kept apart, since for five
    minutes a dead container's series stands beside its successor's (see `memtop.history.prometheus_past`).
    """
    return _max_by(schema.cadvisor_labels("id"), _cadvisor_series(MEMORY_METRICS[metric], schema, pods))


def kernel_limits_query(schema: MetricSchema, pods: Sequence[tuple[str, str]]) -> str:
    """Limits as the kernel enforces them; without a limit the kernel says 0, which is none."""
    return _max_by(schema.cadvisor_labels(), _cadvisor_series(SPEC_LIMITS_METRIC, schema, pods)) + " > 0"


def oom_events_query(schema: MetricSchema, pods: Sequence[tuple[str, str]]) -> str:
    """OOM kills counted by the kernel, per cgroup."""
    return _max_by(schema.cadvisor_labels("id"), _cadvisor_series(OOM_EVENTS_METRIC, schema, pods))


def cpu_query(schema: MetricSchema, pods: Sequence[tuple[str, str]], window: float) -> str:
    """Cores that each container uses, on average over some seconds; what a dead cgroup echoes is none."""
    series = _cadvisor_series(CPU_METRIC, schema, pods)
    return _max_by(schema.cadvisor_labels(), f"rate({series}[{window:.0f}s])")


def received_query(schema: MetricSchema, pods: Sequence[tuple[str, str]], window: float) -> str:
    """Bytes a second that each pod receives over all of its interfaces, on average over some seconds."""
    where = ",".join([*schema.selectors, *_pod_matchers(("namespace", schema.pod), pods)])
    pod = ("namespace", schema.pod)
    rates = _max_by((*pod, "interface"), f"rate({RECEIVED_METRIC}{{{where}}}[{window:.0f}s])")
    return f"sum by ({','.join(pod)}) ({rates})"


def declared_limits_query(schema: MetricSchema, pods: Sequence[tuple[str, str]]) -> str:
    """Limits as the pods declare them."""
    return _max_by(
        schema.state_labels(), _kube_state_series(LIMITS_METRIC, schema, pods, ('resource="memory"',))
    )


def restarts_query(schema: MetricSchema, pods: Sequence[tuple[str, str]]) -> str:
    """Restarts since each pod was created."""
    return _max_by(schema.state_labels(), _kube_state_series(RESTARTS_METRIC, schema, pods))


def ended_by_oom_query(schema: MetricSchema, pods: Sequence[tuple[str, str]]) -> str:
    """1 while the last end of a container was an OOM kill.

    It stays 1 for ever, so it says only what kind of end a restart followed.
    """
    return _max_by(
        schema.state_labels(), _kube_state_series(LAST_REASON_METRIC, schema, pods, ('reason="OOMKilled"',))
    )


def child_kills_query(schema: MetricSchema, namespaces: Sequence[str], seconds: float) -> str:
    """How often the kernel's OOM killer struck in each cgroup over some time, where it did.

    Asked of the whole scope, but the answer has only those where something was killed. A counter that begins
    within that time is counted from 0.

    Args:
        schema: What this Prometheus calls things.
        namespaces: Only these; empty for all.
        seconds: Over how long.
    """
    series, labels = _of_containers(schema, OOM_EVENTS_METRIC, namespaces), schema.cadvisor_labels("id")
    now, then = _max_by(labels, series), _max_by(labels, f"{series} offset {seconds:.0f}s")
    return f"({now} - ({then} or {now} * 0)) > 0"


def pressure_query(schema: MetricSchema, namespaces: Sequence[str]) -> str:
    """The share of the time, 0..1, in which some process of each container waited for memory, of late.

    Args:
        schema: What this Prometheus calls things.
        namespaces: Only these; empty for all.
    """
    window = max(PRESSURE_SECONDS, 4 * schema.interval)  # a rate needs two samples and forgives a lost one
    return _max_by(
        schema.cadvisor_labels(),
        f"rate({_of_containers(schema, PRESSURE_METRIC, namespaces)}[{window:.0f}s])",
    )


def gauge_query(schema: MetricSchema, metric: str, namespaces: Sequence[str]) -> str:
    """What a gauge of the kubelet says now of each container where it is not 0.

    Args:
        schema: What this Prometheus calls things.
        metric: Its name.
        namespaces: Only these; empty for all.
    """
    return f"{_max_by(schema.cadvisor_labels(), _of_containers(schema, metric, namespaces))} > 0"


def _of_containers(schema: MetricSchema, metric: str, namespaces: Sequence[str]) -> str:
    where = [*schema.selectors, *_real_containers(schema)]
    if namespaces:
        where.append(_label_matcher("namespace", namespaces))
    return f"{metric}{{{','.join(where)}}}"


def growers_query(
    schema: MetricSchema, metric: Metric, namespaces: Sequence[str], count: int, seconds: float
) -> str:
    """The containers whose memory grew most over some time, and by how many bytes.

    Asked of the whole scope, but a few samples of each container are enough for it. A container that is
    younger than that time is compared with what it held half as long ago, or half of that, and so on.

    Args:
        schema: What this Prometheus calls things.
        metric: Which memory.
        namespaces: Only these; empty for all.
        count: How many containers.
        seconds: Over how long.
    """
    where = [*schema.selectors, *_real_containers(schema)]
    if namespaces:
        where.append(_label_matcher("namespace", namespaces))
    series = f"{MEMORY_METRICS[metric]}{{{','.join(where)}}}"
    agos = [seconds]
    while agos[-1] / 2 >= MIN_GROWTH_SECONDS:
        agos.append(agos[-1] / 2)
    labels = schema.cadvisor_labels()
    then = " or ".join(_max_by(labels, f"{series} offset {ago:.0f}s") for ago in agos)
    return f"topk({count}, {_max_by(labels, series)} - ({then}))"


def oldest_sample_query(schema: MetricSchema, metric: Metric, ago: float) -> str:
    """How many containers had a sample that long ago, in seconds."""
    where = ",".join([*schema.selectors, *_real_containers(schema)])
    return f"count({MEMORY_METRICS[metric]}{{{where}}} offset {ago:.0f}s)"


def quote_promql(value: str) -> str:
    """A PromQL string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def any_of_regex(values: Iterable[str]) -> str:
    """A regular expression (RE2) that matches any of some texts and nothing else."""
    return "|".join(re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value) for value in values)


def _real_containers(schema: MetricSchema) -> tuple[str, ...]:
    """Leaves out cAdvisor's sums over a pod, and the pause containers, where containers have a label.

    Where they have none, the sum of a pod is the largest of its series.
    """
    return () if schema.pods_only else (f'{schema.container}!=""', f'{schema.container}!="POD"')


def _cadvisor_series(metric: str, schema: MetricSchema, pods: Sequence[tuple[str, str]]) -> str:
    places = _pod_matchers(("namespace", schema.pod), pods)
    return f"{metric}{{{','.join([*schema.selectors, *places, *_real_containers(schema)])}}}"


def _kube_state_series(
    metric: str, schema: MetricSchema, pods: Sequence[tuple[str, str]], more: Sequence[str] = ()
) -> str:
    places = _pod_matchers(schema.state_labels()[:2], pods)
    return f"{metric}{{{','.join([*schema.state_selectors, *places, *more])}}}"


def _pod_matchers(labels: tuple[str, str], pods: Sequence[tuple[str, str]]) -> tuple[str, str]:
    return (
        _label_matcher(labels[0], sorted({namespace for namespace, _ in pods})),
        _label_matcher(labels[1], sorted({pod for _, pod in pods})),
    )


def _label_matcher(label: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return f"{label}={quote_promql(values[0])}"
    return f"{label}=~{quote_promql(any_of_regex(values))}"


def _max_by(labels: Sequence[str], expression: str) -> str:
    return f"max by ({','.join(labels)}) ({expression})"
