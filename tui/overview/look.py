"""How figures are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from widgets.palette import Symbols


@dataclass(frozen=True, slots=True)
class Look:
    """How figures are drawn: thresholds as shares of the limit, and the characters for graphs."""

    warn: float
    critical: float
    symbols: Symbols
