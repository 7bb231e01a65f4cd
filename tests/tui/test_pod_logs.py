"""The log tabs on the embedded cluster: the runbook's second step in a few keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from memtop.demo.thread import DemoThread
from tests.tui.conftest import Serve
from tests.tui.stage import Stage
from tui.pod.log_tabs import LogTab
from tui.pod.screen import PodScreen

EPOCH = 1_795_363_200.0  # 2026-11-22T16:00:00Z


class OpenPod(Protocol):
    def __call__(self, pod: str, key: str, demo: DemoThread = ...) -> AbstractAsyncContextManager[Stage]: ...


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoThread]:
    """The embedded cluster, whose clock moves only when it is told to, and then by minutes."""
    with DemoThread(pods=5, seed=7, speed=0, epoch=EPOCH) as served:
        yield served


@pytest.fixture
def doomed() -> Iterator[DemoThread]:
    """Another one, in which hours may pass."""
    with DemoThread(pods=5, seed=7, speed=0, epoch=EPOCH) as served:
        yield served


@pytest.fixture
def open_pod(demo: DemoThread, serve: Serve) -> OpenPod:
    """``async with open_pod("user-service", "p") as stage``: a tab of a pod's screen."""
    everywhere = demo

    @asynccontextmanager
    async def open_(pod: str, key: str, demo: DemoThread = everywhere) -> AsyncIterator[Stage]:
        async with serve(demo, size=(120, 36)) as stage:
            await stage.select(pod)
            await stage.press("enter")
            await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen")
            await stage.press(key)
            yield stage

    return open_


def tab(stage: Stage) -> LogTab:
    """The log tab that is in front."""
    assert isinstance(stage.app.screen, PodScreen)
    opened = stage.app.screen._open
    assert isinstance(opened, LogTab)
    return opened


def listing(folder: Path) -> list[Path]:
    """The files in a folder."""
    return list(folder.iterdir())


async def test_what_the_container_said_before_it_died(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "p") as stage:
        await stage.shows("the previous log ends here", "Cannot allocate memory for large dataset")
        assert "Full GC took 5.2s" in stage.text
        await stage.shows("GC pauses", "of 2 GiB", "longest 5.2 s")
        await stage.press("m")
        await stage.shows("Search the log for", "oom", "matches")
        await stage.press("enter")
        await stage.until(lambda: "memory: " in stage.text and "[INFO]" not in stage.text, "the filter")
        assert "Cannot allocate memory" in stage.text
        await stage.press("C")
        await stage.shows("±2 lines", "[INFO]")
        await stage.press("C", "C", "C")
        await stage.shows("among all lines")
        await stage.press("C", "v")
        await stage.shows("not memory: ")
        await stage.press("escape")
        await stage.until(lambda: "not memory" not in stage.text, "all lines again")
        assert isinstance(stage.app.screen, PodScreen), "escape first clears the filter"
        await stage.press("escape")
        await stage.until(lambda: not isinstance(stage.app.screen, PodScreen), "the overview")


async def test_an_expression_of_ones_own(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "p") as stage:
        await stage.shows("the previous log ends here")
        await stage.press("slash")
        await stage.paste("Full GC|(")
        await stage.until(lambda: "unterminated subpattern" in stage.text, "what is wrong with it")
        await stage.press("backspace", "backspace", "enter")
        await stage.until(lambda: "Full GC: " in stage.text, "the matches")
        log = tab(stage)
        await stage.press("N")
        await stage.shows("▸")
        last = log.view.current
        await stage.press("N")
        assert log.view.current is not None
        assert last is not None
        assert log.view.current < last
        await stage.press("n")
        assert log.view.current == last


async def test_the_log_is_followed_and_a_kill_is_told(open_pod: OpenPod, doomed: DemoThread) -> None:
    async with open_pod("user-service", "l", doomed) as stage:
        await stage.shows("following", "user-service")
        log = tab(stage)
        await stage.until(lambda: len(log.feed.buffer) > 0, "the first lines")
        had = log.feed.buffer.end
        doomed.advance(60)
        await stage.until(lambda: log.feed.buffer.end > had, "what is written now")
        doomed.advance(2.6 * 3600)
        await stage.shows("was OOM-killed", "press p for its log")
        await stage.press("p")
        await stage.shows("the previous log ends here", "Cannot allocate memory for large dataset")


async def test_a_filter_goes_on_while_the_log_is_followed(open_pod: OpenPod, demo: DemoThread) -> None:
    async with open_pod("user-service", "l") as stage:
        await stage.shows("following")
        await stage.press("slash")
        await stage.paste("GET|POST|PUT")
        await stage.press("enter")
        log = tab(stage)
        await stage.until(lambda: log._search is not None and log._search.count > 0, "the filter")
        assert log._search is not None
        had = log._search.count
        demo.advance(120)
        await stage.until(lambda: log._search and log._search.count > had, "new matches")


