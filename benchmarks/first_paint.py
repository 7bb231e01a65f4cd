"""Start to first paint, beside the least that Textual can do; and the CPU of ``memtop --version``.

    python benchmarks/first_paint.py [--pairs 15]

Both programs run in a pseudo-terminal of 120×36 and are timed from their start to the moment their text is on
screen, in turns, so that whatever else the machine does meets both. memtop watches a small demo cluster. The
very first start with given settings, which checks them, is printed too: later ones find them checked.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from figures import machine, milliseconds, spread
from installed import installed_memtop
from terminal import Terminal

from memtop.demo.child_process import DemoChild

HERE = Path(__file__).parent
MEMTOP = installed_memtop()


def painted(command: Sequence[str], words: str, cache: str) -> tuple[float, float]:
    """Seconds until the words are on screen, and the seconds of CPU spent until then.

    Args:
        command: The program.
        words: What to wait for.
        cache: The cache folder, which stays from one start to the next as a user's does.
    """
    with Terminal(command, width=120, height=36, environ={"XDG_CACHE_HOME": cache}) as terminal:
        at = terminal.until(lambda screen: words in screen.text())
        return at - terminal.started, terminal.usage().cpu


def cpu(command: Sequence[str]) -> float:
    """Seconds of CPU of a program that ends by itself."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=15, help="runs of each program")
    pairs = parser.parse_args().pairs
    print(machine())
    with DemoChild() as demo, tempfile.TemporaryDirectory() as cache:
        ours = [MEMTOP, "--kubeconfig", str(demo.wait()), "--no-prometheus"]
        floor = [sys.executable, str(HERE / "one_widget.py")]
        painted(floor, "one widget", cache)  # compiled and in the page cache from here on
        with tempfile.TemporaryDirectory() as another:
            painted(ours, "Top memory", another)
        first, _ = painted(ours, "Top memory", cache)
        runs = [
            (painted(ours, "Top memory", cache), painted(floor, "one widget", cache)) for _ in range(pairs)
        ]
    memtop, widget = ([run[side][0] for run in runs] for side in (0, 1))
    memtop_cpu, widget_cpu = ([run[side][1] for run in runs] for side in (0, 1))
    ratios = [mine / least for mine, least in zip(memtop, widget, strict=True)]
    print(f"first paint, one widget   {spread(widget, milliseconds)}, CPU {spread(widget_cpu, milliseconds)}")
    print(f"first paint, memtop       {spread(memtop, milliseconds)}, CPU {spread(memtop_cpu, milliseconds)}")
    print(f"  the first start with these settings {milliseconds(first)}")
    print(f"ratio, median of pairs    {statistics.median(ratios):.2f} (budget 1.5)")
    with tempfile.TemporaryDirectory() as cache:
        embedded = [MEMTOP, "--demo"]
        painted(embedded, "Top memory", cache)
        demo_runs = [painted(embedded, "Top memory", cache)[0] for _ in range(pairs)]
    shares = [mine / least for mine, least in zip(demo_runs, widget, strict=True)]
    print(f"first paint, memtop --demo {spread(demo_runs, milliseconds)}")
    print(f"ratio, median of pairs    {statistics.median(shares):.2f} (budget 1.5)")
    version = [cpu([MEMTOP, "--version"]) for _ in range(pairs)]
    print(f"memtop --version, CPU     {spread(version, milliseconds)} (budget 150 ms)")


if __name__ == "__main__":
    main()
