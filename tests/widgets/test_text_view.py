from __future__ import annotations

from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Region

from widgets.text_view import MOST_LETTERS, MOST_LINES, TextView

LINES = [f"line {number}: value" for number in range(100)]


class Spied(TextView):
    def __init__(self) -> None:
        super().__init__()
        self.regions: list[Region] = []

    def refresh(self, *regions: Region, **options: bool) -> Spied:
        if self.is_mounted:
            self.regions += regions
        return super().refresh(*regions, **options)


class Document(App[None]):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.view = Spied()
        self.lines = lines

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.show(self.lines)
        self.view.focus()


def screen(app: App[None]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def shown(app: App[None]) -> list[str]:
    return [line.rstrip(" ▐") for line in screen(app)]


async def test_keys_scroll_and_stop_at_both_ends():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        assert shown(app)[0] == "line 0: value"
        await pilot.press("down", "j", "up")
        assert shown(app)[0] == "line 1: value"
        await pilot.press("pagedown")
        assert shown(app)[0] == "line 10: value"
        await pilot.press("end", "down")
        assert shown(app)[-1] == "line 99: value"
        await pilot.press("home", "up")
        assert shown(app)[0] == "line 0: value"


async def test_a_bar_shows_where_one_is():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        assert [line.endswith("▐") for line in screen(app)] == [True] + [False] * 9
        await pilot.press("end")
        assert [line.endswith("▐") for line in screen(app)] == [False] * 9 + [True]


async def test_the_line_that_is_read_stays_where_it_is_when_others_come_above():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("pagedown")
        assert shown(app)[0] == "line 9: value"
        app.view.show(["new", "newer", *LINES])
        await pilot.pause()
        assert shown(app)[0] == "line 9: value"


async def test_the_same_again_repaints_nothing_and_a_change_only_itself():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        app.view.regions.clear()
        app.view.show(LINES)
        assert app.view.regions == []
        app.view.show([*LINES[:3], "line X: value", *LINES[4:]])
        assert app.view.regions == [Region(5, 3, 1, 1)]


async def test_a_filter_goes_to_the_first_match_below_and_round_again():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        assert app.view.filter("LINE 5:") == 0
        assert app.view.match == (0, 0)
        assert app.view.filter("line 5") == 11
        await pilot.pause()
        assert app.view.match == (1, 11)
        assert app.view.next_match(1) == (2, 11)
        await pilot.pause()
        assert any(line.startswith("line 50:") for line in shown(app))
        assert not any(line.startswith("line 6") for line in shown(app))
        assert app.view.next_match(-1) == (1, 11)
        assert app.view.next_match(-1) == (11, 11)
        await pilot.pause()
        assert any(line.startswith("line 59:") for line in shown(app))
        app.view.filter("")
        assert app.view.match is None
        assert app.view.next_match(1) is None


async def test_a_filter_from_a_line_returns_to_it_where_it_ends_without_a_match():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.filter("line 77", 3)
        app.view.filter("nowhere", 3)
        await pilot.pause()
        assert app.view.plain == []
        app.view.filter("", 3)
        await pilot.pause()
        assert shown(app)[0] == "line 3: value"


async def test_a_filter_shows_only_lines_with_the_text_and_the_headings_they_are_under():
    document = [
        "Name: a",
        "Containers:",
        "  one:",
        "    Limits:",
        "      memory: 1",
        "  two:",
        "    Image: b",
        "Events:",
    ]
    app = Document(document)
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.filter("memory")
        await pilot.pause()
        assert app.view.plain == ["Containers:", "  one:", "    Limits:", "      memory: 1"]
        app.view.show(["first", *document])
        assert app.view.plain == ["Containers:", "  one:", "    Limits:", "      memory: 1"]
        app.view.filter("")
        await pilot.pause()
        assert app.view.plain == ["first", *document]


async def test_where_a_filter_ends_the_match_that_was_gone_to_stays_in_view():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.filter("line 5")
        app.view.next_match(1)
        app.view.filter("")
        await pilot.pause()
        assert len(app.view.plain) == len(LINES)
        assert any(line.startswith("line 50:") for line in shown(app))


async def test_matches_stay_when_the_text_changes():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)):
        app.view.filter("line 50")
        app.view.show(["new", *LINES])
        assert app.view.match == (1, 1)
        app.view.show(["nothing of it"])
        assert app.view.match == (0, 0)


async def test_long_lines_are_cut_scrolled_sideways_or_wrapped():
    app = Document(["start " + "x" * 60 + " middle " + "y" * 60 + " end", "short"])
    async with app.run_test(size=(40, 10)) as pilot:
        assert screen(app)[0] == f"start {'x' * 32}› "
        await pilot.press("right")
        assert screen(app)[0].startswith("x" * 30)
        app.view.filter("end")
        await pilot.pause()
        assert shown(app)[0].endswith(" end")
        app.view.filter("")
        await pilot.press("w")
        lines = shown(app)
        assert "".join(lines[:4]).replace(" ", "") == "start" + "x" * 60 + "middle" + "y" * 60 + "end"
        assert lines[4] == "short"


async def test_other_peoples_markup_and_control_characters_are_shown_and_not_obeyed():
    app = Document(["[bold red]x[/]", "a\x1b[31mb", "日本語" * 20])
    async with app.run_test(size=(20, 10)):
        assert screen(app)[0].startswith("[bold red]x[/]")
        assert "\x1b" not in screen(app)[1]
        assert screen(app)[2].startswith("日本語日本語日本語›")


async def test_a_document_has_bounds():
    app = Document(["x" * (MOST_LETTERS + 5), *["y"] * (MOST_LINES + 2)])
    async with app.run_test(size=(40, 10)):
        assert app.view.plain[0].endswith("… (5 more)")
        assert app.view.plain[-1] == "… 3 more lines are not shown"


async def test_roles_colour_and_a_new_document_starts_at_its_top():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("end")
        app.view.clear("Asking …")
        await pilot.pause()
        assert shown(app)[0] == "Asking …"
        app.view.show([Text("bad", "critical"), "good"])
        await pilot.pause()
        bad, good = app.view.render_line(0), app.view.render_line(1)
        assert next(iter(bad)).style.bold
        assert next(iter(bad)).style != next(iter(good)).style


async def test_it_keeps_its_place_in_another_size_of_window():
    app = Document(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("pagedown")
        await pilot.resize_terminal(20, 6)
        assert shown(app)[0] == "line 9: value"
