"""The widgets of the large graphs: the trend of one container, and memory before and after a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Final

from rich.color import Color as RichColor
from rich.text import Text
from textual.strip import Strip

from memtop.wording import duration
from widgets.line_widget import LineWidget
from widgets.styled_text import ROLES, Symbols, literal, role_styles, shorten

if TYPE_CHECKING:
    from widgets.trend_data import Points, Trend


class TrendPlot(LineWidget):
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
        from widgets import trend_drawing  # noqa: PLC0415  (plotext and numpy take a tenth of a second: not at the start)

        colours = role_colours(self)
        return trend_drawing.trend_lines(
            self._trend, width, height, self._symbols, self._zone, self._empty, colours
        )


def role_colours(widget: LineWidget) -> dict[str, tuple[int, int, int]]:
    """Resolves the roles to the RGB triplets that plotext takes."""
    colours = {}
    for role, style in role_styles(widget).items():
        if "$" in ROLES[role]:
            triplet = (style.color or RichColor.default()).get_truecolor()
            colours[role] = (triplet.red, triplet.green, triplet.blue)
    return colours


Curve = tuple[Sequence[float], Sequence[float]]
"""Times (epoch seconds, or seconds of age; rising) and bytes."""
_SMALLEST_COMPARISON = (24, 5)
_SIDE_MARKS: Final[dict[Symbols, tuple[str, str, str]]] = {
    "braille": ("braille", "∙", "⣀⡠"),
    "block": ("hd", "∙", "▄▞"),
    "ascii": ("*", ".", "*"),
}
_EVENT_SIGNS: Final[dict[bool, tuple[str, str, str]]] = {False: ("━", "┃", "✖"), True: ("=", "|", "X")}
_AGE_STEPS = (60, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800)


@dataclass(frozen=True, slots=True, eq=False)
class MemoryComparison:
    """What is drawn.

    Attributes:
        before: A curve for each container, or each of its lives, before the change.
        after: The same after it.
        span: Where the axis begins and ends: epoch seconds, or seconds of age.
        changed_at: When the change was made, epoch seconds; None on an axis of ages.
        limits: The memory limit before and after, bytes; None without one.
        oom_kills: When containers were OOM-killed, on the axis.
        by_age: Whether the axis shows ages.
    """

    before: Sequence[Curve]
    after: Sequence[Curve]
    span: tuple[float, float]
    changed_at: float | None = None
    limits: tuple[float | None, float | None] = (None, None)
    oom_kills: Sequence[float] = ()
    by_age: bool = False


class BeforeAfterPlot(LineWidget):
    """The graph, with a title line that is also its key."""

    DEFAULT_CSS = """
    BeforeAfterPlot { height: 1fr; width: 1fr; }
    """

    def __init__(
        self, *, symbols: Symbols = "braille", zone: tzinfo | None = None, id: str | None = None
    ) -> None:
        """Makes an empty graph.

        Args:
            symbols: What to draw the lines with.
            zone: The time zone of the axis; None for the local one.
            id: As for any widget.
        """
        super().__init__(id=id)
        self._symbols = symbols
        self._zone = zone
        self._title = ""
        self._comparison: MemoryComparison | None = None

    def show(self, title: str, comparison: MemoryComparison | None) -> None:
        """Shows something else; None where there is nothing to draw."""
        self._title, self._comparison = title, comparison
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Text | Strip]:
        """Returns the title and the graph."""
        top = self._heading(width)
        compared = self._comparison
        if compared is None or not (compared.before or compared.after):
            return [top, Text(" Nothing to draw yet", "dim")]
        if width < _SMALLEST_COMPARISON[0] or height - 1 < _SMALLEST_COMPARISON[1]:
            return [top]
        return [
            top,
            *_comparison_lines(compared, width, height - 1, self._symbols, self._zone, role_colours(self)),
        ]

    def _heading(self, width: int) -> Text:
        ascii_only = self._symbols == "ascii"
        _, dots, line = _SIDE_MARKS[self._symbols]
        limit, _, oom = _EVENT_SIGNS[ascii_only]
        key = Text()
        compared = self._comparison
        for sign, role, words, there in (
            (
                dots * 3 if compared is not None and compared.by_age else line,
                "warn",
                "before",
                compared is not None and bool(compared.before),
            ),
            (line, "primary", "after", compared is not None and bool(compared.after)),
            (limit, "critical", "limit", compared is not None and any(compared.limits)),
            (oom, "critical", "OOM kill", compared is not None and bool(compared.oom_kills)),
        ):
            if there:
                key.append("  ").append(sign, role).append(f" {words}", "dim")
        room = width - len(key.plain) - 3
        if room < 12:
            return Text(f" {shorten(literal(self._title), width - 2)}", "strong")
        title = shorten(literal(self._title), room)
        return Text.assemble(" ", (title, "strong"), " " * (room - len(title) + 1), key)


def age_ticks(end: float, most: int) -> list[tuple[float, str]]:
    """Round ages from 0 to ``end`` seconds with their labels, at most ``most`` of them."""
    if end <= 0 or most < 1:
        return []
    step = next((step for step in _AGE_STEPS if end / step <= most), _AGE_STEPS[-1])
    while end / step > most:
        step *= 2
    return [(at, duration(at) if at else "start") for at in range(0, int(end) + 1, step)]


def _comparison_lines(
    compared: MemoryComparison,
    width: int,
    height: int,
    symbols: Symbols,
    zone: tzinfo | None,
    colours: Mapping[str, tuple[int, int, int]],
) -> list[Text | Strip]:
    from widgets.trend_data import time_ticks  # noqa: PLC0415
    from widgets.trend_drawing import Ticks, plot_axes, plot_lines  # noqa: PLC0415

    start, end = compared.span
    end = max(end, start + 1.0)
    fine, dots, _ = _SIDE_MARKS[symbols]
    old = dots if compared.by_age else fine  # by the clock they are apart anyway
    flat, upright, oom = _EVENT_SIGNS[symbols == "ascii"]
    curves = [
        (_visible_part(curve, start, end, max(12, 3 * width // max(1, len(side)))), marker, role)
        for side, marker, role in ((compared.before, old, "warn"), (compared.after, fine, "primary"))
        for curve in side
    ]
    parts = [part for found, _, _ in curves for part in found]
    limits = [limit for limit in compared.limits if limit]
    scale = max([float(values.max()) for _, values in parts] + limits, default=1.0) or 1.0
    rows = max(1, height - 2)
    top = scale * (rows + 1) / max(1, rows)

    def ticks(most: int) -> Ticks:
        return age_ticks(end, most) if compared.by_age else time_ticks(start, end, most, zone)

    plot = plot_axes(width, height, (start, end), scale, top, "bytes", ticks, colours)

    change = end if compared.changed_at is None else min(max(compared.changed_at, start), end)
    was, now = compared.limits
    for limit, begin, until in ((was, start, change), (now, start if compared.by_age else change, end)):
        if limit and until > begin:
            plot.plot([begin, until], [limit, limit], marker=flat, color=colours["critical"])
    if compared.changed_at is not None and start <= compared.changed_at <= end:
        plot.plot([change, change], [0, top], marker=upright, color=colours["accent"])
    for found, marker, role in curves:
        for times, bytes_ in found:
            draw = plot.plot if len(times) > 1 else plot.scatter
            draw(times.tolist(), bytes_.tolist(), marker=marker, color=colours[role])
    kills = [at for at in compared.oom_kills if start <= at <= end]
    if kills:
        plot.scatter(kills, [top] * len(kills), marker=oom, color=colours["critical"])
    return plot_lines(plot, height, symbols)


def _visible_part(curve: Curve, start: float, end: float, bins: int) -> list[Points]:
    """The part of a curve that is on the axis, in stretches to be joined, thinned."""
    import numpy as np  # noqa: PLC0415

    from widgets.trend_data import binned_stretches  # noqa: PLC0415

    times, values = np.asarray(curve[0], dtype=float), np.asarray(curve[1], dtype=float)
    inside = (times >= start) & (times <= end)
    return binned_stretches(times[inside].tolist(), values[inside].tolist(), bins)
