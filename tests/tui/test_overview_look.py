"""The overview's titles and key bar, and its colours and characters."""

from __future__ import annotations

import pytest
from rich.style import Style

from memtop.observe.view import OverviewPane
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Play
from tui.overview.pane_columns import pane_columns


class TestKeyBar:
    @pytest.mark.parametrize("size", [(120, 36), (80, 24)])
    async def test_the_keys_of_an_incident_are_in_sight(
        self, play: Play, night: FakeCluster, size: tuple[int, int]
    ) -> None:
        async with play(night, size=size) as stage:
            for words in ("i Image", "M Limit", "R Restart", "u Undo", "o Rollout", "b Did it help?"):
                assert words in stage.lines[-1]


class TestTitles:
    @pytest.mark.parametrize("workloads", [False, True])
    def test_each_has_room_for_the_arrow_of_a_sorted_column(self, workloads: bool) -> None:
        for pane in OverviewPane:
            for column in pane_columns(pane, workloads):
                assert not column.sortable or len(column.title) < column.width, column.title


def _colourful(style: Style | None) -> bool:
    colours = (style.color, style.bgcolor) if style else ()
    return any(len(set(colour.get_truecolor())) > 1 for colour in colours if colour and not colour.is_default)


class TestLook:
    async def test_ascii_only(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50), ui={"symbols": "ascii"}) as stage:
            await stage.press("down")
            await stage.shows("floor rises")
            drawn = {character for character in stage.text if "\u2500" <= character <= "\u28ff"}
            assert not drawn, "no boxes, blocks or braille"

    async def test_no_colour(self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        async with play(night, size=(180, 50)) as stage:
            await stage.press("down")
            coloured = [
                segment.text
                for strip in stage.app.screen._compositor.render_strips()
                for segment in stage.app._filters[-1].apply(list(strip), stage.app.screen.styles.background)
                if _colourful(segment.style)
            ]
            assert not coloured
            assert "!! 2 leaking" in stage.header, "a sign says what the colour said"
            assert "✖ OOMKilled" in stage.text

    async def test_every_theme_works(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            for theme in sorted(stage.app.available_themes):
                stage.app.theme = theme
                await stage.pilot.pause()
                assert "1.85 GiB" in stage.text


async def test_the_namespace_is_in_sight_on_a_narrow_screen(play: Play, night: FakeCluster) -> None:
    async with play(night, size=(80, 24)) as stage:
        assert "NAMESPACE" not in stage.text
        assert stage.line("search-0").lstrip("▌ ").startswith("search/")
        stage.app.overview.restrict(frozenset({"search"}))
        await stage.until(lambda: len(stage.rows()) == 1, "one namespace")
        assert "search/" not in stage.line("search-0")
