"""What the pod screen does inside the container: a shell, one command, a heap capture."""

from __future__ import annotations

import asyncio
import math
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from memtop.background import run_in_thread
from memtop.heap.capture_plan import CapturePlan, NothingToCaptureError, plan_captures
from memtop.heap.container_probe import NoShellError, propose_debug_container
from memtop.heap.growth_plan import GrowthPlan, growth_plans
from memtop.heap.kept_captures import KeptCapture, captures_folder, kept_captures
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.client import Client
from memtop.kube.container_exec import (
    CommandResult,
    ContainerRef,
    NoSuchProgram,
    NotRunning,
    exec_refusal,
    run_command,
)
from memtop.observe.frame import Frame
from memtop.sanitize import sanitize_bytes
from tui.live_screen import LiveScreen
from tui.pod.capture_screen import (
    CaptureScreen,
    capture_choices,
    capture_plan_lines,
    debug_proposal_lines,
    risks_first,
)
from tui.pod.growth_screen import GrowthScreen, growth_choices
from tui.pod.shell_session import run_in_terminal
from tui.pod.tab import AskCluster, TabSubject
from widgets.confirm import ConfirmDialog
from widgets.dialogs import ScrollingDialog, WaitingDialog
from widgets.picker import Picker
from widgets.styled_text import Symbols, literal

MOST_OUTPUT_BYTES = 256 * 1024
"""Bytes of output that are kept."""
COMMAND_SECONDS = 120.0


class CommandScreen(ScrollingDialog[None]):
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

    def __init__(self, place: ContainerRef, ask: AskCluster) -> None:
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

    def show_failure(self, sentence: str) -> None:
        """Says why there is no outcome."""
        self.output.update(sentence)

    @work(exclusive=True)
    async def _run(self, command: list[str]) -> None:
        place = self._place
        try:
            future = self._ask(
                lambda client: run_command(
                    client, place, command, timeout=COMMAND_SECONDS, most=MOST_OUTPUT_BYTES
                )
            )
            self.output.update(_output_text(await asyncio.wrap_future(future)))
        except (ApiError, Unreachable, CredentialError, NotRunning, NoSuchProgram) as error:
            self.output.update(str(error))


def _output_text(done: CommandResult) -> Text:
    text = Text(sanitize_bytes(done.output).expandtabs())
    if done.errors:
        text.append(sanitize_bytes(done.errors).expandtabs(), "italic")
    if done.cut:
        text.append(f"\n(it wrote more than {MOST_OUTPUT_BYTES // 1024} KiB; the rest was dropped)", "dim")
    return text.append(f"\nexit code {done.code}", "dim")


RUNNING_STATE = "Running"


class ExecAccess:
    """What is known of whether commands can be run in a container.

    Args:
        subject: Whose container.
        read_only: Whether memtop was told to change nothing.

    Attributes:
        forbidden: Why the cluster does not let us; empty as long as that is not known.
        state: The container's state in words; empty before the first frame.
        rate: Bytes an hour by which its floor rises; None where it does not or that is not known.
    """

    def __init__(self, subject: TabSubject, *, read_only: bool) -> None:
        self.forbidden = ""
        self.state = ""
        self.rate: float | None = None
        self._subject = subject
        self._read_only = read_only

    @property
    def container(self) -> ContainerRef:
        """The container."""
        return ContainerRef(self._subject.namespace, self._subject.pod, self._subject.container)

    def refusal(self) -> str:
        """Why nothing can be run in the container now; empty if it can, as far as is known."""
        if not self._subject.pod:
            return "a workload has no processes: press W and open one of its pods"
        if self._read_only:
            return "read-only: memtop starts no process in a container"
        if self.forbidden:
            return self.forbidden
        if self.state and self.state.partition(",")[0] != RUNNING_STATE:
            return f"{self._subject.container} does not run ({self.state})"
        return ""

    def update(self, frame: Frame) -> bool:
        """Takes the container's state from a frame; returns whether it changed."""
        before = self.state
        detail = frame.detail
        if detail is not None and detail.key == self._subject.key:
            self.state = frame.rows.states[detail.row] if detail.row is not None else self.state
            rate = float(frame.rows.rate[detail.row]) if detail.row is not None else math.nan
            self.rate = rate if rate > 0 else None
        elif frame.view.selected == self._subject.key and frame.settled:
            self.state = "gone"
        return self.state != before

    async def check(self, client: Client) -> str:
        """Asks the cluster whether it lets us; runs on the engine's loop."""
        try:
            return await exec_refusal(client, self._subject.namespace)
        except CredentialError:
            return ""  # every source says so already


EXEC_FAILURES = (ApiError, Unreachable, CredentialError, NotRunning, NothingToCaptureError, OSError)
ACTIONS_WITH_EXEC = frozenset({"shell", "command", "heap"})


