"""Memory use as a function of time: the curves that simulated programs follow."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
SeedArray = NDArray[np.uint64]

KIB = 1024.0
MIB = 1024.0 * KIB
GIB = 1024.0 * MIB
HOUR = 3600.0
DAY = 24 * HOUR

PAGE = 4096.0
SCAN_STEP = 5.0  # seconds between the ages looked at for a limit being reached
SCAN_MOST = 30 * DAY


@dataclass(frozen=True, slots=True)
class Curve:
    """Working set over time, in bytes; `age` is the time since the container started.

    Attributes:
        base: bytes just after the start.
        leak: bytes per second that are never freed.
        teeth: height of the garbage-collection saw.
        teeth_period: seconds between collections.
        warm: what filling a cache adds in the end.
        warm_tau: seconds until 63 % of that is there.
        bump: height of a bulk load that comes and goes.
        bump_period: seconds from one bulk load to the next.
        bump_width: how long one lasts, seconds.
        day: half the swing of the daily rhythm.
        noise: half the swing of the noise.
    """

    base: float
    leak: float = 0.0
    teeth: float = 0.0
    teeth_period: float = 600.0
    warm: float = 0.0
    warm_tau: float = HOUR
    bump: float = 0.0
    bump_period: float = DAY
    bump_width: float = HOUR
    day: float = 0.0
    noise: float = 0.0

    def row(self) -> tuple[float, ...]:
        """Return the parameters in the order `levels` takes them."""
        return _IN_ORDER(self)

    def scaled(self, factor: float) -> Curve:
        """Return a curve of the same shape whose every height is multiplied by `factor`."""
        heights = ("base", "leak", "teeth", "warm", "bump", "day", "noise")
        return dataclasses.replace(self, **{name: getattr(self, name) * factor for name in heights})


_IN_ORDER: Callable[[Curve], tuple[float, ...]] = attrgetter(
    *(field.name for field in dataclasses.fields(Curve))
)


def seed_of(*parts: object) -> int:
    """Return a 64-bit seed that depends on every part and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def fraction_of(*parts: object) -> float:
    """Return a number in [0, 1) drawn from the parts."""
    return seed_of(*parts) / 2.0**64


def _scramble(values: SeedArray) -> SeedArray:
    """Mix 64-bit integers (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = values + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _noise(x: FloatArray, seeds: SeedArray) -> FloatArray:
    """Smooth value noise in [-1, 1) with a knot at every whole `x`."""
    knot = np.floor(x)
    place = x - knot
    index = knot.astype(np.int64).astype(np.uint64)
    left = _scramble(seeds ^ _scramble(index)).astype(np.float64) / 2.0**63 - 1.0
    right = _scramble(seeds ^ _scramble(index + np.uint64(1))).astype(np.float64) / 2.0**63 - 1.0
    ease = place * place * (3.0 - 2.0 * place)
    return left + (right - left) * ease


def levels(parameters: FloatArray, age: FloatArray, at: FloatArray, seeds: SeedArray) -> FloatArray:
    """Return working sets in bytes, whole pages.

    Args:
        parameters: one row per field of `Curve`; shape (11, N), or (11, 1) for one container.
        age: seconds since the container started; shape (N,).
        at: the time in seconds since 1970 (the daily rhythm needs it); shape (N,).
        seeds: one per container; shape (N,) or (1,).

    Returns:
        Bytes, shape (N,).
    """
    base, leak, teeth, period, warm, tau, bump, bump_period, bump_width, day, noise = parameters
    with np.errstate(over="ignore"):
        wobble = 0.6 * _noise(age / 240.0, seeds) + 0.4 * _noise(age / 20.0, seeds ^ np.uint64(1))
    saw = age / period
    saw = saw - np.floor(saw)
    into = np.mod(age, bump_period)
    hill = np.where(into < bump_width, np.sin(np.pi * into / bump_width) ** 2, 0.0)
    level = (
        base
        + leak * age
        + teeth * saw
        + warm * (1.0 - np.exp(-age / tau))
        + bump * hill
        + day * np.sin(2.0 * np.pi * at / DAY - 2.2)
        + noise * wobble
    )
    # A process needs a moment to load: it does not hold its base in the first second.
    level *= 1.0 - 0.8 * np.exp(-age / 4.0)
    whole: FloatArray = np.maximum(np.floor(level / PAGE) * PAGE, 64 * PAGE)
    return whole


def levels_of(curve: Curve, start: float, at: FloatArray, seed: int) -> FloatArray:
    """Return one container's working set in bytes at the times `at` (seconds since 1970)."""
    parameters = np.array(curve.row(), dtype=np.float64)[:, None]
    return levels(parameters, np.maximum(at - start, 0.0), at, np.array([seed], dtype=np.uint64))


def limit_reached(curve: Curve, start: float, limit: float, seed: int) -> float:
    """Return the age in seconds at which the working set first reaches `limit`; infinity if never."""
    bounded = curve.base + curve.teeth + curve.warm + curve.bump + curve.day + curve.noise
    if curve.leak <= 0 and bounded < limit:
        return math.inf
    horizon = SCAN_MOST
    if curve.leak > 0:
        horizon = min(horizon, (limit - curve.base + curve.noise + curve.day) / curve.leak + HOUR)
    else:
        horizon = 2 * curve.bump_period
    ages = np.arange(0.0, max(horizon, SCAN_STEP), SCAN_STEP)
    over = np.flatnonzero(levels_of(curve, start, start + ages, seed) >= limit)
    return float(ages[over[0]]) if over.size else math.inf
