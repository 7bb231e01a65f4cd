"""Writes what Textual repaints in as few bytes as possible, and no faster than they arrive."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import cast

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from textual import events
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App, ReturnType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer

from widgets.line_widget import strip_cells
from widgets.terminal_driver import OutputArrived, TerminalDriver

_RESET = "\x1b[0m"
_JOIN_CELLS = 8
"""Cells that are written again although they are the same: moving the cursor takes about as many bytes."""

SgrCodes = tuple[str, str, str]
"""SGR codes of a style: its attributes, its foreground and its background."""
Cell = tuple[str, SgrCodes]
"""A letter with its style; the second cell of a wide letter has an empty text."""


class ShownCells:
    """What the terminal shows, as far as is known."""

    def __init__(self) -> None:
        self._rows: dict[int, list[Cell | None]] = {}

    def forget(self) -> None:
        """Nothing is known: the terminal was resized, or somebody else wrote on it."""
        self._rows.clear()

    def replace(self, x: int, y: int, cells: list[Cell]) -> list[tuple[int, int]]:
        """Keeps what a stretch of a line shows from now on.

        Returns:
            Where it differs from what was shown, as the first and the last but one index of each part.
        """
        row = self._rows.setdefault(y, [])
        end = x + len(cells)
        if len(row) < end:
            row.extend([None] * (end - len(row)))
        before, row[x:end] = row[x:end], cells
        if before == cells:
            return []
        spans: list[tuple[int, int]] = []
        for index, (was, now) in enumerate(zip(before, cells, strict=True)):
            if was == now:
                continue
            if spans and index - spans[-1][1] < _JOIN_CELLS:
                spans[-1] = (spans[-1][0], index + 1)
            else:
                spans.append((index, index + 1))
        return [_whole_letters(cells, start, stop) for start, stop in spans]


def _whole_letters(cells: list[Cell], start: int, stop: int) -> tuple[int, int]:
    """The span with both cells of the wide letters at its ends."""
    while start > 0 and not cells[start][0]:
        start -= 1
    while stop < len(cells) and not cells[stop][0]:
        stop += 1
    return start, stop


class TerseUpdate(CompositorUpdate):
    """An update of the compositor's, with the same effect on the screen in fewer bytes.

    Args:
        update: What the compositor wants to be seen.
        shown: What is seen already, which is not written again; None to write all of it.

    Attributes:
        size: How many bytes it took, once it is rendered.
    """

    def __init__(self, update: ChopsUpdate | LayoutUpdate, shown: ShownCells | None = None) -> None:
        self.update = update
        self.size = 0
        self._shown = shown

    def render_segments(self, console: Console) -> str:
        """Returns the bytes for the terminal; all attributes are off before and after."""
        system = console._color_system or ColorSystem.TRUECOLOR
        pieces = (
            _layout_strips(self.update)
            if isinstance(self.update, LayoutUpdate)
            else _chop_strips(self.update)
        )
        written: list[str] = []
        codes: SgrCodes = ("", "", "")
        at: tuple[int, int] | None = None
        for x, y, cells in _joined_pieces(pieces, system):
            spans = [(0, len(cells))] if self._shown is None else self._shown.replace(x, y, cells)
            for start, stop in spans:
                if at != (x + start, y):
                    written.append(f"\x1b[{y + 1};{x + start + 1}H")
                for letter, wanted in cells[start:stop]:
                    if wanted != codes:
                        written.append(_sgr_transition(codes, wanted))
                        codes = wanted
                    written.append(letter)
                at = (x + stop, y)
        if any(codes):
            written.append(_RESET)
        text = "".join(written)
        self.size = len(text.encode())
        return text


def _joined_pieces(
    pieces: Iterable[tuple[int, int, Strip]], system: ColorSystem
) -> Iterator[tuple[int, int, list[Cell]]]:
    """The cells of strips, those that follow each other on a line as one."""
    start: tuple[int, int] = (0, 0)
    cells: list[Cell] = []
    for x, y, strip in pieces:
        found = [
            (letter, _sgr_codes(style or Style.null(), system))
            for letter, style in strip_cells(Strip(segment for segment in strip if not segment.control))
        ]
        if cells and (start[0] + len(cells), start[1]) == (x, y):
            cells += found
            continue
        if cells:
            yield *start, cells
        start, cells = (x, y), found
    if cells:
        yield *start, cells


def _layout_strips(update: LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
    for y, line in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in line:
            yield x, y, strip
            x += strip.cell_length


def _chop_strips(update: ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    for y, start, end in update.spans:
        chops: Iterable[tuple[int, Strip | None]] = update.chops[y].items()
        for stop, (x, strip) in zip(update.chop_ends[y], chops, strict=False):
            left, right = max(x, start), min(stop, end)
            if strip is not None and left < right:
                yield left, y, strip.crop(left - x, right - x)


@lru_cache(maxsize=4096)
def _sgr_codes(style: Style, system: ColorSystem) -> SgrCodes:
    """Returns the SGR codes of a style: its attributes, its foreground and its background."""
    plain = Style.render(style.without_color, "|", color_system=system)
    attributes = plain.partition("m|")[0].removeprefix("\x1b[") if plain != "|" else ""
    fore = ";".join(style.color.downgrade(system).get_ansi_codes()) if style.color else ""
    back = ";".join(style.bgcolor.downgrade(system).get_ansi_codes(False)) if style.bgcolor else ""
    return attributes, fore, back


def _sgr_transition(old: SgrCodes, new: SgrCodes) -> str:
    """Returns the shortest sequence from one set of codes to another; codes can't be taken back singly."""
    if old[0] != new[0] or any(was and not now for was, now in zip(old, new, strict=True)):
        codes = [code for code in new if code]
        return f"\x1b[0;{';'.join(codes)}m" if codes else _RESET
    return f"\x1b[{';'.join(now for was, now in zip(old, new, strict=True) if was != now)}m"


