"""How well each shape fits a curve, what the best of them say about growth, and whether that growth goes on.

A jump or a warm-up in the first half bends every shape that is fitted to the whole; what a leak does then
is seen in the second half alone (`keeps_growing`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.shapes import CELLS, SLOWING_FAMILIES, ShapeDictionary, ShapeFamily, shape_dictionary

MIN_CYCLE_SECONDS = 4 * 3600.0
"""A rhythm shorter than this is no day."""
_MODEL_ERROR = 0.004
_LAGS = 10
_MIN_CELLS = 6.0
_PLAIN_CELLS = 24.0
_POINTS_PER_NUMBER = 3.0
_FADED_SHARE = 0.97
_DAY, _DAY_TOLERANCE = 86400.0, 0.2


@dataclass(frozen=True, eq=False)
class ShapeFits:
    """The best growing and the best bounded shape of every row.

    Attributes:
        margin: Logarithm of how much better the growing shape explains the curve than any bounded one.
        growing: Index of the best growing shape in the dictionary.
        bounded: Index of the best bounded shape; a warm-up on a daily cycle counts against growth only, for
            it fits most of what a cycle or a warm-up alone would fit.
        growth: Growth per whole row at its end by the growing shape, bytes.
        amount: What of it has happened within the row, bytes.
        growth_error: Standard error of `growth`.
        change: Net change of the bounded shape over the row, bytes.
        bulge: How far it is above both its ends, less how far it is below them.
        explained: Log-likelihood ratio between the bounded shape and a flat line.
        reach: From the bounded shape's lowest to its highest, bytes.
        residual: Standard deviation of the curve about the growing shape.
        independent: How many independent cells there are.
        freedom: Degrees of freedom that a straight line leaves.
        line: Growth per row of the straight line, whichever shape is best, bytes.
        line_error: Standard error of it.
        bent: Log-likelihood ratio between the growing shape and that line.
        slows: Log-likelihood ratio between the best shape that slows down and the best that lasts: above 0
            growth fades, far below 0 it is shown not to.
        dawns: The same of a part of a day's rhythm, however many numbers it takes: a line's simplicity is no
            evidence against a day. Minus infinity where the row is too long or too short to be one.
        rest: Growth per row of the straight line through what the bounded shape leaves over, bytes.
        rest_error: Standard error of it.
    """

    margin: Floats
    growing: Ints
    bounded: Ints
    growth: Floats
    amount: Floats
    growth_error: Floats
    change: Floats
    reach: Floats
    bulge: Floats
    explained: Floats
    residual: Floats
    independent: Floats
    freedom: Floats
    line: Floats
    line_error: Floats
    bent: Floats
    slows: Floats
    dawns: Floats
    rest: Floats
    rest_error: Floats


def fit_shapes(curves: Floats, points: Ints, span: Floats) -> ShapeFits:
    """Fits the whole dictionary to every curve.

    Shapes are compared by the Bayesian information criterion (Schwarz 1978) with two corrections. No shape
    is exact, so every residual gets a model error of 0.4 % of the curve's range: below that, fit decides
    nothing. And cells are not independent: their number is divided by the residual's long-run variance ratio
    (Newey and West 1987, Bartlett weights), so that slow wandering does not pass for evidence. That residual
    is the one of the best plain shape, for a shape with many free numbers would swallow the wandering. A
    shape is only considered with three points for each of its free numbers: through three points a bend
    always goes.

    Args:
        curves: Bytes, shape (rows, CELLS).
        points: Independent points each curve was drawn through, at most.
        span: Seconds from end to end of each curve.
    """
    shapes = shape_dictionary()
    level = curves - curves.mean(axis=1)[:, None]
    coefficients = level @ shapes.basis
    left = (level**2).sum(axis=1)[:, None] - shapes.explained(coefficients)
    np.maximum(left, 0.0, out=left)
    tolerance = CELLS * ((_MODEL_ERROR * np.ptp(curves, axis=1)) ** 2 + 1.0)
    misfit = np.log((left + tolerance[:, None]) / CELLS)
    _rule_out(misfit, shapes, points, span)
    plain = (misfit + _penalty(shapes, np.array([_PLAIN_CELLS]))).argmin(axis=1)
    ratio = _variance_ratio(level - _draw_shapes(shapes, coefficients, plain))
    independent = np.maximum(np.minimum(points, CELLS / ratio), _MIN_CELLS)
    score = independent[:, None] * (misfit + _penalty(shapes, independent))
    growth, fades = _growth_at_end(shapes, coefficients)
    grows = score[:, shapes.growing]
    growing = np.where(growth > 0, grows, np.inf).argmin(axis=1)
    bounded = shapes.flat + score[:, shapes.bounded].argmin(axis=1)
    lasts = (growth > 0) & ~fades & _lasting_shapes(shapes, span)
    bends_down = fades & (shapes.family[shapes.growing] == ShapeFamily.ACCELERATING)
    lasting = np.where(lasts, grows, np.inf).min(axis=1)
    slowing = np.where(bends_down, grows, np.inf).min(axis=1)
    slowing = np.minimum(slowing, score[:, shapes.slowing].min(axis=1))
    alike = independent[:, None] * misfit
    lasting_alike = np.where(lasts, alike[:, shapes.growing], np.inf).min(axis=1)
    rows = np.arange(len(curves))
    best = score[rows, growing]
    straight = slice(shapes.starts[shapes.line], shapes.starts[shapes.line + 1])
    line_spread = np.sqrt(left[:, shapes.line] / CELLS)
    residual = np.sqrt(left[rows, growing] / CELLS + tolerance / CELLS * 0.05)
    residual = residual * np.sqrt(independent / np.maximum(independent - shapes.size[growing], 2))
    drawn = _draw_shapes(shapes, coefficients, bounded)
    climbing = _draw_shapes(shapes, coefficients, growing)
    final = growth[rows, growing]
    return ShapeFits(
        margin=np.where(final > 0, (score[:, shapes.ending].min(axis=1) - best) / 2, -99.0),
        growing=growing,
        bounded=bounded,
        growth=final,
        amount=np.minimum(final, climbing[:, -1] - climbing[:, 0]),
        growth_error=np.hypot(
            residual * shapes.slope_norm[growing] * np.sqrt(CELLS / independent),
            shapes.blur[growing] * final,
        ),
        change=drawn[:, -1] - drawn[:, 0],
        reach=np.ptp(drawn, axis=1),
        bulge=drawn.max(axis=1) + drawn.min(axis=1) - drawn[:, 0] - drawn[:, -1],
        explained=(score[:, shapes.flat] - score[rows, bounded]) / 2,
        residual=residual,
        independent=independent,
        freedom=np.minimum(independent, points) - 2.0,
        line=growth[:, shapes.line],
        line_error=line_spread * shapes.slope_norm[shapes.line] * np.sqrt(CELLS / independent),
        bent=(score[:, shapes.line] - best) / 2,
        slows=_log_ratio(lasting, slowing),
        dawns=_log_ratio(lasting_alike, alike[:, shapes.dawning].min(axis=1)),
        rest=((level - drawn) @ shapes.basis[:, straight]) @ shapes.slope[straight],
        rest_error=np.sqrt(left[rows, bounded] / CELLS)
        * shapes.slope_norm[shapes.line]
        * np.sqrt(CELLS / independent),
    )


def _rule_out(misfit: Floats, shapes: ShapeDictionary, points: Ints, span: Floats) -> None:
    """Makes infinite what cannot be: cycles that are no day, shapes with too many numbers for the points."""
    cycles = np.nonzero(np.isfinite(shapes.period))[0]
    period = np.maximum(span, 1.0)[:, None] * shapes.period[cycles]
    of_a_day = np.isin(shapes.family[cycles], SLOWING_FAMILIES)
    never = (period < MIN_CYCLE_SECONDS) | (of_a_day & (np.abs(period / _DAY - 1) > _DAY_TOLERANCE))
    misfit[:, cycles] = np.where(never, np.inf, misfit[:, cycles])
    affordable = np.maximum(points / _POINTS_PER_NUMBER, 2.0)
    poor = np.nonzero(affordable < shapes.size.max())[0]
    misfit[poor] = np.where(shapes.size > affordable[poor, None], np.inf, misfit[poor])


def _penalty(shapes: ShapeDictionary, count: Floats) -> Floats:
    """What every shape's free numbers cost for `count` independent cells, per cell; shape (rows, shapes).

    Schwarz's penalty with the small-sample factor of Hurvich and Tsai (1989): shapes with about as many free
    numbers as there are independent cells fit anything.
    """
    n = count[:, None]
    sizes = np.arange(int(shapes.size.max()) + 1)
    return np.asarray(sizes * np.log(n) / np.maximum(n - sizes - 1, 1))[:, shapes.size]


def _log_ratio(lasting: Floats, other: Floats) -> Floats:
    """Log-likelihood ratio of two scores; 0 where nothing that lasts fits at all."""
    return np.asarray((np.where(np.isfinite(lasting), lasting, 0.0) - other) / 2)


def _lasting_shapes(shapes: ShapeDictionary, span: Floats) -> Bools:
    """Growing shapes that say growth lasts, if they do not fade; shape (rows, growing shapes).

    A line with a jump only seems to: a jump down is a tooth, and a jump up early makes the line the end of a
    curve. A line on a cycle does if the cycle is a day: waves of any other length bend a line into anything.
    """
    family = shapes.family[shapes.growing]
    days = np.maximum(span, 1.0)[:, None] * shapes.period[shapes.growing] / _DAY
    of_a_day = (family != ShapeFamily.LINE_ON_CYCLE) | (np.abs(days - 1) < _DAY_TOLERANCE)
    return np.asarray(of_a_day & (family != ShapeFamily.SHIFTED_LINE))


def _growth_at_end(shapes: ShapeDictionary, coefficients: Floats) -> tuple[Floats, Bools]:
    """Growth per row at the end of every growing shape, bytes, and which end at less than their mean rate."""
    starts = shapes.starts[shapes.growing]
    columns = slice(int(starts[0]), int(shapes.starts[shapes.growing.stop]))
    mine, basis = coefficients[:, columns], shapes.basis[:, columns]
    starts = starts - starts[0]
    growth = np.add.reduceat(mine * shapes.slope[columns], starts, axis=1)
    risen = np.add.reduceat(mine * (basis[-1] - basis[0]), starts, axis=1)
    family = shapes.family[shapes.growing]
    bends = np.isin(family, (ShapeFamily.TWO_RATES, ShapeFamily.ACCELERATING))
    return growth, bends & (growth < _FADED_SHARE * risen)


def _draw_shapes(shapes: ShapeDictionary, coefficients: Floats, chosen: Ints) -> Floats:
    """Draws one chosen shape per row, about its mean."""
    drawn = np.zeros((len(chosen), CELLS))
    begin, end = shapes.starts[chosen], shapes.starts[chosen + 1]
    rows = np.arange(len(chosen))
    for column in range(int((end - begin).max())):
        place = np.minimum(begin + column, shapes.basis.shape[1] - 1)
        weight = np.where(begin + column < end, coefficients[rows, place], 0.0)
        drawn += weight[:, None] * shapes.basis[:, place].T
    return drawn


def _variance_ratio(residual: Floats) -> Floats:
    """Long-run variance over variance: 1 for white noise, more when neighbours go together."""
    power = np.maximum((residual**2).sum(axis=1), 1e-9)
    ratio = np.ones(len(residual))
    for lag in range(1, _LAGS + 1):
        together = (residual[:, lag:] * residual[:, :-lag]).sum(axis=1) / power
        ratio += 2 * (1 - lag / (_LAGS + 1)) * together
    return np.clip(ratio, 1.0, CELLS)


_HALF = CELLS // 2
_HALF_GRID = (np.arange(_HALF) + 0.5) / _HALF
_ONE_SIDED_95 = 1.645
_KEPT_SHARE = 0.9


def keeps_growing(curves: Floats, independent: Floats) -> Bools:
    """Whether the second half of each curve shows growth that does not fade, shape (rows,).

    A parabola through it tells its slope at the end. A cache whose time constant is twice the window has 0.88
    of the half's mean slope left there (x/(eˣ − 1) at x = 1/4), a faster one less. Growth goes on if the end
    has more than 0.9 of it, with 95 % certainty.

    Args:
        curves: Bytes, shape (rows, CELLS).
        independent: How many independent cells each curve has.
    """
    basis, ends, means = _parabola()
    half = curves[:, _HALF:] - curves[:, _HALF:].mean(axis=1)[:, None]
    coefficients = half @ basis
    left = ((half - coefficients @ basis.T) ** 2).sum(axis=1)
    # Of `independent` numbers half are in this half, and the parabola takes three of them.
    freedom = np.maximum(independent / 2 - 3, 1.0)
    error = np.sqrt(left / freedom) * np.linalg.norm(ends - _KEPT_SHARE * means)
    return np.asarray(coefficients @ (ends - _KEPT_SHARE * means) > _ONE_SIDED_95 * error)


def _parabola() -> tuple[Floats, Floats, Floats]:
    """Orthonormal line and bend over a half; what turns their coefficients into end and mean slope."""
    raw = np.stack([np.ones(_HALF), _HALF_GRID, _HALF_GRID**2], axis=1)
    orthonormal, triangle = np.linalg.qr(raw)
    inverse = np.linalg.inv(triangle)
    return (
        orthonormal[:, 1:],
        (np.array([0.0, 1.0, 2.0]) @ inverse)[1:],
        (np.array([0.0, 1.0, 1.0]) @ inverse)[1:],
    )
