"""The log view: what is in sight, what stays in sight, and whose text it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from widgets.log_view import GAP_LINE, LogRow, LogView


class Log(App[None]):
    """A view of lines that say their number."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.view = LogView(ascii_only=ascii_only)
        self.asked: list[int] = []
        self.rows: dict[int, LogRow] = {}

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.focus()

    def row(self, number: int) -> LogRow:
        self.asked.append(number)
        return self.rows.get(number, LogRow(f"line {number}"))

    def show(self, numbers: Sequence[int]) -> None:
        self.view.show(numbers, self.row)

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip(" ▐|") for strip in self.screen._compositor.render_strips()]

    def styled(self, word: str) -> list[str]:
        """The pieces of text that are underlined, as matches are."""
        segments = [s for strip in self.screen._compositor.render_strips() for s in strip]
        return [s.text for s in segments if word in s.text and s.style is not None and s.style.underline]


@asynccontextmanager
async def shown(
    numbers: Sequence[int], size: tuple[int, int] = (40, 10), *, ascii_only: bool = False
) -> AsyncIterator[tuple[Log, Pilot[None]]]:
    app = Log(ascii_only=ascii_only)
    async with app.run_test(size=size) as pilot:
        app.show(numbers)
        await pilot.pause()
        yield app, pilot


async def test_the_newest_line_is_at_the_bottom() -> None:
    async with shown(range(100)) as (app, pilot):
        assert app.lines == [f" line {n}" for n in range(90, 100)]
        app.show(range(105))
        await pilot.pause()
        assert app.lines[-1] == " line 104"


async def test_only_what_is_in_sight_is_asked_for() -> None:
    async with shown(range(200_000)) as (app, pilot):
        assert len(set(app.asked)) <= 10
        app.asked.clear()
        await pilot.press("pageup", "up", "home", "pagedown", "end")
        await pilot.pause()
        assert len(set(app.asked)) < 100


async def test_scrolling_up_stops_following_and_the_end_takes_it_up_again() -> None:
    async with shown(range(100)) as (app, pilot):
        await pilot.press("up")
        await pilot.pause()
        assert not app.view.following
        assert app.lines[-1] == " line 98"
        app.show(range(150))
        await pilot.pause()
        assert app.lines[-1] == " line 98", "what one reads stays where it is"
        assert app.view.below == 51
        await pilot.press("end")
        await pilot.pause()
        assert app.view.following
        assert app.lines[-1] == " line 149"
        await pilot.press("up", "down")
        await pilot.pause()
        assert app.view.following


async def test_what_is_read_stays_while_old_lines_are_dropped() -> None:
    async with shown(range(100)) as (app, pilot):
        await pilot.press("pageup")
        await pilot.pause()
        top = app.view.top
        assert top is not None
        app.show(range(50, 200))
        await pilot.pause()
        assert app.view.top == top
        app.show(range(95, 300))
        await pilot.pause()
        assert app.lines[0] == " line 95", "the oldest there is"


async def test_another_choice_of_lines_begins_at_the_same_place() -> None:
    async with shown(range(1000)) as (app, pilot):
        app.view.go(500)
        await pilot.pause()
        top = app.view.top
        assert top is not None
        app.show([n for n in range(1000) if n % 2])
        await pilot.pause()
        assert app.view.top in {top, top + 1}


async def test_a_line_that_is_gone_to_is_marked() -> None:
    async with shown(range(1000)) as (app, pilot):
        app.view.go(500)
        await pilot.pause()
        assert "▸line 500" in app.lines
        assert app.lines.index("▸line 500") == 3
        assert app.view.current == 500
        app.view.go(999)
        await pilot.pause()
        assert app.lines[-1] == "▸line 999"
        assert not app.view.following, "a match near the end is not run away from"


async def test_gaps_are_shown() -> None:
    async with shown([1, 2, GAP_LINE, 7]) as (app, _):
        assert app.lines[:4] == [" line 1", " line 2", "  --", " line 7"]


