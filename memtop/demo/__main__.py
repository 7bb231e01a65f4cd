"""`python -m memtop.demo`: the embedded cluster as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from memtop.demo.child_process import DEFAULT_PODS, DEFAULT_SEED, DemoOptions
from memtop.demo.serve import serve, watch_parent


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m memtop.demo", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where to write the kubeconfig")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any)")
    parser.add_argument("--pods", type=int, default=DEFAULT_PODS)
    parser.add_argument(
        "--containers", type=int, choices=(1, 2), default=1, help="containers of each ordinary pod"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument(
        "--churn", type=float, default=0.0, help="pod changes per second that happen for no reason"
    )
    parser.add_argument(
        "--child", action="store_true", help="say when ready in one line of JSON; end with the parent"
    )
    arguments = parser.parse_args()
    if arguments.child:
        watch_parent()
    options = DemoOptions(
        arguments.pods, arguments.speed, arguments.seed, arguments.churn, arguments.containers
    )
    asyncio.run(serve(options, arguments.kubeconfig, arguments.port, announce=arguments.child))


if __name__ == "__main__":
    main()
