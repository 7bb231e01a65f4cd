"""Kinds of healthy memory, each with the verdicts that fit, and how often each is met in a cluster."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.analysis.window import Window, batches, day, ou, teeth

HEALTHY: dict[str, tuple[Callable[[Window], np.ndarray], tuple[str, ...]]] = {}


def healthy(*labels):
    def register(function):
        HEALTHY[function.__name__] = (function, labels)
        return function

    return register


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
