"""A trend as lines of text: title and key, the graph with its axes, the evidence below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from textwrap import wrap
from typing import Final

from rich.cells import cell_len
from rich.text import Text
from textual.strip import Strip

from widgets.axes import Ticks, axes, drawn
from widgets.palette import Symbols
from widgets.sparkline import sparkline
from widgets.text import cut, literal, shorten
from widgets.trend import Trend, segments, stretches, time_ticks

_LEAST = (24, 6)
"""The least width and height, in cells, of which a graph with axes can be made sense."""
_TALL = 14  # from this many lines on the caption may take two of them


@dataclass(frozen=True, slots=True)
class _Marks:
    """What each part is drawn with: they differ in shape, so that they differ without colour too."""

    memory: str
    memory_key: str
    limit: str = "━"
    request: str = "╌"
    floor: str = "∙"
    restart: str = "┊"
    restart_top: str = "↻"
    oom: str = "║"
    oom_top: str = "✖"


_MARKS: Final[dict[Symbols, _Marks]] = {
    "braille": _Marks("braille", "⣀⡠"),
    "block": _Marks("hd", "▄▞"),
    "ascii": _Marks("*", "*", "=", "-", ".", ":", "r", "!", "X"),
}


def lines(
    trend: Trend,
    width: int,
    height: int,
    symbols: Symbols,
    zone: tzinfo | None,
    empty: str,
    colours: Mapping[str, tuple[int, int, int]],
) -> Sequence[Text | Strip]:
    """Draws title, graph and caption, as far as they fit.

    Args:
        trend: What to draw.
        width: Cells.
        height: Lines.
        symbols: What to draw the memory line with.
        zone: The time zone of the time axis; ``None`` for the local one.
        empty: What to say where there is no sample.
        colours: The RGB triplets of the roles.
    """
    wrapped = wrap(literal(trend.caption), max(1, width - 2))
    shown = 2 if height >= _TALL else 1
    if len(wrapped) > shown:
        wrapped[shown - 1] = " ".join(wrapped[shown - 1 :])
    below = [Text(f" {cut(line, width - 2)}", "dim") for line in wrapped[:shown]]
    inner = height - 1 - len(below)
    top = _title(trend, width, _MARKS[symbols])
    if width < _LEAST[0] or inner < _LEAST[1]:
        small = sparkline(trend.values, max(0, width - 2), trend.limit, symbols)
        return [top, Text(" ").append_text(small), *below][: max(1, height)]
    if all(math.isnan(value) for value in trend.values):
        return [top, Text(f" {literal(empty)}", "dim"), *[Text()] * (inner - 1), *below]
    return [top, *_graph(trend, width, inner, symbols, zone, colours), *below]


def _title(trend: Trend, width: int, marks: _Marks) -> Text:
    """Returns the title and the note, with the key at their right, as much of it as there is room for."""
    parts = [(marks.memory_key, "primary", "memory", True)]
    parts.append((marks.limit, "critical", "limit", trend.limit is not None))
    parts.append((marks.request, "dim", "request", trend.request is not None))
    parts.append((marks.floor * 2, "warn", "floor", trend.floor is not None))
    parts.append((marks.restart_top, "dim", "restart", bool(trend.restarts)))
    parts.append((marks.oom_top, "critical", "OOM kill", bool(trend.oom_kills)))
    keys = [
        Text.assemble("  ", (sign, role), (f" {words}", "dim")) for sign, role, words, there in parts if there
    ]
    note = f"  {literal(trend.note)}" if trend.note else ""
    # What a mark means can be guessed; what is missing from the picture cannot.
    wanted = max(_LEAST[0], min(cell_len(literal(trend.title)), width // 3)) + cell_len(note)
    while keys and width - 4 - sum(key.cell_len for key in keys) < wanted:
        del keys[0]
    key = Text().join([*keys, Text(" ")])
    room = width - 3 - key.cell_len
    title = shorten(literal(trend.title), max(0, room - cell_len(note)))
    note = cut(note, max(0, room - cell_len(title)))
    space = max(0, width - 1 - cell_len(title) - cell_len(note) - key.cell_len)
    return Text.assemble(" ", (title, "strong"), (note, "dim"), " " * space, key)


def _graph(
    trend: Trend,
    width: int,
    height: int,
    symbols: Symbols,
    zone: tzinfo | None,
    colours: Mapping[str, tuple[int, int, int]],
) -> list[Text | Strip]:
    """Draws the graph with its axes as exactly ``height`` lines."""
    start, end = trend.span or (0.0, 0.0)
    end = max(end, start + 1.0)
    marks = _MARKS[symbols]
    lines = stretches(trend.times, trend.values, width)
    highest = max(float(values.max()) for _, values in lines)
    scale = max(highest, trend.limit or 0.0, trend.request or 0.0) or 1.0
    rows = max(1, height - 2)
    top = scale * (rows + 1) / max(1, rows - 1)  # two rows above the limit, for marks

    def ticks(most: int) -> Ticks:
        return time_ticks(start, end, most, zone)

    plot = axes(width, height, (start, end), scale, top, trend.unit, ticks, colours)

    for level, mark, role in (
        (trend.request, marks.request, "dim"),
        (trend.limit, marks.limit, "critical"),
    ):
        if level is not None:
            plot.plot([start, end], [level, level], marker=mark, color=colours[role])
    for moments, line, sign, role in (
        (trend.restarts, marks.restart, marks.restart_top, "dim"),
        (trend.oom_kills, marks.oom, marks.oom_top, "critical"),
    ):
        for at in _distinct(moments, start, end, width):
            plot.plot([at, at], [0, top], marker=line, color=colours[role])
            plot.plot([at], [top], marker=sign, color=colours[role])
    for stretch_times, stretch_values in lines:
        draw = plot.plot if len(stretch_times) > 1 else plot.scatter
        draw(stretch_times.tolist(), stretch_values.tolist(), marker=marks.memory, color=colours["primary"])
    for moments, levels in segments(*(trend.floor or ((), ()))):
        plot.plot(moments, levels, marker=marks.floor, color=colours["warn"])
    return drawn(plot, height, symbols)


def _distinct(moments: Sequence[float], start: float, end: float, width: int) -> list[float]:
    """Returns the moments within the span, of those that share a column only the first."""
    column = (end - start) / width
    return list({int((at - start) / column): at for at in reversed(moments) if start <= at <= end}.values())
