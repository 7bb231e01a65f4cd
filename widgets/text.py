"""Putting other people's text on one line: literal, measured in cells, shortened where it matters least."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.text import Text

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
    keep = _tail(text, width)
    tail = text[len(text) - keep :]
    return _crop(text, width - 1 - cell_len(tail)) + ELLIPSIS + tail


def shorten_styled(text: Text, width: int) -> Text:
    """`shorten` for a text with styles, which stay on the letters they belong to."""
    plain = text.plain
    if cell_len(plain) <= width:
        return text
    keep = _tail(plain, width)
    head = len(_crop(plain, width - 1 - cell_len(plain[len(plain) - keep :])))
    return text[:head].append(ELLIPSIS[:width]).append_text(text[len(plain) - keep :])


def _tail(text: str, width: int) -> int:
    """Counts the characters to keep at the end of a text that is shortened to ``width`` cells."""
    last = len(text) - text.rfind("-") if "-" in text else 0
    keep = last if 1 < last <= width // 2 else width // 3
    return keep if width >= 8 and text[-keep:].isascii() else 0


def _crop(text: str, width: int) -> str:
    """Returns what of the start of ``text`` fits into ``width`` cells, without half a wide character."""
    cropped = set_cell_size(text, max(0, width))
    return cropped if text.startswith(cropped) else cropped[:-1]


def cut(text: str, width: int) -> str:
    """Shortens ``text`` to ``width`` cells by leaving out its end, as is right for words."""
    return text if cell_len(text) <= width else _crop(text, width - 1) + ELLIPSIS[: max(0, width)]


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Makes ``text`` exactly ``width`` cells wide: shortened, or padded on the left or the right."""
    text = shorten(text, width)
    space = " " * (width - cell_len(text))
    return space + text if right else text + space
