"""Small graphs inside a line: a usage bar with its thresholds, a sparkline, the progress of a transfer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.text import Text

from memtop.wording import bytes_, share
from widgets.styled_text import Level, Symbols, cut, literal

_EIGHTHS = " ▏▎▍▌▋▊▉"
NO_LIMIT = "no limit"


def usage_level(ratio: float | None, warn: float, critical: float) -> Level:
    """Judges a ratio against two thresholds (all of them shares, 0.7 for 70 %); reaching one counts.

    ``None`` and values that are not finite are ``"unknown"``, never ``"ok"``.
    """
    if ratio is None or not math.isfinite(ratio):
        return "unknown"
    if ratio >= critical:
        return "critical"
    return "warn" if ratio >= warn else "ok"


def usage_bar(ratio: float | None, width: int, warn: float, critical: float, symbols: Symbols) -> Text:
    """Draws ``ratio`` as a bar of ``width`` cells.

    The thresholds stay visible as marks in the empty part. Without colour the levels still differ: the filled
    part turns from ``█`` to ``▓`` at the warning threshold and ends in ``!`` from the critical one; in ASCII
    it is made of ``=``, ``#`` and ``!``.

    Args:
        ratio: The share of the limit in use; ``None`` where there is no limit.
        width: Width in cells.
        warn: The first threshold, a share such as 0.7.
        critical: The second threshold, a share such as 0.9.
        symbols: Which characters to draw with.

    Returns:
        A text of exactly ``width`` cells whose styles are roles (see `widgets.styled_text`).
    """
    judged = usage_level(ratio, warn, critical)
    if ratio is None or judged == "unknown":
        return Text(NO_LIMIT[:width].ljust(width), style="dim")
    ascii_ = symbols == "ascii"
    inner = max(1, width - 2) if ascii_ else width
    filled, end = _filled_cells(min(max(ratio, 0.0), 1.0), inner, judged, ascii_)
    marks = {int(inner * threshold) for threshold in (warn, critical)}
    mark, empty = ("|", ".") if ascii_ else ("┊", "·")
    rest = "".join(mark if cell in marks else empty for cell in range(len(filled) + len(end), inner))
    bar = Text(no_wrap=True, end="")
    if ascii_:
        bar.append("[", "dim")
    bar.append(filled + end, "calm" if judged == "ok" else judged)  # colour is for what needs attention
    bar.append(rest, "faint")
    if ascii_:
        bar.append("]", "dim")
    return bar[:width]


def _filled_cells(ratio: float, width: int, judged: Level, ascii_: bool) -> tuple[str, str]:
    """Returns the filled part of a bar of ``width`` cells and the cell it ends in."""
    if ascii_:
        cells = round(ratio * width)
        body = {"ok": "=", "warn": "#", "critical": "#"}[judged] * cells
        return (body[:-1], "!") if judged == "critical" and body else (body, "")
    if judged == "ok":
        eighths = round(ratio * width * 8)
        return "█" * (eighths // 8), _EIGHTHS[eighths % 8].strip()
    body = "▓" * round(ratio * width)
    return (body[:-1], "!") if judged == "critical" and body else (body, "")


_PROGRESS_CELLS = 24


def byte_progress(done: int, size: int, width: int, symbols: Symbols) -> Text:
    """Draws bytes that have come as a bar where it is known how many there will be.

    Args:
        done: Bytes so far.
        size: Bytes in all; 0 where that is not known.
        width: Width in cells.
        symbols: Which characters to draw with.

    Returns:
        A text of at most ``width`` cells whose styles are roles (see `widgets.styled_text`).
    """
    line = Text(no_wrap=True, end="")
    if not size:
        return line.append(cut(f"{bytes_(done)} so far" if done else "", width), "dim")
    ratio = min(1.0, done / size)
    words = f" {share(ratio)}  {bytes_(done)} of {bytes_(size)}"
    cells = min(_PROGRESS_CELLS, width - len(words) - 2)
    if cells >= 4:
        full, empty = ("=", ".") if symbols == "ascii" else ("█", "░")
        filled = int(cells * ratio)
        line.append(full * filled, "primary").append(empty * (cells - filled), "faint")
    return line.append(cut(literal(words), max(0, width - len(line.plain))))


_SPARK_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK_ASCII = "_.-=+*#@"
# Dots 7, 3, 2, 1 (left) and 8, 6, 5, 4 (right) from the bottom up, filled like a small bar.
_LEFT_DOTS = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT_DOTS = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
UNSCALED = "~"
"""Ends a sparkline whose series has no limit and which is therefore scaled to its own maximum."""


def binned_maxima(values: Sequence[float], count: int) -> list[float]:
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
    reduced = binned_maxima(values, cells * 2 if symbols == "braille" else cells)
    scale = float(top or 0.0) if limited else max((v for v in reduced if not math.isnan(v)), default=0.0)
    drawn = "".join(_spark_cells(reduced, scale, symbols))
    if limited:
        return Text(drawn, style="graph", no_wrap=True, end="")
    mark = UNSCALED if drawn.strip(" \u2800") else " "
    return Text(drawn + mark * (width - cells), style="dim", no_wrap=True, end="")


_LEAST_RANGE = 0.1
"""What a shape spans at least, as a share of its highest value: smaller swings are those of any idle process
and would be drawn as if they were something."""
_SHAPE_ROLES: dict[Level, str] = {"ok": "graph", "warn": "warn", "critical": "critical", "unknown": "dim"}


def memory_shape(
    values: Sequence[float],
    width: int,
    limit: float | None,
    warn: float,
    critical: float,
    symbols: Symbols,
) -> Text:
    """Draws the shape of ``values`` (oldest first, bytes) in eight levels over their own range.

    How near the limit each of them was is told by the colour of its cell.

    Args:
        values: The samples at even distances; NaN where there is none, which stays blank.
        width: Width in cells.
        limit: Bytes; ``None`` where there is none.
        warn: The first threshold, a share of the limit such as 0.7.
        critical: The second threshold, a share such as 0.9.
        symbols: ASCII, or blocks for all others: Braille has only four levels.

    Returns:
        A text of exactly ``width`` cells.
    """
    reduced = binned_maxima(values, max(0, width))
    known = [value for value in reduced if not math.isnan(value)]
    top, bottom = max(known, default=0.0), min(known, default=0.0)
    span = max(top - bottom, top * _LEAST_RANGE)
    low = (top + bottom - span) / 2  # what hardly moves lies in the middle
    glyphs = _SPARK_ASCII if symbols == "ascii" else _SPARK_BLOCKS
    line = Text(no_wrap=True, end="")
    for value in reduced:
        height = _spark_height(value - low, span, len(glyphs))
        near = usage_level(value / limit if limit else None, warn, critical)
        line.append(glyphs[height - 1] if height else " ", _SHAPE_ROLES[near])
    return line


def _spark_cells(values: Sequence[float], scale: float, symbols: Symbols) -> Iterator[str]:
    if symbols == "braille":
        for left, right in zip(values[::2], values[1::2], strict=True):
            dots = _LEFT_DOTS[_spark_height(left, scale, 4)] | _RIGHT_DOTS[_spark_height(right, scale, 4)]
            yield chr(0x2800 | dots) if dots else " "
        return
    glyphs = _SPARK_BLOCKS if symbols == "block" else _SPARK_ASCII
    for value in values:
        height = _spark_height(value, scale, len(glyphs))
        yield glyphs[height - 1] if height else " "


def _spark_height(value: float, scale: float, steps: int) -> int:
    """Returns 0 for a gap, else 1 … ``steps``: a sample is always visible, be it 0."""
    if math.isnan(value):
        return 0
    if scale <= 0:
        return 1
    return min(steps, max(1, math.ceil(min(max(value, 0.0) / scale, 1.0) * steps - 1e-9)))
