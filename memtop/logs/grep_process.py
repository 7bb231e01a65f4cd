"""The program that searches: a process of its own, for a regular expression can run away and not be stopped.

It reads requests from its standard input and answers each on its standard output. A request is a letter, a
length (four bytes, little-endian) and so many bytes:

    i, c    an expression, to be searched for without or with regard to case; answered with ``o`` if it
            compiles, else with ``e`` and the reason
    t       lines, each with its newline; answered with ``m`` and three numbers for each match (four bytes
            each): the line, counted from 0, and where in it the match begins and ends, in characters

Answers have the form of requests. It ends with its input.
"""

from __future__ import annotations

import re
import struct
import sys
import warnings
from array import array
from typing import BinaryIO

from memtop.logs.needles import needles

HEAD = struct.Struct("<cI")
MOST_MATCHES = 4
"""Matches told of one line."""
# Letters beyond ASCII that match an ASCII letter without regard to case: the dotted and the dotless i, the
# long s and the kelvin sign.
_ODD = ("İ".encode(), "ı".encode(), "ſ".encode(), "\N{KELVIN SIGN}".encode())


def find(pattern: re.Pattern[str], words: frozenset[bytes] | None, text: bytes) -> array[int]:
    """Finds the matches in lines; see the module for the form.

    Args:
        pattern: What to look for.
        words: One of which, in lower case, every match holds; None if there are no such words.
        text: The lines.
    """
    found = array("I")
    if words is None or any(odd in text for odd in _ODD):
        for number, line in enumerate(text.decode("utf-8", "replace").split("\n")[:-1]):
            _match(pattern, line, number, found)
        return found
    for number, start, end in _candidates(words, text):
        _match(pattern, text[start:end].decode("utf-8", "replace"), number, found)
    return found


def _match(pattern: re.Pattern[str], line: str, number: int, found: array[int]) -> None:
    match = pattern.search(line)
    count = 0
    while match is not None and count < MOST_MATCHES:
        start, end = match.span()
        found.extend((number, start, end))
        count += 1
        match = pattern.search(line, end) if start < end < len(line) else None


def _candidates(words: frozenset[bytes], text: bytes) -> list[tuple[int, int, int]]:
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


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until there are no more."""
    pattern = re.compile("")
    words: frozenset[bytes] | None = None
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        kind, size = HEAD.unpack(head)
        body = requests.read(size)
        answer, said = b"o", b""
        if kind == b"t":
            answer, said = b"m", find(pattern, words, body).tobytes()
        else:
            try:
                source = body.decode()
                pattern = re.compile(source, re.IGNORECASE if kind == b"i" else 0)
                words = needles(source)
            except (re.error, OverflowError, RecursionError) as error:
                answer, said = b"e", str(error).encode()
        answers.write(HEAD.pack(answer, len(said)) + said)
        answers.flush()


def main() -> None:
    """Serves standard input and output."""
    warnings.simplefilter("ignore")  # an expression may be odd without being wrong
    serve(sys.stdin.buffer, sys.stdout.buffer)
