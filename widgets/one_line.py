"""One line of text, cut off where the screen ends."""

from __future__ import annotations

from rich.text import Text

from widgets.lines import Lines


class OneLine(Lines):
    """Says one thing at a time; the styles of what it says are roles."""

    DEFAULT_CSS = """
    OneLine { height: 1; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words = Text()

    def say(self, words: Text) -> None:
        """Says something else."""
        self._words = words
        self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the line."""
        line = self._words.copy()
        line.truncate(width, overflow="ellipsis")
        return [line]
