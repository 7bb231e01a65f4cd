"""The trend of one container drawn large: memory, limit, request, floor, restarts and OOM kills."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from rich.color import Color as RichColor
from rich.text import Text
from textual.strip import Strip

from widgets.lines import Lines
from widgets.palette import ROLES, Symbols, inks
from widgets.text import literal

if TYPE_CHECKING:
    from widgets.trend import Trend


class TrendPlot(Lines):
    """A plot with a title line above and the evidence below; drawn again only when something changed."""

    DEFAULT_CSS = """
    TrendPlot { height: 1fr; width: 1fr; }
    """

    def __init__(
        self,
        *,
        symbols: Symbols = "braille",
        zone: tzinfo | None = None,
        empty: str = "Nothing to draw yet",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Makes a plot without a trend.

        Args:
            symbols: What to draw the memory line with.
            zone: The time zone of the time axis; ``None`` for the local one.
            empty: What to say while there is no trend.
            name: As for any widget.
            id: As for any widget.
            classes: As for any widget.
        """
        super().__init__(name=name, id=id, classes=classes)
        self._trend: Trend | None = None
        self._symbols = symbols
        self._zone = zone
        self._empty = empty

    @property
    def trend(self) -> Trend | None:
        """What is shown now."""
        return self._trend

    def show(self, trend: Trend | None, *, empty: str | None = None) -> None:
        """Shows another trend, or that there is none; the same one again costs nothing.

        Args:
            trend: What to draw.
            empty: What to say when there is nothing to draw; as before if ``None``.
        """
        words = self._empty if empty is None else empty
        same = trend.same(self._trend) if trend else self._trend is None
        if not same or words != self._empty:
            self._trend, self._empty = trend, words
            self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Text | Strip]:
        """Returns title, graph and caption, as far as they fit."""
        if self._trend is None:
            return [Text(), Text(f" {literal(self._empty)}", "dim")]
        from widgets import graph  # noqa: PLC0415  (plotext and numpy take a tenth of a second: not at the start)

        colours = colours_of(self)
        return graph.lines(self._trend, width, height, self._symbols, self._zone, self._empty, colours)


def colours_of(widget: Lines) -> dict[str, tuple[int, int, int]]:
    """Resolves the roles to the RGB triplets that plotext takes."""
    colours = {}
    for role, style in inks(widget).items():
        if "$" in ROLES[role]:
            triplet = (style.color or RichColor.default()).get_truecolor()
            colours[role] = (triplet.red, triplet.green, triplet.blue)
    return colours
