"""Amounts of memory as people say them: ``2Gi``, ``+25%``, ``+512Mi``, ``x2``."""

from __future__ import annotations

import math
import re
from typing import Final

from memtop.quantity import QuantityError, parse_bytes

HINT: Final = "2Gi, +25%, +512Mi, x2"
_MI: Final = 1024**2
_SHARE = re.compile(r"([+-])\s*(\d+(?:\.\d+)?)\s*%")
_TIMES = re.compile(r"[x*×]\s*(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*[x×]")
_MORE = re.compile(r"([+-])\s*(\d.*)")
_BELOW = re.compile(r"-\s*\d+(?:\.\d+)?")
"""Nobody wants a few bytes less: a number below 0 without a unit is as good as none."""


def resolved(text: str, now: int | None) -> str:
    """The quantity that is meant, as Kubernetes writes it; an absolute one is returned as it is.

    Args:
        text: What was typed.
        now: What it is relative to, bytes; None where there is nothing yet.

    Raises:
        ValueError: It is relative to nothing, or to something in no understandable way.
    """
    found = None if _BELOW.fullmatch(text.strip()) else _relative(text.strip())
    if found is None:
        return text.strip()
    if now is None:
        raise ValueError(f"there is nothing yet that {text.strip()!r} could be relative to")
    factor, more = found
    size = now * factor + more
    if size <= 0:
        raise ValueError(f"{text.strip()!r} leaves nothing")
    if math.isinf(size):
        raise ValueError(f"{text.strip()!r} is more than the API can count")
    whole = math.ceil(size / _MI)
    return f"{whole // 1024}Gi" if whole % 1024 == 0 else f"{whole}Mi"


def _relative(text: str) -> tuple[float, float] | None:
    """The factor and the bytes to add; None for an absolute amount."""
    if share := _SHARE.fullmatch(text):
        part = float(share[2]) / 100
        return (1 + part if share[1] == "+" else 1 - part), 0.0
    if times := _TIMES.fullmatch(text):
        return float(times[1] or times[2]), 0.0
    if more := _MORE.fullmatch(text):
        try:
            size = float(parse_bytes(more[2].strip()))
        except QuantityError as error:
            raise ValueError(str(error)) from None
        except OverflowError:
            size = math.inf
        return 1.0, size if more[1] == "+" else -size
    return None
