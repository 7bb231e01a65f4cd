"""What an application says of its own memory: ``/health/memory`` of its pods, through the API server's proxy.

It is asked only where the workload says by annotation which port serves it: a request to a port that nobody
named may do anything. One GET a pod, a few pods, a short wait, and an answer of some kilobytes at most.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final
from urllib.parse import quote

import msgspec

from memtop.kube.api_errors import CLUSTER_FAILURES
from memtop.kube.client import Client
from memtop.sanitize import sanitize
from memtop.wording import bytes_, share

HEALTH_ANNOTATION: Final = "memtop/health-memory"
"""On a workload: ``8080``, or ``8080/internal/memory`` where the path is another."""
HEALTH_PATH: Final = "/health/memory"
MOST_PODS = 3
LONGEST_WAIT = 3.0
"""Seconds; a health endpoint that takes longer is no healthy one."""
MOST_BYTES = 64 * 1024
_SAID: Final = re.compile(r"(?P<port>\d{1,5})(?P<path>/[\w./~-]*)?")
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "heap": ("heapUsed", "heap_used", "heapAlloc", "heap_alloc", "usedHeap"),
    "heap_limit": ("heapLimit", "heap_limit", "heapMax", "heap_max", "limit"),
    "rss": ("rss", "RSS", "residentSetSize"),
    "external": ("external", "nonHeap", "non_heap", "offHeap"),
}
"""What memtop's own snippets call each figure, and what others do."""


@dataclass(frozen=True)
class HealthReading:
    """What one pod says of its memory; None where it does not say it.

    Attributes:
        pod: Its name.
        heap: Of the heap in use, bytes.
        heap_limit: Where the heap ends, bytes.
        rss: Resident memory, bytes.
        external: Beside the heap, bytes.
    """

    pod: str
    heap: float | None = None
    heap_limit: float | None = None
    rss: float | None = None
    external: float | None = None

    def words(self) -> str:
        """One line for people."""
        parts = []
        if self.heap is not None:
            of = (
                f" of {bytes_(self.heap_limit)} ({share(self.heap / self.heap_limit)})"
                if self.heap_limit
                else ""
            )
            parts.append(f"heap {bytes_(self.heap)}{of}")
        parts += [f"RSS {bytes_(self.rss)}"] if self.rss is not None else []
        parts += [f"external {bytes_(self.external)}"] if self.external is not None else []
        return f"{self.pod} says by {HEALTH_PATH}: {', '.join(parts)}"


def health_target(annotations: Mapping[str, str]) -> tuple[int, str] | None:
    """Port and path that a workload names; None where it names none.

    Raises:
        ValueError: What it says makes no sense; a sentence.
    """
    said = annotations.get(HEALTH_ANNOTATION)
    if said is None:
        return None
    found = _SAID.fullmatch(said.strip())
    if found is None or not 0 < int(found["port"]) < 65536 or ".." in said:
        raise ValueError(f"{HEALTH_ANNOTATION}: {sanitize(said)[:80]!r} is no port such as 8080 or 8080/path")
    return int(found["port"]), found["path"] or HEALTH_PATH


def health_reading(pod: str, body: bytes) -> HealthReading | None:
    """The figures in an answer; None where it holds none that is known.

    Args:
        pod: Whose it is.
        body: JSON.
    """
    try:
        answer = msgspec.json.decode(body[:MOST_BYTES], type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    figures: dict[str, float] = {}
    for figure, names in _NAMES.items():
        for name in names:
            value = answer.get(name)
            if (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and isfinite(value)
                and value >= 0
            ):
                figures[figure] = float(value)
                break
    return HealthReading(pod, **figures) if figures.keys() & {"heap", "rss", "external"} else None


async def read_health(
    client: Client, namespace: str, pods: Sequence[str], annotations: Mapping[str, str]
) -> tuple[tuple[HealthReading, ...], tuple[str, ...]]:
    """Asks some pods of a workload, where it says which port serves it.

    Args:
        client: The connection.
        namespace: Of the pods.
        pods: Their names, the most interesting first.
        annotations: Of the workload.

    Returns:
        What they say, and why others say nothing, one sentence each.
    """
    try:
        target = health_target(annotations)
    except ValueError as error:
        return (), (str(error),)
    if target is None:
        return (), ()
    port, path = target
    readings: list[HealthReading] = []
    problems: list[str] = []

    async def ask(pod: str) -> None:
        proxied = (
            f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}:{port}/proxy{path}"
        )
        try:
            answer = await client.request("GET", proxied, accept="application/json", timeout=LONGEST_WAIT)
        except CLUSTER_FAILURES as error:
            problems.append(f"{path} of {pod}: {sanitize(str(error))[:200]}")
            return
        found = health_reading(pod, answer.body)
        if found is None:
            problems.append(f"{path} of {pod}: its answer holds no figure that is known")
        else:
            readings.append(found)

    await asyncio.gather(*(ask(pod) for pod in list(dict.fromkeys(pods))[:MOST_PODS]))
    return tuple(sorted(readings, key=lambda one: one.pod)), tuple(sorted(problems))
