"""Whether what leaks is named: programs that leak in a known way, and healthy ones, on a real cluster.

Each program of `benchmarks/leaking_programs/` runs in a pod of a namespace of its own; memtop captures it two
times, as ``memtop heap what-grew`` does, and applies the rules of likely causes. A leak is *named* where the
answer has the type, function or line that the source leaks; a healthy program is right where nothing is named
and no cause is given. Run on the node of the cluster itself: pods mount the programs from this machine.

    python benchmarks/causes.py [--only WORD] [--every 40]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from memtop.heap.capture_plan import NothingToCaptureError, plan_captures
from memtop.heap.capture_run import CaptureFailedError
from memtop.heap.container_probe import NoShellError
from memtop.heap.growth_plan import growth_plans
from memtop.heap.growth_run import WhatGrew, find_what_grew
from memtop.heap_files.heap_growth import stands_out
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef
from memtop.kube.kubeconfig import load_target

HERE = Path(__file__).parent / "leaking_programs"
NAMESPACE = "why-causes"
WARM_SECONDS = 25.0
"""Before the first capture: a runtime loads its classes and libraries meanwhile."""
AT_ONCE = 5
"""Pods that run at the same time."""
CACHE, LISTENERS = "unbounded cache", "listeners that are never removed"
CLOSURES, THREADS = "closures that are kept", "threads that are never ended"
OFF_HEAP = "off the heap: direct buffers, arenas or native code"


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        runtime: Whose heap it is.
        kind: What it does; the word it is started with.
        named: A regular expression for what its source leaks; empty for a healthy one.
        causes: The causes any of which is right.
    """

    runtime: str
    kind: str
    named: str = ""
    causes: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """How it is started."""
        jvm = ("java", "-Xmx200m", "-XX:+UseSerialGC", "-cp", "/programs", "Leaks")
        return {
            "JVM": (*jvm, self.kind),
            "Node.js": ("node", "/programs/leaks.js", self.kind),
            "Go": ("/programs/leaks-go", self.kind),
            "Python": ("python3", "/programs/leaks.py", self.kind),
            "native": ("/programs/arenas", self.kind),
        }[self.runtime]

    @property
    def image(self) -> str:
        """An image of the cluster's own that has the runtime."""
        names = {"JVM": "java", "Node.js": "node", "Python": "python"}
        return f"localhost/lab/{names.get(self.runtime, 'busybox')}:1"


PROGRAMS = (
    Program("JVM", "map", r"^Leaks\$Session\b", (CACHE,)),
    Program("JVM", "listener", r"^Leaks\$PriceListener", (LISTENERS,)),
    Program(
        "JVM", "thread-local", r"Leaks\$RequestContext|more threads", (THREADS, "globals that only grow")
    ),
    Program("JVM", "direct", r"DirectByteBuffer|direct", (OFF_HEAP,)),
    Program("Node.js", "map", r"Session\b.*sessionCache", (CACHE,)),
    Program("Node.js", "listener", r"onPrice|EventEmitter", (LISTENERS,)),
    Program("Node.js", "closure", r"Session\b.*pendingCallbacks|closure", (CLOSURES,)),
    Program("Node.js", "timer", r"Poller|Timeout", ("a job or timer that keeps what it makes", CLOSURES)),
    Program("Go", "slice", r"recordOrder", ("a collection that only grows",)),
    Program("Go", "goroutine", r"waitForever|handleRequest", ("goroutines that never end",)),
    Program("Python", "cache", r"Session", (CACHE,)),
    Program("Python", "cycle", r"Order", ("cycles that nobody collects",)),
    Program("Python", "native", r"what leaks is not in it", (OFF_HEAP,)),
    Program("native", "arenas", r"arenas? of 64 MiB|malloc arenas", (OFF_HEAP, THREADS)),
    Program("JVM", "garbage"),
    Program("JVM", "bounded"),
    Program("JVM", "pool"),
    Program("Node.js", "garbage"),
    Program("Node.js", "bounded"),
    Program("Node.js", "once"),
    Program("Go", "garbage"),
    Program("Go", "bounded"),
    Program("Python", "garbage"),
    Program("Python", "bounded"),
    Program("native", "frees"),
)


@dataclass(frozen=True)
class Finding:
    """What memtop said of one program.

    Attributes:
        program: Which.
        right: Whether that is what its source does.
        cause_right: Whether the first cause is right; of a healthy one, whether there is none.
        method: What was captured.
        words: What it said, or why it could not.
    """

    program: Program
    right: bool
    cause_right: bool
    method: str
    words: str


