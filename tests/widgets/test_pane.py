from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Input

from widgets.panes import PaneTitle, TitledPane


class Panes(App[None]):
    clicked: int | None = None

    def compose(self) -> ComposeResult:
        yield TitledPane("Top memory", Input(id="one"), id="top")
        yield TitledPane("Restarts", Input(id="two"), id="restarts")

    def on_pane_title_tab_clicked(self, message: PaneTitle.TabClicked) -> None:
        self.clicked = message.index


def screen(app: App[None]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def title(app: App[None], words: str) -> str:
    return next(line for line in screen(app) if words in line)


async def test_the_pane_with_the_focus_is_marked_by_a_sign():
    app = Panes()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.query_one("#two").focus()
        await pilot.pause()
        assert title(app, "Restarts").startswith("▌")
        assert title(app, "Top memory").startswith(" ")
        app.query_one("#one").focus()
        await pilot.pause()
        assert title(app, "Restarts").startswith(" ")
        assert title(app, "Top memory").startswith("▌")


async def test_the_subtitle_stands_at_the_right_and_is_never_markup():
    app = Panes()
    async with app.run_test(size=(60, 20)) as pilot:
        app.query_one("#top", TitledPane).describe(subtitle="128 · by share ▼ · /[red]foo")
        await pilot.pause()
        line = title(app, "Top memory")
        assert line.endswith("128 · by share ▼ · /[red]foo ")
        assert len(line) == 60
        app.query_one("#top", TitledPane).describe(title="Growth")
        await pilot.pause()
        assert "128" in title(app, "Growth")


async def test_on_a_small_screen_the_title_holds_the_tabs():
    app = Panes()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one("#top", TitledPane).describe(tabs=["Top memory", "Restarts", "Growth"])
        await pilot.pause()
        assert "Top memory │ Restarts │ Growth ─" in screen(app)[0]
        await pilot.click("#top PaneTitle", offset=(16, 0))
        assert app.clicked == 1
        await pilot.click("#top PaneTitle", offset=(60, 0))
        assert app.clicked == 1


async def test_it_fits_any_width():
    app = Panes()
    async with app.run_test(size=(12, 20)) as pilot:
        app.query_one("#top", TitledPane).describe(subtitle="128 containers by share")
        await pilot.pause()
        assert len(screen(app)[0]) == 12
        assert "Top memory" in screen(app)[0]
