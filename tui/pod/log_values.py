"""The lines above a log: what it tells of the heap and of pauses, in figures and a sparkline."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from memtop import wording
from memtop.logs.values.summary import Summary
from widgets.lines import Lines
from widgets.palette import Symbols
from widgets.sparkline import sparkline

_WIDEST, _NARROWEST = 48, 12  # cells of a sparkline


class LogValues(Lines):
    """Nothing while the log tells nothing; else a line each for the heap and for pauses."""

    DEFAULT_CSS = """
    LogValues { height: 0; background: $panel; }
    """

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self._summary: Summary | None = None

    def show(self, summary: Summary | None) -> None:
        """Shows other figures."""
        if summary == self._summary:
            return
        self._summary = summary
        self.styles.height = 0 if summary is None else bool(summary.heap) + bool(summary.pauses)
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns up to two lines."""
        return [] if self._summary is None else value_lines(self._summary, width, self._symbols)


def value_lines(summary: Summary, width: int, symbols: Symbols) -> list[Text]:
    """The figures in words.

    Args:
        summary: The figures.
        width: Cells to fill.
        symbols: What sparklines are drawn with.
    """
    cells = max(_NARROWEST, min(_WIDEST, width // 3 if width >= 100 else width // 5))
    lines = []
    if summary.heap:
        line = Text(" heap after GC " if summary.after_gc else " heap          ", "dim", end="")
        line.append_text(sparkline(summary.heap, cells, summary.total, symbols))
        lines.append(line.append(f" {_heap(summary)}", "strong").append(_collections(summary), "dim"))
    if summary.pauses:
        line = Text(" GC pauses     ", "dim", end="")
        line.append_text(sparkline(summary.pauses, cells, summary.longest_pause, symbols))
        line.append(f" last {seconds(summary.pauses[-1])}", "strong")
        line.append(f", longest {seconds(max(summary.pauses))}, {seconds(sum(summary.pauses))} in all", "dim")
        lines.append(line if summary.heap else line.append(_collections(summary), "dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _heap(summary: Summary) -> str:
    if summary.heap_is_share:
        return wording.share(summary.heap[-1])
    words = wording.bytes_(summary.heap[-1])
    if summary.total is not None:
        words += f" of {wording.bytes_(summary.total)} ({wording.share(summary.share)})"
    return words


def _collections(summary: Summary) -> str:
    if not summary.collections:
        return ""
    full = f", {summary.full:,} full" if summary.full else ""
    return f"  {summary.collections:,} collection{'s' if summary.collections > 1 else ''}{full}"


def seconds(length: float) -> str:
    """The length of a pause: ``0.03 ms``, ``12 ms``, ``5.2 s``."""
    if length >= 60:
        return wording.duration(length)
    if length >= 1:
        return f"{length:.1f} s"
    milliseconds = length * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"
