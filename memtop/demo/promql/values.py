"""What expressions evaluate to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from memtop.demo.curves import FloatArray

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

    def nameless(self, values: FloatArray) -> Vector:
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

    def there(self) -> Vector:
        """Return the series that are present at some time."""
        some = self.present.any(axis=1)
        return self if some.all() else self.take(np.flatnonzero(some))


Scalar: TypeAlias = FloatArray
Value: TypeAlias = Vector | Scalar


def single(values: FloatArray, present: BoolArray | None = None) -> Vector:
    """Return one series without labels; values of shape (T,)."""
    there = np.ones(len(values), dtype=np.bool_) if present is None else present
    return Vector([""], [{}], values[None, :], there[None, :])


def joined(vectors: Sequence[Vector]) -> Vector:
    """Return the series of all, one after the other."""
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


def numbered(keys: Sequence[Key]) -> tuple[list[Key], IntArray]:
    """Return the different keys in order of their first appearance, and each key's number among them."""
    numbers: dict[Key, int] = {}
    found = [numbers.setdefault(key, len(numbers)) for key in keys]
    return list(numbers), np.array(found, dtype=np.int64)


def folded(
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
