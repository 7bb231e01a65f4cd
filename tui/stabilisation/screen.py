"""The stabilisation screen: before and after a change side by side, and whether it has helped, live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.stabilisation import verdict_report
from memtop.stabilisation.stabilisation_watch import (
    StabilisationOptions,
    StabilisationState,
    follow_stabilisation,
)
from memtop.stabilisation.verdict_report import save_report
from memtop.wording import duration
from tui.following_screen import FollowingScreen, WorkloadReport
from tui.keys import CHANGE_BINDINGS, STABILISATION_HELP
from tui.pod.tab import AskCluster
from tui.stabilisation.words_and_curves import (
    CURVE_RANGES,
    curves_by_age,
    curves_by_clock,
    fact_lines,
    note_line,
    verdict_lines,
)
from widgets.key_and_filter_bars import KeyBar
from widgets.line_widget import TextBlock
from widgets.memory_plots import BeforeAfterPlot
from widgets.styled_text import Symbols

ROOMY_HEIGHT, ROOMIER_HEIGHT = 30, 44
"""Lines of the screen from which all facts fit, and from which there is air."""


class StabilisationScreen(FollowingScreen):
    """One workload after its newest change. When it is left it goes on watching, until it is told to stop.

    Args:
        ref: The Deployment, StatefulSet or DaemonSet.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        symbols: Which characters graphs are drawn with.
        warnings: What the header must always say.
        options: How to watch, see `StabilisationOptions.of`.
        bell: Whether to ring when the verdict becomes another.
        command: Words of a command to run then; none for none.
        folder: Where reports go.

    Attributes:
        ref: The workload.
        seen: What is known; None before anything is.
    """

    DEFAULT_CSS = """
    StabilisationScreen BeforeAfterPlot { height: 1fr; min-height: 3; }
    """
    RANGES = CURVE_RANGES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "next_range", "Range"),
        Binding("a", "align", "Clock or age"),
        Binding("ctrl+s", "report", "Report"),
        *CHANGE_BINDINGS,
        Binding("X", "stop", "Stop watching", show=False),
        Binding("v", "against", "Compare with", show=False),
        Binding("left_square_bracket", "container(-1)", "Container", show=False),
        Binding("right_square_bracket", "container(1)", "Next container", show=False),
        Binding("r", "again", "Ask again now", show=False),
    ]
    WORDS = ("Keys of the stabilisation", STABILISATION_HELP)

    class Stopped(Message):
        """The screen is left and need not go on watching; sent to the app.

        Attributes:
            ref: The workload.
        """

        def __init__(self, ref: ObjectRef) -> None:
            super().__init__()
            self.ref = ref

    class Complaint(Message):
        """The user's command has failed."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(
        self,
        ref: ObjectRef,
        ask: AskCluster,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...] = (),
        *,
        options: StabilisationOptions | None = None,
        bell: bool = False,
        command: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> None:
        super().__init__(ref, ask, now, symbols, warnings, f"Did it help? {ref.name}", folder)
        self.seen: StabilisationState | None = None
        self._options = options or StabilisationOptions()
        self._bell = bell
        self._command = command
        self._problem = ""
        self._by_age = False
        self._container = ""
        self._against = self._options.against
        self.verdict = TextBlock(self._verdict_lines, 5)
        self.facts = TextBlock(self._fact_lines, 9)
        self.graph = BeforeAfterPlot(symbols=symbols)

    @property
    def in_background(self) -> bool:
        """Whether it watches although it is not open."""
        return self.seen is not None and self not in self.app.screen_stack

    @property
    def line(self) -> str:
        """How it stands, for a header."""
        if self.seen is None:
            return ""
        stability = self.seen.stability
        left = stability.remaining_seconds
        togo = f", {duration(left)} to go" if left else ""
        return f"{self.ref.name}: {stability.verdict}{togo}"

    def compose(self) -> ComposeResult:
        """Header, verdict, both sides in figures, the graph, where it comes from, keys."""
        yield self.header
        yield self.title_line
        yield self.verdict
        yield self.facts
        yield self.graph
        yield self.notes
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins to watch."""
        self.set_interval(1.0, self.tick)
        self.follow()

    def on_resize(self) -> None:
        """Gives the figures as much room as there is."""
        height = self.size.height
        self.verdict.styles.height = 4 if height < ROOMY_HEIGHT else 5
        self.facts.styles.height = 5 if height < ROOMY_HEIGHT else 8 if height < ROOMIER_HEIGHT else 9

    async def tell(self, client: Client) -> None:
        """Tells how both sides stand, and runs the user's command when the verdict becomes another."""
        verdict, again = "", self.make_wake_event()
        looks = follow_stabilisation(client, self.ref, self._options, again, lambda: self._against)
        async with aclosing(looks):
            async for told in looks:
                self.post_message(self.Told(told))
                if isinstance(told, str) or told.problem or told.without_prometheus:
                    continue
                before, verdict = verdict, told.stability.verdict.value
                if self._command and before not in {"", verdict}:
                    words = await verdict_report.run_command(self._command, told, before)
                    if words:
                        self.post_message(self.Complaint(words))

    @on(FollowingScreen.Told)
    def _told(self, message: FollowingScreen.Told) -> None:
        """Shows what is known now."""
        message.stop()
        if not isinstance(message.told, StabilisationState):
            self._problem = str(message.told)
        else:
            before, self.seen, self._problem = self.seen, self._of(message.told), ""
            if (
                before is not None
                and not before.without_prometheus
                and before.stability.verdict is not self.seen.stability.verdict
            ):
                self.notify(f"{self.ref.name}: {self.seen.stability.verdict}", markup=False)
                if self._bell or self.in_background:
                    self.app.bell()
        self.draw()

    def on_stabilisation_screen_complaint(self, message: Complaint) -> None:
        """Says that the user's command has failed."""
        self.notify(message.words, severity="warning", markup=False)

    def _of(self, seen: StabilisationState) -> StabilisationState:
        """What is known, of the container that was chosen."""
        return seen.for_container(self._container) if self._container else seen

    # -- keys

    async def action_dismiss(self, result: None = None) -> None:
        """Leaves the screen; it goes on watching what it has begun to know."""
        if self.seen is None:
            self.app.post_message(self.Stopped(self.ref))
        else:
            self.notify(f"Goes on watching {self.ref.name}: b opens it again, X there ends it", markup=False)
        await super().action_dismiss(result)

    async def action_stop(self) -> None:
        """Leaves the screen and watches no more."""
        self.app.post_message(self.Stopped(self.ref))
        await super().action_dismiss(None)

    def action_align(self) -> None:
        """Draws by the clock, or by age."""
        self._by_age = not self._by_age
        self.draw()

    def action_container(self, step: int) -> None:
        """Shows another container."""
        if self.seen is None:
            return
        names = list(self.seen.stabilities)
        self._container = names[(names.index(self.seen.container) + step) % len(names)]
        self.seen = self._of(self.seen)
        self.draw()

    def action_against(self) -> None:
        """Compares with another earlier revision: the one offered, else the next older one."""
        if self.seen is None:
            return
        change = self.seen.change
        numbers = [one.number for one in change.earlier]
        if len(numbers) < 2 or change.previous is None:
            self.notify("There is no other earlier revision to compare with")
            return
        place = numbers.index(change.previous.number) if change.previous.number in numbers else -1
        self._against = self.seen.suggested_revision or numbers[(place + 1) % len(numbers)]
        self.notify(f"Compared with revision {self._against}")
        self.action_again()

    def report(self) -> WorkloadReport | None:
        """Both sides and the verdict."""
        seen = self.seen
        if seen is None:
            return None
        return WorkloadReport("stabilisation", seen.time, partial(save_report, seen=seen))

    # -- drawing

    def tick(self) -> None:
        """Brings the header up to date, and the time that is left."""
        super().tick()
        self.verdict.redraw()

    def draw(self) -> None:
        """Draws header, verdict, figures and graph."""
        self.tick()
        self.facts.redraw()
        seen = self.seen
        if seen is None:
            self.notes.show_text(Text())
            return
        stretch = self.RANGES[self.range]
        span = f"the last {self.range}" if stretch else "around the change"
        if self._by_age:
            span = f", first {self.range}" if stretch else ""
            self.graph.show(f"{seen.container} by age{span}", curves_by_age(seen, stretch))
        else:
            self.graph.show(f"{seen.container}, {span}", curves_by_clock(seen, stretch))
        self.notes.show_text(note_line(seen))

    def _verdict_lines(self, width: int, height: int) -> Sequence[Text]:
        if self.seen is None:
            if self._problem:
                return [Text(f" {self._problem}", "warn")]
            return [Text(f"   Asking what has become of {self.ref.name} since its last change …", "dim")]
        return verdict_lines(self.seen, self._now(), width, self._symbols)[:height]

    def _fact_lines(self, width: int, height: int) -> Sequence[Text]:
        return [] if self.seen is None else fact_lines(self.seen, width, height)
