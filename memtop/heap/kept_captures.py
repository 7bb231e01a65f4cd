"""Heap captures that are kept on this machine: where, under which names, and how they are removed.

A heap holds what its process knows, so the folder and its files are for their owner alone.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.private_files import private_folder
from config.sources import state_folder
from memtop.kube.container_exec import ContainerRef

CAPTURE_SUFFIXES: Mapping[str, str] = {
    "-histogram.txt": "class histogram",
    "-smaps.txt": "memory map",
    "-stacks.txt": "stacks",
    "-objects.txt": "object counts",
    "-goroutines.pb.gz": "goroutine profile",
    ".hprof": "heap dump",
    ".heapsnapshot": "heap snapshot",
    ".pb.gz": "heap profile",
    ".gcdump": "object graph",
    ".dmp": "heap dump",
    ".core": "core dump",
    ".part": "unfinished",
}
"""What a file is, by how its name ends; the longer ends come first."""
_NAME = re.compile(
    r"(?P<namespace>[a-z0-9.-]{1,63})_(?P<pod>[a-z0-9.-]{1,253})_(?P<container>[a-z0-9.-]{1,63})_"
    r"(?P<stamp>\d{8}-\d{6}(?:-\d{1,9})?)(?P<suffix>[-.].+)"
)


class NoSuchCaptureError(Exception):
    """There is no such capture, or it cannot be removed; one sentence."""


@dataclass(frozen=True, slots=True)
class KeptCapture:
    """A capture on this machine.

    Attributes:
        path: The file.
        namespace: Of the pod.
        pod: Of which pod.
        container: Of which container.
        suffix: How its name ends, which says what it is.
        size: Bytes.
        taken: When, Unix seconds.
    """

    path: Path
    namespace: str
    pod: str
    container: str
    suffix: str
    size: int
    taken: float

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return next(
            (words for end, words in CAPTURE_SUFFIXES.items() if self.path.name.endswith(end)), "file"
        )


def captures_folder(environ: Mapping[str, str]) -> Path:
    """Where captures are kept; it is made where it is not there.

    Args:
        environ: The environment; ``XDG_STATE_HOME`` counts.

    Raises:
        OSError: It cannot be made.
    """
    folder = state_folder(environ) / "heap"
    private_folder(folder)
    return folder


def capture_places(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where captures may be: where they are kept, and where they were written in earlier versions."""
    return (state_folder(environ) / "heap", Path.cwd(), Path.home())


def capture_name(place: ContainerRef, stamp: str, suffix: str) -> str:
    """The name of a capture's file; no part of it can hold the ``_`` that is between them."""
    return f"{place.namespace}_{place.pod}_{place.container}_{stamp}{suffix}"


def kept_captures(folder: Path) -> tuple[KeptCapture, ...]:
    """The captures in a folder, the newest first; anything else in it is left out.

    Raises:
        OSError: It cannot be read.
    """
    found = []
    if folder.is_dir():
        for path in folder.iterdir():
            name = _NAME.fullmatch(path.name)
            status = path.lstat()
            if name is not None and stat.S_ISREG(status.st_mode):
                found.append(
                    KeptCapture(
                        path,
                        name["namespace"],
                        name["pod"],
                        name["container"],
                        name["suffix"],
                        status.st_size,
                        status.st_mtime,
                    )
                )
    return tuple(sorted(found, key=lambda one: (-one.taken, one.path.name)))


def remove_capture(folder: Path, name: str) -> KeptCapture:
    """Deletes a capture.

    Args:
        folder: Where captures are kept.
        name: Its file's name; a path to it will do.

    Raises:
        NoSuchCaptureError: There is none of that name, or it cannot be deleted.
    """
    wanted = Path(name).name
    try:
        for one in kept_captures(folder):
            if one.path.name == wanted and Path(name).parent in (Path(), folder):
                one.path.unlink()
                return one
    except OSError as error:
        raise NoSuchCaptureError(f"{name}: {error.strerror or error}") from error
    raise NoSuchCaptureError(f"there is no capture named {name!r} in {folder}")


def earlier_captures(
    captures: tuple[KeptCapture, ...], place: ContainerRef, suffix: str
) -> tuple[KeptCapture, ...]:
    """The captures of a kind that can be the first of two: of this pod, else of a pod like it.

    Pods of one workload have names that begin alike: ``NAME-`` and a hash, or a number.
    """
    fitting = [
        one
        for one in captures
        if (one.namespace, one.container, one.suffix) == (place.namespace, place.container, suffix)
    ]
    own = tuple(one for one in fitting if one.pod == place.pod)
    family = place.pod.rsplit("-", 2 if place.pod.count("-") > 1 else 1)[0]
    others = (one for one in fitting if one.pod != place.pod and one.pod.startswith(f"{family}-"))
    return (*own, *others)
