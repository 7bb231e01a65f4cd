"""What is wrong with a setting, in words."""

from __future__ import annotations

from collections.abc import Iterable


class ConfigError(Exception):
    """One sentence that names the flag, variable or file, and the value that is wrong.

    The command line prints it after ``memtop: `` and ends with exit code 2.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean --interval?`` when a known name is similar enough, else an empty text.

    Args:
        name: What was written.
        known: The names that exist.
    """
    import difflib  # noqa: PLC0415  (only a mistake needs it)

    words = {one.lstrip("-"): one for one in known}  # two flags are not similar because both have dashes
    near = difflib.get_close_matches(name.lstrip("-"), words, n=1, cutoff=0.6)
    return f"; did you mean {words[near[0]]}?" if near else ""
