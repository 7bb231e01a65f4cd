"""Kinds of memory behaviour that no bench has: composites, cuts, coarse values, broken sampling.

Every kind is a function from a `Window` to bytes (and restarts); `make` draws the window, adds what measuring
does to it, and says what a careful person would call it. Leaks are made so that one could see them: the
growth over the window is at least eight times the noise and 3 % of the memory in use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from memtop.analysis.memory_series import Series
from memtop.analysis.shape_labels import NEGLIGIBLE_BYTES, NEGLIGIBLE_SHARE
from tests.analysis.compound import COMPOUND_HEALTHY, COMPOUND_LEAKS, DAYS
from tests.analysis.healthy import HEALTHY, SHARE
from tests.analysis.leaking import LEAKS
from tests.analysis.unfinished import UNFINISHED
from tests.analysis.unseen import UNSEEN_HEALTHY, UNSEEN_LEAKS
from tests.analysis.window import MIB, Window, ou

__all__ = [
    "COMPOUND_HEALTHY",
    "COMPOUND_LEAKS",
    "HEALTHY",
    "LEAKS",
    "MIB",
    "SHARE",
    "UNFINISHED",
    "UNSEEN_HEALTHY",
    "UNSEEN_LEAKS",
    "Made",
    "all_kinds",
    "make",
]

ALL_LEAKS = LEAKS | UNSEEN_LEAKS | COMPOUND_LEAKS
ALL_HEALTHY = HEALTHY | UNSEEN_HEALTHY | UNFINISHED | COMPOUND_HEALTHY


@dataclass(frozen=True)
class Made:
    """A made-up container and what is true of it.

    Attributes:
        kind: Its kind.
        series: Its samples.
        leak: Whether it leaks.
        labels: Verdicts that fit; the first is the best one where they have an order.
        rate: True growth of its floor at the end, bytes per hour.
        seconds_to_limit: From the last sample until its peaks reach the limit, and until its floor does.
    """

    kind: str
    series: Series
    leak: bool
    labels: Collection[str]
    rate: float
    seconds_to_limit: tuple[float, float] | None = None


def make(name: str, seed: int, live: bool | None = None) -> Made:
    """Makes one container of kind `name`; the same seed makes the same container.

    Args:
        name: A key of `ALL_LEAKS` or `ALL_HEALTHY`.
        seed: Of the random numbers.
        live: Only 20-60 minutes at 15 s, as memtop sees a container that it has just begun to watch.
    """
    random = np.random.default_rng([seed, sum(name.encode())])
    if live is None:
        live = random.random() < 0.25
    if name in DAYS:
        seconds = 3600 * random.uniform(*DAYS[name])
        step = float(random.choice([60, 120])) * (1 if seconds < 300_000 else 5)
    elif live:
        seconds, step = random.uniform(20, 60) * 60, 15.0
    elif name in COMPOUND_LEAKS or name in COMPOUND_HEALTHY:
        seconds, step = random.uniform(6, 24) * 3600, float(random.choice([15, 30, 60]))
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
    kind = ALL_LEAKS.get(name) or ALL_HEALTHY[name][0]
    clean = base + kind(w)
    value = clean + (random.normal(0, noise, count) if random.random() < 0.7 else ou(w, noise, 4.0))
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
    if name in ALL_LEAKS:
        return Made(name, series, True, ("leak",), w.rate, _seconds_to_limit(w, clean, limit))
    labels = ALL_HEALTHY[name][1]
    if name in COMPOUND_HEALTHY and np.ptp(clean) < negligible(base, limit) and "steady" not in labels:
        labels = (*labels, "steady")  # what is too small to matter is steady, whatever its shape
    return Made(name, series, False, labels, 0.0)


def negligible(base: float, limit: float | None) -> float:
    """Bytes below which a movement is nothing."""
    return max(NEGLIGIBLE_BYTES, NEGLIGIBLE_SHARE * max(base, limit or 0.0))


def _seconds_to_limit(w: Window, clean: np.ndarray, limit: float | None) -> tuple[float, float] | None:
    """Until the peaks and until the floor of the last third of the present life reach the limit."""
    if not limit:
        return None
    begin = max([w.time[0], *w.restarts])
    last = w.time >= begin + (w.time[-1] - begin) * 2 / 3
    now = (clean + w.rate * (w.time[-1] - w.time) / 3600)[last & np.isfinite(clean)]
    if not len(now):
        return None
    first, later = limit - now.max(), limit - now.min()
    return max(first, 0.0) / w.rate * 3600, max(later, 0.0) / w.rate * 3600


def compound_kinds(seed: int, each: int) -> Iterator[Made]:
    """`each` containers of every compound kind, every second one watched live."""
    for name in (*COMPOUND_LEAKS, *COMPOUND_HEALTHY):
        for number in range(each):
            yield make(name, seed * 100_003 + number, live=bool(number % 2))


def all_kinds(seed: int, each: int, live: bool | None = None, unseen: bool = False) -> Iterator[Made]:
    """`each` containers of every kind, or of every unseen kind."""
    for name in (*UNSEEN_LEAKS, *UNSEEN_HEALTHY) if unseen else (*LEAKS, *HEALTHY):
        for number in range(each):
            yield make(name, seed * 100_003 + number, live)