class ExecScreen(LiveScreen):
    """A screen about one container that can be looked into.

    Args:
        ask: Does something with the cluster.
        inside: Whether that can be done now.
        now: The cluster's time, Unix seconds.
        symbols: Which characters are drawn with.
        warnings: What the header must always say.
        pace: Seconds of the cluster's time that pass in one here.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "shell", "Shell"),
        Binding("X", "command", "Command", show=False),
        Binding("h", "heap", "Heap"),
    ]

    def __init__(
        self,
        ask: AskCluster,
        inside: ExecAccess,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...],
        pace: float,
    ) -> None:
        super().__init__(now, symbols, warnings)
        self._pace = pace
        self._ask = ask
        self._inside = inside

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dims what can't be done in the container now."""
        return None if action in ACTIONS_WITH_EXEC and self._inside.refusal() else True

    def on_key(self, event: events.Key) -> None:
        """Says why a dimmed key does nothing."""
        active = self.active_bindings.get(event.key)
        if active is not None and not active.enabled and active.binding.action in ACTIONS_WITH_EXEC:
            self.notify(self._inside.refusal(), markup=False)

    @work(exclusive=True, group="access")
    async def learn_access(self) -> None:
        """Asks the cluster whether commands may be run here."""
        if self._inside.refusal():
            return
        try:
            self._inside.forbidden = await asyncio.wrap_future(self._ask(self._inside.check))
        except EXEC_FAILURES:
            return  # the attempt itself will then say whether it is allowed
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
            case Exception() if isinstance(outcome, EXEC_FAILURES):
                self._fail("There was no shell", outcome)
            case Exception():
                raise outcome
            case code:
                self.notify(f"The shell has ended with exit code {code}" if code else "Back from the shell")

    def _converse(self) -> int | Exception:
        """The shell's exit code, or why there was none: what is raised would leave the app suspended."""
        try:
            return run_in_terminal(self._ask, self._inside.container)
        except Exception as error:  # noqa: BLE001  (raised again once the screen is back)
            return error

    def action_command(self) -> None:
        """Asks for one command."""
        self.app.push_screen(CommandScreen(self._inside.container, self._ask))

    # -- a heap capture

    def action_heap(self) -> None:
        """Proposes captures; takes the one that is chosen and agreed to."""
        words = (
            f"Looking into {self._inside.container.container}: which runtime, which tools, how much room …"
        )
        waiting = WaitingDialog("Heap capture", words)
        work = self._capture(waiting)
        self.app.push_screen(waiting, lambda left: work.cancel() if left else None)

    @work(exclusive=True, group="inside")
    async def _capture(self, waiting: WaitingDialog) -> None:
        place, rate, pace = self._inside.container, self._inside.rate, self._pace
        try:
            found = await asyncio.wrap_future(self._ask(lambda client: _look_for_plans(client, place)))
        except NoShellError as error:
            waiting.finish()
            await self._propose_debugging(str(error))
            return
        except EXEC_FAILURES as error:
            self._fail("No heap can be captured", error)
            return
        finally:
            waiting.finish()
        captures, kept = found
        plan = await self._chosen(growth_plans(captures, kept, floor_rate=rate, pace=pace), captures)
        if isinstance(plan, GrowthPlan):
            title, lines = f"{plan.title}, of {place.container}", risks_first(plan)
        elif plan is not None:
            title, lines = f"{plan.capture.title} of {place.container}", capture_plan_lines(plan)
        else:
            return
        if await self.app.push_screen_wait(ConfirmDialog(title, lines, apply="Capture")):
            self.app.push_screen(
                GrowthScreen(plan, self._ask, self._symbols)
                if isinstance(plan, GrowthPlan)
                else CaptureScreen(plan, self._ask, self._symbols)
            )

    async def _chosen(
        self, growth: tuple[GrowthPlan, ...], captures: tuple[CapturePlan, ...]
    ) -> GrowthPlan | CapturePlan | None:
        """What is chosen: to find out what grew comes first, one capture alone after it."""
        singles = (replace(item, value=item.value + len(growth)) for item in capture_choices(captures))
        items = [*growth_choices(growth), *singles]
        number = await self.app.push_screen_wait(
            Picker(f"Capture what of {captures[0].program.words()}?", items)
        )
        if number is None:
            return None
        return growth[number] if number < len(growth) else captures[number - len(growth)]

    async def _propose_debugging(self, why: str) -> None:
        place = self._inside.container
        try:
            proposed = await asyncio.wrap_future(
                self._ask(lambda client: propose_debug_container(client, place))
            )
        except EXEC_FAILURES as error:
            self._fail(why, error)
            return
        await self.app.push_screen_wait(
            ConfirmDialog("An image without a shell", debug_proposal_lines(why, proposed), apply=None)
        )

    def _fail(self, title: str, error: Exception) -> None:
        self.notify(str(error), title=title, severity="error", markup=False)


async def _look_for_plans(
    client: Client, place: ContainerRef
) -> tuple[tuple[CapturePlan, ...], tuple[KeptCapture, ...]]:
    """What can be captured, and what was captured earlier; runs on the engine's loop."""
    folder = await run_in_thread(captures_folder, os.environ)
    return await plan_captures(client, place, folder), await run_in_thread(kept_captures, folder)
