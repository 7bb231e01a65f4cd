from __future__ import annotations

from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from widgets.header import HeaderData, SourceLine, StatusHeader

DATA = HeaderData(
    context="prod-eu",
    namespace="production",
    warnings=("read-only",),
    counts=(("pods", 1280, "ok"), ("growing", 3, "warn"), ("OOM-killed/h", None, "critical")),
    sources=(
        SourceLine("pods", "live", age_seconds=4),
        SourceLine("metrics", "stale", "no answer: 503", 75),
        SourceLine("Prometheus", "absent"),
    ),
    clock="14:32:05",
    filter="user",
)


class Header(App[None]):
    def __init__(self, data: HeaderData) -> None:
        super().__init__()
        self.header = Refreshed()
        self.header.show(data)

    def compose(self) -> ComposeResult:
        yield self.header


class Refreshed(StatusHeader):
    def __init__(self) -> None:
        super().__init__()
        self.regions: list[Region] = []

    def refresh(self, *regions: Region, **options: bool) -> Refreshed:
        if self.is_mounted:
            self.regions += regions
        return super().refresh(*regions, **options)


def lines(app: Header) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()][: app.header.size.height]


@pytest.mark.parametrize(("width", "height"), [(180, 2), (120, 2), (119, 3), (80, 3)])
async def test_two_lines_where_they_are_wide_else_three(width, height):
    app = Header(DATA)
    async with app.run_test(size=(width, 20)) as pilot:
        await pilot.pause()
        text = lines(app)
        assert len(text) == height
        for words in ("prod-eu", "production", "read-only", "1,280 pods", "! 3 growing", "– OOM-killed/h"):
            assert any(words in line for line in text), words
        for words in ("● pods just now", "◐ metrics no answer: 503, 1 min ago", "○ Prometheus absent"):
            assert any(words in line for line in text), words
        assert any("/user" in line for line in text)
        assert any(line.rstrip().endswith("14:32:05") for line in text)


async def test_a_second_repaints_the_digits_of_the_clock_only():
    app = Header(DATA)
    async with app.run_test(size=(180, 20)) as pilot:
        await pilot.pause()
        app.header.regions.clear()
        app.header.show(
            replace(
                DATA, clock="14:32:06", sources=(replace(DATA.sources[0], age_seconds=5), *DATA.sources[1:])
            )
        )
        await pilot.pause()
        assert [(region.width, region.height) for region in app.header.regions] == [(1, 1)]
        assert "14:32:06" in lines(app)[1]


async def test_the_same_data_repaints_nothing():
    app = Header(DATA)
    async with app.run_test(size=(180, 20)) as pilot:
        await pilot.pause()
        app.header.regions.clear()
        app.header.show(replace(DATA))
        await pilot.pause()
        assert app.header.regions == []


async def test_frozen_tables_are_said_to_be_and_the_clock_goes_on():
    app = Header(DATA)
    async with app.run_test(size=(180, 20)) as pilot:
        app.header.show(replace(DATA, frozen=True, clock="14:32:07"))
        await pilot.pause()
        assert "frozen" in lines(app)[1]
        assert "14:32:07" in lines(app)[1]


async def test_names_are_shown_as_they_are_and_shortened_where_they_must_be():
    data = replace(DATA, context="arn:aws:eks:eu-west-1:1234567890:cluster/[red]production[/red]-main\x1b[2J")
    app = Header(data)
    async with app.run_test(size=(200, 20)) as pilot:
        await pilot.pause()
        assert "[red]production[/red]-main�[2J" in lines(app)[0]
        await pilot.resize_terminal(80, 20)
        await pilot.pause()
        assert "…" in lines(app)[0]
        assert "production" in lines(app)[0]
        assert "read-only" in lines(app)[0]
