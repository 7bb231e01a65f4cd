"""Quantities as the API prints them: parsed exactly, added up, and written in canonical form.

The grammar and the canonical form are those of k8s.io/apimachinery, pkg/api/resource ``Quantity``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

_QUANTITY = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3})|([A-Za-z]{0,2}))")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_EXPONENT = {suffix: exponent for exponent, suffix in _DECIMAL.items()}


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity.

    Attributes:
        value: What it is worth.
        form: How it is written: with ``binary`` or ``decimal`` suffixes, or with an ``exponent``.
    """

    value: Fraction
    form: str = "decimal"

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.value + other.value, self.form if self.value else other.form)

    @property
    def milli(self) -> int:
        """In thousandths, rounded up."""
        return math.ceil(self.value * 1000)

    @property
    def whole(self) -> int:
        """Rounded up."""
        return math.ceil(self.value)

    def __str__(self) -> str:
        if not self.value:
            return "0"
        sign, size = "-" if self.value < 0 else "", abs(self.value)
        if self.form == "binary" and size >= 1024 and size.denominator == 1:
            step, count = 0, size.numerator
            while count % 1024 == 0 and step < len(_BINARY) - 1:
                step, count = step + 1, count // 1024
            return f"{sign}{count}{_BINARY[step]}"
        exponent, count = -9, math.ceil(size * 10**9)
        while count % 1000 == 0 and exponent < 18:
            exponent, count = exponent + 3, count // 1000
        if self.form == "exponent":
            return f"{sign}{count}e{exponent}" if exponent else f"{sign}{count}"
        return f"{sign}{count}{_DECIMAL[exponent]}"


ZERO = Amount(Fraction())
Amounts = Mapping[str, Amount]
"""Resource name to amount."""


def parse(text: str) -> Amount | None:
    """Reads a quantity; None for what is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    sign, digits, exponent, suffix = match.groups()
    form = "decimal"
    if exponent is not None:
        form, scale = "exponent", Fraction(10) ** int(exponent)
    elif suffix and suffix in _BINARY:
        form, scale = "binary", Fraction(1024) ** _BINARY.index(suffix)
    elif (suffix or "") in _EXPONENT:
        scale = Fraction(10) ** _EXPONENT[suffix or ""]
    else:
        return None
    value = Fraction(digits) * scale
    return Amount(-value if sign == "-" else value, form)


def canonical(text: str) -> str:
    """A quantity in canonical form; what is none stays as it is."""
    amount = parse(text)
    return text if amount is None else str(amount)


def amounts(quantities: Mapping[str, str]) -> dict[str, Amount]:
    """Reads a resource list, without what in it is no quantity."""
    found = {name: parse(text) for name, text in quantities.items()}
    return {name: amount for name, amount in found.items() if amount is not None}


def added(one: Amounts, other: Amounts) -> dict[str, Amount]:
    """The sum of two resource lists, resource by resource."""
    return {name: one.get(name, ZERO) + other.get(name, ZERO) for name in {**one, **other}}


def larger(one: Amounts, other: Amounts) -> dict[str, Amount]:
    """The larger of two resource lists, resource by resource."""
    largest = dict(one)
    for name, amount in other.items():
        if name not in largest or amount.value > largest[name].value:
            largest[name] = amount
    return largest


def per_cent(part: Amount, whole: Amount, *, milli: bool = False) -> int:
    """What part is of whole, in whole per cent, cut off; 0 where there is no whole."""
    one, other = (part.milli, whole.milli) if milli else (part.whole, whole.whole)
    return int(one / other * 100) if other else 0