class TerseDisplay(App[ReturnType]):
    """The base of an application that writes tersely, and lives on whatever its terminal sends.

    A repaint that the line to the terminal has no room for is left out. What the screen looks like once there
    is room again is written then, so that nothing old is ever on its way.
    """

    _shown: ShownCells | None = None
    _mode = 0
    _is_behind = False
    _catching_up: Timer | None = None

    def get_driver_class(self) -> type[Driver]:
        """Textual's driver, or memtop's own in place of the one for terminals."""
        found = super().get_driver_class()
        return TerminalDriver if found is LinuxDriver else found

    def on_resize(self, _event: events.Resize) -> None:
        """Nobody knows what a terminal shows whose size has changed."""
        if self._shown is not None:
            self._shown.forget()

    def on_key(self, event: events.Key) -> None:
        """Draws the whole screen anew at ctrl+l, where somebody else has written on it."""
        if event.key == "ctrl+l" and self._shown is not None:
            self._shown.forget()
            self._is_behind = True
            self._catch_up()

    def on_output_arrived(self, _message: OutputArrived) -> None:
        """Draws what was left out while the line was busy."""
        self._catch_up()

    def _catch_up(self) -> None:
        if self._catching_up is not None:
            self._catching_up.stop()
            self._catching_up = None
        if self._is_behind and self.screen_stack:
            self._display(self.screen, self._whole_screen())

    def _whole_screen(self) -> RenderableType | None:
        return self.screen._compositor.render_update(full=True, screen_stack=self._background_screens)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        driver = self._driver
        if not isinstance(renderable, ChopsUpdate | LayoutUpdate) or not isinstance(driver, TerminalDriver):
            if isinstance(renderable, ChopsUpdate | LayoutUpdate):
                renderable = cast(RenderableType, TerseUpdate(renderable))
            super()._display(screen, renderable)
            return
        wait = driver.pace.wait(time.monotonic())
        driver.tell_arrivals = self._is_behind = wait > 0 or self._is_behind
        if wait > 0:
            if self._catching_up is None:
                self._catching_up = self.set_timer(wait, self._catch_up)
            return
        if self._shown is None or self._mode != driver.mode:
            self._shown, self._mode = ShownCells(), driver.mode
        if self._is_behind:
            driver.tell_arrivals = self._is_behind = False
            whole = self._whole_screen()
            renderable = whole if isinstance(whole, LayoutUpdate) else renderable
        # Textual asks an update for its bytes only, though its own ones are renderables of Rich as well.
        update = TerseUpdate(renderable, self._shown)
        super()._display(screen, cast(RenderableType, update))
        driver.wrote(update.size)
