"""Noticing that the parent process has died, where the system can be told to say so."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


PARENT_DIED = signal.SIGUSR1
"""The signal sent then. It also comes when only the thread that started us ends: look at `getppid`."""


def watch_parent() -> None:
    """Have the kernel send `PARENT_DIED` here when the parent dies (on Linux; elsewhere do nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(PARENT_DIED))
