"""Text for cells of the screen: roles and their styles, shortened text, segments of an exact width."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style as RichStyle
from rich.text import Text
from textual.style import Style
from textual.widget import Widget

ELLIPSIS = "…"
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), "�")
_CONTROL |= dict.fromkeys((0x09, 0x0A, 0x0D), " ")
# Bidirectional overrides reorder a whole terminal line, so one pod's name could disguise another's.
_CONTROL |= dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "�")


def literal(text: str) -> str:
    """Returns ``text`` on one line, with nothing left in it that a terminal would act upon."""
    return text if text.isascii() and text.isprintable() else text.translate(_CONTROL)


def shorten(text: str, width: int) -> str:
    """Shortens ``text`` to ``width`` cells by leaving out its middle.

    Kubernetes names differ at both ends: the workload comes first and what tells its pods apart comes last,
    so the last part (``-5wrk4``) is kept whole where there is room: ``user-service-7f8…-5wrk4``.
    """
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    keep = _tail_length(text, width)
    tail = text[len(text) - keep :]
    return _crop_end(text, width - 1 - cell_len(tail)) + ELLIPSIS + tail


def shorten_styled(text: Text, width: int) -> Text:
    """`shorten` for a text with styles, which stay on the letters they belong to."""
    plain = text.plain
    if cell_len(plain) <= width:
        return text
    keep = _tail_length(plain, width)
    head = len(_crop_end(plain, width - 1 - cell_len(plain[len(plain) - keep :])))
    return text[:head].append(ELLIPSIS[:width]).append_text(text[len(plain) - keep :])


def _tail_length(text: str, width: int) -> int:
    """Counts the characters to keep at the end of a text that is shortened to ``width`` cells."""
    last = len(text) - text.rfind("-") if "-" in text else 0
    keep = last if 1 < last <= width // 2 else width // 3
    return keep if width >= 8 and text[-keep:].isascii() else 0


def _crop_end(text: str, width: int) -> str:
    """Returns what of the start of ``text`` fits into ``width`` cells, without half a wide character."""
    cropped = set_cell_size(text, max(0, width))
    return cropped if text.startswith(cropped) else cropped[:-1]


def cut(text: str, width: int) -> str:
    """Shortens ``text`` to ``width`` cells by leaving out its end, as is right for words."""
    return text if cell_len(text) <= width else _crop_end(text, width - 1) + ELLIPSIS[: max(0, width)]


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Makes ``text`` exactly ``width`` cells wide: shortened, or padded on the left or the right."""
    text = shorten(text, width)
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def same_cell(one: str | Text, other: str | Text) -> bool:
    """Tells whether two cells look alike, base style included, which Rich's own comparison leaves out."""
    if isinstance(one, Text) and isinstance(other, Text):
        return one.plain == other.plain and one.style == other.style and one.spans == other.spans
    return one == other if isinstance(one, str) and isinstance(other, str) else False


def cell_segments(
    cell: str | Text, width: int, base: RichStyle, styles: Mapping[str, RichStyle], *, right: bool = False
) -> list[Segment]:
    """Paints one cell.

    Args:
        cell: Its text; control characters in it are replaced, markup in it is shown as it is.
        width: The width to fill, in cells.
        base: The style of the line, which the cell's own styles are laid over.
        styles: What each role looks like; unknown roles look like nothing.
        right: Whether to set the text against the right side.
    """
    if isinstance(cell, str):
        return [Segment(fit(literal(cell), width, right=right), base)]
    text = _literal_text(cell)
    text = shorten_styled(text, width)
    space = [Segment(" " * (width - cell_len(text.plain)), base)] if cell_len(text.plain) < width else []
    runs = _style_runs(text, base, styles)
    return space + runs if right else runs + space


def _literal_text(text: Text) -> Text:
    plain = literal(text.plain)  # as long as before: each character is replaced by one
    return text if plain == text.plain else Text(plain, text.style, spans=list(text.spans))


def _style_runs(text: Text, base: RichStyle, styles: Mapping[str, RichStyle]) -> list[Segment]:
    """Cuts a text where its styles change."""
    plain = text.plain
    if not plain:
        return []
    base += _resolved_style(text.style, styles)
    if not text.spans:
        return [Segment(plain, base)]
    cuts = sorted(
        {0, len(plain), *(min(cut, len(plain)) for span in text.spans for cut in (span.start, span.end))}
    )
    runs = []
    for start, end in pairwise(cuts):
        style = base
        for span in text.spans:
            if span.start <= start and end <= span.end:
                style += _resolved_style(span.style, styles)
        runs.append(Segment(plain[start:end], style))
    return runs


def _resolved_style(style: str | RichStyle, styles: Mapping[str, RichStyle]) -> RichStyle:
    return style if isinstance(style, RichStyle) else styles.get(style, RichStyle.null())


Symbols = Literal["braille", "block", "ascii"]
"""Which characters graphs are drawn with."""

Level = Literal["ok", "warn", "critical", "unknown"]
"""How a figure stands against its thresholds."""

ROLES: Final[Mapping[str, str]] = {
    "ok": "$text-success",
    "warn": "$text-warning bold",
    "critical": "$text-error bold",
    "unknown": "$foreground-muted",
    "calm": "$foreground 45%",
    "dim": "$foreground-muted",
    "faint": "$foreground 30%",
    "strong": "bold",
    "changed": "underline",
    "accent": "$text-accent",
    "primary": "$text-primary",
    "graph": "$text-primary 75%",
    "title": "$text-primary bold",
    "brand": "$text-primary bold",
    "match": "$text-accent bold underline",
    "rule": "$foreground 20%",
    "alert": "$text-warning reverse",
}
"""Role to a Textual style; ``$`` names are the theme's variables."""


def role_styles(widget: Widget) -> dict[str, RichStyle]:
    """Resolves every role against the theme and the background of ``widget``.

    Returns:
        Role to a Rich style without a background, to be added to that of the line.
    """
    variables = widget.app.theme_variables
    _, background = widget.background_colors
    behind = Style(background=background)
    native = widget.app.native_ansi_color
    resolved = {}
    for role, markup in ROLES.items():
        style = (behind + Style.parse(markup, variables)).rich_style
        resolved[role] = RichStyle(
            color=style.color if "$" in markup else None,
            bold=style.bold,
            underline=style.underline,
            reverse=style.reverse,
            dim=(native and ("muted" in markup or "%" in markup)) or None,  # named colours can't be blended
        )
    return resolved


def without_colour(widget: Widget) -> bool:
    """Tells whether backgrounds can't be relied on: ``NO_COLOR``, or 16 colours for want or by choice."""
    app = widget.app
    return app.no_color or app.native_ansi_color or app.console.color_system in {"standard", "windows"}
