"""A view of a log that draws only the visible lines: wrapped or not, following or not."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from widgets.line_widget import LineWidget
from widgets.styled_text import literal
from widgets.table_parts import scroll_thumb

GAP_LINE = -1
"""In place of a line's number: here lines are left out."""
_SEVERITY = re.compile(r"\b(?:(FATAL|ERROR|SEVERE|CRITICAL|PANIC|OOM|OutOfMemoryError)|(WARN|WARNING))\b")
_SEVERITY_WITHIN = 160  # characters from the start of a line, where programs put its level
_SIDEWAYS = 16  # characters


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line, ready to be drawn; all text in it is shown as it is.

    Attributes:
        text: What the container wrote.
        stamp: The time, in words; empty if none is to be shown.
        owner: The container, where there are several; else empty.
        spans: Where in ``text`` the matches are, in characters.
        faint: Whether it is only there for the context of others.
        note: Whether it isn't the container's but memtop's word.
        tail: What to add behind the text, such as that the line was cut.
    """

    text: str
    stamp: str = ""
    owner: str = ""
    spans: Sequence[tuple[int, int]] = ()
    faint: bool = False
    note: bool = False
    tail: str = ""


class LogView(LineWidget, can_focus=True):
    """Shows some of the lines of a log by their numbers.

    While it follows, the newest line is at the bottom. Scrolling up stops that, and reaching the end again
    takes it up again.

    Attributes:
        numbers: The lines to show, ascending, with `GAP` where some are left out.
        below: Rows below the last one on the screen.
    """

    DEFAULT_CSS = """
    LogView { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_rows(-1)", "Up", show=False),
        Binding("down,j", "scroll_rows(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First line", show=False),
        Binding("end,G", "last", "Newest line", show=False),
        Binding("left", "sideways(-1)", "Left", show=False),
        Binding("right", "sideways(1)", "Right", show=False),
    ]

    class Moved(Message):
        """Other lines are in view, or it follows now and didn't before."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        """Makes an empty view.

        Args:
            ascii_only: Whether marks must do with ASCII.
            id: As for any widget.
        """
        super().__init__(id=id)
        self.numbers: Sequence[int] = ()
        self.below = 0
        self.following = True
        self.wrap = True
        self.empty = ""
        self._row: Callable[[int], LogRow] = lambda number: LogRow("")
        self._top = 0  # index into numbers of the first row in view
        self._skip = 0  # visual lines of it above the screen
        self._left = 0  # characters scrolled out at the left
        self._current: int | None = None
        self._marks = (">", "<", ">", "|") if ascii_only else ("▸", "‹", "›", "▐")

    # What it shows

    def show(self, numbers: Sequence[int], row: Callable[[int], LogRow], *, empty: str = "") -> None:
        """Shows other lines. What is in view stays in view as far as it is still there.

        Args:
            numbers: Which, ascending, with `GAP` where some are left out.
            row: What to draw of a line; asked only for what is on the screen.
            empty: What to say if there are none.
        """
        anchor = self._number(self._top)
        self.numbers, self._row, self.empty = numbers, row, empty
        if anchor is not None and not self.following:
            found = self._index(anchor)
            if found >= len(numbers) or numbers[found] != anchor:
                self._skip = 0
            self._top = min(found, max(0, len(numbers) - 1))
        self.redraw()

    def follow(self, following: bool) -> None:
        """Stays at the newest line, or lets it go."""
        if following != self.following:
            self.following = following
            self._current = None if following else self._current
            self._moved()

    @property
    def top(self) -> int | None:
        """The number of the first line in view; None without lines."""
        return self._number(self._top)

    @property
    def current(self) -> int | None:
        """The line last gone to, else the first one in view."""
        return self._current if self._current is not None else self.top

    def go(self, number: int) -> None:
        """Brings a line into view, a third from the top, and marks it."""
        self.following = False
        self._current = number
        self._top, self._skip = min(self._index(number), max(0, len(self.numbers) - 1)), 0
        self._back(self.size.height // 3)
        self._moved()

    def set_wrap(self, wrap: bool) -> None:
        """Wraps long lines, or lets them run out of the screen."""
        self.wrap, self._left, self._skip = wrap, 0, 0
        self.redraw()

    # Moving

    def action_scroll_rows(self, lines: int) -> None:
        """Scrolls by lines of the screen."""
        if lines < 0:
            self.following = False
            self._back(-lines)
        elif not self.following:
            self._forth(lines)
            seen, last = self._downwards(*self.size)
            if last >= len(self.numbers) and len(seen) <= self.size.height:
                self.following, self._current = True, None
        self._moved()

    def action_page(self, direction: int) -> None:
        """Scrolls by a screenful, up (-1) or down (1)."""
        self.action_scroll_rows(direction * max(1, self.size.height - 1))

    def action_first(self) -> None:
        """Goes to the oldest line."""
        self.following, self._top, self._skip = False, 0, 0
        self._moved()

    def action_last(self) -> None:
        """Goes to the newest line and stays there."""
        self.following, self._current = True, None
        self._moved()

    def action_sideways(self, direction: int) -> None:
        """Scrolls long lines to the side, where they aren't wrapped."""
        if not self.wrap:
            self._left = max(0, self._left + direction * _SIDEWAYS)
            self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scrolls towards older lines."""
        event.stop()
        self.action_scroll_rows(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scrolls towards newer lines."""
        event.stop()
        self.action_scroll_rows(3)

    def _moved(self) -> None:
        self.redraw()
        self.post_message(self.Moved())

    def _back(self, lines: int) -> None:
        self._skip -= lines
        while self._skip < 0 and self._top > 0:
            self._top -= 1
            self._skip += self._height(self._top)
        self._skip = max(0, self._skip)

    def _forth(self, lines: int) -> None:
        self._skip += lines
        while self._top < len(self.numbers) and self._skip >= (height := self._height(self._top)):
            self._skip -= height
            self._top += 1

    def _number(self, index: int) -> int | None:
        """The number of the line at an index, or of the one after a gap there."""
        for number in self.numbers[index : index + 2]:
            if number != GAP_LINE:
                return int(number)
        return None

    def _index(self, number: int) -> int:
        """Where a line is, or where it would be."""
        numbers = self.numbers

        def key(index: int) -> int:
            at = int(numbers[index])
            return 2 * at if at != GAP_LINE else 2 * int(numbers[index - 1]) + 1  # a gap comes after its line

        return bisect_left(range(len(numbers)), 2 * number, key=key)

    # Drawing

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns the lines in view."""
        if not len(self.numbers):
            self.below = 0
            return [Text(), Text(f"  {self.empty}", "dim")] if self.empty else []
        if not self.following:
            lines, last = self._downwards(width, height)
            if len(lines) >= height:
                self.below = len(self.numbers) - last
                return self._with_track(lines, width, height)
        self.below = 0  # there is nothing to fill the screen with below: it ends with the newest line
        return self._with_track(self._upwards(width, height), width, height)

    def _downwards(self, width: int, height: int) -> tuple[list[Text], int]:
        """The screenful that begins at the top row, and the index after the last row in it."""
        lines: list[Text] = []
        index = self._top
        while index < len(self.numbers) and len(lines) < height + self._skip:
            lines += self._visual(index, width)
            index += 1
        return lines[self._skip : self._skip + height], index

    def _upwards(self, width: int, height: int) -> list[Text]:
        """The screenful that ends with the last row; the top row is set to fit."""
        lines: list[Text] = []
        index = len(self.numbers)
        while index > 0 and len(lines) < height:
            index -= 1
            lines = [*self._visual(index, width), *lines]
        self._top, self._skip = index, max(0, len(lines) - height)
        return lines[-height:]

    def _with_track(self, lines: list[Text], width: int, height: int) -> list[Text]:
        total = len(self.numbers)
        if total <= height:
            return lines
        scrolled = 1.0 if self.following else self._top / max(1, total - height)
        drawn = []
        for y, line in enumerate(lines):
            line.append(" " * (width - 1 - cell_len(line.plain)))
            bar = scroll_thumb(y, height, total, min(1.0, scrolled), self._marks[3])
            drawn.append(line.append(bar.plain, "faint"))
        return drawn

    def _height(self, index: int) -> int:
        """How many lines of the screen a row takes."""
        return len(self._visual(index, self.size.width)) if self.wrap else 1

    def _visual(self, index: int, width: int) -> list[Text]:
        number = int(self.numbers[index])
        if number == GAP_LINE:
            return [Text("  --", "faint")]
        row = self._row(number)
        mark = self._marks[0] if number == self._current else " "
        head = Text(end="", no_wrap=True).append(mark, "title")
        if row.stamp:
            head.append(f"{row.stamp} ", "dim")
        if row.owner:
            head.append(f"{literal(row.owner)} ", "accent")
        body = _row_text(row)
        room = max(1, width - 1 - cell_len(head.plain))
        if not self.wrap:
            return [head.append_text(self._cropped(body, room))]
        pieces = list(_wrapped_pieces(body, room))
        indent = Text(" " * cell_len(head.plain), end="", no_wrap=True)
        return [(head if at == 0 else indent.copy()).append_text(piece) for at, piece in enumerate(pieces)]

    def _cropped(self, body: Text, room: int) -> Text:
        _, before, after, _ = self._marks
        more = self._left > 0
        body = body[self._left :] if more else body
        if more:
            body = Text(before, "faint", end="") + body[1:] if len(body) else Text(before, "faint", end="")
        if cell_len(body.plain) > room:
            body.truncate(room - 1)
            body.append(after, "faint")
        return body


def _row_text(row: LogRow) -> Text:
    text = literal(row.text)
    if row.note:
        return Text(f"-- {text} --", "alert", end="", no_wrap=True)
    body = Text(text, "dim" if row.faint else "", end="", no_wrap=True)
    if not row.faint and (hint := _SEVERITY.search(text, 0, _SEVERITY_WITHIN)) is not None:
        body.stylize("critical" if hint.group(1) else "warn", *hint.span())
    for start, end in row.spans:
        body.stylize("match", start, end)
    if row.tail:
        body.append(f" {row.tail}", "warn")
    return body


def _wrapped_pieces(body: Text, room: int) -> Iterator[Text]:
    """Cuts a text into pieces of at most ``room`` cells."""
    plain = body.plain
    if cell_len(plain) <= room:
        yield body
        return
    if plain.isascii():
        cuts = list(range(room, len(plain), room))
    else:
        cuts, at = [], 0
        for piece in chop_cells(plain, room)[:-1]:
            at += len(piece)
            cuts.append(at)
    yield from body.divide(cuts)
