"""What every large graph has: axes with round labels, and the way from plotext to lines of a screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text
from textual.strip import Strip
from textual_plotext.plot import Plot

from widgets.palette import Symbols
from widgets.trend import value_ticks

Ticks = Sequence[tuple[float, str]]
"""Places on an axis, with their labels."""
_PLAIN: Final = str.maketrans("─│└┤┬", "-|+++")
_CONSOLE: Final = Console(color_system="truecolor", highlight=False)


def axes(
    width: int,
    height: int,
    span: tuple[float, float],
    scale: float,
    top: float,
    unit: str,
    ticks: Callable[[int], Ticks],
    colours: Mapping[str, tuple[int, int, int]],
) -> Plot:
    """Makes a plot with axes and nothing else.

    Args:
        width: Cells.
        height: Lines.
        span: Where the lower axis begins and ends.
        scale: Up to which value the upright axis has labels.
        top: Up to which value there is room.
        unit: What the values are, as `value_ticks` takes it.
        ticks: The labels of the lower axis, given how many there is room for.
        colours: The RGB triplets of the roles.
    """
    plot = Plot()
    plot._set_size(width, height)
    plot.canvas_color("default")
    plot.axes_color("default")
    plot.ticks_color(colours["dim"])
    plot.xaxes(True, False)
    plot.yaxes(True, False)
    plot.xlim(*span)
    plot.ylim(0, top)
    rows = max(1, height - 2)
    values = value_ticks(scale, max(3, min(7, rows // 3 + 1)), unit)
    label = max(8, *(len(words) for _, words in values))
    plot.yticks([value for value, _ in values], [words.rjust(label) for _, words in values])
    below = ticks(max(1, (width - label) // 12))
    plot.xticks([at for at, _ in below], [words for _, words in below])
    return plot


def drawn(plot: Plot, height: int, symbols: Symbols) -> list[Text | Strip]:
    """Draws a plot as exactly ``height`` lines."""
    built = plot.build()
    if symbols == "ascii":
        built = built.translate(_PLAIN)
    lines: list[Text | Strip] = [_styled(line) for line in built.split("\n")[:height]]
    return lines + [Text()] * (height - len(lines))


def _styled(ansi: str) -> Strip:
    """A line that plotext has built, with its colours."""
    text = Text.from_ansi(ansi)
    return Strip([segment for segment in text.render(_CONSOLE) if segment.text])
