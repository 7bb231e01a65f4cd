"""A screen of text as SVG: letters as text, and what graphs are made of as shapes.

Hardly any font has braille, blocks and boxes all in one width, and none that every viewer has; drawn as
shapes they meet as they do in a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

WIDTH, HEIGHT = 10.0, 20.0
"""Of a cell, in pixels."""
FONT_SIZE = 16.61
"""At which a letter of DejaVu Sans Mono is as wide as a cell."""
BASELINE = 15.0
BACKGROUND, FOREGROUND = "#121212", "#e0e0e0"

Box = tuple[float, float, float, float]
"""Left, top, right and bottom as parts of a cell, 0 to 1."""

_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of each bit of a braille character (Unicode 15, chapter 21.1)."""
_QUADRANTS: Sequence[Box] = ((0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1))
_QUADRANTS_OF = dict(
    zip("▖▗▘▙▚▛▜▝▞▟", ((2,), (3,), (0,), (0, 2, 3), (0, 3), (0, 1, 2), (0, 1, 3), (1,), (1, 2), (1, 2, 3)),
        strict=True)
)  # fmt: skip
_SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}
_ARMS = {
    "─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "udr", "┤": "udl", "┬": "lrd",
    "┴": "lru", "┼": "lrud", "╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu", "━": "LR", "┃": "UD",
}  # fmt: skip
"""Which arms of the cross a line drawing character has; a capital letter is a heavy one."""
_THIN, _HEAVY = 0.06, 0.13


def picture(lines: Sequence[Strip], title: str) -> str:
    """Returns the lines of a screen as an SVG document.

    Args:
        lines: The screen from top to bottom.
        title: What it is a picture of.
    """
    width = max(line.cell_length for line in lines) * WIDTH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {len(lines) * HEIGHT:g}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT_SIZE}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" fill="{BACKGROUND}"/>',
    ]
    for row, line in enumerate(lines):
        x = 0
        for segment in Strip.join([line]).simplify():
            parts += _segment(segment, x, row)
            x += cell_len(segment.text)
    return "\n".join([*parts, "</svg>", ""])


def _segment(segment: Segment, x: int, row: int) -> Iterable[str]:
    style = segment.style or Style()
    fore, back = _hex(style.color, FOREGROUND), _hex(style.bgcolor, BACKGROUND)
    if style.reverse:
        fore, back = back, fore
    if back != BACKGROUND:
        yield _path([(x, row, (0, 0, cell_len(segment.text), 1))], back)
    opacity = 0.6 if style.dim else 1.0
    for drawn, run in groupby(segment.text, lambda character: bool(_boxes(character)[0])):
        characters = "".join(run)
        if drawn:
            for shade, same in groupby(enumerate(characters), lambda item: _boxes(item[1])[1]):
                boxes = [(x + at, row, box) for at, character in same for box in _boxes(character)[0]]
                yield _path(boxes, fore, opacity * shade)
        elif characters.strip():
            yield _text(characters, x, row, style, fore, opacity)
        x += cell_len(characters)


def _text(characters: str, x: int, row: int, style: Style, fore: str, opacity: float) -> str:
    start = len(characters) - len(characters.lstrip())
    shown = characters.strip()
    look = f' opacity="{opacity:g}"' if opacity != 1 else ""
    look += ' font-weight="bold"' if style.bold else ""
    look += ' font-style="italic"' if style.italic else ""
    look += ' text-decoration="underline"' if style.underline else ""
    return (
        f'<text x="{(x + start) * WIDTH:g}" y="{row * HEIGHT + BASELINE:g}" fill="{fore}"{look} '
        f'textLength="{cell_len(shown) * WIDTH:g}" xml:space="preserve">{escape(shown)}</text>'
    )


def _path(boxes: Iterable[tuple[float, float, Box]], fill: str, opacity: float = 1.0) -> str:
    outlines = "".join(
        f"M{(x + left) * WIDTH:g} {(y + top) * HEIGHT:g}"
        f"H{(x + right) * WIDTH:g}V{(y + bottom) * HEIGHT:g}H{(x + left) * WIDTH:g}z"
        for x, y, (left, top, right, bottom) in boxes
    )
    look = f' opacity="{opacity:g}"' if opacity != 1 else ""
    return f'<path d="{outlines}" fill="{fill}"{look} shape-rendering="crispEdges"/>'


def _boxes(character: str) -> tuple[Sequence[Box], float]:
    """The boxes that a character is made of, none if it is to be written; and their opacity."""
    code = ord(character)
    if 0x2800 < code <= 0x28FF:
        dots = [_DOTS[bit] for bit in range(8) if (code - 0x2800) >> bit & 1]
        return [(c / 2 + 0.1, r / 4 + 0.05, c / 2 + 0.4, r / 4 + 0.2) for c, r in dots], 1.0
    if character in _SHADES:
        return [(0, 0, 1, 1)], _SHADES[character]
    if character in _QUADRANTS_OF:
        return [_QUADRANTS[i] for i in _QUADRANTS_OF[character]], 1.0
    if 0x2581 <= code <= 0x2588:
        return [(0, 1 - (code - 0x2580) / 8, 1, 1)], 1.0
    if 0x2589 <= code <= 0x258F:
        return [(0, 0, (0x2590 - code) / 8, 1)], 1.0
    match character:
        case "▀":
            return [(0, 0, 1, 0.5)], 1.0
        case "▐":
            return [(0.5, 0, 1, 1)], 1.0
        case "║":
            return [(0.3, 0, 0.42, 1), (0.58, 0, 0.7, 1)], 1.0
        case "╌":
            return [(0.1, 0.5 - _THIN / 2, 0.4, 0.5), (0.6, 0.5 - _THIN / 2, 0.9, 0.5)], 1.0
        case "┊":
            return [(0.45, at / 4 + 0.05, 0.55, at / 4 + 0.18) for at in range(4)], 1.0
    return [_arm(arm) for arm in _ARMS.get(character, "")], 1.0


def _arm(arm: str) -> Box:
    """One arm of a cross, from the middle of the cell to its edge."""
    thick = _HEAVY if arm.isupper() else _THIN  # of the cell's height, which is twice its width
    middle_x, middle_y = (0.5 - thick, 0.5 + thick), (0.5 - thick / 2, 0.5 + thick / 2)
    match arm.lower():
        case "l":
            return (0, middle_y[0], middle_x[1], middle_y[1])
        case "r":
            return (middle_x[0], middle_y[0], 1, middle_y[1])
        case "u":
            return (middle_x[0], 0, middle_x[1], middle_y[1])
        case _:
            return (middle_x[0], middle_y[0], middle_x[1], 1)


def _hex(color: Color | None, default: str) -> str:
    if color is None or color.is_default:
        return default
    return color.get_truecolor().hex
