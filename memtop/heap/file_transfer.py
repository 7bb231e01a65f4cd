"""Brings a file out of a container: compressed on its way, resumed after a break, and verified.

``kubectl cp`` can end short without an error. Here the size and, where the image has ``sha256sum``, the
checksum are compared before the file gets its name.
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
from memtop.background import run_in_thread
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.client import Client
from memtop.kube.container_exec import (
    ContainerRef,
    ExecChannel,
    NoSuchProgram,
    NotRunning,
    execute,
    exit_code_of,
    run_command,
)
from memtop.quantity import parse_whole
from memtop.sanitize import sanitize, sanitize_bytes
from memtop.wording import bytes_

TRANSFER_TRIES = 5
"""Times without a new byte after which a transfer is given up."""
TRANSFER_PAUSE = 1.0
"""Seconds before a transfer is taken up again."""
CHECKSUM_SECONDS = 900.0
_PIECE = 1024 * 1024
_BLOCK = 64 * 1024

TransferProgress = Callable[[int, int], None]
"""Told how many bytes of how many have arrived."""


class TransferFailedError(Exception):
    """The file did not arrive; what did is kept, so that it can be taken up again."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a container.

    Attributes:
        container_ref: Whose.
        path: Where.
        size: Bytes.
        digest: Its SHA-256 in hexadecimal; empty where the image has no ``sha256sum``.
        tools: Programs in the image.
    """

    container_ref: ContainerRef
    path: str
    size: int
    digest: str
    tools: Mapping[str, str]


async def measure_file(
    client: Client, container_ref: ContainerRef, path: str, tools: Mapping[str, str]
) -> RemoteFile:
    """Measures a file in a container.

    Raises:
        TransferFailed: It is not there.
        NotRunning: The container does not run any more.
        ApiError: It is forbidden.
        Unreachable: No answer came.
        CredentialError: No credential could be had.
    """
    counted = await run_command(client, container_ref, ["sh", "-c", 'wc -c < "$1"', "sh", path])
    size = parse_whole(counted.output.decode("ascii", "replace"))
    if counted.code != 0 or size is None:
        raise TransferFailedError(f"{path} is not there: {sanitize_bytes(counted.errors).strip()}")
    digest = ""
    if "sha256sum" in tools:
        summed = await run_command(client, container_ref, ["sha256sum", path], timeout=CHECKSUM_SECONDS)
        if summed.code == 0:
            digest = sanitize_bytes(summed.output).split(" ")[0].lstrip("\\")
    return RemoteFile(container_ref, path, size, digest, tools)


def partial_path(target: Path) -> Path:
    """Where a file is kept until it is whole."""
    return target.with_name(f"{target.name}.part")


def arrived_bytes(target: Path) -> int | None:
    """Bytes of a file that have arrived and are kept until it is whole; None where there are none."""
    try:
        return partial_path(target).lstat().st_size
    except OSError:
        return None


async def fetch_file(client: Client, remote: RemoteFile, target: Path, progress: TransferProgress) -> None:
    """Brings a file here; what arrived earlier is not asked for again.

    Raises:
        TransferFailed: It could not be had whole, for all trying, or there is no room for it here.
        OSError: It could not be written here.
        NotRunning: The container does not run any more.
        ApiError: It is forbidden, or the pod is gone.
        CredentialError: No credential could be had.
    """
    part = partial_path(target)
    tries = 0
    # A heap holds what the process knows, passwords included: only its owner may read the file.
    with os.fdopen(open_own(part), "ab") as file:
        if file.tell() > remote.size:
            file.truncate(0)
        _check_disk_space(part, remote.size - file.tell())
        while (have := file.tell()) < remote.size:
            why = ""
            try:
                await _read_on(client, remote, have, file, progress)
            except (Unreachable, zlib.error) as error:
                why = str(error)
            file.flush()
            if file.tell() > have:
                tries = 0
                continue
            tries += 1
            if tries >= TRANSFER_TRIES:
                raise TransferFailedError(why or f"{remote.path} ends after {have} of {remote.size} bytes")
            await asyncio.sleep(TRANSFER_PAUSE)
    progress(remote.size, remote.size)


def _check_disk_space(part: Path, missing: int) -> None:
    """Now that the size is known: refuses to fill this machine's disk."""
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise TransferFailedError(
            f"{bytes_(missing)} more has to be written to {part.parent}, where {bytes_(free)} is free"
        )


async def verify_file(remote: RemoteFile, target: Path) -> str:
    """Compares what arrived with the file in the container and gives it its name.

    Returns:
        What was compared, in words.

    Raises:
        TransferFailed: It is another; it is deleted, since taking it up again would not help.
        OSError: It can't be read or renamed.
    """
    part = partial_path(target)
    size = part.stat().st_size
    digest = await run_in_thread(_sha256, part)
    if size != remote.size or (remote.digest and digest != remote.digest):
        part.unlink()
        raise TransferFailedError(
            f"what arrived is not what is in the container ({remote.path}); it was deleted here"
        )
    give_name(part, target)
    if remote.digest:
        return f"size and SHA-256 equal ({digest})"
    return f"size equal; the image has no sha256sum to compare SHA-256 {digest} with"


async def remove_file(client: Client, container_ref: ContainerRef, path: str) -> str:
    """Deletes a file in the container; returns why that failed, empty if it did not."""
    try:
        done = await run_command(client, container_ref, ["rm", "-f", path])
    except (ApiError, Unreachable, CredentialError, NotRunning, NoSuchProgram) as error:
        return str(error)
    return "" if done.code == 0 else sanitize_bytes(done.errors).strip() or f"rm ended with {done.code}"


def read_command(remote: RemoteFile, offset: int) -> tuple[tuple[str, ...], bool]:
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
    raise TransferFailedError(
        "the image has neither tail nor dd, so a transfer can't be taken up in the middle"
    )


async def _read_on(
    client: Client, remote: RemoteFile, offset: int, file: BinaryIO, progress: TransferProgress
) -> None:
    """Reads from an offset until the end, or until the connection breaks."""
    command, compressed = read_command(remote, offset)
    drop = 0 if offset == 0 or "tail" in remote.tools else offset % _BLOCK  # dd begins with a whole block
    unzip = zlib.decompressobj(wbits=31) if compressed else None
    said = b""
    async with execute(client, remote.container_ref, command) as execution:
        async for channel, data in execution:
            if channel is ExecChannel.ERRORS:
                said = (said + data)[:1000]
                continue
            for piece in _decompressed_pieces(unzip, data):
                kept = piece[drop:]
                drop -= len(piece) - len(kept)
                file.write(kept[: remote.size - file.tell()])
            progress(file.tell(), remote.size)
    if exit_code_of(execution, command) != 0:
        raise Unreachable(f"reading {remote.path} failed: {sanitize(said.decode('utf-8', 'replace'))}")


def _decompressed_pieces(unzip: zlib._Decompress | None, data: bytes) -> Iterator[bytes]:
    """The bytes themselves, a bounded piece at a time: a little that is compressed may stand for a lot."""
    if unzip is None:
        yield data
        return
    while data:
        yield unzip.decompress(data, _PIECE)
        data = unzip.unconsumed_tail


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
