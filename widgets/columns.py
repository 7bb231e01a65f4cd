"""Columns of a table, and how they share the width there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        key: What messages and sort orders call it.
        title: Its words in the header line.
        width: The width it needs, in cells.
        flex: Its share of the width that is left over; 0 keeps it at ``width``.
        max_width: Where it stops growing, in cells; 0 for no such bound.
        justify: The side its text is set against; numbers go right.
        drop: The order in which columns are left out when the screen is narrow, 1 first; 0 for never.
        sortable: Whether a click on its title asks for sorting by it.
    """

    key: str
    title: str
    width: int
    flex: int = 0
    max_width: int = 0
    justify: Literal["left", "right"] = "left"
    drop: int = 0
    sortable: bool = True


class Placed(NamedTuple):
    """A column that is shown, and the width it got, in cells."""

    column: Column
    width: int


def gap(width: int) -> int:
    """The space between two columns, in cells: one on a narrow screen, else two."""
    return 1 if width < 100 else 2


def layout(columns: Sequence[Column], width: int) -> list[Placed]:
    """Fits ``columns`` into ``width`` cells.

    Columns are left out in their ``drop`` order until the rest fits. What must stay and still doesn't fit
    shrinks, the widest first. Space left over goes to the flexible columns in proportion to their ``flex``.

    Returns:
        The columns that are shown, in their given order, each with its width; with the gaps between them
        they never take more than ``width``, unless there are more columns than cells.
    """
    shown = list(columns)
    space = gap(width)

    def left() -> int:
        return width - sum(column.width for column in shown) - space * (len(shown) - 1)

    while left() < 0 and (droppable := [column for column in shown if column.drop]):
        shown.remove(min(droppable, key=lambda column: column.drop))
    widths = [column.width for column in shown]
    spare = left()
    for _ in range(-spare):
        widest = max(range(len(widths)), key=widths.__getitem__)
        widths[widest] = max(1, widths[widest] - 1)
    _share(spare, shown, widths)
    return [Placed(column, each) for column, each in zip(shown, widths, strict=True)]


def _share(spare: int, columns: Sequence[Column], widths: list[int]) -> None:
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
