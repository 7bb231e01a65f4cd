"""The tabs Describe and Events of the pod screen, on the embedded cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from memtop.demo.thread import DemoThread
from memtop.kube.core_events import ClusterEvent, KnownEvents
from tests.api import Api
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Open, Play, Serve
from tests.tui.stage import Stage
from tui.pod.describe_tab import DescribeTab
from tui.pod.events_tab import EventsTab
from tui.pod.screen import PodScreen

APP = "user-service"


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoThread]:
    """One embedded cluster for all of them."""
    with DemoThread(pods=30) as running:
        yield running


@pytest.fixture
def opened(demo: DemoThread, serve: Serve) -> Open:
    """``async with opened("admin", workload=False)``: the pod screen of user-service."""

    @asynccontextmanager
    async def start(
        user: str = "admin", *, workload: bool = False, size: tuple[int, int] = (130, 44)
    ) -> AsyncIterator[Stage]:
        async with serve(demo, user, namespaces=("production",), size=size) as stage:
            await stage.select(APP, workload=workload)
            await stage.press("enter")
            await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod screen")
            yield stage

    return start


def document(stage: Stage) -> list[str]:
    return stage.app.screen.query_one(DescribeTab).view.plain


def pod_name(stage: Stage) -> str:
    assert isinstance(stage.app.screen, PodScreen)
    return stage.app.screen.subject.pod


async def test_what_matters_for_memory_comes_first_and_then_kubectls_words(opened: Open) -> None:
    async with opened() as stage:
        await stage.press("d")
        await stage.shows("OOMKilled", "Ran For:", "Deployment/user-service", "MemoryPressure")
        lines = document(stage)
        assert lines[0] == "Memory:"
        kubectl = lines[lines.index("") + 1 :]
        assert kubectl[0].split() == ["Name:", pod_name(stage)]
        assert [line for line in kubectl if line and not line.startswith(" ")][-1].startswith("Events:")


async def test_a_change_of_the_pod_is_shown_and_the_place_is_kept(opened: Open, demo: DemoThread) -> None:
    async with opened(size=(130, 24)) as stage:
        await stage.press("d")
        await stage.shows("OOMKilled")
        await stage.press("pagedown")
        place = document(stage)[stage.app.screen.query_one(DescribeTab).view.top]
        name = pod_name(stage)
        labelled = {"metadata": {"labels": {"a-first": "one"}}}
        Api(demo).change(f"/api/v1/namespaces/production/pods/{name}", labelled)
        await stage.until(lambda: any("a-first=one" in line for line in document(stage)), "the new label")
        assert document(stage)[stage.app.screen.query_one(DescribeTab).view.top] == place


async def test_a_filter_keeps_matching_lines_under_their_headings_and_escape_shows_all(opened: Open) -> None:
    async with opened() as stage:
        await stage.press("d")
        await stage.shows("OOMKilled")
        whole = len(document(stage))
        await stage.type("/oomkilled")
        await stage.shows("1 of ")
        kept = document(stage)
        assert len(kept) < whole
        followed_by = zip(kept, [*kept[1:], ""], strict=True)
        assert all("oomkilled" in line.lower() or below.startswith(" ") for line, below in followed_by)
        await stage.press("enter", "n")
        await stage.shows("2 of ")
        await stage.press("N")
        await stage.shows("1 of ")
        await stage.press("escape")
        assert isinstance(stage.app.screen, PodScreen)
        assert "1 of " not in stage.text
        assert len(document(stage)) >= whole
        await stage.type("/no such words")
        await stage.shows("'no such words' is nowhere in it")
        await stage.press("escape", "escape", "escape")
        assert not isinstance(stage.app.screen, PodScreen)


async def test_one_key_goes_to_the_workload_to_the_node_and_back_and_another_to_the_yaml(
    opened: Open,
) -> None:
    async with opened() as stage:
        await stage.press("d")
        await stage.shows("O: Deployment/user-service")
        await stage.press("y")
        await stage.shows("YAML")
        assert "metadata:" in document(stage)
        assert not any("f:metadata" in line for line in document(stage))
        await stage.press("y")
        assert document(stage)[0] == "Memory:"
        await stage.press("O")
        await stage.shows("Deployment production/user-service", "StrategyType:")
        await stage.press("O")
        await stage.shows("Allocatable:", "Node node-")
        await stage.press("O")
        await stage.shows(f"Pod production/{pod_name(stage)}", "Memory:")


async def test_a_workloads_row_describes_the_workload(opened: Open) -> None:
    async with opened(workload=True) as stage:
        await stage.press("d")
        await stage.shows("Deployment production/user-service", "RollingUpdateStrategy:", "Pod Template:")


async def test_events_are_told_with_the_kills_on_the_time_axis(opened: Open) -> None:
    async with opened() as stage:
        await stage.press("e")
        await stage.shows("OOMKilling", "BackOff", "Last 6 h", "✖ OOM kill", "node/node-")
        await stage.shows("events of Pod/", "Deployment/user-service", "Node/node-")
        await stage.press("g")
        await stage.shows("Last 24 h")
        await stage.press("m")
        await stage.until(lambda: "BackOff" not in stage.text, "only what is about memory")
        await stage.shows("OOMKilling: Memory cgroup out of memory: Killed process")  # as a whole, below


async def test_other_pods_kills_are_one_line_that_opens(opened: Open) -> None:
    async with opened() as stage:
        await stage.press("e")
        await stage.shows("OOMKilling", "BackOff")
        tab = stage.app.screen.query_one(EventsTab)
        kills = tuple(
            ClusterEvent(
                "Node", "node-1", "", True, "SystemOOM", f"victim process: go, pid: {pid}", "", 1, 1.0, 1.0
            )
            for pid in (17, 18)
        )
        tab.post_message(EventsTab.Told(KnownEvents(kills)))
        await stage.shows("OOM kills on this node at other times than this pod's: go ×2")
        assert stage.text.count(" others ") == 1
        await stage.press("G", "enter")
        await stage.shows("pid: 17", "pid: 18")
        await stage.press("enter")
        await stage.until(lambda: "pid: 17" not in stage.text, "one line again")


async def test_a_closed_tab_watches_nothing(opened: Open, demo: DemoThread) -> None:
    def watches() -> int:
        return demo.call(lambda: len(demo.server._router.watches))

    async with opened() as stage:
        before = watches()
        await stage.press("d")
        await stage.until(lambda: watches() >= before + 2, "the pod and its events to be watched")
        await stage.press("e")
        await stage.until(lambda: watches() >= before + 4, "four kinds of events to be watched")
        await stage.press("t")
        await stage.until(lambda: watches() == before, "nothing to be watched any more")
        await stage.press("d", "escape")
        await stage.until(lambda: watches() == before, "nothing to be watched once the screen is left")


async def test_who_may_not_see_nodes_is_told_so(opened: Open) -> None:
    async with opened("one-namespace") as stage:
        await stage.press("d")
        await stage.shows("OOMKilled", "MemoryPressure not known: nodes")
        await stage.press("e")
        await stage.shows("BackOff", "forbidden")


@pytest.mark.parametrize("key", ["d", "e"])
async def test_why_nothing_can_be_said_is_said(play: Play, night: FakeCluster, key: str) -> None:
    async with play(night) as stage:
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod screen")
        await stage.press(key)
        await stage.shows("the cluster is made by hand")


async def test_the_help_tells_of_them(play: Play, night: FakeCluster) -> None:
    async with play(night, size=(120, 60)) as stage:
        await stage.press("enter", "question_mark")
        await stage.shows("describe, with what matters for memory first", "events of the pod", "YAML")


async def test_they_do_with_a_small_screen_and_ascii(play: Play, night: FakeCluster) -> None:
    async with play(night, size=(60, 16), ui={"symbols": "ascii"}) as stage:
        await stage.press("enter", "d")
        await stage.shows("the cluster is made by hand")
        await stage.press("e")
        await stage.shows("Last 6 h")
