"""Kubernetes quantities: ``128Mi``, ``1500M``, ``129e6``, ``512000k``, ``1.5Gi``, ``128974848000m``."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

_SUFFIX: dict[str, Fraction] = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_QUANTITY = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3})|([A-Za-z]{0,2}))")
_KIBIBYTES = re.compile(r"\d+Ki")


class QuantityError(ValueError):
    """The text is not a Kubernetes quantity."""


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
    return _parsed(text)


def bytes_or_none(text: str | None) -> int | None:
    """The bytes of a quantity; None where there is none, or where it cannot be read."""
    if not text:
        return None
    try:
        return parse_bytes(text)
    except QuantityError:
        return None


@lru_cache(maxsize=4096)  # limits and requests are few and come back with every pod
def _parsed(text: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text!r} is not a quantity such as 512Mi, 2Gi or 1500M")
    sign, number, exponent, suffix = match.groups()
    scale = Fraction(10) ** int(exponent) if exponent else _SUFFIX.get(suffix or "")
    if scale is None:
        raise QuantityError(f"{text!r} has the unknown unit {suffix!r}; use Ki, Mi, Gi, Ti or k, M, G, T")
    value = math.ceil(Fraction(number) * scale)
    return -value if sign == "-" else value
