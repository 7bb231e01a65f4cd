"""The parts a PromQL expression is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher; `operator` is `=`, `!=`, `=~` or `!~`."""

    label: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels fit; a label that is absent counts as empty."""
        return self.accepts(labels.get(self.label, ""))

    def accepts(self, value: str) -> bool:
        """Return whether a value fits. Regular expressions are anchored at both ends."""
        if self.operator in ("=", "!="):
            return (value == self.value) is (self.operator == "=")
        return _fits(self.value)(value) is (self.operator == "=~")


@lru_cache(maxsize=256)
def _fits(pattern: str) -> Callable[[str], bool]:
    """Return a test for a pattern: a set for one that only lists texts, such as `api-1|api-2`."""
    if re.fullmatch(r"(?:[\w|/:-]|\\[.-])*", pattern):
        return frozenset(re.sub(r"\\(.)", r"\1", pattern).split("|")).__contains__
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A vector selector; a range vector if it has a `window` (seconds)."""

    matchers: tuple[Matcher, ...]
    window: float | None = None
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over the labels kept (`without` false) or dropped (true)."""

    operator: str
    expression: Expression
    labels: tuple[str, ...] = ()
    without: bool = False
    parameter: Expression | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """How the sides of a binary operation find each other.

    Attributes:
        labels: the labels compared (`on`) or left out (`ignoring`).
        on: which of the two.
        many: `left` or `right` for the side that may have many, empty for one to one.
        include: labels copied from the one side.
    """

    labels: tuple[str, ...] = ()
    on: bool = False
    many: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation; `as_bool` is the `bool` modifier of comparisons."""

    operator: str
    left: Expression
    right: Expression
    matching: Matching = Matching()
    as_bool: bool = False


@dataclass(frozen=True, slots=True)
class Negative:
    """A leading minus."""

    expression: Expression


Expression: TypeAlias = Number | Text | Selector | Call | Aggregate | Binary | Negative
