from __future__ import annotations

import pytest
from textual.app import App

from widgets.cell_graphs import byte_progress
from widgets.confirm import ConfirmDialog, PlanLine

PLAN = [
    PlanLine("runs there", "jcmd 1 GC.heap_dump [bold]/tmp/x[/bold]", "command"),
    PlanLine("", "It may itself cause the OOM kill.", "critical"),
    PlanLine("", "It stands still.\x1b[31m", "warn"),
]
NOTHING = object()


class Host(App[None]):
    def __init__(
        self,
        lines: list[PlanLine] = PLAN,
        apply: str | None = "Capture",
        *,
        copy: str = "",
        typed: str = "",
        why: str = "",
    ) -> None:
        super().__init__()
        self.dialog = ConfirmDialog("Heap [dump]", lines, apply=apply, copy=copy, typed=typed, why_typed=why)
        self.agreed: object = NOTHING

    def on_mount(self) -> None:
        def keep(value: bool | None) -> None:
            self.agreed = value

        self.push_screen(self.dialog, keep)


def screen(app: App[None]) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize(
    ("keys", "agreed"),
    [
        (["enter"], False),
        (["escape"], False),
        (["n"], False),
        (["q"], False),
        (["y"], True),
        (["tab", "enter"], True),
        (["right", "enter"], True),
        (["right", "left", "enter"], False),
        (["x", "space", "down"], NOTHING),
    ],
)
async def test_only_a_yes_is_a_yes(keys, agreed):
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        assert app.agreed is agreed


async def test_the_plan_is_shown_literally_and_its_weights_without_colour():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        text = screen(app)
        assert "Heap [dump]" in text
        assert "jcmd 1 GC.heap_dump [bold]/tmp/x[/bold]" in text
        assert "!! It may itself cause the OOM kill." in text
        assert "! It stands still." in text
        assert "\x1b" not in text


async def test_a_long_plan_can_be_read_to_its_end_with_the_buttons_in_sight():
    app = Host([PlanLine(f"line {i}", f"text {i}") for i in range(100)])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "text 0" in screen(app)
        assert "Cancel (esc)" in screen(app)
        await pilot.press(*["pagedown"] * 10)
        await pilot.pause()
        assert "text 99" in screen(app)
        assert "Capture (y)" in screen(app)


async def test_without_anything_to_agree_to_there_is_only_a_way_out():
    app = Host(apply=None)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("y")
        assert app.agreed is NOTHING
        assert "Close (esc)" in screen(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.agreed is False


def test_progress_says_how_much_of_how_much():
    assert byte_progress(0, 0, 60, "braille").plain == ""
    assert byte_progress(2**21, 0, 60, "braille").plain == "2 MiB so far"
    half = byte_progress(2**20, 2**21, 60, "ascii").plain
    assert half == "============............ 50 %  1 MiB of 2 MiB"
    assert len(byte_progress(2**20, 2**21, 10, "block").plain) <= 10


async def test_where_a_name_has_to_be_typed_there_is_no_yes_before_it():
    app = Host(typed="nginx-y", why="prod is protected")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "prod is protected: type nginx-y to apply" in screen(app)
        await pilot.press("y", "n", "q", "enter")
        await pilot.pause()
        assert app.agreed is NOTHING, "letters belong to the name"
        assert '! that is not "nginx-y"' in screen(app)
        await pilot.press(*["backspace"] * 3, *"nginx-y", "enter")
        await pilot.pause()
        assert app.agreed is NOTHING, "enter in the name only moves on to the button"
        assert "press enter again to apply" in screen(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.agreed is True


async def test_a_typed_name_still_leaves_the_way_out():
    app = Host(typed="nginx")
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*"nginx", "escape")
        await pilot.pause()
        assert app.agreed is False


async def test_the_command_can_be_copied():
    app = Host(copy="kubectl set image deployment/a b=c")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "c copies the command" in screen(app)
        await pilot.press("c")
        await pilot.pause()
        assert app.clipboard == "kubectl set image deployment/a b=c"
        assert app.agreed is NOTHING


async def test_a_yes_that_comes_before_the_plan_is_painted_is_none():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        early = ConfirmDialog("Heap", PLAN)
        mounted = app.push_screen(early)
        early.action_decide(True)
        await mounted
        await pilot.pause()
        assert app.screen is early
        assert early.can_confirm


async def test_no_toast_lies_on_the_buttons():
    app = Host()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        app.notify("from before")
        await pilot.pause()
        assert "from before" in screen(app)
        lines = [PlanLine(f"line {i}", f"text {i}") for i in range(100)]
        await app.push_screen(ConfirmDialog("Heap", lines, copy="kubectl"))
        await pilot.pause()
        assert "from before" not in screen(app)
        await pilot.press("c")
        await pilot.pause()
        assert "on the clipboard" in screen(app)
        assert "Cancel (esc)" in screen(app)
        assert "Apply (y)" in screen(app)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 36)])
async def test_the_buttons_are_in_sight_however_much_is_shown_above_them(size):
    command = "kubectl -n production set resources deployment/user-service --limits=memory=4Gi " * 3
    lines = [PlanLine(f"line {i}", f"text {i} " * 12) for i in range(40)]
    app = Host(lines, "Apply", copy=command, typed="user-service", why="prod-eu-1 is a protected context")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.pause()
        text = screen(app)
        assert "Cancel (esc)" in text
        assert "Apply" in text
        assert "text 0" in text
        assert "type user-service" in " ".join(text.split()), "what is to be typed"
        assert app.dialog.query_one("#name").region.bottom <= size[1]


async def test_warnings_come_first_the_gravest_before_the_others():
    app = Host()
    async with app.run_test() as pilot:
        await pilot.pause()
        text = screen(app)
        assert text.index("cause the OOM kill") < text.index("stands still") < text.index("jcmd 1")


async def test_a_key_before_the_plan_is_on_the_screen_is_no_matter() -> None:
    app = Host()
    async with app.run_test() as pilot:
        early = ConfirmDialog("Early", PLAN)
        opened = app.push_screen(early)
        await early.run_action("scroll(10)")
        await opened
        await pilot.pause()
        assert app.screen is early
