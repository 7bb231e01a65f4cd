"""metrics.k8s.io as metrics-server serves it: usage of every running container, renewed every 15 seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from memtop.demo.container_runs import Phase, Run
from memtop.demo.memory_curves import levels
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_pod import Container, SimulatedPod
from memtop.demo.simulated_time import rfc3339

RESOLUTION = 15.0  # seconds
WINDOW = "15.0s"
YOUNGEST = 2 * RESOLUTION  # a container needs two scrapes before it has figures


class MetricsServer:
    """Serves pod and node metrics of a cluster, computed once per resolution step."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._tick = -math.inf
        self._items: dict[tuple[str, str], tuple[SimulatedPod, bytes]] = {}
        self._nodes: dict[str, tuple[float, float]] = {}

    def pods(self, namespace: str | None, test: Callable[[Mapping[str, str]], bool] | None) -> bytes:
        """Return the encoded PodMetricsList of a namespace, or of all."""
        items = [
            item
            for key, (pod, item) in self._scrape().items()
            if (namespace is None or key[0] == namespace) and (test is None or test(pod.labels))
        ]
        return _list("PodMetricsList", items)

    def pod(self, namespace: str, name: str) -> bytes | None:
        """Return one pod's encoded metrics, None while it has none."""
        found = self._scrape().get((namespace, name))
        if found is None:
            return None
        return b'{"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1",' + found[1][1:]

    def nodes(self) -> bytes:
        """Return the encoded NodeMetricsList."""
        self._scrape()
        return _list("NodeMetricsList", [self._node(name) for name in sorted(self._nodes)])

    def node(self, name: str) -> bytes | None:
        """Return one node's encoded metrics."""
        self._scrape()
        if name not in self._nodes:
            return None
        return b'{"kind":"NodeMetrics","apiVersion":"metrics.k8s.io/v1beta1",' + self._node(name)[1:]

    def _node(self, name: str) -> bytes:
        memory, cpu = self._nodes[name]
        labels = (self._cluster.node_object(name) or {"metadata": {}})["metadata"].get("labels", {})
        document = {
            "metadata": {"name": name, "creationTimestamp": rfc3339(self._tick), "labels": labels},
            "timestamp": rfc3339(self._tick),
            "window": WINDOW,
            "usage": {"cpu": f"{int(cpu * 1e9)}n", "memory": f"{int(memory) // 1024}Ki"},
        }
        return msgspec.json.encode(document)

    def _scrape(self) -> dict[tuple[str, str], tuple[SimulatedPod, bytes]]:
        tick = math.floor(self._cluster.clock.now() / RESOLUTION) * RESOLUTION
        if tick == self._tick:
            return self._items
        self._tick = tick
        measured: list[tuple[SimulatedPod, list[tuple[Container, Run]]]] = []
        for pod in self._cluster.pods.values():
            running = _running(pod, tick)
            if running:
                measured.append((pod, running))
        memory = self._measure([pair for _, running in measured for pair in running], tick)
        host = {host.name: (0.06 * host.memory, 0.2) for host in self._cluster.hosts}
        self._items = {}
        index = 0
        for pod, running in measured:
            usage = memory[index : index + len(running)]
            index += len(running)
            cores = [container.cores_of(run) for container, run in running]
            self._items[pod.key] = (pod, _item(pod, running, usage, cores, tick))
            before = host[str(pod.node)]
            host[str(pod.node)] = (before[0] + sum(usage), before[1] + sum(cores))
        self._nodes = host
        return self._items

    @staticmethod
    def _measure(pairs: list[tuple[Container, Run]], tick: float) -> list[float]:
        if not pairs:
            return []
        parameters = np.array([run.curve.row() for _, run in pairs]).T
        starts = np.array([run.start for _, run in pairs])
        seeds = np.array([run.seed for _, run in pairs], dtype=np.uint64)
        result: list[float] = levels(parameters, tick - starts, np.full(len(pairs), tick), seeds).tolist()
        return result


def _running(pod: SimulatedPod, tick: float) -> list[tuple[Container, Run]]:
    """Return the containers with their runs, nothing unless every one has been up for long enough."""
    if pod.deleted is not None:
        return []
    found = []
    for container in pod.mains:
        state = container.timeline.state(tick)
        if state.phase is not Phase.RUNNING or state.run is None or tick - state.run.start < YOUNGEST:
            return []
        found.append((container, state.run))
    return found


def _item(
    pod: SimulatedPod,
    running: list[tuple[Container, Run]],
    usage: list[float],
    cores: list[float],
    tick: float,
) -> bytes:
    when = rfc3339(tick)
    metadata = {"name": pod.name, "namespace": pod.namespace, "creationTimestamp": when, "labels": pod.labels}
    containers = [
        {
            "name": container.name,
            "usage": {"cpu": f"{int(cpu * 1e9)}n", "memory": f"{int(memory) // 1024}Ki"},
        }
        for (container, _), memory, cpu in zip(running, usage, cores, strict=True)
    ]
    document = {"metadata": metadata, "timestamp": when, "window": WINDOW, "containers": containers}
    return msgspec.json.encode(document)


def _list(kind: str, items: list[bytes]) -> bytes:
    head = f'{{"kind":"{kind}","apiVersion":"metrics.k8s.io/v1beta1","metadata":{{}},"items":['.encode()
    return head + b",".join(items) + b"]}"
