"""How well each shape fits a curve, what the best of them say about growth, and whether that growth goes on.

A jump or a warm-up in the first half bends every shape that is fitted to the whole; what a leak does then
is seen in the second half alone (`keeps_growing`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtop.analysis.memory_series import Bools, Floats, Ints
from memtop.analysis.shapes import (
    CELLS,
    SHIFTED_FAMILIES,
    SLOWING_FAMILIES,
    ShapeDictionary,
    ShapeFamily,
    shape_dictionary,
)

MIN_CYCLE_SECONDS = 4 * 3600.0
"""A rhythm shorter than this is no day."""
_MODEL_ERROR = 0.004
_LAGS = 10
_MIN_CELLS = 6.0
_PLAIN_CELLS = 24.0
_POINTS_PER_NUMBER = 3.0
_FADED_SHARE = 0.97
_DAY, _DAY_TOLERANCE = 86400.0, 0.2
_BENT_EVIDENCE = 3.0
_STEPS_SIZE = 5
_JUMP_PLACES = np.array(
    [(first, second) for first in range(1, CELLS - 3) for second in range(first + 2, CELLS - 1)]
).T


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
        straightened: The curve without the shifts, the warm-up or the day that the growing shape adds to its
            growth, bytes, shape (rows, CELLS).
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
        trend: Growth per row by the growing shape where that is proven to be better than the line, else by
            the line, bytes.
        trend_error: Standard error of it.
        slows: Log-likelihood ratio between the best shape that slows down and the best that lasts: above 0
            growth fades, far below 0 it is shown not to.
        dawns: The same of a part of a day's rhythm, as if it took no more numbers than a line: a line's
            simplicity is no evidence against a day. Minus infinity where the row is too long or too short to
            be one.
        rest: Growth per row of the straight line through what the bounded shape leaves over, bytes.
        rest_error: Standard error of it.
    """

    margin: Floats
    growing: Ints
    bounded: Ints
    growth: Floats
    amount: Floats
    growth_error: Floats
    straightened: Floats
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
    trend: Floats
    trend_error: Floats
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
    # In units of the curve's range single precision is a thousand times finer than the model error.
    scale = np.maximum(np.ptp(curves, axis=1), 1.0)
    unit = (level / scale[:, None]).astype(np.float32)
    coefficients = unit @ shapes.single
    left = (unit**2).sum(axis=1)[:, None] - shapes.explained(coefficients)
    np.maximum(left, 0.0, out=left)
    tolerance = (_MODEL_ERROR * np.ptp(curves, axis=1)) ** 2 + 1.0
    left += (CELLS * tolerance / scale**2).astype(np.float32)[:, None]
    misfit = np.log(left, out=left)
    _rule_out(misfit, shapes, points, span)
    plain = (misfit + _penalty(shapes, np.array([_PLAIN_CELLS]))).argmin(axis=1)
    ratio = _variance_ratio(level - _draw_shapes(*_project(level, plain, shapes), shapes.columns))
    independent = np.maximum(np.minimum(points, CELLS / ratio), _MIN_CELLS)
    score = _penalty(shapes, independent)
    score += misfit
    score *= independent.astype(np.float32)[:, None]
    growth, fades = _growth_at_end(shapes, coefficients)
    grows = score[:, shapes.growing]
    slows, dawns = _fading(shapes, score, misfit, independent, (growth > 0, fades, span))
    rows = np.arange(len(curves))
    growing = np.where(growth > 0, grows, np.inf).argmin(axis=1)
    best = score[rows, growing].astype(np.float64)
    bent = (score[:, shapes.line] - best) / 2
    # The line is plainest: another shape has to be proven.
    growing = np.where((bent < _BENT_EVIDENCE) & (growth[:, shapes.line] > 0), shapes.line, growing)
    bounded = shapes.flat + score[:, shapes.bounded].argmin(axis=1)

    def spread(drawn: Floats) -> Floats:
        return np.asarray(np.sqrt(((level - drawn) ** 2).mean(axis=1)))

    straight = slice(shapes.starts[shapes.line], shapes.starts[shapes.line + 1])
    line = level @ shapes.basis[:, straight]
    line_spread = spread(line @ shapes.basis[:, straight].T)
    place, weight = _project(level, growing, shapes)
    growing_shape = _draw_shapes(place, weight, shapes.columns)
    climbing = _draw_shapes(place, weight, shapes.growing_part)
    drawn = _draw_shapes(*_project(level, bounded, shapes), shapes.columns)
    residual = np.sqrt(spread(growing_shape) ** 2 + tolerance * 0.05)
    residual = residual * np.sqrt(independent / np.maximum(independent - shapes.size[growing], 2))
    final = (weight * shapes.slope[place]).sum(axis=1)
    growth_error = np.hypot(
        residual * shapes.slope_norm[growing] * np.sqrt(CELLS / independent), shapes.blur[growing] * final
    )
    straight_growth = line @ shapes.slope[straight]
    line_error = line_spread * shapes.slope_norm[shapes.line] * np.sqrt(CELLS / independent)
    proven = growing != shapes.line
    margin = np.where(final > 0, (score[:, shapes.ending].min(axis=1) - best) / 2, -99.0)
    doubted = np.nonzero((margin > 0) & (points >= _POINTS_PER_NUMBER * _STEPS_SIZE))[0]
    if len(doubted):
        error = CELLS * (tolerance / scale**2)[doubted]
        jumps = np.isin(shapes.family[growing[doubted]], SHIFTED_FAMILIES)
        rest = _margin_over_jumps(unit[doubted], best[doubted], independent[doubted], error, jumps)
        margin[doubted] = np.minimum(margin[doubted], rest)
    return ShapeFits(
        margin=margin,
        growing=growing,
        bounded=bounded,
        growth=final,
        amount=np.minimum(final, climbing[:, -1] - climbing[:, 0]),
        growth_error=growth_error,
        straightened=curves - (growing_shape - climbing),
        change=drawn[:, -1] - drawn[:, 0],
        reach=np.ptp(drawn, axis=1),
        bulge=drawn.max(axis=1) + drawn.min(axis=1) - drawn[:, 0] - drawn[:, -1],
        explained=(score[:, shapes.flat] - score[rows, bounded]) / 2,
        residual=residual,
        independent=independent,
        freedom=np.minimum(independent, points) - 2.0,
        line=straight_growth,
        line_error=line_error,
        bent=bent,
        trend=np.where(proven, final, straight_growth),
        trend_error=np.where(proven, growth_error, line_error),
        slows=slows,
        dawns=dawns,
        rest=((level - drawn) @ shapes.basis[:, straight]) @ shapes.slope[straight],
        rest_error=spread(drawn) * shapes.slope_norm[shapes.line] * np.sqrt(CELLS / independent),
    )


