"""The Workload tab: the pods of a workload and its revisions, live."""

from __future__ import annotations

import asyncio
from functools import partial

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from memtop.change.follow import Standing, follow
from memtop.cluster.errors import Unreachable
from memtop.observe.frame import Frame
from tui.change.usage import members_of
from tui.overview.cells import Place, name_of
from tui.overview.detail import trend_of
from tui.overview.look import Look
from tui.pod.tab import Ask, PodTab, Subject
from tui.workload import pods, revisions
from tui.workload.words import standing_lines
from widgets.pane import Pane
from widgets.plot import TrendPlot
from widgets.rows import NoRows
from widgets.said import Said
from widgets.table import LiveTable
from widgets.text import literal

STANDING_LINES = 3
MOST_REVISIONS = 6
"""Lines that the revisions get at most; they scroll."""
TALL = 26
"""Lines from which there is room for the graph."""


class WorkloadTab(PodTab):
    """The pods of a workload, with their revisions, and what the revisions were made of.

    Args:
        subject: The workload.
        ask: Does something with the cluster.
        look: How figures are drawn.
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

        def __init__(self, told: Standing | str) -> None:
            super().__init__()
            self.told = told

    def __init__(self, subject: Subject, ask: Ask, look: Look) -> None:
        super().__init__(subject, ask)
        self._look = look
        self._place = Place()
        self._frame: Frame | None = None
        self._standing: Standing | None = None
        self._trouble = ""
        ascii_only = look.symbols == "ascii"
        self.said = Said(self._shortened, STANDING_LINES)
        self.pods = LiveTable(pods.COLUMNS, empty="No pod of it is seen", ascii_only=ascii_only, id="pods")
        self.revisions = LiveTable(revisions.COLUMNS, ascii_only=ascii_only)
        self.plot = TrendPlot(symbols=look.symbols, empty="No sample of it yet")
        self.box = Pane("Revisions", self.revisions, ascii_only=ascii_only, id="revisions")

    def compose(self) -> ComposeResult:
        """How it stands, its pods, its revisions, and on a tall screen what they hold together."""
        yield self.said
        yield self.pods
        yield self.box
        yield self.plot

    def on_resize(self) -> None:
        """Draws the graph where there is room for it."""
        self.set_class(self.size.height >= TALL, "-tall")

    def focus(self, scroll_visible: bool = True) -> WorkloadTab:
        """Gives the keys to the pods."""
        self.pods.focus(scroll_visible)
        return self

    def opened(self) -> None:
        """Begins to follow the workload."""
        self._follow()

    @property
    def row(self) -> Subject | None:
        """The pod under the cursor; None without one."""
        rows = self.pods.rows
        if not isinstance(rows, pods.MemberRows) or not len(rows):
            return None
        identity = rows.identity_at(self.pods.cursor_row)
        return Subject.of(identity, name_of(identity))

    @on(LiveTable.Activated, "#pods")
    async def _open(self) -> None:
        await self.run_action("app.open")

    # -- what is told

    @work(exclusive=True, group="workload")
    async def _follow(self) -> None:
        try:
            await asyncio.wrap_future(
                self.ask(partial(follow, ref=self.subject.workload, publish=self._tell))
            )
        except Unreachable as error:
            self._tell(str(error))

    def show_failure(self, sentence: str) -> None:
        """Says why the workload is not followed any more."""
        self._tell(sentence)

    def _tell(self, told: Standing | str) -> None:
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
        self._draw()

    def show(self, frame: Frame) -> None:
        """Shows what the frame knows of its pods."""
        self._frame = frame
        self._draw()

    # -- drawing

    @property
    def lines(self) -> list[Text]:
        """How the workload stands."""
        if self._standing is None:
            words = self._trouble or f"Asking for {self.subject.workload} …"
            return [Text(f" {literal(words)}", "warn" if self._trouble else "dim")]
        lines = standing_lines(self._standing.subject)
        if self._trouble:
            lines[-1] = Text(f"  what is shown is old: {literal(self._trouble)}", "warn")
        return lines

    def _shortened(self, width: int, height: int) -> list[Text]:
        lines = self.lines
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def _draw(self) -> None:
        self.said.redraw()
        if self._frame is not None:
            self.plot.show(trend_of(self._frame))
        frame, standing = self._frame, self._standing
        if frame is None:
            return
        members = members_of(frame, self.subject.workload)
        known = standing.subject.revisions if standing is not None else ()
        if members is not None:
            numbers = {revision.hash: revision.number for revision in known if revision.number}
            born = standing.born if standing is not None else {}
            self.pods.show(pods.member_rows(frame, members, self._look, self._place, numbers, born))
        if standing is None:
            self.revisions.show(NoRows(), empty=self._trouble or "Asking for its revisions …")
        else:
            judged = revisions.worst(members.parts) if members is not None else {}
            none = standing.subject.revisions_note or f"a {self.subject.workload.kind} keeps no revisions"
            self.revisions.show(revisions.RevisionRows(known, judged, frame.time), empty=none)
