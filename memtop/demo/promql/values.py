"""What expressions evaluate to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from memtop.demo.curves import FloatArray

Labels: TypeAlias = dict[str, str]
BoolArray: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One series of an instant vector over all evaluation times; where `present` is false it is not there."""

    labels: Labels
    values: FloatArray
    present: BoolArray


Vector: TypeAlias = list[Sampled]
Scalar: TypeAlias = FloatArray
Value: TypeAlias = Vector | Scalar


def nameless(labels: Labels) -> Labels:
    """Return labels without the metric's name."""
    return {name: value for name, value in labels.items() if name != "__name__"}


def signature(labels: Labels, names: tuple[str, ...], keep: bool) -> tuple[tuple[str, str], ...]:
    """Return what identifies a series by the labels named (`keep`), or by all but those."""
    if keep:
        return tuple((name, labels.get(name, "")) for name in sorted(names))
    return tuple(
        sorted((name, value) for name, value in labels.items() if name not in names and name != "__name__")
    )
