"""Opens a heap file and recognises by its content what it is; the name does not matter."""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from pathlib import Path
from typing import BinaryIO, Final

from memtop.heap_files.heap_contents import HeapContents, HeapFileError
from memtop.heap_files.hprof import HPROF_MAGIC, read_hprof
from memtop.heap_files.hprof_paths import add_paths
from memtop.heap_files.pprof import MOST_PROFILE_BYTES, looks_like_profile, read_profile
from memtop.heap_files.text_reports import (
    HISTOGRAM_HEAD,
    PYTHON_COUNTS_MARK,
    looks_like_memory_map,
    looks_like_tracemalloc,
    read_class_histogram,
    read_memory_map,
    read_memray_stats,
    read_object_counts,
    read_tracemalloc,
)
from memtop.heap_files.v8_snapshot import read_v8_snapshot
from memtop.sanitize import sanitize

_HEAD_BYTES = 4096
MOST_TEXT_BYTES = 64 << 20
"""Bytes of a report in text: a class histogram of 30,000 classes is 3 MiB, a memory map of 60,000 mappings
40 MiB."""
_GZIP = b"\x1f\x8b"
_FOREIGN: Final = {
    b"\x80": "it is a pickle, as tracemalloc's snapshots are: memtop opens none, since that would run what "
    "its author put into it; have the program print snapshot.statistics('lineno') instead",
    b"\x7fELF": "it is a core dump or a program: gdb reads those",
    b"MDMP": "it is a minidump: dotnet-dump reads those",
    b"\x04\x22\x4d\x18": "it is compressed with LZ4, as memray's recordings are: `memray stats --json` makes "
    "of those what memtop reads",
    b"memray": "it is memray's own recording: `memray stats --json` makes of it what memtop reads",
    b"Nettrace": "it is a gcdump of .NET: `dotnet-gcdump report` reads those",
    b"\x08\x00\x00\x00!FastSer": "it is a gcdump of .NET: `dotnet-gcdump report` reads those",
}
"""How files begin that memtop does not read, and what to do with them."""


def read_heap_file(path: Path, *, paths: bool = True) -> HeapContents:
    """Reads a heap file. Blocks: a gigabyte takes ten seconds.

    Args:
        path: Where it is.
        paths: Whether to find out what keeps the largest types, where the format can tell.

    Raises:
        HeapFileError: It is none, not a whole one, or cannot be read; one sentence that names it.
    """
    shown = sanitize(str(path))
    try:
        _require_file(path)
        with path.open("rb") as file:
            return read_heap(file, paths=paths)
    except HeapFileError as error:
        raise HeapFileError(f"{shown}: {error}") from error
    except io.UnsupportedOperation:
        raise HeapFileError(f"{shown}: it is no file on a disk, and a pipe cannot be read twice") from None
    except OSError as error:
        raise HeapFileError(f"{shown}: {error.strerror or error}") from error
    except MemoryError:
        raise HeapFileError(f"{shown}: it takes more memory than there is") from None


def _require_file(path: Path) -> None:
    """Opening a pipe would wait for somebody who writes into it."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise io.UnsupportedOperation


def read_heap(file: BinaryIO, *, paths: bool = True) -> HeapContents:
    """Reads a heap file that is open; see `read_heap_file`.

    Raises:
        HeapFileError: It is none, or not a whole one; the sentence does not name it.
        OSError: It cannot be read.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(_GZIP):
        try:
            with gzip.open(file) as content:
                return _read(content, content.read(_HEAD_BYTES), paths=paths)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise HeapFileError("its compression is damaged, or it is cut short") from None
    return _read(file, head, paths=paths)


def _read(file: BinaryIO | gzip.GzipFile, head: bytes, *, paths: bool) -> HeapContents:
    file.seek(0)
    stream: BinaryIO = file  # type: ignore[assignment]  # GzipFile reads and seeks as a file does
    if not head:
        raise HeapFileError("it is empty")
    if head.startswith(HPROF_MAGIC):
        summary, reader = read_hprof(stream)
        return add_paths(stream, summary, reader) if paths else summary
    for mark, words in _FOREIGN.items():
        if head.startswith(mark):
            raise HeapFileError(words)
    start = head.lstrip()
    if start.startswith(b"{"):
        if b'"snapshot"' in start[:200]:
            return read_v8_snapshot(stream, paths=paths)
        if b'"total_num_allocations"' in start:
            return read_memray_stats(_all_of(stream, MOST_TEXT_BYTES))
        raise HeapFileError("it is JSON, but neither a heap snapshot of V8 nor statistics of memray")
    text = head.decode("utf-8", "replace")
    if HISTOGRAM_HEAD.search(text):
        return read_class_histogram(_text_of(stream))
    if text.startswith(PYTHON_COUNTS_MARK):
        return read_object_counts(_text_of(stream))
    if looks_like_memory_map(text):
        return read_memory_map(_text_of(stream))
    if looks_like_tracemalloc(text):
        return read_tracemalloc(_text_of(stream))
    if looks_like_profile(head) and not _is_text(head):
        return read_profile(_all_of(stream, MOST_PROFILE_BYTES))
    raise HeapFileError(
        "it is no heap file that memtop knows: those are heap dumps (hprof) and class histograms of the JVM, "
        "heap snapshots of V8, profiles of Go (pprof), statistics of memray and tracemalloc, and memory maps"
    )


def _is_text(head: bytes) -> bool:
    """Whether there are no control characters but those that texts have."""
    return not any(byte < 32 and byte not in b"\t\n\r\f" for byte in head)


def _all_of(file: BinaryIO, most: int) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise HeapFileError(f"it is larger than such a file can sensibly be ({most >> 20} MiB)")
    return data


def _text_of(file: BinaryIO) -> str:
    return _all_of(file, MOST_TEXT_BYTES).decode("utf-8", "replace")
