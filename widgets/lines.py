"""Widgets made of lines, which write to the terminal only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from widgets import ink
from widgets.error_boundary import GuardedHandlers
from widgets.palette import inks

_JOIN = 10  # moving the terminal's cursor costs about as many bytes as writing these many cells again


def changed(old: Strip, new: Strip) -> list[tuple[int, int]]:
    """Finds where two lines differ.

    Returns:
        The start and the width of each stretch that differs, in cells; stretches that lie close together
        are returned as one.
    """
    spans: list[tuple[int, int]] = []
    for x, (was, now) in enumerate(zip_longest(_cells(old), _cells(new))):
        if was == now:
            continue
        if spans and x - sum(spans[-1]) < _JOIN:
            spans[-1] = (spans[-1][0], x + 1 - spans[-1][0])
        else:
            spans.append((x, 1))
    return spans


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
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


class Lines(GuardedHandlers, Widget):
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
            spans = [(0, self.size.width)] if shown is None else changed(shown, strip)
            for x, width in spans:
                self.refresh(Region(x, y, width, 1))

    def _strips(self) -> list[Strip]:
        self._drawn_for = self.size
        width, height = self.size
        if self._inks is None:
            self._inks = inks(self)
        base = self.rich_style
        strips = []
        for line in self.draw(width, height)[:height]:
            if isinstance(line, Text):
                strips.append(Strip(ink.segments(line, width, base, self._inks), width))
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
