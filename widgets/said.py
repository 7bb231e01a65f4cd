"""Lines that somebody else says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from widgets.lines import Lines


class Said(Lines):
    """Lines that somebody else says, in a fixed height, so that nothing below them moves."""

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
