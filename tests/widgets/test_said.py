from __future__ import annotations

from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import Static

from widgets.line_widget import TextBlock


class Speaker(App[None]):
    words = ("one",)

    def compose(self) -> ComposeResult:
        yield TextBlock(lambda width, height: [Text(f"{word} {width}x{height}") for word in self.words], 3)
        yield Static("below")


def screen(app: App[None]) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


async def test_what_is_below_stays_where_it_is_however_much_is_said():
    app = Speaker()
    async with app.run_test(size=(20, 5)) as pilot:
        assert screen(app)[:4] == ["one 20x3", "", "", "below"]
        app.words = ("one", "two", "three", "four")
        app.query_one(TextBlock).redraw()
        await pilot.pause()
        assert screen(app)[:4] == ["one 20x3", "two 20x3", "three 20x3", "below"]
