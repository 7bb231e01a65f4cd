"""Finding names by a few of their letters."""

from __future__ import annotations

from collections.abc import Sequence

_EDGES = "-_./: "


def match(query: str, text: str) -> tuple[int, Sequence[int]] | None:
    """Looks for the letters of ``query`` in ``text``, in order, whatever their case.

    A run of letters found together beats letters strewn about, and the start of a word beats its middle.

    Returns:
        A score (more is better) and the positions found; ``None`` if a letter isn't there. An empty query
        matches everything with a score of 0.
    """
    wanted, inside = query.lower(), text.lower()
    if len(inside) != len(text):  # a few letters get longer in lower case; positions must stay true
        inside = text
    whole = inside.find(wanted)
    if whole >= 0:
        edge = whole == 0 or inside[whole - 1] in _EDGES
        return (1000 + 100 * edge - whole if wanted else 0), range(whole, whole + len(wanted))
    found: list[int] = []
    score = 0
    for letter in wanted:
        start = found[-1] + 1 if found else 0
        at = _next(letter, inside, start)
        if at < 0:
            return None
        score += 5 if found and at == start else 3 if at == 0 or inside[at - 1] in _EDGES else 0
        found.append(at)
    return score - (found[-1] - found[0]) // 4, found


def _next(letter: str, text: str, start: int) -> int:
    """Finds ``letter`` from ``start`` on: right there, else at the start of a word, else anywhere."""
    first = text.find(letter, start)
    if first in (-1, start):
        return first
    return next(
        (i for i in range(first, len(text)) if text[i] == letter and text[i - 1] in _EDGES),
        first,
    )
