from __future__ import annotations

import pytest
from rich.color import ColorSystem
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown

from tests.widgets.rows import Pods
from widgets.table import LiveTable
from widgets.table_parts import TableColumn

COLUMNS = [
    TableColumn("name", "Container", 12, flex=1, max_width=40),
    TableColumn("memory", "Memory", 8, justify="right"),
    TableColumn("node", "Node", 10, drop_order=1, sortable=False),
]


class Table(App[None]):
    CSS = "LiveTable { height: 1fr; }"

    def __init__(self, rows: Pods) -> None:
        super().__init__()
        self.pods = rows
        self.heard: list[object] = []
        self.painted: list[int] = []

    def compose(self) -> ComposeResult:
        yield Spied(COLUMNS)

    def on_mount(self) -> None:
        self.table.show(self.pods)
        self.table.focus()

    @property
    def table(self) -> Spied:
        return self.query_one(Spied)

    def on_live_table_selected(self, message: LiveTable.Selected) -> None:
        self.heard.append(("selected", message.key))

    def on_live_table_activated(self, message: LiveTable.Activated) -> None:
        self.heard.append(("activated", message.key))

    def on_live_table_sort_requested(self, message: LiveTable.SortRequested) -> None:
        self.heard.append(("sort", message.column_key))


class Spied(LiveTable):
    def render_line(self, y: int):
        self.app.painted.append(y)
        return super().render_line(y)


