"""The Trend tab: the engine is asked for the range that is chosen, and what is missing of it is said."""

from __future__ import annotations

from dataclasses import replace

from memtop.analysis.judgement import Judgement, Verdict
from memtop.history.past_requests import LookBackRequest, PastRequest
from memtop.history.past_series import ContainerName
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Play

HOUR = 3600.0
WEEK = 7 * 24 * HOUR


async def test_a_longer_range_is_asked_for_while_it_is_looked_at(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await stage.press("down", "enter")
        await stage.until(lambda: stage.engine.view.look_back_seconds == 24 * HOUR, "a day")
        opened = stage.engine.view.selected
        await stage.press("4")
        await stage.until(lambda: stage.engine.view.look_back_seconds == WEEK, "a week")
        assert stage.engine.view.selected == opened
        await stage.press("g")
        await stage.until(
            lambda: stage.engine.view.look_back_seconds == HOUR, "from the longest to the shortest"
        )
        await stage.press("4", "d")
        await stage.until(lambda: stage.engine.view.look_back_seconds == 0, "another tab draws nothing")
        await stage.press("t")
        await stage.until(lambda: stage.engine.view.look_back_seconds == WEEK, "the range that was chosen")
        await stage.press("escape")
        await stage.until(
            lambda: stage.engine.view.look_back_seconds == 0, "the overview needs no more than is kept"
        )
        assert stage.engine.view == stage.app.overview.view


async def test_what_is_missing_from_the_range_is_said(play: Play, night: FakeCluster) -> None:
    async with play(night, size=(140, 40)) as stage:
        await stage.press("down", "enter", "4")
        await stage.shows("7 d: oldest sample", "ago")


async def test_a_longer_range_on_its_way_is_said(play: Play, night: FakeCluster) -> None:
    request = PastRequest(ContainerName("production", "user-service", "app"))
    night.past_sources.look_backs.request = LookBackRequest((request,), WEEK)
    async with play(night, size=(140, 40)) as stage:
        await stage.press("down", "enter", "4")
        await stage.shows("7 d: asking Prometheus for 7 d …")
        night.past_sources.look_backs.problem = "it does not answer"
        await stage.push()
        await stage.shows("7 d: Prometheus does not say what was before: it does not answer")


async def test_a_row_that_is_asked_for_is_not_called_too_early(play: Play, cluster: FakeCluster) -> None:
    cluster.pod("young", 2**26, judged=Judgement(Verdict.NOT_ENOUGH_DATA, 1.0))
    cluster.sample()
    cluster.past_sources = replace(cluster.past_sources, waits=True)
    async with play(cluster, size=(180, 50)) as stage:
        await stage.press("down")
        await stage.shows("asking …", "asking Prometheus for its past …")
        assert "too early" not in stage.text
        cluster.past_sources = replace(cluster.past_sources, waits=False)
        await stage.push()
        await stage.shows("too early")
