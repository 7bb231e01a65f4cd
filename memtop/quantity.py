"""Kubernetes quantities: read, added up, compared, and written in canonical form.

The grammar and the canonical form are those of k8s.io/apimachinery, pkg/api/resource ``Quantity``:
``128Mi``, ``1500M``, ``129e6``, ``512000k``, ``1.5Gi``, ``128974848000m``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_QUANTITY_PARTS = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3})|([A-Za-z]{0,2}))")
_WHOLE = re.compile(r"[0-9]{1,18}")
MAX_DIGITS = 1000
"""Python reads no number of more than 4,300 digits, and the API's largest quantity has nineteen."""
_BINARY_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL_SUFFIXES = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_DECIMAL_EXPONENT = {suffix: exponent for exponent, suffix in _DECIMAL_SUFFIXES.items()}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity.

    Attributes:
        value: What it is worth.
        form: How it is written: with ``binary`` or ``decimal`` suffixes, or with an ``exponent``.
    """

    value: Fraction
    form: str = "decimal"

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.value + other.value, self.form if self.value else other.form)

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
            while count % 1024 == 0 and step < len(_BINARY_SUFFIXES) - 1:
                step, count = step + 1, count // 1024
            return f"{sign}{count}{_BINARY_SUFFIXES[step]}"
        exponent, count = -9, math.ceil(size * 10**9)
        while count % 1000 == 0 and exponent < 18:
            exponent, count = exponent + 3, count // 1000
        if self.form == "exponent":
            return f"{sign}{count}e{exponent}" if exponent else f"{sign}{count}"
        return f"{sign}{count}{_DECIMAL_SUFFIXES[exponent]}"


class QuantityError(ValueError):
    """The text is not a Kubernetes quantity."""


ZERO = Quantity(Fraction())
Quantities = Mapping[str, Quantity]
"""Resource name to amount."""


def parse_quantity(text: str) -> Quantity | None:
    """Reads a quantity; None for what is none."""
    try:
        return _read_quantity(text)
    except QuantityError:
        return None


def _read_quantity(text: str) -> Quantity:
    match = _QUANTITY_PARTS.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text!r} is not a quantity such as 512Mi, 2Gi or 1500M")
    sign, digits, exponent, suffix = match.groups()
    if len(digits) > MAX_DIGITS:
        raise QuantityError(f"a number of {len(digits):,} digits is no quantity")
    form = "decimal"
    if exponent is not None:
        form, scale = "exponent", Fraction(10) ** int(exponent)
    elif suffix and suffix in _BINARY_SUFFIXES:
        form, scale = "binary", Fraction(1024) ** _BINARY_SUFFIXES.index(suffix)
    elif (suffix or "") in _DECIMAL_EXPONENT:
        scale = Fraction(10) ** _DECIMAL_EXPONENT[suffix or ""]
    else:
        raise QuantityError(f"{text!r} has the unknown unit {suffix!r}; use Ki, Mi, Gi, Ti or k, M, G, T")
    value = Fraction(digits) * scale
    return Quantity(-value if sign == "-" else value, form)


def parse_whole(text: str) -> int | None:
    """Reads a whole number that somebody else wrote; None for what is none, or has more than 18 digits.

    ``str.isdecimal`` would let 5,000 digits through, which ``int`` refuses to read.
    """
    stripped = text.strip()
    return int(stripped) if _WHOLE.fullmatch(stripped) else None


def canonical(text: str) -> str:
    """A quantity in canonical form; what is none stays as it is."""
    amount = parse_quantity(text)
    return text if amount is None else str(amount)


def parse_quantities(quantities: Mapping[str, str]) -> dict[str, Quantity]:
    """Reads a resource list, without what in it is no quantity."""
    found = {name: parse_quantity(text) for name, text in quantities.items()}
    return {name: amount for name, amount in found.items() if amount is not None}


def add_quantities(one: Quantities, other: Quantities) -> dict[str, Quantity]:
    """The sum of two resource lists, resource by resource."""
    return {name: one.get(name, ZERO) + other.get(name, ZERO) for name in {**one, **other}}


def larger_quantities(one: Quantities, other: Quantities) -> dict[str, Quantity]:
    """The larger of two resource lists, resource by resource."""
    largest = dict(one)
    for name, amount in other.items():
        if name not in largest or amount.value > largest[name].value:
            largest[name] = amount
    return largest


def percent_of(part: Quantity, whole: Quantity, *, milli: bool = False) -> int:
    """What part is of whole, in whole per cent, cut off; 0 where there is no whole."""
    one, other = (part.milli, whole.milli) if milli else (part.whole, whole.whole)
    return int(one / other * 100) if other else 0


_KIBIBYTES = re.compile(r"\d{1,18}Ki")


def parse_bytes(text: str) -> int:
    """Turns a Kubernetes quantity of memory into bytes.

    The grammar is the API's (``resource.Quantity``): a decimal number with a binary suffix (Ki … Ei), a
    decimal suffix (n, u, m, none, k … E) or a decimal exponent. Fractions of a byte are rounded up, as the
    API does.

    Args:
        text: The quantity as the API or a user writes it.

    Raises:
        QuantityError: ``text`` is no quantity.
    """
    if _KIBIBYTES.fullmatch(text):  # what metrics-server writes, thousands of times a poll
        return int(text[:-2]) << 10
    return _parse_cached(text)


MAX_BYTES = 2**63 - 1
"""The API's own bound of a quantity in whole bytes."""


MAX_QUANTITY_LETTERS = 100
"""Of a quantity that is read: what no number of bytes needs, and Python refuses to read 4,300 digits."""


def bytes_or_none(text: str | None) -> int | None:
    """The bytes of a quantity; None where there is none, it cannot be read, or no memory is that size."""
    if not text or len(text) > MAX_QUANTITY_LETTERS:
        return None
    try:
        size = parse_bytes(text)
    except QuantityError:
        return None
    return size if 0 <= size <= MAX_BYTES else None


@lru_cache(maxsize=4096)  # limits and requests are few and come back with every pod
def _parse_cached(text: str) -> int:
    value = _read_quantity(text).value
    return math.ceil(value) if value >= 0 else -math.ceil(-value)
