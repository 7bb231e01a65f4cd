"""The file that keeps the order of the panes: whatever is in its place, the screen opens."""

import os
from pathlib import Path

import pytest

from memtop.observe.view import DEFAULT_SORTS
from tui.overview.pane_columns import load_sorts

NESTED = "[" * 200_000 + "]" * 200_000


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sorts": 3}', NESTED, f'{{"sorts": {NESTED}}}'])
def test_what_makes_no_sense_is_the_default(tmp_path: Path, content: str) -> None:
    path = tmp_path / "preferences.json"
    path.write_text(content)
    assert load_sorts(path) == DEFAULT_SORTS


def test_a_fifo_or_a_folder_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert load_sorts(tmp_path / "fifo") == DEFAULT_SORTS
    assert load_sorts(tmp_path) == DEFAULT_SORTS
