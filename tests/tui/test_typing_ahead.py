"""Keys that come faster than the screen follows, as over a slow line: each goes where it belongs."""

from __future__ import annotations

from textual.events import Key
from textual.keys import _character_to_key

from memtop.observe.view import OverviewPane
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Play
from tests.tui.stage import Stage
from tui.overview.screen import Overview
from tui.pod.screen import PodScreen

CHARACTERS = {"enter": "\r", "tab": "\t", "escape": "\x1b"}


async def burst(stage: Stage, *keys: str) -> None:
    """Presses keys without waiting for what any of them does."""
    for key in keys:
        character = CHARACTERS.get(key, key if len(key) == 1 else None)
        name = _character_to_key(key) if len(key) == 1 else key
        stage.app.post_message(Key(name, character))
    await stage.pilot.pause()


async def test_what_follows_the_enter_of_a_filter_is_no_part_of_it(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await burst(stage, "/", *"user", "enter", "w")
        await stage.until(lambda: stage.app.overview.view.workloads, "workloads")
        assert stage.app.overview.view.filter.text == "user"
        assert not stage.app.overview.has_class("-filtering")


async def test_a_filter_that_was_typed_at_once_is_remembered_whole(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await burst(stage, "/", *"search", "enter")
        await stage.until(lambda: stage.app.overview.view.filter.text == "search", "the filter")
        await stage.press("escape", "slash", "up")
        await stage.until(lambda: stage.app.overview.filter_bar.text == "search", "the filter of before")


async def test_a_key_after_tab_goes_to_the_next_pane(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await burst(stage, "tab", "j")
        tables = stage.app.overview.tables
        await stage.until(lambda: tables[OverviewPane.RESTARTS].cursor_row == 1, "the second pane's cursor")
        assert tables[OverviewPane.TOP].cursor_row == 0


async def test_tab_tab_enter_opens_the_third_panes_row(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await burst(stage, "tab", "tab", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the open pod")
        assert stage.app.overview.tables[OverviewPane.GROWTH].has_focus
        assert stage.rows(OverviewPane.GROWTH)[0] in stage.text


async def test_the_opened_row_understands_the_next_key(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await burst(stage, "enter", "e")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the open pod")
        await stage.until(lambda: stage.app.screen.query("EventsTab").first().has_focus_within, "its events")


async def test_a_key_after_enter_goes_to_the_opened_row(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await burst(stage, "enter", "escape", "j")
        await stage.until(
            lambda: stage.app.overview.tables[OverviewPane.TOP].cursor_row == 1, "the second row"
        )
        assert isinstance(stage.app.screen, Overview)


async def test_enter_opens_the_row_that_the_keys_before_it_went_to(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        third = stage.rows()[2]
        await burst(stage, "j", "j", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the open pod")
        assert third in stage.text


async def test_a_key_whose_widget_is_gone_does_not_hold_up_the_next(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        await burst(stage, "question_mark", "escape", "question_mark", "escape", "j")
        await stage.until(
            lambda: stage.app.overview.tables[OverviewPane.TOP].cursor_row == 1, "the second row"
        )


async def test_a_flood_of_keys_is_cut_short_and_said(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        for _ in range(5_000):
            stage.app.post_message(Key("y", "y"))
        await stage.shows("keys came faster")
        await stage.press("j")
        assert stage.app.overview.tables[OverviewPane.TOP].cursor_row == 1


async def test_enter_after_a_filter_opens_a_row_that_the_filter_keeps(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        assert not stage.rows()[0].startswith("search")
        await burst(stage, "/", *"search", "enter", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the open pod")
        assert "search-0" in stage.text


async def test_a_key_never_means_a_row_of_before_the_filter(play: Play, night: FakeCluster) -> None:
    async with play(night) as stage:
        overview = stage.app.overview
        assert overview.row is not None
        overview._filter("search")
        assert overview.row is None
        assert "press the key again" in overview.nothing
        await stage.until(lambda: overview.row is not None, "the row that the filter keeps")
        assert overview.row.pod == "search-0"
