"""A dictionary of the shapes that memory takes over time.

Time runs from 0 to 1 over a row; every curve is drawn as the means of `CELLS` equal cells. A shape is a
small linear space (a constant and up to three curves) with an orthonormal basis, so that fitting all of
them to all containers is one matrix product. What is fitted is centred, so the constants need no columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray

from memtop.analysis.memory_series import Floats, Ints

CELLS = 64
"""Cells a life is drawn with."""
_FINE = 8
_BLUR = 0.02
LAST_BEND = 0.75
"""Growth that stops later than this in a life has not been seen to stop."""
_GRID = (np.arange(CELLS * _FINE) + 0.5) / (CELLS * _FINE)


class ShapeFamily(IntEnum):
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
    SATURATION_ON_CYCLE = 13
    SLOWING = 14
    PART_OF_A_DAY = 15
    STEP_ON_CYCLE = 16
    LINE_AFTER_WARMUP = 17
    TWICE_SHIFTED_LINE = 18
    WARMUP_AND_STEP = 19


GROWING_FAMILIES = (
    ShapeFamily.LINE,
    ShapeFamily.ACCELERATING,
    ShapeFamily.ONSET,
    ShapeFamily.TWO_RATES,
    ShapeFamily.SHIFTED_LINE,
    ShapeFamily.LINE_ON_CYCLE,
    ShapeFamily.LINE_AFTER_WARMUP,
    ShapeFamily.TWICE_SHIFTED_LINE,
)
"""Shapes that go on growing: what a leak looks like."""
SHIFTED_FAMILIES = (ShapeFamily.SHIFTED_LINE, ShapeFamily.TWICE_SHIFTED_LINE)
"""Lines with jumps: a jump down may be a tooth's, see `memtop.analysis.growth_rules`."""
SLOWING_FAMILIES = (ShapeFamily.SLOWING, ShapeFamily.PART_OF_A_DAY)
"""Shapes that slow down but have not levelled off yet: a warm-up, or the morning, looks like this."""


@dataclass(frozen=True, eq=False)
class ShapeDictionary:
    """All shapes, those that say the same side by side.

    Attributes:
        basis: Orthonormal columns of all shapes side by side, shape (CELLS, p); each sums to 0.
        starts: First column of each shape, and the end of the last, shape (s + 1,).
        family: Family of each shape.
        size: Free numbers of each shape: its columns, its level, and where its bend or jump is.
        columns: The same, one column a row, shape (p, CELLS).
        single: `basis` in single precision.
        growing_part: What of a growing shape's columns is growth: all but the shifts, the warm-up or the day
            that it is added to, shape (p of the growing shapes, CELLS); each sums to 0.
        slope: What turns a shape's coefficients into its growth per whole row at its end, shape (p,).
        slope_norm: Standard error of that growth per unit of noise in a cell.
        blur: Error of that growth, as a share of it, from where the bend is: it is only tried every
            twentieth.
        period: Of a cycle, as a share of the row; infinite for other shapes.
        rise: Share of the row in which a ramp or a saturation goes from 10 % to 90 %; 0 for other shapes.
        line: Which shape is the straight line.
        flat: Which one is the flat line.
        growing: Those of the families `GROWING_FAMILIES`.
        slowing: Those that slow down.
        dawning: Parts of a day.
        ending: Those that end, warm-ups and steps on a daily cycle included.
        bounded: Those that end, without them.
        runs: Neighbours with equally many columns: the shapes, their columns, and how many each has.
    """

    basis: Floats
    columns: Floats
    single: NDArray[np.float32]
    starts: Ints
    family: Ints
    size: Ints
    growing_part: Floats
    slope: Floats
    slope_norm: Floats
    blur: Floats
    period: Floats
    rise: Floats
    line: int
    flat: int
    growing: slice
    slowing: slice
    dawning: slice
    ending: slice
    bounded: slice
    runs: tuple[tuple[slice, slice, int], ...]

    def explained(self, coefficients: Floats) -> Floats:
        """The sum of squares that each shape explains, shape (rows, s), of coefficients (rows, p)."""
        return self.summed(coefficients**2, slice(0, len(self.family)))

    def summed(self, values: Floats, of: slice) -> Floats:
        """Sums over the columns of each of some neighbouring shapes, shape (rows, shapes).

        Args:
            values: One number for each column of those shapes, shape (rows, columns).
            of: The shapes.
        """
        found = np.zeros((len(values), of.stop - of.start), values.dtype)
        for shapes, columns, each in self.runs:
            first, last = max(shapes.start, of.start), min(shapes.stop, of.stop)
            if first >= last or not each:
                continue
            begin = columns.start + each * (first - shapes.start) - int(self.starts[of.start])
            end = begin + each * (last - first)
            place = slice(first - of.start, last - of.start)
            for column in range(each):
                found[:, place] += values[:, begin + column : end : each]
        return found


