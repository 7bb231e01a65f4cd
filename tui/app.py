"""The Textual application: one engine, one screen after another."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, work
from textual.actions import parse
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.message import Message
from textual.screen import Screen

from memtop.background import run_in_thread
from memtop.kube.api_errors import KubeconfigError
from memtop.kube.kubeconfig import IN_CLUSTER, list_contexts
from memtop.observe.view import OverviewPane, RowSort, SourceCondition, View
from memtop.observe.watchlist import DemoStartError
from tui.change.workload_actions import WorkloadActions
from tui.live_screen import HelpScreen, LiveScreen, OpenScreen, OpenSubject, key_commands
from tui.overview import pane_columns
from tui.overview.screen import Overview
from tui.overview.selection import view_of_row
from widgets.error_boundary import ErrorBoundary
from widgets.ordered_keys import OrderedKeys
from widgets.picker import Picker, PickerItem, RoomlessPalette
from widgets.terse_display import TerseDisplay

if TYPE_CHECKING:
    from config.settings import Settings
    from memtop.observe.engine import Engine
    from memtop.observe.frame import Frame
    from memtop.observe.watchlist import Watchlist
    from tui.change.workload_actions import BackgroundRolloutNews
    from tui.pod.advice_tab import AdviceTab
    from tui.pod.screen import PodScreen
    from tui.pod.tab import TabSubject
    from tui.pod.trend_tab import TrendTab
    from tui.rollout.screen import RolloutScreen
    from tui.stabilisation.screen import StabilisationScreen
    from tui.tour import GuidedTour
    from widgets.terminal_driver import TerminalWatchdog

SCREEN_INTERVALS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Steps of ``+`` and ``-``, in seconds."""
THREAD_SWITCH_SECONDS = 0.0005
"""How long one thread may keep the interpreter while another wants it. Between a key and its picture the
screen lets go of it some ten times, and each time would wait 5 ms (Python's choice) for a busy engine."""
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


AUDIT_LOG_SECONDS = 3.0
"""Seconds from the start until the audit log is completed: nothing that is seen first waits for it."""
TOUR_SECONDS = 0.2
"""Seconds until the strip of the tour says the next step: a key's own effect is seen first."""


class FrameReady(Message):
    """A newer frame is there to be fetched; only the newest one counts."""

    def can_replace(self, message: Message) -> bool:
        """A second message before the first was handled says nothing new."""
        return isinstance(message, FrameReady)


class EngineCrashed(Message):
    """The engine ended by a mistake of memtop's own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class EngineTroubled(Message):
    """Frames do not come, by a mistake of memtop's own; the engine begins afresh."""


