"""Binary operations: arithmetic, comparisons and set operations between vectors and scalars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memtop.demo.curves import FloatArray
from memtop.demo.promql.ast import Matching
from memtop.demo.promql.values import BoolArray, Labels, Sampled, Scalar, Value, Vector, nameless, signature

_ARITHMETIC: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
}
_COMPARISONS: dict[str, Callable[[FloatArray, FloatArray], BoolArray]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_SETS = frozenset({"and", "or", "unless"})
Key = tuple[tuple[str, str], ...]


class MatchError(ValueError):
    """The sides of an operation do not fit each other; worded as Prometheus does."""


def combined(
    operator: str, left: Value, right: Value, matching: Matching | None = None, *, as_bool: bool = False
) -> Value:
    """Return the value of a binary operation.

    Raises:
        MatchError: the sides cannot be matched.
    """
    matching = matching or Matching()
    with np.errstate(all="ignore"):
        if operator in _SETS:
            if not isinstance(left, list) or not isinstance(right, list):
                raise MatchError(f'set operator "{operator}" not allowed in binary scalar expression')
            return _set_operation(operator, left, right, matching)
        if isinstance(left, list) and isinstance(right, list):
            return _between_vectors(operator, left, right, matching, as_bool)
        if isinstance(left, list):
            assert not isinstance(right, list)
            return [_one(operator, s, s.values, right, s.values, as_bool) for s in left]
        if isinstance(right, list):
            return [_one(operator, s, left, s.values, s.values, as_bool) for s in right]
        return _between_scalars(operator, left, right, as_bool)


def _between_scalars(operator: str, left: Scalar, right: Scalar, as_bool: bool) -> Scalar:
    if operator in _ARITHMETIC:
        return _ARITHMETIC[operator](left, right)
    if not as_bool:
        raise MatchError("comparisons between scalars must use BOOL modifier")
    return _COMPARISONS[operator](left, right).astype(np.float64)


def _one(
    operator: str, sampled: Sampled, left: FloatArray, right: FloatArray, kept: FloatArray, as_bool: bool
) -> Sampled:
    """Apply an operation to one series; `kept` are the values a comparison lets through."""
    if operator in _ARITHMETIC:
        return Sampled(nameless(sampled.labels), _ARITHMETIC[operator](left, right), sampled.present)
    holds = _COMPARISONS[operator](left, right)
    if as_bool:
        return Sampled(nameless(sampled.labels), holds.astype(np.float64), sampled.present)
    return Sampled(sampled.labels, kept, sampled.present & holds)


def _key(labels: Labels, matching: Matching) -> Key:
    return signature(labels, matching.labels, matching.on)


def _set_operation(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    there: dict[Key, BoolArray] = {}
    first = left if operator == "or" else right
    for sampled in first:
        key = _key(sampled.labels, matching)
        there[key] = there[key] | sampled.present if key in there else sampled.present
    result: Vector = list(left) if operator == "or" else []
    for sampled in right if operator == "or" else left:
        other = there.get(_key(sampled.labels, matching))
        if other is None:
            present = sampled.present & (operator != "and")
        else:
            present = sampled.present & (other if operator == "and" else ~other)
        if present.any():
            result.append(Sampled(sampled.labels, sampled.values, present))
    return result


def _between_vectors(operator: str, left: Vector, right: Vector, matching: Matching, as_bool: bool) -> Vector:
    many, ones = (right, left) if matching.many == "right" else (left, right)
    found: dict[Key, Vector] = {}
    for sampled in ones:
        found.setdefault(_key(sampled.labels, matching), []).append(sampled)
    side = "left" if matching.many == "right" else "right"
    for key, members in found.items():
        if len(members) > 1 and (np.sum([member.present for member in members], axis=0) > 1).any():
            raise MatchError(_duplicate(key, members, side))
    result: dict[Key, Sampled] = {}
    for sampled in many:
        key = _key(sampled.labels, matching)
        for one in found.get(key, ()):
            both = sampled.present & one.present
            if not both.any():
                continue
            a, b = (one, sampled) if matching.many == "right" else (sampled, one)
            made = _one(
                operator,
                Sampled(_labels(sampled, one, operator, matching, as_bool), sampled.values, both),
                a.values,
                b.values,
                a.values,
                as_bool,
            )
            place = signature(made.labels, (), False) if matching.many else key
            if place in result and (result[place].present & made.present).any():
                raise MatchError(
                    "multiple matches for labels: "
                    "many-to-one matching must be explicit (group_left/group_right)"
                )
            result[place] = _joined(result[place], made) if place in result else made
    return [sampled for sampled in result.values() if sampled.present.any()]


def _joined(first: Sampled, second: Sampled) -> Sampled:
    values = np.where(second.present, second.values, first.values)
    return Sampled(first.labels, values, first.present | second.present)


def _labels(many: Sampled, one: Sampled, operator: str, matching: Matching, as_bool: bool) -> Labels:
    labels = dict(many.labels)
    if operator in _ARITHMETIC or as_bool:
        labels = nameless(labels)
    if not matching.many:
        if matching.on:
            labels = {name: value for name, value in labels.items() if name in matching.labels}
        else:
            labels = {name: value for name, value in labels.items() if name not in matching.labels}
    for name in matching.include:
        labels.pop(name, None)
        if one.labels.get(name):
            labels[name] = one.labels[name]
    return labels


def _duplicate(key: Key, members: Vector, side: str) -> str:
    def said(labels: Labels) -> str:
        return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"

    group = said(dict(key))
    return (
        f"found duplicate series for the match group {group} on the {side} hand-side of the operation: "
        f"[{said(members[1].labels)}, {said(members[0].labels)}];many-to-many matching not allowed: "
        "matching labels must be unique on one side"
    )
