"""The one place where memtop makes files: private, exclusive where they are new, never through a link.

Others may be able to write to the folder, as in ``/tmp``: a symbolic or hard link that was planted there
must not lead what a heap, a log or the audit log holds to a file that others can read.
"""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from errno import EFBIG, EPERM, ETIMEDOUT
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700
PIPE_SECONDS = 10.0
"""Waits for whoever writes into a pipe, as in ``--config <(vault …)``."""


def private_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing, for their owner alone, whatever the umask.

    Raises:
        OSError: It cannot be made.
    """
    if folder.is_dir():
        return
    private_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:  # another process was quicker
        if not folder.is_dir():
            raise
    else:
        folder.chmod(FOLDER_MODE)


def open_new(path: Path) -> int:
    """Makes a file that is not there yet; returns its descriptor, for writing.

    Raises:
        FileExistsError: There is something of that name, if only a link that leads nowhere.
        OSError: It cannot be made.
    """
    return _private(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    )


def open_own(path: Path, *, append: bool = True) -> int:
    """Opens a file of one's own for reading and writing, or makes it; returns its descriptor.

    Args:
        path: Where.
        append: Whether what is written goes to its end.

    Raises:
        OSError: It cannot be opened, is a link, somebody else's, or has another name somewhere.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags | (os.O_APPEND if append else 0), FILE_MODE)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise PermissionError(EPERM, "it is not a file of your own alone", str(path))
    except OSError:
        os.close(descriptor)
        raise
    return _private(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file anew in one step: readers find the old content or the new; a link is replaced itself.

    Raises:
        OSError: It cannot be written; then the old content stays.
    """
    private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = open_new(draft)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def give_name(draft: Path, path: Path) -> None:
    """Gives a finished file its name, unless there is something of that name.

    Raises:
        FileExistsError: There is something of that name.
        OSError: It cannot be renamed.
    """
    try:
        os.link(draft, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(f"{path} is there already") from None
        draft.rename(path)
    else:
        draft.unlink()


def _private(descriptor: int) -> int:
    """A descriptor whose file only its owner may read, whatever the umask and whatever it was before."""
    try:
        os.fchmod(descriptor, FILE_MODE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_unused(folder: Path, stem: str, suffix: str, content: str) -> Path:
    """Writes a new file under a name that is not taken, with a number in it where others are.

    Returns:
        Where it is.

    Raises:
        OSError: It cannot be written.
    """
    path, number = folder / f"{stem}{suffix}", 1
    while True:
        try:
            descriptor = open_new(path)
            break
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}{suffix}"
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return path


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file that somebody named; a pipe that nobody writes into is waited for a while only.

    Args:
        path: Where.
        most: Bytes that are too many by one; ``/dev/zero`` has no end.

    Raises:
        OSError: It cannot be read, is a folder, too large, or a pipe that stays silent.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        content = bytearray()
        while len(content) <= most:
            if pipe and not select.select([descriptor], [], [], PIPE_SECONDS)[0]:
                raise TimeoutError(ETIMEDOUT, "it is a pipe, and nobody writes into it", str(path))
            part = file.read(1 << 20)
            if not part:
                return bytes(content)
            content += part
    raise OSError(EFBIG, f"it is larger than {most >> 20} MiB", str(path))