async def test_reading_is_not_disturbed_by_what_comes(open_pod: OpenPod, demo: DemoThread) -> None:
    async with open_pod("user-service", "l") as stage:
        await stage.shows("following")
        log = tab(stage)
        await stage.until(lambda: len(log.feed.buffer) > 50, "some lines")
        await stage.press("pageup")
        top = log.view.top
        had = log.feed.buffer.end
        demo.advance(60)
        await stage.until(lambda: log.feed.buffer.end > had, "new lines")
        await stage.shows(" below")
        assert log.view.top == top
        await stage.press("f")
        await stage.until(lambda: log.view.following and " below" not in stage.text, "the newest line")


async def test_a_time_is_jumped_to(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "p") as stage:
        await stage.shows("the previous log ends here")
        await stage.press("J")
        await stage.paste("soon")
        await stage.press("enter")
        await stage.shows("'soon' is no time")
        await stage.press("escape", "escape", "J")
        await stage.paste("-30m")
        await stage.press("enter")
        log = tab(stage)
        await stage.until(lambda: not log.view.following, "the jump")
        newest = log.feed.buffer.time(log.feed.buffer.end - 1)
        assert log.view.current is not None
        assert abs(newest - log.feed.buffer.time(log.view.current) - 1800e9) < 60e9


async def test_a_log_is_saved_and_nothing_is_overwritten(
    open_pod: OpenPod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_pod("user-service", "p") as stage:
        await stage.shows("the previous log ends here")
        await stage.press("ctrl+s")
        await stage.shows("save as user-service-")
        await stage.press("enter")
        await stage.shows("lines are in")
        [saved] = [path for path in listing(tmp_path) if "_previous_" in path.name]
        assert "Cannot allocate memory" in saved.read_text()
        saved.write_text("mine")
        await stage.press("ctrl+s", "escape")
        await stage.paste(saved.name)
        await stage.press("enter")
        await stage.shows("there is such a file already")
        assert saved.read_text() == "mine"


async def test_times_and_wrapping(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "p") as stage:
        await stage.shows("the previous log ends here")
        line = stage.line("Full GC took 5.2s")
        assert not line.strip().startswith("[GC]")
        await stage.press("T")
        await stage.until(lambda: stage.line("Full GC took 5.2s").strip().startswith("[GC]"), "no times")
        await stage.press("w")
        assert not tab(stage).view.wrap


async def test_no_previous_log_is_said_in_words(open_pod: OpenPod) -> None:
    async with open_pod("fraud-model", "p") as stage:
        await stage.shows("has no previous log")


async def test_a_container_at_a_time_or_all_of_them(open_pod: OpenPod) -> None:
    async with open_pod("order-service", "l") as stage:
        await stage.shows("following")
        log = tab(stage)
        await stage.until(lambda: len(log._containers) > 1, "the pod's containers")
        for _ in log._containers[1:]:
            await stage.press("right_square_bracket")
        await stage.press("right_square_bracket")
        assert log._chosen == log._containers
        owners = lambda: {log.feed.buffer.line(n).container for n in range(log.feed.buffer.end)}  # noqa: E731
        await stage.until(lambda: len(owners()) > 1, "lines of several containers")
        assert any(name in stage.text for name in owners())
        await stage.press("right_square_bracket")
        assert log._chosen == (log._containers[0],)


async def test_how_far_back(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "l") as stage:
        await stage.shows("following")
        log = tab(stage)
        await stage.until(lambda: len(log.feed.buffer) > 60, "the log")
        await stage.press("1")
        await stage.until(lambda: 0 < len(log.feed.buffer) <= 60, "the last five minutes")


async def test_how_far_back_while_reading_further_up(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "l") as stage:
        await stage.shows("following")
        for key in ("1", "r"):
            await stage.until(lambda: len(tab(stage).view.numbers) > 30, "lines")
            await stage.press("f")
            assert not tab(stage).view.following
            await stage.press(key)
            assert tab(stage).view.following


async def test_a_workload_has_no_log_of_its_own(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "t") as stage:
        await stage.press("escape")
        await stage.press("w")
        await stage.until(lambda: "deployment/user-service" in stage.rows(), "workloads")
        await stage.press("enter")
        await stage.press("l")
        await stage.shows("Logs are of pods")


async def test_times_are_shown_where_the_log_has_none_of_its_own(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "p") as stage:
        await stage.shows("the previous log ends here", "times in ")
        log = tab(stage)
        log.feed.own_times = True
        log._draw()
        await stage.until(lambda: "times in " not in stage.text, "the log's own times alone")
        await stage.press("T")
        await stage.shows("times in ")


async def test_a_jump_beyond_the_log_says_where_it_begins(open_pod: OpenPod) -> None:
    async with open_pod("user-service", "p") as stage:
        await stage.shows("the previous log ends here")
        await stage.press("J")
        await stage.shows("to (")
        await stage.paste("2020-01-01T00:00")
        await stage.press("enter")
        await stage.shows("What is read of the log begins at")
