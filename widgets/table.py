"""A table whose cost depends on the visible rows, not on how many rows it has."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets.line_widget import changed_spans
from widgets.table_parts import (
    TRACK_WIDTH,
    Cell,
    NoRows,
    PaintedLine,
    PlacedColumn,
    TableColumn,
    TableRows,
    column_at,
    paint_line,
    part_styles,
    place_columns,
    scroll_thumb,
    title_cells,
)


class LiveTable(ScrollView, can_focus=True):
    """Rows of columns with a cursor that stays on its row while the rows move.

    The cursor rests on the first row, whichever row that is at the time, until a key moves it or `pin_cursor`
    is called. From then on it follows the key of its row. The first line holds the titles, the rightmost cell
    of each line the scroll bar.

    Attributes:
        moves: How often somebody has moved the cursor.
    """

    DEFAULT_CSS = """
    LiveTable {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size: 0 0;
    }
    LiveTable > .livetable--header { color: $foreground-muted; text-style: bold; }
    LiveTable > .livetable--sorted { color: $foreground; text-style: bold; }
    LiveTable > .livetable--cursor { background: $primary 40%; }
    LiveTable > .livetable--cursor-blurred { background: $foreground 10%; }
    LiveTable > .livetable--note { color: $foreground-muted; text-style: italic; }
    LiveTable > .livetable--track { color: $foreground 30%; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "livetable--header",
        "livetable--sorted",
        "livetable--cursor",
        "livetable--cursor-blurred",
        "livetable--note",
        "livetable--track",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor(-1)", "Up", show=False),
        Binding("down,j", "cursor(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
        Binding("enter", "activate", "Open"),
    ]

    class Selected(Message):
        """The cursor is on another row than before."""

        def __init__(self, table: LiveTable, key: Hashable | None) -> None:
            super().__init__()
            self.table = table
            self.key = key
            """The row's key, ``None`` when no row is left."""

        @property
        def control(self) -> LiveTable:
            """The table it comes from."""
            return self.table

    class Activated(Selected):
        """Someone wants to see more of a row: enter, a double click, or a second click."""

    class SortRequested(Message):
        """Someone clicked on the title of a sortable column."""

        def __init__(self, table: LiveTable, column_key: str) -> None:
            super().__init__()
            self.table = table
            self.column_key = column_key

        @property
        def control(self) -> LiveTable:
            """The table it comes from."""
            return self.table

    def __init__(
        self,
        columns: Sequence[TableColumn],
        *,
        empty: str = "Nothing here yet",
        ascii_only: bool = False,
        always_lit: bool = False,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Makes a table without rows.

        Args:
            columns: What it can show, in order.
            empty: What to say while there are no rows.
            ascii_only: Whether sort marks and scroll bar must do with ASCII.
            always_lit: Whether the cursor looks the same without the focus, as beside an input.
            name: As for any widget.
            id: As for any widget.
            classes: As for any widget.
        """
        super().__init__(name=name, id=id, classes=classes)
        self._columns = tuple(columns)
        self._rows: TableRows = NoRows()
        self._empty = empty
        self._note = ""
        self._sort: tuple[str, bool] | None = None
        self._cursor = 0
        self._cursor_key: Hashable | None = None
        self._clicked: Hashable | None = None
        self._touched = False
        self.moves = 0
        self._placed: list[PlacedColumn] = []
        self._laid_out: tuple[int, tuple[TableColumn, ...]] | None = None
        self._painted: dict[int, PaintedLine] = {}
        self._styles_known: dict[str, Style] | None = None
        self._look = 0
        self._always_lit = always_lit
        self._marks = ("^", "v") if ascii_only else ("▲", "▼")
        self._bar = "|" if ascii_only else "▐"

    # What it shows

    @property
    def rows(self) -> TableRows:
        """The rows shown now."""
        return self._rows

    @property
    def cursor_key(self) -> Hashable | None:
        """The key of the row the cursor is on; ``None`` without rows."""
        return self._cursor_key

    @property
    def cursor_row(self) -> int:
        """The index of the row the cursor is on; 0 without rows."""
        return self._cursor

    @property
    def placed(self) -> Sequence[PlacedColumn]:
        """The columns shown at the present width."""
        self._lay_out()
        return self._placed

    @property
    def sort(self) -> tuple[str, bool] | None:
        """The column the rows are sorted by, and whether the largest comes first."""
        return self._sort

    def show(
        self,
        rows: TableRows,
        *,
        columns: Sequence[TableColumn] | None = None,
        sort: tuple[str, bool] | None = None,
        note: str = "",
        empty: str | None = None,
        afresh: bool = False,
        rest: int = 0,
    ) -> None:
        """Replaces the rows and repaints what came out different.

        The cursor stays on its row. Where that was on screen it stays on the same line of it, unless the
        table stands at its top, which it then doesn't leave. When the row is gone, the next one gets it.
        A cursor that nobody has moved does not scroll: what stands first would be taken for the largest.

        Args:
            rows: The new rows, already in order.
            columns: Other columns than before, as for workloads in place of pods; the same if ``None``.
            sort: The column they are sorted by, and whether the largest comes first; only to mark it.
            note: A line below the rows; none if empty.
            empty: What to say when there are no rows; as before if ``None``.
            afresh: Whether other rows were asked for: the cursor rests again where its row is gone.
            rest: The row that the cursor rests on as long as nobody has moved it.
        """
        was, scroll, page = self._cursor, round(self.scroll_y), self._page
        visible = self.size.height > 0 and scroll <= was < scroll + page
        self._rows, self._sort, self._note = rows, sort, note
        self._columns = self._columns if columns is None else tuple(columns)
        self._empty = self._empty if empty is None else empty
        count = len(rows)
        found = rows.index(self._cursor_key) if self._touched and self._cursor_key is not None else None
        if found is None:
            found = min(was if self._touched and not afresh else rest, max(0, count - 1))
        self._cursor = found
        self._resize()
        if visible and self.moves:
            stays = found < self._page and scroll == 0
            self._scroll_to_row(0 if stays else scroll + found - was)
            self._show_cursor()
        self._repaint()
        self._announce()

    def select(self, key: Hashable) -> bool:
        """Puts the cursor on a row and brings it into view; tells whether there is such a row."""
        found = self._rows.index(key)
        if found is None:
            return False
        self._move(found)
        return True

    def pin_cursor(self) -> None:
        """Keeps the cursor on its row from now on, as if someone had put it there."""
        self._touched = self._touched or self._cursor_key is not None

    def unpin_cursor(self) -> None:
        """Rests the cursor again where nobody has moved it."""
        self._touched = False

    # Cursor and scrolling

    @property
    def _page(self) -> int:
        """How many rows are visible at once."""
        return max(1, self.size.height - 1 - bool(self._note))

    def _resize(self) -> None:
        """Tells the scrolling machinery how long the table is now, without a new layout of the screen."""
        length = len(self._rows) + 1 + bool(self._note)
        self.set_reactive(ScrollView.virtual_size, Size(self.size.width, length))
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def _scroll_to_row(self, first: float) -> None:
        self.scroll_to(y=first, animate=False, force=True)

    def _show_cursor(self) -> None:
        if not self.size.height:
            return  # not laid out yet; its first size brings it into view
        first, page = round(self.scroll_y), self._page
        if self._cursor < first:
            self._scroll_to_row(self._cursor)
        elif self._cursor >= first + page:
            self._scroll_to_row(self._cursor - page + 1)

    def _move(self, row: int) -> None:
        if not len(self._rows):
            return
        self._touched = True
        self.moves += 1
        self._clicked = None
        self._cursor = min(max(row, 0), len(self._rows) - 1)
        self._show_cursor()
        self._repaint()
        self._announce()

    def _announce(self) -> None:
        key = self._rows.key(self._cursor) if len(self._rows) else None
        if key != self._cursor_key:
            self._cursor_key = key
            self.post_message(self.Selected(self, key))

    def on_focus(self) -> None:
        """Shows the cursor as that of the pane that listens."""
        self._repaint()

    def on_mouse_scroll_down(self, _: events.MouseScrollDown) -> None:
        """Leaves the table where somebody scrolls it to."""
        self.pin_cursor()

    def on_blur(self) -> None:
        """Shows the cursor as one that only remembers its place."""
        self._repaint()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Repaints the lines that scrolling made different, instead of all of them."""
        if round(old_value) != round(new_value):
            self._repaint()

    def action_cursor(self, step: int) -> None:
        """Moves the cursor by ``step`` rows."""
        self._move(self._cursor + step)

    def action_page(self, direction: int) -> None:
        """Moves the cursor by a screenful, up (-1) or down (1)."""
        self._move(self._cursor + direction * max(1, self._page - 1))

    def action_first(self) -> None:
        """Moves the cursor to the first row."""
        self._move(0)

    def action_last(self) -> None:
        """Moves the cursor to the last row."""
        self._move(len(self._rows) - 1)

    def action_activate(self) -> None:
        """Asks for more about the row under the cursor."""
        if len(self._rows):
            self._touched = True
            self.post_message(self.Activated(self, self._cursor_key))

    # Mouse

    def on_click(self, event: events.Click) -> None:
        """Selects or activates a row, asks for a sort order, or scrolls."""
        at = event.get_content_offset(self)
        if at is None:
            return
        event.stop()
        if at.y == 0:
            self._click_title(at.x)
            return
        if at.x == self.size.width - 1 and len(self._rows) > self._page:
            self._scroll_to_row(round((at.y - 1) / max(1, self._page - 1) * self.max_scroll_y))
            return
        row = at.y - 1 + round(self.scroll_y)
        if at.y > self._page or row >= len(self._rows):
            return
        again = event.chain > 1 or (row == self._cursor and self._clicked == self._rows.key(row))
        self._move(row)
        self._clicked = self._cursor_key
        if again:
            self.action_activate()

    def _click_title(self, x: int) -> None:
        column = column_at(x, self._placed, self.size.width)
        if column is not None and column.sortable:
            self.post_message(self.SortRequested(self, column.key))

    # Painting

    def on_resize(self) -> None:
        """Keeps a cursor that was moved in view in a smaller window."""
        self._resize()
        if self.moves:
            self._show_cursor()
        self._repaint()

    def notify_style_update(self) -> None:
        """Looks colours up again after a change of theme or focus."""
        super().notify_style_update()
        self._styles_known = None
        self._look += 1

    def _lay_out(self) -> None:
        """Fits the columns into the present width, if that isn't done yet."""
        if self._laid_out != (self.size.width, self._columns):
            self._laid_out = (self.size.width, self._columns)
            self._placed = place_columns(self._columns, max(1, self.size.width - TRACK_WIDTH))
            self._look += 1

    def render_line(self, y: int) -> Strip:
        """Paints line ``y`` of the visible part."""
        line = self._painted[y] = self._line(y)
        return line.strip

    def _repaint(self) -> None:
        """Marks for painting what differs from what was painted last: whole lines, or cells of them."""
        width = self.size.width
        for y in range(self.size.height):
            old = self._painted.get(y)
            if old is None:
                self.refresh(Region(0, y, width, 1))
                continue
            new = self._line(y)
            if new is old:
                continue
            for x, cells in changed_spans(old.strip, new.strip):
                self.refresh(Region(x, y, cells, 1))

    def _line(self, y: int) -> PaintedLine:
        """Returns line ``y``, painted afresh only if it differs from what was painted there."""
        self._lay_out()
        cells, part = self._contents(y)
        look = (part, self._look)
        old = self._painted.get(y)
        if old and old.is_picture_of(cells, look):
            return old
        base = self._styles[part]
        roles = {} if base.reverse else self._styles  # colours would tear holes into a reversed line
        return PaintedLine(cells, look, paint_line(cells, self._placed, self.size.width, base, roles))

    def _contents(self, y: int) -> tuple[tuple[Cell, ...], str]:
        """Returns the cells of line ``y`` and which part of the table it is."""
        row, scrolled = y - 1 + round(self.scroll_y), self.scroll_y / max(1, self.max_scroll_y)
        if y == 0:
            return (*title_cells(self._placed, self._sort, self._marks), " "), "livetable--header"
        if self._note and y == self.size.height - 1:
            return (self._note,), "livetable--note"
        if row >= len(self._rows):
            said = [] if len(self._rows) else self._empty.split("\n")
            return (said[y - 2] if 0 <= y - 2 < len(said) else "",), "livetable--note"
        track = scroll_thumb(y - 1, self._page, len(self._rows), scrolled, self._bar)
        part = "row"
        if row == self._cursor:
            lit = self.has_focus or self._always_lit
            part = "livetable--cursor" if lit else "livetable--cursor-blurred"
        return (*self._rows.cells(row, self._placed), track), part

    @property
    def _styles(self) -> dict[str, Style]:
        """What each role and each part of the table looks like now."""
        if self._styles_known is None:
            self._styles_known = part_styles(self, self.COMPONENT_CLASSES)
        return self._styles_known
