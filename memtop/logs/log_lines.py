"""From the bytes of the kubelet to clean lines with a time: bounded, and none twice after a reconnect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from memtop.sanitize import sanitize_text

NANOSECOND = 1e-9
NO_TIME = -1
MAX_TIME = 2**63
"""Nanoseconds since 1970 that 64 bits hold; a later time (after April 2262) is not taken for one."""
PIECE_BYTES = 16 * 1024
"""Container runtimes write longer lines in pieces of as many bytes, which the kubelet joins again."""
MAX_LINE_BYTES = 1024 * 1024
"""Bytes of one line that are kept and searched."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d) ?")


class LogMark(IntEnum):
    """What a line is, beside its text."""

    PLAIN = 0
    CUT = 1
    """The line was longer; only its start is here."""
    NOTE = 2
    """Not the container's words: memtop says what became of the container here."""


class LogLine(NamedTuple):
    """One line.

    Attributes:
        time: When the runtime got it, nanoseconds since 1970; `NO_TIME` if it didn't say.
        text: Clean text of one line; tabs stay.
        container: Whose it is.
        mark: Whether it is whole, cut, or a note.
    """

    time: int
    text: str
    container: str
    mark: LogMark = LogMark.PLAIN

    @property
    def seconds(self) -> float | None:
        """When the runtime got it, Unix seconds."""
        return None if self.time == NO_TIME else self.time * NANOSECOND


def parse_line(raw: bytes, container: str, *, cut: bool = False) -> LogLine:
    """Reads a line as the kubelet sends it with ``timestamps=true``.

    Of a progress bar that paints itself anew with carriage returns only the last state is left; what is no
    UTF-8 becomes U+FFFD; terminal escapes go.
    """
    stamp = _STAMP.match(raw)
    at, start = (NO_TIME, 0) if stamp is None else (_nanoseconds(*stamp.groups()), stamp.end())
    text = raw[start:] if len(raw) <= PIECE_BYTES else _without_inner_stamps(raw[start:])
    return LogLine(at, clean_line(text), container, LogMark.CUT if cut else LogMark.PLAIN)


def _without_inner_stamps(text: bytes) -> bytes:
    """A line of several pieces: kubelets up to 1.20 write the time in front of each piece."""
    pieces = [text[:PIECE_BYTES]]
    rest = text[PIECE_BYTES:]
    while rest:
        rest = rest[stamp_length(rest) :]
        pieces.append(rest[:PIECE_BYTES])
        rest = rest[PIECE_BYTES:]
    return b"".join(pieces)


def clean_line(text: bytes) -> str:
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
    at = _unix_second(second, zone) * 1_000_000_000 + (int(fraction.ljust(9, b"0")) if fraction else 0)
    return at if 0 <= at < MAX_TIME else NO_TIME


@lru_cache(maxsize=1024)  # the lines of one second follow each other
def _unix_second(second: bytes, zone: bytes) -> int:
    try:
        moment = datetime.fromisoformat((second + (b"+00:00" if zone == b"Z" else zone)).decode())
        return int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        return NO_TIME


class LogPosition:
    """The place in one container's log.

    The kubelet can be asked to begin at a second and not at a nanosecond: after connecting again the lines of
    the last second come once more, and are to be dropped.

    Attributes:
        last: The latest time of a line so far, nanoseconds since 1970; None before the first.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self._same = 0  # lines seen with that very time
        self._again = 0  # how many of those may still come once more
        self._replaying = False

    def reconnect(self) -> None:
        """What comes now begins at the start of the last second."""
        self._again = self._same
        self._replaying = self.last is not None

    def is_new(self, time: int) -> bool:
        """Whether a line of that time is new; to be asked once for each line, in order."""
        if time == NO_TIME:
            return True
        if self.last is None or time > self.last:
            self.last, self._same = time, 1
            self._replaying = False
            return True
        if time < self.last:
            return not self._replaying  # two writers need not be in order
        if self._replaying and self._again:
            self._again -= 1
            return False
        self._same += 1
        return True


class LineSplitter:
    """Splits chunks into lines; of a line that is too long the start is kept and the rest dropped.

    A progress bar that never ends its line is bounded too: of what it painted before its last carriage return
    nothing is kept but the time.

    Args:
        most: Bytes of one line that are kept.
    """

    def __init__(self, most: int = MAX_LINE_BYTES) -> None:
        self._most = most
        self._pending = bytearray()
        self._cut = False

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yields the lines that end in ``chunk``, without their newline, and whether each was cut."""
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            if not self._pending and len(end) <= self._most:
                yield end, False  # nearly always
                continue
            self._add(end)
            yield from self.rest()
        self._add(rest)

    def rest(self) -> Iterator[tuple[bytes, bool]]:
        """Yields what is left when the stream has ended without a newline."""
        if self._pending:
            yield bytes(self._pending), self._cut
            self._pending.clear()
            self._cut = False

    def _add(self, piece: bytes) -> None:
        pending = self._pending
        pending += piece
        if len(pending) <= self._most:
            return
        start = stamp_length(pending)
        painted_over = pending.rfind(b"\r", start, len(pending) - 1)
        if painted_over >= 0:
            del pending[start : painted_over + 1]
            self._cut = False
        if len(pending) > self._most:
            del pending[self._most :]
            self._cut = True
