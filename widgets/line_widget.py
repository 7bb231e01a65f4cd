"""Widgets made of lines, which write to the terminal only the cells that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from widgets import styled_text
from widgets.styled_text import role_styles

_JOIN_CELLS = 10  # moving the terminal's cursor costs about as many bytes as writing these many cells again


def changed_spans(old: Strip, new: Strip) -> list[tuple[int, int]]:
    """Finds where two lines differ.

    Returns:
        The start and the width of each stretch that differs, in cells; stretches that lie close together
        are returned as one.
    """
    spans: list[tuple[int, int]] = []
    for x, (was, now) in enumerate(zip_longest(strip_cells(old), strip_cells(new))):
        if was == now:
            continue
        if spans and x - sum(spans[-1]) < _JOIN_CELLS:
            spans[-1] = (spans[-1][0], x + 1 - spans[-1][0])
        else:
            spans.append((x, 1))
    return spans


def strip_cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """What each cell of a strip holds; the second cell of a wide letter holds an empty text."""
    cells: list[tuple[str, Style | None]] = []
    for text, style, _ in strip:
        if text.isascii():
            cells += [(letter, style) for letter in text]
            continue
        for letter in text:
            width = cell_len(letter)
            if width:
                cells += [(letter, style), ("", style)][:width]
            elif cells:
                cells[-1] = (cells[-1][0] + letter, style)
    return cells


class LineWidget(Widget):
    """A widget that says what its lines are, and repaints what differs when it says so again."""

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._shown: dict[int, Strip] = {}
        self._drawn: list[Strip] | None = None
        self._drawn_for = Size(0, 0)
        self._inks: dict[str, Style] | None = None

    def draw(self, width: int, height: int) -> Sequence[Text | Strip]:
        """Returns the lines to show, at most ``height`` of them; the styles of a `Text` are roles."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draws the lines again and repaints the cells that came out different."""
        if not self.is_mounted or not self.size:
            self._drawn = None
            return
        self._drawn = self._strips()
        for y, strip in enumerate(self._drawn):
            shown = self._shown.get(y)
            spans = [(0, self.size.width)] if shown is None else changed_spans(shown, strip)
            for x, width in spans:
                self.refresh(Region(x, y, width, 1))

    def _strips(self) -> list[Strip]:
        self._drawn_for = self.size
        width, height = self.size
        if self._inks is None:
            self._inks = role_styles(self)
        base = self.rich_style
        strips = []
        for line in self.draw(width, height)[:height]:
            if isinstance(line, Text):
                strips.append(Strip(styled_text.cell_segments(line, width, base, self._inks), width))
            else:
                strips.append(line.apply_style(base).adjust_cell_length(width, base))
        blank = Strip([Segment(" " * width, base)], width)
        return strips + [blank] * (height - len(strips))

    def render_line(self, y: int) -> Strip:
        """Paints line ``y``."""
        if self._drawn is None or self._drawn_for != self.size:
            self._drawn = self._strips()
        strip = self._drawn[y] if y < len(self._drawn) else Strip.blank(self.size.width, self.rich_style)
        self._shown[y] = strip
        return strip

    def notify_style_update(self) -> None:
        """Draws in the colours of the new theme."""
        super().notify_style_update()
        self._drawn = self._inks = None


class OneLine(LineWidget):
    """Says one thing at a time, and another at its right where there is room; the styles are roles."""

    DEFAULT_CSS = """
    OneLine { height: 1; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words = Text()
        self._right = Text()

    def show_text(self, words: Text, right: Text | None = None) -> None:
        """Says something else."""
        self._words = words
        self._right = right or Text()
        self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the line."""
        line = self._words.copy()
        room = width - cell_len(self._right.plain) - 2
        if not self._right.plain or room < width // 3:
            line.truncate(width, overflow="ellipsis")
            return [line]
        line.truncate(room, overflow="ellipsis", pad=True)
        return [line.append("  ").append_text(self._right)]


class TextBlock(LineWidget):
    """Lines from a function, in a fixed height, so that nothing below them moves."""

    def __init__(self, say: Callable[[int, int], Sequence[Text]], height: int) -> None:
        """Makes room for the lines.

        Args:
            say: Says them, given a width and a height in cells.
            height: How many there is room for at first.
        """
        super().__init__()
        self._say = say
        self.styles.height = height

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns the lines."""
        return self._say(width, height)
