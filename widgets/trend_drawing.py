"""Draws a trend as lines of text with plotext: title and key, graph and axes, the evidence below."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from textwrap import wrap
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from textual.strip import Strip
from textual_plotext.plot import Plot

from widgets.cell_graphs import sparkline
from widgets.styled_text import Symbols, cut, literal, shorten
from widgets.trend_data import Trend, binned_stretches, time_ticks, unbroken_segments, value_ticks

Ticks = Sequence[tuple[float, str]]
"""Places on an axis, with their labels."""
_ASCII_AXES: Final = str.maketrans("─│└┤┬", "-|+++")
_CONSOLE: Final = Console(color_system="truecolor", highlight=False)


def plot_axes(
    width: int,
    height: int,
    span: tuple[float, float],
    scale: float,
    top: float,
    unit: str,
    ticks: Callable[[int], Ticks],
    colours: Mapping[str, tuple[int, int, int]],
) -> Plot:
    """Makes a plot with axes and nothing else.

    Args:
        width: Cells.
        height: Lines.
        span: Where the lower axis begins and ends.
        scale: Up to which value the upright axis has labels.
        top: Up to which value there is room.
        unit: What the values are, as `value_ticks` takes it.
        ticks: The labels of the lower axis, given how many there is room for.
        colours: The RGB triplets of the roles.
    """
    plot = Plot()
    plot._set_size(width, height)
    plot.canvas_color("default")
    plot.axes_color("default")
    plot.ticks_color(colours["dim"])
    plot.xaxes(True, False)
    plot.yaxes(True, False)
    plot.xlim(*span)
    plot.ylim(0, top)
    rows = max(1, height - 2)
    values = value_ticks(scale, max(3, min(7, rows // 3 + 1)), unit)
    label = max(8, *(len(words) for _, words in values))
    plot.yticks([value for value, _ in values], [words.rjust(label) for _, words in values])
    below = ticks(max(1, (width - label) // 12))
    plot.xticks([at for at, _ in below], [words for _, words in below])
    return plot


def plot_lines(plot: Plot, height: int, symbols: Symbols) -> list[Text | Strip]:
    """Draws a plot as exactly ``height`` lines."""
    built = plot.build()
    if symbols == "ascii":
        built = built.translate(_ASCII_AXES)
    lines: list[Text | Strip] = [_strip_from_ansi(line) for line in built.split("\n")[:height]]
    return lines + [Text()] * (height - len(lines))


def _strip_from_ansi(ansi: str) -> Strip:
    """A line that plotext has built, with its colours."""
    text = Text.from_ansi(ansi)
    return Strip([segment for segment in text.render(_CONSOLE) if segment.text])


_SMALLEST_GRAPH = (24, 6)
"""The least width and height, in cells, of which a graph with axes can be made sense."""
_TALL_GRAPH = 14  # from this many lines on the caption may take two of them


@dataclass(frozen=True, slots=True)
class _TrendMarks:
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


_TREND_MARKS: Final[dict[Symbols, _TrendMarks]] = {
    "braille": _TrendMarks("braille", "⣀⡠"),
    "block": _TrendMarks("hd", "▄▞"),
    "ascii": _TrendMarks("*", "*", "=", "-", ".", ":", "r", "!", "X"),
}


def trend_lines(
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
    shown = 2 if height >= _TALL_GRAPH else 1
    if len(wrapped) > shown:
        wrapped[shown - 1] = " ".join(wrapped[shown - 1 :])
    below = [Text(f" {cut(line, width - 2)}", "dim") for line in wrapped[:shown]]
    inner = height - 1 - len(below)
    top = _title_line(trend, width, _TREND_MARKS[symbols])
    if width < _SMALLEST_GRAPH[0] or inner < _SMALLEST_GRAPH[1]:
        small = sparkline(trend.values, max(0, width - 2), trend.limit, symbols)
        return [top, Text(" ").append_text(small), *below][: max(1, height)]
    if all(math.isnan(value) for value in trend.values):
        return [top, Text(f" {literal(empty)}", "dim"), *[Text()] * (inner - 1), *below]
    return [top, *_graph_lines(trend, width, inner, symbols, zone, colours), *below]


def _title_line(trend: Trend, width: int, marks: _TrendMarks) -> Text:
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
    wanted = max(_SMALLEST_GRAPH[0], min(cell_len(literal(trend.title)), width // 3)) + cell_len(note)
    while keys and width - 4 - sum(key.cell_len for key in keys) < wanted:
        del keys[0]
    key = Text().join([*keys, Text(" ")])
    room = width - 3 - key.cell_len
    title = shorten(literal(trend.title), max(0, room - cell_len(note)))
    note = cut(note, max(0, room - cell_len(title)))
    space = max(0, width - 1 - cell_len(title) - cell_len(note) - key.cell_len)
    return Text.assemble(" ", (title, "strong"), (note, "dim"), " " * space, key)


def _graph_lines(
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
    marks = _TREND_MARKS[symbols]
    lines = binned_stretches(trend.times, trend.values, width, trend.breaks)
    highest = max(float(values.max()) for _, values in lines)
    scale = max(highest, trend.limit or 0.0, trend.request or 0.0) or 1.0
    rows = max(1, height - 2)
    top = scale * (rows + 1) / max(1, rows - 1)  # two rows above the limit, for marks

    def ticks(most: int) -> Ticks:
        return time_ticks(start, end, most, zone)

    plot = plot_axes(width, height, (start, end), scale, top, trend.unit, ticks, colours)

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
        for at in _distinct_moments(moments, start, end, width):
            plot.plot([at, at], [0, top], marker=line, color=colours[role])
            plot.plot([at], [top], marker=sign, color=colours[role])
    for stretch_times, stretch_values in lines:
        draw = plot.plot if len(stretch_times) > 1 else plot.scatter
        draw(stretch_times.tolist(), stretch_values.tolist(), marker=marks.memory, color=colours["primary"])
    for moments, levels in unbroken_segments(*(trend.floor or ((), ()))):
        plot.plot(moments, levels, marker=marks.floor, color=colours["warn"])
    return plot_lines(plot, height, symbols)


def _distinct_moments(moments: Sequence[float], start: float, end: float, width: int) -> list[float]:
    """Returns the moments within the span, of those that share a column only the first."""
    column = (end - start) / width
    return list({int((at - start) / column): at for at in reversed(moments) if start <= at <= end}.values())
