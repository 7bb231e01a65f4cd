"""What is wrong with a setting, in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConfigError(Exception):
    """One sentence that names the flag, variable or file, and the value that is wrong.

    The command line prints it after ``memtop: `` and ends with exit code 2.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean --interval?`` when a known name is near enough, else nothing.

    Args:
        name: What was written.
        known: What could have been meant.
    """
    words = {one.lstrip("-"): one for one in known}  # the dashes of a flag are no likeness
    near = difflib.get_close_matches(name.lstrip("-"), words, n=1, cutoff=0.6)
    return f"; did you mean {words[near[0]]}?" if near else ""
