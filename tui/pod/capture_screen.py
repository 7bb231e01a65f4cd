"""A heap capture on the screen: the plans to choose from, its progress, and its result."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from memtop.heap.capture_methods import viewer_for
from memtop.heap.capture_plan import CapturePlan
from memtop.heap.capture_run import CaptureFailedError, CaptureStep, TakenCapture, fetch_capture
from memtop.heap.capture_watch import take_watched
from memtop.heap.container_probe import DebugProposal
from memtop.heap.file_transfer import arrived_bytes, partial_path, remove_file
from memtop.heap.growth_plan import GrowthPlan
from memtop.wording import bytes_
from tui.pod.tab import AskCluster
from widgets.cell_graphs import byte_progress
from widgets.confirm import PlanLine
from widgets.line_widget import LineWidget
from widgets.picker import PickerItem
from widgets.styled_text import Symbols, literal

PROGRESS_SECONDS = 0.1  # seconds between two looks at how far it is


def capture_choices(found: Sequence[CapturePlan]) -> list[PickerItem[int]]:
    """The plans to choose from; what can't be done says why."""
    return [
        PickerItem(number, plan.capture.title, _capture_note(plan), plan.capture.missing)
        for number, plan in enumerate(found)
    ]


def _capture_note(plan: CapturePlan) -> str:
    """How large it may get, and what it takes of the container's memory meanwhile."""
    capture = plan.capture
    size = f"≤ {bytes_(capture.size)}" if capture.size else "small"
    return f"{size}, takes {bytes_(capture.memory)}" if capture.memory else size


def risks_first(plan: CapturePlan | GrowthPlan) -> list[PlanLine]:
    """The facts and risks of a plan: what may cost the container its life comes first."""
    risks = plan.risks()
    return [
        *(PlanLine("risk", risk.sentence, "critical") for risk in risks if risk.is_severe),
        *(
            PlanLine(label, text, "command" if label == "runs there" else "plain")
            for label, text in plan.facts()
        ),
        *(PlanLine("risk", risk.sentence) for risk in risks if not risk.is_severe),
    ]


def capture_plan_lines(plan: CapturePlan) -> list[PlanLine]:
    """A plan in full."""
    return [*risks_first(plan), PlanLine("opens with", viewer_for(plan.target).name)]


def debug_proposal_lines(why: str, found: DebugProposal) -> list[PlanLine]:
    """What could be done about an image without a shell."""
    obstacle = [PlanLine("not here", found.obstacle, "critical")] if found.obstacle else []
    return [
        PlanLine("", why, "warn"),
        PlanLine("", "An ephemeral debug container could look into it; memtop does not add one by itself:"),
        PlanLine("", ""),
        PlanLine("kubectl", found.command, "command"),
        PlanLine("", ""),
        *obstacle,
        *(PlanLine("note", note) for note in found.notes),
    ]


