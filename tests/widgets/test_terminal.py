from __future__ import annotations

import re

import pytest
from rich.cells import cell_len
from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App, ComposeResult
from textual.strip import Strip
from textual.widgets import Footer, Input, Static

from tests.widgets.rows import Pods
from widgets.table import LiveTable
from widgets.table_parts import TableColumn
from widgets.terse_display import TerseDisplay, TerseUpdate

_TOKEN = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|(\n)|([^\x1b\n]+)")


class Terminal:
    """As much of a terminal as Textual's updates use."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, object]] = {}
        self.x = self.y = 0
        self.style: dict[str, str] = {}

    def write(self, data: str) -> None:
        assert "".join(match.group() for match in _TOKEN.finditer(data)) == data
        for codes, kind, newline, text in _TOKEN.findall(data):
            if kind == "H":
                self.y, self.x = (int(number) - 1 for number in codes.split(";"))
            elif kind == "m":
                self._set(codes.split(";"))
            elif newline:
                self.x, self.y = 0, self.y + 1
            for letter in text:
                self.cells[self.y, self.x] = (letter, tuple(sorted(self.style.items())))
                self.x += cell_len(letter)

    def _set(self, codes: list[str]) -> None:
        while codes:
            code = codes.pop(0)
            if code in {"", "0"}:
                self.style = {}
            elif code in {"38", "48"}:
                count = 4 if codes[0] == "2" else 2
                self.style[code] = ";".join(codes[:count])
                del codes[:count]
            elif len(code) == 1:
                self.style[code] = "on"
            else:
                self.style["48" if code[0] == "4" or code[:2] == "10" else "38"] = code


def by_textual(update: CompositorUpdate, app: App[None]) -> str:
    """Returns Textual's own bytes, without those it kept from tests with other colours."""
    Strip.render_ansi.cache_clear()
    lines = update.strips if isinstance(update, LayoutUpdate) else [line.values() for line in update.chops]
    for strip in [strip for line in lines for strip in line if strip]:
        strip._render_cache = None
        for segment in strip:
            segment.style._ansi = None
    return update.render_segments(app.console)


class Screenful(TerseDisplay[None]):
    BINDINGS = [("q", "quit", "Quit")]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[CompositorUpdate] = []

    def compose(self) -> ComposeResult:
        yield Static("[bold]bold[/] [reverse]日本語[/] [red on blue]colour[/]")
        yield Input("typed")
        yield LiveTable(
            [TableColumn("name", "Name", 12, flex=1), TableColumn("memory", "Memory", 9, justify="right")]
        )
        yield Footer()

    def _display(self, screen, renderable) -> None:
        if isinstance(renderable, ChopsUpdate | LayoutUpdate):
            self.updates.append(renderable)
        super()._display(screen, renderable)


@pytest.mark.parametrize("colours", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT, ColorSystem.STANDARD])
async def test_the_screen_comes_out_the_same_in_fewer_bytes(colours):
    app = Screenful()
    app.console._color_system = colours
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LiveTable)
        table.show(Pods.many(500))
        table.focus()
        await pilot.press("j", "j")
        table.show(Pods.many(500).changed(0, 2, 5, 6, 7))
        await pilot.pause()
        await pilot.press("G", "tab")
        await pilot.pause()
        assert {type(update) for update in app.updates} == {ChopsUpdate, LayoutUpdate}
        theirs, ours = Terminal(), Terminal()
        sizes = []
        for update in app.updates:
            long, short = (
                by_textual(update, app),
                TerseUpdate(update).render_segments(app.console),
            )
            theirs.write(long)
            ours.write(short)
            assert ours.style == {}
            assert ours.cells == theirs.cells
            sizes.append((len(long), len(short)))
        assert all(short <= long for long, short in sizes)
        assert sum(short for _, short in sizes) < 0.85 * sum(long for long, _ in sizes)


async def test_a_change_at_the_end_of_a_line_does_not_write_its_start():
    app = Screenful()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LiveTable)
        table.show(Pods.many(500))
        table.focus()
        await pilot.pause()
        while app.updates:  # until a pause has brought nothing more to paint
            app.updates.clear()
            await pilot.pause()
        table.show(Pods.many(500).changed(3))
        await pilot.pause()
        [update] = app.updates
        written = TerseUpdate(update).render_segments(app.console)
        assert "pod-3" not in written
        assert "2" in written
        assert len(written) < 80
