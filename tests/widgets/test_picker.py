from __future__ import annotations

import pytest
from textual.app import App

from widgets.picker import Picker, PickerItem

ITEMS = [
    PickerItem("production", "production", "30 pods"),
    PickerItem("payments", "payments", "[red]4 pods"),
    PickerItem("kube-system", "kube-system", disabled="you may not list pods here"),
    PickerItem("default", "default"),
]
NOTHING = object()


class Host(App[None]):
    def __init__(self, items: list[PickerItem[str]] = ITEMS, current: str | None = None) -> None:
        super().__init__()
        self.items = items
        self.current = current
        self.picked: object = NOTHING

    def on_mount(self) -> None:
        def keep(value: str | None) -> None:
            self.picked = value

        self.push_screen(Picker("Namespace", self.items, current=self.current), keep)


def screen(app: App[None]) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize(
    ("current", "keys", "picked"),
    [
        (None, ["enter"], "production"),
        (None, ["down", "enter"], "payments"),
        ("payments", ["enter"], "payments"),
        ("payments", ["up", "enter"], "production"),
        (None, ["pagedown", "enter"], "default"),
        (None, ["d", "e", "f", "enter"], "default"),
        (None, ["p", "m", "t", "enter"], "payments"),
        ("payments", ["escape"], None),
        (None, ["z", "z", "enter"], NOTHING),
    ],
)
async def test_keys_choose(current, keys, picked):
    app = Host(current=current)
    async with app.run_test() as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.picked == picked


async def test_typing_narrows_the_list_down_and_words_are_literal():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "[red]4 pods" in screen(app)
        await pilot.press("p", "a")
        assert "payments" in screen(app)
        assert "production" not in screen(app)
        await pilot.press("z")
        assert "Nothing matches" in screen(app)


async def test_what_can_not_be_chosen_says_why_and_stays_open():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.press("k", "u", "b", "enter")
        await pilot.pause()
        assert app.picked is NOTHING
        assert "kube-system: you may not list pods here" in screen(app)


async def test_ten_thousand_choices_are_no_burden():
    app = Host([PickerItem(f"ns-{i}", f"ns-{i}") for i in range(10_000)])
    async with app.run_test() as pilot:
        await pilot.press(*"ns-9999", "enter")
        await pilot.pause()
        assert app.picked == "ns-9999"


async def test_the_mouse_chooses_with_a_second_click():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.click("LiveTable", offset=(3, 2))
        assert app.picked is NOTHING
        await pilot.click("LiveTable", offset=(3, 2))
        await pilot.pause()
        assert app.picked == "payments"
