"""Work beside the event loop and the screen: threads for blocking calls, short portions for long work.

Also here: how the memory of large lists goes back to the system, and how the garbage collector is kept from
stopping every thread.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def run_in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs something that blocks on a thread of its own and waits for its result.

    Unlike `asyncio.to_thread`, whose threads are joined when the loop closes and when Python exits: a server
    that does not answer must not hold up whoever wants to quit. Cancelled, it leaves the work to end by
    itself.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()

    def tell(result: R | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only if R is

    def run() -> None:
        result: R | None = None
        failure: BaseException | None = None
        try:
            result = work(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  (it is raised where the result is waited for)
            failure = error
        try:
            loop.call_soon_threadsafe(tell, result, failure)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=run, name=f"memtop-{getattr(work, '__name__', 'aside')}", daemon=True).start()
    return await done


JUDGING_SHARE = 0.25
"""Part of one core that judging may take while many containers are due."""


async def run_throttled(work: Callable[[], bool]) -> int:
    """Does all there is to do, at most `JUDGING_SHARE` of the time: the UI needs the interpreter too.

    Args:
        work: Does the next bit; false if there was none.

    Returns:
        How many bits there were.
    """
    bits = 0
    started = time.monotonic()
    while work():
        bits += 1
        await asyncio.sleep((time.monotonic() - started) * (1 / JUDGING_SHARE - 1))
        started = time.monotonic()
    return bits


_MMAP_THRESHOLD = -3
"""Of mallopt(3)."""
_MMAP_BYTES = 128 * 1024


class _MallocTrim(Protocol):
    def __call__(self, pad: int) -> int: ...


def map_large_buffers() -> None:
    """Has glibc map each large buffer by itself, so that it goes back to the system when it is freed.

    By default it stops doing so once a larger one has been freed (mallopt(3), ``M_MMAP_THRESHOLD``): after
    one list of 60 MB every buffer comes from the heap and leaves holes there, 20 MB of them at 10,000 pods.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)


def release_memory() -> None:
    """Returns to the system what the C library keeps of memory that has been freed.

    A list of 10,000 pods passes through some 100 MB that glibc would keep for later; a monitor that runs for
    days beside other programs has no later. Does nothing with another C library. Takes a few milliseconds.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def freeze_collector() -> None:
    """Has the garbage collector not look at what is there now, until `unfreeze_collector`.

    For when a large list has been taken in, of which next to nothing is garbage: a collection over 10,000
    pods stops every thread, the screen's too, for 60 ms. What was observed before is collected first, since
    nothing would ever look at it again.
    """
    if _unfrozen.is_set():
        _unfrozen.clear()
        gc.collect()
    gc.freeze()


def unfreeze_collector() -> None:
    """Has the collector look at everything again: what was observed becomes garbage."""
    gc.unfreeze()
    _unfrozen.set()


_unfrozen = threading.Event()
"""Whether something that was spared has become garbage, or soon will."""


@cache
def _malloc_trim() -> _MallocTrim | None:
    try:
        found: _MallocTrim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return found
