from __future__ import annotations

from datetime import UTC, datetime

from textual.app import App, ComposeResult

from widgets.time_strip import TimeMark, TimeStrip

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


class Strip(App[None]):
    def __init__(self, marks: list[TimeMark], ascii_only: bool = False) -> None:
        super().__init__()
        self.strip = TimeStrip(zone=UTC, ascii_only=ascii_only)
        self.marks = marks

    def compose(self) -> ComposeResult:
        yield self.strip

    def on_mount(self) -> None:
        self.strip.show("Last 6 h", NOON - 6 * HOUR, NOON, self.marks)


def screen(app: App[None]) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


async def test_marks_stand_where_their_time_is():
    app = Strip(
        [TimeMark(NOON - 6 * HOUR, "oom"), TimeMark(NOON - 3 * HOUR, "restart"), TimeMark(NOON, "warning")]
    )
    async with app.run_test(size=(61, 10)):
        title, marks, axis, times = screen(app)[:4]
        assert (marks.index("✖"), marks.index("↻"), marks.index("!")) == (0, 30, 60)
        assert axis[40] == "┬"
        assert times[38:43] == "10:00"
        assert "Last 6 h" in title
        assert "✖ OOM kill" in title


async def test_of_two_in_one_place_the_worse_one_is_shown_and_others_times_are_left_out():
    marks = [
        TimeMark(NOON - HOUR, "ordinary"),
        TimeMark(NOON - HOUR, "oom"),
        TimeMark(NOON - 7 * HOUR, "restart"),
    ]
    app = Strip(marks)
    async with app.run_test(size=(60, 10)):
        title, row = screen(app)[:2]
        assert row.strip() == "✖"
        assert "restart" not in title


async def test_what_happened_again_and_again_is_joined_by_a_line():
    app = Strip([TimeMark(NOON - 3 * HOUR, "warning", NOON - 2 * HOUR), TimeMark(NOON - 2.5 * HOUR, "oom")])
    async with app.run_test(size=(61, 10)):
        title, row = screen(app)[:2]
        assert row.strip() == "!╌╌╌╌✖╌╌╌╌!"
        assert row.index("!") == 30
        assert "╌ again and again" in title


async def test_what_began_before_the_strip_comes_in_at_its_edge():
    app = Strip([TimeMark(NOON - 9 * HOUR, "warning", NOON - 5 * HOUR)], ascii_only=True)
    async with app.run_test(size=(61, 10)):
        assert screen(app)[1] == "----------!"


async def test_it_does_with_ascii():
    app = Strip([TimeMark(NOON - HOUR, "oom"), TimeMark(NOON - 2 * HOUR, "ordinary")], ascii_only=True)
    async with app.run_test(size=(60, 10)):
        assert all(line.isascii() for line in screen(app))
        assert screen(app)[1].split() == [".", "X"]


async def test_without_room_it_shows_nothing():
    app = Strip([])
    async with app.run_test(size=(8, 10)):
        assert screen(app)[0] == ""
