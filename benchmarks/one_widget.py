"""The least that Textual can show: what memtop's start is compared with."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static


class OneWidget(App[None]):
    """One line of text."""

    def compose(self) -> ComposeResult:
        """The line."""
        yield Static("one widget")


if __name__ == "__main__":
    OneWidget().run()
