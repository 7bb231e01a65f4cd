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
