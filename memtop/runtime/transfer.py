"""A file out of a container, whole: compressed on its way, resumed where it broke off, and verified.

``kubectl cp`` can end short without a word; here the size and, where the image has ``sha256sum``, the
checksum of what arrived are compared with those of the file in the container before it gets its name.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from config.private_files import give_name, open_own
from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, Unreachable
from memtop.cluster.exec import Channel, NoSuchProgram, NotRunning, Place, ended, execute, run
from memtop.cluster.sanitize import sanitize, sanitize_bytes
from memtop.wording import bytes_

TRIES = 5
"""Times without a new byte after which a transfer is given up."""
PAUSE = 1.0
"""Seconds before a transfer is taken up again."""
CHECKSUM_SECONDS = 900.0
_PIECE = 1024 * 1024
_BLOCK = 64 * 1024

Progress = Callable[[int, int], None]
"""Told how many bytes of how many have arrived."""


class TransferFailed(Exception):  # noqa: N818
    """The file did not arrive; what did is kept, so that it can be taken up again."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file in a container.

    Attributes:
        place: Whose.
        path: Where.
        size: Bytes.
        digest: Its SHA-256 in hexadecimal; empty where the image has no ``sha256sum``.
        tools: Programs in the image.
    """

    place: Place
    path: str
    size: int
    digest: str
    tools: Mapping[str, str]


async def look_at(client: Client, place: Place, path: str, tools: Mapping[str, str]) -> Remote:
    """Measures a file in a container.

    Raises:
        TransferFailed: It is not there.
        NotRunning: The container does not run any more.
        ApiError: It is forbidden.
        Unreachable: No answer came.
        CredentialError: No credential could be had.
    """
    counted = await run(client, place, ["sh", "-c", 'wc -c < "$1"', "sh", path])
    if counted.code != 0 or not counted.output.strip().isdigit():
        raise TransferFailed(f"{path} is not there: {sanitize_bytes(counted.errors).strip()}")
    digest = ""
    if "sha256sum" in tools:
        summed = await run(client, place, ["sha256sum", path], timeout=CHECKSUM_SECONDS)
        if summed.code == 0:
            digest = sanitize_bytes(summed.output).split(" ")[0].lstrip("\\")
    return Remote(place, path, int(counted.output), digest, tools)


def partial(target: Path) -> Path:
    """Where a file is kept until it is whole."""
    return target.with_name(f"{target.name}.part")


def arrived(target: Path) -> int | None:
    """Bytes of a file that have arrived and are kept until it is whole; None where there are none."""
    try:
        return partial(target).lstat().st_size
    except OSError:
        return None


async def fetch(client: Client, remote: Remote, target: Path, progress: Progress) -> None:
    """Brings a file here; what arrived earlier is not asked for again.

    Raises:
        TransferFailed: It could not be had whole, for all trying, or there is no room for it here.
        OSError: It could not be written here.
        NotRunning: The container does not run any more.
        ApiError: It is forbidden, or the pod is gone.
        CredentialError: No credential could be had.
    """
    part = partial(target)
    tries = 0
    # A heap holds what the process knows, passwords included: only its owner may read the file.
    with os.fdopen(open_own(part), "ab") as file:
        if file.tell() > remote.size:
            file.truncate(0)
        _room(part, remote.size - file.tell())
        while (have := file.tell()) < remote.size:
            why = ""
            try:
                await _some(client, remote, have, file, progress)
            except (Unreachable, zlib.error) as error:
                why = str(error)
            file.flush()
            if file.tell() > have:
                tries = 0
                continue
            tries += 1
            if tries >= TRIES:
                raise TransferFailed(why or f"{remote.path} ends after {have} of {remote.size} bytes")
            await asyncio.sleep(PAUSE)
    progress(remote.size, remote.size)


def _room(part: Path, missing: int) -> None:
    """Now that the size is known: refuses to fill this machine's disk."""
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise TransferFailed(
            f"{bytes_(missing)} more has to be written to {part.parent}, where {bytes_(free)} is free"
        )


async def verify(remote: Remote, target: Path) -> str:
    """Compares what arrived with the file in the container and gives it its name.

    Returns:
        What was compared, in words.

    Raises:
        TransferFailed: It is another; it is deleted, since taking it up again would not help.
        OSError: It can't be read or renamed.
    """
    part = partial(target)
    size = part.stat().st_size
    digest = await aside(_digest, part)
    if size != remote.size or (remote.digest and digest != remote.digest):
        part.unlink()
        raise TransferFailed(
            f"what arrived is not what is in the container ({remote.path}); it was deleted here"
        )
    give_name(part, target)
    if remote.digest:
        return f"size and SHA-256 equal ({digest})"
    return f"size equal; the image has no sha256sum to compare SHA-256 {digest} with"


async def remove(client: Client, place: Place, path: str) -> str:
    """Deletes a file in the container; returns why that failed, empty if it did not."""
    try:
        done = await run(client, place, ["rm", "-f", path])
    except (ApiError, Unreachable, CredentialError, NotRunning, NoSuchProgram) as error:
        return str(error)
    return "" if done.code == 0 else sanitize_bytes(done.errors).strip() or f"rm ended with {done.code}"


def reading(remote: Remote, offset: int) -> tuple[tuple[str, ...], bool]:
    """The command that writes a file from an offset on, and whether it compresses it.

    Raises:
        TransferFailed: The image has nothing to begin in the middle with.
    """
    compress = "gzip" in remote.tools
    squeeze = " | gzip -1 -c" if compress else ""
    if offset == 0:
        return ("sh", "-c", f'cat "$1"{squeeze}', "sh", remote.path), compress
    if "tail" in remote.tools:
        tail = f'tail -c +"$2" "$1"{squeeze}'
        return ("sh", "-c", tail, "sh", remote.path, str(offset + 1)), compress
    if "dd" in remote.tools:
        skip = offset // _BLOCK
        copy = f'dd if="$1" bs={_BLOCK} skip="$2" 2>/dev/null{squeeze}'
        return ("sh", "-c", copy, "sh", remote.path, str(skip)), compress
    raise TransferFailed("the image has neither tail nor dd, so a transfer can't be taken up in the middle")


async def _some(client: Client, remote: Remote, offset: int, file: BinaryIO, progress: Progress) -> None:
    """Reads from an offset until the end, or until the connection breaks."""
    command, compressed = reading(remote, offset)
    drop = 0 if offset == 0 or "tail" in remote.tools else offset % _BLOCK  # dd begins with a whole block
    unzip = zlib.decompressobj(wbits=31) if compressed else None
    said = b""
    async with execute(client, remote.place, command) as execution:
        async for channel, data in execution:
            if channel is Channel.ERRORS:
                said = (said + data)[:1000]
                continue
            for piece in _pieces(unzip, data):
                kept = piece[drop:]
                drop -= len(piece) - len(kept)
                file.write(kept[: remote.size - file.tell()])
            progress(file.tell(), remote.size)
    if ended(execution, command) != 0:
        raise Unreachable(f"reading {remote.path} failed: {sanitize(said.decode('utf-8', 'replace'))}")


def _pieces(unzip: zlib._Decompress | None, data: bytes) -> Iterator[bytes]:
    """The bytes themselves, a bounded piece at a time: a little that is compressed may stand for a lot."""
    if unzip is None:
        yield data
        return
    while data:
        yield unzip.decompress(data, _PIECE)
        data = unzip.unconsumed_tail


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
