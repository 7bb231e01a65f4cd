"""Evaluates PromQL at many times at once: every series carries one value per evaluation time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtop.demo.curves import FloatArray
from memtop.demo.promql.aggregate import aggregated
from memtop.demo.promql.ast import Aggregate, Binary, Call, Expression, Negative, Number, Selector, Text
from memtop.demo.promql.match import combined
from memtop.demo.promql.series import Labels, Scraped
from memtop.demo.promql.values import Sampled, Scalar, Value, Vector, nameless
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
        found = []
        for series in self.scraped.select(selector.matchers):
            values, present = series.at(self.times - selector.offset, self.now)
            if present.any():
                found.append(Sampled(series.labels, values, present))
        return found

    def _vector(self, expression: Expression) -> Vector:
        value = self.value(expression)
        if not isinstance(value, list):
            raise EvaluationError("expected type instant vector, got scalar")
        return value

    def _scalar(self, expression: Expression) -> Scalar:
        value = self.value(expression)
        if isinstance(value, list):
            raise EvaluationError("expected type scalar, got instant vector")
        return value

    def _call(self, function: str, arguments: tuple[Expression, ...]) -> Value:
        try:
            if function in WINDOW_FUNCTIONS or function == "predict_linear":
                return self._windowed(function, arguments)
            if function in _MAPS:
                return _mapped(self._vector(arguments[0]), function)
            return self._other(function, arguments)
        except IndexError:
            message = f'expected more arguments in call to "{function}", got {len(arguments)}'
            raise EvaluationError(message) from None

    def _windowed(self, function: str, arguments: tuple[Expression, ...]) -> Vector:
        selector = arguments[0]
        assert isinstance(selector, Selector)
        assert selector.window is not None
        ahead = self._scalar(arguments[1]) if function == "predict_linear" else None
        found = []
        for series in self.scraped.select(selector.matchers):
            windows = series.windows(self.times - selector.offset, selector.window, self.now)
            if ahead is not None:
                values, present = predicted(windows, ahead + selector.offset)
            else:
                values, present = WINDOW_FUNCTIONS[function](windows)
            if present.any():
                labels = series.labels if function == "last_over_time" else nameless(series.labels)
                found.append(Sampled(labels, values, present))
        return found

    def _other(self, function: str, arguments: tuple[Expression, ...]) -> Value:
        if function == "time":
            return self.times.copy()
        if function == "vector":
            return [Sampled({}, self._scalar(arguments[0]), np.ones(len(self.times), dtype=np.bool_))]
        vector = self._vector(arguments[0])
        if function == "scalar":
            if len(vector) != 1:
                return np.full(len(self.times), math.nan)
            return np.where(vector[0].present, vector[0].values, math.nan)
        if function == "absent":
            there = np.zeros(len(self.times), dtype=np.bool_)
            for sampled in vector:
                there |= sampled.present
            return [Sampled({}, np.ones(len(self.times)), ~there)] if not there.all() else []
        if function in ("sort", "sort_desc"):
            return sorted(vector, key=lambda sampled: sampled.values[-1], reverse=function == "sort_desc")
        if function in ("clamp_min", "clamp_max"):
            bound = self._scalar(arguments[1])
            clamp = np.maximum if function == "clamp_min" else np.minimum
            return [Sampled(nameless(s.labels), clamp(s.values, bound), s.present) for s in vector]
        return [Sampled(_relabelled(s.labels, arguments[1:]), s.values, s.present) for s in vector]


_MAPS: dict[str, Callable[[FloatArray], NDArray[np.float64]]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "round": lambda values: np.floor(values + 0.5),
}


def _mapped(vector: Vector, function: str) -> Vector:
    return [Sampled(nameless(s.labels), _MAPS[function](s.values), s.present) for s in vector]


def _relabelled(labels: Labels, arguments: tuple[Expression, ...]) -> Labels:
    """`label_replace(v, dst, replacement, src, regex)`."""
    texts = [argument.value if isinstance(argument, Text) else "" for argument in arguments]
    target, replacement, source, pattern = texts[0], texts[1], texts[2], texts[3]
    match = re.fullmatch(pattern, labels.get(source, ""))
    if match is None:
        return labels
    changed = {**labels, target: match.expand(re.sub(r"\$(\d+)", r"\\\1", replacement))}
    return {name: value for name, value in changed.items() if value}
