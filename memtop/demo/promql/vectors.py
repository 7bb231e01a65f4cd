"""Instant vectors, and binary operations between vectors and scalars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from memtop.demo.memory_curves import FloatArray
from memtop.demo.promql.query_parser import Matching

Labels: TypeAlias = dict[str, str]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
Key: TypeAlias = tuple[str, ...]
_Item = TypeVar("_Item", np.float64, np.bool_)


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector over all evaluation times: N series at T times, one row per series.

    Attributes:
        names: the metric's name of each series, empty once an operation has dropped it.
        labels: the other labels.
        values: shape (N, T).
        present: where there is a value at all; shape (N, T).
    """

    names: list[str]
    labels: list[Labels]
    values: FloatArray
    present: BoolArray

    def __len__(self) -> int:
        """How many series there are."""
        return len(self.labels)

    def metric(self, index: int) -> Labels:
        """Return all labels of a series, with the name as `__name__`."""
        name = self.names[index]
        return {"__name__": name, **self.labels[index]} if name else self.labels[index]

    def without_name(self, values: FloatArray) -> Vector:
        """Return other values of the same series, without the metric's name."""
        return replace(self, names=[""] * len(self), values=values)

    def take(self, indexes: Sequence[int] | IntArray) -> Vector:
        """Return some of the series, in the order given."""
        chosen = np.asarray(indexes, dtype=np.int64)
        places: list[int] = chosen.tolist()
        return Vector(
            [self.names[place] for place in places],
            [self.labels[place] for place in places],
            self.values[chosen],
            self.present[chosen],
        )

    def only_present(self) -> Vector:
        """Return the series that are present at some time."""
        some = self.present.any(axis=1)
        return self if some.all() else self.take(np.flatnonzero(some))


Scalar: TypeAlias = FloatArray
Value: TypeAlias = Vector | Scalar


def single_series(values: FloatArray, present: BoolArray | None = None) -> Vector:
    """Return one series without labels; values of shape (T,)."""
    only_present = np.ones(len(values), dtype=np.bool_) if present is None else present
    return Vector([""], [{}], values[None, :], only_present[None, :])


def concatenated(vectors: Sequence[Vector]) -> Vector:
    """Return all series of several vectors."""
    if len(some := [vector for vector in vectors if len(vector)] or vectors[:1]) == 1:
        return some[0]
    return Vector(
        [name for vector in some for name in vector.names],
        [labels for vector in some for labels in vector.labels],
        np.concatenate([vector.values for vector in some]),
        np.concatenate([vector.present for vector in some]),
    )


def keys_of(labels: Sequence[Labels], names: tuple[str, ...], keep: bool) -> list[Key]:
    """Return what identifies each series by the labels named (`keep`), or by all but those."""
    if keep:
        ordered = sorted(names)
        return [tuple([own.get(name, "") for name in ordered]) for own in labels]
    if not names:
        return [_flat(own) for own in labels]
    return [_flat({name: own[name] for name in own if name not in names}) for own in labels]


def _flat(labels: Labels) -> Key:
    return tuple([part for name in sorted(labels) for part in (name, labels[name])])


def labels_of(key: Key, names: tuple[str, ...], keep: bool) -> Labels:
    """Return the labels a key of `keys_of` stands for."""
    pairs = zip(sorted(names), key, strict=True) if keep else zip(key[::2], key[1::2], strict=True)
    return {name: value for name, value in pairs if value}


def number_keys(keys: Sequence[Key]) -> tuple[list[Key], IntArray]:
    """Return the different keys in order of their first appearance, and each key's number among them."""
    numbers: dict[Key, int] = {}
    found = [numbers.setdefault(key, len(numbers)) for key in keys]
    return list(numbers), np.array(found, dtype=np.int64)


def reduce_groups(
    fold: Callable[..., NDArray[_Item]],
    table: NDArray[_Item],
    groups: IntArray,
) -> NDArray[_Item]:
    """Return one row per group, folded with a ufunc's `reduceat` along the rows of a table.

    Args:
        fold: for example `np.add.reduceat`.
        table: shape (N, T).
        groups: which group each row belongs to, numbered from 0, none empty; shape (N,).
    """
    order = np.argsort(groups, kind="stable")
    begins = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return fold(table[order], begins, axis=0)


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
    """The sides of an operation cannot be matched; the message is that of Prometheus."""


def binary_operation(
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
    """Apply an operation to all series; a comparison keeps the values of `vector` where it holds."""
    if operator in _ARITHMETIC:
        return vector.without_name(_ARITHMETIC[operator](left, right))
    holds = _COMPARISONS[operator](left, right)
    if as_bool:
        return vector.without_name(holds.astype(np.float64))
    return Vector(vector.names, vector.labels, vector.values, vector.present & holds).only_present()


def _keys(vector: Vector, matching: Matching) -> list[Key]:
    return keys_of(vector.labels, matching.labels, matching.on)


def _set_operation(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """`or` adds what the left side lacks; `and` and `unless` keep or drop what the right side has."""
    decisive, other = (left, right) if operator == "or" else (right, left)
    present = other.present.copy()
    place = _indexes(_keys(other, matching), _keys(decisive, matching))
    if len(decisive):
        _, groups = number_keys(_keys(decisive, matching))
        only_present = reduce_groups(np.logical_or.reduceat, decisive.present, groups)
        matched = (place >= 0)[:, None] & only_present[np.maximum(place, 0)]
    else:
        matched = np.zeros_like(present)
    present &= matched if operator == "and" else ~matched
    kept = Vector(other.names, other.labels, other.values, present).only_present()
    return concatenated([left, kept]) if operator == "or" else kept


def _indexes(keys: Sequence[Key], among: Sequence[Key]) -> IntArray:
    """Return the number of each key among others (as `number_keys` counts), -1 where it is not there."""
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
    labels = [_joined_labels(*sides, matching) for sides in zip(chosen.labels, partners.labels, strict=True)]
    # A comparison keeps the metric's name, unless only the labels compared are kept.
    names = [""] * len(labels) if matching.on and not matching.many else chosen.names
    a, b = (partners, chosen) if swapped else (chosen, partners)
    kept = Vector(names, labels, a.values, both)
    result = _applied(operator, kept, a.values, b.values, as_bool).only_present()
    if not matching.many and len(set(keys)) == len(keys) >= len(pairs):
        return result
    places = (
        keys_of(result.labels, (), False)
        if matching.many
        else keys_of(result.labels, matching.labels, matching.on)
    )
    return _one_each(result, places)


def _one_each(vector: Vector, keys: Sequence[Key]) -> Vector:
    """Merge series with equal keys; raises MatchError if two have a value at the same time."""
    different, groups = number_keys(keys)
    if len(different) == len(keys):
        return vector
    if (reduce_groups(np.add.reduceat, vector.present.astype(np.float64), groups) > 1).any():
        raise MatchError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        )
    firsts = [keys.index(key) for key in different]
    values = reduce_groups(np.add.reduceat, np.where(vector.present, vector.values, 0.0), groups)
    present = reduce_groups(np.logical_or.reduceat, vector.present, groups)
    kept = vector.take(firsts)
    return Vector(kept.names, kept.labels, values, present)


def _joined_labels(many: Labels, one: Labels, matching: Matching) -> Labels:
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
