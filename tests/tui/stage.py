"""The app at work in a test: keys and mouse go in, the screen's text comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from textual.events import Paste
from textual.pilot import Pilot

from memtop.observe.slots import ContainerIdentity
from memtop.observe.view import OverviewPane
from tests.tui.cluster import FakeEngine
from tui.app import Memtop
from tui.overview.cells import PaneRows

PATIENCE = 30.0  # seconds
KEYS = {" ": "space", "!": "exclamation_mark", "=": "equals_sign", "-": "minus", "/": "slash"}


class Stage:
    """The app, what plays on it, and what is seen of it."""

    def __init__(self, app: Memtop, pilot: Pilot[Any], engines: Sequence[FakeEngine] = ()) -> None:
        self.app = app
        self.pilot = pilot
        self._engines = engines

    @property
    def engine(self) -> FakeEngine:
        """The engine that was started last."""
        return self._engines[-1]

    @property
    def lines(self) -> list[str]:
        """The lines of the screen."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    @property
    def header(self) -> str:
        """The lines above the panes."""
        return "\n".join(self.lines[: self.app.overview.header.size.height])

    def line(self, *words: str) -> str:
        """The first line that has all of the words."""
        return next(line for line in self.lines if all(word in line for word in words))

    def rows(self, pane: OverviewPane = OverviewPane.TOP) -> list[str]:
        """The names of a pane's rows, whether or not they are in sight."""
        rows = self.app.overview.tables[pane].rows
        assert isinstance(rows, PaneRows)
        return [_name(rows.identity_at(i)) for i in range(len(rows))]

    @property
    def selected(self) -> str:
        """The name of the row under the cursor of the active pane."""
        subject = self.app.overview.selected
        return subject.title if subject else ""

    async def press(self, *keys: str) -> None:
        """Presses keys and waits for what follows at once."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Types text."""
        await self.press(*(KEYS.get(character, character) for character in text))

    async def paste(self, text: str) -> None:
        """Pastes text, which is quicker than typing it."""
        self.app.post_message(Paste(text))
        await self.pilot.pause()

    async def select(self, row: str, *, workload: bool = False) -> None:
        """Filters for a row and waits until the first that matches is under the cursor."""
        overview = self.app.overview
        await self.until(lambda: overview.frame and overview.frame.settled, "the first answers")
        if workload:
            await self.press("w")
            await self.until(lambda: overview.frame.view.workloads, "workloads")
        await self.press("slash")
        await self.paste(row)
        await self.until(lambda: self.rows() and all(row in name for name in self.rows()), "the filter")
        await self.press("enter", "home")
        await self.until(lambda: row in self.selected, "the row to be selected")

    async def click(self, word: str, times: int = 1) -> None:
        """Clicks on the first place where a word is on the screen."""
        y = next(i for i, line in enumerate(self.lines) if word in line)
        await self.pilot.click(offset=(self.lines[y].index(word), y), times=times)
        await self.pilot.pause()

    async def resize(self, width: int, height: int) -> None:
        """Gives the terminal another size."""
        await self.pilot.resize_terminal(width, height)
        await self.pilot.pause()

    async def push(self) -> None:
        """Has the engine send a frame, and waits until it is on the screen."""
        self.engine.push()
        await self.pilot.pause()

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Waits for something that a timer or another thread brings about."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"waited for {what}; the screen was\n{self.text}"
            await self.pilot.pause(0.02)

    async def shows(self, *words: str) -> None:
        """Waits until all words are on the screen."""
        await self.until(lambda: all(word in self.text for word in words), " and ".join(words))


def _name(identity: object) -> str:
    if isinstance(identity, ContainerIdentity):
        return identity.pod if identity.is_only_container else f"{identity.pod}/{identity.container}"
    return str(identity.workload)  # type: ignore[attr-defined]
