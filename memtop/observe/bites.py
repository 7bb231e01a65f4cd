"""Long work in small bites, so that whatever else runs on the loop, and the screen, have their turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

JUDGING_SHARE = 0.25
"""Part of one core that judging may take while many containers are due."""


async def in_small_bites(work: Callable[[], bool]) -> int:
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
