"""`memtop demo serve`: the embedded cluster by itself, for kubectl or anything else to talk to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from config.private_files import replace_file
from memtop.demo.parent import PARENT_DIED
from memtop.demo.server import DEFAULT_PODS, DEFAULT_SEED, DemoServer


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo is made of; the fields are `DemoServer`'s."""

    pods: int = DEFAULT_PODS
    speed: float = 1.0
    seed: int = DEFAULT_SEED
    churn: float = 0.0
    containers: int = 1


def write_kubeconfig(path: Path, text: str) -> None:
    """Write a kubeconfig that only its owner can read, in one step."""
    replace_file(path, text.encode())


async def serve(
    options: DemoOptions, kubeconfig_path: Path, port: int = 0, *, announce: bool = False
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: what the demo is made of.
        kubeconfig_path: where to write the kubeconfig.
        port: port on loopback; 0 for any.
        announce: say so in one line of JSON on stdout and end when stdin does, for a parent process.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    parent = os.getppid()
    if announce:
        loop.add_signal_handler(PARENT_DIED, lambda: stop.set() if os.getppid() != parent else None)
    server = DemoServer(
        pods=options.pods,
        speed=options.speed,
        seed=options.seed,
        churn=options.churn,
        containers=options.containers,
        port=port,
    )
    async with server:
        write_kubeconfig(kubeconfig_path, server.kubeconfig())
        if announce:
            print(json.dumps({"kubeconfig": str(kubeconfig_path), "url": server.url}), flush=True)
            threading.Thread(target=_wait_for_end, args=(loop, stop), daemon=True).start()
        else:
            print(f"The demo cluster listens on {server.url}. In another terminal:")
            print(f"    export KUBECONFIG={kubeconfig_path}")
            print("    kubectl get pods -A        or        memtop", flush=True)
        await stop.wait()


def _wait_for_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` once the parent has closed our stdin, which it does by dying, too."""
    while sys.stdin.buffer.read(4096):
        pass
    loop.call_soon_threadsafe(stop.set)
