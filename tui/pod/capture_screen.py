"""A heap capture on the screen: the plans to choose from, its progress, and its result."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable, Sequence
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

LOOK_SECONDS = 0.2
"""Seconds between two looks at how far it is."""


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


class CaptureProgressScreen(ModalScreen[None]):
    """Follows something that captures heaps: how far it is, then what came of it. Leaving it cancels it.

    Args:
        title: What is done.
        ask: Does something with the cluster.
        symbols: Which characters are drawn with.
        wait_seconds: How long is waited between captures; 0 where there is one capture.

    Attributes:
        under_way: Whether it goes on.
    """

    DEFAULT_CSS = """
    CaptureProgressScreen { align: center middle; background: $background 60%; }
    CaptureProgressScreen > CaptureBox {
        background: $surface; border: round $primary; border-title-color: $text-primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Cancel or close")]

    def __init__(self, title: str, ask: AskCluster, symbols: Symbols, wait_seconds: float = 0.0) -> None:
        super().__init__()
        self.ask = ask
        self.box = CaptureBox(symbols, wait_seconds)
        self.box.border_title = literal(title)
        self.under_way = False
        self._step = CaptureStep("beginning")

    def compose(self) -> ComposeResult:
        """The box."""
        yield self.box

    def on_mount(self) -> None:
        """Begins."""
        self.set_interval(LOOK_SECONDS, self._look)
        self.begin()

    def begin(self, words: str = "beginning") -> None:
        """Begins, or takes it up again.

        Args:
            words: What is said before the first step.
        """
        self.under_way, self._step = True, CaptureStep(words)
        self._run()

    @work(exclusive=True, group="capture")
    async def _run(self) -> None:
        try:
            await self.capture()
        except CaptureFailedError as error:
            self.show_error(error)
        except asyncio.CancelledError:
            self.show_end([("warn", "Cancelled.")])
        finally:
            self.under_way = False

    def take_step(self, step: CaptureStep) -> None:
        """Keeps how far it is; called on the engine's thread."""
        self._step = step

    def _look(self) -> None:
        if self.under_way:
            self.box.show_step(self._step)

    async def capture(self) -> None:
        """Does it, and shows what came of it.

        Raises:
            CaptureFailedError: It could not be done.
        """
        raise NotImplementedError

    def show_error(self, error: CaptureFailedError) -> None:
        """Shows why it failed and what is left where."""
        raise NotImplementedError

    def show_end(self, lines: list[tuple[str, str]]) -> None:
        """Shows why it ended before its time, and what may be left where."""
        raise NotImplementedError

    def show_failure(self, sentence: str) -> None:
        """Says that it ended by a mistake of memtop's own."""
        self.show_end([("critical", f"It failed: {sentence}")])

    def action_leave(self) -> None:
        """Cancels what is under way; closes what is not."""
        if self.under_way:
            self.workers.cancel_group(self, "capture")
        else:
            self.dismiss(None)


class CaptureBox(LineWidget):
    """How far a capture is; then lines, or a document that scrolls; the keys at the bottom.

    Args:
        symbols: Which characters are drawn with.
        wait_seconds: How long is waited between captures, for the bar; 0 where there is one capture.

    Attributes:
        lines_: Roles and words of the lines that are shown.
    """

    def __init__(self, symbols: Symbols, wait_seconds: float = 0.0) -> None:
        super().__init__()
        self.lines_: list[tuple[str, str]] = []
        self._symbols = symbols
        self._wait_seconds = wait_seconds
        self._keys = ""
        self._step: CaptureStep | None = None
        self._document: Callable[[int], list[Text]] | None = None
        self._top = 0

    def show_step(self, step: CaptureStep) -> None:
        """Shows how far it is."""
        self.lines_, self._keys, self._step = [("", step.words)], "esc cancels", step
        self.redraw()

    def show_lines(self, lines: Sequence[tuple[str, str]], keys: str = "esc closes") -> None:
        """Shows roles and words of other lines."""
        self.lines_, self._keys, self._step = list(lines), keys, None
        self.redraw()

    def show_document(self, draw: Callable[[int], list[Text]]) -> None:
        """Shows lines that are drawn for a width; they scroll."""
        self._document, self._step = draw, None
        self.redraw()

    def scroll_lines(self, lines: int) -> None:
        """Moves the document up or down."""
        self._top = max(0, self._top + lines)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the lines, wrapped, with the keys at the bottom."""
        keys = self._keys
        if self._document is not None:
            drawn = self._document(width)
            self._top = min(self._top, max(0, len(drawn) - height + 1))
            keys = "↑↓ more · esc closes" if len(drawn) > height - 1 else "esc closes"
            drawn = drawn[self._top :]
        else:
            drawn = [line for role, words in self.lines_ for line in wrapped_lines(role, words, width)]
        if self._step is not None and (bar := self._bar(self._step, width)) is not None:
            drawn += [Text(), bar]
        drawn = drawn[: height - 1]
        return [*drawn, *[Text()] * (height - 1 - len(drawn)), Text(keys, "dim", no_wrap=True, end="")]

    def _bar(self, step: CaptureStep, width: int) -> Text | None:
        if step.size or not self._wait_seconds:
            return byte_progress(step.bytes_done, step.size, width, self._symbols)
        if not step.bytes_done:
            return None
        return share_bar(step.bytes_done / max(1, round(self._wait_seconds)), width, self._symbols)


def wrapped_lines(role: str, words: str, width: int) -> list[Text]:
    """Folds a sentence into lines of a role."""
    pieces = textwrap.wrap(literal(words), max(20, width), break_on_hyphens=False) or [""]
    return [Text(piece, role, no_wrap=True, end="") for piece in pieces]


def share_bar(part: float, width: int, symbols: Symbols) -> Text:
    """A bar that is full for a part of 1."""
    full, empty = ("#", "-") if symbols == "ascii" else ("█", "░")
    done = round(min(1.0, max(0.0, part)) * width)
    return Text(full * done + empty * (width - done), "accent", no_wrap=True, end="")


class CaptureScreen(CaptureProgressScreen):
    """Takes a capture that was agreed to, and says what came of it.

    Args:
        plan: What was agreed to.
        ask: Does something with the cluster.
        symbols: Which characters are drawn with.
    """

    DEFAULT_CSS = """
    CaptureScreen > CaptureBox { width: 90%; max-width: 110; height: 18; max-height: 90%; padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume"),
        Binding("d", "remove", "Remove there"),
    ]

    def __init__(self, plan: CapturePlan, ask: AskCluster, symbols: Symbols) -> None:
        super().__init__(plan.capture.title, ask, symbols)
        self.plan = plan
        self._there = ""
        self._resumes = False

    async def capture(self) -> None:
        """Takes the capture, or only brings its file here."""
        plan, there, resumes = self.plan, self._there, self._resumes
        future = self.ask(
            lambda client: (
                fetch_capture(client, plan, there, self.take_step)
                if resumes
                else take_watched(client, plan, self.take_step)
            )
        )
        self._succeeded(await asyncio.wrap_future(future))

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

    def show_error(self, error: CaptureFailedError) -> None:
        """Shows why it failed and what is left where."""
        self._there = error.remote
        left = [("", f"· {words}") for words in error.left] or [("", "Nothing is left, here or there.")]
        keys = "r takes the transfer up again · d removes the file there · " if error.remote else ""
        self.box.show_lines([("critical", f"It failed: {error}"), ("", ""), *left], f"{keys}esc closes")

    def show_end(self, lines: list[tuple[str, str]]) -> None:
        """Shows why it ended; what was begun in the container goes on, as the kubelet does not end it."""
        lines = [*lines, ("", "")]
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

    def action_resume(self) -> None:
        """Takes a transfer up again where it ended."""
        if not self.under_way and self._there and not self.plan.target.exists():
            self._resumes = True
            self.begin("taking it up again")

    @work(exclusive=True, group="remove")
    async def action_remove(self) -> None:
        """Deletes the file in the container."""
        there, container_ref = self._there, self.plan.container_ref
        if self.under_way or not there:
            return
        why = await asyncio.wrap_future(self.ask(lambda client: remove_file(client, container_ref, there)))
        if why:
            self.notify(why, title=f"{there} could not be removed", severity="error", markup=False)
            return
        self._there = ""
        self.box.show_lines(
            [*self.box.lines_, ("ok", f"{there} is removed in {container_ref.container}.")], "esc closes"
        )
