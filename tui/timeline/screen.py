"""The timeline screen: since when a workload leaks, under a graph with the onset all that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.timeline.timeline_report import limit_words, save_timeline
from memtop.timeline.workload_timeline import TimelineOptions, WorkloadTimeline, gather_timeline
from tui.following_screen import FollowingScreen, WorkloadReport
from tui.keys import CHANGE_BINDINGS, TIMELINE_HELP
from tui.pod.tab import AskCluster
from tui.timeline.timeline_document import (
    TIMELINE_RANGES,
    curves_around_onset,
    document_lines,
    head_lines,
    noted,
)
from widgets.key_and_filter_bars import KeyBar
from widgets.line_widget import TextBlock
from widgets.memory_plots import BeforeAfterPlot
from widgets.styled_text import Symbols
from widgets.text_view import TextView

SHORT_HEIGHT = 22
"""Lines of the screen below which the text has the room and the graph has none."""


class TimelineScreen(FollowingScreen):
    """One workload: asked once when it opens, and again on demand. Leaving it ends every request.

    Args:
        ref: The workload, or a bare pod.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        symbols: Which characters graphs are drawn with.
        warnings: What the header must always say.
        options: How to gather it.
        folder: Where reports go.

    Attributes:
        told: What is known; None before anything is.
    """

    DEFAULT_CSS = """
    TimelineScreen BeforeAfterPlot { height: 2fr; min-height: 6; }
    TimelineScreen TextView { height: 3fr; min-height: 3; }
    TimelineScreen.-short BeforeAfterPlot { display: none; }
    """
    RANGES = TIMELINE_RANGES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "next_range", "Range", priority=True),  # which the text would take
        Binding("ctrl+s", "report", "Report"),
        *CHANGE_BINDINGS,
        Binding("left_square_bracket", "container(-1)", "Container", show=False),
        Binding("right_square_bracket", "container(1)", "Next container", show=False),
        Binding("r", "again", "Ask again now", show=False),
    ]
    WORDS = ("Keys of the timeline", TIMELINE_HELP)

    def __init__(
        self,
        ref: ObjectRef,
        ask: AskCluster,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...] = (),
        *,
        options: TimelineOptions | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(ref, ask, now, symbols, warnings, f"Since when? {ref.name}", folder)
        self.told: WorkloadTimeline | None = None
        self._options = options or TimelineOptions()
        self._problem = ""
        self.head = TextBlock(self._head_lines, 5)
        self.graph = BeforeAfterPlot(symbols=symbols)
        self.document = TextView()

    def compose(self) -> ComposeResult:
        """Header, sentence, graph, what changed, keys."""
        yield self.header
        yield self.title_line
        yield self.head
        yield self.graph
        yield self.document
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins to ask."""
        self.set_interval(1.0, self.tick)
        self.document.focus()
        self.follow()

    def on_resize(self) -> None:
        """Gives the graph room where there is some."""
        self.set_class(self.size.height < SHORT_HEIGHT, "-short")
        self.draw()

    async def tell(self, client: Client) -> None:
        """Tells once."""
        self.post_message(self.Told(await gather_timeline(client, self.ref, self._options)))

    @on(FollowingScreen.Told)
    def _on_told(self, message: FollowingScreen.Told) -> None:
        """Shows what is known now."""
        message.stop()
        if isinstance(message.told, WorkloadTimeline):
            self.told, self._problem = message.told, ""
        else:
            self._problem = str(message.told)
        self.draw()

    # -- keys

    def action_container(self, step: int) -> None:
        """Tells of another container."""
        if self.told is None or len(self.told.containers) < 2:
            self.notify("There is no other container")
            return
        names = self.told.containers
        place = names.index(self.told.container) if self.told.container in names else 0
        chosen = names[(place + step) % len(names)]
        self._options = replace(self._options, container=chosen)
        self.notify(f"Asking for {chosen} …", markup=False)
        self.follow()

    def report(self) -> WorkloadReport | None:
        """The timeline as Markdown."""
        told = self.told
        if told is None:
            return None
        return WorkloadReport("timeline", told.at, partial(save_timeline, told=told))

    # -- drawing

    def draw(self) -> None:
        """Draws header, sentences, graph and text."""
        self.tick()
        told = self.told
        self.head.styles.height = len(self._head_lines(max(self.size.width, 20), 5)) or 1
        self.head.redraw()
        if told is None:
            return
        stretch = self.RANGES[self.range]
        span = (
            "all that is known"
            if self.range == "all"
            else f"around {self.range}"
            if stretch < 0
            else self.range
        )
        self.graph.show(f"{told.container}, {span}, {limit_words(told)}", curves_around_onset(told, stretch))
        self.document.show(document_lines(told, self.size.width, self._symbols))

    def _head_lines(self, width: int, height: int) -> Sequence[Text]:
        if self.told is None:
            return noted(None, self._problem, self.ref.name)
        lines = head_lines(self.told, width)
        if self._problem:
            lines.append(Text(f"   what is shown is old: {self._problem}", "warn"))
        return lines[:height]
