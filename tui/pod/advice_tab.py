"""The Advice tab: what to do about a workload's memory, with reason, evidence and code; enter plans it."""

from __future__ import annotations

import asyncio
import os
import textwrap
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from memtop.advice.proposals import Proposal, propose
from memtop.advice.workload_evidence import WorkloadEvidence, gather_evidence
from memtop.background import run_in_thread
from memtop.change.audit_log import AuditLog, audit_log_path
from memtop.change.change_request import ChangeRequest
from memtop.heap.kept_captures import capture_places
from memtop.kube.api_errors import CLUSTER_FAILURES, Unreachable
from memtop.kube.client import Client
from memtop.observe.frame import Frame
from memtop.observe.watchlist import Watchlist
from memtop.stabilisation.stabilisation_watch import StabilisationOptions
from tui.pod.tab import AskCluster, PodTab, TabSubject
from widgets.styled_text import Symbols, literal
from widgets.table import LiveTable
from widgets.table_parts import Cell, PlacedColumn, TableColumn
from widgets.text_view import TextView

PROPOSAL_COLUMNS = (
    TableColumn("container", "CONTAINER", 12, flex=1, max_width=30, drop_order=2, sortable=False),
    TableColumn("id", "WHAT", 10, flex=1, max_width=14, drop_order=1, sortable=False),
    TableColumn("title", "ADVICE", 24, flex=5, sortable=False),
    TableColumn("plan", "PLAN", 7, sortable=False),
)
MOST_PROPOSALS, FEW_PROPOSALS = 10, 5
"""Rows in sight, on a high screen and on a low one; they scroll."""
LOW_HEIGHT = 22
WIDEST = 110
"""Cells of a line of prose: longer ones are hard to read."""


class AdviceSources(NamedTuple):
    """Where the past of a workload is asked for, as the working set, and where captures may be."""

    options: StabilisationOptions
    folders: tuple[Path, ...]


def advice_sources(plan: Watchlist) -> AdviceSources:
    """Those of what is observed; limits are compared with the working set, whatever growth is judged on."""
    past = plan.history.prometheus
    if past is not None:
        past = replace(past, metric="working_set")
    options = StabilisationOptions.of(replace(plan, history=replace(plan.history, prometheus=past)))
    return AdviceSources(options, capture_places(os.environ))


@dataclass(frozen=True)
class ProposalRows:
    """The proposals, container by container."""

    found: Sequence[Proposal]

    def __len__(self) -> int:
        return len(self.found)

    def key(self, i: int) -> Hashable:
        """Container and name of a proposal."""
        return self.found[i].container, self.found[i].id

    def index(self, key: Hashable) -> int | None:
        """Finds a proposal; there are few."""
        return next((i for i in range(len(self.found)) if self.key(i) == key), None)

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """The cells of one line."""
        one = self.found[i]
        cells: dict[str, Cell] = {
            "container": Text(literal(one.container), "dim"),
            "id": one.id,
            "title": Text(literal(one.title), "strong"),
            "plan": Text("enter", "accent")
            if one.request is not None
            else Text("code" if one.code else "", "dim"),
        }
        return [cells[placed.column.key] for placed in columns]


def proposal_text(one: Proposal, width: int) -> Iterator[Text]:
    """A proposal in full: why, on what evidence, how sure, the key that plans it, and code to add."""
    yield Text(f" {literal(one.title[:1].upper() + one.title[1:])}", "strong")
    for label, words, role in (
        ("why", one.reason, ""),
        ("evidence", one.evidence, "dim"),
        ("how sure", one.sure, "warn" if "not yet" in one.sure else "dim"),
    ):
        if words:
            folded = textwrap.wrap(literal(words), max(20, min(width, WIDEST) - 14))
            for number, line in enumerate(folded):
                yield Text(f"   {'' if number else label:<9} ", "dim").append(line, role)
    if one.request is not None:
        yield (
            Text(f"   {'change':<9} ", "dim")
            .append("enter", "accent")
            .append(f" plans it: {one.request.title}; nothing is changed before a yes")
        )
    if one.code:
        yield Text("   add to the application:", "dim")
        yield from (Text(f"     {literal(line)}") for line in one.code.splitlines())


