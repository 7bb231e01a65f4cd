"""The lines at the top: context and namespace, counts, the state of each source, and the age of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message

from memtop import wording
from widgets.line_widget import LineWidget
from widgets.styled_text import Level, literal, shorten

SourceState = Literal["connecting", "live", "stale", "forbidden", "absent", "failing"]

WIDE_COLUMNS = 120
"""From this many columns on two lines are enough."""
_ROOMY_COLUMNS = 150  # and from this many on there is room for ornament in them

_SOURCE_SIGNS: Final[dict[SourceState, tuple[str, str, str]]] = {
    "live": ("●", "+", "ok"),
    "connecting": ("◌", "~", "dim"),
    "stale": ("◐", "!", "warn"),
    "forbidden": ("⊘", "x", "warn"),
    "absent": ("○", "-", "dim"),
    "failing": ("✖", "X", "critical"),
}
_NARROWEST_PLACE = 32
"""Cells that context and namespace keep, however long the warnings beside them are."""
_LEVEL_SIGN: Final[dict[Level, str]] = {"ok": "", "unknown": "", "warn": "! ", "critical": "!! "}


@dataclass(frozen=True, slots=True)
class SourceLine:
    """How one source stands.

    Attributes:
        name: What it is called on screen, such as ``metrics``.
        state: What it does now.
        words: What to say about it, such as ``stale since 14:02: connection refused``; the state if empty.
        age_seconds: The age of its newest data; ``None`` where it has none.
    """

    name: str
    state: SourceState
    words: str = ""
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HeaderData:
    """Everything the header shows.

    Attributes:
        context: The kubeconfig's context.
        namespace: The namespace or namespaces in words.
        warnings: What must not be overlooked: ``TLS not verified``, ``read-only``.
        counts: Label, number (``None`` while unknown) and how bad it is that there are any.
        sources: The sources, the most important first.
        clock: The time as it should be shown.
        frozen: Whether the tables stand still.
        filter: The filter in force; empty for none.
        banner: What makes all the rest old, in a line of its own; empty for nothing.
    """

    context: str = ""
    namespace: str = ""
    warnings: Sequence[str] = ()
    counts: Sequence[tuple[str, int | None, Level]] = ()
    sources: Sequence[SourceLine] = ()
    clock: str = ""
    frozen: bool = False
    filter: str = ""
    banner: str = ""


class StatusHeader(LineWidget):
    """Two lines from `WIDE` columns on if what there is to say fits on them, else three."""

    DEFAULT_CSS = """
    StatusHeader {
        height: 2;
        background: $panel;
        color: $foreground;
    }
    StatusHeader.-narrow, StatusHeader.-banner { height: 3; }
    StatusHeader.-narrow.-banner { height: 4; }
    """

    class CountClicked(Message):
        """Somebody clicked on one of the counts."""

        def __init__(self, label: str) -> None:
            super().__init__()
            self.label = label

    def __init__(self, *, ascii_only: bool = False, name: str | None = None, id: str | None = None) -> None:
        """Makes an empty header.

        Args:
            ascii_only: Whether signs must do with ASCII.
            name: As for any widget.
            id: As for any widget.
        """
        super().__init__(name=name, id=id)
        self._data = HeaderData()
        self._ascii = ascii_only
        self._count_ends: list[tuple[int, str]] = []
        self._counts_at = (0, 0)

    @property
    def data(self) -> HeaderData:
        """What is shown now."""
        return self._data

    def show(self, data: HeaderData) -> None:
        """Shows other data; only the cells that differ are repainted."""
        if data != self._data:
            self._data = data
            self._settle()
            self.redraw()

    def on_resize(self) -> None:
        """Takes a third line where two are too short."""
        self._settle()

    def _settle(self) -> None:
        """Gives place and counts a line each where they do not fit on one."""
        width, data = self.size.width, self._data
        if not width:
            return  # not laid out yet
        place = f"{data.context} ▸ {data.namespace}" + "".join(f"    {warning}" for warning in data.warnings)
        counts = self._counts(wide=width >= _ROOMY_COLUMNS)
        crowded = cell_len(literal(place)) + cell_len(counts.plain) + 3 > width
        self.set_class(width < WIDE_COLUMNS or crowded, "-narrow")
        self.set_class(bool(data.banner), "-banner")

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns the two or three lines, and below them the banner."""
        if not self._data.banner:
            return self._lines(width, height)
        banner = Text(f" {shorten(literal(self._data.banner), width - 2)} ", "alert")
        banner.pad_right(max(0, width - cell_len(banner.plain)))
        return [*self._lines(width, height - 1), banner]

    def _lines(self, width: int, height: int) -> Sequence[Text]:
        data = self._data
        if height < 3:
            counts = self._counts(wide=width >= _ROOMY_COLUMNS)
            self._counts_at = (width - cell_len(counts.plain), 0)
            return [
                _spread_line(
                    self._place(width - cell_len(counts.plain) - 1, brand=width >= _ROOMY_COLUMNS),
                    counts,
                    width,
                ),
                _spread_line(self._sources(), self._now(data.clock), width),
            ]
        self._counts_at = (0, 1)
        return [
            _spread_line(self._place(width - 12), self._now(data.clock, with_filter=False), width),
            _spread_line(self._counts(wide=False), self._now("", with_frozen=False), width),
            _spread_line(self._sources(), Text(), width),
        ]

    def _place(self, width: int, *, brand: bool = True) -> Text:
        data = self._data
        warnings = Text()
        for warning in data.warnings:
            warnings.append("  ").append(f" {literal(warning)} ", "alert")
        line = Text(" ").append("memtop  " if brand else "", "brand")
        whole = cell_len(literal(data.context)) + cell_len(literal(data.namespace))
        least = min(whole, _NARROWEST_PLACE)
        room = max(least, width - cell_len(line.plain) - cell_len(warnings.plain) - 3)
        namespace = shorten(literal(data.namespace), room // 2)
        line.append(shorten(literal(data.context), room - cell_len(namespace)), "strong")
        line.append(" > " if self._ascii else " ▸ ", "dim").append(namespace)
        return line.append_text(warnings)

    def _counts(self, *, wide: bool) -> Text:
        line = Text(" ")
        between = "  " if not wide else "  |  " if self._ascii else "  ·  "
        self._count_ends = []
        for i, (label, number, level) in enumerate(self._data.counts):
            line.append(between if i else "", "faint")
            role = "dim" if not number or level in {"ok", "unknown"} else level
            sign = _LEVEL_SIGN[level] if number else ""
            figure = wording.UNKNOWN if number is None else f"{number:,}"
            line.append(sign + figure, "strong" if role == "dim" and number else role)
            line.append(f" {literal(label)}", "dim" if role == "dim" else role)
            self._count_ends.append((cell_len(line.plain), label))
        return line.append(" ")

    def on_click(self, event: events.Click) -> None:
        """Tells which count was clicked on."""
        left, y = self._counts_at
        if event.y != y or event.x < left:
            return
        clicked = next((label for end, label in self._count_ends if event.x - left < end), None)
        if clicked is not None:
            self.post_message(self.CountClicked(clicked))

    def _sources(self) -> Text:
        line = Text(" ")
        for i, source in enumerate(self._data.sources):
            line.append("   " if i else "")
            sign, plain, role = _SOURCE_SIGNS[source.state]
            line.append(plain if self._ascii else sign, role).append(f" {literal(source.name)} ")
            quiet = source.state in {"live", "absent", "connecting"}
            words = literal(source.words) or source.state
            if source.age_seconds is not None:
                words = (
                    wording.ago(source.age_seconds) if not source.words else f"{words}, {_source_age(source)}"
                )
            line.append(words, "dim" if quiet else role)
        return line

    def _now(self, clock: str, *, with_filter: bool = True, with_frozen: bool = True) -> Text:
        data, line = self._data, Text()
        if with_filter and data.filter:
            line.append("/", "dim").append(
                shorten(literal(data.filter), min(30, self.size.width // 5)), "accent"
            ).append("  ")
        if with_frozen and data.frozen:
            line.append(" frozen ", "alert").append("  ")
        return line.append(clock, "dim").append(" ")


def _source_age(source: SourceLine) -> str:
    return wording.ago(source.age_seconds)


def _spread_line(left: Text, right: Text, width: int) -> Text:
    """Sets ``left`` and ``right`` against their sides of a line; ``left`` gives way, at its end."""
    room = width - cell_len(right.plain)
    if cell_len(left.plain) > room - 1:
        left = left.copy()
        left.truncate(max(0, room - 1), overflow="ellipsis")
    return Text.assemble(left, " " * (room - cell_len(left.plain)), right)
