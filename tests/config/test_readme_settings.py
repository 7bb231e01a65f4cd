"""The manual's table of settings says what the program does."""

from pathlib import Path

from config.options import markdown_table

MANUAL = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_manual_lists_every_setting_as_it_is() -> None:
    assert markdown_table().strip() in MANUAL.read_text(encoding="utf-8")
