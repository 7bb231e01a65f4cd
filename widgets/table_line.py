"""The lines of a table: titles, rows and the cell of the scroll bar, painted to an exact width."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from widgets import ink
from widgets.columns import Column, Placed, gap
from widgets.palette import inks, without_colour
from widgets.rows import Cell
from widgets.text import cut, fit, literal

TRACK = 2
"""The cells at the right that are kept free for the scroll bar and the space before it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was painted, with what it was painted from.

    Attributes:
        cells: Its cells, the scroll bar's last; a single one is a sentence over the whole width.
        look: What else its picture depends on.
        strip: The picture.
    """

    cells: tuple[Cell, ...]
    look: Hashable
    strip: Strip

    def shows(self, cells: tuple[Cell, ...], look: Hashable) -> bool:
        """Tells whether this is the picture of these cells."""
        return self.look == look and len(self.cells) == len(cells) and all(map(ink.same, self.cells, cells))


def titles(placed: Sequence[Placed], sort: tuple[str, bool] | None, marks: tuple[str, str]) -> list[Cell]:
    """Returns the cells of the header line; the sorted column's ends in one of ``marks`` (up, down)."""
    key, reverse = sort or (None, False)
    cells: list[Cell] = []
    for column, width in placed:
        words = literal(column.title)
        if column.key == key:
            words = cut(words, width - 1) + marks[reverse]
        words = fit(cut(words, width), width, right=column.justify == "right")
        cells.append(Text(words, "livetable--sorted" if column.key == key else ""))
    return cells


def column_at(x: int, placed: Sequence[Placed], width: int) -> Column | None:
    """Returns the column at cell ``x`` of a table that is ``width`` cells wide; None between two columns."""
    start = 0
    for column, taken in placed:
        if start <= x < start + taken:
            return column
        start += taken + gap(width - TRACK)
    return None


def part_styles(table: Widget, parts: Iterable[str]) -> dict[str, Style]:
    """Looks up what each role and each part of a table looks like now."""
    styles: dict[str, Style] = {"row": table.rich_style, **inks(table)}
    for part in parts:
        styles[part] = table.get_component_rich_style(part)
    styles["livetable--track"] = Style(color=styles["livetable--track"].color)
    styles["livetable--sorted"] = Style(color=styles["livetable--sorted"].color, bold=True)
    if without_colour(table):
        styles["livetable--cursor"] += Style(reverse=True)
        styles["livetable--cursor-blurred"] += Style(underline=True)
    return styles


def thumb(line: int, page: int, count: int, scrolled: float, mark: str) -> Text:
    """Returns the scroll bar's cell in a line of a page.

    Args:
        line: The line, from 0.
        page: How many rows are visible.
        count: How many rows there are.
        scrolled: The share of the way scrolled, 0 … 1.
        mark: What the thumb is made of.
    """
    if count <= page:
        return Text(" ")
    length = max(1, page * page // count)
    start = round(scrolled * (page - length))
    return Text(mark if start <= line < start + length else " ", "livetable--track")


def paint(
    cells: Sequence[Cell], placed: Sequence[Placed], width: int, base: Style, styles: Mapping[str, Style]
) -> Strip:
    """Paints a line of exactly ``width`` cells.

    Args:
        cells: One cell for each of ``placed`` and one for the scroll bar; or a single sentence.
        placed: The columns and their widths.
        width: The width of the table.
        base: The style of the whole line.
        styles: What the roles in the cells look like.
    """
    if len(cells) == 1:
        return Strip(ink.segments(Text(" ").append(cells[0]), width, base, styles), width)
    inner = max(0, width - TRACK)
    space = Segment(" " * gap(inner), base)
    segments: list[Segment] = []
    for cell, (column, cell_width) in zip(cells[:-1], placed, strict=True):
        segments += ink.segments(cell, cell_width, base, styles, right=column.justify == "right")
        segments.append(space)
    strip = Strip(segments).adjust_cell_length(max(0, width - 1), base)
    return Strip.join([strip, Strip(ink.segments(cells[-1], 1, base, styles), 1)]).simplify()
