"""What one Prometheus calls things: probed, since installations differ, and assumed nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from memtop.past import Metric
from memtop.prometheus.answers import Answer

PODS_PROBED = 30
RECENT = 900.0
"""Seconds back in which a series must have had a sample to count."""
USUAL_INTERVAL = 30.0
MEMORY: dict[Metric, str] = {
    "rss": "container_memory_rss",
    "working_set": "container_memory_working_set_bytes",
    "usage": "container_memory_usage_bytes",
}
LIMITS = "kube_pod_container_resource_limits"
SPEC_LIMITS = "container_spec_memory_limit_bytes"
RESTARTS = "kube_pod_container_status_restarts_total"
LAST_REASON = "kube_pod_container_status_last_terminated_reason"
OOM_EVENTS = "container_oom_events_total"
CLUSTER_LABELS = ("cluster", "cluster_name", "cluster_id", "k8s_cluster", "kubernetes_cluster")
"""Labels by which one Thanos or Mimir tells the clusters in it apart; the first is most usual."""
_POD = ("pod", "pod_name")
_CONTAINER = ("container", "container_name")  # before Kubernetes 1.16 the kubelet wrote the longer ones
_EXPORTED = (
    "exported_"  # put before an exporter's label where the scrape has one of that name (no honor_labels)
)


class Asked(Protocol):
    """The part of a connection that probing needs."""

    def label_values(self, label: str, matches: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        """The values of a label among the series that match."""

    def series(self, matches: Sequence[str], start: float, end: float) -> tuple[dict[str, str], ...]:
        """The labels of the series that match."""

    def instant(self, query: str, at: float | None = None) -> Answer:
        """The answer to a query at one moment."""


@dataclass(frozen=True)
class Schema:
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
    known: bool = False

    @property
    def memory(self) -> tuple[Metric, ...]:
        """The memory metrics there are, the best for a verdict first."""
        return tuple(metric for metric, name in MEMORY.items() if name in self.names)

    @property
    def kube_state(self) -> bool:
        """Whether kube-state-metrics is scraped."""
        return RESTARTS in self.names

    def cadvisor_labels(self, *more: str) -> tuple[str, ...]:
        """Labels that name a container in the kubelet's series."""
        return ("namespace", self.pod, self.container, *more)

    def state_labels(self) -> tuple[str, str, str]:
        """Labels that name a container in the series of kube-state-metrics."""
        return (f"{self.state_prefix}namespace", f"{self.state_prefix}pod", f"{self.state_prefix}container")


def probe(prometheus: Asked, pods: Iterable[str], now: float) -> Schema:
    """Finds out what a Prometheus has and what it calls it.

    Args:
        prometheus: The connection.
        pods: Names of pods that run in this cluster; a few are asked for.
        now: The cluster's time, Unix seconds.

    Raises:
        Unreachable: No answer came.
        ApiError: The answer was a refusal.
    """
    start = now - RECENT
    wanted = (*MEMORY.values(), LIMITS, SPEC_LIMITS, RESTARTS, LAST_REASON, OOM_EVENTS)
    named = f'__name__=~"{"|".join(wanted)}"'
    few = sorted(set(pods))[:PODS_PROBED]
    one_of = "|".join(name.replace(".", "\\\\.") for name in few)

    def of_pods(label: str) -> tuple[dict[str, str], ...]:
        return prometheus.series([f'{{{named},{label}=~"{one_of}"}}'], start, now) if few else ()

    # The series of a few pods tell it all, and cost the same however large the cluster is.
    found = of_pods(_POD[0]) or of_pods(_POD[1])
    if not _names(found) & {RESTARTS}:
        found += of_pods(f"{_EXPORTED}pod")
    names = _names(found) & frozenset(wanted)
    memory = next((name for name in MEMORY.values() if name in names), None)
    if memory is None:
        return Schema(frozenset(prometheus.label_values("__name__", [f"{{{named}}}"], start, now)))
    kubelet = [labels for labels in found if labels.get("__name__") == memory]
    state = [labels for labels in found if labels.get("__name__") == RESTARTS]
    pod = _present(_POD, kubelet)
    cluster = _cluster(prometheus, kubelet, pod, memory, start, now)
    return Schema(
        names,
        pod=pod,
        container=_present(_CONTAINER, kubelet),
        state_prefix=_EXPORTED if any(f"{_EXPORTED}pod" in labels for labels in state) else "",
        selectors=_selector(cluster, kubelet),
        state_selectors=_selector(cluster, state),
        interval=_interval(prometheus, f'{memory}{{{pod}=~"{one_of}"}}', now),
        jobs=tuple(sorted({labels.get("job", "") for labels in kubelet if _of_container(labels)})),
        known=True,
    )


def _names(found: Sequence[Mapping[str, str]]) -> frozenset[str]:
    return frozenset(labels.get("__name__", "") for labels in found)


def _interval(prometheus: Asked, series: str, now: float) -> float:
    """Seconds between scrapes, by the pod that has been there for most of the time."""
    answer = prometheus.instant(f"max(count_over_time({series}[{RECENT:.0f}s]))", now)
    counts = [stream.last for stream in answer.streams]
    return RECENT / max(counts) if counts and max(counts) > 1 else USUAL_INTERVAL


def _of_container(labels: Mapping[str, str]) -> bool:
    return any(labels.get(name) not in {None, "", "POD"} for name in _CONTAINER)


def _present(candidates: tuple[str, str], found: Sequence[Mapping[str, str]]) -> str:
    """The newer label, unless only the older one is there."""
    newer, older = candidates
    if any(newer in labels for labels in found) or not any(older in labels for labels in found):
        return newer
    return older


def _cluster(
    prometheus: Asked, kubelet: Sequence[Mapping[str, str]], pod: str, memory: str, start: float, end: float
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


def _selector(cluster: tuple[str, str] | None, found: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    if cluster is None or not any(cluster[0] in labels for labels in found):
        return ()
    value = cluster[1].replace("\\", "\\\\").replace('"', '\\"')
    return (f'{cluster[0]}="{value}"',)