class AdviceTab(PodTab):
    """What is proposed for a workload; asked for once when it opens, and again with ``r``.

    Args:
        subject: The workload.
        ask: Does something with the cluster.
        symbols: Which characters are drawn with.
        options: Where the past is asked for, as the working set.
        folders: Where captures may be.
    """

    NAME = "Advice"
    KEY = "a"
    DEFAULT_CSS = """
    AdviceTab TextView { height: 1fr; min-height: 3; }
    """

    class Told(Message):
        """What is known of the workload, and what is proposed; or why nothing is."""

        def __init__(self, told: tuple[WorkloadEvidence, tuple[Proposal, ...]] | str) -> None:
            super().__init__()
            self.told = told

    class PlanWanted(Message):
        """A proposal is to be planned."""

        def __init__(self, request: ChangeRequest) -> None:
            super().__init__()
            self.request = request

    def __init__(
        self,
        subject: TabSubject,
        ask: AskCluster,
        symbols: Symbols,
        options: StabilisationOptions,
        folders: tuple[Path, ...] = (),
    ) -> None:
        super().__init__(subject, ask)
        self._options = options
        self._folders = folders
        self._frame: Frame | None = None
        self._asked = False
        self._known: tuple[WorkloadEvidence, tuple[Proposal, ...]] | None = None
        ascii_only = symbols == "ascii"
        self.table = LiveTable(
            PROPOSAL_COLUMNS, empty="Collecting what is known …", ascii_only=ascii_only, id="proposals"
        )
        self.document = TextView(ascii_only=ascii_only)

    def compose(self) -> ComposeResult:
        """A row a proposal, and all of the selected one."""
        yield self.table
        yield self.document

    def focus(self, scroll_visible: bool = True) -> AdviceTab:
        """Gives the keys to the proposals."""
        self.table.focus(scroll_visible)
        return self

    def on_resize(self) -> None:
        """Folds the lines anew."""
        self._draw()

    def opened(self) -> None:
        """Begins to ask, as soon as there is a frame to begin from."""
        self._asked = self._known is not None
        self._ask_once()

    def show(self, frame: Frame) -> None:
        """Keeps the newest frame, from which the present figures come."""
        self._frame = frame
        self._ask_once()

    def _ask_once(self) -> None:
        frame = self._frame
        if not self._asked and frame is not None and frame.settled and frame.members is not None:
            self._asked = True
            self._gather(frame)

    @work(exclusive=True, group="advice")
    async def _gather(self, frame: Frame) -> None:
        log = AuditLog(audit_log_path(os.environ))

        async def gather(client: Client) -> None:
            ref = self.subject.workload
            found = await gather_evidence(client, frame, ref, self._options, log, self._folders)
            self.post_message(self.Told((found, await run_in_thread(propose, found))))

        try:
            await asyncio.wrap_future(self.ask(gather))
        except (*CLUSTER_FAILURES, Unreachable) as error:
            self.post_message(self.Told(str(error)))

    def show_failure(self, sentence: str) -> None:
        """Says why nothing is proposed."""
        self.post_message(self.Told(sentence))

    @on(Told)
    def _told(self, message: Told) -> None:
        message.stop()
        if isinstance(message.told, str):
            self.table.show(ProposalRows(()), empty=message.told)
            return
        self._known = message.told
        self._draw()

    @on(LiveTable.Activated, "#proposals")
    def _plan(self, message: LiveTable.Activated) -> None:
        message.stop()
        one = self._selected
        if one is None:
            return
        if one.request is None:
            self.notify(
                "This is nothing to change in the cluster" if one.code else "There is no change to plan"
            )
        else:
            self.post_message(self.PlanWanted(one.request))

    @on(LiveTable.Selected, "#proposals")
    def _moved(self, message: LiveTable.Selected) -> None:
        message.stop()
        self._show_selected()

    # -- drawing

    @property
    def _selected(self) -> Proposal | None:
        rows = self.table.rows
        if not isinstance(rows, ProposalRows) or not len(rows):
            return None
        return rows.found[min(self.table.cursor_row, len(rows) - 1)]

    def _draw(self) -> None:
        if self._known is None:
            return
        _, found = self._known
        most = FEW_PROPOSALS if self.size.height < LOW_HEIGHT else MOST_PROPOSALS
        self.table.styles.height = 1 + min(most, max(1, len(found)))
        self.table.show(ProposalRows(found), empty="Nothing is proposed")
        self._show_selected()

    def _show_selected(self) -> None:
        if self._known is None or (one := self._selected) is None:
            return
        evidence, _ = self._known
        lines: list[str | Text] = list(proposal_text(one, self.size.width))
        if evidence.missing:
            lines += ["", Text(" Not known", "strong")]
            room = max(20, min(self.size.width, WIDEST) - 6)
            for gap in evidence.missing:
                lines += [Text(f"   {line}", "warn") for line in textwrap.wrap(literal(gap), room)]
        self.document.show(lines)
