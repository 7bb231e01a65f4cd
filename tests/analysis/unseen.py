"""Kinds that were written after the rules, to see how the rules do on what they were not made for."""

from __future__ import annotations

import numpy as np

from tests.analysis.window import Window, ou, teeth

ANY = frozenset({"steady", "step", "spike", "sawtooth", "warmup"})


def in_waves(w: Window):
    """Leaks by day more than by night."""
    growth = w.leaks(w.growth(2, 4))
    path = np.cumsum(1 + 0.8 * np.sin(2 * np.pi * w.u * w.between(2.2, 5)))
    return growth * path / path[-1]


def residue_of_batches(w: Window):
    """Every batch leaves something behind."""
    count = int(w.between(8, 16))
    growth = w.leaks(w.growth(2, 4)) / count
    total = np.zeros(len(w.time))
    for number in range(count):
        at = (number + w.between(0.3, 0.7)) / count
        total += growth * (w.u > at) + growth * w.between(1, 4) * (np.abs(w.u - at) < 0.01)
    return total


def at_random(w: Window):
    """Leaks in lumps of any size at any time."""
    growth, count = w.leaks(w.growth(2, 4)), int(w.between(25, 80))
    when, lumps = np.sort(w.random.uniform(0, 1, count)), w.random.exponential(1, count)
    done = np.concatenate([[0.0], np.cumsum(lumps)]) / lumps.sum()
    return growth * done[np.searchsorted(when, w.u)]


def exponential(w: Window):
    """The rate that counts is that of the second half, about."""
    growth, speed = w.growth(3, 5), w.between(1.5, 3)
    w.rate = growth * (np.exp(speed) - np.exp(speed / 2)) / (np.exp(speed) - 1) * 2 / w.hours
    return growth * np.expm1(speed * w.u) / np.expm1(speed)


def under_two_collectors(w: Window):
    """A minor and a major collector, and a leak that neither gets."""
    growth = w.leaks(w.growth(2, 4))
    minor = teeth(w, w.between(0.01, 0.03), growth * 0.4)
    return growth * w.u + minor + teeth(w, w.between(0.12, 0.2), growth * w.between(0.5, 1))


def one_kill_late(w: Window):
    at = w.between(0.75, 0.95)
    age, _ = w.age(at)
    growth = w.growth(2, 5)
    w.rate = growth / at / w.hours
    return growth * age / at


def one_kill_early(w: Window):
    at = w.between(0.05, 0.3)
    age, _ = w.age(at)
    growth = w.growth(2, 5)
    w.rate = growth / (1 - at) / w.hours
    return growth * age / (1 - at)


def half_unseen(w: Window):
    """Scraping is down half of the time."""
    growth, outages = w.leaks(w.growth(1.5, 4)), int(w.between(3, 8))
    return np.where(w.u * outages % 1 < 0.5, growth * w.u, np.nan)


def teeth_across_deploys(w: Window):
    age, _ = w.age(*np.sort(w.random.uniform(0.2, 0.8, 2)))
    growth = w.growth(2, 4)
    w.rate = growth * 2 / w.hours
    return growth * 2 * age + teeth(w, w.between(0.015, 0.03), growth * 0.5)


def two_collectors(w: Window):
    """The floor of the minor collections rises until the next major one."""
    height = w.base * w.between(0.2, 0.6)
    return teeth(w, w.between(0.01, 0.03), height * 0.3) + teeth(w, w.between(0.15, 0.3), height)


def flushed_cache(w: Window):
    """Fills, saturates, is thrown away, and again."""
    age = (w.u / w.between(0.1, 0.25) + w.between(0, 1)) % 1
    return w.base * w.between(0.2, 0.5) * (1 - np.exp(-age / w.between(0.15, 0.4)))


def versions_grow(w: Window):
    """Every deploy needs more than the one before; none leaks."""
    return (
        w.base
        * 0.08
        * w.between(0.5, 1.5)
        * w.cut(*np.sort(w.random.uniform(0.1, 0.9, int(w.between(2, 5)))))
    )


def batches_that_are_killed(w: Window):
    """A bulk job runs into the limit now and then; nothing grows between."""
    count, height = int(w.between(2, 6)), w.base * w.between(0.5, 1.5)
    cuts = (np.arange(1, count + 1) - 0.3) / count
    w.cut(*cuts)
    return sum(height * np.clip((w.u - (at - 0.02)) / 0.02, 0, 1) * (w.u < at) for at in cuts)


def crash_loop_without_growth(w: Window):
    count = int(np.clip(len(w.time) / w.between(8, 25), 4, 40))
    age, _ = w.age(*(np.arange(1, count) / count))
    return w.base * 0.3 * (1 - np.exp(-age * count / w.between(0.03, 0.12)))


def pool_fills(w: Window):
    """A pool of connections grows in steps until it is full."""
    count = int(w.between(4, 9))
    when = w.between(0.5, 0.7) * (np.arange(1, count + 1) / count) ** 1.3
    return w.base * 0.3 * np.searchsorted(when, w.u) / count


def two_levels(w: Window):
    """Now here, now there."""
    turns = np.sort(w.random.uniform(0, 1, int(w.between(3, 10))))
    return w.base * w.between(0.1, 0.4) * (np.searchsorted(turns, w.u) % 2)


def wandering(w: Window):
    """Noise that remembers up to an eighth of the window."""
    return ou(w, w.base * w.between(0.01, 0.05), len(w.time) / w.between(8, 30))


def working_day(w: Window):
    """Up in the morning, flat, down in the evening."""
    start, length = w.between(0.1, 0.2), w.between(0.4, 0.5)
    up, down = np.clip((w.u - start) / 0.25, 0, 1), np.clip((w.u - start - length) / 0.25, 0, 1)
    return w.base * 0.3 * (up - down)


def slow_release(w: Window):
    """A bulk job whose memory comes back slowly."""
    at = w.between(0.1, 0.4)
    fading = np.exp(-np.maximum(w.u - at, 0) / w.between(0.05, 0.3))
    return w.base * w.between(0.3, 1) * (w.u > at) * fading


def idle_then_busy(w: Window):
    return (w.u > w.between(0.3, 0.7)) * w.base * 0.1 * np.exp(ou(w, 0.5, 10))


def root_warmup(w: Window):
    return w.base * w.between(0.2, 0.5) * np.sqrt(np.clip(w.u / w.between(0.3, 0.6), 0, 1))


_LEAKS = (
    in_waves,
    residue_of_batches,
    at_random,
    exponential,
    under_two_collectors,
    one_kill_late,
    one_kill_early,
    half_unseen,
    teeth_across_deploys,
)
_HEALTHY = (
    two_collectors,
    flushed_cache,
    versions_grow,
    batches_that_are_killed,
    crash_loop_without_growth,
    pool_fills,
    two_levels,
    wandering,
    working_day,
    slow_release,
    idle_then_busy,
    root_warmup,
)
UNSEEN_LEAKS = {kind.__name__: kind for kind in _LEAKS}
UNSEEN_HEALTHY = {kind.__name__: (kind, ANY) for kind in _HEALTHY}
