"""The Workload tab on the embedded cluster: pods, revisions, growth, and the ways to it and from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from memtop.demo.thread import DemoThread
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Open, Play, Serve
from tests.tui.stage import Stage
from tui.overview.screen import Overview
from tui.pod.screen import PodScreen
from tui.pod.workload_tab import WorkloadTab
from tui.pod.workload_tables import MemberRows
from widgets.confirm import ConfirmDialog


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoThread]:
    """One embedded cluster for all of them."""
    with DemoThread(pods=20) as running:
        yield running


@pytest.fixture
def opened(demo: DemoThread, serve: Serve) -> Open:
    """``async with opened("user-service", workload=True)``: the overview, with that row selected."""

    @asynccontextmanager
    async def start(
        row: str = "user-service", *, workload: bool = False, size: tuple[int, int] = (180, 50)
    ) -> AsyncIterator[Stage]:
        async with serve(demo, namespaces=("production",), size=size) as stage:
            await stage.select(row, workload=workload)
            yield stage

    return start


def front(stage: Stage) -> PodScreen:
    assert isinstance(stage.app.screen, PodScreen)
    return stage.app.screen


def pods(stage: Stage) -> list[str]:
    """The pods of the tab, in order."""
    rows = front(stage).query_one(WorkloadTab).pods.rows
    return [rows.identity_at(i).pod for i in range(len(rows))] if isinstance(rows, MemberRows) else []


async def test_a_workloads_row_opens_with_its_pods_and_revisions(opened: Open) -> None:
    async with opened(workload=True) as stage:
        await stage.press("enter")
        await stage.shows("3 wanted", "3 ready", "Rolling, one by one", "Available, Progressing")
        assert len(pods(stage)) == 3
        await stage.until(lambda: stage.line("user-service:v2.0.0", "2 GiB"), "the revisions")
        await stage.until(lambda: "leak" in stage.line("user-service:v2.0.0"), "the growth of a revision")
        await stage.until(lambda: "was " in stage.line("user-service:v1.9.3"), "what an old revision did")
        assert "±" in stage.line("user-service:v1.9.3")
        await stage.until(lambda: " 2   1 d" in stage.line(pods(stage)[0][-5:], "leak"), "revision and age")
        await stage.shows("leak", "floor rises")
        assert "x Shell" not in stage.text
        await stage.press("x")
        await stage.shows("a workload has no processes")


async def test_a_pod_of_it_is_one_key_away_and_so_is_the_way_back(opened: Open) -> None:
    async with opened(workload=True) as stage:
        await stage.press("enter")
        await stage.until(lambda: len(pods(stage)) == 3, "the pods")
        second = pods(stage)[1]
        await stage.press("down", "enter")
        await stage.until(lambda: front(stage).subject.pod == second, "the pod's screen")
        await stage.shows("floor rises", "working set")
        await stage.press("W")
        await stage.until(lambda: not front(stage).subject.pod, "the workload's screen again")
        await stage.press("escape")
        assert isinstance(stage.app.screen, Overview)
        await stage.until(lambda: stage.selected == "deployment/user-service", "the row as it was left")


async def test_from_a_pods_row_the_workload_is_one_key_away(opened: Open) -> None:
    async with opened() as stage:
        pod = stage.selected
        await stage.press("W")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen) and pod in pods(stage), "its pods")
        await stage.shows("Revisions", "user-service:v1.9.3")
        await stage.press("t", "W")
        await stage.shows("Revisions")
        await stage.press("escape")
        await stage.until(lambda: stage.selected == pod, "the row as it was left")
        assert not stage.app.overview.view.workloads


async def test_keys_act_on_the_pod_under_the_cursor_and_on_the_workload(opened: Open) -> None:
    async with opened(workload=True) as stage:
        await stage.press("enter")
        await stage.until(lambda: len(pods(stage)) == 3, "the pods")
        await stage.press("down", "ctrl+d")
        await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
        title = f"Delete the pod {pods_behind(stage)[1]}"
        assert title in stage.text
        await stage.press("escape", "R")
        await stage.until(lambda: "Restart user-service" in stage.text, "the other plan")


def pods_behind(stage: Stage) -> list[str]:
    screen = next(screen for screen in stage.app.screen_stack if isinstance(screen, PodScreen))
    rows = screen.query_one(WorkloadTab).pods.rows
    assert isinstance(rows, MemberRows)
    return [rows.identity_at(i).pod for i in range(len(rows))]


async def test_what_has_no_revisions_says_so(opened: Open) -> None:
    async with opened("debug-shell", workload=True, size=(80, 24)) as stage:
        await stage.press("enter")
        await stage.shows("Pod production/debug-shell", "a Pod keeps no revisions")


async def test_without_an_answer_the_pods_are_still_there(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await stage.press("W")
        await stage.shows("the cluster is made by hand", "-bx2kq")


async def test_the_help_tells_of_it(play: Play, night: FakeCluster) -> None:
    async with play(night, size=(120, 80)) as stage:
        await stage.press("W", "question_mark")
        await stage.shows("its pods and revisions", "set the image of a container", "status of its rollout")


async def test_why_is_said_under_the_verdict_and_in_a_tab(serve: Serve) -> None:
    """What leaks has its likeliest cause said at once; Y lists all, with what to check next."""
    sections = {"namespaces": ("production",), "observe": {"keep_history": False}}
    with DemoThread(pods=20, speed=10) as demo:
        async with serve(demo, speed=10, size=(140, 40), **sections) as stage:
            await stage.select("user-service", workload=True)
            await stage.press("enter")
            await stage.shows("why?  unbounded cache: its log says it")
            await stage.shows("was sawtooth", "GROWTH ±95 %")
            await stage.press("Y")
            await stage.shows("Likely cause, of container user-service", "next: look for what adds and never")
