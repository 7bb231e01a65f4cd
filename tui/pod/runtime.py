"""What the pod screen does inside the container: a shell, one command, a heap capture."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from textual import events, work
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType

from memtop.cluster.errors import ApiError, CredentialError, Unreachable
from memtop.cluster.exec import NoSuchProgram, NotRunning
from memtop.runtime.debug import debugging
from memtop.runtime.heap import NothingToCapture, plans
from memtop.runtime.plan import Plan
from memtop.runtime.probe import NoShell
from tui.live import LiveScreen
from tui.pod.command import CommandScreen
from tui.pod.heap import HeapScreen, choices, debugging_lines, plan_lines
from tui.pod.inside import Inside
from tui.pod.tab import Ask
from tui.pod.terminal import converse
from widgets.confirm import Confirm
from widgets.palette import Symbols
from widgets.picker import Picker

FAILURES = (ApiError, Unreachable, CredentialError, NotRunning, NothingToCapture, OSError)
NEEDS_INSIDE = frozenset({"shell", "command", "heap"})


class RuntimeScreen(LiveScreen):
    """A screen about one container that can be looked into.

    Args:
        ask: Does something with the cluster.
        inside: Whether that can be done now.
        symbols: Which characters are drawn with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "shell", "Shell"),
        Binding("X", "command", "Command", show=False),
        Binding("h", "heap", "Heap"),
    ]

    def __init__(self, ask: Ask, inside: Inside, symbols: Symbols) -> None:
        super().__init__()
        self._ask = ask
        self._inside = inside
        self._symbols = symbols

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dims what can't be done in the container now."""
        return None if action in NEEDS_INSIDE and self._inside.refusal() else True

    def on_key(self, event: events.Key) -> None:
        """Says why a dimmed key does nothing."""
        active = self.active_bindings.get(event.key)
        if active is not None and not active.enabled and active.binding.action in NEEDS_INSIDE:
            self.notify(self._inside.refusal(), markup=False)

    @work(exclusive=True, group="access")
    async def learn_access(self) -> None:
        """Asks the cluster whether commands may be run here."""
        if self._inside.refusal():
            return
        try:
            self._inside.forbidden = await asyncio.wrap_future(self._ask(self._inside.ask))
        except FAILURES:
            return  # whether it may be done will then be said by whoever tries
        self.refresh_bindings()

    # -- a shell, a command

    @work(exclusive=True, group="inside")
    async def action_shell(self) -> None:
        """Hands the terminal over to a shell in the container."""
        outcome: int | Exception
        try:
            with self.app.suspend():
                outcome = self._converse()
        except SuspendNotSupported:
            self.notify("This terminal can't be handed over; X runs one command", severity="warning")
            return
        match outcome:
            case NoSuchProgram():
                await self._propose_debugging(str(outcome))
            case Exception() if isinstance(outcome, FAILURES):
                self._fail("There was no shell", outcome)
            case Exception():
                raise outcome
            case code:
                self.notify(f"The shell has ended with exit code {code}" if code else "Back from the shell")

    def _converse(self) -> int | Exception:
        """The shell's exit code, or why there was none: what is raised would leave the app suspended."""
        try:
            return converse(self._ask, self._inside.place)
        except Exception as error:  # noqa: BLE001  (raised again once the screen is back)
            return error

    def action_command(self) -> None:
        """Asks for one command."""
        self.app.push_screen(CommandScreen(self._inside.place, self._ask))

    # -- a heap capture

    @work(exclusive=True, group="inside")
    async def action_heap(self) -> None:
        """Proposes captures; takes the one that is chosen and agreed to."""
        place, folder = self._inside.place, _folder()
        self.notify(f"Looking into {place.container} …", markup=False, timeout=2)
        try:
            found = await asyncio.wrap_future(self._ask(lambda client: plans(client, place, folder)))
        except NoShell as error:
            await self._propose_debugging(str(error))
            return
        except FAILURES as error:
            self._fail("No heap can be captured", error)
            return
        plan = await self._chosen(found)
        if plan is None:
            return
        agreed = await self.app.push_screen_wait(
            Confirm(f"{plan.capture.title} of {place.container}", plan_lines(plan), apply="Capture")
        )
        if agreed:
            self.app.push_screen(HeapScreen(plan, self._ask, self._symbols))

    async def _chosen(self, found: tuple[Plan, ...]) -> Plan | None:
        number = await self.app.push_screen_wait(
            Picker(f"Capture what of {found[0].program.words()}?", choices(found))
        )
        return None if number is None else found[number]

    async def _propose_debugging(self, why: str) -> None:
        place = self._inside.place
        try:
            proposed = await asyncio.wrap_future(self._ask(lambda client: debugging(client, place)))
        except FAILURES as error:
            self._fail(why, error)
            return
        await self.app.push_screen_wait(
            Confirm("An image without a shell", debugging_lines(why, proposed), apply=None)
        )

    def _fail(self, title: str, error: Exception) -> None:
        self.notify(str(error), title=title, severity="error", markup=False)


def _folder() -> Path:
    """Where captures go: where memtop was started, or home where that can't be written to."""
    here = Path.cwd()
    return here if os.access(here, os.W_OK) else Path.home()