class Memtop(ErrorBoundary[int], OrderedKeys[int], TerseDisplay[int]):
    """memtop's screens on one cluster.

    Args:
        settings: Every option.
        plan: What to observe; or a function that blocks until that is known, and is called once the screen
            is painted. A `DemoStartError` of it ends the app.
        plan_for: The plan for other settings; reads files, so it is called off the UI's thread.
        demo: Whether the cluster is the embedded one.
        watchdog: Is told of signals, and ends the process where the screen does not.

    Attributes:
        settings: Every option.
        frame: The newest frame; None before the first.
        warnings: What every header must say.
        overview: The screen that everything else lies upon.
    """

    _plan: Watchlist
    TITLE = "memtop"
    ENABLE_COMMAND_PALETTE = True
    CSS_PATH = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+q", "quit", "Quit", show=False),
    ]

    def __init__(
        self,
        settings: Settings,
        plan: Watchlist | Callable[[], Watchlist],
        plan_for: Callable[[Settings], Watchlist],
        *,
        demo: bool = False,
        watchdog: TerminalWatchdog | None = None,
    ) -> None:
        super().__init__()
        self._watchdog = watchdog
        self._plan_for = plan_for
        self._demo = demo
        self.settings = settings
        self._first_plan = plan
        if not callable(plan):
            self._plan = plan  # keys are asked about before the first paint
        self._engine: Engine | None = None
        self._acting: WorkloadActions | None = None
        self._tour: GuidedTour | None = None
        self.frame: Frame | None = None
        self._frame_at = 0.0
        self._trouble = ""
        self._preferences = pane_columns.preferences_path(demo=demo)
        self._interval = settings.observe.interval
        self._interval_chosen = False
        self.theme = settings.ui.theme
        self.warnings = ("read-only",) if settings.safety.read_only else ()
        self._sorts: Mapping[OverviewPane, RowSort] = pane_columns.load_sorts(self._preferences)
        view = View(sorts=self._sorts)
        self.overview = Overview(settings, view, self.cluster_time, self.warnings)

    def get_default_screen(self) -> Screen[None]:
        """The overview is what everything else lies upon."""
        return self.overview

    def on_mount(self) -> None:
        """Watches for the end of the session, and starts the engine once the screen is painted."""
        self.guard()
        if self._tour is not None:
            self.set_interval(TOUR_SECONDS, self._draw_tour)
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            with suppress(NotImplementedError, ValueError):
                loop.add_signal_handler(number, self._end, number)
                if self._watchdog is not None:  # beside the loop, which may stand still
                    signal.signal(number, self._watchdog.asked_to_end)
        self.call_after_refresh(self._begin)

    def on_unmount(self) -> None:
        """Ends every request."""
        if self._engine is not None:
            self._engine.stop()

    def begin_tour(self) -> None:
        """Has the tour begin with the screen."""
        from tui.tour import GuidedTour  # noqa: PLC0415  (nobody else pays for it)

        self._tour = GuidedTour()

    async def on_event(self, event: events.Event) -> None:
        """Lets the tour see which keys are pressed; they do what they do."""
        if self._tour is not None and isinstance(event, events.Key) and not event.is_forwarded:
            self._tour.pressed(event.key)
        await super().on_event(event)

    def _draw_tour(self) -> None:
        """Says the present step on the screen in front."""
        if self._tour is not None and self.screen_stack:
            self._tour.draw(self._in_front)

    def _end(self, number: signal.Signals) -> None:
        """The session is over (SIGHUP, SIGINT, SIGTERM): leave the terminal as it was."""
        self.exit(128 + number)

    # -- the engine

    async def _begin(self) -> None:
        """Starts the engine; where that takes seconds, beside the keys."""
        if callable(self._first_plan):
            self.run_worker(self._start())
        else:
            await self._start()

    async def _start(self) -> None:
        if not await self._know_plan():
            return
        engine = await asyncio.to_thread(_import_engine)
        gc.freeze()  # modules and widgets stay: no collection needs to look at them again
        gc.enable()
        sys.setswitchinterval(THREAD_SWITCH_SECONDS)
        self._engine = engine(self._plan, self._arrived, self._crashed, self.overview.view, self._troubled)
        if self._interval_chosen:
            self._engine.set_interval(self._interval)
        self._acting = WorkloadActions(
            self,
            self._engine.submit,
            self._plan,
            self.settings,
            warnings=self.warnings,
            now=self.cluster_time,
            frame=lambda: self.frame,
        )
        self._engine.start()
        self.set_timer(AUDIT_LOG_SECONDS, self._acting.complete_audit_log)

    async def _know_plan(self) -> bool:
        """Waits until it is known what to observe; where that cannot be, ends with the reason."""
        if not callable(self._first_plan):
            self._plan = self._first_plan
            return True
        try:
            # Both at once, since both take their time.
            plan, _ = await asyncio.gather(run_in_thread(self._first_plan), asyncio.to_thread(_import_engine))
        except DemoStartError as error:
            self.exit(return_code=1, message=Text(f"memtop: {error}"))
            return False
        self._plan = self._first_plan = plan
        return True

    def _arrived(self, frame: Frame) -> None:
        """On the engine's thread: leaves the frame and says so."""
        self.frame = frame
        self._trouble = ""
        self._frame_at = time.monotonic()
        self.post_message(FrameReady())

    def _crashed(self, error: BaseException) -> None:
        self.post_message(EngineCrashed(error))

    def _troubled(self, sentence: str) -> None:
        """On the engine's thread: keeps why there is no newer frame, and says so."""
        self._trouble = f"nothing newer is shown: {sentence}"
        self.post_message(EngineTroubled())

    def on_engine_troubled(self) -> None:
        """Says on every screen that what is shown is old, or on the overview why there is nothing."""
        if self.frame is not None:
            self.on_frame_ready()
        elif self._trouble:
            self.overview.show_trouble(self._trouble)

    def on_frame_ready(self) -> None:
        """Shows the newest frame on every screen that is open; while the app ends, on none."""
        if self.frame is None or not self.screen_stack:
            return
        frame = self._noted(self.frame)
        for screen in self.screen_stack:
            if isinstance(screen, LiveScreen):
                screen.show(frame)
        if self._acting is not None:
            self._acting.show_frame(frame)

    def _noted(self, frame: Frame) -> Frame:
        """The frame with a note on each rollout and watch left running, and on newer frames that fail."""
        lines = () if self._acting is None else self._acting.lines
        if self._trouble:
            lines = (self._trouble, *lines)
        return replace(frame, notes=(*lines, *frame.notes)) if lines else frame

    def on_engine_crashed(self, message: EngineCrashed) -> None:
        """Ends with what went wrong; a screen that stands still would be worse."""
        said = "".join(traceback.format_exception(message.error))
        self.exit(return_code=1, message=f"{said}\nThis is a mistake in memtop; please report it.")

    def cluster_time(self) -> float:
        """The cluster's time now, Unix seconds, as far as known."""
        if self.frame is None:
            return time.time()
        return self.frame.time + (time.monotonic() - self._frame_at) * self._plan.speed

    def on_overview_view_changed(self, message: Overview.ViewChanged) -> None:
        """Asks the engine for frames under the new view, and remembers the order."""
        if self._engine is not None and self._in_front is self.overview:
            self._engine.show(message.view)
        if message.view.sorts != self._sorts:
            self._sorts = message.view.sorts
            pane_columns.save_sorts(self._preferences, self._sorts)

    @property
    def _in_front(self) -> LiveScreen:
        """The uppermost screen that shows frames, whatever dialog lies on it."""
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, LiveScreen))

    def on_pod_screen_looked(self, message: PodScreen.Looked) -> None:
        """Has the engine draw the row that the open screen is about."""
        if self._engine is not None:
            view = view_of_row(self.overview.view, message.subject.key)
            self._engine.show(replace(view, look_back_seconds=message.reach))

    def on_trend_tab_reached(self, message: TrendTab.Reached) -> None:
        """Has the engine draw the row for as far back as its graph reaches."""
        if self._engine is not None and self._in_front.row == message.subject:
            view = view_of_row(self.overview.view, message.subject.key)
            self._engine.show(replace(view, look_back_seconds=message.seconds))

    def action_interval(self, step: int) -> None:
        """Asks for the metrics less often (1) or more often (-1)."""
        later = [pace for pace in SCREEN_INTERVALS if pace > self._interval]
        sooner = [pace for pace in SCREEN_INTERVALS if pace < self._interval]
        if step > 0 and later:
            self._interval = later[0]
        elif step < 0 and sooner:
            self._interval = sooner[-1]
        self._interval_chosen = True
        if self._engine is not None:
            self._engine.set_interval(self._interval)
        note = " (metrics-server has new samples every 15 to 60 s)" if self._interval < 15 else ""
        self.notify(f"Metrics are asked for every {self._interval:g} s{note}")

    # -- what cannot be done now, and why

    def refusal(self, action: str, parameters: Sequence[object] = ()) -> str:
        """Why an action cannot be taken at present; empty if it can."""
        if action == "change" and self._acting is not None:
            return self._acting.refusal(str(parameters[0]), self._acting.row)
        if action == "context" and self._demo:
            return "the demo is a cluster of its own: there is no other context"
        if action == "context" and self._acting is not None and self._plan.target.source == IN_CLUSTER:
            return "memtop runs inside the cluster: there is no kubeconfig with other contexts"
        if action == "context" and self._acting is not None and self._acting.applying:
            return "a change is on its way to this cluster: wait for its outcome"
        if action == "interval" and self.frame is not None:
            metrics = next((source for source in self.frame.sources if source.name == "metrics"), None)
            if metrics is not None and metrics.state in {SourceCondition.ABSENT, SourceCondition.FORBIDDEN}:
                return metrics.words
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dims the keys of what cannot be done now."""
        return None if self.refusal(action, parameters) else True

    def on_key(self, event: events.Key) -> None:
        """Says why a dimmed key does nothing."""
        active = self.screen.active_bindings.get(event.key)
        if active is None or active.enabled:
            return
        _, action, parameters = parse(active.binding.action)
        if why := self.refusal(action, parameters):
            self.notify(why, markup=False)

    # -- actions of every screen

    def action_help(self) -> None:
        """Shows the keys of the present screen."""
        if isinstance(self.screen, LiveScreen):
            title, words = self.screen.WORDS
            self.push_screen(HelpScreen(title, words if self._acting is None else self._acting.words(words)))

    def action_retry(self) -> None:
        """Tries again at once whatever waits."""
        if self._engine is not None and self._acting is not None:
            self._engine.retry()
            self._acting.forget()
        self.notify("Asking again now")

    def action_open(self, first: str = "") -> None:
        """Opens the selected row.

        Args:
            first: Its tab, or what to do there at once; see `tui.pod.screen.PodScreen`.
        """
        subject = self._in_front.row
        if subject is None:
            self.notify(self.overview.nothing, markup=False)
        else:
            self.open(subject, first)

    def on_open_subject(self, message: OpenSubject) -> None:
        """Opens what a screen asks for."""
        self.open(message.subject)

    def on_open_screen(self, message: OpenScreen) -> None:
        """Opens a screen that has been asked for; a key that was pressed twice opens one."""
        if not message.screen.is_about_the_same(self.screen):
            self.open_screen(message.screen)

    def open(self, subject: TabSubject, first: str = "") -> None:
        """Opens a pod or a workload, at once with one of its tabs or actions."""
        from memtop.commands.timeline import timeline_options  # noqa: PLC0415  (after the first paint)
        from tui.pod.advice_tab import advice_sources  # noqa: PLC0415  (likewise)
        from tui.pod.screen import PodScreen  # noqa: PLC0415  (likewise)

        if self._engine is None:
            return
        settings = self.settings
        screen = PodScreen(
            subject,
            self._engine.submit,
            self.cluster_time,
            settings.ui.symbols,
            self.warnings,
            settings.logs.presets,
            (settings.observe.warn_ratio, settings.observe.critical_ratio),
            read_only=settings.safety.read_only,
            first=first,
            pace=self._plan.speed,
            timeline=timeline_options(self._plan),
            advice=advice_sources(self._plan),
        )
        self.open_screen(screen)

    def open_screen(self, screen: LiveScreen) -> None:
        """Opens a screen and shows it the newest frame, since the next may take its time."""
        self.push_screen(screen)
        if self.frame is not None:
            self.call_after_refresh(screen.show, self._noted(self.frame))

    # -- what changes a workload, or follows a change

    def action_change(self, action: str) -> None:
        """Changes the row's workload, after a plan and a yes, or follows what became of it."""
        if self._acting is not None:
            self._acting.change(action)

    def on_advice_tab_plan_wanted(self, message: AdviceTab.PlanWanted) -> None:
        """Plans what is proposed for the workload in front."""
        if self._acting is not None:
            self._acting.plan(message.request)

    def on_rollout_screen_left_running(self, message: RolloutScreen.LeftRunning) -> None:
        """Goes on following a rollout whose screen was left."""
        if self._acting is not None and self.is_running:
            self._acting.left.follow(message.ref)

    async def on_stabilisation_screen_stopped(self, message: StabilisationScreen.Stopped) -> None:
        """Ends a watch whose screen was left for good."""
        if self._acting is not None and self.is_running:
            await self._acting.stop_watching(message.ref)

    def on_background_rollout_news(self, message: BackgroundRolloutNews) -> None:
        """Says in every header how the rollouts stand that were left running."""
        if self._acting is not None:
            self._acting.left.show(message.left)
            self.on_frame_ready()

    def action_namespace(self) -> None:
        """Chooses the namespace to show."""
        frame = self.frame
        name, scope = "all namespaces", frame.scope if frame else ""
        everything = PickerItem("", name, "" if scope == name else scope)
        known = [PickerItem(name, name) for name in (frame.namespaces if frame else ())]
        current = next(iter(self.overview.view.namespaces), "")
        self.push_screen(Picker("Namespace", [everything, *known], current=current), self._chose_namespace)

    def _chose_namespace(self, name: str | None) -> None:
        if name is not None:
            self.overview.restrict(frozenset({name}) if name else frozenset())

    @work(exclusive=True, group="context")
    async def action_context(self) -> None:
        """Chooses another context and starts afresh on it."""
        if self._acting is None:
            self.notify("memtop is still starting: this cluster is not known yet")
            return
        cluster = self.settings.cluster
        try:
            known = await asyncio.to_thread(list_contexts, kubeconfig=cluster.kubeconfig)
            if not any(context.name != self._plan.target.context for context in known):
                self.notify("No kubeconfig names another context")
                return
            items = [PickerItem(context.name, context.name, context.server) for context in known]
            name = await self.push_screen_wait(Picker("Context", items, current=self._plan.target.context))
            if name is None or name == self._plan.target.context:
                return
            settings = replace(self.settings, cluster=replace(cluster, context=name))
            plan = await asyncio.to_thread(self._plan_for, settings)
        except KubeconfigError as error:
            self.notify(str(error), title="The context stays as it was", severity="error", markup=False)
            return
        if self._acting is not None:
            await self._acting.stop_watches()
        if self._engine is not None:
            await asyncio.to_thread(self._engine.stop)
        self._first_plan, self.settings, self.frame, self._trouble = plan, settings, None, ""
        self.overview.restart()
        await self._start()

    def action_command_palette(self) -> None:
        """Opens the command palette, in the smallest window too."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(RoomlessPalette(id="--command-palette"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette's entries."""
        yield SystemCommand("Quit", "Leave memtop", self.action_quit)
        yield SystemCommand("Keys", "Show the keys that work here", self.action_help)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Namespace", "Choose the namespace to show", self.action_namespace)
        yield SystemCommand("Ask again now", "Try at once whatever waits", self.action_retry)
        if self._acting is not None:
            yield from self._acting.commands(screen)
        yield from key_commands(self, screen)


def _import_engine() -> type[Engine]:
    """Imports what observing and drawing take, which is more than an empty screen takes."""
    from memtop.observe.engine import Engine  # noqa: PLC0415  (after the first paint)
    from tui.overview import (  # noqa: PLC0415
        cells,  # noqa: F401  (so that the first frame finds them there)
        row_details,  # noqa: F401  (so that the first frame finds them there)
    )

    return Engine
