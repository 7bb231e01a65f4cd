"""Writes to the terminal what Textual repaints, in as few bytes as possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import cast

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App, ReturnType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen
from textual.strip import Strip

from widgets.terminal_driver import TerminalDriver

_RESET = "\x1b[0m"


class TerseUpdate(CompositorUpdate):
    """An update of the compositor's, with the same effect on the screen in fewer bytes."""

    def __init__(self, update: ChopsUpdate | LayoutUpdate) -> None:
        self.update = update

    def render_segments(self, console: Console) -> str:
        """Returns the bytes for the terminal; all attributes are off before and after."""
        system = console._color_system or ColorSystem.TRUECOLOR
        pieces = (
            _layout_strips(self.update)
            if isinstance(self.update, LayoutUpdate)
            else _chop_strips(self.update)
        )
        written: list[str] = []
        attributes = fore = back = ""
        at: tuple[int, int] | None = None
        for x, y, strip in pieces:
            if at != (x, y):
                written.append(f"\x1b[{y + 1};{x + 1}H")
            for text, style, control in strip:
                if control or not text:
                    continue
                wanted = _sgr_codes(style or Style.null(), system)
                if wanted != (attributes, fore, back):
                    written.append(_sgr_transition((attributes, fore, back), wanted))
                    attributes, fore, back = wanted
                written.append(text)
            at = (x + strip.cell_length, y)
        if attributes or fore or back:
            written.append(_RESET)
        return "".join(written)


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
def _sgr_codes(style: Style, system: ColorSystem) -> tuple[str, str, str]:
    """Returns the SGR codes of a style: its attributes, its foreground and its background."""
    plain = Style.render(style.without_color, "|", color_system=system)
    attributes = plain.partition("m|")[0].removeprefix("\x1b[") if plain != "|" else ""
    fore = ";".join(style.color.downgrade(system).get_ansi_codes()) if style.color else ""
    back = ";".join(style.bgcolor.downgrade(system).get_ansi_codes(False)) if style.bgcolor else ""
    return attributes, fore, back


def _sgr_transition(old: tuple[str, str, str], new: tuple[str, str, str]) -> str:
    """Returns the shortest sequence from one set of codes to another; codes can't be taken back singly."""
    if old[0] != new[0] or any(was and not now for was, now in zip(old, new, strict=True)):
        codes = [code for code in new if code]
        return f"\x1b[0;{';'.join(codes)}m" if codes else _RESET
    return f"\x1b[{';'.join(now for was, now in zip(old, new, strict=True) if was != now)}m"


class TerseDisplay(App[ReturnType]):
    """The base of an application that writes tersely, and lives on whatever its terminal sends."""

    def get_driver_class(self) -> type[Driver]:
        """Textual's driver, or memtop's own in place of the one for terminals."""
        found = super().get_driver_class()
        return TerminalDriver if found is LinuxDriver else found

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate | LayoutUpdate):
            # Textual asks an update for its bytes only, though its own ones are renderables of Rich as well.
            renderable = cast(RenderableType, TerseUpdate(renderable))
        super()._display(screen, renderable)
