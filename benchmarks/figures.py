"""How the benchmarks say their figures."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path


def machine() -> str:
    """The machine, the Python, and how busy it is with other things: a figure means nothing without."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    model = models[0] if models else platform.machine()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"# {cores} cores of {model}, Python {platform.python_version()}, load {load:.2f}"


def milliseconds(seconds: float) -> str:
    """A time as milliseconds."""
    return f"{seconds * 1000:.0f} ms"


def seconds(value: float) -> str:
    """A time as seconds."""
    return f"{value:.2f} s"


def mib(size: float) -> str:
    """A size as MiB."""
    return f"{size / (1 << 20):.0f} MiB"


def kib(size: float) -> str:
    """A size as KiB."""
    return f"{size / 1024:.2f} KiB"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def spread(values: Sequence[float], words: Callable[[float], str]) -> str:
    """Median, least and most."""
    least, most = words(min(values)), words(max(values))
    return f"{words(statistics.median(values))} (from {least} to {most}, n={len(values)})"
