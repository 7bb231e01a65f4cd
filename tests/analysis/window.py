"""Where and how a made-up container is watched, and what its memory is put together from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

MIB = float(2**20)


@dataclass
class Window:
    """Where and how a container is watched; `u` runs from 0 to 1 over the window."""

    random: np.random.Generator
    time: np.ndarray
    base: float
    noise: float
    restarts: list[float] = field(default_factory=list)
    rate: float = 0.0
    limit: float | None = None

    @property
    def u(self):
        return (self.time - self.time[0]) / (self.time[-1] - self.time[0])

    @property
    def hours(self):
        return (self.time[-1] - self.time[0]) / 3600

    def growth(self, low=1.0, high=4.0):
        """A growth over the window that can be seen."""
        return max(8 * self.noise, 0.03 * self.base) * self.random.uniform(low, high)

    def between(self, low, high):
        return self.random.uniform(low, high)

    def cut(self, *shares):
        self.restarts = [float(self.time[0] + share * (self.time[-1] - self.time[0])) for share in shares]
        return np.searchsorted(self.restarts, self.time, "right")

    def age(self, *shares):
        """Seconds since the last restart, as a share of the window."""
        life = self.cut(*shares)
        return self.u - np.array([0.0, *shares])[life], life

    def leaks(self, growth):
        self.rate = growth / self.hours
        return growth


def teeth(w, period, height, jitter=0.15):
    """A GC saw of `period` (share of the window), whose teeth differ."""
    edges = np.cumsum(
        period * (1 + jitter * w.random.uniform(-1, 1, int(3 / period) + 3))
    ) - period * w.between(0, 1)
    tooth = np.searchsorted(edges, w.u)
    start = np.concatenate([[edges[0] - period], edges])[tooth]
    phase = np.clip((w.u - start) / period, 0, 1.2)
    heights = height * (1 + jitter * w.random.uniform(-1, 1, len(edges) + 1))
    return heights[tooth] * phase


def day(w, height):
    at = w.time + w.between(0, 86400)
    return height * (0.5 + 0.5 * np.sin(2 * np.pi * at / 86400)) ** w.between(0.8, 1.6)


def batches(w, count, height, width=0.02):
    centre = (np.arange(count) + w.between(0.2, 0.8)) / count
    return height * sum((np.abs(w.u - c) < width / 2) * 1.0 for c in centre)


def ou(w, sd, memory):
    """Noise that remembers `memory` samples (an Ornstein-Uhlenbeck process)."""
    keep = np.exp(-1 / memory)
    steps = w.random.normal(0, sd * np.sqrt(1 - keep**2), len(w.time))
    out = np.empty(len(w.time))
    now = w.random.normal(0, sd)
    for index, step in enumerate(steps):
        now = keep * now + step
        out[index] = now
    return out
