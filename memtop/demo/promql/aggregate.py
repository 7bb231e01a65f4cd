"""Aggregations over instant vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memtop.demo.curves import FloatArray
from memtop.demo.promql.values import Sampled, Scalar, Vector, signature

_FOLDS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "sum": lambda table: np.nansum(table, axis=0),
    "min": lambda table: np.nanmin(table, axis=0),
    "max": lambda table: np.nanmax(table, axis=0),
    "avg": lambda table: np.nanmean(table, axis=0),
    "count": lambda table: np.sum(~np.isnan(table), axis=0).astype(np.float64),
    "group": lambda table: np.ones(table.shape[1]),
    "stddev": lambda table: np.nanstd(table, axis=0),
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
    groups: dict[tuple[tuple[str, str], ...], Vector] = {}
    for sampled in vector:
        groups.setdefault(signature(sampled.labels, labels, not without), []).append(sampled)
    if operator in ("topk", "bottomk"):
        assert parameter is not None
        return [
            kept for members in groups.values() for kept in _extreme(members, operator == "topk", parameter)
        ]
    result: Vector = []
    for key, members in groups.items():
        present = np.any([sampled.present for sampled in members], axis=0)
        table = np.array([np.where(sampled.present, sampled.values, np.nan) for sampled in members])
        table[:, ~present] = 0.0
        if operator == "quantile":
            assert parameter is not None
            values = np.nanquantile(table, float(np.clip(parameter[0], 0.0, 1.0)), axis=0)
        else:
            values = _FOLDS[operator](table)
        result.append(Sampled({name: value for name, value in key if value}, values, present))
    return result


def _extreme(members: Vector, largest: bool, count: Scalar) -> Vector:
    """Return the `count` largest or smallest series at each time, ordered by their last value."""
    table = np.array([sampled.values for sampled in members])
    present = np.array([sampled.present for sampled in members])
    ranked = np.where(present, -table if largest else table, np.inf)
    places = np.argsort(np.argsort(ranked, axis=0, kind="stable"), axis=0, kind="stable")
    kept = present & (places < count)
    order = np.argsort(ranked[:, -1], kind="stable")
    return [
        Sampled(members[index].labels, members[index].values, kept[index])
        for index in order
        if kept[index].any()
    ]
