"""``memtop heap …``: heap files from anywhere summed up and compared; kept captures listed and removed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import msgspec

from memtop.heap.kept_captures import NoSuchCaptureError, captures_folder, kept_captures, remove_capture
from memtop.heap_files.heap_contents import HeapFileError
from memtop.heap_files.heap_growth import compare_heaps
from memtop.heap_files.heap_reader import read_heap_file
from memtop.heap_files.heap_tables import growth_text, summary_text, text_columns
from memtop.wording import ago, bytes_, counted

if TYPE_CHECKING:
    from config.invocation import Invocation

FAILED = 1


def run_summary(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints what a heap file holds.

    Args:
        invocation: The file is its argument; its options ``output``, ``top`` and ``no_paths``.
        out: Where it goes.
        err: Where failures go.

    Returns:
        0; 1 where the file is no heap file, or no whole one.
    """
    options = invocation.options
    try:
        found = read_heap_file(Path(invocation.arguments[0]), paths=not options["no_paths"])
    except HeapFileError as error:
        print(f"memtop: {error}", file=err)
        return FAILED
    print(summary_text(found, options["top"], options["output"]), file=out)
    return 0


def run_diff(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints what grew from one heap file to another.

    Args:
        invocation: The files are its arguments, the earlier first; its options as for `run_summary`.
        out: Where it goes.
        err: Where failures go.

    Returns:
        0; 1 where one of them is no heap file, or they cannot be compared.
    """
    options = invocation.options
    first, second = (Path(word) for word in invocation.arguments)
    try:
        before = read_heap_file(first, paths=False)
        growth = compare_heaps(before, read_heap_file(second, paths=not options["no_paths"]))
    except HeapFileError as error:
        print(f"memtop: {error}", file=err)
        return FAILED
    print(growth_text(growth, options["top"], options["output"]), file=out)
    return 0


def run_list(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints the captures that are kept, the newest first.

    Args:
        invocation: Its option ``output``.
        out: Where they go.
        err: Where failures go.

    Returns:
        0; 1 where the folder cannot be read.
    """
    try:
        folder = captures_folder(os.environ)
        found = kept_captures(folder)
    except OSError as error:
        print(f"memtop: {error.filename}: {error.strerror}", file=err)
        return FAILED
    if invocation.options["output"] == "json":
        rows = [
            {
                "name": one.path.name,
                "kind": one.kind,
                "namespace": one.namespace,
                "pod": one.pod,
                "container": one.container,
                "size": one.size,
                "taken": round(one.taken),
            }
            for one in found
        ]
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode(), file=out)
        return 0
    if not found:
        print(f"memtop: no capture is kept in {folder}", file=err)
        return 0
    cells = [
        [
            bytes_(one.size),
            ago(time.time() - one.taken),
            one.kind,
            f"{one.namespace}/{one.pod}",
            one.path.name,
        ]
        for one in found
    ]
    for line in text_columns(["SIZE", "TAKEN", "KIND", "POD", "NAME"], cells, 1000):
        print(line, file=out)
    print(
        f"\n{counted(len(found), 'capture')}, {bytes_(sum(one.size for one in found))} in {folder}", file=err
    )
    return 0


def run_remove(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Deletes captures.

    Args:
        invocation: Their names are its arguments; its option ``all``.
        out: Where it is said what was deleted.
        err: Where failures go.

    Returns:
        0; 1 where one of them is not there or cannot be deleted.

    Raises:
        ConfigError: Neither names nor ``--all`` are given, or both.
    """
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    everything = bool(invocation.options["all"])
    if everything == bool(invocation.arguments):
        raise ConfigError(f"command {invocation.command!r} needs the names of captures, or --all")
    code = 0
    try:
        folder = captures_folder(os.environ)
        names = [one.path.name for one in kept_captures(folder)] if everything else invocation.arguments
        for name in names:
            removed = remove_capture(folder, name)
            print(f"removed {removed.path.name} ({bytes_(removed.size)})", file=out)
    except NoSuchCaptureError as error:
        print(f"memtop: {error}", file=err)
        code = FAILED
    except OSError as error:
        print(f"memtop: {error.filename}: {error.strerror}", file=err)
        code = FAILED
    return code
