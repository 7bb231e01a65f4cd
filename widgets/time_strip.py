"""Events as marks above a time axis, a few lines high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Literal

from rich.cells import cell_len
from rich.text import Text

from widgets.line_widget import LineWidget
from widgets.trend_data import time_ticks

MarkKind = Literal["oom", "restart", "memory", "warning", "ordinary"]
"""What a mark stands for, the most important first."""

_MARK_SIGNS: Final[dict[MarkKind, tuple[str, str, str, str]]] = {
    "oom": ("✖", "X", "critical", "OOM kill"),
    "restart": ("↻", "r", "accent", "restart"),
    "memory": ("◆", "m", "warn", "memory"),
    "warning": ("!", "!", "warn", "warning"),
    "ordinary": ("·", ".", "dim", "other"),
}
"""Sign, sign in ASCII, role, and words; the first of two that share a column is shown."""
_LABEL_WIDTH = 12  # cells between two times on the axis
_SPAN, _SPAN_ASCII = "╌", "-"


@dataclass(frozen=True, slots=True)
class TimeMark:
    """Something that happened.

    Attributes:
        time: When, epoch seconds.
        kind: What.
        until: When it happened last if it happened several times, epoch seconds; a line joins the two.
    """

    time: float
    kind: MarkKind
    until: float | None = None

    @property
    def end(self) -> float:
        """When it happened last, epoch seconds."""
        return self.time if self.until is None else self.until


class TimeStrip(LineWidget):
    """Four lines: a title with the key to the signs, the marks, the axis and its times."""

    DEFAULT_CSS = """
    TimeStrip { height: 4; }
    """

    def __init__(
        self, *, zone: tzinfo | None = None, ascii_only: bool = False, id: str | None = None
    ) -> None:
        """Makes an empty strip.

        Args:
            zone: The time zone of the axis; None for the local one.
            ascii_only: Whether the marks must do with ASCII.
            id: As for any widget.
        """
        super().__init__(id=id)
        self._zone = zone
        self._ascii = ascii_only
        self._title = ""
        self._start, self._end = 0.0, 0.0
        self._marks: tuple[TimeMark, ...] = ()

    def show(self, title: str, start: float, end: float, marks: Sequence[TimeMark]) -> None:
        """Shows another stretch of time or other marks.

        Args:
            title: What it shows.
            start: Where the axis begins, epoch seconds.
            end: Where it ends, epoch seconds.
            marks: What happened; what lies outside is left out, and what began before begins at the edge.
        """
        self._title, self._start, self._end, self._marks = title, start, end, tuple(marks)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns title, marks, axis and times."""
        if self._end <= self._start or width < _LABEL_WIDTH:
            return []
        return [self._heading(width), self._row(width), *self._axis(width)]

    def _column(self, at: float, width: int) -> int:
        return min(width - 1, int((at - self._start) / (self._end - self._start) * width))

    def _inside(self) -> list[TimeMark]:
        return [mark for mark in self._marks if mark.time <= self._end and mark.end >= self._start]

    def _heading(self, width: int) -> Text:
        key = Text()
        inside = self._inside()
        shown = {mark.kind for mark in inside}
        for what, (sign, plain, role, words) in _MARK_SIGNS.items():
            if what in shown:
                key.append("  ").append(plain if self._ascii else sign, role).append(f" {words}", "dim")
        if any(mark.end > mark.time for mark in inside):
            key.append(f"  {_SPAN_ASCII if self._ascii else _SPAN} again and again", "dim")
        title = Text(f" {self._title}", "strong")
        room = width - cell_len(title.plain) - 1
        return title if cell_len(key.plain) > room else title.append_text(key)

    def _row(self, width: int) -> Text:
        order = list(_MARK_SIGNS)
        cells: dict[int, MarkKind] = {}
        spans: dict[int, MarkKind] = {}
        for mark in self._inside():
            first = self._column(max(mark.time, self._start), width)
            last = self._column(min(mark.end, self._end), width)
            ends = [column for at, column in ((mark.time, first), (mark.end, last)) if self._within(at)]
            for seen, columns in ((cells, ends), (spans, range(first, last + 1 if first < last else first))):
                for column in columns:
                    seen[column] = min(seen.get(column, "ordinary"), mark.kind, key=order.index)
        row = Text()
        for column in range(width):
            if column in cells:
                sign, plain, role, _ = _MARK_SIGNS[cells[column]]
                row.append(plain if self._ascii else sign, role)
            elif column in spans:
                row.append(_SPAN_ASCII if self._ascii else _SPAN, _MARK_SIGNS[spans[column]][2])
            else:
                row.append(" ")
        return row

    def _within(self, at: float) -> bool:
        return self._start <= at <= self._end

    def _axis(self, width: int) -> list[Text]:
        rule = list(("-" if self._ascii else "─") * width)
        times = [" "] * width
        for at, label in time_ticks(self._start, self._end, max(1, width // _LABEL_WIDTH), self._zone):
            column = self._column(at, width)
            rule[column] = "+" if self._ascii else "┬"
            first = min(max(0, column - len(label) // 2), width - len(label))
            if all(cell == " " for cell in times[max(0, first - 1) : first + len(label)]):
                times[first : first + len(label)] = label
        return [Text("".join(rule), "rule"), Text("".join(times), "dim")]
