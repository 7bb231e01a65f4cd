from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from widgets.key_and_filter_bars import KeyBar


class Keys(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "first", "First"),
        Binding("b", "second", "Second"),
        Binding("h", "first", "Hidden", show=False),
        Binding("z", "first", "The same again"),
    ]
    allowed = True
    done = 0

    def compose(self) -> ComposeResult:
        yield Static("text")
        yield KeyBar()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return (self.allowed or None) if action == "second" else True

    def action_first(self) -> None:
        self.done += 1

    def action_second(self) -> None:
        self.done += 10


def shown(app: App[None]) -> str:
    return app.query_one(KeyBar).render_line(0).text


async def test_it_shows_each_key_once_and_no_hidden_one():
    app = Keys()
    async with app.run_test(size=(60, 10)):
        assert "a First" in shown(app)
        assert "b Second" in shown(app)
        assert "Hidden" not in shown(app)
        assert "again" not in shown(app)


async def test_a_key_that_cannot_be_used_now_is_faint():
    app = Keys()
    async with app.run_test(size=(60, 10)) as pilot:
        bar = app.query_one(KeyBar)

        def style_of_second() -> object:
            return next(segment.style for segment in bar.render_line(0) if "Second" in segment.text)

        before = style_of_second()
        app.allowed = False
        app.refresh_bindings()
        await pilot.pause()
        assert style_of_second() != before
        assert "Second" in shown(app)


async def test_a_click_presses_the_key():
    app = Keys()
    async with app.run_test(size=(60, 10)) as pilot:
        await pilot.click(KeyBar, offset=(shown(app).index("Second"), 0))
        await pilot.pause()
        assert app.done == 10


async def test_keys_that_do_not_fit_are_left_out_whole():
    app = Keys()
    async with app.run_test(size=(12, 10)):
        assert shown(app).strip() == "a First"


async def test_keys_come_in_the_order_that_is_asked_for():
    class Ordered(Keys):
        def compose(self) -> ComposeResult:
            yield KeyBar(["b"])

    app = Ordered()
    async with app.run_test(size=(100, 10)):
        assert shown(app).startswith(" b Second  a First")


async def test_the_ways_out_come_first_where_no_order_is_asked_for():
    class Leaving(Keys):
        BINDINGS: ClassVar[list[BindingType]] = [
            Binding("q", "quit", "Quit"),
            Binding("question_mark", "third", "Help", key_display="?"),
            Binding("escape", "fourth", "Back"),
        ]

    app = Leaving()
    async with app.run_test(size=(22, 10)):
        assert shown(app) == "esc Back ? Help q Quit"


async def test_a_narrow_bar_has_no_blank_to_spare():
    app = Keys()
    async with app.run_test(size=(16, 10)):
        assert shown(app) == "a First b Second"