def judge_answer(program: Program, method: str, answer: WhatGrew) -> Finding:
    """Compares an answer with what the source does."""
    words = " ".join(answer.sentences)
    causes = [one.name for one in answer.causes]
    said = f"{words} [{'; '.join(causes) or 'no cause'}]"
    if not program.named:
        quiet = not stands_out(answer.growth) and "appeared" not in words
        return Finding(program, quiet, not causes, method, said)
    found = re.search(program.named, words) is not None
    return Finding(program, found, bool(causes) and causes[0] in program.causes, method, said)


def build(folder: Path) -> None:
    """Compiles the programs into a folder; those whose compiler is missing are left out."""
    for source in HERE.glob("leaks.*"):
        shutil.copy(source, folder)
    commands = (
        ("javac", "-d", str(folder), str(HERE / "Leaks.java")),
        ("go", "build", "-o", str(folder / "leaks-go"), str(HERE / "leaks.go")),
        ("gcc", "-static", "-O1", "-pthread", "-o", str(folder / "arenas"), str(HERE / "arenas.c")),
    )
    for command in commands:
        if shutil.which(command[0]):
            subprocess.run(command, check=True, env={**os.environ, "CGO_ENABLED": "0"})
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o755)


def kubectl(*words: str, given: str | None = None) -> str:
    """Runs kubectl as the cluster's administrator."""
    done = subprocess.run(["kubectl", *words], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def pod_of(program: Program, folder: Path) -> dict[str, object]:
    """The pod that runs a program, with room for a capture."""
    name = f"{program.runtime}-{program.kind}".lower().replace(".", "")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": program.image,
                    "imagePullPolicy": "Never",
                    "command": list(program.command),
                    "env": [{"name": "MEMTOP_COUNT_SIGNAL", "value": "USR2"}],
                    "resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "1m", "memory": "16Mi"}},
                    "volumeMounts": [{"name": "programs", "mountPath": "/programs", "readOnly": True}],
                }
            ],
            "volumes": [{"name": "programs", "hostPath": {"path": str(folder)}}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        },
    }


async def try_program(program: Program, programs: Path, captures: Path, seconds: float) -> Finding:
    """Runs one program as a pod, captures it twice, and judges the answer."""
    pod = pod_of(program, programs)
    name = str(pod["metadata"]["name"])  # type: ignore[index]
    await asyncio.to_thread(kubectl, "create", "-f", "-", given=json.dumps(pod))
    try:
        wait = ("-n", NAMESPACE, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
        await asyncio.to_thread(kubectl, *wait)
        await asyncio.sleep(WARM_SECONDS)
        async with Client(load_target()) as client:
            place = ContainerRef(NAMESPACE, name, "main")
            plans = growth_plans(
                await plan_captures(client, place, captures), (), floor_rate=None, seconds=seconds
            )
            if not plans:
                return Finding(program, False, False, "nothing", "nothing that can be compared")
            answer = await find_what_grew(client, plans[0], lambda _: None)
        return judge_answer(program, plans[0].noun, answer)
    except (CaptureFailedError, NothingToCaptureError, NoShellError) as error:
        return Finding(program, False, False, "failed", str(error))
    finally:
        words = ("-n", NAMESPACE, "delete", "pod", name, "--wait=false")
        await asyncio.to_thread(kubectl, *words)


async def try_all(chosen: list[Program], seconds: float) -> list[Finding]:
    """Tries some programs, a few at a time."""
    room = asyncio.Semaphore(AT_ONCE)
    with tempfile.TemporaryDirectory() as kept, tempfile.TemporaryDirectory() as programs:
        build(Path(programs))

        async def one(program: Program) -> Finding:
            async with room:
                begun = time.monotonic()
                found = await try_program(program, Path(programs), Path(kept), seconds)
                print(f"{program.runtime} {program.kind}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
                return found

        return list(await asyncio.gather(*(one(program) for program in chosen)))


def main() -> None:
    """Runs the chosen programs and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="programs whose runtime and kind contain this")
    parser.add_argument("--every", type=float, default=40.0, help="seconds between the two captures")
    asked = parser.parse_args()
    chosen = [one for one in PROGRAMS if asked.only.lower() in f"{one.runtime} {one.kind}".lower()]
    kubectl("create", "namespace", NAMESPACE)
    try:
        found = asyncio.run(try_all(chosen, asked.every))
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    print("| program | captured | what leaks is named | cause |\n|---|---|---|---|")
    for one in found:
        healthy = "" if one.program.named else " (healthy)"
        marks = ["yes" if good else "NO" for good in (one.right, one.cause_right)]
        print(
            f"| {one.program.runtime} {one.program.kind}{healthy} | {one.method} | {marks[0]} | {marks[1]} |"
        )
    for one in found:
        print(f"\n{one.program.runtime} {one.program.kind}: {one.words}")


if __name__ == "__main__":
    main()
