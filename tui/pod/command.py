"""One command in the container, and what it writes."""

from __future__ import annotations

import asyncio
import shlex
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from memtop.cluster.errors import ApiError, CredentialError, Unreachable
from memtop.cluster.exec import Finished, NoSuchProgram, NotRunning, Place, run
from memtop.cluster.sanitize import sanitize_bytes
from tui.pod.tab import Ask
from widgets.error_boundary import GuardedHandlers
from widgets.text import literal

MOST = 256 * 1024
"""Bytes of output that are kept."""
SECONDS = 120.0


class CommandScreen(GuardedHandlers, ModalScreen[None]):
    """Runs what is typed; no shell looks at it, unless it begins with ``sh -c``.

    Args:
        place: Where.
        ask: Does something with the cluster.
    """

    DEFAULT_CSS = """
    CommandScreen { align: center middle; background: $background 60%; }
    CommandScreen > Vertical {
        width: 94%; height: 80%;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 1;
    }
    CommandScreen Input { border: none; height: 1; padding: 0; background: $surface; margin-bottom: 1; }
    CommandScreen VerticalScroll { height: 1fr; }
    CommandScreen Static { width: 100%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close"),
        Binding("pageup", "scroll(-10)", show=False, priority=True),
        Binding("pagedown", "scroll(10)", show=False, priority=True),
        Binding("up", "scroll(-1)", show=False, priority=True),
        Binding("down", "scroll(1)", show=False, priority=True),
    ]

    def __init__(self, place: Place, ask: Ask) -> None:
        super().__init__()
        self._place = place
        self._ask = ask
        self.output = Static(markup=False)

    def compose(self) -> ComposeResult:
        """The command above its output."""
        with Vertical() as box:
            box.border_title = literal(f"Command in {self._place.container} of {self._place.pod}")
            box.border_subtitle = "enter runs it · esc closes"
            yield Input(placeholder='such as: ps aux   or: sh -c "ls /tmp | wc -l"', compact=True)
            with VerticalScroll(can_focus=False):
                yield self.output

    def on_mount(self) -> None:
        """Waits for a command."""
        self.query_one(Input).focus()

    def action_scroll(self, lines: int) -> None:
        """Scrolls the output while the input keeps the focus."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_leave(self) -> None:
        """Closes, whatever is under way."""
        self.dismiss(None)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        try:
            command = shlex.split(event.value)
        except ValueError as error:
            self.output.update(f"{error}: {event.value}")
            return
        if command:
            self.output.update("running …")
            self._run(command)

    @work(exclusive=True)
    async def _run(self, command: list[str]) -> None:
        place = self._place
        try:
            future = self._ask(lambda client: run(client, place, command, timeout=SECONDS, most=MOST))
            self.output.update(_words(await asyncio.wrap_future(future)))
        except (ApiError, Unreachable, CredentialError, NotRunning, NoSuchProgram) as error:
            self.output.update(str(error))


def _words(done: Finished) -> Text:
    text = Text(sanitize_bytes(done.output).expandtabs())
    if done.errors:
        text.append(sanitize_bytes(done.errors).expandtabs(), "italic")
    if done.cut:
        text.append(f"\n(it wrote more than {MOST // 1024} KiB; the rest was dropped)", "dim")
    return text.append(f"\nexit code {done.code}", "dim")
