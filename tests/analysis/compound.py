"""Kinds made of several behaviours at once, each as a leak and as a healthy twin without the leak.

A twin differs from its leak in nothing but the growth that does not end. Half of the containers are watched
live (20 to 60 minutes), half by Prometheus (6 to 24 hours); what follows the day is watched for days, always.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.analysis.window import Window, day, ou, teeth

COMPOUND_LEAKS: dict[str, Callable[[Window], np.ndarray]] = {}
COMPOUND_HEALTHY: dict[str, tuple[Callable[[Window], np.ndarray], tuple[str, ...]]] = {}
DAYS: dict[str, tuple[float, float]] = {}
"""Least and most hours that a kind is watched, of kinds that show only then."""


def pair(twin: str, *labels: str, hours: tuple[float, float] | None = None):
    """Registers a kind, called with growth as a leak, and its twin, called without."""

    def register(function):
        def leaks(w: Window):
            return function(w, w.growth(1.5, 4.0))

        def healthy(w: Window):
            values = function(w, 0.0)
            w.rate = 0.0
            return values

        COMPOUND_LEAKS[function.__name__] = leaks
        COMPOUND_HEALTHY[twin] = (healthy, labels)
        if hours:
            DAYS[function.__name__] = DAYS[twin] = hours
        return function

    return register


def _size(w: Window, growth: float) -> float:
    """How large what is beside a leak is: as large as a leak would be, where there is none."""
    return growth or w.growth(1.5, 4.0)


def _spikes(w: Window, covered: float, scale: float, height: Callable[[int], np.ndarray]) -> np.ndarray:
    """Short spikes at random times that cover a share of the window."""
    step = 1 / len(w.time)
    width = w.between(1, 4) * step
    count = max(int(covered / width), 3)
    total = np.zeros(len(w.time))
    for at, high in zip(w.random.uniform(0, 1, count), height(count), strict=True):
        total = np.maximum(total, scale * high * ((w.u >= at) & (w.u < at + width)))
    return total


@pair("spikes_on_a_flat_floor", "spike", "steady", "sawtooth")
def leak_under_spikes(w: Window, growth: float):
    """A straight floor under many short spikes of random height."""
    scale = _size(w, growth) * w.between(0.3, 2.5)
    return w.leaks(growth) * w.u + _spikes(
        w, w.between(0.1, 0.45), scale, lambda n: w.random.exponential(1, n)
    )


@pair("requests_on_a_flat_floor", "spike", "steady", "sawtooth")
def leak_under_requests(w: Window, growth: float):
    """Large requests of one size with a log-normal load on top."""
    scale = _size(w, growth) * w.between(0.2, 0.8)
    load = np.exp(ou(w, w.between(0.5, 1.0), w.between(1, 3)))
    return w.leaks(growth) * w.u + scale * load


@pair("level_shift", "step")
def leak_with_level_shift(w: Window, growth: float):
    """A shift up or down, which a leak does not notice."""
    shift = _size(w, growth) * w.between(0.4, 1.5) * w.random.choice([-1.0, 1.0])
    return w.leaks(growth) * w.u + shift * (w.u > w.between(0.15, 0.85))


@pair("level_shift_under_teeth", "sawtooth", "step")
def leak_with_level_shift_under_teeth(w: Window, growth: float):
    size = _size(w, growth)
    shift = size * w.between(0.4, 1.2) * w.random.choice([-1.0, 1.0])
    saw = teeth(w, w.between(0.02, 0.06), size * w.between(0.3, 0.8))
    return w.leaks(growth) * w.u + shift * (w.u > w.between(0.2, 0.8)) + saw


@pair("startup_then_teeth", "warmup", "sawtooth", "step")
def startup_then_climbing_teeth(w: Window, growth: float):
    """A start-up curve, then teeth; in a leak their minima climb."""
    size = _size(w, growth)
    start = size * w.between(0.4, 2.0) * (1 - np.exp(-w.u / w.between(0.02, 0.1)))
    return w.leaks(growth) * w.u + start + teeth(w, w.between(0.03, 0.1), size * w.between(0.3, 1.0))


@pair("startup_curve", "warmup", "step")
def startup_then_leak(w: Window, growth: float):
    start = _size(w, growth) * w.between(0.4, 2.0) * (1 - np.exp(-w.u / w.between(0.02, 0.12)))
    return w.leaks(growth) * w.u + start


@pair("days_and_teeth", "steady", "sawtooth", "spike", hours=(30.0, 72.0))
def leak_under_days_and_teeth(w: Window, growth: float):
    size = _size(w, growth)
    rhythm = day(w, size * w.between(0.3, 1.0))
    return w.leaks(growth) * w.u + rhythm + teeth(w, w.between(0.01, 0.04), size * w.between(0.2, 0.6))


@pair("week_with_quiet_weekend", "steady", "sawtooth", "spike", "step", hours=(160.0, 175.0))
def leak_in_week_with_quiet_weekend(w: Window, growth: float):
    at = w.time + w.between(0, 7 * 86400)
    quiet = np.where(at / 86400 % 7 < 5, 1.0, w.between(0.05, 0.4))
    return w.leaks(growth) * w.u + day(w, _size(w, growth) * w.between(0.4, 1.2)) * quiet


@pair("collector_tuned", "sawtooth", "step")
def leak_with_collector_tuned(w: Window, growth: float):
    """From half-way on the collector comes more or less often: other teeth on the same floor."""
    size, at = _size(w, growth), w.between(0.35, 0.65)
    ratio = w.random.choice([0.4, 0.6, 1.7, 2.5])
    period, height = w.between(0.03, 0.06), size * w.between(0.4, 0.9)
    saw = np.where(w.u < at, teeth(w, period, height), teeth(w, period * ratio, height * ratio))
    return w.leaks(growth) * w.u + saw


@pair("equal_batches", "spike", "sawtooth", "steady")
def batches_that_each_leave_a_little(w: Window, growth: float):
    count, wide = int(w.between(6, 24)), w.between(0.1, 0.5)
    height = _size(w, growth) * w.between(0.4, 2.0)
    phase = w.u * count + w.between(0, 1)
    return w.leaks(growth) * np.floor(phase) / count + height * (phase % 1 < wide)


@pair("revision_on_another_level", "step", "steady")
def revision_that_leaks_faster(w: Window, growth: float):
    at, ratio = w.between(0.3, 0.65), w.between(2.0, 4.0)
    age, life = w.age(at)
    rate = growth / (at + ratio * (1 - at))
    w.rate = rate * ratio / w.hours
    offset = _size(w, growth) * w.between(-0.5, 0.5)
    return np.where(life == 0, rate * age, offset + rate * ratio * age)


@pair("warmups_to_different_heights", "warmup", "step", "steady")
def deploys_that_warm_up_and_leak(w: Window, growth: float):
    """Each deploy warms up to another height."""
    cuts = np.sort(w.random.uniform(0.1, 0.8, int(w.between(1, 4))))
    age, life = w.age(*cuts)
    heights = _size(w, growth) * w.random.uniform(0.2, 1.5, len(cuts) + 1)
    tau = w.between(0.01, 0.05)
    return w.leaks(growth * 1.5) * age + heights[life] * (1 - np.exp(-age / tau))


@pair("growth_that_stopped_twice", "step", "warmup")
def leak_that_paused_twice(w: Window, growth: float):
    """Grows, stands, grows, stands; a leak then grows on."""
    size = _size(w, growth)
    first, second = w.between(0.1, 0.2), w.between(0.4, 0.5)
    long = w.between(0.08, 0.15)
    rises = np.clip((w.u - first) / long, 0, 1) + np.clip((w.u - second) / long, 0, 1)
    rate = size / (2 * long + 0.3)
    w.rate = rate / w.hours
    return rate * (rises * long + (np.maximum(w.u - 0.7, 0) if growth else 0.0))


@pair("growing_noise", "steady", "spike", "sawtooth")
def leak_under_growing_noise(w: Window, growth: float):
    sd = _size(w, growth) * w.between(0.03, 0.12)
    return w.leaks(growth) * w.u + sd * (0.3 + w.u) * w.random.normal(0, 1, len(w.time))


@pair("wandering_load", "steady", "spike", "sawtooth")
def leak_under_wandering_load(w: Window, growth: float):
    return w.leaks(growth) * w.u + np.abs(ou(w, _size(w, growth) * w.between(0.06, 0.15), len(w.time) / 50))


@pair("plateau_after_ramp", "warmup", "step")
def leak_after_ramp(w: Window, growth: float):
    """A cache fills in a straight line until it is full; a leak goes on."""
    end = w.between(0.1, 0.4)
    return w.leaks(growth) * w.u + _size(w, growth) * w.between(0.5, 1.5) * np.clip(w.u / end, 0, 1)


@pair("two_shifts", "step", "steady", "spike")
def leak_with_two_shifts(w: Window, growth: float):
    """A feature is switched on, and later off."""
    height = _size(w, growth) * w.between(0.3, 1.2)
    start = w.between(0.1, 0.5)
    return w.leaks(growth) * w.u + height * ((w.u > start) & (w.u < start + w.between(0.15, 0.4)))


@pair("kills_without_growth", "steady", "step", "spike", "sawtooth")
def leak_across_restarts_and_teeth(w: Window, growth: float):
    cuts = np.sort(w.random.uniform(0.1, 0.9, int(w.between(1, 4))))
    age, _ = w.age(*cuts)
    saw = teeth(w, w.between(0.015, 0.04), _size(w, growth) * w.between(0.2, 0.6))
    return w.leaks(growth * 1.5) * age + saw
