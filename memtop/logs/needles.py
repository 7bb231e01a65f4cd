"""Plain words that every match of a regular expression holds one of.

Python tries an expression at every letter of every line; looking for a handful of plain words first leaves
out nearly all lines, ten times as fast. The words are found in the expression's parse tree.
"""

from __future__ import annotations

from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

SHORTEST = 2
MOST = 40
_REPEATS = frozenset({op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT})


def needles(pattern: str) -> frozenset[bytes] | None:
    """Finds the words, in lower case, or None where an expression can match without any.

    Args:
        pattern: A regular expression that compiles.
    """
    found = _of(_parser.parse(pattern))
    return found if found is not None and len(found) <= MOST else None


def _of(sequence: Any) -> frozenset[bytes] | None:  # noqa: ANN401  (the parser's own tree)
    """The words for a sequence of items: those of its best item, for a match has to match every item."""
    candidates: list[frozenset[bytes]] = []
    word = bytearray()
    for code, argument in [*sequence, (None, None)]:
        if code is op.LITERAL and argument < 0x80:
            word += bytes([argument])
            continue
        begun, word = bytes(word).lower(), bytearray()
        if code is op.BRANCH:  # the parser has put before it what its alternatives begin with
            wholes = frozenset(begun + _head(alternative) for alternative in argument[1])
            candidates += [wholes] if min(map(len, wholes)) >= SHORTEST else []
        elif len(begun) >= SHORTEST:
            candidates.append(frozenset({begun}))
        inner = _inside(code, argument)
        if inner is not None:
            candidates.append(inner)
    return max(candidates, key=lambda words: (min(map(len, words)), -len(words)), default=None)


def _head(sequence: Any) -> bytes:  # noqa: ANN401
    """The plain letters a sequence begins with, in lower case."""
    letters = bytearray()
    for code, argument in sequence:
        if code is not op.LITERAL or argument >= 0x80:
            break
        letters.append(argument)
    return bytes(letters).lower()


def _inside(code: Any, argument: Any) -> frozenset[bytes] | None:  # noqa: ANN401
    """The words for one item that is no plain letter."""
    if code is op.SUBPATTERN:
        return _of(argument[3])
    if code is op.ATOMIC_GROUP:
        return _of(argument)
    if code in _REPEATS and argument[0] >= 1:
        return _of(argument[2])
    if code is op.BRANCH:
        words: frozenset[bytes] = frozenset()
        for alternative in argument[1]:
            found = _of(alternative)
            if found is None:
                return None
            words |= found
        return words
    return None
