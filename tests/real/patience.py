"""How long the tests against real servers wait for what has to come, and how."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds that anything is waited for: a slow start, a long back-off, metrics that come late.

No test takes so long that passes: it goes on as soon as there is what it waits for.
"""


def eventually(asked: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Asks again and again until the answer is a true one, and returns it."""
    deadline = time.monotonic() + patience
    while not (answer := asked()):
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
        time.sleep(0.5)
    return answer
