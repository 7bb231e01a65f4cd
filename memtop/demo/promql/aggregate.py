"""Aggregations over instant vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memtop.demo.curves import FloatArray
from memtop.demo.promql.values import IntArray, Scalar, Vector, folded, keys_of, labels_of, numbered

Fold = Callable[[FloatArray, FloatArray, IntArray], FloatArray]
"""From values (absent ones NaN), counts per group, and groups, to one row per group."""


def _sum(table: FloatArray, _counts: FloatArray, groups: IntArray) -> FloatArray:
    return folded(np.add.reduceat, np.nan_to_num(table, nan=0.0), groups)


def _average(table: FloatArray, counts: FloatArray, groups: IntArray) -> FloatArray:
    return _sum(table, counts, groups) / counts


def _deviation(table: FloatArray, counts: FloatArray, groups: IntArray) -> FloatArray:
    middle = _average(table, counts, groups)
    return np.sqrt(_average((table - middle[groups]) ** 2, counts, groups))


_FOLDS: dict[str, Fold] = {
    "sum": _sum,
    "avg": _average,
    "stddev": _deviation,
    "min": lambda table, _, groups: folded(np.fmin.reduceat, table, groups),
    "max": lambda table, _, groups: folded(np.fmax.reduceat, table, groups),
    "count": lambda _, counts, __: counts,
    "group": lambda _, counts, __: np.ones_like(counts),
}


def aggregated(
    operator: str, vector: Vector, labels: tuple[str, ...], without: bool, parameter: Scalar | None
) -> Vector:
    """Return the aggregation of a vector.

    Args:
        operator: `sum`, `min`, `max`, `avg`, `count`, `group`, `stddev`, `topk`, `bottomk` or `quantile`.
        vector: what to aggregate.
        labels: the labels to group by, or to leave out.
        without: whether the labels are left out.
        parameter: the first argument of `topk`, `bottomk` and `quantile`.
    """
    if not len(vector):
        return vector
    keys, groups = numbered(keys_of(vector.labels, labels, not without))
    if operator in ("topk", "bottomk"):
        assert parameter is not None
        return _extreme(vector, groups, len(keys), operator == "topk", parameter)
    made = [labels_of(key, labels, not without) for key in keys]
    table = np.where(vector.present, vector.values, np.nan)
    counts = folded(np.add.reduceat, vector.present.astype(np.float64), groups)
    present = counts > 0
    with np.errstate(all="ignore"):
        if operator == "quantile":
            assert parameter is not None
            values = _quantile(table, groups, len(keys), float(np.clip(parameter[0], 0.0, 1.0)))
        else:
            values = _FOLDS[operator](table, counts, groups)
    return Vector([""] * len(keys), made, np.where(present, values, 0.0), present)


def _quantile(table: FloatArray, groups: IntArray, count: int, share: float) -> FloatArray:
    rows = []
    for group in range(count):
        members = table[groups == group]
        # A column without values is not asked for; a value spares numpy the warning.
        members[:, np.isnan(members).all(axis=0)] = 0.0
        rows.append(np.nanquantile(members, share, axis=0))
    return np.array(rows)


def _extreme(vector: Vector, groups: IntArray, count: int, largest: bool, most: Scalar) -> Vector:
    """Return the `most` largest or smallest series at each time, ordered by their last value."""
    ranked = np.where(vector.present, -vector.values if largest else vector.values, np.inf)
    present = np.zeros_like(vector.present)
    ordered: list[IntArray] = []
    for group in range(count):
        members = np.flatnonzero(groups == group)
        own = ranked[members]
        places = np.argsort(np.argsort(own, axis=0, kind="stable"), axis=0, kind="stable")
        present[members] = vector.present[members] & (places < most)
        ordered.append(members[np.argsort(own[:, -1], kind="stable")])
    kept = Vector(vector.names, vector.labels, vector.values, present)
    return kept.take(np.concatenate(ordered)).there()
