"""Writing a report to a file that wasn't there before."""

from __future__ import annotations

import os
from pathlib import Path


class ReportError(Exception):
    """The file could not be written; one sentence."""


def write(path: Path, text: str) -> None:
    """Writes a new file, which its owner alone may read. Blocks.

    Raises:
        ReportError: There is a file of that name, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ReportError(f"there is such a file already: {path}") from error
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a report would look like a whole one
        raise ReportError(f"{path} cannot be written: {error.strerror or error}") from error
