"""Elastic tab stops, as Go's ``text/tabwriter`` sets them with a padding of two spaces.

A cell ends with a tab. Cells above one another in consecutive lines make a column, which is as wide as its
widest cell; the text after a line's last tab belongs to no column. So each block of lines finds its own
widths.
"""

from __future__ import annotations

from collections.abc import Iterable

PADDING = 2


def aligned(lines: Iterable[str]) -> list[str]:
    """Replaces the tabs of lines by spaces. A line may hold newlines, which make more lines."""
    rows = [row.split("\t") for line in lines for row in line.split("\n")]
    out = ["" for _ in rows]
    _column(rows, out, 0, len(rows), 0)
    for number, row in enumerate(rows):
        out[number] += row[-1]
    return out


def _column(rows: list[list[str]], out: list[str], start: int, end: int, column: int) -> None:
    """Writes one column of the lines ``start`` to ``end``, block by block, and those to its right."""
    at = start
    while at < end:
        if column >= len(rows[at]) - 1:
            at += 1
            continue
        last = at
        while last < end and column < len(rows[last]) - 1:
            last += 1
        width = max(len(rows[number][column]) for number in range(at, last)) + PADDING
        for number in range(at, last):
            out[number] += rows[number][column].ljust(width)
        _column(rows, out, at, last, column + 1)
        at = last
