"""Evaluates PromQL expressions at many times at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from memtop.demo.memory_curves import FloatArray
from memtop.demo.promql.query_parser import (
    Aggregate,
    Binary,
    Expression,
    FunctionCall,
    Negation,
    Number,
    Selector,
    Text,
)
from memtop.demo.promql.range_functions import WINDOW_FUNCTIONS, Sampler, predict_linear
from memtop.demo.promql.scraped_series import ScrapedSeries
from memtop.demo.promql.vectors import (
    IntArray,
    Scalar,
    Value,
    Vector,
    binary_operation,
    concatenated,
    keys_of,
    labels_of,
    number_keys,
    reduce_groups,
    single_series,
)

Fold = Callable[[FloatArray, FloatArray, IntArray], FloatArray]
"""From values (absent ones NaN), counts per group, and groups, to one row per group."""


def _sum(table: FloatArray, _counts: FloatArray, groups: IntArray) -> FloatArray:
    return reduce_groups(np.add.reduceat, np.nan_to_num(table, nan=0.0), groups)


def _mean(table: FloatArray, counts: FloatArray, groups: IntArray) -> FloatArray:
    return _sum(table, counts, groups) / counts


_FOLDS: dict[str, Fold] = {
    "sum": _sum,
    "avg": _mean,
    "min": lambda table, _, groups: reduce_groups(np.fmin.reduceat, table, groups),
    "max": lambda table, _, groups: reduce_groups(np.fmax.reduceat, table, groups),
    "count": lambda _, counts, __: counts,
    "group": lambda _, counts, __: np.ones_like(counts),
}


def aggregate(
    operator: str, vector: Vector, labels: tuple[str, ...], without: bool, parameter: Scalar | None
) -> Vector:
    """Return the aggregation of a vector.

    Args:
        operator: `sum`, `min`, `max`, `avg`, `count`, `group`, `topk` or `bottomk`.
        vector: what to aggregate.
        labels: the labels to group by, or to leave out.
        without: whether the labels are left out.
        parameter: the first argument of `topk` and `bottomk`.
    """
    if not len(vector):
        return vector
    keys, groups = number_keys(keys_of(vector.labels, labels, not without))
    if operator in ("topk", "bottomk"):
        assert parameter is not None
        return _extreme(vector, groups, len(keys), operator == "topk", parameter)
    made = [labels_of(key, labels, not without) for key in keys]
    table = np.where(vector.present, vector.values, np.nan)
    counts = reduce_groups(np.add.reduceat, vector.present.astype(np.float64), groups)
    present = counts > 0
    with np.errstate(all="ignore"):
        values = _FOLDS[operator](table, counts, groups)
    return Vector([""] * len(keys), made, np.where(present, values, 0.0), present)


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
    return kept.take(np.concatenate(ordered)).only_present()


class EvaluationError(ValueError):
    """The query is understood but cannot be evaluated."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates expressions.

    Attributes:
        scraped: all series.
        times: evaluation times, seconds since 1970; shape (T,).
        now: nothing has been scraped after this.
    """

    scraped: ScrapedSeries
    times: FloatArray
    now: float

    def value(self, expression: Expression) -> Value:
        """Return the value of an expression; raises EvaluationError."""
        match expression:
            case Number(value):
                return np.full(len(self.times), value)
            case Selector(window=None):
                return self._instant(expression)
            case Selector():
                raise EvaluationError("range vectors are only allowed as arguments of functions")
            case Negation(inner):
                return binary_operation("*", np.full(len(self.times), -1.0), self.value(inner))
            case Binary(operator, left, right, matching, as_bool):
                return binary_operation(
                    operator, self.value(left), self.value(right), matching, as_bool=as_bool
                )
            case Aggregate():
                vector = self._vector(expression.expression)
                parameter = None if expression.parameter is None else self._scalar(expression.parameter)
                return aggregate(
                    expression.operator, vector, expression.labels, expression.without, parameter
                )
            case FunctionCall(function, arguments):
                return self._call(function, arguments)
            case Text():
                raise EvaluationError("a string is not a vector")

    def _instant(self, selector: Selector) -> Vector:
        parts = [self._none()]
        for metric, rows in self.scraped.select(selector.matchers):
            sampler = Sampler(metric, rows, self.scraped.oldest, self.now)
            values, present = sampler.at(self.times - selector.offset)
            labels = [row.labels for row in rows]
            parts.append(Vector([metric.name] * len(rows), labels, values, present).only_present())
        return concatenated(parts)

    def _none(self) -> Vector:
        shape = (0, len(self.times))
        return Vector([], [], np.zeros(shape), np.zeros(shape, dtype=np.bool_))

    def _vector(self, expression: Expression) -> Vector:
        value = self.value(expression)
        if not isinstance(value, Vector):
            raise EvaluationError("expected type instant vector, got scalar")
        return value

    def _scalar(self, expression: Expression) -> Scalar:
        value = self.value(expression)
        if isinstance(value, Vector):
            raise EvaluationError("expected type scalar, got instant vector")
        return value

    def _call(self, function: str, arguments: tuple[Expression, ...]) -> Value:
        try:
            if function in WINDOW_FUNCTIONS or function == "predict_linear":
                return self._windowed(function, arguments)
            return self._other(function, arguments)
        except IndexError:
            message = f'expected more arguments in call to "{function}", got {len(arguments)}'
            raise EvaluationError(message) from None

    def _windowed(self, function: str, arguments: tuple[Expression, ...]) -> Vector:
        selector = arguments[0]
        assert isinstance(selector, Selector)
        assert selector.window is not None
        ahead = self._scalar(arguments[1]) if function == "predict_linear" else None
        parts = [self._none()]
        for metric, rows in self.scraped.select(selector.matchers):
            sampler = Sampler(metric, rows, self.scraped.oldest, self.now)
            name = metric.name if function == "last_over_time" else ""
            for part, windows in sampler.windows(self.times - selector.offset, selector.window):
                if ahead is not None:
                    values, present = predict_linear(windows, ahead + selector.offset)
                else:
                    values, present = WINDOW_FUNCTIONS[function](windows)
                labels = [row.labels for row in rows[part]]
                parts.append(Vector([name] * len(labels), labels, values, present).only_present())
        return concatenated(parts)

    def _other(self, function: str, arguments: tuple[Expression, ...]) -> Value:
        if function == "time":
            return self.times.copy()
        if function == "vector":
            return single_series(self._scalar(arguments[0]))
        vector = self._vector(arguments[0])
        if function == "scalar":
            if len(vector) != 1:
                return np.full(len(self.times), math.nan)
            return np.where(vector.present[0], vector.values[0], math.nan)
        if function == "absent":
            absent = np.logical_not(vector.present.any(axis=0))
            return single_series(np.ones(len(self.times)), absent).only_present()
        if function in ("clamp_min", "clamp_max"):
            clamp = np.maximum if function == "clamp_min" else np.minimum
            return vector.without_name(clamp(vector.values, self._scalar(arguments[1])))
        return _relabelled(vector, arguments[1:])


def _relabelled(vector: Vector, arguments: tuple[Expression, ...]) -> Vector:
    """`label_replace(v, dst, replacement, src, regex)`."""
    texts = [argument.value if isinstance(argument, Text) else "" for argument in arguments]
    target, replacement, source, pattern = texts[0], texts[1], texts[2], texts[3]
    template = re.sub(r"\$(\d+)", r"\\\1", replacement)
    labels = []
    for own in vector.labels:
        match = re.fullmatch(pattern, own.get(source, ""))
        changed = own if match is None else {**own, target: match.expand(template)}
        labels.append({name: value for name, value in changed.items() if value})
    return replace(vector, labels=labels)
