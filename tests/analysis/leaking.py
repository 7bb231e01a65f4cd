"""Kinds of leaks. Each sets the true rate of its window and returns bytes above the base."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.analysis.window import Window, batches, day, ou, teeth

LEAKS: dict[str, Callable[[Window], np.ndarray]] = {}


def leak(function):
    LEAKS[function.__name__] = function
    return function


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
