"""Looking into a container of the embedded cluster: memory by kind, one command, a heap capture."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from memtop.demo.thread import DemoThread
from memtop.heap.capture_run import CaptureFailedError, TakenCapture
from memtop.heap.growth_plan import GrowthPlan
from memtop.heap.growth_run import WhatGrew
from memtop.heap.kept_captures import captures_folder
from memtop.kube.api_errors import Unreachable
from memtop.kube.container_exec import NoSuchProgram, NotRunning
from tests.tui.conftest import Serve
from tests.tui.heap_growth import some_growth
from tests.tui.stage import Stage
from tui.app import Memtop
from tui.pod.screen import PodScreen
from widgets.confirm import ConfirmDialog
from widgets.picker import Picker

EPOCH = 1_795_363_200.0  # 2026-11-22T16:00:00Z


class OpenPod(Protocol):
    def __call__(
        self, pod: str, user: str = "admin", **sections: Any
    ) -> AbstractAsyncContextManager[Stage]: ...


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoThread]:
    """The embedded cluster, whose clock stands still."""
    with DemoThread(pods=5, seed=7, speed=0, epoch=EPOCH) as served:
        yield served


@pytest.fixture
def open_pod(demo: DemoThread, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenPod:
    """``async with open_pod("billing") as stage``: a pod's screen; files go to a folder of the test's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    @asynccontextmanager
    async def open_(pod: str, user: str = "admin", **sections: Any) -> AsyncIterator[Stage]:
        async with serve(demo, user, size=(150, 40), **sections) as stage:
            await stage.select(pod)
            await stage.press("enter")
            await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen")
            await stage.shows(pod)
            yield stage

    return open_


async def to_the_plan(stage: Stage, which: str = "heap dump") -> None:
    """Presses h, chooses, and waits for the plan."""
    await stage.press("h")
    await stage.until(lambda: isinstance(stage.app.screen, Picker), "the choice of captures")
    await stage.paste(which)
    await stage.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
    await stage.shows("Cancel (esc)", "kept here")


async def test_heap_or_page_cache_is_answered(open_pod: OpenPod) -> None:
    async with open_pod("billing") as stage:
        await stage.press("B")
        await stage.shows("It is heap:", "page cache", "tmpfs", "kernel", "OOM kills 0", "java -Xmx")
        await stage.press("r")
        await stage.shows("It is heap:", "asked just now")


async def test_nothing_is_captured_without_a_yes(open_pod: OpenPod, demo: DemoThread) -> None:
    async with open_pod("billing") as stage:
        await to_the_plan(stage)
        await stage.shows("GC.heap_dump", "/tmp/memtop-", "stands still", "Eclipse MAT")
        await stage.press("enter")  # Cancel has the focus
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen again")
        await stage.press("X")
        await stage.paste("ls /tmp")
        await stage.press("enter")
        await stage.shows("exit code 0")
        assert ".hprof" not in stage.text
    assert not list(captures_folder(os.environ).iterdir())


async def test_a_heap_dump_comes_here_and_can_be_removed_there(open_pod: OpenPod) -> None:
    async with open_pod("billing") as stage:
        await to_the_plan(stage)
        await stage.press("y")
        await stage.shows(
            "Captured:", "SHA-256 equal", "Eclipse MAT", "is still in billing", "d removes it there"
        )
        (dump,) = captures_folder(os.environ).iterdir()
        assert dump.suffix == ".hprof"
        assert dump.read_bytes().startswith(b"JAVA PROFILE")
        await stage.press("d")
        await stage.shows("is removed in billing")
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen again")