def _rule_out(misfit: Floats, shapes: ShapeDictionary, points: Ints, span: Floats) -> None:
    """Makes infinite what cannot be: cycles that are no day, shapes with too many numbers for the points."""
    cycles = np.nonzero(np.isfinite(shapes.period))[0]
    period = (np.maximum(span, 1.0)[:, None] * shapes.period[cycles]).astype(np.float32)
    of_a_day = np.isin(shapes.family[cycles], SLOWING_FAMILIES)
    never = (period < MIN_CYCLE_SECONDS) | (of_a_day & (np.abs(period / _DAY - 1) > _DAY_TOLERANCE))
    misfit[:, cycles] = np.where(never, np.inf, misfit[:, cycles])
    affordable = np.maximum(points / _POINTS_PER_NUMBER, 2.0)
    poor = np.nonzero(affordable < shapes.size.max())[0]
    if len(poor):
        misfit[poor] = np.where(shapes.size > affordable[poor, None], np.inf, misfit[poor])


def _fading(
    shapes: ShapeDictionary,
    score: NDArray[np.float32],
    misfit: NDArray[np.float32],
    independent: Floats,
    growth: tuple[Bools, Bools, Floats],
) -> tuple[Floats, Floats]:
    """`slows` and `dawns` of `ShapeFits`; `growth`: which shapes rise, which fade, and each row's seconds."""
    rises, fades, span = growth
    grows = score[:, shapes.growing]
    lasts = rises & ~fades & _lasting_shapes(shapes, span)
    bends_down = fades & (shapes.family[shapes.growing] == ShapeFamily.ACCELERATING)
    lasting = np.where(lasts, grows, np.inf).min(axis=1)
    slowing = np.where(bends_down, grows, np.inf).min(axis=1)
    slowing = np.minimum(slowing, score[:, shapes.slowing].min(axis=1))
    lasting_alike = lasting - independent * _penalty_of(independent, int(shapes.size[shapes.line]))
    dawning_alike = independent * misfit[:, shapes.dawning].min(axis=1)
    return _log_ratio(lasting, slowing), _log_ratio(lasting_alike, dawning_alike)


