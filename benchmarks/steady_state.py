"""memtop in its steady state on a large, busy cluster: CPU, memory, bytes to the terminal, key to repaint.

    python benchmarks/steady_state.py [--pods 10000] [--minutes 5] [--keys 150]

The embedded cluster has two-container pods, 50 of which change a second, and new metrics every 15 s; memtop
runs in a terminal of 180×50. Keys are pressed while all that goes on, at the large cluster and at one of 100
pods. Memory after an hour is measured on a cluster whose hour takes four minutes, with the same number of
samples (``--skip-hour`` leaves it out).
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import kib, machine, mib, milliseconds, percentile
from first_frame import containers
from installed import installed_memtop
from terminal import Screen, Terminal

from memtop.demo.child_process import DemoChild, DemoOptions

MEMTOP = installed_memtop()
HURRIED = Path(__file__).with_name("hurried.py")
WIDTH, HEIGHT = 180, 50
CHURN = 50.0
FAST = 15.0
"""At this speed an hour takes four minutes, and the 15 s between two readings of the metrics one second."""


@contextlib.contextmanager
def observed(pods: int, *, speed: float = 1.0, churn: float = CHURN) -> Iterator[Terminal]:
    """Runs memtop on a cluster; it shows all of it and has settled."""
    options = DemoOptions(pods=pods, containers=2, churn=churn, speed=speed)
    with DemoChild(options) as demo:
        path = str(demo.wait())
        command = [MEMTOP, "-A", "--kubeconfig", path, "--no-prometheus"]
        if speed != 1.0:
            command = [sys.executable, str(HURRIED), path, f"{speed:g}"]
        with Terminal(command, width=WIDTH, height=HEIGHT) as terminal:
            terminal.until(lambda screen: containers(screen) >= pods, timeout=60 + pods / 100)
            terminal.run(20)
            yield terminal


def steady(terminal: Terminal, minutes: float) -> None:
    """Watches for so long and prints what it took."""
    before, received = terminal.usage(), terminal.received
    terminal.run(minutes * 60)
    after = terminal.usage()
    share = (after.cpu - before.cpu) / (minutes * 60)
    rate = (terminal.received - received) / (minutes * 60)
    print(f"CPU                      {share:.1%} of one core over {minutes:g} min (budget 10 %)")
    print(f"memory                   {mib(after.rss)} now, {mib(after.peak)} at most")
    print(f"bytes to the terminal    {kib(rate)}/s (budget 1 KiB/s)")


def whole_repaint(terminal: Terminal) -> None:
    """Prints how much a repaint of everything is: what follows a change of the terminal's size."""
    terminal.resize(WIDTH, HEIGHT - 2)
    terminal.run(1)
    terminal.resize(WIDTH, HEIGHT)
    terminal.run(0.5)
    updates = [size for size in terminal.screen.updates if size > 1000]
    print(
        f"whole repaint            {kib(max(updates))} (budget 40 KiB; {len(updates)} after a change of size)"
    )


def cursor_row(screen: Screen) -> int:
    """The line on which the first pane's cursor is: its background differs from those around it."""
    backgrounds = [screen.background(2, y) for y in range(4, 14)]
    usual = statistics.mode(backgrounds)
    return next((y for y, background in enumerate(backgrounds, 4) if background != usual), -1)


def key_presses(terminal: Terminal) -> Iterator[tuple[str, Callable[[Screen], bool]]]:
    """Keys one after another, each with what shows that it was obeyed."""
    draw = random.Random(1)
    while True:
        row = cursor_row(terminal.screen)
        if row < 12:
            yield "j", lambda screen, row=row: cursor_row(screen) != row
        else:
            yield "g", lambda screen: cursor_row(screen) == 4
        frozen = "frozen" in terminal.screen.text()
        if draw.random() < 0.3:
            yield " ", lambda screen, frozen=frozen: ("frozen" in screen.text()) != frozen


def keys(terminal: Terminal, count: int) -> list[float]:
    """Presses keys at uneven intervals; returns how long each took to be seen, in seconds."""
    pause = random.Random(2)
    waits: list[float] = []
    terminal.send("g")  # the cursor may rest further down, on the most urgent row
    terminal.run(1)
    for key, done in key_presses(terminal):
        terminal.run(pause.uniform(0.15, 0.5))
        sent = terminal.send(key)
        waits.append(terminal.until(done, timeout=10) - sent)
        if len(waits) == count:
            return waits
    return waits


def print_keys(pods: int, waits: list[float]) -> None:
    """Prints the distribution."""
    p50, p95 = (milliseconds(percentile(waits, share)) for share in (0.5, 0.95))
    said = f"p50 {p50}, p95 {p95}, most {milliseconds(max(waits))} (n={len(waits)})"
    print(f"key to repaint           {said} at {pods:,} pods")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--keys", type=int, default=150)
    parser.add_argument("--skip-hour", action="store_true", help="leave out memory after an hour of history")
    arguments = parser.parse_args()
    print(machine())
    with observed(arguments.pods) as terminal:
        steady(terminal, arguments.minutes)
        whole_repaint(terminal)
        large = keys(terminal, arguments.keys)
        print_keys(arguments.pods, large)
    with observed(100) as terminal:
        small = keys(terminal, arguments.keys)
        print_keys(100, small)
    ratio = percentile(large, 0.95) / percentile(small, 0.95)
    print(f"ratio of the p95         {ratio:.2f} (budget p95 50 ms, ratio 1)")
    if not arguments.skip_hour:
        with observed(arguments.pods, speed=FAST) as terminal:
            terminal.run(3600 / FAST + 10)
            used = terminal.usage()
            print(f"memory after an hour     {mib(used.rss)} now, {mib(used.peak)} at most (budget 200 MiB)")


if __name__ == "__main__":
    main()
