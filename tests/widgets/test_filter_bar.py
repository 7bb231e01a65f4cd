from __future__ import annotations

from textual.app import App, ComposeResult

from widgets.key_and_filter_bars import FilterBar


class Filter(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.bar = FilterBar(hint="text or label=value")
        self.heard: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        yield self.bar

    def on_mount(self) -> None:
        self.bar.open()

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        self.heard.append(("changed", message.text))

    def on_filter_bar_submitted(self, message: FilterBar.Submitted) -> None:
        self.heard.append(("submitted", message.text))

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        self.heard.append(("closed", ""))


async def test_it_filters_while_one_types_and_enter_keeps_it():
    app = Filter()
    async with app.run_test() as pilot:
        await pilot.press("j", "v", "m", "enter")
        assert app.heard == [("changed", "j"), ("changed", "jv"), ("changed", "jvm"), ("submitted", "jvm")]


async def test_escape_clears_then_closes():
    app = Filter()
    async with app.run_test() as pilot:
        await pilot.press("a", "escape")
        assert app.heard == [("changed", "a"), ("changed", "")]
        await pilot.press("escape")
        assert app.heard[-1] == ("closed", "")


async def test_earlier_filters_come_back_each_once():
    app = Filter()
    async with app.run_test() as pilot:
        await pilot.press("a", "enter")
        app.bar.open()
        await pilot.press("b", "enter")
        app.bar.open()
        await pilot.press("a", "enter")
        app.bar.open("x")
        seen = []
        for key in ("up", "up", "up", "down", "down"):
            await pilot.press(key)
            seen.append(app.bar.text)
        assert seen == ["a", "b", "b", "a", ""]


async def test_opening_it_on_a_filter_does_not_announce_it_again():
    app = Filter()
    async with app.run_test() as pilot:
        app.bar.open("!kube")
        await pilot.pause()
        assert app.heard == []
        await pilot.press("x")
        assert app.heard == [("changed", "!kubex")]


async def test_what_is_wrong_is_said_until_one_types_on():
    app = Filter()
    async with app.run_test(size=(80, 5)) as pilot:
        app.bar.problem = "'[a' is no pattern: [unclosed] set"
        await pilot.pause()
        text = app.screen._compositor.render_strips()[0].text
        assert "'[a' is no pattern: [unclosed] set" in text
        await pilot.press("b")
        assert app.bar.problem == ""
