"""Which tool opens what was captured."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

_KINDS = {
    ".hprof": (
        "Eclipse MAT",
        "ParseHeapDump.sh {0} org.eclipse.mat.api:suspects",
        "open it in the Memory Analyzer and begin with the Leak Suspects report; VisualVM opens it too",
    ),
    ".heapsnapshot": (
        "Chrome DevTools",
        "",
        "chrome://inspect → Open dedicated DevTools for Node → Memory → Load; compare two snapshots that "
        "were taken some minutes apart",
    ),
    ".pb.gz": (
        "go tool pprof",
        "go tool pprof -http=127.0.0.1:0 {0}",
        "-sample_index=inuse_space shows what is held; -base=EARLIER what was added since",
    ),
    ".gcdump": (
        "PerfView or Visual Studio",
        "dotnet-gcdump report {0}",
        "dotnet-gcdump report lists the types by size",
    ),
    ".dmp": (
        "dotnet-dump",
        "dotnet-dump analyze {0}",
        "then: dumpheap -stat, and gcroot on an object of the largest type",
    ),
    ".core": ("gdb", "gdb PROGRAM {0}", "with the very program and libraries of the image"),
    ".txt": ("any pager", "less {0}", ""),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """A tool.

    Attributes:
        name: What it is called.
        command: How it is started on the file; empty where that takes a mouse.
        note: What to look at first.
    """

    name: str
    command: str
    note: str


def viewer(path: Path) -> Viewer:
    """The tool for a captured file, by its suffix."""
    for suffix, (name, command, note) in _KINDS.items():
        if path.name.endswith(suffix):
            return Viewer(name, command.format(shlex.quote(str(path))), note)
    return Viewer("any pager", f"less {shlex.quote(str(path))}", "")
