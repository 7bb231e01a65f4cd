"""Evaluates PromQL at many times at once: every series carries one value per evaluation time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memtop.demo.curves import FloatArray
from memtop.demo.promql.aggregate import aggregated
from memtop.demo.promql.ast import Aggregate, Binary, Call, Expression, Negative, Number, Selector, Text
from memtop.demo.promql.match import combined
from memtop.demo.promql.sampling import Sampler
from memtop.demo.promql.series import Scraped
from memtop.demo.promql.values import Scalar, Value, Vector, joined, single
from memtop.demo.promql.windows import WINDOW_FUNCTIONS, predicted


class EvaluationError(ValueError):
    """The query is understood but cannot be evaluated."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates expressions.

    Attributes:
        scraped: the series there are.
        times: evaluation times, seconds since 1970; shape (T,).
        now: nothing has been scraped after this.
    """

    scraped: Scraped
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
            case Negative(inner):
                return combined("*", np.full(len(self.times), -1.0), self.value(inner))
            case Binary(operator, left, right, matching, as_bool):
                return combined(operator, self.value(left), self.value(right), matching, as_bool=as_bool)
            case Aggregate():
                vector = self._vector(expression.expression)
                parameter = None if expression.parameter is None else self._scalar(expression.parameter)
                return aggregated(
                    expression.operator, vector, expression.labels, expression.without, parameter
                )
            case Call(function, arguments):
                return self._call(function, arguments)
            case Text():
                raise EvaluationError("a string is not a vector")

    def _instant(self, selector: Selector) -> Vector:
        parts = [self._none()]
        for metric, rows in self.scraped.select(selector.matchers):
            sampler = Sampler(metric, rows, self.scraped.oldest, self.now)
            values, present = sampler.at(self.times - selector.offset)
            labels = [row.labels for row in rows]
            parts.append(Vector([metric.name] * len(rows), labels, values, present).there())
        return joined(parts)

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
            if function in _MAPS:
                vector = self._vector(arguments[0])
                return vector.nameless(_MAPS[function](vector.values))
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
                    values, present = predicted(windows, ahead + selector.offset)
                else:
                    values, present = WINDOW_FUNCTIONS[function](windows)
                labels = [row.labels for row in rows[part]]
                parts.append(Vector([name] * len(labels), labels, values, present).there())
        return joined(parts)

    def _other(self, function: str, arguments: tuple[Expression, ...]) -> Value:
        if function == "time":
            return self.times.copy()
        if function == "vector":
            return single(self._scalar(arguments[0]))
        vector = self._vector(arguments[0])
        if function == "scalar":
            if len(vector) != 1:
                return np.full(len(self.times), math.nan)
            return np.where(vector.present[0], vector.values[0], math.nan)
        if function == "absent":
            absent = np.logical_not(vector.present.any(axis=0))
            return single(np.ones(len(self.times)), absent).there()
        if function in ("sort", "sort_desc"):
            order = np.argsort(vector.values[:, -1], kind="stable")
            return vector.take(order[::-1] if function == "sort_desc" else order)
        if function in ("clamp_min", "clamp_max"):
            clamp = np.maximum if function == "clamp_min" else np.minimum
            return vector.nameless(clamp(vector.values, self._scalar(arguments[1])))
        return _relabelled(vector, arguments[1:])


_MAPS: dict[str, Callable[[FloatArray], NDArray[np.float64]]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "round": lambda values: np.floor(values + 0.5),
}


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