def screen(app: App[None]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


async def test_ten_thousand_rows_are_asked_only_for_what_is_visible():
    app = Table(Pods.many(10_000))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert set(app.pods.asked) <= set(range(24))
        following = Pods.many(10_000, "3 MiB")
        app.table.show(following)
        await pilot.pause()
        assert len(following.asked) <= 2 * 24
        await pilot.press("G")
        assert "pod-9999" in "\n".join(screen(app))
        assert len(following.asked) <= 5 * 24


async def test_a_frame_that_changes_five_rows_repaints_five_lines():
    app = Table(Pods.many(1000))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.painted.clear()
        app.table.show(app.pods.changed(2, 3, 7, 11, 20, 500))
        await pilot.pause()
        assert sorted(app.painted) == [3, 4, 8, 12, 21]
        assert screen(app)[12].split() == ["pod-11", "2", "MiB", "pod-11"]


async def test_a_frame_without_a_change_repaints_nothing():
    app = Table(Pods.many(1000))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.painted.clear()
        app.table.show(Pods.many(1000))
        await pilot.pause()
        assert app.painted == []


async def test_a_row_more_repaints_the_lines_below_it_only():
    app = Table(Pods.many(100))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.painted.clear()
        app.table.show(Pods.many(101))
        await pilot.pause()
        assert app.painted == []


async def test_until_it_is_moved_the_cursor_rests_on_the_first_row():
    app = Table(Pods.many(3))
    async with app.run_test() as pilot:
        await pilot.pause()
        app.table.show(Pods([("new", "9 MiB"), *app.pods.pods]))
        await pilot.pause()
        assert app.table.cursor_key == "new"
        assert app.heard == [("selected", "pod-0"), ("selected", "new")]


@pytest.mark.parametrize("pinned", [False, True])
async def test_a_cursor_that_nobody_has_moved_leaves_the_table_at_its_top(pinned):
    app = Table(Pods.many(30))
    async with app.run_test(size=(80, 12)) as pilot:
        app.table.show(app.pods, rest=3)
        await pilot.pause()
        if pinned:
            app.table.pin_cursor()
        app.table.show(Pods([*app.pods.pods[10:], *app.pods.pods[:10]]), rest=23)
        await pilot.pause()
        assert (app.table.cursor_key, round(app.table.scroll_y)) == ("pod-3", 0)
        await pilot.press("down")
        assert app.table.cursor_key == "pod-4"
        assert round(app.table.scroll_y) > 0


async def test_a_table_that_somebody_scrolls_stays_there():
    app = Table(Pods.many(30))
    async with app.run_test(size=(80, 12)) as pilot:
        app.table.show(app.pods, rest=8)
        await pilot.pause()
        app.table.post_message(events.MouseScrollDown(app.table, 1, 1, 0, 1, 0, False, False, False))
        await pilot.pause(0.3)
        scrolled = round(app.table.scroll_y)
        assert scrolled > 0
        app.table.show(app.pods, rest=8)
        await pilot.pause()
        assert round(app.table.scroll_y) == scrolled


async def test_a_held_cursor_follows_its_row_until_it_is_released():
    app = Table(Pods.many(3))
    async with app.run_test() as pilot:
        await pilot.pause()
        app.table.pin_cursor()
        app.table.show(Pods([("new", "9 MiB"), *app.pods.pods]))
        await pilot.pause()
        assert app.table.cursor_key == "pod-0"
        app.table.unpin_cursor()
        app.table.show(Pods([("newer", "9 MiB"), *app.pods.pods]))
        await pilot.pause()
        assert app.table.cursor_key == "newer"


async def test_where_other_rows_were_asked_for_the_cursor_keeps_its_row_or_goes_to_the_first():
    app = Table(Pods.many(10))
    async with app.run_test() as pilot:
        await pilot.press("end")
        app.table.show(Pods(app.pods.pods[5:]), afresh=True)
        assert app.table.cursor_key == "pod-9"
        app.table.show(Pods(app.pods.pods[:5]), afresh=True)
        assert app.table.cursor_key == "pod-0"


async def test_the_cursor_follows_its_row_and_keeps_its_line_on_screen():
    pods = Pods.many(200)
    app = Table(pods)
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(50):
            await pilot.press("j")
        line = next(y for y, text in enumerate(screen(app)) if "pod-50 " in text)
        app.table.show(Pods([(f"new-{i}", "9 MiB") for i in range(17)] + pods.pods))
        await pilot.pause()
        assert app.table.cursor_key == "pod-50"
        assert app.table.cursor_row == 67
        assert "pod-50 " in screen(app)[line]


async def test_at_its_top_the_table_stays_there_while_the_cursor_follows():
    pods = Pods.many(200)
    app = Table(pods)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("j", "j")
        app.table.show(Pods([("new", "9 MiB"), *pods.pods]))
        await pilot.pause()
        assert app.table.cursor_key == "pod-2"
        assert "new" in screen(app)[1]


async def test_a_row_that_is_gone_leaves_the_cursor_to_the_nearest():
    pods = Pods.many(10)
    app = Table(pods)
    async with app.run_test() as pilot:
        await pilot.press("end")
        app.table.show(Pods(pods.pods[:-3]))
        await pilot.pause()
        assert app.table.cursor_key == "pod-6"
        app.table.show(Pods([]), empty="No pod matches /foo")
        await pilot.pause()
        assert app.heard[-1] == ("selected", None)
        assert "No pod matches /foo" in "\n".join(screen(app))
        await pilot.press("enter", "j", "G")
        assert ("activated", None) not in app.heard


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        (["j", "j", "k"], 1),
        (["down", "up", "up"], 0),
        (["G"], 99),
        (["end", "g"], 0),
        (["end", "home"], 0),
        (["pagedown"], 22),
        (["pagedown", "pagedown", "pageup"], 22),
    ],
)
async def test_keys_move_the_cursor_and_keep_it_in_view(keys, row):
    app = Table(Pods.many(100))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        assert app.table.cursor_row == row
        assert any(f"pod-{row} " in line for line in screen(app))


async def test_enter_activates_the_row_under_the_cursor():
    app = Table(Pods.many(100))
    async with app.run_test() as pilot:
        await pilot.press("j", "enter")
        assert app.heard[-1] == ("activated", "pod-1")


async def test_the_mouse_selects_then_activates_sorts_and_scrolls():
    app = Table(Pods.many(100))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.click(Spied, offset=(3, 5))
        assert app.heard[-1] == ("selected", "pod-4")
        await pilot.click(Spied, offset=(3, 5))
        assert app.heard[-1] == ("activated", "pod-4")
        await pilot.click(Spied, offset=(47, 0))
        assert app.heard[-1] == ("sort", "memory")
        app.heard.clear()
        await pilot.click(Spied, offset=(60, 0))
        assert app.heard == []
        await pilot.click(Spied, offset=(79, 23))
        assert "pod-99 " in screen(app)[23]


async def test_the_sorted_column_is_marked_in_the_header():
    app = Table(Pods.many(5))
    async with app.run_test(size=(60, 10)) as pilot:
        app.table.show(app.pods, sort=("memory", True))
        await pilot.pause()
        assert "Memory▼" in screen(app)[0]
        app.table.show(app.pods, sort=("name", False))
        await pilot.pause()
        assert "Container▲" in screen(app)[0]
        assert "▼" not in screen(app)[0]