async def test_a_failure_says_what_is_left_and_can_be_taken_up_again(
    open_pod: OpenPod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def broken(*_: Any) -> TakenCapture:
        raise CaptureFailedError(
            "the connection was lost", ["/tmp/memtop-x.hprof is in billing"], "/tmp/memtop-x.hprof"
        )

    async def whole(*_: Any) -> TakenCapture:
        return TakenCapture(tmp_path / "x.hprof", 5, "size and SHA-256 equal")

    monkeypatch.setattr("tui.pod.capture_screen.take_watched", broken)
    monkeypatch.setattr("tui.pod.capture_screen.fetch_capture", whole)
    async with open_pod("billing") as stage:
        await to_the_plan(stage)
        await stage.press("y")
        await stage.shows("It failed: the connection was lost", "memtop-x.hprof is in billing")
        await stage.press("r")
        await stage.shows("Captured: 5 B")


async def test_a_container_that_dies_between_the_plan_and_the_yes(
    open_pod: OpenPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dead(*_: Any, **__: Any) -> Any:
        raise NotRunning("billing does not run any more")

    async with open_pod("billing") as stage:
        await to_the_plan(stage)
        monkeypatch.setattr("memtop.heap.capture_run.run_command", dead)
        await stage.press("y")
        await stage.shows("It failed: billing does not run any more", "esc closes")
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen again")


async def test_a_folder_that_cannot_be_made_is_a_sentence(
    open_pod: OpenPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pod("billing") as stage:
        await to_the_plan(stage)
        here = captures_folder(os.environ)
        here.rmdir()
        here.write_text("a file where the folder was")
        await stage.press("y")
        await stage.shows("It failed:", "esc closes")
        here.unlink()
        here.mkdir()


async def test_whatever_else_a_capture_raises_is_a_sentence_too(
    open_pod: OpenPod, monkeypatch: pytest.MonkeyPatch, failures: list[logging.LogRecord]
) -> None:
    async def broken(*_: Any) -> TakenCapture:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr("tui.pod.capture_screen.take_watched", broken)
    async with open_pod("billing") as stage:
        await to_the_plan(stage)
        await stage.press("y")
        await stage.shows("It failed: a mistake in memtop: ZeroDivisionError", "may be in billing")
        assert "hunter2" not in stage.text
        assert failures.pop().exc_info
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen again")


async def test_what_needs_no_file_is_kept_here_alone(open_pod: OpenPod) -> None:
    async with open_pod("session-api") as stage:
        await to_the_plan(stage, "smaps")
        await stage.press("y")
        await stage.shows("Captured:", "exit code 0")
        assert "is still in" not in stage.text
        (kept,) = captures_folder(os.environ).iterdir()
        assert kept.read_text().count("Rss:") == 2


async def test_one_command_and_its_exit_code(open_pod: OpenPod) -> None:
    async with open_pod("billing") as stage:
        await stage.press("X")
        await stage.paste('sh -c "echo hello; exit 3"')
        await stage.press("enter")
        await stage.shows("hello", "exit code 3")
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen again")


async def test_an_image_without_a_shell_is_met_with_a_proposal(open_pod: OpenPod) -> None:
    async with open_pod("node-agent") as stage:
        await stage.press("h")
        await stage.shows("neither a shell nor cat", "kubectl debug -it node-agent", "Close (esc)")
        await stage.press("escape")
        await stage.press("B")
        await stage.shows("neither a shell nor cat")


@pytest.mark.parametrize(
    ("pod", "user", "sections", "why"),
    [
        ("billing", "readonly", {}, "pods/exec is forbidden"),
        ("billing", "admin", {"safety": {"read_only": True}}, "read-only: memtop starts no process"),
        ("webhooks", "admin", {}, "does not run"),
    ],
)
async def test_what_can_not_be_done_is_dimmed_and_says_why(
    open_pod: OpenPod, demo: DemoThread, pod: str, user: str, sections: dict[str, Any], why: str
) -> None:
    if pod == "webhooks":  # it lives for 38 s after every back-off
        demo.advance(120)
    async with open_pod(pod, user, **sections) as stage:
        screen = stage.app.screen
        await stage.until(lambda: not screen.active_bindings["h"].enabled, "the key to be dimmed")
        assert not screen.active_bindings["x"].enabled
        await stage.press("h")
        await stage.shows(why)
        await stage.press("B")
        await stage.until(
            lambda: f"Not now: {why}" in stage.text or why in stage.line("Not now:"), "the reason"
        )


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What becomes of the terminal; as in Textual, what is raised meanwhile would keep it handed over."""
    told: list[str] = []

    @contextmanager
    def suspend(_: Memtop) -> Iterator[None]:
        told.append("handed over")
        yield
        told.append("taken back")

    monkeypatch.setattr(Memtop, "suspend", suspend)
    return told


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (NoSuchProgram("the image has no program 'sh'"), "An image without a shell"),
        (Unreachable("the connection was lost"), "the connection was lost"),
        (NotRunning("it does not run"), "it does not run"),
    ],
    ids=["no shell", "lost", "not running"],
)
async def test_the_screen_comes_back_where_there_is_no_shell(
    open_pod: OpenPod,
    handed_over: list[str],
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    words: str,
) -> None:
    def converse(*_: object) -> int:
        raise failure

    monkeypatch.setattr("tui.pod.exec_screen.run_in_terminal", converse)
    async with open_pod("user-service") as stage:
        await stage.press("x")
        await stage.shows(words)
        assert handed_over == ["handed over", "taken back"]


async def test_what_grew_is_offered_first_and_names_the_leak(
    open_pod: OpenPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[GrowthPlan] = []

    async def found(_client: Any, plan: GrowthPlan, _tell: Any) -> WhatGrew:
        asked.append(plan)
        return some_growth()

    monkeypatch.setattr("tui.pod.growth_screen.find_what_grew", found)
    async with open_pod("user-service") as stage:
        await stage.press("h")
        await stage.until(lambda: isinstance(stage.app.screen, Picker), "the choice of captures")
        await stage.shows("what grew: two class histograms", "risky: see the plan")
        await stage.press("enter")
        await stage.shows("2, each as follows", "Before each further capture memtop looks again")
        await stage.press("y")
        await stage.shows("com.example.Session +6.1 MiB", "GREW BY", "+100,000", "kept: second")
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen again")
    assert asked[0].floor_rate, "the verdict's rate sets how long the wait is"


async def test_a_capture_that_fails_says_what_is_kept(
    open_pod: OpenPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def died(*_: Any) -> WhatGrew:
        raise CaptureFailedError("user-service has died meanwhile (OOMKilled, exit code 137)", ["x is kept"])

    monkeypatch.setattr("tui.pod.growth_screen.find_what_grew", died)
    async with open_pod("user-service") as stage:
        await to_the_plan(stage, "what grew")
        await stage.press("y")
        await stage.shows("It failed: user-service has died meanwhile (OOMKilled", "x is kept", "esc closes")
