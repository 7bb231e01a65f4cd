"""The actions of the keys that change or follow a workload, and rollouts in the background."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.message import Message
from textual.screen import Screen
from textual.worker import Worker

from tui.keys import CHANGE_GROUP, CHANGE_TITLES, FOLLOW_TITLES, MARKED_TITLES
from tui.live_screen import KeyGroup, LiveScreen, OpenScreen, OpenSubject
from widgets.dialogs import WaitingDialog

if TYPE_CHECKING:
    from textual.app import App

    from config.settings import Settings
    from memtop.change.change_request import ChangeRequest, ResizePod
    from memtop.change.rollout_watch import BackgroundRollout
    from memtop.change.several_changes import SeveralOutcome
    from memtop.kube.object_ref import ObjectRef
    from memtop.observe.frame import Frame
    from memtop.observe.watchlist import Watchlist
    from tui.change.change_flow import ChangeFlow
    from tui.change.memory_change import PooledUsage
    from tui.change.permissions import Permissions
    from tui.pod.tab import AskCluster, TabSubject
    from tui.stabilisation.screen import StabilisationScreen


class BackgroundRolloutNews(Message):
    """A rollout that was left running has come further."""

    def __init__(self, left: BackgroundRollout) -> None:
        super().__init__()
        self.left = left


class BackgroundRollouts:
    """What is followed besides the screens.

    Args:
        app: Who is told.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
    """

    def __init__(self, app: App[int], ask: AskCluster, now: Callable[[], float]) -> None:
        self._app = app
        self._ask = ask
        self._now = now
        self._followed: dict[ObjectRef, Future[None]] = {}
        self._told: dict[ObjectRef, BackgroundRollout] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        """One short line each."""
        return tuple(left.words for left in self._told.values())

    def follow(self, ref: ObjectRef) -> None:
        """Begins to follow a rollout."""
        from memtop.change.rollout_watch import follow_in_background

        def tell(left: BackgroundRollout) -> None:
            self._app.post_message(BackgroundRolloutNews(left))  # on the engine's thread

        if ref not in self._followed:
            self._followed[ref] = self._ask(lambda client: follow_in_background(client, ref, tell, self._now))

    def forget(self, ref: ObjectRef) -> None:
        """Follows a rollout no more: somebody looks at it again."""
        if (followed := self._followed.pop(ref, None)) is not None:
            followed.cancel()
        self._told.pop(ref, None)

    def show(self, left: BackgroundRollout) -> None:
        """Keeps what is told for the header; says aloud that a rollout is over or stuck."""
        if left.ref not in self._followed:
            return
        before = self._told.get(left.ref)
        self._told[left.ref] = left
        if left.is_over:
            self.forget(left.ref)
            self._app.notify("o shows its pods, b whether it has helped", title=left.words, markup=False)
        elif left.why and (before is None or before.state is not left.state):
            self._app.notify(left.why, title=left.words, severity="warning", timeout=10, markup=False)


# Nobody changes anything before the first frame is painted, and a start does not wait for what it takes.
# ruff: noqa: PLC0415

NO_ROW = "no row is selected"
_CHECKS, _CHECK_SECONDS = 20, 0.05
"""How often and how far apart a frame is looked at for what it knows of a row."""


class WorkloadActions:
    """The actions that change the workload of a row, or follow what became of a change.

    Args:
        app: On whose screens; it is asked by messages to open others.
        ask: Does something with the cluster.
        plan: What is observed.
        settings: Every option.
        warnings: What every header must say.
        now: The cluster's time, Unix seconds.
        frame: The newest frame; None before the first.

    Attributes:
        left: The rollouts that were left running.
    """

    def __init__(
        self,
        app: App[int],
        ask: AskCluster,
        plan: Watchlist,
        settings: Settings,
        *,
        warnings: tuple[str, ...],
        now: Callable[[], float],
        frame: Callable[[], Frame | None],
    ) -> None:
        self._app = app
        self._ask = ask
        self._plan = plan
        self._settings = settings
        self._warnings = warnings
        self._now = now
        self._frame = frame
        self.left = BackgroundRollouts(app, ask, now)
        self._permissions: Permissions | None = None
        self._asked: set[tuple[str, str]] = set()
        self._asking: tuple[str, str] | None = None
        self._shown: tuple[str, ...] = ()
        self._flow: ChangeFlow | None = None
        self._watches: dict[ObjectRef, StabilisationScreen] = {}

    @property
    def applying(self) -> bool:
        """Whether a change is on its way to the cluster, which nothing may cut short."""
        return self._flow is not None and self._flow.applying

    # -- may it be done

    @property
    def row(self) -> TabSubject | None:
        """What the screen in front is about, whatever dialog lies on it."""
        stack = reversed(self._app.screen_stack)  # which is empty while the app ends
        return next((screen.row for screen in stack if isinstance(screen, LiveScreen)), None)

    def refusal(self, action: str, row: TabSubject | None) -> str:
        """Why an action cannot be taken on a row; empty if nothing is known against it.

        Args:
            action: A change such as ``image``, or ``rollout``, ``stabilisation``, ``workload``.
            row: The row.
        """
        if row is None:
            return NO_ROW
        if action in {"report", "alerts"}:
            return ""
        if action == "timeline":
            from tui.change.permissions import why_no_timeline

            return why_no_timeline(row.workload.kind)
        if action == "workload":
            return f"{row.pod} is a bare pod: no workload owns it" if row.workload.kind == "Pod" else ""
        if self._marked and action not in FOLLOW_TITLES:
            return self._refusal_for_marked(action)
        if self._permissions is None:
            return ""
        if action in {"rollout", "stabilisation", "canary"}:
            from tui.change.permissions import why_no_rollout

            return why_no_rollout(row.workload)
        return self._permissions.refusal(row, action)

    @property
    def _marked(self) -> Sequence[TabSubject]:
        """The rows that are marked on the screen in front, whatever dialog lies on it."""
        stack = reversed(self._app.screen_stack)
        return next((screen.marked for screen in stack if isinstance(screen, LiveScreen)), ())

    def _refusal_for_marked(self, action: str) -> str:
        """Why an action cannot be taken on all marked rows; what one of them forbids is said by the plan."""
        if self._settings.safety.read_only:
            from memtop.change.change_request import READ_ONLY_SENTENCE

            return READ_ONLY_SENTENCE
        if action in MARKED_TITLES:
            return ""
        count = len(self._marked)
        rows = f"{count} rows are" if count > 1 else "a row is"
        return f"{rows} marked, and this is done with one at a time: esc unmarks"

    def show_frame(self, frame: Frame) -> None:
        """Learns what may be done with the row in front, and dims the keys of what may not."""
        row = self.row
        if row is None or not frame.settled:
            return
        place = (row.namespace, row.workload.kind)
        if place not in self._asked and place != self._asking:
            self._asking = place
            self._work(partial(self._learn, row, place), "permissions")
        self._dim()

    def complete_audit_log(self) -> None:
        """Has written down what became of changes whose memtop was ended before it knew."""
        from memtop.change.audit_completion import complete_begun
        from memtop.change.audit_log import AuditLog, audit_log_path
        from memtop.observe.engine import EngineStopped

        with suppress(EngineStopped):
            self._ask(lambda client: complete_begun(client, AuditLog(audit_log_path(os.environ))))

    def forget(self) -> None:
        """Asks for rights anew: they may have been granted meanwhile."""
        self._asked.clear()
        self._permissions = None

    async def _learn(self, row: TabSubject, place: tuple[str, str]) -> None:
        try:
            await asyncio.to_thread(importlib.import_module, "tui.change.change_flow")
            from memtop.kube.api_errors import Unreachable
            from tui.change.permissions import Permissions

            permissions = self._permissions or Permissions(read_only=self._settings.safety.read_only)
            if questions := permissions.unasked(row):
                with suppress(Unreachable):  # the engine has ended, or there is none
                    await asyncio.wrap_future(self._ask(lambda client: permissions.learn(client, questions)))
            self._permissions = permissions
            self._asked.add(place)
        finally:
            if self._asking is place:  # and not what has taken its place, which would be begun anew for ever
                self._asking = None
        self._dim()

    def _dim(self) -> None:
        row = self.row
        shown = tuple(self.refusal(action, row) for action in (*CHANGE_TITLES, *FOLLOW_TITLES))
        if shown != self._shown:
            self._shown = shown
            self._app.screen.refresh_bindings()

    def commands(self, screen: Screen[object]) -> Iterator[SystemCommand]:
        """What can be done now with the row of a screen, for the command palette."""
        row = screen.row if isinstance(screen, LiveScreen) else None
        if row is None:
            return
        for action, words in {**CHANGE_TITLES, **FOLLOW_TITLES}.items():
            if not self.refusal(action, row):
                about = row.pod_ref if action == "delete" else row.workload
                yield SystemCommand(
                    words, str(about), lambda action=action: self._app.call_later(self.change, action)
                )

    def words(self, groups: Sequence[KeyGroup]) -> list[KeyGroup]:
        """The keys of a screen in words, with why those that change something can't be used now."""
        row = self.row
        keys = [
            replace(key, unavailable=self.refusal(action, row))
            for action, key in zip(CHANGE_TITLES, CHANGE_GROUP.keys, strict=True)
        ]
        return [KeyGroup(group.title, keys) if group is CHANGE_GROUP else group for group in groups]

    # -- doing it

    def change(self, action: str) -> None:
        """Takes an action on the row in front."""
        row = self.row
        if row is None or (why := self.refusal(action, row)):
            self._app.notify(NO_ROW if row is None else why, markup=False)
        elif action in FOLLOW_TITLES:
            self._follow(action, row)
        elif self.applying:
            self._app.notify("A change is on its way to the cluster: one at a time")
        else:
            marked = self._marked
            title, about = (
                (MARKED_TITLES[action], f"{len(marked)} marked rows")
                if marked
                else (CHANGE_TITLES[action], row.workload)
            )
            waiting = WaitingDialog(title, f"Asking the cluster about {about} …")
            work = self._work(partial(self._change, action, row, marked, waiting), "change")
            self._app.push_screen(waiting, lambda left: work.cancel() if left else None)

    def plan(self, request: ChangeRequest) -> None:
        """Plans a change that was proposed for the row in front."""
        row = self.row
        why = NO_ROW if row is None else self.refusal("memory", row)
        if row is None or why:
            self._app.notify(why, markup=False)
        elif self.applying:
            self._app.notify("A change is on its way to the cluster: one at a time")
        else:
            waiting = WaitingDialog(request.title, f"Planning it for {row.workload} …")
            work = self._work(partial(self._change, "", row, (), waiting, request), "change")
            self._app.push_screen(waiting, lambda left: work.cancel() if left else None)

    def _work(self, work: Callable[[], Coroutine[None, None, None]], group: str) -> Worker[None]:
        """Begins something in place of what of its group is under way."""
        return self._app.run_worker(work, group=group, exclusive=True)

    async def _change(
        self,
        action: str,
        row: TabSubject,
        marked: Sequence[TabSubject],
        waiting: WaitingDialog,
        proposed: ChangeRequest | None = None,
    ) -> None:
        from memtop.change.audit_log import AuditLog, audit_log_path
        from memtop.stabilisation.earlier_revisions import leak_of_revision
        from tui.change.marked_rows import MarkedRowsFlow
        from tui.change.memory_change import usage_by_container, workload_members

        settings = self._settings

        async def uses() -> Mapping[str, PooledUsage]:
            """A key may be quicker than the frame that knows more of its row."""
            for _ in range(_CHECKS):
                if workload_members(self._frame(), row.workload) is not None:
                    break
                await asyncio.sleep(_CHECK_SECONDS)
            return usage_by_container(workload_members(self._frame(), row.workload))

        past = self._plan.history
        self._flow = flow = MarkedRowsFlow(
            self._app,
            self._ask,
            context=self._plan.target.context,
            protected=tuple(settings.safety.protected_contexts),
            log=AuditLog(audit_log_path(os.environ)),
            now=self._now,
            follow_resize=self._follow_resize,
            waiting=waiting,
            read_leak=partial(
                leak_of_revision, prometheus=past.prometheus, folder=past.folder, speed=self._plan.speed
            ),
            ascii_only=settings.ui.symbols == "ascii",
        )
        try:
            if marked:
                self._followed_several(await flow.run_marked(action, marked))
                return
            if proposed is not None:
                plan = await flow.run_request(proposed, row)
            else:
                plan = await flow.run(action, row, uses)
        finally:
            waiting.finish()
        if plan is not None and plan.opens_rollout:
            self._show_rollout(plan.ref)

    # -- following it

    def _followed_several(self, outcome: SeveralOutcome | None) -> None:
        """Unmarks what was changed, and follows what comes of it in the header; the rest stays marked."""
        from memtop.change.change_request import ResizePod

        for plan in () if outcome is None else outcome.done:
            if isinstance(plan.change, ResizePod):
                self._follow_resize(plan.change)
            elif plan.opens_rollout:
                self.left.follow(plan.ref)
        done = {plan.ref for plan in outcome.done} if outcome is not None else set()
        for screen in self._app.screen_stack:
            if done and isinstance(screen, LiveScreen):
                screen.unmark(done)

    def _follow_resize(self, request: ResizePod) -> None:
        self._work(partial(self._tell_resize, request), f"resize of {request.ref}")

    async def _tell_resize(self, request: ResizePod) -> None:
        """Says how a resize goes on until it is over."""
        from memtop.change.pod_resize import await_resize
        from memtop.observe.engine import EngineStopped

        progress = None
        while progress is None or not progress.over:
            try:
                news = self._ask(partial(await_resize, request=request, known=progress))
                progress = await asyncio.wrap_future(news)
            except EngineStopped:  # what comes is another cluster
                return
            if progress.state != "accepted":
                self._app.notify(
                    progress.words,
                    title=f"Resize of {request.ref.name}: {progress.state}",
                    severity="information" if progress.state == "done" else "warning",
                    timeout=10,
                    markup=False,
                )

    def _follow(self, action: str, row: TabSubject) -> None:
        if action == "rollout":
            self._show_rollout(row.workload)
        elif action == "canary":
            self._show_canary(row.workload)
        elif action == "stabilisation":
            self._show_stabilisation(row.workload)
        elif action == "report":
            self._work(partial(self._report, row), "report")
        elif action == "timeline":
            self._show_timeline(row)
        elif action == "alerts":
            self._show_alerts(row.workload)
        else:
            self._show_workload(type(row).of_workload(row.workload))

    async def _report(self, row: TabSubject) -> None:
        """Writes down all that is known of the row's workload."""
        from pathlib import Path

        from memtop.advice.workload_evidence import WorkloadEvidence, gather_evidence
        from memtop.change.audit_log import AuditLog, audit_log_path
        from memtop.commands.report import with_rules, write_reports
        from memtop.files import NewFileError
        from memtop.heap.kept_captures import capture_places
        from memtop.kube.api_errors import Unreachable
        from memtop.kube.client import Client
        from memtop.stabilisation.stabilisation_watch import StabilisationOptions

        frame = self._frame()
        if frame is None:
            self._app.notify("There is nothing to report yet")
            return
        self._app.notify(f"Collecting what is known of {row.workload} …", markup=False)
        options, log = StabilisationOptions.of(self._plan), AuditLog(audit_log_path(os.environ))
        places = capture_places(os.environ)

        async def gather(client: Client) -> WorkloadEvidence:
            found = await gather_evidence(client, frame, row.workload, options, log, places)
            return await with_rules(client, found, self._settings)

        try:
            evidence = await asyncio.wrap_future(self._ask(gather))
            written = await asyncio.to_thread(write_reports, Path.cwd(), evidence)
        except (NewFileError, Unreachable) as error:
            self._app.notify(str(error), severity="error", markup=False)
        else:
            names = " and ".join(one.name for one in written)
            self._app.notify(f"Written to {Path.cwd()}: {names}", timeout=10, markup=False)

    def _show_rollout(self, ref: ObjectRef) -> None:
        from tui.rollout.screen import RolloutScreen

        in_front, settings = self._app.screen, self._settings
        if isinstance(in_front, RolloutScreen) and in_front.ref == ref:
            return  # which shows this one already
        self.left.forget(ref)
        thresholds = settings.observe.warn_ratio, settings.observe.critical_ratio
        screen = RolloutScreen(ref, self._ask, self._now, settings.ui.symbols, self._warnings, thresholds)
        self._app.post_message(OpenScreen(screen))

    def _show_canary(self, ref: ObjectRef) -> None:
        from memtop.stabilisation.stabilisation_watch import StabilisationOptions
        from tui.rollout.canary_screen import CanaryScreen

        screen = CanaryScreen(
            ref,
            self._ask,
            self._now,
            self._settings.ui.symbols,
            self._warnings,
            options=StabilisationOptions.of(self._plan),
        )
        self._app.post_message(OpenScreen(screen))

    def _show_stabilisation(self, ref: ObjectRef) -> None:
        from memtop.stabilisation import verdict_report
        from memtop.stabilisation.stabilisation_watch import StabilisationOptions
        from tui.stabilisation.screen import StabilisationScreen

        app, settings = self._app, self._settings
        if isinstance(app.screen, StabilisationScreen) and app.screen.ref == ref:
            return  # which shows this one already
        if (watching := self._watches.get(ref)) is not None:
            app.post_message(OpenScreen(watching))
            return
        command: tuple[str, ...] = ()
        if settings.watch.command:
            try:
                command = verdict_report.split_command(settings.watch.command)
            except ValueError as error:
                app.notify(f"watch.command: {settings.watch.command!r} {error}", markup=False)
        screen = StabilisationScreen(
            ref,
            self._ask,
            self._now,
            settings.ui.symbols,
            self._warnings,
            options=StabilisationOptions.of(self._plan),
            bell=settings.watch.bell,
            command=command,
        )
        app.install_screen(screen, f"stabilisation of {ref}")  # which stays when it is left
        self._watches[ref] = screen
        app.post_message(OpenScreen(screen))

    def _show_timeline(self, row: TabSubject) -> None:
        from memtop.commands.timeline import timeline_options
        from tui.timeline.screen import TimelineScreen

        settings = self._settings
        options = timeline_options(self._plan, row.container or None)
        screen = TimelineScreen(
            row.workload, self._ask, self._now, settings.ui.symbols, self._warnings, options=options
        )
        self._app.post_message(OpenScreen(screen))

    def _show_alerts(self, ref: ObjectRef) -> None:
        from memtop.change.audit_log import AuditLog, audit_log_path
        from tui.alerts.screen import AlertsScreen

        screen = AlertsScreen(
            ref,
            self._ask,
            self._now,
            self._settings,
            AuditLog(audit_log_path(os.environ)),
            self._warnings,
            context=self._plan.target.context,
            speed=self._plan.speed,
        )
        self._app.post_message(OpenScreen(screen))

    @property
    def lines(self) -> tuple[str, ...]:
        """One short line for each thing that is followed besides the screens."""
        watching = (screen.line for screen in self._watches.values() if screen.in_background)
        return (*self.left.lines, *watching)

    async def stop_watching(self, ref: ObjectRef) -> None:
        """Ends a watch whose screen was left."""
        screen = self._watches.get(ref)
        if screen is not None and screen not in self._app.screen_stack:
            del self._watches[ref]
            self._app.uninstall_screen(screen)
            await screen.remove()

    async def stop_watches(self) -> None:
        """Ends all watches: what comes is another cluster."""
        for ref in list(self._watches):
            await self.stop_watching(ref)

    def _show_workload(self, about: TabSubject) -> None:
        """Opens a workload, or goes back to it where it is in front already, or lies right below."""
        from tui.pod.screen import PodScreen

        app = self._app
        front, *below = [screen for screen in reversed(app.screen_stack) if isinstance(screen, LiveScreen)]
        if isinstance(front, PodScreen) and front.subject == about:
            front.action_tab("Workload")
        elif below and isinstance(below[0], PodScreen) and below[0].subject == about:
            app.pop_screen()
        else:
            app.post_message(OpenSubject(about))
