"""Does growth go on? What the second half of a curve says by itself.

A jump or a warm-up in the first half bends every shape that is fitted to the whole; what a leak does then is
seen in the second half alone.
"""

from __future__ import annotations

import numpy as np

from memtop.growth.series import Bools, Floats
from memtop.growth.shapes import CELLS

_HALF = CELLS // 2
_U = (np.arange(_HALF) + 0.5) / _HALF
_ONE_SIDED_95 = 1.645
_KEPT = 0.9


def goes_on(curves: Floats, independent: Floats) -> Bools:
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
    error = np.sqrt(left / freedom) * np.linalg.norm(ends - _KEPT * means)
    return np.asarray(coefficients @ (ends - _KEPT * means) > _ONE_SIDED_95 * error)


def _parabola() -> tuple[Floats, Floats, Floats]:
    """Orthonormal line and bend over a half; what turns their coefficients into end and mean slope."""
    raw = np.stack([np.ones(_HALF), _U, _U**2], axis=1)
    orthonormal, triangle = np.linalg.qr(raw)
    inverse = np.linalg.inv(triangle)
    return (
        orthonormal[:, 1:],
        (np.array([0.0, 1.0, 2.0]) @ inverse)[1:],
        (np.array([0.0, 1.0, 1.0]) @ inverse)[1:],
    )
