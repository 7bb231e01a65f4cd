"""Saving a log to a file that wasn't there before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from memtop.logs.line import NO_TIME, Line, Mark
from memtop.logs.request import LogRequest
from memtop.new_file import new_file


def proposed_name(request: LogRequest, now: float) -> str:
    """What to call a log's file: ``user-service-5wrk4_user-service_previous_20261122T162811Z.log``.

    Args:
        request: Whose log.
        now: Unix seconds.
    """
    which = request.containers[0] if len(request.containers) == 1 else "all"
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    return "_".join([request.pod, which, *(["previous"] if request.previous else []), moment]) + ".log"


def save(path: Path, lines: Iterable[Line], *, times: bool, owners: bool) -> int:
    """Writes lines to a new file, which its owner alone may read.

    Args:
        path: Where; nothing may be there yet.
        lines: What to write; it has no terminal escapes any more.
        times: Whether to write each line's time, in UTC.
        owners: Whether to write each line's container.

    Returns:
        How many lines were written.

    Raises:
        NewFileError: There is a file of that name, or it cannot be written.
    """
    count = 0
    with new_file(path, path.name) as file:
        for count, line in enumerate(lines, 1):  # noqa: B007  (the last count is the result)
            file.write(written(line, times=times, owners=owners))
    return count


def written(line: Line, *, times: bool, owners: bool) -> str:
    """A line as it stands in a file: its time in UTC and its container, if wanted, before its text."""
    parts = []
    if times and line.at != NO_TIME:
        second, nanoseconds = divmod(line.at, 1_000_000_000)
        parts.append(f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z")
    if owners:
        parts.append(line.container)
    text = line.text
    if line.mark is Mark.NOTE:
        text = f"--- {text} ---"
    elif line.mark is Mark.CUT:
        text += " [cut]"
    return " ".join([*parts, text]) + "\n"
