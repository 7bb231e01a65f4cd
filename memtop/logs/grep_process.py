"""The program that searches: a process of its own, for a regular expression can run away and not be stopped.

It reads requests from its standard input and answers each on its standard output. A request is a letter, a
length (four bytes, little-endian) and so many bytes:

    i, c    an expression, to be searched for without or with regard to case; answered with ``o`` if it
            compiles, else with ``e`` and the reason
    t       lines, each with its newline; answered with ``m`` and three numbers for each match (four bytes
            each): the line, counted from 0, and where in it the match begins and ends, in characters

Answers have the form of requests. It ends with its input.

Python tries an expression at every letter of every line. Looking first for a handful of plain words, of
which every match holds one (`required_words`), leaves out nearly all lines and is ten times as fast.
"""

from __future__ import annotations

import re
import struct
import sys
import warnings
from array import array
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, BinaryIO

MIN_WORD = 2
MAX_WORDS = 40
_REPEATS = frozenset({op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT})


def required_words(pattern: str) -> frozenset[bytes] | None:
    """Finds the words, in lower case, or None where an expression can match without any.

    Args:
        pattern: A regular expression that compiles.
    """
    found = _words_of_sequence(_parser.parse(pattern))
    return found if found is not None and len(found) <= MAX_WORDS else None


def _words_of_sequence(sequence: Any) -> frozenset[bytes] | None:  # noqa: ANN401  (the parser's own tree)
    """The words for a sequence of items: those of its best item, for a match has to match every item."""
    candidates: list[frozenset[bytes]] = []
    word = bytearray()
    for code, argument in [*sequence, (None, None)]:
        if code is op.LITERAL and argument < 0x80:
            word += bytes([argument])
            continue
        begun, word = bytes(word).lower(), bytearray()
        if code is op.BRANCH:  # the parser has put before it what its alternatives begin with
            wholes = frozenset(begun + _leading_letters(alternative) for alternative in argument[1])
            candidates += [wholes] if min(map(len, wholes)) >= MIN_WORD else []
        elif len(begun) >= MIN_WORD:
            candidates.append(frozenset({begun}))
        inner = _words_of_item(code, argument)
        if inner is not None:
            candidates.append(inner)
    return max(candidates, key=lambda words: (min(map(len, words)), -len(words)), default=None)


def _leading_letters(sequence: Any) -> bytes:  # noqa: ANN401
    """The plain letters a sequence begins with, in lower case."""
    letters = bytearray()
    for code, argument in sequence:
        if code is not op.LITERAL or argument >= 0x80:
            break
        letters.append(argument)
    return bytes(letters).lower()


def _words_of_item(code: Any, argument: Any) -> frozenset[bytes] | None:  # noqa: ANN401
    """The words for one item that is no plain letter."""
    if code is op.SUBPATTERN:
        return _words_of_sequence(argument[3])
    if code is op.ATOMIC_GROUP:
        return _words_of_sequence(argument)
    if code in _REPEATS and argument[0] >= 1:
        return _words_of_sequence(argument[2])
    if code is op.BRANCH:
        words: frozenset[bytes] = frozenset()
        for alternative in argument[1]:
            found = _words_of_sequence(alternative)
            if found is None:
                return None
            words |= found
        return words
    return None


MESSAGE_HEAD = struct.Struct("<cI")
MAX_MATCHES = 4
"""Matches told of one line."""
# Letters beyond ASCII that match an ASCII letter without regard to case: the dotted and the dotless i, the
# long s and the kelvin sign.
_CASE_FOLDED_LETTERS = ("İ".encode(), "ı".encode(), "ſ".encode(), "\N{KELVIN SIGN}".encode())


def find_matches(pattern: re.Pattern[str], words: frozenset[bytes] | None, text: bytes) -> array[int]:
    """Finds the matches in lines; see the module for the form.

    Args:
        pattern: What to look for.
        words: One of which, in lower case, every match holds; None if there are no such words.
        text: The lines.
    """
    found = array("I")
    if words is None or any(odd in text for odd in _CASE_FOLDED_LETTERS):
        for number, line in enumerate(text.decode("utf-8", "replace").split("\n")[:-1]):
            _add_matches(pattern, line, number, found)
        return found
    for number, start, end in _candidate_lines(words, text):
        _add_matches(pattern, text[start:end].decode("utf-8", "replace"), number, found)
    return found


def _add_matches(pattern: re.Pattern[str], line: str, number: int, found: array[int]) -> None:
    match = pattern.search(line)
    count = 0
    while match is not None and count < MAX_MATCHES:
        start, end = match.span()
        found.extend((number, start, end))
        count += 1
        match = pattern.search(line, end) if start < end < len(line) else None


def _candidate_lines(words: frozenset[bytes], text: bytes) -> list[tuple[int, int, int]]:
    """Number, start and end of the lines that hold one of the words."""
    lower = text.lower()  # ASCII only: everything stays where it is
    starts: set[int] = set()
    for word in words:
        at = lower.find(word)
        while at >= 0:
            starts.add(lower.rfind(b"\n", 0, at) + 1)
            end = lower.find(b"\n", at)
            at = lower.find(word, end) if end >= 0 else -1
    lines = []
    number = counted = 0
    for start in sorted(starts):
        number += lower.count(b"\n", counted, start)
        counted = start
        lines.append((number, start, lower.index(b"\n", start)))
    return lines


def serve_requests(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until there are no more."""
    pattern = re.compile("")
    words: frozenset[bytes] | None = None
    while len(head := requests.read(MESSAGE_HEAD.size)) == MESSAGE_HEAD.size:
        kind, size = MESSAGE_HEAD.unpack(head)
        body = requests.read(size)
        answer, said = b"o", b""
        if kind == b"t":
            answer, said = b"m", find_matches(pattern, words, body).tobytes()
        else:
            try:
                source = body.decode()
                pattern = re.compile(source, re.IGNORECASE if kind == b"i" else 0)
                words = required_words(source)
            except (re.error, OverflowError, RecursionError) as error:
                answer, said = b"e", str(error).encode()
        answers.write(MESSAGE_HEAD.pack(answer, len(said)) + said)
        answers.flush()


def main() -> None:
    """Serves standard input and output."""
    warnings.simplefilter("ignore")  # an expression may be odd without being wrong
    serve_requests(sys.stdin.buffer, sys.stdout.buffer)
