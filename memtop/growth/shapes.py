"""A dictionary of the shapes that memory takes over time, and how well each fits.

Time runs from 0 to 1 over a life; every curve is drawn as the means of `CELLS` equal cells. A shape is a small
linear space (a constant and one to three curves) with an orthonormal basis, so that fitting all of them to all
containers is one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from memtop.growth.series import Floats, Ints

CELLS = 64
"""Cells a life is drawn with."""
_FINE = 8
LAST_BEND = 0.75
"""Growth that stops later than this in a life has not been seen to stop."""
_GRID = (np.arange(CELLS * _FINE) + 0.5) / (CELLS * _FINE)


class Family(IntEnum):
    """What a shape would mean."""

    FLAT = 0
    LINE = 1
    ACCELERATING = 2
    ONSET = 3
    TWO_RATES = 4
    SHIFTED_LINE = 5
    LINE_ON_CYCLE = 6
    STEP = 7
    STEPS = 8
    RAMP = 9
    SATURATION = 10
    CYCLE = 11
    BUMP = 12


UNBOUNDED = (
    Family.LINE,
    Family.ACCELERATING,
    Family.ONSET,
    Family.TWO_RATES,
    Family.SHIFTED_LINE,
    Family.LINE_ON_CYCLE,
)
"""Shapes that go on growing: what a leak looks like."""


@dataclass(frozen=True, eq=False)
class Dictionary:
    """All shapes.

    Attributes:
        basis: Orthonormal columns of all shapes side by side, shape (CELLS, p).
        starts: First column of each shape, shape (s,).
        family: Family of each shape.
        size: Free numbers of each shape: its columns and where its bend or jump is.
        slope: What turns a shape's coefficients into its growth per whole window at the end of it, shape (p,).
        level: The same for its value at the end.
        slope_norm: Standard error of that growth per unit of noise in a cell.
        period: Of a cycle, as a share of the row; infinite for other shapes.
        rise: Share of the row in which a ramp or a saturation goes from 10 % to 90 %; 0 for other shapes.
    """

    basis: Floats
    starts: Ints
    family: Ints
    size: Ints
    slope: Floats
    level: Floats
    slope_norm: Floats
    period: Floats
    rise: Floats


Curve = Callable[[Floats], Floats]
_Shape = tuple[Family, int, tuple[float, ...], list[Curve]]


def _line(u: Floats) -> Floats:
    return u


def _after(onset: float) -> Curve:
    return lambda u: np.maximum(u - onset, 0.0)


def _step(at: float) -> Curve:
    return lambda u: (u > at).astype(np.float64)


def _ramp(start: float, end: float) -> Curve:
    return lambda u: np.clip((u - start) / (end - start), 0.0, 1.0)


def _power(exponent: float) -> Curve:
    return lambda u: np.asarray(u**exponent)


def _exponential(start: float, tau: float) -> Curve:
    return lambda u: 1.0 - np.exp(-np.maximum(u - start, 0.0) / tau)


def _logarithm(start: float, tau: float, end: float) -> Curve:
    return lambda u: np.log1p(np.clip(u - start, 0.0, end - start) / tau)


def _sine(period: float) -> Curve:
    return lambda u: np.sin(2 * np.pi * u / period)


def _cosine(period: float) -> Curve:
    return lambda u: np.cos(2 * np.pi * u / period)


def _shapes() -> Iterator[_Shape]:
    yield Family.FLAT, 1, (), []
    yield Family.LINE, 2, (), [_line]
    for exponent in (1.5, 2.0, 3.0, 4.0):
        yield Family.ACCELERATING, 3, (exponent,), [_power(exponent)]
        yield Family.ACCELERATING, 4, (exponent,), [_line, _power(exponent)]
    for at in np.arange(0.1, 0.71, 0.05):
        yield Family.ONSET, 3, (at,), [_after(at)]
    for at in np.arange(0.05, 0.76, 0.05):
        yield Family.TWO_RATES, 4, (at,), [_line, _after(at)]
    for at in np.arange(3, 30) / 32:
        yield Family.SHIFTED_LINE, 4, (at,), [_line, _step(at)]
    periods = 1.0 / np.concatenate([np.arange(1.0, 2.05, 0.1), np.arange(2.25, 4.1, 0.25), [5.0, 6.0]])
    for period in periods:
        yield Family.LINE_ON_CYCLE, 5, (period,), [_line, _sine(period), _cosine(period)]
    for period in (*periods, *(1.0 / np.arange(0.5, 1.0, 0.1))):
        yield Family.CYCLE, 4, (period,), [_sine(period), _cosine(period)]
    edges = np.arange(1, CELLS // 2) * 2 / CELLS
    for at in edges:
        yield Family.STEP, 3, (at,), [_step(at)]
    coarse = np.arange(1, 16) / 16
    for first in coarse:
        for second in coarse[coarse > first]:
            yield Family.STEPS, 5, (first, second), [_step(first), _step(second)]
            yield Family.BUMP, 4, (first, second), [lambda u, a=first, b=second: ((u > a) & (u <= b)) * 1.0]
            if second <= LAST_BEND:
                yield Family.RAMP, 4, (first, second), [_ramp(first, second)]
    for second in coarse[coarse <= LAST_BEND]:
        yield Family.RAMP, 3, (0.0, second), [_ramp(0.0, second)]
    for start in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        for tau in (0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
            if start + 2.4 * tau <= 1.0:
                yield Family.SATURATION, 4 if start else 3, (start, tau), [_exponential(start, tau)]
        for tau in (0.005, 0.02, 0.06):
            for end in (0.4, 0.6, LAST_BEND):
                if start < end - 0.1:
                    yield (
                        Family.SATURATION,
                        5 if start else 4,
                        (start, tau, end),
                        [_logarithm(start, tau, end)],
                    )


def _cells(curve: Curve) -> Floats:
    return np.asarray(curve(_GRID).reshape(CELLS, _FINE).mean(axis=1))


@cache
def dictionary() -> Dictionary:
    """The dictionary, built once."""
    bases, starts, family, size, slope, level, norm, about, rise = [], [], [], [], [], [], [], [], []
    total = 0
    for kind, free, where, curves in _shapes():
        raw = np.stack([np.ones(CELLS), *(_cells(curve) for curve in curves)], axis=1)
        orthonormal, triangle = np.linalg.qr(raw)
        # The growth at the end of one raw curve; a cycle has none of its own.
        ends = np.array([0.0] + [_end_slope(curve) for curve in curves])
        if kind in (Family.LINE_ON_CYCLE, Family.CYCLE):
            ends[2 if kind is Family.LINE_ON_CYCLE else 1 :] = 0.0
        lasts = np.array([1.0] + [float(curve(np.array([1.0]))[0]) for curve in curves])
        inverse = np.linalg.inv(triangle)
        bases.append(orthonormal)
        starts.append(total)
        total += raw.shape[1]
        family.append(int(kind))
        size.append(free)
        slope.append(ends @ inverse)
        level.append(lasts @ inverse)
        norm.append(float(np.linalg.norm(slope[-1])))
        rise.append(_rise(curves[0]) if kind in (Family.RAMP, Family.SATURATION) else 0.0)
        about.append(where[0] if kind in (Family.CYCLE, Family.LINE_ON_CYCLE) else np.inf)
    return Dictionary(
        np.concatenate(bases, axis=1),
        np.array(starts),
        np.array(family),
        np.array(size),
        np.concatenate(slope),
        np.concatenate(level),
        np.array(norm),
        np.array(about),
        np.array(rise),
    )


def _rise(curve: Curve) -> float:
    path = curve(_GRID) / float(curve(np.array([1.0]))[0])
    return float(np.mean((path > 0.1) & (path < 0.9)))


def _end_slope(curve: Curve) -> float:
    before, after = curve(np.array([1.0 - 1e-6, 1.0]))
    return float((after - before) / 1e-6)
