"""The README's table of settings says what the program does."""

from pathlib import Path

from config.options import markdown_table

README = Path(__file__).parents[2] / "README.md"


def test_readme_lists_every_setting_as_it_is() -> None:
    assert markdown_table().strip() in README.read_text(encoding="utf-8")
