"""From a cell with roles to segments of an exact width: the inner loop of every table line."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from widgets.text import fit, literal, shorten_styled


def same(one: str | Text, other: str | Text) -> bool:
    """Tells whether two cells look alike, base style included, which Rich's own comparison leaves out."""
    if isinstance(one, Text) and isinstance(other, Text):
        return one.plain == other.plain and one.style == other.style and one.spans == other.spans
    return one == other if isinstance(one, str) and isinstance(other, str) else False


def segments(
    cell: str | Text, width: int, base: Style, styles: Mapping[str, Style], *, right: bool = False
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
    text = _literal(cell)
    text = shorten_styled(text, width)
    space = [Segment(" " * (width - cell_len(text.plain)), base)] if cell_len(text.plain) < width else []
    runs = _runs(text, base, styles)
    return space + runs if right else runs + space


def _literal(text: Text) -> Text:
    plain = literal(text.plain)  # as long as before: each character is replaced by one
    return text if plain == text.plain else Text(plain, text.style, spans=list(text.spans))


def _runs(text: Text, base: Style, styles: Mapping[str, Style]) -> list[Segment]:
    """Cuts a text where its styles change."""
    plain = text.plain
    if not plain:
        return []
    base += _style(text.style, styles)
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
                style += _style(span.style, styles)
        runs.append(Segment(plain[start:end], style))
    return runs


def _style(style: str | Style, styles: Mapping[str, Style]) -> Style:
    return style if isinstance(style, Style) else styles.get(style, Style.null())
