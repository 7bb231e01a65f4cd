"""The Why tab: the likely causes of a container's memory trouble, and the inquiry that other tabs share."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from memtop.analysis.judgement import Verdict
from memtop.kube.api_errors import CLUSTER_FAILURES
from memtop.observe.frame import Frame
from memtop.timeline.workload_timeline import TimelineOptions, WorkloadTimeline, gather_timeline
from tui.change.permissions import why_no_timeline
from tui.pod.tab import AskCluster, PodTab, TabSubject
from tui.timeline.timeline_document import cause_lines, head_lines, origin_lines
from widgets.styled_text import literal
from widgets.text_view import TextView

TROUBLE = (Verdict.LEAK, Verdict.OOM_LOOP)
"""Verdicts for which the causes are looked for without being asked."""


class CauseInquiry(Widget):
    """Asks once since when a workload leaks and why, for all that show it; draws nothing itself.

    Args:
        subject: The pod or workload.
        ask: Does something with the cluster.
        options: How to gather the workload's timeline; None for not at all.

    Attributes:
        told: What is known; None before anything is.
        problem: Why nothing (newer) is known; empty where nothing is in the way.
    """

    DEFAULT_CSS = """
    CauseInquiry { display: none; }
    """

    class Answered(Message):
        """There is an answer, or a reason why there is none."""

        def __init__(self, told: WorkloadTimeline | str) -> None:
            super().__init__()
            self.told = told

    class Changed(Message):
        """What is known of the causes has changed."""

    def __init__(self, subject: TabSubject, ask: AskCluster, options: TimelineOptions | None) -> None:
        super().__init__()
        self.told: WorkloadTimeline | None = None
        self.problem = why_no_timeline(subject.workload.kind)
        self._subject = subject
        self._ask = ask
        self._options = options
        self._begun = False

    def look(self, *, again: bool = False) -> None:
        """Asks, unless that was done already.

        Args:
            again: Whether to ask in any case.
        """
        possible = self._options is not None and not why_no_timeline(self._subject.workload.kind)
        if possible and self.is_mounted and (again or not self._begun):
            self._begun = True
            self._gather()

    def look_if_in_trouble(self, frame: Frame) -> None:
        """Asks for what leaks or is killed again and again, since a person will ask why."""
        judged = frame.detail.judgement if frame.detail is not None else None
        if judged is not None and judged.verdict in TROUBLE:
            self.look()

    @work(exclusive=True)
    async def _gather(self) -> None:
        assert self._options is not None
        options = replace(self._options, container=self._subject.container or None)
        try:
            told = await asyncio.wrap_future(
                self._ask(lambda client: gather_timeline(client, self._subject.workload, options))
            )
        except CLUSTER_FAILURES as error:
            self.post_message(self.Answered(str(error)))
        else:
            self.post_message(self.Answered(told))

    def show_failure(self, sentence: str) -> None:
        """Says why nothing is known."""
        self.post_message(self.Answered(sentence))

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        message.stop()
        if isinstance(message.told, str):
            self.problem = message.told
        else:
            self.told, self.problem = message.told, ""
        self.post_message(self.Changed())

    @property
    def line(self) -> Text | None:
        """The likeliest cause in one line; None where there is none, or nothing is known yet."""
        if self.told is None or not self.told.causes:
            return None
        first, more = self.told.causes[0], len(self.told.causes) - 1
        line = Text(f" why?  {literal(first.name)}", "warn", no_wrap=True, end="")
        line.append(f": {literal(first.evidence[0])}", "")
        return line.append(f"  Y: {f'{more} more and ' if more else ''}what to check next", "dim")


class CausesTab(PodTab):
    """A short list of causes, the likeliest first, each with its evidence and what to check next.

    Args:
        subject: Of what.
        ask: Does something with the cluster.
        inquiry: Who asks.
        ascii_only: Whether marks must do with ASCII.
    """

    NAME = "Why"
    KEY = "Y"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "again", "Ask again now")]

    def __init__(
        self, subject: TabSubject, ask: AskCluster, inquiry: CauseInquiry, *, ascii_only: bool
    ) -> None:
        super().__init__(subject, ask)
        self._inquiry = inquiry
        self.document = TextView(ascii_only=ascii_only)

    def compose(self) -> ComposeResult:
        """The list is all there is."""
        yield self.document

    def focus(self, scroll_visible: bool = True) -> CausesTab:
        """Gives the keys to the list."""
        self.document.focus(scroll_visible)
        return self

    def opened(self) -> None:
        """Asks the first time."""
        self._inquiry.look()
        self.draw()

    def action_again(self) -> None:
        """Asks again."""
        self.notify("Asking again now")
        self._inquiry.look(again=True)

    def on_resize(self) -> None:
        """Wraps anew."""
        self.draw()

    def draw(self) -> None:
        """Shows what is known."""
        self.document.show(self.lines(max(self.size.width, 20)))

    def lines(self, width: int) -> list[str | Text]:
        """The sentence on the onset, the causes, and where that comes from.

        Args:
            width: Columns there are.
        """
        told, problem = self._inquiry.told, self._inquiry.problem
        if told is None:
            words = problem or f"Asking for a week of {self.subject.workload} and for its log …"
            return [Text(f" {literal(words)}", "warn" if problem else "dim")]
        of = f" Likely cause, of container {literal(told.container)}"
        lines: list[str | Text] = [*head_lines(told, width)[:-1], "", Text(of, "strong")]
        lines += cause_lines(told, width)
        if not told.causes or told.causes[0].weight < 3:
            lines += [Text(f"   {words}", "dim") for words in _NEXT_LOOKS]
        lines += ["", Text("   L tells what changed in the cluster when it began", "dim")]
        lines += origin_lines(told)
        if problem:
            lines.append(Text(f"   what is shown is old: {literal(problem)}", "warn"))
        return lines


_NEXT_LOOKS = ("B tells heap from page cache, h takes two captures and says what grew between them",)