async def test_long_lines_are_wrapped_or_scrolled() -> None:
    async with shown([1, 2], size=(21, 6)) as (app, pilot):
        app.rows = {1: LogRow("abcdefghij" * 4, stamp="12:00")}
        app.show([1, 2])
        await pilot.pause()
        assert app.lines[:4] == [
            " 12:00 abcdefghijabc",
            "       defghijabcdef",
            "       ghijabcdefghi",
            "       j",
        ]
        app.view.set_wrap(False)
        await pilot.pause()
        assert app.lines[:2] == [" 12:00 abcdefghijab›", " line 2"]
        await pilot.press("right")
        await pilot.pause()
        assert app.lines[0] == " 12:00 ‹hijabcdefgh›"
        await pilot.press("left")
        await pilot.pause()
        assert app.lines[0] == " 12:00 abcdefghijab›"


async def test_one_scrolls_through_a_line_that_is_longer_than_the_screen() -> None:
    async with shown([1], size=(21, 5)) as (app, pilot):
        app.rows = {1: LogRow("".join(f"{n:04}" for n in range(200)))}
        app.show([1])
        await pilot.pause()
        last = app.lines[-1]
        await pilot.press("home")
        await pilot.pause()
        assert app.lines[0].startswith(" 00000001")
        await pilot.press(*["down"] * 45)
        await pilot.pause()
        assert app.lines[-1] == last


async def test_wide_letters_are_wrapped_by_their_width() -> None:
    async with shown([1], size=(11, 4)) as (app, pilot):
        app.rows = {1: LogRow("漢字漢字漢字")}
        app.show([1])
        await pilot.pause()
        assert [line.strip() for line in app.lines[:2]] == ["漢字漢字", "漢字"]


async def test_matches_are_marked_in_every_piece() -> None:
    async with shown([1], size=(21, 4)) as (app, pilot):
        app.rows = {1: LogRow("x" * 17 + "heap" + "x" * 5 + "heap", spans=[(17, 21), (26, 30)])}
        app.show([1])
        await pilot.pause()
        assert "".join(app.styled("")).replace(" ", "") == "heapheap"


async def test_other_peoples_text_is_literal() -> None:
    async with shown([1]) as (app, pilot):
        app.rows = {1: LogRow("[bold]x[/bold] \x1b[31m\ttab\u202e", owner="[red]a")}
        app.show([1])
        await pilot.pause()
        assert app.lines[0] == " [red]a [bold]x[/bold] �[31m tab�"


async def test_notes_stand_out_and_cut_lines_say_so() -> None:
    async with shown([1, 2]) as (app, pilot):
        app.rows = {1: LogRow("web was OOM-killed", note=True), 2: LogRow("abc", tail="… (cut)")}
        app.show([1, 2])
        await pilot.pause()
        assert app.lines[:2] == [" -- web was OOM-killed --", " abc … (cut)"]


async def test_nothing_to_show_says_why() -> None:
    async with shown([]) as (app, pilot):
        app.view.show((), app.row, empty="No line matches")
        await pilot.pause()
        assert "No line matches" in app.lines[1]
        await pilot.press("up", "down", "pageup", "pagedown", "home", "end", "right")
        app.show(range(3))
        await pilot.pause()
        assert app.lines[0] == " line 0"


async def test_a_smaller_window_keeps_the_newest_line_in_sight() -> None:
    async with shown(range(100)) as (app, pilot):
        await pilot.resize_terminal(30, 4)
        await pilot.pause()
        assert app.lines == [f" line {n}" for n in range(96, 100)]


async def test_the_wheel_scrolls() -> None:
    async with shown(range(100)) as (app, pilot):
        app.view.action_scroll_rows(-3)
        await pilot.pause()
        assert app.lines[-1] == " line 96"


@pytest.mark.parametrize("ascii_only", [True, False])
async def test_ascii_alone_will_do(ascii_only: bool) -> None:
    async with shown(range(100), ascii_only=ascii_only) as (app, pilot):
        app.rows = {n: LogRow("x" * 100) for n in range(100)}
        app.view.set_wrap(False)
        app.view.go(50)
        await pilot.pause()
        text = "".join(strip.text for strip in app.screen._compositor.render_strips())
        assert text.isascii() == ascii_only
