"""How well each shape fits a curve, and what the best of them say about growth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.growth.series import Bools, Floats, Ints
from memtop.growth.shapes import CELLS, UNBOUNDED, UNDECIDED, Dictionary, Family, dictionary

SHORTEST_CYCLE = 4 * 3600.0
"""A rhythm shorter than this is no day."""
_MODEL_ERROR = 0.004
_LAGS = 10
_FEWEST = 6.0
_PLAIN = 24.0
_POINTS_PER_NUMBER = 3.0
_FADED = 0.97
_DAY, _ABOUT = 86400.0, 0.2


@dataclass(frozen=True, eq=False)
class Fits:
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
        dawns: Log-likelihood ratio between a part of a day's rhythm and the best shape that lasts; minus
            infinity where the row is too long or too short to be one.
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


def fit(curves: Floats, points: Ints, span: Floats) -> Fits:
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
    shapes = dictionary()
    centre = curves.mean(axis=1)
    level = curves - centre[:, None]
    coefficients = level @ shapes.basis
    explained = np.add.reduceat(coefficients**2, shapes.starts, axis=1)
    total = (level**2).sum(axis=1)
    left = np.maximum(total[:, None] - explained, 0.0)
    tolerance = CELLS * ((_MODEL_ERROR * np.ptp(curves, axis=1)) ** 2 + 1.0)
    misfit = np.log((left + tolerance[:, None]) / CELLS)
    period = np.maximum(span, 1.0)[:, None] * shapes.period
    misfit[period < SHORTEST_CYCLE] = np.inf
    of_a_day = np.isin(shapes.family, UNDECIDED) & np.isfinite(shapes.period)
    misfit[of_a_day & (np.abs(period / _DAY - 1) > _ABOUT)] = np.inf
    affordable = np.maximum(points / _POINTS_PER_NUMBER, 2.0)
    misfit[shapes.size > affordable[:, None]] = np.inf
    plain = _criterion(misfit, shapes, np.full(len(curves), _PLAIN)).argmin(axis=1)
    ratio = _variance_ratio(level - _drawn(shapes, coefficients, plain))
    independent = np.maximum(np.minimum(points, CELLS / ratio), _FEWEST)
    score = _criterion(misfit, shapes, independent)
    growth = np.add.reduceat(coefficients * shapes.slope, shapes.starts, axis=1)
    grows = np.isin(shapes.family, UNBOUNDED)
    growing = np.where(grows & (growth > 0), score, np.inf).argmin(axis=1)
    undecided = np.isin(shapes.family, UNDECIDED)
    on_cycle = shapes.family == Family.SATURATION_ON_CYCLE
    bounded = np.where(grows | undecided | on_cycle, np.inf, score).argmin(axis=1)
    ends = np.where(grows | undecided, np.inf, score).min(axis=1)
    morning = shapes.family == Family.PART_OF_A_DAY
    steady = grows & (growth > 0) & ~_fades(shapes, coefficients, growth)
    lasting = np.where(steady, score, np.inf).min(axis=1)
    lasting[~np.isfinite(lasting)] = 0.0
    fading = np.where(undecided & ~morning, score, np.inf).min(axis=1)
    dawning = np.where(morning, score, np.inf).min(axis=1)
    rows = np.arange(len(curves))
    straight = slice(shapes.starts[1], shapes.starts[2])
    line_spread = np.sqrt(left[:, 1] / CELLS)
    residual = np.sqrt(left[rows, growing] / CELLS + tolerance / CELLS * 0.05)
    free = shapes.size[growing]
    residual = residual * np.sqrt(independent / np.maximum(independent - free, 2))
    drawn = _drawn(shapes, coefficients, bounded)
    climbing = _drawn(shapes, coefficients, growing)
    valid = growth[rows, growing] > 0
    return Fits(
        margin=np.where(valid, (ends - score[rows, growing]) / 2, -99.0),
        growing=growing,
        bounded=bounded,
        growth=growth[rows, growing],
        amount=np.minimum(growth[rows, growing], climbing[:, -1] - climbing[:, 0]),
        growth_error=np.hypot(
            residual * shapes.slope_norm[growing] * np.sqrt(CELLS / independent),
            shapes.blur[growing] * growth[rows, growing],
        ),
        change=drawn[:, -1] - drawn[:, 0],
        reach=np.ptp(drawn, axis=1),
        bulge=drawn.max(axis=1) + drawn.min(axis=1) - drawn[:, 0] - drawn[:, -1],
        explained=(score[:, 0] - score[rows, bounded]) / 2,
        residual=residual,
        independent=independent,
        freedom=np.minimum(independent, points) - 2.0,
        line=growth[:, 1],
        line_error=line_spread * shapes.slope_norm[1] * np.sqrt(CELLS / independent),
        bent=(score[:, 1] - score[rows, growing]) / 2,
        slows=(lasting - fading) / 2,
        dawns=(lasting - dawning) / 2,
        rest=((level - drawn) @ shapes.basis[:, straight]) @ shapes.slope[straight],
        rest_error=np.sqrt(left[rows, bounded] / CELLS) * shapes.slope_norm[1] * np.sqrt(CELLS / independent),
    )


def _criterion(misfit: Floats, shapes: Dictionary, count: Floats) -> Floats:
    """Score of every shape for `count` independent cells; less is better.

    Schwarz's penalty with the small-sample factor of Hurvich and Tsai (1989): shapes with about as many free
    numbers as there are independent cells fit anything.
    """
    n = count[:, None]
    return np.asarray(n * misfit + shapes.size * np.log(n) * n / np.maximum(n - shapes.size - 1, 1))


def _fades(shapes: Dictionary, coefficients: Floats, growth: Floats) -> Bools:
    """Which growing shapes do not last, or only seem to: shape (rows, shapes).

    Those that end at less than their mean rate, and a line with a jump: a jump down is a tooth, and a
    jump up early makes the line the end of a curve.
    """
    risen = np.add.reduceat(coefficients * (shapes.basis[-1] - shapes.basis[0]), shapes.starts, axis=1)
    bends = np.isin(shapes.family, (Family.TWO_RATES, Family.ACCELERATING))
    return np.asarray((bends & (growth < _FADED * risen)) | (shapes.family == Family.SHIFTED_LINE))


def _drawn(shapes: Dictionary, coefficients: Floats, chosen: Ints) -> Floats:
    """Draws one chosen shape per row."""
    ends = np.append(shapes.starts, shapes.basis.shape[1])
    drawn = np.zeros((len(chosen), CELLS))
    for column in range(5):
        place = shapes.starts[chosen] + column
        here = place < ends[chosen + 1]
        place = np.minimum(place, shapes.basis.shape[1] - 1)
        weight = np.where(here, coefficients[np.arange(len(chosen)), place], 0.0)
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
