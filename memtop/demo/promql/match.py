"""Binary operations: arithmetic, comparisons and set operations between vectors and scalars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from memtop.demo.curves import FloatArray
from memtop.demo.promql.ast import Matching
from memtop.demo.promql.values import (
    BoolArray,
    IntArray,
    Key,
    Labels,
    Scalar,
    Value,
    Vector,
    folded,
    joined,
    keys_of,
    labels_of,
    numbered,
)

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
            if not isinstance(left, Vector) or not isinstance(right, Vector):
                raise MatchError(f'set operator "{operator}" not allowed in binary scalar expression')
            return _set_operation(operator, left, right, matching)
        if isinstance(left, Vector) and isinstance(right, Vector):
            return _between_vectors(operator, left, right, matching, as_bool)
        if isinstance(left, Vector):
            assert not isinstance(right, Vector)
            return _applied(operator, left, left.values, right, as_bool)
        if isinstance(right, Vector):
            return _applied(operator, right, left, right.values, as_bool)
        return _between_scalars(operator, left, right, as_bool)


def _between_scalars(operator: str, left: Scalar, right: Scalar, as_bool: bool) -> Scalar:
    if operator in _ARITHMETIC:
        return _ARITHMETIC[operator](left, right)
    if not as_bool:
        raise MatchError("comparisons between scalars must use BOOL modifier")
    return _COMPARISONS[operator](left, right).astype(np.float64)


def _applied(operator: str, vector: Vector, left: FloatArray, right: FloatArray, as_bool: bool) -> Vector:
    """Apply an operation to all series; a comparison lets the values of `vector` through."""
    if operator in _ARITHMETIC:
        return vector.nameless(_ARITHMETIC[operator](left, right))
    holds = _COMPARISONS[operator](left, right)
    if as_bool:
        return vector.nameless(holds.astype(np.float64))
    return Vector(vector.names, vector.labels, vector.values, vector.present & holds).there()


def _keys(vector: Vector, matching: Matching) -> list[Key]:
    return keys_of(vector.labels, matching.labels, matching.on)


def _set_operation(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """`or` adds what the left side lacks; `and` and `unless` keep or drop what the right side has."""
    decisive, other = (left, right) if operator == "or" else (right, left)
    present = other.present.copy()
    place = _places(_keys(other, matching), _keys(decisive, matching))
    if len(decisive):
        _, groups = numbered(_keys(decisive, matching))
        there = folded(np.logical_or.reduceat, decisive.present, groups)
        matched = (place >= 0)[:, None] & there[np.maximum(place, 0)]
    else:
        matched = np.zeros_like(present)
    present &= matched if operator == "and" else ~matched
    kept = Vector(other.names, other.labels, other.values, present).there()
    return joined([left, kept]) if operator == "or" else kept


def _places(keys: Sequence[Key], among: Sequence[Key]) -> IntArray:
    """Return the number of each key among others (as `numbered` counts), -1 where it is not there."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(among))}
    return np.array([numbers.get(key, -1) for key in keys], dtype=np.int64)


def _between_vectors(operator: str, left: Vector, right: Vector, matching: Matching, as_bool: bool) -> Vector:
    swapped = matching.many == "right"
    many, ones = (right, left) if swapped else (left, right)
    found: defaultdict[Key, list[int]] = defaultdict(list)
    for index, key in enumerate(_keys(ones, matching)):
        found[key].append(index)
    for key, members in found.items():
        if len(members) > 1 and (ones.present[members].sum(axis=0) > 1).any():
            raise MatchError(_duplicate(key, members, ones, matching))
    keys = _keys(many, matching)
    pairs = [(index, one) for index, key in enumerate(keys) for one in found.get(key, ())]
    if not pairs:
        return many.take([])
    of_many, of_one = np.array(pairs, dtype=np.int64).T
    both = many.present[of_many] & ones.present[of_one]
    some = both.any(axis=1)
    of_many, of_one, both = of_many[some], of_one[some], both[some]
    chosen, partners = many.take(of_many), ones.take(of_one)
    labels = [_labels(*sides, matching) for sides in zip(chosen.labels, partners.labels, strict=True)]
    # A comparison keeps the metric's name, unless only the labels compared are kept.
    names = [""] * len(labels) if matching.on and not matching.many else chosen.names
    a, b = (partners, chosen) if swapped else (chosen, partners)
    kept = Vector(names, labels, a.values, both)
    result = _applied(operator, kept, a.values, b.values, as_bool).there()
    if not matching.many and len(set(keys)) == len(keys) >= len(pairs):
        return result
    places = (
        keys_of(result.labels, (), False)
        if matching.many
        else keys_of(result.labels, matching.labels, matching.on)
    )
    return _one_each(result, places)


def _one_each(vector: Vector, keys: Sequence[Key]) -> Vector:
    """Join series that are the same one after the other; raises MatchError if two are at once."""
    different, groups = numbered(keys)
    if len(different) == len(keys):
        return vector
    if (folded(np.add.reduceat, vector.present.astype(np.float64), groups) > 1).any():
        raise MatchError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        )
    firsts = [keys.index(key) for key in different]
    values = folded(np.add.reduceat, np.where(vector.present, vector.values, 0.0), groups)
    present = folded(np.logical_or.reduceat, vector.present, groups)
    kept = vector.take(firsts)
    return Vector(kept.names, kept.labels, values, present)


def _labels(many: Labels, one: Labels, matching: Matching) -> Labels:
    labels = dict(many)
    if not matching.many:
        kept = matching.labels
        labels = {name: value for name, value in many.items() if (name in kept) is matching.on}
    for name in matching.include:
        labels.pop(name, None)
        if one.get(name):
            labels[name] = one[name]
    return labels


def _duplicate(key: Key, members: Sequence[int], ones: Vector, matching: Matching) -> str:
    def said(labels: Labels) -> str:
        return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"

    side = "left" if matching.many == "right" else "right"
    group = said(labels_of(key, matching.labels, matching.on))
    return (
        f"found duplicate series for the match group {group} on the {side} hand-side of the operation: "
        f"[{said(ones.metric(members[1]))}, {said(ones.metric(members[0]))}];"
        "many-to-many matching not allowed: matching labels must be unique on one side"
    )
