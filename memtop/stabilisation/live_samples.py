"""Samples and ends of a workload's containers while it is watched: bounded in memory, and kept on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from memtop.analysis.memory_series import Series
from memtop.analysis.stability_evidence import LoadSeries
from memtop.history.past_series import Floats
from memtop.history.sample_archive import LATE_END_SECONDS, ArchiveTick, ArchiveWriter, SampleOwner
from memtop.kube.api_objects import Pod, PodMetrics
from memtop.kube.pod_facts import ContainerKind, container_facts, unix_seconds
from memtop.observe.slots import ContainerLives
from memtop.quantity import bytes_or_none, parse_quantity
from memtop.sanitize import sanitize

MOST_SAMPLES = 3000
"""Of one container; 48 h at one a minute. When they are more, every second of the older half goes."""
MOST_CONTAINERS = 500
"""Kept; the ones that were gone first go first."""


@dataclass(eq=False)
class LiveContainer:
    """One container of one pod, as far as it was seen.

    Attributes:
        pod: The pod's name.
        uid: The pod's uid.
        container: The container's name.
        revision: The hash of the revision that the pod is of.
        created: Creation of the pod, Unix seconds.
        limit: Memory limit, bytes, or None.
        lives: Its ends and starts.
        restarts: Restarts since the pod was created.
        is_present: Whether it was there when one looked last.
        last_seen: When it was there last, Unix seconds.
    """

    pod: str
    uid: str
    container: str
    revision: str
    created: float
    limit: int | None
    lives: ContainerLives
    restarts: int = 0
    is_present: bool = True
    last_seen: float = 0.0
    _times: list[float] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)
    _cores: list[float] = field(default_factory=list)

    def add(self, time: float, value: float, cores: float = math.nan) -> None:
        """Takes in a sample; one that is not newer than the last is no news.

        Args:
            time: When it was taken, Unix seconds.
            value: The working set, bytes.
            cores: CPU in use; NaN where that is not known.
        """
        if self._times and time <= self._times[-1]:
            return
        self._times.append(time)
        self._values.append(value)
        self._cores.append(cores)
        if len(self._times) > MOST_SAMPLES:
            half = MOST_SAMPLES // 2
            del self._times[1:half:2], self._values[1:half:2], self._cores[1:half:2]

    def load(self) -> LoadSeries:
        """The CPU it used, as far as that is known."""
        times, cores = np.array(self._times), np.array(self._cores)
        known = np.isfinite(cores)
        return LoadSeries("cpu", times[known], cores[known])

    def ends(self, *, guess: bool) -> tuple[Floats, Floats]:
        """Restarts and OOM kills, Unix seconds.

        A pod counts its restarts, but only tells of its last end. The others, if memtop was not there to see
        them, are spread evenly over the time before, as kills where all known ends are kills: their number is
        right, their times are not.

        Args:
            guess: Whether to do so; not where somebody else remembers them.
        """
        starts, kills = sorted(self.lives.starts), sorted(self.lives.oom_times())
        unseen = self.restarts - len(starts)
        if guess and unseen > 0:
            until = min((*starts[:1], *kills[:1]), default=self.last_seen)
            spread = np.linspace(self.created, until, unseen + 2)[1:-1].tolist()
            if kills and len(kills) == len(self.lives.ends):
                kills = [*spread, *kills]
            starts = [*spread, *starts]
        return np.array(starts), np.array(kills)

    def series(self, *, guess: bool = True) -> Series:
        """Its samples with its ends; see `ends`."""
        restarts, kills = self.ends(guess=guess)
        limit = float(self.limit) if self.limit is not None else None
        return Series(np.array(self._times), np.array(self._values), restarts, kills, limit)

    @property
    def newest(self) -> tuple[float, float] | None:
        """Time (Unix seconds) and value (bytes) of the last sample; None without any."""
        return (self._times[-1], self._values[-1]) if self._times else None

    @property
    def samples(self) -> int:
        """How many samples are kept."""
        return len(self._times)


class LiveSamples:
    """The containers of one workload.

    Args:
        hash_label: The label that tells revisions apart.
    """

    def __init__(self, hash_label: str) -> None:
        self._hash_label = hash_label
        self._kept: dict[tuple[str, str], LiveContainer] = {}
        self._uids: dict[str, str] = {}

    @property
    def containers(self) -> Mapping[tuple[str, str], LiveContainer]:
        """All that are kept, by pod uid and container."""
        return self._kept

    def take_pods(self, pods: Iterable[Pod], now: float) -> None:
        """Takes in all pods that there are."""
        for one in self._kept.values():
            one.is_present = False
        self._uids = {}
        for pod in pods:
            labels = pod.metadata.labels or {}
            uid, name = pod.metadata.uid, sanitize(pod.metadata.name)
            self._uids[name] = uid
            for facts in container_facts(pod):
                if facts.kind is ContainerKind.INIT:
                    continue
                created = unix_seconds(pod.metadata.creation_timestamp) or now
                key = uid, facts.name
                if key not in self._kept:
                    revision = sanitize(labels.get(self._hash_label, ""))
                    lives = ContainerLives(created, now)
                    self._kept[key] = LiveContainer(name, *key, revision, created, facts.limit, lives)
                one = self._kept[key]
                one.lives.observe(facts, now)
                one.restarts = facts.restarts
                one.limit = facts.limit
                one.is_present, one.last_seen = True, now
        gone = [key for key, one in self._kept.items() if not one.is_present]
        for key in gone[: max(0, len(self._kept) - MOST_CONTAINERS)]:
            del self._kept[key]

    def take_metrics(self, metrics: Iterable[PodMetrics]) -> float | None:
        """Takes in samples of the metrics API; the time of the newest, None without any."""
        newest: float | None = None
        for pod in metrics:
            taken = pod.time
            if taken is None:
                continue
            uid = self._uids.get(sanitize(pod.metadata.name))
            for container in pod.containers if uid is not None else ():
                known = self._kept.get((str(uid), sanitize(container.name)))
                if known is None:
                    continue
                newest = taken if newest is None else max(newest, taken)
                size = bytes_or_none(container.usage.memory)
                if size is not None:
                    cores = parse_quantity(container.usage.cpu)
                    known.add(taken, float(size), math.nan if cores is None else float(cores.value))
        return newest


RECORD_SECONDS = 30.0
"""Seconds between two samples of a container: one workload has room for more than a cluster."""


class SampleRecorder:
    """Appends to the samples of a cluster, unless another memtop does so. Its methods block.

    Args:
        folder: The cluster's.
        namespace: That of all its containers.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._writer = ArchiveWriter(folder)
        self._namespace = namespace
        self._written_at = float("-inf")

    def keep(self, watched: Iterable[LiveContainer], now: float) -> str:
        """Writes what is new, if it is time; why it could not, if so.

        Args:
            watched: The containers.
            now: The cluster's time, Unix seconds.
        """
        if now < self._written_at + RECORD_SECONDS:
            return ""
        return self._write(list(watched), now)

    def _write(self, watched: list[LiveContainer], now: float) -> str:
        news = [one for one in watched if one.newest is not None and one.newest[0] > self._written_at]
        if not news:
            return ""
        ends = [
            (place, at, oom)
            for place, one in enumerate(news)
            for oom, moments in ((False, one.lives.starts), (True, one.lives.oom_times()))
            for at in moments
            if at > self._written_at - LATE_END_SECONDS
        ]
        newest = np.array([one.newest for one in news], np.float64)
        tick = ArchiveTick(
            now,
            [SampleOwner(one.uid, one.container) for one in news],
            newest[:, 0],
            newest[:, 1].astype(np.float32),
            ends,
            [(self._namespace, one.pod) for one in news],
        )
        try:
            self._writer.append(tick)
        except OSError as error:
            return f"samples cannot be kept on disk: {error.strerror or error}"
        self._written_at = now
        return ""

    def close(self, watched: Iterable[LiveContainer], now: float) -> None:
        """Writes what is new, whether or not it is time, and lets another memtop write."""
        self._write(list(watched), now)
        self._writer.close()
