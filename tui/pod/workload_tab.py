"""The Workload tab: how the workload stands, its pods and its revisions, live."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from memtop.analysis.stability_evidence import SideFigures
from memtop.change.change_request import SetImage, why_unsupported
from memtop.change.rollout_status import rollout_status
from memtop.change.workload_state import WorkloadState, WorkloadUpdate, follow_workload
from memtop.kube.api_errors import Unreachable
from memtop.kube.custom_workloads import custom_workload, status_words, wait_words
from memtop.kube.json_object import Json, objects, text
from memtop.kube.object_ref import ROLLING_KINDS
from memtop.observe.frame import Frame
from tui.change.memory_change import workload_members
from tui.live_screen import FigureStyle
from tui.overview.cells import RowHint, row_name
from tui.overview.row_details import selected_trend
from tui.pod import workload_tables
from tui.pod.causes_tab import CauseInquiry
from tui.pod.tab import AskCluster, PodTab, TabSubject
from widgets.line_widget import TextBlock
from widgets.memory_plots import TrendPlot
from widgets.panes import TitledPane
from widgets.styled_text import literal
from widgets.table import LiveTable
from widgets.table_parts import NoRows

_HEALTHY_CONDITIONS = {"Available": "True", "Progressing": "True", "Complete": "True"}


def workload_lines(subject: WorkloadState) -> list[Text]:
    """Pods and rollout, strategy, conditions: a line each."""
    how = why_unsupported(subject.ref, SetImage) or subject.strategy
    return [_pods_line(subject), _joined_line(("dim", "  pods    "), ("", how)), _conditions_line(subject)]


def _pods_line(subject: WorkloadState) -> Text:
    ref = subject.ref
    line = _joined_line(("strong", f" {ref.kind} "), ("", f"{ref.namespace}/{ref.name}"))
    custom = custom_workload(ref.kind, ref.api_version)
    if custom is not None:
        words, over = status_words(custom, subject.object)
        line.append(f"   {literal(words)}", "" if over else "accent")
        if wait := wait_words(custom, subject.object).replace("NAME", ref.name):
            line.append(f"   {literal(wait)}", "warn")
    elif ref.kind in ROLLING_KINDS:
        now = rollout_status(subject.object, ref.kind)
        counted = (
            (now.desired, "wanted"), (now.ready, "ready"), (now.updated, "updated"),
            (now.available, "available"), (now.old, "old"),
        )  # fmt: skip
        short = now.ready < now.desired
        for count, name in counted:
            line.append(f"   {count}", "warn" if short and name == "ready" else "strong")
            line.append(f" {name}", "dim")
        if not now.done:
            line.append("   rollout under way: o follows it", "accent")
    if subject.paused:
        line.append("   rollouts are paused: P resumes them", "warn")
    return line


def _conditions_line(subject: WorkloadState) -> Text:
    line = _joined_line(("dim", "  status  "))
    said = list(_condition_words(objects(subject.object, "status", "conditions")))
    for number, (words, good) in enumerate(said):
        line.append(f"{', ' if number else ''}{words}", "" if good else "warn")
    if not said:
        line.append("no condition is told", "dim")
    if subject.revisions_note:
        line.append(f"   revisions: {subject.revisions_note}", "warn")
    return line


def _condition_words(conditions: list[Json]) -> Iterator[tuple[str, bool]]:
    """Each condition, with its reason and message where it is not as it should be."""
    for one in conditions:
        name, value = text(one, "type"), text(one, "status")
        good = value == _HEALTHY_CONDITIONS.get(name, "False")
        if good:
            yield (name if value == "True" else f"no {name}"), True
        else:
            why = ": ".join(part for part in (text(one, "reason"), text(one, "message")) if part)
            yield f"{'not ' if value == 'False' else ''}{name}{f' ({why})' if why else ''}", False


def _joined_line(*parts: tuple[str, str]) -> Text:
    line = Text(no_wrap=True, end="")
    for role, words in parts:
        line.append(words, role)
    return line


STANDING_LINES = 3
MOST_REVISIONS = 6
"""Lines that the revisions get at most; they scroll."""
TALL_HEIGHT = 26
"""Lines from which there is room for the graph."""


class WorkloadTab(PodTab):
    """The pods of a workload, with their revisions, and what the revisions were made of.

    Args:
        subject: The workload.
        ask: Does something with the cluster.
        look: How figures are drawn.
        inquiry: Who knows how each revision grew, those that have no pods any more too.
    """

    NAME = "Workload"
    KEY = "W"
    DEFAULT_CSS = """
    WorkloadTab #revisions { height: 5; }
    WorkloadTab TrendPlot { height: 1fr; display: none; }
    WorkloadTab.-tall TrendPlot { display: block; }
    """

    class Told(Message):
        """The cluster has told how the workload stands, or why it cannot."""

        def __init__(self, told: WorkloadUpdate | str) -> None:
            super().__init__()
            self.told = told

    def __init__(
        self, subject: TabSubject, ask: AskCluster, look: FigureStyle, inquiry: CauseInquiry
    ) -> None:
        super().__init__(subject, ask)
        self._inquiry = inquiry
        self._look = look
        self._place = RowHint()
        self._frame: Frame | None = None
        self._standing: WorkloadUpdate | None = None
        self._trouble = ""
        ascii_only = look.symbols == "ascii"
        self.said = TextBlock(self._shortened, STANDING_LINES)
        self.pods = LiveTable(
            workload_tables.MEMBER_COLUMNS, empty="No pod of it is seen", ascii_only=ascii_only, id="pods"
        )
        self.revisions = LiveTable(workload_tables.REVISION_COLUMNS, ascii_only=ascii_only)
        self.plot = TrendPlot(symbols=look.symbols, empty="No sample of it yet")
        self.box = TitledPane("Revisions", self.revisions, ascii_only=ascii_only, id="revisions")

    def compose(self) -> ComposeResult:
        """How it stands, its pods, its revisions, and on a tall screen what they hold together."""
        yield self.said
        yield self.pods
        yield self.box
        yield self.plot

    def on_resize(self) -> None:
        """Draws the graph where there is room for it."""
        self.set_class(self.size.height >= TALL_HEIGHT, "-tall")

    def focus(self, scroll_visible: bool = True) -> WorkloadTab:
        """Gives the keys to the pods."""
        self.pods.focus(scroll_visible)
        return self

    def opened(self) -> None:
        """Begins to follow the workload."""
        self._follow()
        self._inquiry.look()

    @property
    def row(self) -> TabSubject | None:
        """The pod under the cursor; None without one."""
        rows = self.pods.rows
        if not isinstance(rows, workload_tables.MemberRows) or not len(rows):
            return None
        identity = rows.identity_at(self.pods.cursor_row)
        return TabSubject.of(identity, row_name(identity))

    @on(LiveTable.Activated, "#pods")
    async def _open(self) -> None:
        await self.run_action("app.open")

    # -- what is told

    @work(exclusive=True, group="workload")
    async def _follow(self) -> None:
        try:
            await asyncio.wrap_future(
                self.ask(partial(follow_workload, ref=self.subject.workload, publish=self._tell))
            )
        except Unreachable as error:
            self._tell(str(error))

    def show_failure(self, sentence: str) -> None:
        """Says why the workload is not followed any more."""
        self._tell(sentence)

    def _tell(self, told: WorkloadUpdate | str) -> None:
        """Called on the engine's thread."""
        self.post_message(self.Told(told))

    @on(Told)
    def _told(self, message: Told) -> None:
        message.stop()
        if isinstance(message.told, str):
            self._trouble = message.told
        else:
            self._standing, self._trouble = message.told, ""
            count = len(message.told.subject.revisions)
            self.box.styles.height = 2 + min(max(count, 2), MOST_REVISIONS)
        self.draw()

    def show(self, frame: Frame) -> None:
        """Shows what the frame knows of its pods."""
        self._frame = frame
        self.draw()

    # -- drawing

    @property
    def lines(self) -> list[Text]:
        """How the workload stands."""
        if self._standing is None:
            words = self._trouble or f"Asking for {self.subject.workload} …"
            return [Text(f" {literal(words)}", "warn" if self._trouble else "dim")]
        lines = workload_lines(self._standing.subject)
        if self._trouble:
            lines[-1] = Text(f"  what is shown is old: {literal(self._trouble)}", "warn")
        return lines

    def _shortened(self, width: int, height: int) -> list[Text]:
        lines = self.lines
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def draw(self) -> None:
        """Shows what is known."""
        self.said.redraw()
        if self._frame is not None:
            self.plot.show(selected_trend(self._frame))
        frame, standing = self._frame, self._standing
        if frame is None:
            return
        members = workload_members(frame, self.subject.workload)
        known = standing.subject.revisions if standing is not None else ()
        if members is not None:
            numbers = {revision.hash: revision.number for revision in known if revision.number}
            born = standing.pods_created if standing is not None else {}
            self.pods.show(
                workload_tables.member_rows(frame, members, self._look, self._place, numbers, born)
            )
        if standing is None:
            self.revisions.show(NoRows(), empty=self._trouble or "Asking for its revisions …")
        else:
            judged = workload_tables.worst_by_revision(members.parts) if members is not None else {}
            none = standing.subject.revisions_note or f"a {self.subject.workload.kind} keeps no revisions"
            self.revisions.show(
                workload_tables.RevisionRows(known, judged, frame.time, self._past_rates()), empty=none
            )

    def _past_rates(self) -> dict[int, SideFigures]:
        told = self._inquiry.told
        return {one.number: one.figures for one in told.rates} if told is not None else {}
