"""The selected row of the overview, by key and by mouse, whatever moves beneath it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memtop.analysis.judgement import Judgement, Verdict
from memtop.observe.slots import ContainerKey
from memtop.observe.view import OverviewPane, RowSort, SortColumn
from tests.tui.cluster import GI, Ended, FakeCluster
from tests.tui.conftest import Play
from tests.tui.stage import Stage
from tui.overview import screen, selection


async def reorder(stage: Stage, night: FakeCluster, name: str = "noisy") -> None:
    """Another pod comes to the top of every pane, and is the most urgent."""
    leak = Judgement(Verdict.LEAK, 0.99, 9 * GI, seconds_to_limit=300.0)
    night.pod(name, 3 * GI, 4 * GI, restarts=40, ended=Ended("OOMKilled", 137, 30), judged=leak)
    night.wait(60)
    night.sample()
    await stage.push()


class TestSelection:
    async def test_it_starts_on_the_most_urgent_row(self, play: Play, night: FakeCluster) -> None:
        leak = Judgement(Verdict.LEAK, 0.99, 9 * GI, seconds_to_limit=300.0)
        night.pod("small", 0.1 * GI, 0.2 * GI, judged=leak)
        night.pod("large", 9 * GI, 10 * GI)
        night.sample()
        async with play(night) as stage:
            assert stage.rows()[0] == "large"
            await stage.until(lambda: stage.selected == "small", "what needs somebody first")
            await stage.press("up")
            assert stage.selected != "small"
            await stage.push()
            assert stage.selected != "small", "it is moved by nobody but its user"

    async def test_it_rests_on_the_most_urgent_row_until_the_past_is_known(
        self, play: Play, night: FakeCluster
    ) -> None:
        night.past_sources = replace(night.past_sources, settled=False)
        async with play(night) as stage:
            first = stage.selected
            await stage.until(lambda: stage.app.frame.detail is not None, "the row drawn large")
            await stage.push()
            await reorder(stage, night)
            assert stage.selected == "noisy", "what Prometheus tells of it makes it the most urgent"
            assert first != "noisy"

    async def test_it_stays_on_its_pod_when_rows_move(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("down", "down", "down")
            assert stage.selected == "search-0"
            night.pod("newcomer", 3 * GI, 4 * GI)
            night.gone("billing-5d9c7f-kk2p9")
            night.wait(60)
            night.sample()
            await stage.push()
            assert stage.rows()[0] == "newcomer"
            assert stage.selected == "search-0"

    async def test_it_is_drawn_large(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.press("down")
            second = ContainerKey("user-service-7f86b968-ax2kq", "app")
            await stage.until(lambda: stage.engine.view.selected == second, "the second row to be asked for")
            await stage.shows("floor rises 512 MiB/h (±32)", "across 3 OOM kills", "✖ OOM kill")

    async def test_a_moving_cursor_does_not_ask_at_every_row(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press(*["down"] * 7)
            last = ContainerKey("report-crash-77", "app")
            await stage.until(lambda: stage.engine.view.selected == last, "the last row to be asked for")
            assert len([view for view in stage.engine.views if view.selected]) < 7

    async def test_the_selected_pod_may_go(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("end")
            assert stage.selected == "report-crash-77"
            night.gone("report-crash-77")
            await stage.push()
            assert stage.selected == "scratch"

    async def test_what_was_drawn_large_stays_selected_when_rows_move(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.press("tab")
            first = stage.rows(OverviewPane.RESTARTS)[0]
            plot = stage.app.overview.plot
            await stage.until(lambda: plot.trend and first in plot.trend.title, "its graph")
            await reorder(stage, night)
            assert stage.rows(OverviewPane.RESTARTS)[0] == "noisy"
            assert stage.selected == first

    async def test_a_filter_keeps_its_row_and_so_does_clearing_it(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "SELECTION_SECONDS", 60.0)  # nothing is drawn large meanwhile
        async with play(night) as stage:
            await stage.press("tab", "slash")
            await stage.paste("user")
            await stage.press("enter")
            chosen = stage.selected
            await reorder(stage, night, "user-service-new")
            assert stage.rows(OverviewPane.RESTARTS)[0] == "user-service-new"
            assert stage.selected == chosen
            await stage.press("escape")
            assert len(stage.rows(OverviewPane.RESTARTS)) > 2
            assert stage.selected == chosen

    async def test_a_filter_without_the_row_selects_its_first(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("end", "slash")
            await stage.paste("user")
            assert stage.selected == stage.rows()[0]

    async def test_a_key_never_means_a_row_that_slid_beneath_the_cursor_just_now(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "SELECTION_SECONDS", 60.0)
        async with play(night) as stage:
            await stage.press("tab")
            seen = stage.selected
            await reorder(stage, night)
            assert stage.selected == "noisy", "the cursor rests on what is most urgent"
            row = stage.app.overview.row
            assert row is not None
            assert row.title == seen
            monkeypatch.setattr(selection, "SLID_SECONDS", 0.0)
            row = stage.app.overview.row
            assert row is not None
            assert row.title == "noisy", "by then it has been seen"

    async def test_a_key_means_the_row_that_its_user_has_moved_to(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "SELECTION_SECONDS", 60.0)
        monkeypatch.setattr(selection, "SLID_SECONDS", 60.0)
        async with play(night) as stage:
            await stage.press("tab")
            await reorder(stage, night)
            row = stage.app.overview.row
            assert row is not None
            assert row.title != "noisy", "it has slid beneath the cursor just now"
            await stage.press("down", "up")
            assert stage.selected == "noisy"
            row = stage.app.overview.row
            assert row is not None
            assert row.title == "noisy"

    async def test_what_a_key_opened_is_still_selected_when_one_comes_back(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "SELECTION_SECONDS", 60.0)
        async with play(night) as stage:
            await stage.press("tab")
            seen = stage.selected
            await stage.press("enter")
            await reorder(stage, night)
            await stage.press("escape")
            await stage.until(lambda: stage.rows(OverviewPane.RESTARTS)[0] == "noisy", "the newest rows")
            assert stage.selected == seen


class TestMouse:
    async def test_a_row_a_title_and_a_pane(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.click("/billing")
            assert stage.selected == "billing-5d9c7f-kk2p9"
            await stage.click("%LIMIT")
            assert stage.engine.view.sorts[OverviewPane.TOP] == RowSort(SortColumn.SHARE)
            assert stage.selected == "billing-5d9c7f-kk2p9"
            await stage.click("✖ OOMKilled")
            assert stage.app.overview.tables[OverviewPane.RESTARTS].has_focus

    async def test_a_tab(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(80, 24)) as stage:
            await stage.click("Growth")
            assert stage.app.overview.tables[OverviewPane.GROWTH].has_focus
            assert "leak" in stage.line("ax2kq")
