"""What others remember of a workload's pods, the dead ones too: Prometheus, and samples kept on disk."""

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

from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.sanitize import sanitize
from memtop.observe.archive import pods_of, read
from memtop.past import DISK, ContainerName, Metric, Past
from memtop.retry import LONGEST_DELAY, Backoff
from memtop.stabilisation.change import Change, of_set

if TYPE_CHECKING:
    from config.settings import Prometheus as PrometheusSettings
    from memtop.prometheus.connection import Prometheus
    from memtop.prometheus.labels import Schema

BEFORE = 24 * 3600.0
"""Seconds before a change that count as before."""
DRAIN = 1800.0
"""Seconds after a change for which old pods may still be there."""
POINTS = 1440
"""Samples of a container asked for, of each side."""
MOST_NAMES = 200
"""Containers asked for; those of a workload of more are alike enough."""
MOST_OFTEN = 60.0
"""Speed of the cluster's clock from which on questions are a second apart here."""
PATIENCE = 60.0
"""Seconds between two attempts to reach a Prometheus that does not answer."""
REFRESH = 60.0
"""Seconds of the cluster's clock between two questions; scrapes are 15 to 60 s apart."""


Pasts = dict[tuple[ContainerName, Metric], Past]


@dataclass(eq=False)
class Memory:
    """What is remembered: samples by container and metric.

    Attributes:
        before: Of the time before the change, and until the old pods are gone.
        after: Since the change.
        metric: What growth is judged on where it is known.
        words: How the asking went, in one sentence.
        reached: Cluster time of the newest sample, Unix seconds; None without any.
    """

    before: Pasts = field(default_factory=dict)
    after: Pasts = field(default_factory=dict)
    metric: Metric = "working_set"
    words: str = ""
    reached: float | None = None


def pattern(change: Change) -> str:
    """A regular expression (RE2 and Python) for the names of a workload's pods, of all revisions compared.

    A Deployment's pods are named after their ReplicaSet, with five characters more; a DaemonSet's after it;
    a StatefulSet's have a number. Names too long for the rest to fit in 63 characters are cut
    (k8s.io/apiserver, pkg/storage/names/generate.go).
    """
    match change.ref.kind:
        case "Deployment":
            return "|".join(f"{_literal(f'{one.name}-'[:58])}[a-z0-9]{{5}}" for one in change.revisions)
        case "StatefulSet":
            return f"{_literal(change.ref.name)}-[0-9]+"
        case _:
            return f"{_literal(f'{change.ref.name}-'[:58])}[a-z0-9]{{5}}"


def _age(change: Change, pod: str) -> int:
    """How many revisions ago a Deployment's pod was made, so that the newest are asked for first."""
    fits = (place for place, one in enumerate(change.revisions) if of_set(one, pod))
    return next(fits, 0) if change.ref.kind == "Deployment" else 0


def _literal(name: str) -> str:
    return name.replace(".", r"\.")  # the only character of a name that means something else