ShapeCurve = Callable[[Floats], Floats]


@dataclass(frozen=True)
class _Shape:
    """A constant and some curves; `free` numbers in all; of a cycle, its `period`.

    The last curves, `aside` of them, are no growth: what a line is added to.
    """

    family: ShapeFamily
    free: int
    curves: tuple[ShapeCurve, ...]
    period: float = np.inf
    aside: int = 0


def _line(u: Floats) -> Floats:
    return u


def _after(onset: float) -> ShapeCurve:
    return lambda u: np.maximum(u - onset, 0.0)


def _step(at: float) -> ShapeCurve:
    return lambda u: (u > at).astype(np.float64)


def _ramp(start: float, end: float) -> ShapeCurve:
    return lambda u: np.clip((u - start) / (end - start), 0.0, 1.0)


def _power(exponent: float) -> ShapeCurve:
    return lambda u: np.asarray(u**exponent)


def _exponential(start: float, tau: float) -> ShapeCurve:
    return lambda u: 1.0 - np.exp(-np.maximum(u - start, 0.0) / tau)


def _logarithm(start: float, tau: float, end: float) -> ShapeCurve:
    return lambda u: np.log1p(np.clip(u - start, 0.0, end - start) / tau)


def _sine(period: float) -> ShapeCurve:
    return lambda u: np.sin(2 * np.pi * u / period)


def _cosine(period: float) -> ShapeCurve:
    return lambda u: np.cos(2 * np.pi * u / period)


def _between(start: float, end: float) -> ShapeCurve:
    return lambda u: ((u > start) & (u <= end)).astype(np.float64)


_COARSE = np.arange(1, 16) / 16
_CYCLES = np.concatenate([np.arange(1.0, 2.05, 0.1), np.arange(2.25, 4.1, 0.25), [5.0, 6.0]])
_WARMUPS = (0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.13)
_STARTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def _growing() -> Iterator[_Shape]:
    yield _Shape(ShapeFamily.LINE, 2, (_line,))
    for exponent in (1.5, 2.0, 3.0, 4.0):
        yield _Shape(ShapeFamily.ACCELERATING, 3, (_power(exponent),))
        yield _Shape(ShapeFamily.ACCELERATING, 4, (_line, _power(exponent)))
    for at in np.arange(0.1, 0.71, 0.05):
        yield _Shape(ShapeFamily.ONSET, 3, (_after(at),))
    for at in np.arange(0.05, 0.76, 0.05):
        yield _Shape(ShapeFamily.TWO_RATES, 4, (_line, _after(at)))
    for at in np.arange(5, CELLS - 4) / CELLS:
        yield _Shape(ShapeFamily.SHIFTED_LINE, 4, (_line, _step(at)), aside=1)
    for first, second in combinations(_COARSE, 2):
        yield _Shape(ShapeFamily.TWICE_SHIFTED_LINE, 6, (_line, _step(first), _step(second)), aside=2)
    for tau in _WARMUPS:
        yield _Shape(ShapeFamily.LINE_AFTER_WARMUP, 4, (_line, _exponential(0.0, tau)), aside=1)
    for cycles in _CYCLES:
        waves = (_sine(1 / cycles), _cosine(1 / cycles))
        yield _Shape(ShapeFamily.LINE_ON_CYCLE, 5, (_line, *waves), 1 / cycles, aside=2)


