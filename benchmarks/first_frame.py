"""Start to first full frame on a large cluster, beside ``kubectl get pods -A``: time, CPU and memory.

    python benchmarks/first_frame.py [--pods 10000] [--pairs 5] [--demo]

Fills the test cluster with two-container pods (see populate.py), runs both programs in turns, and empties it
again. A full frame shows all containers, as kubectl's output does; when their memory follows depends on the
metrics server, and is said separately. With ``--demo`` the embedded cluster is asked instead of a real one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from figures import machine, mib, milliseconds, seconds, spread
from installed import installed_memtop
from populate import cluster_kubeconfig, down, up
from terminal import Screen, Terminal

from memtop.demo.child_process import DemoChild, DemoOptions
from memtop.kube import kubeconfig
from memtop.kube.client import Client

MEMTOP = installed_memtop()
_CONTAINERS = re.compile(r"Top memory.*?([\d,]+) containers")
_METRICS_KNOWN = re.compile(r"[^◌] metrics ")


@dataclass(frozen=True)
class Run:
    """One run of a program.

    Attributes:
        something: Seconds until the first pods could be read.
        full: Seconds until all of them could.
        measured: Seconds until memtop had metrics as well.
        cpu: Seconds of CPU until then.
        peak: The most bytes it had in memory until then.
    """

    something: float
    full: float
    measured: float
    cpu: float
    peak: int


def containers(screen: Screen) -> int:
    """How many containers memtop says it shows."""
    found = _CONTAINERS.search(screen.text())
    return int(found[1].replace(",", "")) if found else 0


def memtop(kubeconfig_path: str, least: int) -> Run:
    """Runs memtop until it shows so many containers."""
    command = [MEMTOP, "-A", "--kubeconfig", kubeconfig_path, "--no-prometheus"]
    with Terminal(command) as terminal:
        something = terminal.until(lambda screen: containers(screen) > 0)
        full = terminal.until(lambda screen: containers(screen) >= least)
        used = terminal.usage()
        measured = terminal.until(lambda screen: bool(_METRICS_KNOWN.search(screen.text())))
        began = terminal.started
        return Run(something - began, full - began, max(full, measured) - began, used.cpu, used.peak)


def kubectl(kubeconfig_path: str, least: int) -> Run:
    """Runs ``kubectl get pods -A`` to its end."""
    command = ["kubectl", "--kubeconfig", kubeconfig_path, "get", "pods", "-A"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = len(process.stdout.readline())
        something = time.perf_counter() - began
        lines = process.stdout.read().count(b"\n")
        _, code, used = os.wait4(process.pid, 0)
        process.returncode = code
    if not first or lines * 2 < least:
        raise RuntimeError(f"kubectl listed {lines} pods")
    full = time.perf_counter() - began
    return Run(something, full, full, used.ru_utime + used.ru_stime, used.ru_maxrss << 10)


def compare(kubeconfig_path: str, pods: int, pairs: int) -> None:
    """Runs both in turns and prints what it took."""
    memtop(kubeconfig_path, pods * 2), kubectl(kubeconfig_path, pods * 2)
    ours, theirs = [], []
    for _ in range(pairs):
        ours.append(memtop(kubeconfig_path, pods * 2))
        theirs.append(kubectl(kubeconfig_path, pods * 2))
    for name, runs in (("kubectl get pods -A", theirs), ("memtop", ours)):
        print(f"{name:20} first pods {spread([run.something for run in runs], milliseconds)}")
        print(f"{'':20} all pods   {spread([run.full for run in runs], milliseconds)}")
        print(f"{'':20} CPU        {spread([run.cpu for run in runs], seconds)}")
        print(f"{'':20} peak       {spread([run.peak for run in runs], mib)}")

    print(f"{'':20} metrics    {spread([run.measured for run in ours], milliseconds)}")

    def ratio(figure: Callable[[Run], float]) -> float:
        return statistics.median(figure(mine) / figure(peer) for mine, peer in zip(ours, theirs, strict=True))

    print(f"ratio, all pods      {ratio(lambda run: run.full):.2f} (budget 0.5)")
    print(f"ratio, CPU           {ratio(lambda run: run.cpu):.2f}")
    print(f"ratio, peak memory   {ratio(lambda run: run.peak):.2f} (budget 1)")


async def _fill(path: str, pods: int) -> None:
    async with Client(kubeconfig.load_target(kubeconfig=path)) as client:
        await up(client, pods)


async def _empty(path: str) -> None:
    async with Client(kubeconfig.load_target(kubeconfig=path)) as client:
        await down(client)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=5, help="runs of each program")
    parser.add_argument("--demo", action="store_true", help="against the embedded cluster")
    arguments = parser.parse_args()
    print(machine())
    if arguments.demo:
        with DemoChild(DemoOptions(pods=arguments.pods, containers=2)) as demo:
            # The demo's own cast has pods of one container.
            compare(str(demo.wait()), arguments.pods - 100, arguments.pairs)
        return
    path = cluster_kubeconfig()
    try:
        asyncio.run(_fill(path, arguments.pods))
        compare(path, arguments.pods, arguments.pairs)
    finally:
        asyncio.run(_empty(path))


if __name__ == "__main__":
    main()