class FromPrometheus:
    """A Prometheus, found and asked when it is time; it may die and come back.

    Args:
        client: The connection to the API server.
        settings: How to find and ask it.
        speed: Seconds of cluster time per second here.
    """

    def __init__(self, client: Client, settings: PrometheusSettings, speed: float = 1.0) -> None:
        self.memory = Memory(metric=settings.metric)
        self._client = client
        self._settings = settings
        self._pause = REFRESH * max(1.0, speed / MOST_OFTEN)
        patience = max(1.0, PATIENCE / speed)
        self._backoff = Backoff(first=patience, longest=max(patience, LONGEST_DELAY))
        self._stack = contextlib.AsyncExitStack()
        self._prometheus: Prometheus | None = None
        self._where = ""
        self._next = float("-inf")
        self._next_try = float("-inf")
        self._of: tuple[int, str] | None = None
        self._before_until = float("-inf")

    async def refresh(self, change: Change, living: Sequence[str], now: float) -> None:
        """Asks, if it is time; what cannot be learned is said in `memory.words`, and what was known stays.

        Args:
            change: The change that is watched.
            living: Names of pods that live now, by which it is known what this Prometheus calls things.
            now: The cluster's time, Unix seconds.
        """
        clock = asyncio.get_running_loop().time
        if change.key != self._of:
            self._of, self._before_until, self._next = change.key, float("-inf"), float("-inf")
            self.memory.before, self.memory.after = {}, {}
        if now < self._next or clock() < self._next_try:
            return
        # What speaks HTTP the blocking way takes a sixth of a second to import.
        reach = await aside(importlib.import_module, "memtop.prometheus.reach")
        try:
            if self._prometheus is None:
                found = await self._stack.enter_async_context(reach.reach(self._client, self._settings))
                self._prometheus, self._where = found.prometheus, found.where
            await self._ask(self._prometheus, change, living, now)
            self._next = now + self._pause
            self._backoff.reset()
        except (ApiError, Unreachable, CredentialError, KubeconfigError, reach.NotFoundError) as error:
            self.memory.words = f"Prometheus: {sanitize(str(error))}"
            self._next_try = clock() + self._backoff.after(error)
            await self.close()

    def hurry(self) -> None:
        """Makes it time to ask."""
        self._next = self._next_try = float("-inf")

    async def close(self) -> None:
        """Ends the connection."""
        self._prometheus = None
        await self._stack.aclose()

    async def _ask(self, prometheus: Prometheus, change: Change, living: Sequence[str], now: float) -> None:
        from memtop.prometheus import labels  # noqa: PLC0415  (with what speaks HTTP the blocking way)

        schema = await aside(labels.probe, prometheus, living, now)
        if not schema.memory:
            self.memory.words = f"Prometheus at {self._where} knows no memory of containers"
            return
        # Once the old pods are gone, nothing more comes of the time before.
        if self._before_until < change.at + DRAIN:
            until = min(now, change.at + DRAIN)
            self.memory.before = await self._told(prometheus, schema, change, change.at - BEFORE, until)
            self._before_until = now
        self.memory.after = await self._told(prometheus, schema, change, change.at, now)
        ends = [past.times[-1] for past in self.memory.after.values() if len(past)]
        self.memory.reached = float(max(ends)) if ends else None
        known = self.memory.before or self.memory.after
        self.memory.words = f"Prometheus at {self._where}{'' if known else ' knows none of these pods'}"

    async def _told(
        self, prometheus: Prometheus, schema: Schema, change: Change, start: float, end: float
    ) -> Pasts:
        """What it knows of a stretch of time; of its last hour every scrape, since some lives are short."""
        from memtop.prometheus import history, queries  # noqa: PLC0415

        if end - start < queries.SHORTEST_STEP:
            return {}
        names = await aside(_names, prometheus, schema, change, start, end)
        metrics: tuple[Metric, ...] = tuple(dict.fromkeys(("working_set", self.memory.metric)))
        whole = queries.grid(end, end - start, POINTS)
        told = (await aside(history.ask, prometheus, schema, names, metrics, whole, names)).pasts
        fine = queries.recent(end, schema.interval)
        if fine.step < whole.step and fine.start > whole.start:
            recent = (await aside(history.ask, prometheus, schema, names, metrics, fine, names)).pasts
            for key, news in recent.items():
                old = told.get(key)
                told[key] = news if old is None else history.extended(old, news, fine.start, whole)
        return told


def _names(
    prometheus: Prometheus, schema: Schema, change: Change, start: float, end: float
) -> list[ContainerName]:
    """The containers that pods of all revisions compared had. Blocks."""
    from memtop.prometheus import queries  # noqa: PLC0415
    from memtop.prometheus.labels import MEMORY  # noqa: PLC0415

    namespace = queries.quote(change.ref.namespace)
    where = [
        *schema.selectors,
        f"namespace={namespace}",
        f"{schema.pod}=~{queries.quote(pattern(change))}",
        f'{schema.container}!=""',
        f'{schema.container}!="POD"',
    ]
    found = prometheus.series([f"{MEMORY[schema.memory[0]]}{{{','.join(where)}}}"], start, end)
    wanted = set(change.revision.limits)
    names = {
        ContainerName(change.ref.namespace, labels[schema.pod], labels[schema.container])
        for labels in found
        if labels.get(schema.container) in wanted and schema.pod in labels
    }
    return sorted(names, key=lambda name: (_age(change, name.pod), name))[:MOST_NAMES]


def from_disk(folder: Path, change: Change, now: float) -> Pasts:
    """What memtop itself saw and kept of the pods of all revisions compared. Blocks.

    Args:
        folder: The cluster's.
        change: Whose pods.
        now: Unix seconds.
    """
    since = change.at - BEFORE
    fits = re.compile(pattern(change)).fullmatch
    of_pod = {
        whose: pod
        for whose, pod in pods_of(folder, change.ref.namespace, since).items()
        if fits(pod) and whose.container in change.revision.limits
    }
    wanted = sorted(of_pod, key=lambda whose: _age(change, of_pod[whose]))[:MOST_NAMES]
    found: Pasts = {}
    for whose, kept in read(folder, wanted, since).items():
        name = ContainerName(change.ref.namespace, of_pod[whose], whose.container)
        known = np.isfinite(kept.values) & (kept.times <= now)
        past = Past("working_set", DISK, kept.times[known], kept.values[known], kept.restarts, kept.oom_kills)
        if len(past):
            found[name, "working_set"] = _both(found.get((name, "working_set")), past)
    return found


def _both(one: Past | None, other: Past) -> Past:
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
