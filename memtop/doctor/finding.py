"""What one check found, as a line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a check ended."""

    GOOD = "✓"
    BAD = "✗"
    OPEN = "–"
    """Not there, not allowed or not known; memtop works without it."""


PLAIN = {Mark.GOOD: "ok", Mark.BAD: "!!", Mark.OPEN: "--"}
"""The marks where only ASCII can be printed."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        mark: How the check ended.
        subject: What was looked at.
        words: What was found, and what to do about it.
        more: Further lines, such as what a credential plugin said.
    """

    mark: Mark
    subject: str
    words: str
    more: tuple[str, ...] = ()

    def lines(self, *, plain: bool) -> list[str]:
        """The report's lines.

        Args:
            plain: Only ASCII marks.
        """
        mark = PLAIN[self.mark] if plain else self.mark.value
        return [f"{mark} {self.subject:<13} {self.words}", *(f"{'':<16}  {line}" for line in self.more)]


def good(subject: str, words: str, *more: str) -> Finding:
    """All is well."""
    return Finding(Mark.GOOD, subject, words, more)


def bad(subject: str, words: str, *more: str) -> Finding:
    """Something that memtop needs is missing."""
    return Finding(Mark.BAD, subject, words, more)


def open_(subject: str, words: str, *more: str) -> Finding:
    """Something that memtop can do without is missing, or cannot be told."""
    return Finding(Mark.OPEN, subject, words, more)
