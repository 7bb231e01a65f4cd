"""Kinds of memory behaviour that no bench has: composites, cuts, coarse values, broken sampling.

Every kind is a function from a `Window` to bytes (and restarts); `make` draws the window, adds what measuring
does to it, and says what a careful person would call it. Leaks are made so that one could see them: the
growth over the window is at least eight times the noise and 3 % of the memory in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from memtop.growth import Series

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


@dataclass(frozen=True)
class Made:
    kind: str
    series: Series
    leak: bool
    labels: frozenset[str]
    rate: float


Kind = Callable[[Window], np.ndarray]
LEAKS: dict[str, Kind] = {}
HEALTHY: dict[str, tuple[Kind, frozenset[str]]] = {}


def leak(function):
    LEAKS[function.__name__] = function
    return function


def healthy(*labels):
    def register(function):
        HEALTHY[function.__name__] = (function, frozenset(labels))
        return function

    return register


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


# leaks


@leak
def plain(w):
    return w.leaks(w.growth()) * w.u


@leak
def late_leak(w):
    onset = w.between(0.25, 0.55)
    growth = w.growth(1.5, 4)
    w.rate = growth / (1 - onset) / w.hours
    return growth * np.maximum(w.u - onset, 0) / (1 - onset)


@leak
def after_warmup(w):
    growth = w.leaks(w.growth(2, 5))
    return growth * w.u + w.between(0.2, 0.6) * growth * (1 - np.exp(-w.u / w.between(0.02, 0.06)))


@leak
def step_then_leak(w):
    growth = w.leaks(w.growth(2, 5))
    return growth * w.u + w.between(0.2, 0.5) * growth * (w.u > w.between(0.2, 0.5))


@leak
def deploy_then_leak(w):
    at = w.between(0.15, 0.4)
    age, life = w.age(at)
    growth = w.growth(2, 5)
    w.rate = growth / (1 - at) / w.hours
    return np.where(life == 1, growth * age / (1 - at), w.between(-0.2, 0.2) * w.base)


@leak
def two_rates(w):
    bend, ratio = w.between(0.35, 0.65), w.random.choice([0.5, 2.0, 2.5])
    shape = w.u + (ratio - 1) * np.maximum(w.u - bend, 0)
    growth = w.growth(2, 5)
    w.rate = growth / shape[-1] * ratio / w.hours
    return growth * shape / shape[-1]


@leak
def under_batches(w):
    growth = w.leaks(w.growth(2, 4))
    return growth * w.u + batches(w, int(w.between(4, 12)), growth * w.between(0.5, 2))


@leak
def under_teeth(w):
    growth = w.leaks(w.growth(1.5, 4))
    return growth * w.u + teeth(w, w.between(0.03, 0.12), growth * w.between(0.5, 2))


@leak
def under_growing_teeth(w):
    growth = w.leaks(w.growth(2, 4))
    return growth * w.u + teeth(w, w.between(0.02, 0.08), growth) * (0.5 + w.u * w.between(0, 1))


@leak
def under_days(w):
    if w.hours < 23:
        return w.leaks(w.growth()) * w.u
    growth = w.leaks(w.growth(2, 5))
    return growth * w.u + day(w, growth * w.between(0.3, 0.8))


@leak
def in_stairs(w):
    growth = w.leaks(w.growth(2, 4))
    count = int(w.between(10, 40))
    edges = np.sort((np.arange(count) + w.random.uniform(0.2, 0.8, count)) / count)
    return growth * np.searchsorted(edges, w.u) / count


@leak
def across_deploys(w):
    cuts = np.sort(w.random.uniform(0.1, 0.9, int(w.between(1, 4))))
    age, _ = w.age(*cuts)
    growth = w.growth(1.5, 4)
    longest = np.diff([0, *cuts, 1]).max()
    w.rate = growth / longest / w.hours
    return growth * age / longest


@leak
def oom_few_samples(w):
    count = int(np.clip(len(w.time) / w.between(5, 9), 4, 40))
    age, _ = w.age(*((np.arange(1, count)) / count + w.random.uniform(-0.1, 0.1, count - 1) / count))
    growth = w.base * w.between(0.8, 2)
    w.rate = growth * count / w.hours
    w.limit = w.base + growth
    return growth * count * age


@leak
def crash_loop(w):
    count = int(np.clip(len(w.time) / 20, 3, 10))
    age, _ = w.age(*(np.arange(1, count) / count))
    growth = w.base * w.between(0.5, 2)
    gap = w.between(0.1, 0.4) / count
    w.rate = growth / (1 / count - gap) / w.hours
    # After each kill the back-off is waited out unseen: the samples of that time are missing.
    return np.where(age < 1 / count - gap, growth * age / (1 / count - gap), np.nan)


@leak
def oom_with_teeth(w):
    count = int(w.between(3, 6))
    age, _ = w.age(*(np.arange(1, count) / count))
    growth = w.base * w.between(0.8, 2)
    w.rate = growth * count / w.hours
    return growth * count * age + teeth(w, 1 / count / w.between(5, 9), growth * 0.15)


@leak
def accelerating(w):
    growth = w.growth(2, 5)
    power = w.between(1.5, 2.5)
    w.rate = growth * power / w.hours
    return growth * w.u**power


@leak
def in_noise(w):
    growth = w.leaks(8 * w.noise * w.between(1, 1.5) + 0.02 * w.base)
    return growth * w.u


@leak
def under_slow_noise(w):
    growth = w.leaks(w.growth(1.5, 4))
    return growth * w.u + np.abs(ou(w, growth * 0.1, len(w.time) / 60))


# healthy

ANY = ("steady", "step", "spike", "sawtooth", "warmup")


@healthy("steady")
def flat(w):
    return np.zeros(len(w.time))


@healthy("steady", "spike", "sawtooth")
def slow_noise(w):
    return ou(w, w.base * w.between(0.005, 0.03), len(w.time) / w.between(60, 200))


@healthy("steady", "spike", "sawtooth")
def load(w):
    return w.base * 0.05 * np.exp(ou(w, 0.6, w.between(3, 15)))


@healthy("sawtooth")
def saw(w):
    return teeth(w, w.between(0.02, 0.15), w.base * w.between(0.1, 0.6))


@healthy("sawtooth")
def saw_of_growing_teeth(w):
    return teeth(w, w.between(0.02, 0.08), w.base * 0.3) * (0.6 + w.u * w.between(0.2, 1))


@healthy(*ANY)
def few_teeth(w):
    return teeth(w, w.between(0.2, 0.45), w.base * w.between(0.1, 0.5))


@healthy("steady", "spike", "sawtooth")
def daily(w):
    if w.hours < 23:
        return np.zeros(len(w.time))
    return day(w, w.base * w.between(0.05, 0.4))


@healthy("step", "steady")
def step_on_days(w):
    height = w.base * w.between(0.2, 0.6)
    if w.hours < 23:
        return height * (w.u > w.between(0.2, 0.8))
    return height * (w.u > w.between(0.2, 0.8)) + day(w, height * 0.3)


@healthy("steady", "spike", "sawtooth", "step")
def weekly(w):
    if w.hours < 100:
        return np.zeros(len(w.time))
    at = w.time + w.between(0, 7 * 86400)
    return day(w, w.base * 0.2) * np.where(at / 86400 % 7 < 5, 1.0, 0.3)


@healthy("warmup", "step")
def warmup_each_deploy(w):
    age, _ = w.age(*np.sort(w.random.uniform(0.25, 0.6, int(w.between(1, 3)))))
    return w.base * w.between(0.2, 0.6) * (1 - np.exp(-age / w.between(0.03, 0.07)))


@healthy("warmup", "step")
def warmup(w):
    return w.base * w.between(0.2, 0.6) * (1 - np.exp(-w.u / w.between(0.03, 0.25)))


@healthy("warmup", "step")
def log_warmup(w):
    raw = np.log1p(np.minimum(w.u, w.between(0.3, 0.7)) / w.between(0.002, 0.02))
    return w.base * w.between(0.2, 0.6) * raw / raw[-1]


@healthy("warmup", "step", "sawtooth")
def warmup_under_teeth(w):
    height = w.base * w.between(0.3, 0.6)
    rise = height * (1 - np.exp(-w.u / w.between(0.05, 0.2)))
    return rise + teeth(w, w.between(0.02, 0.06), height * w.between(0.2, 0.5))


@healthy("warmup", "step")
def page_cache(w):
    return w.base * w.between(0.3, 1.0) * np.clip(w.u / w.between(0.1, 0.6), 0, 1)


@healthy(*ANY)
def fixed_by_deploy(w):
    at = w.between(0.3, 0.5)
    age, life = w.age(at)
    return np.where(life == 0, w.growth(2, 5) * age / at, 0.0)


@healthy("warmup", "step")
def stopped_by_itself(w):
    end = w.between(0.3, 0.6)
    return w.growth(2, 5) * np.clip(w.u / end, 0, 1)


@healthy("steady", "step", "spike", "sawtooth")
def restarts_without_growth(w):
    w.cut(*np.sort(w.random.uniform(0.1, 0.9, int(w.between(1, 8)))))
    return np.zeros(len(w.time))


@healthy("step", "steady")
def deploys_up_and_down(w):
    cuts = np.sort(w.random.uniform(0.1, 0.9, int(w.between(2, 5))))
    life = w.cut(*cuts)
    return w.base * w.random.uniform(0, 0.5, len(cuts) + 1)[life]


@healthy("step", "warmup", "steady")
def two_steps_up(w):
    first, second = w.between(0.15, 0.4), w.between(0.5, 0.85)
    return w.base * (w.between(0.1, 0.3) * (w.u > first) + w.between(0.1, 0.3) * (w.u > second))


@healthy("spike", "sawtooth", "steady")
def spike_like_restart(w):
    at, height = w.between(0.2, 0.8), w.base * w.between(0.3, 0.8)
    near = (w.u > at) & (w.u < at + w.between(0.02, 0.1))
    return height * near * (w.u - at) / 0.1 * 3 - 0.1 * w.base * (np.abs(w.u - at) < 0.01)


@healthy("spike", "sawtooth", "steady")
def batch_jobs(w):
    return batches(w, int(w.between(1, 12)), w.base * w.between(0.2, 1.5), w.between(0.01, 0.05))


@healthy(*ANY)
def shrinking(w):
    return -w.base * w.between(0.05, 0.4) * w.u


@healthy(*ANY)
def spike_at_the_end(w):
    return w.base * w.between(0.2, 1.0) * (w.u > 1 - w.between(0.01, 0.06))


SHARE = {
    "flat": 25.0,
    "slow_noise": 8.0,
    "load": 8.0,
    "saw": 12.0,
    "daily": 8.0,
    "weekly": 2.0,
    "warmup": 4.0,
    "batch_jobs": 6.0,
    "restarts_without_growth": 3.0,
    "page_cache": 2.0,
    "log_warmup": 2.0,
}
"""How often a healthy kind is met in a cluster; kinds that are not named here count 1."""


def make(name: str, seed: int, live: bool | None = None) -> Made:
    """Makes one container of kind `name`; the same seed makes the same container.

    Args:
        name: A key of `LEAKS` or `HEALTHY`.
        seed: Of the random numbers.
        live: Only 20-60 minutes at 15 s, as memtop sees a container that it has just begun to watch.
    """
    random = np.random.default_rng([seed, sum(name.encode())])
    if live is None:
        live = random.random() < 0.25
    if live:
        seconds, step = random.uniform(20, 60) * 60, 15.0
    else:
        seconds = random.choice([3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400])
        step = float(random.choice([15, 30, 60])) * (5 if seconds > 90000 else 1)
    count = int(min(max(seconds / step, 40), 2880))
    time = 1.7e9 + random.uniform(0, 86400) + np.linspace(0, seconds, count)
    if random.random() < 0.3:
        time = np.sort(time + random.uniform(-0.2, 0.2, count) * step)
    base = np.exp(random.uniform(np.log(30), np.log(4000))) * MIB
    noise = base * np.exp(random.uniform(np.log(2e-4), np.log(0.015)))
    w = Window(random, time, base, noise)
    kind = LEAKS.get(name) or HEALTHY[name][0]
    value = base + kind(w)
    value = value + (random.normal(0, noise, count) if random.random() < 0.7 else ou(w, noise, 4.0))
    grown = np.nanmax(value) - np.nanmin(value)
    quantum = random.choice([4096, 65536, MIB, 10 * MIB], p=[0.7, 0.1, 0.15, 0.05])
    if quantum > grown / 8:
        quantum = 4096
    value = np.round(np.maximum(value, 0) / quantum) * quantum
    keep = np.isfinite(value)
    if random.random() < 0.25:
        keep &= random.random(count) > random.uniform(0.05, 0.3)
    if random.random() < 0.15:
        gap = random.uniform(0.1, 0.8)
        keep &= (w.u < gap) | (w.u > gap + random.uniform(0.02, 0.12))
    if random.random() < 0.15:
        value[random.integers(1, count - 1, random.integers(1, 4))] = 0.0
    limit = w.limit or (None if random.random() < 0.2 else np.nanmax(value) * random.uniform(1.05, 3))
    series = Series(time[keep], value[keep], np.array(w.restarts), limit=limit)
    if name in LEAKS:
        return Made(name, series, True, frozenset({"leak"}), w.rate)
    return Made(name, series, False, HEALTHY[name][1], 0.0)


def all_kinds(seed: int, each: int, live: bool | None = None) -> Iterator[Made]:
    """`each` containers of every kind."""
    for name in (*LEAKS, *HEALTHY):
        for number in range(each):
            yield make(name, seed * 100_003 + number, live)