async def test_names_that_look_like_markup_or_escapes_are_shown_as_they_are():
    names = ["[bold]pod[/bold]", "[/nonsense", "pod\x1b[31mred", ":warning:"]
    app = Table(Pods([(name, Text(name)) for name in names]))
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        text = screen(app)
        assert "[bold]pod[/bold]" in text[1]
        assert "[/nonsense" in text[2]
        assert "pod�[31mred" in text[3]
        assert ":warning:" in text[4]


async def test_a_note_takes_the_last_line_and_hides_no_row():
    app = Table(Pods.many(50))
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(app.pods, note="3 containers without samples")
        await pilot.press("G")
        text = screen(app)
        assert "3 containers without samples" in text[23]
        assert "pod-49" in text[22]


@pytest.mark.parametrize(
    ("colours", "no_color", "reverse"),
    [
        (ColorSystem.TRUECOLOR, False, None),
        (ColorSystem.TRUECOLOR, True, True),
        (ColorSystem.STANDARD, False, True),
    ],
    ids=["truecolor", "NO_COLOR", "16 colours"],
)
async def test_where_colour_can_not_be_relied_on_the_cursor_is_reversed(
    monkeypatch, colours, no_color, reverse
):
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = Table(Pods.many(5))
    app.console._color_system = colours
    async with app.run_test(size=(60, 10)) as pilot:
        await pilot.press("j")
        cursor, other = app.table.render_line(2), app.table.render_line(3)
        assert next(iter(cursor)).style.reverse is reverse
        assert next(iter(cursor)).style != next(iter(other)).style
        assert not next(iter(other)).style.reverse


async def test_a_narrower_screen_drops_columns_and_shows_every_line_anew():
    app = Table(Pods.many(50))
    async with app.run_test(size=(60, 24)) as pilot:
        await pilot.pause()
        assert "Node" in screen(app)[0]
        await pilot.resize_terminal(30, 12)
        await pilot.pause()
        text = screen(app)
        assert "Node" not in text[0]
        assert text[0].split() == ["Container", "Memory"]
        assert text[11].split()[0] == "pod-10"


async def test_other_columns_come_with_the_rows_that_know_them():
    app = Table(Pods.many(5))
    async with app.run_test(size=(60, 24)) as pilot:
        await pilot.press("j")
        app.table.show(app.pods, columns=[TableColumn("memory", "Held", 10), COLUMNS[0]])
        await pilot.pause()
        text = screen(app)
        assert text[0].split() == ["Held", "Container"]
        assert text[2].split() == ["1", "MiB", "pod-1"]


async def test_a_row_can_be_selected_by_its_key():
    app = Table(Pods.many(500))
    async with app.run_test(size=(60, 24)) as pilot:
        assert app.table.select("pod-321")
        await pilot.pause()
        assert app.heard[-1] == ("selected", "pod-321")
        assert any("pod-321 " in line for line in screen(app))
        assert not app.table.select("no-such-pod")
        assert app.table.cursor_key == "pod-321"


async def test_the_wheel_scrolls_and_leaves_the_cursor_alone():
    app = Table(Pods.many(500))
    async with app.run_test(size=(60, 24)) as pilot:
        await pilot.press("j")
        for _ in range(20):
            await pilot._post_mouse_events([MouseScrollDown], Spied, offset=(5, 5))
        await pilot.pause()
        assert "pod-0 " not in screen(app)[1]
        assert app.table.cursor_key == "pod-1"
        before = screen(app)
        app.table.show(Pods.many(500))
        await pilot.pause()
        assert screen(app) == before


async def test_a_theme_of_the_terminals_own_colours_reverses_the_cursor_too():
    app = Table(Pods.many(5))
    app.console._color_system = ColorSystem.TRUECOLOR
    async with app.run_test(size=(60, 10)) as pilot:
        app.theme = "ansi-dark"
        await pilot.pause()
        assert next(iter(app.table.render_line(1))).style.reverse


async def test_what_is_shown_and_selected_before_it_has_a_size_is_in_view_when_it_has():
    class Early(Table):
        def on_mount(self) -> None:
            self.table.show(self.pods)
            self.table.select("pod-300")

    app = Early(Pods.many(1000))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert any("pod-300 " in line for line in screen(app))
        alone = LiveTable(COLUMNS)
        alone.show(Pods.many(10))
        await app.mount(alone)
        await pilot.pause()
        assert "pod-0 " in alone.render_line(1).text
