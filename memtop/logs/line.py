"""One line of a log, from the bytes of the kubelet to clean text with a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from memtop.cluster.sanitize import sanitize_text

NANOSECOND = 1e-9
NO_TIME = -1
MOST_TIME = 2**63
"""Nanoseconds since 1970 that 64 bits hold; a later time (after April 2262) is not taken for one."""
MOST_BYTES = 16 * 1024
"""Bytes of one line that are kept; container runtimes write longer lines in pieces of as many."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d) ?")


class Mark(IntEnum):
    """What a line is, beside its text."""

    PLAIN = 0
    CUT = 1
    """The line was longer; only its start is here."""
    NOTE = 2
    """Not the container's words: memtop says what became of the container here."""


class Line(NamedTuple):
    """One line.

    Attributes:
        at: When the runtime got it, nanoseconds since 1970; `NO_TIME` if it didn't say.
        text: Clean text of one line; tabs stay.
        container: Whose it is.
        mark: Whether it is whole, cut, or a note.
    """

    at: int
    text: str
    container: str
    mark: Mark = Mark.PLAIN

    @property
    def seconds(self) -> float | None:
        """When the runtime got it, Unix seconds."""
        return None if self.at == NO_TIME else self.at * NANOSECOND


def parse(raw: bytes, container: str, *, cut: bool = False) -> Line:
    """Reads a line as the kubelet sends it with ``timestamps=true``.

    Of a progress bar that paints itself anew with carriage returns only the last state is left; what is no
    UTF-8 becomes U+FFFD; terminal escapes go.
    """
    stamp = _STAMP.match(raw)
    at, start = (NO_TIME, 0) if stamp is None else (_nanoseconds(*stamp.groups()), stamp.end())
    return Line(at, clean(raw[start:]), container, Mark.CUT if cut else Mark.PLAIN)


def clean(text: bytes) -> str:
    """The bytes of one line as text that a terminal may show."""
    text = text.rstrip(b"\r")
    if b"\r" in text:
        text = text[text.rindex(b"\r") + 1 :]
    return sanitize_text(text.decode("utf-8", "replace"))


def stamp_length(raw: bytes | bytearray) -> int:
    """Bytes of the kubelet's time stamp at the start of a line; 0 without one."""
    stamp = _STAMP.match(raw)
    return 0 if stamp is None else stamp.end()


def _nanoseconds(second: bytes, fraction: bytes | None, zone: bytes) -> int:
    at = _second(second, zone) * 1_000_000_000 + (int(fraction.ljust(9, b"0")) if fraction else 0)
    return at if 0 <= at < MOST_TIME else NO_TIME


@lru_cache(maxsize=1024)  # the lines of one second follow each other
def _second(second: bytes, zone: bytes) -> int:
    try:
        moment = datetime.fromisoformat((second + (b"+00:00" if zone == b"Z" else zone)).decode())
        return int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        return NO_TIME
