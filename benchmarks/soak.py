"""Two days of a cluster that changes and fails, in minutes; does memtop stay as small as it was, and right?

    python benchmarks/soak.py [--hours 48] [--speed 240] [--seed 1]

The embedded cluster runs at `speed` simulated seconds a second, with pods that come and go and Deployments
that are restarted. A process beside it has two engines on one state folder: one observes everything all the
time, the other is ended and begun anew, or observes another namespace, every few seconds. All the while one
fault after another, of those of `faults.py`, meets their requests. Printed are what was not right
`TRUTH_SECONDS` after its fault (every source but Prometheus live, as many pods as the simulation has), and at
the end what memtop's own verdict says of that process's memory, and how its descriptors, threads, tasks and
connections moved. Exit code 1 if one of them is not as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.faults import KINDS, REQUESTS
from benchmarks.figures import machine
from config.settings import PrometheusSettings
from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
from memtop.commands.classify import NamedSeries, judge_named_series
from memtop.demo.faults import Fault
from memtop.demo.thread import DemoThread
from memtop.kube.kubeconfig import load_target
from memtop.observe.engine import Engine
from memtop.observe.frame import Frame
from memtop.observe.view import Scope, SourceCondition, SourceStatus
from memtop.observe.watchlist import HistorySettings, Watchlist, at_speed

TRUTH_SECONDS = 30.0
LATEST_SECONDS = 75.0
"""Until which the truth has to be there: a source that has failed again and again waits half a minute."""
START_SECONDS = 180.0
"""Until all is there for the first time, the past of every container included."""
HOLD = 2.0
"""Seconds for which a fault meets requests."""
REST = 4.0
"""Seconds between two faults, at least."""
RESTARTED = ("user-service", "billing", "search-api")
WARM_UP = 0.3
"""Share of the time that is not judged: modules are imported, rings and caches fill up."""
SPREAD = 6
"""Descriptors, threads, tasks and connections that may come and go; a leak has one or more for each fault."""
SHARE_OF_GROWTH = 0.10
"""Of its memory, which a process may gain after its warm-up whatever the verdict: holes in its heap."""


class ObservedCluster:
    """One engine and its newest frame."""

    def __init__(self, plan: Watchlist) -> None:
        self.plan = plan
        self.frame: Frame | None = None
        self.crashes: list[str] = []
        self.begin()

    def begin(self) -> None:
        """A new engine, as after a switch to another context."""
        self.engine = Engine(self.plan, self._arrived, self._crashed)
        self.engine.start()

    def _arrived(self, frame: Frame) -> None:
        self.frame = frame

    def _crashed(self, error: BaseException) -> None:
        self.crashes.append(repr(error))

    def tasks(self) -> int:
        """Tasks of its event loop."""
        loop = self.engine._loop
        return 0 if loop is None else len(asyncio.all_tasks(loop))


def observe(kubeconfig: str, folder: str, speed: float, seed: int) -> None:
    """The process that is measured: two engines, and a line of figures a second, until stdin is closed."""
    target = load_target(kubeconfig=kubeconfig)
    history = HistorySettings(PrometheusSettings(), Path(folder) / "samples")
    plan = at_speed(Watchlist(target, Scope(), interval=15.0, history=history), speed)
    steady, restless = ObservedCluster(plan), ObservedCluster(plan)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    chance, second = random.Random(seed), 0
    while not over.wait(1.0):
        second += 1
        if second % 10 == 0:
            if chance.random() < 0.5:
                restless.engine.stop()
                restless.begin()
            else:
                restless.engine.observe(Scope(chance.choice(((), ("production",), ("kube-system",)))))
        frame = steady.frame
        links = [link for link in map(read_link, Path("/proc/self/fd").iterdir()) if link]
        figures = {
            "time": time.monotonic(),
            "rss": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            "descriptors": len(links),
            "connections": sum(link.startswith("socket:") for link in links),
            "threads": threading.active_count(),
            "tasks": steady.tasks(),
            "pods": None if frame is None else frame.counts.pods,
            "live": frame is not None and all(is_live(one) for one in frame.sources),
            "states": "" if frame is None else " ".join(f"{one.name}={one.state}" for one in frame.sources),
            "crashes": [*steady.crashes, *restless.crashes],
        }
        print(json.dumps(figures), flush=True)
    steady.engine.stop()
    restless.engine.stop()


def is_live(source: SourceStatus) -> bool:
    """Whether a source is live; Prometheus tells of the past, and is asked again more rarely."""
    return source.state is SourceCondition.LIVE or source.name == "prometheus"


def read_link(path: Path) -> str:
    """Where a descriptor leads; empty if it has just been closed."""
    with contextlib.suppress(OSError):
        return str(path.readlink())
    return ""


class Measured:
    """What the observing process has printed."""

    def __init__(self, kubeconfig: Path, folder: str, speed: float, seed: int) -> None:
        self.lines: list[dict[str, Any]] = []
        arguments = ["--observe", str(kubeconfig), folder, "--speed", str(speed), "--seed", str(seed)]
        self.process = subprocess.Popen(
            [sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def until_right(self, url: str, patience: float = LATEST_SECONDS) -> float | None:
        """Seconds until it shows the truth; None if it does not in time."""
        begun = time.monotonic()
        while time.monotonic() - begun < patience and self.process.poll() is None:
            seen = len(self.lines)
            pods = count_pods(url)
            while len(self.lines) == seen and self.process.poll() is None:
                time.sleep(0.05)
            if self.lines and self.lines[-1]["live"] and abs(self.lines[-1]["pods"] - pods) <= 1:
                return time.monotonic() - begun  # one may come or go between the two looks
        return None


def count_pods(url: str) -> int:
    """The pods that have not finished their work, as the simulation has them."""
    with urllib.request.urlopen(f"{url}/api/v1/pods", timeout=30) as answer:
        return sum(one["status"].get("phase") != "Succeeded" for one in json.load(answer)["items"])


def restart(url: str, name: str) -> None:
    """A rollout of a Deployment."""
    stamp = {"metadata": {"annotations": {"soak/restarted": str(time.time())}}}
    body = json.dumps({"spec": {"template": stamp}}).encode()
    path = f"{url}/apis/apps/v1/namespaces/production/deployments/{name}"
    kind = {"Content-Type": "application/merge-patch+json"}
    with contextlib.suppress(OSError):  # the demo may not have one of that name
        urllib.request.urlopen(urllib.request.Request(path, body, kind, method="PATCH"), timeout=30).close()


def disturb(
    demo: DemoThread, measured: Measured, seconds: float, seed: int
) -> Iterator[tuple[str, float | None]]:
    """One fault after another; of each, how long it took until all was right again."""
    chance = random.Random(seed)
    kinds = sorted(KINDS)
    end = time.monotonic() + seconds
    while time.monotonic() < end and measured.process.poll() is None:
        request, kind = chance.choice(sorted(REQUESTS)), chance.choice(kinds)
        if chance.random() < 0.4:
            restart(demo.url, chance.choice(RESTARTED))
        fault = Fault(path=REQUESTS[request], **KINDS[kind])  # type: ignore[arg-type]
        demo.call(lambda fault=fault: demo.server.faults.add(fault))  # type: ignore[misc]
        if chance.random() < 0.5:
            demo.call(demo.server.close_watches)
        elif chance.random() < 0.3:
            demo.call(demo.server.expire_watches)
        time.sleep(HOLD)
        demo.call(demo.server.faults.clear)
        yield f"{kind} for {request} ({fault.hits} requests)", measured.until_right(demo.url)
        time.sleep(chance.uniform(REST, 2 * REST))


def judge(lines: list[dict[str, Any]], speed: float) -> int:
    """Prints how the process fared; how much of it is not as it should be."""
    kept = lines[int(len(lines) * WARM_UP) :]
    third = max(1, len(kept) // 3)
    times = np.array([line["time"] for line in kept]) * speed
    memory = np.array([line["rss"] for line in kept], np.float64)
    (verdict,) = judge_named_series([NamedSeries("soak", Series(times - times[0], memory))])
    first, last = (statistics.median(part) for part in (memory[:third], memory[-third:]))
    grew = verdict.verdict is Verdict.LEAK and last > first * (1 + SHARE_OF_GROWTH)
    print(f"memory       {first / 2**20:6.0f} MiB at first, {last / 2**20:.0f} at last: {verdict.certainty}"
          f" ({verdict.evidence()})")  # fmt: skip
    wrong = int(grew)
    for name in ("descriptors", "threads", "tasks", "connections"):
        values = [line[name] for line in kept]
        before, after = (statistics.median(part) for part in (values[:third], values[-third:]))
        print(f"{name:12} {before:6.0f} at first, {after:.0f} at last, {min(values)} to {max(values)}")
        wrong += after > before + SPREAD
    return wrong


def main() -> int:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=48.0, help="simulated")
    parser.add_argument("--speed", type=float, default=240.0, help="simulated seconds a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--observe", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.observe:
        observe(*chosen.observe, chosen.speed, chosen.seed)
        return 0
    print(machine())
    late, never, faults = 0, 0, 0
    with (
        tempfile.TemporaryDirectory() as folder,
        DemoThread(pods=30, seed=chosen.seed, speed=chosen.speed, churn=0.5) as demo,
    ):
        path = Path(folder) / "kubeconfig"
        path.write_text(demo.kubeconfig(), encoding="utf-8")
        measured = Measured(path, folder, chosen.speed, chosen.seed)
        if measured.until_right(demo.url, START_SECONDS) is None:
            measured.process.kill()
            sys.exit(f"nothing to begin with: {measured.lines[-1:]}")
        seconds = chosen.hours * 3600.0 / chosen.speed
        for what, took in disturb(demo, measured, seconds, chosen.seed):
            faults += 1
            late += took is None or took > TRUTH_SECONDS
            never += took is None
            if took is None or took > TRUTH_SECONDS:
                line = measured.lines[-1]
                told = f"{line['pods']} pods, {count_pods(demo.url)} are there; {line['states']}"
                print(f"not right after {what}: {told}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            measured.process.communicate(timeout=20)
        measured.process.kill()
    lines = measured.lines
    crashes = lines[-1]["crashes"]
    right = f"{late} not right after {TRUTH_SECONDS:.0f} s, {never} not after {LATEST_SECONDS:.0f} s"
    print(
        f"{chosen.hours:.0f} simulated hours, {faults} faults, {right}, {len(crashes)} ends {crashes or ''}"
    )
    wrong = judge(lines, chosen.speed)
    return 1 if wrong or never or crashes else 0


if __name__ == "__main__":
    sys.exit(main())