def _shifting() -> Iterator[_Shape]:
    for cycles in (*_CYCLES, *np.arange(0.5, 1.0, 0.1)):
        yield _Shape(ShapeFamily.CYCLE, 4, (_sine(1 / cycles), _cosine(1 / cycles)), 1 / cycles)
    for at in np.arange(1, CELLS // 2) * 2 / CELLS:
        yield _Shape(ShapeFamily.STEP, 3, (_step(at),))
    for first, second in combinations(_COARSE, 2):
        yield _Shape(ShapeFamily.STEPS, 5, (_step(first), _step(second)))
        yield _Shape(ShapeFamily.BUMP, 4, (_between(first, second),))


def _levelling_off() -> Iterator[_Shape]:
    for start, end in combinations((0.0, *_COARSE[_COARSE <= LAST_BEND]), 2):
        yield _Shape(ShapeFamily.RAMP, 4 if start else 3, (_ramp(start, end),))
    for start, tau in product(_STARTS, (0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)):
        if start + 2.4 * tau <= 1.0:
            yield _Shape(ShapeFamily.SATURATION, 4 if start else 3, (_exponential(start, tau),))
    for start, tau, end in product(_STARTS, (0.005, 0.02, 0.06), (0.4, 0.6, LAST_BEND)):
        if start < end - 0.1:
            yield _Shape(ShapeFamily.SATURATION, 5 if start else 4, (_logarithm(start, tau, end),))


def _ending_finely() -> Iterator[_Shape]:
    """What ends, drawn as finely as the lines that something is added to: else those win by being finer."""
    for at in np.arange(3, CELLS - 1, 2) / CELLS:
        yield _Shape(ShapeFamily.STEP, 3, (_step(at),))
    for tau in (*_WARMUPS, 0.025, 0.042, 0.086, 0.175, 0.225, 0.27):
        yield _Shape(ShapeFamily.SATURATION, 3, (_exponential(0.0, tau),))
    for first, second in combinations((0.01, 0.03, 0.06, 0.1, 0.15, 0.25, 0.35), 2):
        yield _Shape(ShapeFamily.SATURATION, 5, (_exponential(0.0, first), _exponential(0.0, second)))
    for tau, at in product((0.02, 0.05, 0.1, 0.15), _COARSE[2:]):
        yield _Shape(ShapeFamily.WARMUP_AND_STEP, 5, (_exponential(0.0, tau), _step(at)))


def _levelling_off_on_cycles() -> Iterator[_Shape]:
    for cycles, tau in product((1.0, 1.1, 1.25, 1.5, 2.0), (0.05, 0.12, 0.25, 0.35)):
        waves = (_sine(1 / cycles), _cosine(1 / cycles))
        yield _Shape(ShapeFamily.SATURATION_ON_CYCLE, 6, (_exponential(0.0, tau), *waves), 1 / cycles)


def _stepping_on_cycles() -> Iterator[_Shape]:
    for cycles, at in product((1.0, 1.25, 1.5, 2.0), _COARSE):
        waves = (_sine(1 / cycles), _cosine(1 / cycles))
        yield _Shape(ShapeFamily.STEP_ON_CYCLE, 6, (_step(at), *waves), 1 / cycles)


def _slowing() -> Iterator[_Shape]:
    for start, tau in product((0.0, 0.1, 0.2), (0.5, 0.7, 1.0, 1.5)):
        yield _Shape(ShapeFamily.SLOWING, 4 if start else 3, (_exponential(start, tau),))
    for cycles, tau in product((1.0, 1.1, 1.25, 1.5, 2.0), (0.5, 1.0)):
        waves = (_sine(1 / cycles), _cosine(1 / cycles))
        yield _Shape(ShapeFamily.SLOWING, 6, (_exponential(0.0, tau), *waves), 1 / cycles)
    for cycles in 0.5 / 1.05 ** np.arange(39):  # down to a day seen for two hours
        waves = (_sine(1 / cycles), _cosine(1 / cycles))
        yield _Shape(ShapeFamily.PART_OF_A_DAY, 4, waves, 1 / cycles)


def _cells(curve: ShapeCurve) -> Floats:
    return np.asarray(curve(_GRID).reshape(CELLS, _FINE).mean(axis=1))


def _ordered_shapes() -> list[_Shape]:
    """All shapes, those together that are asked together, and of those the ones with fewer columns first."""
    groups = (
        _growing(),
        (shape for shape in _slowing() if shape.family is ShapeFamily.SLOWING),
        (shape for shape in _slowing() if shape.family is ShapeFamily.PART_OF_A_DAY),
        (*_levelling_off_on_cycles(), *_stepping_on_cycles(), *_ending_finely()),
        (_Shape(ShapeFamily.FLAT, 1, ()), *_shifting(), *_levelling_off()),
    )
    return [shape for group in groups for shape in sorted(group, key=lambda shape: len(shape.curves))]


@cache
def shape_dictionary() -> ShapeDictionary:
    """The dictionary, built once."""
    shapes = _ordered_shapes()
    bases, slopes, parts = [], [], []
    for shape in shapes:
        raw = np.stack([np.ones(CELLS), *(_cells(curve) for curve in shape.curves)], axis=1)
        orthonormal, triangle = np.linalg.qr(raw)
        # What the growth at the end is made of: what a line is added to has none, and a cycle returns.
        ends = np.array([0.0, *(_end_slope(curve) for curve in shape.curves)])
        aside = 2 if np.isfinite(shape.period) else shape.aside
        ends[len(ends) - aside :] = 0.0
        inverse = np.linalg.inv(triangle)
        bases.append(orthonormal[:, 1:])
        slopes.append((ends @ inverse)[1:])
        if shape.family in GROWING_FAMILIES:
            kept = raw.shape[1] - shape.aside
            grows = raw[:, 1:kept] @ inverse[1:kept, 1:]
            parts.append(grows - grows.mean(axis=0))
    columns = np.array([one.shape[1] for one in bases])
    basis = np.concatenate(bases, axis=1)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(columns)])
    family = np.array([int(shape.family) for shape in shapes])
    flat = int(np.nonzero(family == ShapeFamily.FLAT)[0][0])
    return ShapeDictionary(
        basis=basis,
        columns=np.ascontiguousarray(basis.T),
        single=basis.astype(np.float32),
        starts=starts,
        family=family,
        size=np.array([shape.free for shape in shapes]),
        growing_part=np.ascontiguousarray(np.concatenate(parts, axis=1).T),
        slope=np.concatenate(slopes),
        slope_norm=np.array([float(np.linalg.norm(slope)) for slope in slopes]),
        blur=np.array(
            [_BLUR if shape.family in (ShapeFamily.ONSET, ShapeFamily.TWO_RATES) else 0.0 for shape in shapes]
        ),
        period=np.array([shape.period for shape in shapes]),
        rise=np.array([_rise(shape) for shape in shapes]),
        line=int(np.nonzero(family == ShapeFamily.LINE)[0][0]),
        flat=flat,
        growing=_family_slice(family, *GROWING_FAMILIES),
        slowing=_family_slice(family, ShapeFamily.SLOWING),
        dawning=_family_slice(family, ShapeFamily.PART_OF_A_DAY),
        ending=slice(_family_slice(family, ShapeFamily.PART_OF_A_DAY).stop, len(shapes)),
        bounded=slice(flat, len(shapes)),
        runs=tuple(_runs(columns, starts)),
    )


def _family_slice(family: Ints, *families: ShapeFamily) -> slice:
    """Where the shapes of some families are, which must be side by side."""
    where = np.nonzero(np.isin(family, families))[0]
    return slice(int(where[0]), int(where[-1]) + 1)


def _runs(columns: Ints, starts: Ints) -> Iterator[tuple[slice, slice, int]]:
    edges = [0, *(np.nonzero(np.diff(columns))[0] + 1).tolist(), len(columns)]
    for first, end in pairwise(edges):
        yield slice(first, end), slice(int(starts[first]), int(starts[end])), int(columns[first])


def _rise(shape: _Shape) -> float:
    if shape.family not in (ShapeFamily.RAMP, ShapeFamily.SATURATION):
        return 0.0
    path = shape.curves[0](_GRID) / float(shape.curves[0](np.array([1.0]))[0])
    return float(np.mean((path > 0.1) & (path < 0.9)))


def _end_slope(curve: ShapeCurve) -> float:
    before, after = curve(np.array([1.0 - 1e-6, 1.0]))
    return float((after - before) / 1e-6)
