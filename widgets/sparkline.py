"""The recent past of one series in a few cells, scaled to its limit and never to itself.

A pod that is flat at 5 % of its limit draws a line at the bottom and one that leaks climbs to the top; two
sparklines side by side can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.text import Text

from widgets.palette import Symbols

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=+*#@"
# Dots 7, 3, 2, 1 (left) and 8, 6, 5, 4 (right) from the bottom up, filled like a small bar.
_LEFT = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
UNSCALED = "~"
"""Ends a sparkline whose series has no limit and which is therefore scaled to its own maximum."""


def bins(values: Sequence[float], count: int) -> list[float]:
    """Takes ``values`` down to ``count`` by the maximum of each bin; a bin without a number is NaN.

    The maximum keeps the peak before a restart, and a restart still shows, as the drop after it. A series
    shorter than ``count`` keeps its values and has the start filled with NaN: now is always at the right.
    """
    size = len(values)
    if size <= count:
        return [math.nan] * (count - size) + [float(value) for value in values]
    reduced = []
    for i in range(count):
        part = [v for v in values[i * size // count : (i + 1) * size // count] if not math.isnan(v)]
        reduced.append(float(max(part)) if part else math.nan)
    return reduced


def sparkline(values: Sequence[float], width: int, top: float | None, symbols: Symbols) -> Text:
    """Draws ``values`` (oldest first, any unit) from 0 to ``top``.

    Args:
        values: The samples at even distances; NaN where there is none, which stays blank.
        width: Width in cells.
        top: What a full cell stands for, in the unit of ``values``: the limit. ``None`` where there is none;
            the series' own maximum is taken then, the line is dim and ends in `UNSCALED`.
        symbols: Braille takes two samples per cell, the others one.

    Returns:
        A text of exactly ``width`` cells.
    """
    if width <= 0:
        return Text(end="")
    limited = top is not None and math.isfinite(top) and top > 0
    cells = width if limited or width < 2 else width - 1
    reduced = bins(values, cells * 2 if symbols == "braille" else cells)
    scale = float(top or 0.0) if limited else max((v for v in reduced if not math.isnan(v)), default=0.0)
    drawn = "".join(_cells(reduced, scale, symbols))
    if limited:
        return Text(drawn, style="graph", no_wrap=True, end="")
    mark = UNSCALED if drawn.strip(" \u2800") else " "
    return Text(drawn + mark * (width - cells), style="dim", no_wrap=True, end="")


def _cells(values: Sequence[float], scale: float, symbols: Symbols) -> Iterator[str]:
    if symbols == "braille":
        for left, right in zip(values[::2], values[1::2], strict=True):
            dots = _LEFT[_height(left, scale, 4)] | _RIGHT[_height(right, scale, 4)]
            yield chr(0x2800 | dots) if dots else " "
        return
    glyphs = _BLOCKS if symbols == "block" else _ASCII
    for value in values:
        height = _height(value, scale, len(glyphs))
        yield glyphs[height - 1] if height else " "


def _height(value: float, scale: float, steps: int) -> int:
    """Returns 0 for a gap, else 1 … ``steps``: a sample is always visible, be it 0."""
    if math.isnan(value):
        return 0
    if scale <= 0:
        return 1
    return min(steps, max(1, math.ceil(min(max(value, 0.0) / scale, 1.0) * steps - 1e-9)))
