"""``memtop heap …``: heap files from anywhere, summed up and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from memtop.heap_files.heap_contents import HeapFileError
from memtop.heap_files.heap_growth import compare_heaps
from memtop.heap_files.heap_reader import read_heap_file
from memtop.heap_files.heap_tables import growth_text, summary_text

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
