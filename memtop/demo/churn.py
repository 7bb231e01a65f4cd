"""Pod changes for no reason, as busy clusters have them; for benchmarks."""

from __future__ import annotations

import asyncio
import math

from memtop.demo.cluster import Cluster
from memtop.demo.curves import seed_of
from memtop.demo.pod import Pod

TICK = 0.05  # real seconds; several changes may fall into one
REPLACED_EVERY = 10  # every so many changes a pod is replaced instead of touched


async def churn(cluster: Cluster, per_second: float) -> None:
    """Change ordinary pods for ever.

    Args:
        cluster: whose pods.
        per_second: changes per real second.
    """
    loop = asyncio.get_running_loop()
    began, done = loop.time(), 0
    names = list(cluster.pods)
    while True:
        await asyncio.sleep(TICK)
        due = int((loop.time() - began) * per_second)
        for number in range(done, due):
            now = cluster.clock.now()
            pod = _chosen(cluster, names, number, now)
            if pod is None:
                names = list(cluster.pods)
            elif number % REPLACED_EVERY == 0:
                cluster.delete_pod(pod, now)
            else:
                pod.touched = now
                cluster.refresh(pod, now)
        done = due


def _chosen(cluster: Cluster, names: list[tuple[str, str]], number: int, now: float) -> Pod | None:
    """Return a pod that has no story of its own; None when the names at hand are of pods long gone."""
    for attempt in range(8):
        pod = cluster.pods.get(names[seed_of(cluster.seed, number, attempt) % len(names)])
        if pod is None:
            return None
        replaceable = pod.owner is not None and pod.owner["kind"] == "ReplicaSet"
        if replaceable and pod.deleted is None and math.isinf(pod.next_change(now)) and pod.evicted is None:
            return pod
    return None
