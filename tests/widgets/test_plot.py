from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from textual.app import App, ComposeResult

from widgets import trend_drawing
from widgets.memory_plots import TrendPlot
from widgets.styled_text import Symbols
from widgets.trend_data import Trend

GI = 1024.0**3
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
RISING = Trend(
    title="production/[bold]user-service[/bold]",
    times=[NOON + 60 * i for i in range(600)],
    values=[GI * (0.2 + i / 700) for i in range(600)],
    limit=2 * GI,
    request=GI,
    floor=([NOON + 30000, NOON + 35940], [0.2 * GI, 0.3 * GI]),
    restarts=[NOON + 9000],
    oom_kills=[NOON + 18000],
    caption="Leak: the floor rises 52 MiB/h.",
)


class Drawn(TrendPlot):
    drawn = 0

    def draw(self, width: int, height: int) -> Sequence[object]:
        self.drawn += 1
        return super().draw(width, height)


class Plot(App[None]):
    def __init__(self, trend: Trend | None, symbols: Symbols = "braille") -> None:
        super().__init__()
        self.plot = Drawn(symbols=symbols, zone=UTC)
        self.plot.show(trend)

    def compose(self) -> ComposeResult:
        yield self.plot


def screen(app: App[None]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


async def test_everything_that_happened_is_drawn_with_a_shape_of_its_own():
    app = Plot(RISING)
    async with app.run_test(size=(120, 30)):
        text = screen(app)
        assert "[bold]user-service[/bold]" in text[0]
        assert "Leak: the floor rises" in text[29]
        graph = "\n".join(text[1:28])
        for sign in "━╌∙┊║↻✖":
            assert sign in graph, sign
        assert any("2 GiB┤" in line and "━" in line for line in text)
        assert any("1 GiB┤" in line and "╌" in line for line in text)
        assert "14:00" in text[28]
        for words in ("memory", "limit", "request", "floor", "restart", "OOM kill"):
            assert words in text[0]


async def test_what_is_not_there_is_not_in_the_key():
    app = Plot(Trend("a", RISING.times, RISING.values))
    async with app.run_test(size=(100, 30)):
        assert "memory" in screen(app)[0]
        assert "limit" not in screen(app)[0]
        assert "━" not in "\n".join(screen(app)[1:])


@pytest.mark.parametrize("symbols", ["braille", "block", "ascii"])
async def test_every_set_of_symbols_shows_a_rise(symbols):
    app = Plot(Trend("a", RISING.times, RISING.values, limit=2 * GI), symbols)
    async with app.run_test(size=(100, 30)):
        lines = [line[10:] for line in screen(app)[1:27]]
        marks = [(y, x) for y, line in enumerate(lines) for x, ch in enumerate(line) if ch not in " ━=│"]
        first, last = min(marks, key=lambda at: at[1]), max(marks, key=lambda at: at[1])
        assert first[0] > last[0] + 5
        if symbols == "ascii":
            assert all(ch.isascii() or ch in "│┤└─┬" for ch in "".join(screen(app)))


async def test_a_gap_stays_empty():
    values = [math.nan if 200 <= i < 400 else GI for i in range(600)]
    app = Plot(Trend("a", RISING.times, values, limit=2 * GI), "ascii")
    async with app.run_test(size=(100, 30)):
        line = next(line for line in screen(app)[1:] if "****" in line)
        assert "*" + " " * 25 in line
        assert line.rstrip().endswith("*")


async def test_the_same_trend_is_not_drawn_twice():
    app = Plot(RISING)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        before = app.plot.drawn
        app.plot.show(replace(RISING, values=list(RISING.values)))
        await pilot.pause()
        assert app.plot.drawn == before
        app.plot.show(replace(RISING, caption="No longer a leak"))
        await pilot.pause()
        assert app.plot.drawn == before + 1
        assert "No longer a leak" in screen(app)[29]


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (24, 8), (40, 5), (60, 9), (300, 80)])
@pytest.mark.parametrize(
    "trend",
    [
        RISING,
        Trend("one", [NOON], [GI]),
        Trend("none", [], []),
        Trend("unknown", [NOON, NOON + 60], [math.nan, math.nan], limit=GI),
        Trend("zero", [NOON, NOON + 60], [0.0, 0.0]),
    ],
    ids=lambda trend: trend.title[:10],
)
async def test_any_trend_can_be_drawn_at_any_size(size, trend):
    app = Plot(trend)
    async with app.run_test(size=size):
        text = screen(app)
        assert len(text) == size[1]
        assert all(len(line) == size[0] for line in text)


async def test_where_a_graph_does_not_fit_a_sparkline_does():
    app = Plot(RISING)
    async with app.run_test(size=(60, 4)):
        assert "⣀⣀⣤⣤" in screen(app)[1]
        assert "Leak" in screen(app)[2]


async def test_without_a_trend_it_says_so():
    app = Plot(None)
    async with app.run_test(size=(60, 10)) as pilot:
        assert "Nothing to draw yet" in "\n".join(screen(app))
        app.plot.show(None, empty="No samples for [this] pod")
        await pilot.pause()
        assert "No samples for [this] pod" in "\n".join(screen(app))


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark", "nord"])
async def test_a_change_of_theme_changes_the_colours(theme):
    app = Plot(RISING)
    async with app.run_test(size=(60, 20)) as pilot:
        before = app.screen._compositor.render_strips()
        app.theme = theme
        await pilot.pause()
        assert [s.text for s in app.screen._compositor.render_strips()] == [s.text for s in before]
        assert app.screen._compositor.render_strips() != before


def test_what_is_missing_from_the_picture_is_said_before_what_its_marks_mean():
    trend = Trend(
        "deployment/user-service",
        [0.0, 60.0],
        [1.0, 2.0],
        limit=3.0,
        request=1.0,
        restarts=[20.0],
        oom_kills=[40.0],
        note="7 d: oldest sample 3 d 4 h ago",
    )
    wide, narrow = (
        trend_drawing._title_line(trend, width, trend_drawing._TREND_MARKS["braille"]).plain
        for width in (140, 80)
    )
    assert "7 d: oldest sample 3 d 4 h ago" in wide
    assert "memory" in wide
    assert "7 d: oldest sample 3 d 4 h ago" in narrow
    assert "memory" not in narrow
    assert len(wide) <= 140
    assert len(narrow) <= 80
