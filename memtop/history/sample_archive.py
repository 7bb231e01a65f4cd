"""Live samples on disk, so that a trend survives the end of a session: bounded, one folder per cluster.

A folder holds segments. A segment is a run of blocks, each one tick: a head with length and checksum, and
the compressed samples. Names are spelled out once per segment. A block that was cut short by a crash ends
its segment; the next writer begins another. One process writes, which a lock says; any number may read.
"""

from __future__ import annotations

import fcntl
import math
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from config.private_files import open_new, open_own, private_folder, read_file
from memtop.history.past_series import Floats, no_times
from memtop.kube.lenient_decoding import JSON_ERRORS

MAX_FOLDER_BYTES = 32 * 1024 * 1024
"""Of one cluster's folder."""
MAX_SEGMENT_BYTES = 64 * 1024 * 1024
"""Of a segment that is read, and of a block unpacked: a block of 30,000 containers has 1 MB."""
SEGMENT_BYTES = 2 * 1024 * 1024
SEGMENT_SECONDS = 6 * 3600.0
MAX_AGE_SECONDS = 7 * 86400.0
"""Seconds after which samples are deleted."""
SAMPLE_SPACING = 120.0
"""Seconds between the samples kept, with up to `SPACED_CONTAINERS` containers; more of them are kept less
often, so that a day fits."""
SPACED_CONTAINERS = 5000
LATE_END_SECONDS = 600.0
"""Seconds for which an end is written again with each sample: a container that died has its next sample only
after its back-off, when others have long been written. Who reads takes the same end once."""
_BLOCK_HEAD = struct.Struct("<4sII")  # magic, length of the body, its CRC-32
_MAGIC = b"mtp1"
_SUFFIX = ".samples"


@dataclass(frozen=True, slots=True)
class SampleOwner:
    """Names a container's samples: the pod's uid tells it from another of the same name."""

    uid: str
    container: str


@dataclass(frozen=True, eq=False)
class ArchiveTick:
    """The samples of one moment.

    Attributes:
        time: Unix seconds.
        owners: The containers, in the order of the arrays.
        times: When each sample was taken, Unix seconds.
        values: Bytes.
        ends: Restarts and OOM kills since `LATE` seconds before the last tick: which of `owners`, when (Unix
            seconds), and whether it is an OOM kill.
        pods: Namespace and name of the pod of each of `owners`; none of them where they are not known.
    """

    time: float
    owners: Sequence[SampleOwner]
    times: Floats
    values: npt.NDArray[np.float32]
    ends: Sequence[tuple[int, float, bool]] = ()
    pods: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, eq=False)
class ArchivedSamples:
    """What is known of one container: see `memtop.history.past_series.PastSeries`."""

    times: Floats
    values: Floats
    restarts: Floats
    oom_kills: Floats


