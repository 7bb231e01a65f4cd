"""Serves the embedded cluster until a signal or the end of the parent process."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

from config.private_files import replace_file
from memtop.demo.child_process import DemoOptions
from memtop.demo.server import DemoServer

_PR_SET_PDEATHSIG = 1
SECRET_BYTES = 24
"""Of what every request to a served cluster has to know: it is in the kubeconfig, its owner's alone."""


PARENT_DIED = signal.SIGUSR1
"""The signal at the parent's end. It is also sent when only the starting thread ends: check `getppid`."""


def watch_parent() -> None:
    """Have the kernel send `PARENT_DIED` here when the parent dies (on Linux; elsewhere do nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(PARENT_DIED))


async def serve(
    options: DemoOptions, kubeconfig_path: Path, port: int = 0, *, announce: bool = False
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: the options of the demo.
        kubeconfig_path: where to write the kubeconfig.
        port: port on loopback; 0 for any.
        announce: for a parent process: print one line of JSON when ready, and end when stdin is closed.
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
        secret=secrets.token_urlsafe(SECRET_BYTES),
    )
    async with server:
        replace_file(kubeconfig_path, server.kubeconfig().encode())
        if announce:
            print(json.dumps({"kubeconfig": str(kubeconfig_path), "url": server.url}), flush=True)
            threading.Thread(target=_wait_for_end, args=(loop, stop), daemon=True).start()
        else:
            print(f"The demo cluster listens on {server.shown_url}. In another terminal:")
            print(f"    export KUBECONFIG={kubeconfig_path}")
            print("    kubectl get pods -A        or        memtop", flush=True)
        await stop.wait()


def _wait_for_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` once stdin is closed, which the end of the parent does as well."""
    while sys.stdin.buffer.read(4096):
        pass
    loop.call_soon_threadsafe(stop.set)
