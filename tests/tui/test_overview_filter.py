"""The filter of the overview."""

from __future__ import annotations

import pytest

from tests.tui.cluster import BY_MEMORY, FakeCluster
from tests.tui.conftest import Play


class TestFilter:
    async def test_where_nothing_matches_nothing_is_drawn_or_opened(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night, size=(120, 40)) as stage:
            plot = stage.app.overview.plot
            await stage.until(lambda: plot.trend is not None, "the first row's graph")
            await stage.press("slash")
            await stage.paste("nobody")
            await stage.press("enter")
            await stage.until(lambda: plot.trend is None, "an empty plot")
            await stage.press("enter")
            await stage.until(lambda: len(stage.app._notifications), "a word")
            assert [note.message for note in stage.app._notifications] == ["Nothing matches /nobody"]
            await stage.press("escape")
            await stage.until(lambda: plot.trend is not None, "the first row's graph again")

    @pytest.mark.parametrize("tips", [True, False])
    async def test_an_empty_pane_says_what_can_be_done_from_there(
        self, play: Play, night: FakeCluster, tips: bool
    ) -> None:
        async with play(night, size=(120, 40), ui={"tips": tips}) as stage:
            await stage.press("slash")
            await stage.paste("nobody")
            await stage.shows("Nothing matches /nobody")
            assert ("Tip: esc clears the filter" in stage.text) is tips

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("user", {"user-service-7f86b968-ax2kq", "user-service-7f86b968-bx2kq"}),
            ("user bx", {"user-service-7f86b968-bx2kq"}),
            ("!user !order !batch", {"billing-5d9c7f-kk2p9", "search-0"}),
            ("app=search", {"search-0"}),
            ("!tier=backend log-agent", {"order-6b5f-2x9qq/log-agent"}),
            ("CrashLoop", {"report-crash-77"}),
            ("deployment/billing", {"billing-5d9c7f-kk2p9"}),
        ],
    )
    async def test_it_holds_as_soon_as_it_is_there(
        self, play: Play, night: FakeCluster, text: str, left: set[str]
    ) -> None:
        async with play(night) as stage:
            await stage.press("slash")
            await stage.paste(text)
            assert set(stage.rows()) == left
            await stage.press("enter")
            assert set(stage.rows()) == left
            assert text[:5] in stage.header
            await stage.press("escape")
            assert stage.rows() == BY_MEMORY

    async def test_keys_are_text_while_it_is_open(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("slash")
            await stage.type("q n?")
            assert stage.app.is_running
            assert stage.engine.view.filter.text == "q n?"
            assert "Nothing matches /q n?" in stage.text

    async def test_markup_in_a_filter_is_text(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("slash")
            await stage.type("[red]x[/")
            assert "Nothing matches /[red]x[/" in stage.text


class TestWhatTheHeaderCounts:
    @pytest.mark.parametrize(
        ("label", "rows"),
        [
            ("leaking", {BY_MEMORY[0], BY_MEMORY[1]}),
            ("suspected", {"search-0"}),
            ("near limit", {BY_MEMORY[0], BY_MEMORY[1], BY_MEMORY[4], BY_MEMORY[5]}),
        ],
    )
    async def test_a_click_on_a_count_shows_its_rows_and_a_second_click_all(
        self, play: Play, night: FakeCluster, label: str, rows: set[str]
    ) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.click(label)
            await stage.until(lambda: set(stage.rows()) == rows, "the rows that are counted")
            await stage.click(label)
            await stage.until(lambda: stage.rows() == BY_MEMORY, "all rows")

    async def test_a_click_on_a_narrow_screen(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(80, 24)) as stage:
            await stage.click("suspected")
            await stage.until(lambda: set(stage.rows()) == {"search-0"}, "the row that is counted")

    async def test_f_goes_from_count_to_count_and_back_to_all_rows(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night, size=(180, 50)) as stage:
            seen = []
            for _ in range(4):
                await stage.press("f")
                seen.append(stage.app.overview.view.filter.text)
            assert seen[:2] == ["is=leaking", "is=suspected"]
            while stage.app.overview.view.filter:
                await stage.press("f")
            await stage.until(lambda: stage.rows() == BY_MEMORY, "all rows")

    async def test_a_condition_goes_with_other_words_and_can_be_negated(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night) as stage:
            await stage.type("/prod is=near-limit !is=leaking")
            await stage.until(
                lambda: stage.rows() == [BY_MEMORY[4], BY_MEMORY[5]], "what is near its limit without a leak"
            )

    async def test_a_condition_that_does_not_exist_is_named(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.type("/is=leak")
            await stage.shows("is=leak is not known; there is leaking, suspected, near-limit")
