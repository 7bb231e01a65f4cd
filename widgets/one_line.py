"""One line of text, cut off where the screen ends."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from widgets.lines import Lines


class OneLine(Lines):
    """Says one thing at a time, and another at its right where there is room; the styles are roles."""

    DEFAULT_CSS = """
    OneLine { height: 1; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words = Text()
        self._right = Text()

    def say(self, words: Text, right: Text | None = None) -> None:
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
