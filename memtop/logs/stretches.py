"""Which lines a filter shows: the matches, and so many lines around each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GAP = -1
"""Stands between two stretches of lines that do not follow each other."""

Numbers = npt.NDArray[np.int64]


def shown(matches: Numbers, first: int, end: int, context: int) -> Numbers:
    """The numbers of the lines to show, as ``grep -C`` would.

    Args:
        matches: Numbers of the lines that match, ascending.
        first: Number of the oldest line there is.
        end: One more than the number of the newest.
        context: Lines to show before and after each match; without any there are no gaps.

    Returns:
        Numbers ascending, with `GAP` between stretches.
    """
    matches = matches[np.searchsorted(matches, first) : np.searchsorted(matches, end)]
    if not context or not len(matches):
        return matches
    starts = np.maximum(matches - context, first)
    ends = np.minimum(matches + context + 1, end)
    opens = np.concatenate(([True], starts[1:] > ends[:-1]))  # where a stretch begins
    starts = starts[opens]
    ends = ends[np.concatenate((opens[1:], [True]))]
    lengths = ends - starts + 1  # one more for the gap after it
    rows = np.ones(int(lengths.sum()), np.int64)
    heads = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    rows[heads] = starts
    rows[heads[1:]] -= ends[:-1]  # counts up within a stretch, and jumps at its head
    rows = np.cumsum(rows)
    rows[heads[1:] - 1] = GAP
    return rows[:-1]


def others(matches: Numbers, first: int, end: int) -> Numbers:
    """The numbers from ``first`` to before ``end`` that are not in ``matches``: those of ``grep -v``."""
    kept = np.ones(max(0, end - first), np.bool_)
    within = matches[np.searchsorted(matches, first) : np.searchsorted(matches, end)]
    kept[within - first] = False
    return np.flatnonzero(kept) + first