class CaptureScreen(ModalScreen[None]):
    """Takes a capture that was agreed to, and says what came of it.

    Args:
        plan: What was agreed to.
        ask: Does something with the cluster.
        symbols: Which characters are drawn with.
    """

    DEFAULT_CSS = """
    CaptureScreen { align: center middle; background: $background 60%; }
    CaptureScreen > LineWidget {
        width: 90%; max-width: 110; height: 18; max-height: 90%;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 1 2;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Cancel or close"),
        Binding("r", "resume", "Resume"),
        Binding("d", "remove", "Remove there"),
    ]

    def __init__(self, plan: CapturePlan, ask: AskCluster, symbols: Symbols) -> None:
        super().__init__()
        self.plan = plan
        self.ask = ask
        self.box = _CaptureProgress(symbols)
        self._step = CaptureStep("beginning")
        self._under_way = True
        self._there = ""
        self._cancelling = False

    def compose(self) -> ComposeResult:
        """The story so far."""
        self.box.border_title = literal(self.plan.capture.title)
        yield self.box

    def on_mount(self) -> None:
        """Begins."""
        self.set_interval(PROGRESS_SECONDS, self._look)
        self._run(resume=False)

    def _tell(self, step: CaptureStep) -> None:
        """On the engine's thread."""
        self._step = step

    def _look(self) -> None:
        if self._under_way:
            self.box.show_lines([("", self._step.words)], "esc cancels", self._step)

    @work(exclusive=True, group="capture")
    async def _run(self, *, resume: bool) -> None:
        plan, there = self.plan, self._there
        self._under_way, self._cancelling = True, False
        self._step = CaptureStep("taking it up again" if resume else "beginning")
        try:
            future = self.ask(
                lambda client: (
                    fetch_capture(client, plan, there, self._tell)
                    if resume
                    else take_watched(client, plan, self._tell)
                )
            )
            taken = await asyncio.wrap_future(future)
        except CaptureFailedError as error:
            self._failed(error)
        except asyncio.CancelledError:
            self._cancelled()
        else:
            self._succeeded(taken)
        finally:
            self._under_way = False

    def _succeeded(self, taken: TakenCapture) -> None:
        tool = viewer_for(taken.path)
        self._there = taken.left_file
        lines = [
            ("ok", f"Captured: {bytes_(taken.size)}, {taken.verification}"),
            ("", ""),
            ("strong", str(taken.path)),
            ("", f"opens with {tool.name}" + (f": {tool.command}" if tool.command else "")),
            ("dim", tool.first_look),
        ]
        if taken.left_file:
            lines += [("", ""), ("", f"{taken.left_file} is still in {self.plan.container_ref.container}.")]
        self.box.show_lines(lines, "d removes it there · esc closes" if taken.left_file else "esc closes")

    def _failed(self, error: CaptureFailedError) -> None:
        self._there = error.remote
        left = [("", f"· {words}") for words in error.left] or [("", "Nothing is left, here or there.")]
        keys = "r takes the transfer up again · d removes the file there · " if error.remote else ""
        self.box.show_lines([("critical", f"It failed: {error}"), ("", ""), *left], f"{keys}esc closes")

    def show_failure(self, sentence: str) -> None:
        """Says why the capture ended, and what may be left where."""
        self._ended([("critical", f"It failed: {sentence}"), ("", "")])

    def _cancelled(self) -> None:
        self._ended([("warn", "Cancelled."), ("", "")])

    def _ended(self, lines: list[tuple[str, str]]) -> None:
        """What was begun in the container goes on there: the kubelet ends no command whose streams close."""
        capture, target = self.plan.capture, self.plan.target
        self._there = self._there or capture.remote
        if self._there:
            lines.append(
                ("", f"· {self._there} may be in {self.plan.container_ref.container}, whole or in part")
            )
        if (size := arrived_bytes(target)) is not None:
            lines.append(("", f"· {partial_path(target)} is here, with {size} bytes"))
        keys = "r brings it here · d removes it there · " if self._there else ""
        self.box.show_lines(lines, f"{keys}esc closes")

    def action_leave(self) -> None:
        """Cancels what is under way; closes what is not."""
        if self._under_way:
            self.workers.cancel_group(self, "capture")
        else:
            self.dismiss(None)

    def action_resume(self) -> None:
        """Takes a transfer up again where it ended."""
        if not self._under_way and self._there and not self.plan.target.exists():
            self._run(resume=True)

    @work(exclusive=True, group="remove")
    async def action_remove(self) -> None:
        """Deletes the file in the container."""
        there, container_ref = self._there, self.plan.container_ref
        if self._under_way or not there:
            return
        why = await asyncio.wrap_future(self.ask(lambda client: remove_file(client, container_ref, there)))
        if why:
            self.notify(why, title=f"{there} could not be removed", severity="error", markup=False)
            return
        self._there = ""
        self.box.show_lines(
            [*self.box.lines_, ("ok", f"{there} is removed in {container_ref.container}.")], "esc closes"
        )


class _CaptureProgress(LineWidget):
    """Some lines, a bar, and the keys."""

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self.lines_: list[tuple[str, str]] = []
        self._symbols = symbols
        self._keys = ""
        self._step: CaptureStep | None = None

    def show_lines(
        self, lines: Sequence[tuple[str, str]], keys: str, step: CaptureStep | None = None
    ) -> None:
        """Shows other lines; ``step`` adds a bar."""
        self.lines_, self._keys, self._step = list(lines), keys, step
        self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the lines, wrapped, with the keys at the bottom."""
        drawn: list[Text] = []
        for role, words in self.lines_:
            pieces = textwrap.wrap(literal(words), width, break_on_hyphens=False) or [""]
            drawn += [Text(piece, role, no_wrap=True, end="") for piece in pieces]
        if self._step is not None:
            drawn += [Text(), byte_progress(self._step.bytes_done, self._step.size, width, self._symbols)]
        drawn = drawn[: height - 2]
        return [*drawn, *[Text()] * (height - 1 - len(drawn)), Text(self._keys, "dim", no_wrap=True, end="")]
