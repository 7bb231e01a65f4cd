"""Logs of real containers, some of which die while they are read."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtop.kube.client import Client
from memtop.logs.buffer import LogChannel, LogStatus
from memtop.logs.heap_readings import HeapReading, ReadingKind, summarise_readings
from memtop.logs.log_lines import LogLine, LogMark
from memtop.logs.log_request import LogRequest
from memtop.logs.reader import LogReader
from tests.real.patience import PATIENCE, eventually


class Read:
    """What was read of one log."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.readings: list[HeapReading] = []
        self.statuses: list[LogStatus] = []
        self._news = asyncio.Event()
        self.channel = LogChannel(self._news.set)

    async def until(self, holds: Callable[[Read], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            self._news.clear()
            delivery = self.channel.take()
            self.lines += delivery.lines
            self.readings += delivery.readings
            self.statuses += [delivery.status] if delivery.status is not None else []
            if holds(self):
                return
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                pytest.fail(f"waited for {what}; read {self.lines[-20:]}; {self.statuses[-5:]}")


@pytest.fixture
def pod(kubectl: Callable[..., str]) -> Callable[[str], str]:
    """``pod("checkout-service")``: the name of that workload's pod."""

    def name(app: str) -> str:
        found = kubectl("-n", "production", "get", "pods", "-l", f"app={app}", "-o", "name").split()
        return found[0].removeprefix("pod/")

    return name


@pytest.fixture
def doomed(kubectl: Callable[..., str]) -> Iterator[str]:
    """A pod that is OOM-killed some ten seconds after each start."""
    name = f"doomed-{uuid.uuid4().hex[:8]}"
    container = {
        "name": "doomed",
        "image": "localhost/lab/python:1",
        "imagePullPolicy": "Never",
        "command": ["python3", "/app/leak.py"],
        "env": [
            {"name": "SERVICE", "value": "doomed"},
            # It says whole per cent, rounded down: with 6 MiB a step the last could be 90 %, with 4 it is 93.
            {"name": "STEP_MIB", "value": "4"},
            {"name": "STEP_SECONDS", "value": "0.7"},
        ],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    spec = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    kubectl(
        "-n", "production", "run", name, "--image=x", "--restart=Always", f"--overrides={json.dumps(spec)}"
    )
    yield name
    kubectl("-n", "production", "delete", "pod", name, "--grace-period=0", "--force")


def request(pod: str, *containers: str, **fields: Any) -> LogRequest:
    return LogRequest("production", pod, containers, **fields)


async def reading(client: Client, wanted: LogRequest, then: Callable[[Read], Awaitable[None]]) -> Read:
    """Reads while ``then`` waits for what it wants."""
    read = Read()
    task = asyncio.create_task(LogReader(wanted, read.channel).run(client))
    try:
        await then(read)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return read


async def test_an_oom_kill_while_one_watches(as_user: Callable[[str], Any], doomed: str) -> None:
    """The stream ends in the middle, the kill is told, and the next run is read."""

    async def through_a_kill(read: Read) -> None:
        def starts() -> int:
            return sum("starting" in line.text for line in read.lines)

        def again(_: Read) -> bool:
            kills = [n for n, line in enumerate(read.lines) if "was OOM-killed" in line.text]
            return bool(kills) and any("starting" in line.text for line in read.lines[kills[0] :])

        await read.until(again, "a kill and a start after it")
        assert starts() >= 1

    async with Client(as_user("kubeconfig-readonly")) as client:
        read = await reading(client, request(doomed, "doomed", tail=1000), through_a_kill)
        notes = [line.text for line in read.lines if line.mark is LogMark.NOTE]
        assert "doomed was OOM-killed, exit code 137" in notes
        assert any("started again (restart " in note for note in notes)
        assert any(status.ending is not None and status.ending.termination.oom for status in read.statuses)
        own = [(line.time, line.text) for line in read.lines if line.mark is LogMark.PLAIN]
        assert len(own) == len(set(own)), "nothing came twice"
        assert own == sorted(own, key=lambda line: line[0])
        assert any(one.share is not None and one.share > 0.9 for one in read.readings)

        async def to_its_end(read: Read) -> None:
            await read.until(lambda _: any(status.ended for status in read.statuses), "the previous log")

        previous = await reading(client, request(doomed, "doomed", previous=True, tail=1000), to_its_end)
        assert "Cannot allocate memory" in previous.lines[-1].text or "Heap usage" in previous.lines[-1].text
        assert "starting" in previous.lines[0].text


async def test_the_last_words_of_node(as_user: Callable[[str], Any], pod: Callable[[str], str]) -> None:
    async def to_its_end(read: Read) -> None:
        await read.until(lambda _: any(status.ended for status in read.statuses), "the previous log")

    async with Client(as_user("kubeconfig-readonly")) as client, asyncio.timeout(2 * PATIENCE):
        wanted = request(pod("session-api"), "session-api", previous=True, tail=5000)
        while True:  # until it has died of this; in a new cluster that takes some minutes
            read = await reading(client, wanted, to_its_end)
            if any("Reached heap limit" in line.text for line in read.lines):
                break
            await asyncio.sleep(1)
    full = [one for one in read.readings if one.kind is ReadingKind.FULL]
    assert full
    assert full[-1].heap_after is not None
    assert full[-1].heap_after > 80 * 2**20


async def test_a_jvm_is_followed_and_understood(
    as_user: Callable[[str], Any], pod: Callable[[str], str]
) -> None:
    async def some_more(read: Read) -> None:
        await read.until(lambda _: len(read.readings) >= 200, "what there is")
        had = len(read.readings)
        await read.until(lambda _: len(read.readings) > had + 2, "further collections")

    async with Client(as_user("kubeconfig-readonly")) as client:
        read = await reading(client, request(pod("billing-jvm"), "billing", tail=200), some_more)
    summary = summarise_readings(read.readings)
    assert summary is not None
    assert summary.after_gc
    assert summary.full > 20
    assert summary.total is not None
    assert 16 * 2**20 < summary.total < 128 * 2**20
    assert all(0 <= pause < 5 for pause in summary.pauses)


async def test_containers_of_one_pod_in_the_order_of_time(
    as_user: Callable[[str], Any], pod: Callable[[str], str]
) -> None:
    async def begun(read: Read) -> None:
        await read.until(lambda _: read.lines, "lines")

    wanted = request(pod("order-service"), "order-service", "log-agent", tail=200)
    async with Client(as_user("kubeconfig-readonly")) as client, asyncio.timeout(PATIENCE):
        while True:  # until both have a log to begin with: the agent is killed again and again
            read = await reading(client, wanted, begun)
            lines = [line for line in read.lines if line.mark is LogMark.PLAIN]
            if {line.container for line in lines} == {"order-service", "log-agent"}:
                break
            await asyncio.sleep(1)
    times = [line.time for line in lines]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("app", "container", "words"),
    [
        ("missing-image", "missing-image", "missing-image waits to be started: ErrImageNeverPull"),
        ("batch-nolimit", "nothing", "has no container nothing"),
    ],
)
async def test_why_there_is_no_log(
    as_user: Callable[[str], Any],
    pod: Callable[[str], str],
    app: str,
    container: str,
    words: str,
) -> None:
    async def said(read: Read) -> None:
        await read.until(lambda _: any(words in status.words for status in read.statuses), words)

    async with Client(as_user("kubeconfig-readonly")) as client:
        await reading(client, request(pod(app), container), said)


@pytest.fixture
def young(kubectl: Callable[..., str]) -> Iterator[str]:
    """A pod whose container has the same name and has never ended."""
    name = f"young-{uuid.uuid4().hex[:8]}"
    image = ("--image=localhost/lab/busybox:1", "--image-pull-policy=Never", "--restart=Never")
    kubectl("-n", "production", "run", name, *image, "--command", "--", "sleep", "600")
    kubectl("-n", "production", "wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={PATIENCE:.0f}s")
    yield name
    kubectl("-n", "production", "delete", "pod", name, "--grace-period=0", "--force")


async def test_what_has_not_ended_yet_has_no_previous_log(as_user: Callable[[str], Any], young: str) -> None:
    async def said(read: Read) -> None:
        words = f"{young} has no previous log"
        await read.until(lambda _: any(words in status.words for status in read.statuses), words)

    async with Client(as_user("kubeconfig-readonly")) as client:
        await reading(client, request(young, young, previous=True), said)


async def test_what_nobody_may_read(as_user: Callable[[str], Any], pod: Callable[[str], str]) -> None:
    async def said(read: Read) -> None:
        await read.until(lambda _: any(status.ended for status in read.statuses), "the refusal")
        assert "you may not read this log" in read.statuses[-1].words

    async with Client(as_user("kubeconfig-nobody")) as client:
        await reading(client, request(pod("batch-nolimit"), "batch-nolimit"), said)


def test_figures_and_last_words_are_printed_without_a_screen(
    memtop: Callable[..., subprocess.CompletedProcess[str]], admin: Path, oom_killed: None
) -> None:
    def printed(deployment: str, *words: str) -> subprocess.CompletedProcess[str]:
        return memtop(admin, "logs", f"deployment/{deployment}", "-n", "production", *words)

    def collected() -> bool:
        """It is killed again and again, and has to start and to fill its heap first."""
        done = printed("session-jvm", "--values", "--tail", "500")
        heading, *rows = done.stdout.splitlines() or [""]
        full = any(" full " in row and "MiB" in row for row in rows)
        return done.returncode == 0 and heading.startswith("TIME") and full

    eventually(collected, "a full collection of session-jvm")
    done = printed("user-service", "-p", "--preset", "oom", "-C", "1")
    assert done.returncode == 0, done.stderr
    assert "Cannot allocate memory" in done.stdout


def test_a_printed_log_is_followed_until_control_c(admin: Path, environ: dict[str, str]) -> None:
    words = ["logs", "deployment/steady-service", "-n", "production", "-f", "--tail", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "tui.cli", *words, "--kubeconfig", str(admin)],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        assert [process.stdout.readline() for _ in range(2)][-1]
        patience.cancel()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in said
