"""Memory after some changes of context: each gives memtop a new engine with a new store.

    python benchmarks/context_switches.py [--pods 5000] [--switches 6]

The engine is stopped and made anew as the app does it. The embedded cluster runs in another process.
RSS is read when all pods have been listed and judged once.
"""

from __future__ import annotations

import argparse
import os
import queue
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from figures import machine, mib

from config import settings_from
from memtop.demo.child_process import DemoChild, DemoOptions
from memtop.observe.engine import Engine
from memtop.observe.frame import Frame
from memtop.observe.watchlist import make_watchlist

PATIENCE = 120.0
NEARLY_ALL = 0.99
"""Of the pods: some are always on their way."""
SETTLED = 10.0
"""Seconds in which the metrics come and are judged."""


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def observe(kubeconfig: str, pods: int, environ: Mapping[str, str]) -> int:
    """Observes the cluster until all is known, and ends; returns what was in memory before the end."""
    settings = settings_from({"cluster": {"kubeconfig": kubeconfig}, "observe": {"keep_history": False}})
    frames: queue.Queue[Frame] = queue.Queue()
    crashes: list[BaseException] = []
    engine = Engine(make_watchlist(settings, environ), frames.put, crashes.append)
    engine.start()
    until, settled = time.monotonic() + PATIENCE, None
    while settled is None or time.monotonic() < settled:
        frame = frames.get(timeout=PATIENCE)
        if settled is None and frame.counts.pods >= NEARLY_ALL * pods:
            settled = time.monotonic() + SETTLED
        if crashes or time.monotonic() > until:
            raise SystemExit(f"{frame.counts.pods} of {pods} pods were seen: {crashes}")
    found = resident()
    engine.stop()
    return found


def main() -> None:
    """Prints RSS at each context."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--switches", type=int, default=6)
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, DemoChild(DemoOptions(pods=asked.pods)) as demo:
        environ = dict.fromkeys(("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"), folder)
        kubeconfig = str(demo.wait())
        for number in range(asked.switches + 1):
            print(f"after {number} changes: {mib(observe(kubeconfig, asked.pods, environ))}", flush=True)


if __name__ == "__main__":
    main()
