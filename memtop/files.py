"""Writes a file that was not there before and that only its owner may read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from config.private_files import open_new


class NewFileError(Exception):
    """The file could not be written; one sentence."""


@contextmanager
def new_file(path: Path, called: str) -> Iterator[TextIO]:
    """Opens a new file to be written as UTF-8; half a one is not left behind. Blocks.

    Args:
        path: Where; nothing may be there yet.
        called: What the sentence of a failure calls it.

    Raises:
        NewFileError: There is a file of that name, or it cannot be written.
    """
    try:
        descriptor = open_new(path)
    except FileExistsError as error:
        raise NewFileError(f"there is such a file already: {called}") from error
    except OSError as error:
        raise NewFileError(f"{called} cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        path.unlink(missing_ok=True)
        raise NewFileError(f"{called} cannot be written: {error.strerror or error}") from error