class _ArchiveBlock(msgspec.Struct, array_like=True):
    time: float
    names: list[tuple[str, str]]
    """Names that the segment has not had yet; numbers go on from those before."""
    numbers: bytes
    """Of the names, as little-endian u4."""
    offsets: bytes
    """Tenths of seconds from `time`, as little-endian i2."""
    values: bytes
    """As little-endian f4."""
    ends: list[tuple[int, float, bool]] = []
    pods: list[tuple[str, str]] = []
    """Namespace and pod of each of `names`, where they are known: they outlive the pod."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_ArchiveBlock)


class ArchiveWriter:
    """Appends ticks to a cluster's folder, if nobody else does. Its methods block.

    Args:
        folder: The cluster's; made if it is not there, for us alone to read.
        most: Bytes that the folder may take.
    """

    def __init__(self, folder: Path, most: int = MAX_FOLDER_BYTES) -> None:
        self._folder = folder
        self._most = most
        self._lock: int | None = None
        self._segment: Path | None = None
        self._began = 0.0
        self._numbers: dict[SampleOwner, int] = {}

    def append(self, tick: ArchiveTick) -> bool:
        """Writes one tick; false if another memtop writes here.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        if not self._locked():
            return False
        segment = self._segment_for(tick.time)
        known = len(self._numbers)
        pods = dict(zip(tick.owners, tick.pods, strict=False))
        numbers = np.array([self._numbers.setdefault(one, len(self._numbers)) for one in tick.owners], "<u4")
        new = list(self._numbers)[known:]
        block = _ArchiveBlock(
            tick.time,
            [(whose.uid, whose.container) for whose in new],
            numbers.tobytes(),
            np.clip((tick.times - tick.time) * 10, -32768, 32767).astype("<i2").tobytes(),
            tick.values.astype("<f4").tobytes(),
            [(int(numbers[index]), at, oom) for index, at, oom in tick.ends],
            [pods[whose] for whose in new] if len(pods) == len(tick.owners) else [],
        )
        body = zlib.compress(_ENCODER.encode(block), 1)
        try:
            with os.fdopen(open_own(segment), "ab") as stream:
                stream.write(_BLOCK_HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body)
        except OSError:
            self._segment = None  # its end may be torn
            raise
        return True

    def close(self) -> None:
        """Lets another memtop write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._segment = None

    def _locked(self) -> bool:
        if self._lock is not None:
            if self._still_there(self._lock):
                return True
            self.close()  # the folder was deleted, and perhaps made anew: what is locked is not in it
        private_folder(self._folder)
        lock = open_own(self._folder / "lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # held by another, or a file system without locks: better not to write than to mix
            os.close(lock)
            return False
        self._lock = lock
        return True

    def _still_there(self, lock: int) -> bool:
        """Whether the file that is locked is the one that others find in the folder."""
        try:
            return os.path.samestat(os.fstat(lock), (self._folder / "lock").stat())
        except FileNotFoundError:
            return False

    def _segment_for(self, moment: float) -> Path:
        segment = self._segment
        if (
            segment is not None
            and segment.exists()
            and moment - self._began < SEGMENT_SECONDS
            and segment.stat().st_size < min(SEGMENT_BYTES, self._most // 8)
        ):
            return segment
        self._make_room()
        self._numbers.clear()
        self._began = moment
        stem = f"{int(moment):012d}"
        taken = {path.name for path in self._folder.glob(f"*{_SUFFIX}")}
        name = next(name for n in range(10_000) if (name := f"{stem}-{n:04d}{_SUFFIX}") not in taken)
        self._segment = self._folder / name
        os.close(open_new(self._segment))
        return self._segment

    def _make_room(self) -> None:
        """Deletes what is too old, of other clusters too, then the oldest, until another segment fits."""
        segments = _segments(self._folder)
        sizes = [segment.stat().st_size for segment in segments]
        room = self._most - min(SEGMENT_BYTES, self._most // 8)
        for index, segment in enumerate(segments):
            too_old = segment.stat().st_mtime < time.time() - MAX_AGE_SECONDS
            if too_old or sum(sizes[index:]) > room:
                segment.unlink(missing_ok=True)
        for folder in self._folder.parent.iterdir():
            for segment in _segments(folder) if folder != self._folder else ():
                if segment.stat().st_mtime < time.time() - MAX_AGE_SECONDS:
                    segment.unlink(missing_ok=True)


def read_archive(
    folder: Path, wanted: Sequence[SampleOwner], since: float
) -> dict[SampleOwner, ArchivedSamples]:
    """What is kept of some containers. Blocks.

    Args:
        folder: The cluster's.
        wanted: The containers.
        since: Nothing older, Unix seconds.

    Returns:
        Those of which there is anything, each with its samples in order of time.
    """
    place = {whose: index for index, whose in enumerate(wanted)}
    owners: list[npt.NDArray[np.intp]] = []
    times: list[Floats] = []
    values: list[Floats] = []
    ends: list[tuple[int, float, bool]] = []
    segments = _segments(folder)
    for segment, successor in zip_longest(segments, segments[1:]):
        if successor is not None and successor.name < f"{int(since):012d}":
            continue  # all of it is older than its successor's beginning
        try:
            raw = read_file(segment, MAX_SEGMENT_BYTES)
        except OSError:
            continue  # deleted by the writer meanwhile, or not a segment of ours
        owner_of = np.empty(0, np.intp)
        for block in _blocks(raw):
            names = [place.get(SampleOwner(*name), -1) for name in block.names]
            owner_of = np.concatenate((owner_of, np.array(names, np.intp)))
            if not since <= block.time < math.inf:
                continue
            try:
                owner = owner_of[np.frombuffer(block.numbers, "<u4")].astype(np.intp)
                found = owner >= 0
                time_ = block.time + np.frombuffer(block.offsets, "<i2")[found] / 10.0
                value = np.frombuffer(block.values, "<f4")[found].astype(np.float64)
                ended = [(int(owner_of[number]), at, oom) for number, at, oom in block.ends]
            except (ValueError, IndexError, OverflowError):
                break  # the block is whole and makes no sense; so will those after it
            owners.append(owner[found])
            times.append(time_)
            values.append(value)
            ends += ended
    if not owners:
        return {}
    owner, time_, value = np.concatenate(owners), np.concatenate(times), np.concatenate(values)
    order = np.lexsort((time_, owner))
    owner, time_, value = owner[order], time_[order], value[order]
    kept: dict[SampleOwner, ArchivedSamples] = {}
    for whose, index in place.items():
        first, last = np.searchsorted(owner, [index, index + 1])
        if first < last:
            kept[whose] = ArchivedSamples(
                time_[first:last],
                value[first:last],
                _end_times(ends, index, oom=False),
                _end_times(ends, index, oom=True),
            )
    return kept


def archived_pods(folder: Path, namespace: str, since: float) -> dict[SampleOwner, str]:
    """The names of the pods of one namespace of which samples are kept, dead ones too. Blocks.

    Args:
        folder: The cluster's.
        namespace: Theirs.
        since: Nothing older, Unix seconds.
    """
    found: dict[SampleOwner, str] = {}
    segments = _segments(folder)
    for segment, successor in zip_longest(segments, segments[1:]):
        if successor is not None and successor.name < f"{int(since):012d}":
            continue
        try:
            raw = read_file(segment, MAX_SEGMENT_BYTES)
        except OSError:
            continue  # deleted by the writer meanwhile, or not a segment of ours
        for block in _blocks(raw):
            for name, (there, pod) in zip(block.names, block.pods, strict=False):
                if there == namespace:
                    found[SampleOwner(*name)] = pod
    return found


def _end_times(ends: Sequence[tuple[int, float, bool]], index: int, *, oom: bool) -> Floats:
    found = sorted({at for owner, at, is_oom in ends if owner == index and is_oom is oom})
    return np.array(found) if found else no_times()


def _segments(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []


def _blocks(raw: bytes) -> Iterator[_ArchiveBlock]:
    """The whole blocks of a segment; what follows a broken one cannot be told from noise."""
    at = 0
    while at + _BLOCK_HEAD.size <= len(raw):
        magic, length, checksum = _BLOCK_HEAD.unpack_from(raw, at)
        body = raw[at + _BLOCK_HEAD.size : at + _BLOCK_HEAD.size + length]
        if magic != _MAGIC or len(body) < length or zlib.crc32(body) != checksum:
            return
        try:
            yield _DECODER.decode(zlib.decompressobj().decompress(body, MAX_SEGMENT_BYTES))
        except (zlib.error, *JSON_ERRORS):
            return
        at += _BLOCK_HEAD.size + length