def _margin_over_jumps(
    unit: NDArray[np.float32], best: Floats, independent: Floats, error: Floats, jumps: Bools
) -> Floats:
    """The margin of rows that seem to grow over two jumps between levels, wherever those are.

    Args:
        unit: Curves about their mean, in units of their range.
        best: Score of the best growing shape.
        independent: Independent cells.
        error: Model error, as a sum of squares in those units.
        jumps: Rows whose growing shape is a line with jumps, which may be anywhere as well.
    """
    flat, rising = (np.log(left_over + error) for left_over in _left_by_jumps(unit))
    flat = independent * (flat + _penalty_of(independent, _STEPS_SIZE))
    rising = independent * (rising + _penalty_of(independent, _STEPS_SIZE + 1))
    return np.asarray((flat - np.where(jumps, np.minimum(rising, best), best)) / 2)


def _left_by_jumps(unit: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """What two jumps leave over of each curve wherever they are, between levels and between parallel rises.

    The dictionary has two jumps at a few places only, where a line with jumps fits better than jumps between
    levels that are elsewhere. A jump's own cell has any value, for it may be anywhere in it.
    """
    first, second = _JUMP_PLACES
    place = ((np.arange(CELLS) - (CELLS - 1) / 2) / CELLS).astype(np.float32)

    def parts(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Sums over what is before, between and after the jumps, each of shape (rows, places)."""
        total = np.concatenate([np.zeros((len(values), 1), np.float32), np.cumsum(values, axis=1)], axis=1)
        between = total[:, second] - total[:, first + 1]
        return [total[:, first], between, total[:, -1:] - total[:, second + 1]]

    counts = first, second - first - 1, CELLS - 1 - second
    values, places = parts(unit), parts(place[None, :])
    levels = unit[:, first] ** 2 + unit[:, second] ** 2
    together, spread = np.add.reduce(parts(unit * place)), np.add.reduce(parts(place[None, :] ** 2))
    for value, where, count in zip(values, places, counts, strict=True):
        levels += value**2 / count
        together = together - value * where / count
        spread = spread - where**2 / count
    rises = levels + np.maximum(together, 0.0) ** 2 / spread
    whole = (unit**2).sum(axis=1)
    flat, rising = (np.maximum(whole - best.max(axis=1), 0.0).astype(np.float64) for best in (levels, rises))
    return flat, rising


def _penalty_of(count: Floats, size: Ints | int) -> Floats:
    return np.asarray(size * np.log(count) / np.maximum(count - size - 1, 1))


def _penalty(shapes: ShapeDictionary, count: Floats) -> NDArray[np.float32]:
    """What every shape's free numbers cost for `count` independent cells, per cell; shape (rows, shapes).

    Schwarz's penalty with the small-sample factor of Hurvich and Tsai (1989): shapes with about as many free
    numbers as there are independent cells fit anything.
    """
    sizes = np.arange(int(shapes.size.max()) + 1)
    return _penalty_of(count[:, None], sizes).astype(np.float32)[:, shapes.size]


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
    return np.asarray(of_a_day & ~np.isin(family, SHIFTED_FAMILIES))


def _growth_at_end(shapes: ShapeDictionary, coefficients: Floats) -> tuple[Floats, Bools]:
    """Growth per row at the end of every growing shape, bytes, and which end at less than their mean rate."""
    columns = slice(int(shapes.starts[shapes.growing.start]), int(shapes.starts[shapes.growing.stop]))
    mine, basis = coefficients[:, columns], shapes.basis[:, columns]
    growth = shapes.summed(mine * shapes.slope[columns].astype(np.float32), shapes.growing)
    risen = shapes.summed(mine * (basis[-1] - basis[0]).astype(np.float32), shapes.growing)
    family = shapes.family[shapes.growing]
    bends = np.isin(family, (ShapeFamily.TWO_RATES, ShapeFamily.ACCELERATING))
    return growth, bends & (growth < _FADED_SHARE * risen)


def _project(level: Floats, chosen: Ints, shapes: ShapeDictionary) -> tuple[Ints, Floats]:
    """Columns of one chosen shape per row and the row's coefficients in them, of shape (rows, columns)."""
    begin, end = shapes.starts[chosen], shapes.starts[chosen + 1]
    width = np.arange(max(int((end - begin).max(initial=0)), 1))
    place = np.minimum(begin[:, None] + width, len(shapes.columns) - 1)
    weight = np.stack([(level * shapes.columns[column]).sum(axis=1) for column in place.T], axis=1)
    return place, np.where(begin[:, None] + width < end[:, None], weight, 0.0)


def _draw_shapes(place: Ints, weight: Floats, columns: Floats) -> Floats:
    """Draws shapes, or a part of them, about their mean, from columns of the shape (columns, CELLS)."""
    drawn = np.zeros((len(place), CELLS))
    for column, weights in zip(place.T, weight.T, strict=True):
        drawn += weights[:, None] * columns[np.minimum(column, len(columns) - 1)]
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
