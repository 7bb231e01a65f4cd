"""The pod screen: the verdict on one container above the tabs that tell more of it, live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import ContentSwitcher

from config.settings import DEFAULT_PRESETS
from memtop.observe.frame import Frame, WorkloadKey
from memtop.observe.slots import ContainerIdentity, ContainerKey
from memtop.timeline.workload_timeline import TimelineOptions
from tui import keys
from tui.keys import CHANGE_BINDINGS, CHANGE_GROUP, FOLLOW_GROUP, REPORT_BINDINGS
from tui.live_screen import FigureStyle, HelpKey, KeyGroup, OpenSubject
from tui.overview.cells import row_name
from tui.overview.row_details import verdict_line
from tui.pod.advice_tab import AdviceSources, AdviceTab
from tui.pod.causes_tab import CauseInquiry, CausesTab
from tui.pod.describe_tab import DescribeTab
from tui.pod.events_tab import EventsTab
from tui.pod.exec_screen import ACTIONS_WITH_EXEC, ExecAccess, ExecScreen
from tui.pod.log_tabs import LogTab, PreviousTab
from tui.pod.memory_tab import MemoryTab
from tui.pod.tab import AskCluster, PodTab, TabSubject
from tui.pod.trend_tab import TrendTab
from tui.pod.workload_tab import WorkloadTab
from widgets.key_and_filter_bars import KeyBar
from widgets.line_widget import OneLine
from widgets.panes import PaneTitle
from widgets.styled_text import Symbols

POD_HELP = (
    KeyGroup(
        "Pod",
        (
            HelpKey("t", "memory over time"),
            HelpKey("g  1 2 3 4", "range of the graph and of the events: 1 h, 6 h, 24 h, 7 d"),
            HelpKey("d", "describe, with what matters for memory first"),
            HelpKey("l  p", "log of this run, log of the run before"),
            HelpKey("e", "events of the pod, its owners and its node"),
            HelpKey("Y", "why: the likely causes, their evidence, and what to check next"),
            HelpKey("r", "ask again now"),
            HelpKey("S", "open the successor of a pod that is gone"),
            HelpKey("esc", "back"),
        ),
    ),
    keys.WORKLOAD_GROUP,
    keys.DESCRIBE_GROUP,
    keys.LOG_GROUP,
    keys.EVENTS_GROUP,
    keys.EXEC_GROUP,
    CHANGE_GROUP,
    FOLLOW_GROUP,
)


class PodScreen(ExecScreen):
    """One container of one pod (or one workload).

    Args:
        subject: What it is about.
        ask: Does something with the cluster for a tab.
        now: The cluster's time, Unix seconds.
        symbols: Which characters graphs are drawn with.
        warnings: What the header must always say.
        presets: Regular expressions to search logs for, by name.
        thresholds: Shares of the limit from which memory is high, and critical.
        read_only: Whether memtop was told to change nothing.
        pace: Seconds of the cluster's time that pass in one here.
        timeline: How to find out since when its workload leaks and why; None for not at all.
        advice: Where a workload's past is asked for, and where captures may be; None for no advice.
        first: The tab that is open at first, or the action such as ``heap`` to take at once; the first tab if
            empty.
    """

    DEFAULT_CSS = """
    PodScreen ContentSwitcher { height: 1fr; }
    PodScreen #likely { display: none; }
    PodScreen #likely.-known { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "dismiss", "Back"),
        Binding("t", "tab('Trend')", "Trend"),
        Binding("d", "tab('Describe')", "Describe"),
        Binding("l", "tab('Logs')", "Logs"),
        Binding("p", "tab('Previous')", "Previous"),
        Binding("e", "tab('Events')", "Events"),
        Binding("B", "tab('Memory')", "Memory"),
        Binding("a", "tab('Advice')", "Advice"),
        Binding("Y", "tab('Why')", "Why"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
        *CHANGE_BINDINGS,
        *REPORT_BINDINGS,
        Binding("r", "app.retry", "Ask again now", show=False),
        Binding("S", "successor", "Open the successor of a pod that is gone", show=False),
    ]
    WORDS = ("Keys of the pod", POD_HELP)

    class Looked(Message):
        """The screen has come to the front and wants frames about its row."""

        def __init__(self, subject: TabSubject, reach: float) -> None:
            super().__init__()
            self.subject = subject
            self.reach = reach

    def __init__(
        self,
        subject: TabSubject,
        ask: AskCluster,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...] = (),
        presets: Mapping[str, str] = DEFAULT_PRESETS,
        thresholds: tuple[float, float] = (0.7, 0.9),
        *,
        read_only: bool = False,
        first: str = "",
        pace: float = 1.0,
        timeline: TimelineOptions | None = None,
        advice: AdviceSources | None = None,
    ) -> None:
        inside = ExecAccess(subject, read_only=read_only)
        super().__init__(ask, inside, now, symbols, warnings, pace)
        self.subject = subject
        self._siblings: frozenset[ContainerKey] = frozenset()
        self._successor: TabSubject | None = None
        self.verdict = OneLine(id="verdict")
        self.likely = OneLine(id="likely")
        self.inquiry = CauseInquiry(subject, ask, timeline)
        look = FigureStyle(*thresholds, symbols)
        workload = isinstance(subject.key, WorkloadKey)
        self.tabs: tuple[PodTab, ...] = (
            *([WorkloadTab(subject, ask, look, self.inquiry)] if workload else []),
            TrendTab(subject, ask, symbols),
            DescribeTab(subject, ask, symbols),
            LogTab(subject, ask, now, presets, symbols),
            PreviousTab(subject, ask, now, presets, symbols),
            EventsTab(subject, ask, symbols),
            MemoryTab(subject, ask, inside, symbols),
            CausesTab(subject, ask, self.inquiry, ascii_only=symbols == "ascii"),
            *([AdviceTab(subject, ask, symbols, *advice)] if workload and advice is not None else []),
        )
        self._open: PodTab = next((tab for tab in self.tabs if first == tab.NAME), self.tabs[0])
        self._first = first
        self.strip = PaneTitle(self._open.NAME, ascii_only=symbols == "ascii")
        self.strip.tabs = [tab.NAME for tab in self.tabs]
        self.strip.subtitle = subject.title
        self.strip.lit = True

    def compose(self) -> ComposeResult:
        """Header, verdict, tabs, keys."""
        yield self.header
        yield self.verdict
        yield self.likely
        yield self.strip
        with ContentSwitcher(initial=self._open.id):
            yield from self.tabs
        yield KeyBar()
        yield self.inquiry

    def on_mount(self) -> None:
        """Starts the header's clock and opens the first tab."""
        self.set_interval(1.0, self.tick)
        self._open.focus()
        self._open.opened()
        self.learn_access()
        if self._first in ACTIONS_WITH_EXEC:
            self._enter_container(self._first)

    def _enter_container(self, action: str) -> None:
        """Takes an action inside the container, or says why that cannot be done."""
        if why := self._inside.refusal():
            self.notify(why, markup=False)
        else:
            self.call_later(self.run_action, action)

    def on_screen_resume(self) -> None:
        """Has frames made that draw this row."""
        self.post_message(self.Looked(self.subject, self._open.look_back_seconds))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaves out what only a single container has."""
        if action in ACTIONS_WITH_EXEC and not self.subject.pod:
            return False
        if action == "tab" and not any(parameters[0] == tab.NAME for tab in self.tabs):
            return False
        return super().check_action(action, parameters)

    def on_key(self, event: events.Key) -> None:
        """Says why what was left out does nothing."""
        if not self.subject.pod and event.key in {"x", "X", "h"}:
            self.notify(self._inside.refusal(), markup=False)

    @property
    def row(self) -> TabSubject | None:
        """What the keys act on: what the screen is about, or the one of its pods that the cursor is on."""
        return self._open.row or self.subject

    def on_unmount(self) -> None:
        """Ends what the open tab has under way."""
        self._open.closed()

    def on_resize(self) -> None:
        """Tells the tabs whether there is room for two things side by side."""
        self.set_class(self.size.width < 100, "-narrow")

    def show(self, frame: Frame) -> None:
        """Shows what the frame knows of the container."""
        self.newest = frame
        self.tick()
        if self._inside.update(frame):
            self.refresh_bindings()
        if frame.view.selected != self.subject.key:
            return
        if frame.detail is None:
            self._successor = self._find_successor(frame)
            offer = f"; its successor is {self._successor.pod}: S opens it" if self._successor else ""
            gone = f" {self.subject.title} is gone; what is shown is the last that was seen{offer}"
            self.verdict.show_text(Text(gone, "warn"))
        elif frame.detail.row is not None:
            self._successor = None
            self._siblings = frozenset(one.key for one in _members(frame))
            self.verdict.show_text(verdict_line(frame, frame.detail.row))
        self._open.show(frame)
        self.inquiry.look_if_in_trouble(frame)

    @on(CauseInquiry.Changed)
    def _causes_changed(self) -> None:
        """Says the likeliest cause under the verdict, and has the tabs that tell more of it drawn."""
        line = self.inquiry.line
        self.likely.set_class(line is not None, "-known")
        if line is not None:
            self.likely.show_text(line)
        for tab in self.tabs:
            if isinstance(tab, CausesTab | WorkloadTab):
                tab.draw()

    def _find_successor(self, frame: Frame) -> TabSubject | None:
        """The same container of the pod that came in place of this one, if one has come since."""
        return next(
            (
                TabSubject.of(one, row_name(one))
                for one in _members(frame)
                if one.key not in self._siblings and one.container == self.subject.container
            ),
            None,
        )

    def action_successor(self) -> None:
        """Opens the pod that came in place of this one."""
        if self._successor is None:
            self.notify(f"{self.subject.title} has no successor, as far as is known", markup=False)
        else:
            self.post_message(OpenSubject(self._successor))

    def action_tab(self, name: str) -> None:
        """Opens another tab."""
        tab = next(tab for tab in self.tabs if name == tab.NAME)
        if tab is self._open:
            return
        self._open.closed()
        self._open = tab
        self.query_one(ContentSwitcher).current = tab.id
        self.strip.title = tab.NAME
        self.strip.redraw()
        tab.focus()
        tab.opened()
        if self.newest is not None:
            tab.show(self.newest)

    @on(PaneTitle.TabClicked)
    def _tab_clicked(self, event: PaneTitle.TabClicked) -> None:
        self.action_tab(self.tabs[event.index].NAME)


def _members(frame: Frame) -> Iterator[ContainerIdentity]:
    """The containers of the workload that the screen is about."""
    if frame.members is not None:
        for slot in frame.members.slots.tolist():
            who = frame.members.rows.identities[slot]
            if isinstance(who, ContainerIdentity):
                yield who
