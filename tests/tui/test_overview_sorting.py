"""The order of the overview's rows, and how it is remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from memtop.observe.view import OverviewPane, RowSort, SortColumn
from tests.tui.cluster import BY_MEMORY, FakeCluster
from tests.tui.conftest import Engines, Play
from tui.overview import pane_columns


class TestSorting:
    async def test_the_next_column_and_back(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("s")
            assert stage.engine.view.sorts[OverviewPane.TOP] == RowSort(SortColumn.LIMIT)
            assert stage.rows()[0] == "billing-5d9c7f-kk2p9"
            await stage.press("S")
            assert stage.engine.view.sorts[OverviewPane.TOP] == RowSort(SortColumn.LIMIT, descending=False)
            assert stage.rows()[-2] == "billing-5d9c7f-kk2p9"
            assert stage.rows()[-1] == "scratch", "what has no limit comes last either way"

    async def test_every_column_can_be_sorted_by(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            for pane in OverviewPane:
                seen: list[SortColumn] = []
                while (column := stage.engine.view.sorts[pane].column) not in seen:
                    seen.append(column)
                    assert len(stage.rows(pane)) > 0
                    await stage.press("s")
                assert len(seen) > 4
                await stage.press("tab")

    async def test_the_order_is_remembered(self, play: Play, night: FakeCluster, engines: Engines) -> None:
        async with play(night) as stage:
            await stage.press("s", "S")
            chosen = stage.engine.view.sorts
        async with play(night) as stage:
            assert stage.engine.view.sorts == chosen
            assert len(engines) == 2

    def test_what_is_tried_in_the_demo_stays_there(self) -> None:
        assert pane_columns.preferences_path(demo=True) != pane_columns.preferences_path()

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"sorts": {"top": ["nonsense", true]}}', "\0"])
    async def test_a_broken_memory_is_forgotten(self, play: Play, night: FakeCluster, content: str) -> None:
        file = pane_columns.preferences_path()
        file.parent.mkdir(parents=True)
        file.write_text(content)
        async with play(night) as stage:
            assert stage.rows() == BY_MEMORY
            await stage.press("s")
        assert json.loads(file.read_text())["sorts"]["top"] == ["limit", True]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    async def test_a_state_folder_that_cannot_be_written_costs_nothing_else(
        self, play: Play, night: FakeCluster, tmp_path: Path
    ) -> None:
        (tmp_path / "state").mkdir(mode=0o500)
        async with play(night) as stage:
            await stage.press("s")
            assert stage.engine.view.sorts[OverviewPane.TOP] == RowSort(SortColumn.LIMIT)
