"""Before and after a change on one graph."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from textual.app import App, ComposeResult

from widgets.memory_plots import BeforeAfterPlot, MemoryComparison, age_ticks
from widgets.styled_text import Symbols

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
HOUR, GI = 3600.0, 2.0**30
RAMP = ([NOON - HOUR + 60 * n for n in range(60)], [GI * (0.2 + n / 80) for n in range(60)])
FLAT = ([NOON + 60 * n for n in range(60)], [GI * 0.3] * 60)
CLOCK = MemoryComparison(
    before=[RAMP],
    after=[FLAT],
    span=(NOON - HOUR, NOON + HOUR),
    changed_at=NOON,
    limits=(GI, 2 * GI),
    oom_kills=[NOON - 60],
)


class Graph(App[None]):
    def __init__(self, comparison: MemoryComparison | None, symbols: Symbols = "braille") -> None:
        super().__init__()
        self.graph = BeforeAfterPlot(symbols=symbols, zone=UTC)
        self.graph.show("app, around the change", comparison)

    def compose(self) -> ComposeResult:
        yield self.graph


def screen(app: App[None]) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


async def test_by_the_clock_the_change_stands_between_both_sides():
    app = Graph(CLOCK)
    async with app.run_test(size=(100, 24)):
        title, *lines = screen(app)
        assert title.startswith(" app, around the change")
        assert all(words in title for words in ("before", "after", "limit", "OOM kill"))
        change = max(line.find("┃") for line in lines)
        assert 50 < change < 60
        limits = [line for line in lines if "━━━━" in line]
        assert len(limits) == 2, "the limit was raised"
        assert limits[0].index("━") > change - 1 > limits[1].index("━")
        assert any("✖" in line[:change] for line in lines)
        assert "11:30" in lines[-1]
        assert "12:30" in lines[-1]


async def test_by_age_both_begin_at_the_left_and_differ_without_colour():
    ages = [60.0 * n for n in range(60)]
    app = Graph(
        MemoryComparison([(ages, RAMP[1])], [(ages, FLAT[1])], (0.0, HOUR), limits=(GI, GI), by_age=True)
    )
    async with app.run_test(size=(100, 24)):
        title, *lines = screen(app)
        assert "∙∙∙ before" in title
        assert any("∙∙" in line for line in lines)
        assert "start" in lines[-1]
        assert "30 m" in lines[-1]
        assert not any("┃" in line for line in lines)


@pytest.mark.parametrize("comparison", [None, MemoryComparison([], [], (0.0, 1.0))])
async def test_nothing_to_draw_is_said(comparison):
    app = Graph(comparison)
    async with app.run_test(size=(80, 10)):
        assert "Nothing to draw yet" in screen(app)[1]


async def test_in_ascii_there_is_nothing_else():
    app = Graph(CLOCK, "ascii")
    async with app.run_test(size=(80, 20)):
        assert "".join(screen(app)).isascii()


@pytest.mark.parametrize("size", [(1, 1), (20, 3), (30, 5), (200, 60)])
async def test_any_size_will_do(size):
    app = Graph(CLOCK)
    async with app.run_test(size=size):
        assert len(screen(app)) == size[1]


@pytest.mark.parametrize(
    ("end", "most", "labels"),
    [
        (3600, 6, ["start", "10 m", "20 m", "30 m", "40 m", "50 m", "1 h"]),
        (7200, 3, ["start", "1 h", "2 h"]),
        (50, 5, ["start"]),
        (20 * 86400, 4, ["start", "8 d", "16 d"]),
        (0, 5, []),
    ],
)
def test_ages_are_round(end, most, labels):
    assert [label for _, label in age_ticks(end, most)] == labels
