"""From chunks of a stream to lines, with a bound on what one line may take."""

from __future__ import annotations

from collections.abc import Iterator

from memtop.logs.line import MOST_BYTES, stamp_length


class LineSplitter:
    """Splits chunks into lines; of a line that is too long the start is kept and the rest dropped.

    A progress bar that never ends its line is bounded too: of what it painted before its last carriage return
    nothing is kept but the time.

    Args:
        most: Bytes of one line that are kept.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
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
