"""Keeps what a watch sees on disk, so that another one, later, knows it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from memtop.observe.archive import LATE, Tick, Whose, Writer
from memtop.stabilisation.lately import Watched

EVERY = 30.0
"""Seconds between two samples of a container: one workload has room for more than a cluster."""


class Record:
    """Appends to the samples of a cluster, unless another memtop does so. Its methods block.

    Args:
        folder: The cluster's.
        namespace: That of all its containers.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._writer = Writer(folder)
        self._namespace = namespace
        self._written_at = float("-inf")

    def keep(self, watched: Iterable[Watched], now: float) -> str:
        """Writes what is new, if it is time; why it could not, if so.

        Args:
            watched: The containers.
            now: The cluster's time, Unix seconds.
        """
        if now < self._written_at + EVERY:
            return ""
        return self._write(list(watched), now)

    def _write(self, watched: list[Watched], now: float) -> str:
        news = [one for one in watched if one.newest is not None and one.newest[0] > self._written_at]
        if not news:
            return ""
        ends = [
            (place, at, oom)
            for place, one in enumerate(news)
            for oom, moments in ((False, one.lives.starts), (True, one.lives.oom_times()))
            for at in moments
            if at > self._written_at - LATE
        ]
        newest = np.array([one.newest for one in news], np.float64)
        tick = Tick(
            now,
            [Whose(one.uid, one.container) for one in news],
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

    def close(self, watched: Iterable[Watched], now: float) -> None:
        """Writes what is new, whether or not it is time, and lets another memtop write."""
        self._write(list(watched), now)
        self._writer.close()
