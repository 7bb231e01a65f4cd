"""Bringing a file here from a container whose connection breaks, whose file changes, whose tools are few."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from memtop.heap import file_transfer
from memtop.heap.file_transfer import (
    RemoteFile,
    TransferFailedError,
    fetch_file,
    partial_path,
    read_command,
    verify_file,
)
from memtop.kube.api_errors import Unreachable
from memtop.kube.container_exec import ContainerRef, ExecChannel, ExecEnd

PLACE = ContainerRef("production", "billing-0", "billing")
DATA = random.Random(5).randbytes(300_000) + bytes(700_000)
EVERYTHING = {name: name for name in ("gzip", "tail", "dd", "sha256sum")}


def remote(tools=EVERYTHING, data=DATA):
    digest = hashlib.sha256(data).hexdigest() if "sha256sum" in tools else ""
    return RemoteFile(PLACE, "/tmp/memtop-x.hprof", len(data), digest, tools)


class Container:
    """Stands where a container would: runs the reading commands on ``DATA``, and breaks off as told."""

    def __init__(self, data: bytes, breaks: Sequence[int | None] = ()) -> None:
        self.data = data
        self.breaks = list(breaks)
        self.commands: list[tuple[str, ...]] = []

    @asynccontextmanager
    async def execute(
        self, _client: Any, _place: ContainerRef, command: tuple[str, ...]
    ) -> AsyncIterator[Any]:
        self.commands.append(command)
        script, words = command[2], command[4:]
        data = self.data
        if script.startswith("tail"):
            data = data[int(words[1]) - 1 :]
        elif script.startswith("dd"):
            data = data[int(words[1]) * 65536 :]
        if "gzip" in script:
            data = gzip.compress(data, 1)
        yield _Stream(data, self.breaks.pop(0) if self.breaks else None)


class _Stream:
    def __init__(self, data: bytes, breaks: int | None) -> None:
        self.end: ExecEnd | None = None
        self._data = data
        self._breaks = breaks

    async def __aiter__(self) -> AsyncIterator[tuple[ExecChannel, bytes]]:
        most = len(self._data) if self._breaks is None else self._breaks
        for start in range(0, most, 30_000):
            yield ExecChannel.OUTPUT, self._data[start : min(most, start + 30_000)]
        if self._breaks is not None:
            raise Unreachable("the connection was lost")
        self.end = ExecEnd(0)


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Container]:
    """``container(DATA, [1000, None])``: one whose first connection breaks after 1000 bytes."""

    def make(*arguments: Any) -> Container:
        made = Container(*arguments)
        monkeypatch.setattr(file_transfer, "execute", made.execute)
        monkeypatch.setattr(file_transfer, "TRANSFER_PAUSE", 0.0)
        return made

    return make


def nothing(*_: int) -> None:
    """Nobody watches."""


@pytest.mark.parametrize(
    "tools",
    [
        EVERYTHING,
        {"tail": "tail"},
        {"dd": "dd"},
        {"dd": "dd", "gzip": "gzip"},
        {"gzip": "gzip", "tail": "tail"},
    ],
    ids=str,
)
async def test_what_breaks_off_is_taken_up_until_it_is_whole(container, tmp_path, tools):
    there = container(DATA, [100_001, 77_777, None])
    target = tmp_path / "x.hprof"
    told: list[tuple[int, int]] = []
    await fetch_file(None, remote(tools), target, lambda *step: told.append(step))
    words = await verify_file(remote(tools), target)
    assert target.read_bytes() == DATA
    assert ("SHA-256 equal" in words) == ("sha256sum" in tools)
    assert len(there.commands) == 3
    assert told[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert target.stat().st_mode & 0o077 == 0


async def test_a_file_that_would_fill_the_disk_here_is_not_begun(container, tmp_path, monkeypatch):
    there = container(DATA)
    monkeypatch.setattr(file_transfer.shutil, "disk_usage", lambda _: SimpleNamespace(free=len(DATA) // 2))
    with pytest.raises(
        TransferFailedError, match=r"977 KiB more has to be written to .* where 488 KiB is free"
    ):
        await fetch_file(None, remote(), tmp_path / "x", nothing)
    assert there.commands == []
    partial_path(tmp_path / "x").write_bytes(DATA[: len(DATA) * 3 // 4])
    await fetch_file(None, remote(), tmp_path / "x", nothing)  # for the rest there is room
    assert len(there.commands) == 1


async def test_an_earlier_part_is_not_asked_for_again(container, tmp_path):
    there = container(DATA)
    partial_path(tmp_path / "x").write_bytes(DATA[:400_000])
    await fetch_file(None, remote(), tmp_path / "x", nothing)
    assert there.commands[0][2].startswith("tail -c +")
    assert there.commands[0][-1] == "400001"
    await verify_file(remote(), tmp_path / "x")


async def test_a_stream_that_ends_short_without_a_word_is_noticed(container, tmp_path):
    there = container(DATA[:500_000])
    with pytest.raises(TransferFailedError, match="ends after 500000 of 1000000 bytes"):
        await fetch_file(None, remote(), tmp_path / "x", nothing)
    assert len(there.commands) == 1 + file_transfer.TRANSFER_TRIES
    assert partial_path(tmp_path / "x").stat().st_size == 500_000


async def test_a_connection_that_never_carries_a_byte_is_given_up(container, tmp_path):
    container(DATA, [0] * 20)
    with pytest.raises(TransferFailedError, match="the connection was lost"):
        await fetch_file(None, remote(), tmp_path / "x", nothing)


async def test_what_is_another_file_is_not_kept(container, tmp_path):
    container(DATA[:-1] + b"!")
    await fetch_file(None, remote(), tmp_path / "x", nothing)
    with pytest.raises(TransferFailedError, match="not what is in the container"):
        await verify_file(remote(), tmp_path / "x")
    assert not list(tmp_path.iterdir())


async def test_a_little_that_stands_for_a_lot_is_written_piece_by_piece(container, tmp_path):
    zeros = bytes(40_000_000)
    container(zeros)
    target = tmp_path / "x"
    await fetch_file(None, remote(data=zeros), target, nothing)
    assert "SHA-256 equal" in await verify_file(remote(data=zeros), target)
    pieces = list(
        file_transfer._decompressed_pieces(__import__("zlib").decompressobj(wbits=31), gzip.compress(zeros))
    )
    assert max(map(len, pieces)) <= 1024 * 1024


async def test_no_bytes_are_whole_at_once(container, tmp_path):
    there = container(b"")
    await fetch_file(None, remote(data=b""), tmp_path / "x", nothing)
    await verify_file(remote(data=b""), tmp_path / "x")
    assert not there.commands


def test_without_a_tool_to_begin_in_the_middle_it_says_so():
    assert read_command(remote({}), 0) == (("sh", "-c", 'cat "$1"', "sh", "/tmp/memtop-x.hprof"), False)
    with pytest.raises(TransferFailedError, match="neither tail nor dd"):
        read_command(remote({}), 5)


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
async def test_nothing_is_written_through_a_planted_link(container, tmp_path, link):
    container(DATA, [None])
    public, target = tmp_path / "public", tmp_path / "heap.hprof"
    public.write_bytes(b"theirs")
    getattr(partial_path(target), link)(public)
    with pytest.raises(OSError, match=r"links|not a file of your own"):
        await fetch_file(None, remote(), target, nothing)
    assert public.read_bytes() == b"theirs"
