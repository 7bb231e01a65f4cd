"""A document to read: lines that scroll, wrap on request, and can be filtered."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size

from widgets.line_widget import LineWidget

MOST_LINES = 20_000
MOST_LETTERS = 8_000
"""Of one line; what is longer is cut."""
MOST_MATCHES = 10_000
_SEEK_LETTERS = 60  # lines up and down in which the line at the top is looked for after a change
_WHEEL_LINES = 3
_SIDEWAYS = 8


@dataclass(frozen=True, slots=True)
class _ScreenRow:
    """A row of the screen: which line, and which letters of it."""

    line: int
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Where the text looked for stands: the shown line, and the letters from ``start`` up to ``end``."""

    line: int
    start: int
    end: int


class TextView(LineWidget, can_focus=True):
    """A document. What it shows is other people's text: nothing in it is interpreted."""

    DEFAULT_CSS = """
    TextView { height: 1fr; width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", show=False),
        Binding("down,j", "scroll_lines(1)", show=False),
        Binding("pageup,ctrl+b", "scroll_pages(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "scroll_pages(1)", show=False),
        Binding("home,g", "scroll_to(0)", show=False),
        Binding("end,G", "scroll_to(-1)", show=False),
        Binding("left", "sideways(-1)", show=False),
        Binding("right", "sideways(1)", show=False),
        Binding("w", "wrap", "Wrap", show=False),
    ]

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        """Makes an empty view.

        Args:
            ascii_only: Whether its marks must do with ASCII.
            id: As for any widget.
        """
        super().__init__(id=id)
        self._document: list[Text] = []
        self._lines: list[Text] = []
        self._numbers: list[int] = []
        self._rows: list[_ScreenRow] = []
        self._laid_out: tuple[int, bool] | None = None
        self._top = 0
        self._left = 0
        self.wraps = False
        self._needle = ""
        self._matches: list[TextMatch] = []
        self._in_line: dict[int, list[int]] = {}
        self._match: int | None = None
        self._thumb, self._more = ("|", ">") if ascii_only else ("▐", "›")

    # -- what it shows

    def show(self, lines: Sequence[str | Text]) -> None:
        """Shows another version of the document; the place that was read stays in view.

        Args:
            lines: The lines; the styles of a `Text` are roles (see `widgets.styled_text`).
        """
        anchor = self.top
        words = self._document[anchor].plain if anchor < len(self._document) else None
        self._document = [_bounded_line(line) for line in lines[:MOST_LINES]]
        if len(lines) > MOST_LINES:
            self._document.append(Text(f"… {len(lines) - MOST_LINES:,} more lines are not shown", "dim"))
        self._keep_lines()
        self._go_to_line(self._place_of(0 if words is None else self._nearest(anchor, words)))
        self._find()
        self.redraw()

    def _keep_lines(self) -> None:
        """Shows the lines that the filter keeps."""
        kept = _kept_lines(self._document, self._needle) if self._needle else range(len(self._document))
        self._numbers = list(kept)
        self._lines = [self._document[number] for number in self._numbers]
        self._laid_out = None
        self._lay_out(self.size)

    def _place_of(self, number: int) -> int:
        """Where a line of the document is among those that are shown, or the next one that is."""
        return bisect_left(self._numbers, number)

    def clear(self, words: str = "") -> None:
        """Begins another document: scrolls to its start, and says ``words`` until it is there."""
        self._document, self._lines, self._numbers, self._rows = [], [], [], []
        self._top = self._left = 0
        self._match = None
        self.show([Text(words, "dim")] if words else [])

    @property
    def plain(self) -> list[str]:
        """The lines that are shown, without their styles."""
        return [line.plain for line in self._lines]

    @property
    def top(self) -> int:
        """The line of the document that is first on the screen, from 0."""
        return self._numbers[self._rows[self._top].line] if self._top < len(self._rows) else 0

    def _nearest(self, line: int, words: str) -> int:
        """Where the line that stood at the top stands now: the nearest one with its words, or its number."""
        for distance in range(_SEEK_LETTERS):
            for at in (line - distance, line + distance):
                if 0 <= at < len(self._document) and self._document[at].plain == words:
                    return at
        return line

    # -- filter

    def filter(self, needle: str, start: int | None = None) -> int:
        """Shows only the lines in which a text stands, each with the headings that it is under.

        The places are marked, and the first one from a line on is gone to. Where the filter ends, all lines
        are there again, and the one that was gone to stays in view.

        Args:
            needle: The text, literally. Without capital letters in it, they are not told apart. Empty ends
                the filter.
            start: The line of the document to look from; the first one on the screen if None.

        Returns:
            How many places there are.
        """
        start = self.top if start is None else start
        if not needle and self._match is not None:
            start = self._numbers[self._matches[self._match].line]
        self._needle = needle
        self._match = None
        self._keep_lines()
        self._find()
        if self._matches:
            from_here = (i for i, match in enumerate(self._matches) if self._numbers[match.line] >= start)
            self._go_to_match(next(from_here, 0))
        else:
            self._go_to_line(self._place_of(start))
        self.redraw()
        return len(self._matches)

    def next_match(self, step: int) -> tuple[int, int] | None:
        """Goes to the next match (1) or the one before (-1), from the last on to the first.

        Returns:
            The number of the match, from 1, and how many there are; None without a filter.
        """
        if not self._matches:
            return (0, 0) if self._needle else None
        at = 0 if self._match is None else (self._match + step) % len(self._matches)
        self._go_to_match(at)
        self.redraw()
        return at + 1, len(self._matches)

    @property
    def match(self) -> tuple[int, int] | None:
        """The number of the present match, from 1, and how many there are; None without a filter."""
        if not self._needle:
            return None
        return (0 if self._match is None else self._match + 1), len(self._matches)

    def _find(self) -> None:
        before = self._matches[self._match] if self._match is not None and self._matches else None
        self._matches = list(_find_matches(self._lines, self._needle)) if self._needle else []
        self._in_line = {}
        for at, match in enumerate(self._matches):
            self._in_line.setdefault(match.line, []).append(at)
        self._match = None
        if before is not None and self._matches:
            near = min(range(len(self._matches)), key=lambda i: abs(self._matches[i].line - before.line))
            self._match = near

    def _go_to_match(self, at: int) -> None:
        self._match = at
        match = self._matches[at]
        row = max(i for i, row in enumerate(self._rows) if (row.line, row.start) <= (match.line, match.start))
        height = max(1, self.size.height)
        if not self._top <= row < self._top + height:
            self._scroll(row - height // 3)
        if not self.wraps:
            self._show_letters(match.start, match.end)

    def _show_letters(self, start: int, end: int) -> None:
        width = max(1, self.size.width - 2)
        if not self._left <= start <= end <= self._left + width:
            self._left = max(0, end - width)

    # -- scrolling

    def action_scroll_lines(self, step: int) -> None:
        """Scrolls by lines."""
        self._scroll(self._top + step)
        self.redraw()

    def action_scroll_pages(self, step: int) -> None:
        """Scrolls by screens."""
        self.action_scroll_lines(step * max(1, self.size.height - 1))

    def action_scroll_to(self, end: int) -> None:
        """Scrolls to the start (0) or the end (-1)."""
        self._left = 0 if end == 0 else self._left
        self._scroll(0 if end == 0 else len(self._rows))
        self.redraw()

    def action_sideways(self, step: int) -> None:
        """Scrolls sideways, as far as lines go."""
        longest = max((cell_len(line.plain) for line in self._lines), default=0)
        most = max(0, longest - self.size.width + 1)
        self._left = 0 if self.wraps else min(max(0, self._left + step * _SIDEWAYS), most)
        self.redraw()

    def action_wrap(self) -> None:
        """Wraps long lines, or cuts them again."""
        line = self.top
        self.wraps = not self.wraps
        self._left = 0
        self._lay_out(self.size)
        self._go_to_line(self._place_of(line))
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scrolls with the wheel."""
        event.stop()
        self.action_scroll_lines(_WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scrolls with the wheel."""
        event.stop()
        self.action_scroll_lines(-_WHEEL_LINES)

    def on_resize(self, event: events.Resize) -> None:
        """Wraps anew, and keeps the first line."""
        line = self.top
        self._lay_out(event.size)
        self._go_to_line(self._place_of(line))
        self.redraw()

    def _scroll(self, row: int) -> None:
        self._top = min(max(0, row), max(0, len(self._rows) - max(1, self.size.height)))

    def _go_to_line(self, line: int) -> None:
        self._scroll(next((i for i, row in enumerate(self._rows) if row.line >= line), len(self._rows)))

    # -- painting

    def _lay_out(self, size: Size) -> None:
        width = max(1, size.width - 1)
        if self._laid_out == (width, self.wraps):
            return
        self._laid_out = (width, self.wraps)
        self._rows = []
        for number, line in enumerate(self._lines):
            if not self.wraps or cell_len(line.plain) <= width:
                self._rows.append(_ScreenRow(number, 0, None))
                continue
            start = 0
            for piece in chop_cells(line.plain, width):
                self._rows.append(_ScreenRow(number, start, start + len(piece)))
                start += len(piece)

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the visible rows with the matches marked, and the scroll bar at the right."""
        self._lay_out(self.size)
        count = len(self._rows)
        length = max(1, height * height // max(1, count))
        first = round(self._top / max(1, count - height) * (height - length))
        lines = []
        for y, row in enumerate(self._rows[self._top : self._top + height]):
            line = self._marked(row.line)
            start = row.start if self.wraps else self._left
            shown = line[start : row.end]
            if cell_len(shown.plain) > width - 1:
                shown.truncate(width - 2, overflow="crop")
                shown.append(self._more, "faint")
            shown.pad_right(max(0, width - 1 - cell_len(shown.plain)))
            if count > height and first <= y < first + length:
                shown.append(self._thumb, "faint")
            lines.append(shown)
        return lines

    def _marked(self, number: int) -> Text:
        line = self._lines[number].copy()
        for at in self._in_line.get(number, ()):
            match = self._matches[at]
            line.stylize("alert" if at == self._match else "match", match.start, match.end)
        return line


def _bounded_line(line: str | Text) -> Text:
    text = Text(line) if isinstance(line, str) else line
    if len(text.plain) <= MOST_LETTERS:
        return text
    return text[:MOST_LETTERS].append(f"… ({len(text.plain) - MOST_LETTERS:,} more)", "dim")


def _kept_lines(lines: Sequence[Text], needle: str) -> list[int]:
    """The numbers of the lines in which a text stands, and of the headings that they are indented under."""
    found = {match.line for match in _find_matches(lines, needle)}
    kept: set[int] = set()
    above: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        words = line.plain.lstrip()
        if not words:
            continue
        indent = len(line.plain) - len(words)
        while above and above[-1][0] >= indent:
            above.pop()
        above.append((indent, number))
        if number in found:
            kept.update(heading for _, heading in above)
    return sorted(kept)


def _find_matches(lines: Sequence[Text], needle: str) -> list[TextMatch]:
    exact = needle != needle.lower()
    wanted = needle if exact else needle.lower()
    matches: list[TextMatch] = []
    for number, line in enumerate(lines):
        plain = line.plain if exact else line.plain.lower()
        if len(plain) != len(line.plain):
            plain = line.plain  # a letter whose small form is longer would shift what follows
        at = plain.find(wanted)
        while at >= 0 and len(matches) < MOST_MATCHES:
            matches.append(TextMatch(number, at, at + len(wanted)))
            at = plain.find(wanted, at + len(wanted))
    return matches
