"""The parts of a table: columns and their widths, the rows it asks for, and the painting of its lines."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from widgets import styled_text
from widgets.styled_text import cut, fit, literal, role_styles, without_colour


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table.

    Attributes:
        key: What messages and sort orders call it.
        title: Its words in the header line.
        width: The width it needs, in cells.
        flex: Its share of the width that is left over; 0 keeps it at ``width``.
        max_width: Where it stops growing, in cells; 0 for no such bound.
        justify: The side its text is set against; numbers go right.
        drop_order: The order in which columns are left out when the screen is narrow, 1 first; 0 for never.
        sortable: Whether a click on its title asks for sorting by it.
    """

    key: str
    title: str
    width: int
    flex: int = 0
    max_width: int = 0
    justify: Literal["left", "right"] = "left"
    drop_order: int = 0
    sortable: bool = True


class PlacedColumn(NamedTuple):
    """A column that is shown, and the width it got, in cells."""

    column: TableColumn
    width: int


def column_gap(width: int) -> int:
    """The space between two columns, in cells: one on a narrow screen, else two."""
    return 1 if width < 100 else 2


def place_columns(columns: Sequence[TableColumn], width: int) -> list[PlacedColumn]:
    """Fits ``columns`` into ``width`` cells.

    Columns are left out in their ``drop_order`` until the rest fits. What must stay and still doesn't fit
    shrinks, the widest first. Space left over goes to the flexible columns in proportion to their ``flex``.

    Returns:
        The columns that are shown, in their given order, each with its width; with the gaps between them
        they never take more than ``width``, unless there are more columns than cells.
    """
    shown = list(columns)
    space = column_gap(width)

    def left() -> int:
        return width - sum(column.width for column in shown) - space * (len(shown) - 1)

    while left() < 0 and (droppable := [column for column in shown if column.drop_order]):
        shown.remove(min(droppable, key=lambda column: column.drop_order))
    widths = [column.width for column in shown]
    spare = left()
    for _ in range(-spare):
        widest = max(range(len(widths)), key=widths.__getitem__)
        widths[widest] = max(1, widths[widest] - 1)
    _share_spare_width(spare, shown, widths)
    return [PlacedColumn(column, each) for column, each in zip(shown, widths, strict=True)]


def _share_spare_width(spare: int, columns: Sequence[TableColumn], widths: list[int]) -> None:
    """Adds ``spare`` cells to the widths of the flexible columns, by their flex and within their bounds."""
    while spare > 0:
        open_ = [i for i, c in enumerate(columns) if c.flex and (not c.max_width or widths[i] < c.max_width)]
        if not open_:
            return
        flex = sum(columns[i].flex for i in open_)
        before = spare
        for i in open_:
            share = max(1, before * columns[i].flex // flex)
            if columns[i].max_width:
                share = min(share, columns[i].max_width - widths[i])
            share = min(share, spare)
            widths[i] += share
            spare -= share


Cell = str | Text
"""What one column of one row shows. The styles of a `Text` are roles (see `widgets.styled_text`)."""


class TableRows(Protocol):
    """The data of a table. It must not change once it is shown; show another one instead."""

    def __len__(self) -> int:
        """Counts the rows."""
        ...

    def key(self, i: int) -> Hashable:
        """Names row ``i`` in a way that stays the same when it moves."""
        ...

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """Returns row ``i``, a cell for each of ``columns``; called for visible rows only."""
        ...

    def index(self, key: Hashable) -> int | None:
        """Finds a row by its key; ``None`` when it is gone. Must not take time in proportion to the rows."""
        ...


class NoRows:
    """The data of a table that has none."""

    def __len__(self) -> int:
        return 0

    def key(self, i: int) -> Hashable:
        """Never has one."""
        raise IndexError(i)

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """Never has any."""
        raise IndexError(i)

    def index(self, key: Hashable) -> int | None:
        """Never finds any."""
        return None


TRACK_WIDTH = 2
"""The cells at the right that are kept free for the scroll bar and the space before it."""


@dataclass(frozen=True, slots=True)
class PaintedLine:
    """A line as it was painted, with what it was painted from.

    Attributes:
        cells: Its cells, the scroll bar's last; a single one is a sentence over the whole width.
        look: What else its picture depends on.
        strip: The picture.
    """

    cells: tuple[Cell, ...]
    look: Hashable
    strip: Strip

    def is_picture_of(self, cells: tuple[Cell, ...], look: Hashable) -> bool:
        """Tells whether this is the picture of these cells."""
        return (
            self.look == look
            and len(self.cells) == len(cells)
            and all(map(styled_text.same_cell, self.cells, cells))
        )


def title_cells(
    placed: Sequence[PlacedColumn], sort: tuple[str, bool] | None, marks: tuple[str, str]
) -> list[Cell]:
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


def column_at(x: int, placed: Sequence[PlacedColumn], width: int) -> TableColumn | None:
    """Returns the column at cell ``x`` of a table that is ``width`` cells wide; None between two columns."""
    start = 0
    for column, taken in placed:
        if start <= x < start + taken:
            return column
        start += taken + column_gap(width - TRACK_WIDTH)
    return None


def part_styles(table: Widget, parts: Iterable[str]) -> dict[str, Style]:
    """Looks up what each role and each part of a table looks like now."""
    styles: dict[str, Style] = {"row": table.rich_style, **role_styles(table)}
    for part in parts:
        styles[part] = table.get_component_rich_style(part)
    styles["livetable--track"] = Style(color=styles["livetable--track"].color)
    styles["livetable--sorted"] = Style(color=styles["livetable--sorted"].color, bold=True)
    if without_colour(table):
        styles["livetable--cursor"] += Style(reverse=True)
        styles["livetable--cursor-blurred"] += Style(underline=True)
    return styles


def scroll_thumb(line: int, page: int, count: int, scrolled: float, mark: str) -> Text:
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


def paint_line(
    cells: Sequence[Cell],
    placed: Sequence[PlacedColumn],
    width: int,
    base: Style,
    styles: Mapping[str, Style],
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
        return Strip(styled_text.cell_segments(Text(" ").append(cells[0]), width, base, styles), width)
    inner = max(0, width - TRACK_WIDTH)
    space = Segment(" " * column_gap(inner), base)
    segments: list[Segment] = []
    for cell, (column, cell_width) in zip(cells[:-1], placed, strict=True):
        segments += styled_text.cell_segments(cell, cell_width, base, styles, right=column.justify == "right")
        segments.append(space)
    strip = Strip(segments).adjust_cell_length(max(0, width - 1), base)
    return Strip.join([strip, Strip(styled_text.cell_segments(cells[-1], 1, base, styles), 1)]).simplify()
