"""Giving memory back to the system."""

from __future__ import annotations

import ctypes
import gc
import threading
from contextlib import suppress
from functools import cache
from typing import Protocol

_MMAP_THRESHOLD = -3
"""Of mallopt(3)."""
_LARGE = 128 * 1024


class _Trim(Protocol):
    def __call__(self, pad: int) -> int: ...


def map_large_buffers() -> None:
    """Has glibc map each large buffer by itself, so that it goes back to the system when it is freed.

    By default it stops doing so once a larger one has been freed (mallopt(3), ``M_MMAP_THRESHOLD``): after
    one list of 60 MB every buffer comes from the heap and leaves holes there, 20 MB of them at 10,000 pods.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Returns to the system what the C library keeps of memory that has been freed.

    A list of 10,000 pods passes through some 100 MB that glibc would keep for later; a monitor that runs for
    days beside other programs has no later. Does nothing with another C library. Takes a few milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


def spare_collector() -> None:
    """Has the garbage collector not look at what is there now, until `end_sparing`.

    For when a large list has been taken in, of which next to nothing is garbage: a collection over 10,000
    pods stops every thread, the screen's too, for 60 ms. What was observed before is collected first, since
    nothing would ever look at it again.
    """
    if _ended.is_set():
        _ended.clear()
        gc.collect()
    gc.freeze()


def end_sparing() -> None:
    """Has the collector look at everything again: what was observed becomes garbage."""
    gc.unfreeze()
    _ended.set()


_ended = threading.Event()
"""Whether something that was spared has become garbage, or soon will."""


@cache
def _trim() -> _Trim | None:
    try:
        found: _Trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return found
