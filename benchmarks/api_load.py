"""What memtop asks of the API server, counted at the embedded cluster.

    python benchmarks/api_load.py [--pods 10000] [--minutes 3]

One list (and a first page of it where there is more than one), then watches; one metrics call per interval;
and nothing per pod until someone looks at one.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from figures import machine
from first_frame import containers
from installed import installed_memtop
from terminal import Terminal

from memtop.demo.thread import DemoThread

MEMTOP = installed_memtop()
INTERVAL = 15


def kind(path: str) -> str:
    """A request in words that leave out versions, time-outs and names."""
    address = urlsplit(path)
    query = parse_qs(address.query)
    resource = re.sub(r"^/(api/v1|apis/[^/]+/[^/]+)/", "", address.path)
    if query.get("watch") == ["true"]:
        return f"watch {resource}"
    if "continue" in query:
        return f"further page of {resource}"
    if "limit" in query:
        return f"first page of {resource}"
    if "metrics.k8s.io" in path:
        return f"metrics of {resource}"
    return f"list {resource}" if "/" not in resource else f"get {resource}"


def told_apart(seen: Mapping[tuple[str, str], int]) -> Counter[str]:
    """The requests by kind."""
    kinds: Counter[str] = Counter()
    for (method, path), count in seen.items():
        kinds[kind(path) if method == "GET" else f"{method} {path}"] += count
    return kinds


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=3.0)
    arguments = parser.parse_args()
    print(machine())
    options = {"pods": arguments.pods, "containers": 2, "churn": 50.0}
    with DemoThread(**options) as demo, tempfile.NamedTemporaryFile("w") as file:
        file.write(demo.kubeconfig())
        file.flush()
        command = [
            MEMTOP,
            "-A",
            "--kubeconfig",
            file.name,
            "--no-prometheus",
            "--interval",
            f"{INTERVAL}s",
        ]
        with Terminal(command) as terminal:
            terminal.until(lambda screen: containers(screen) >= arguments.pods)
            start = told_apart(demo.call(lambda: Counter(demo.server.seen)))
            terminal.run(arguments.minutes * 60)
            whole = told_apart(demo.call(lambda: Counter(demo.server.seen)))
    print(f"{'':32} {'start':>6} {f'{arguments.minutes:g} min':>9}")
    for name in sorted(whole):
        print(f"{name:32} {start[name]:6} {whole[name] - start[name]:9}")
    expected = arguments.minutes * 60 / INTERVAL
    polls = whole["metrics of pods"] - start["metrics of pods"]
    print(f"metrics calls per interval       {polls / expected:.2f} (budget 1)")
    alone = sum(count for name, count in whole.items() if name.startswith("get "))
    print(f"requests for single objects      {alone} (budget 0)")


if __name__ == "__main__":
    main()
