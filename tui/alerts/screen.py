"""The alerts screen: the rules proposed for a workload or its namespace, tested on the cluster's own past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from memtop.background import run_in_thread
from memtop.change.audit_log import AuditError, AuditLog, PlanOutcome
from memtop.change.change_request import READ_ONLY_SENTENCE
from memtop.files import NewFileError
from memtop.kube.api_errors import CLUSTER_FAILURES, Unreachable
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.rules.alert_rules import RuleThresholds
from memtop.rules.proposed_rules import (
    BacktestedRules,
    ProposedRules,
    connect_rules,
    object_of_rules,
    propose_rules,
    rules_text,
    write_rules,
)
from memtop.rules.rule_expressions import PodSelection, RuleWorkload
from memtop.rules.rule_plan import RulesPlan, apply_rules, last_applied, plan_rules, plan_undo, record_rules
from tui.alerts.rule_rows import ALERT_COLUMNS, AlertProposal, AlertRows, alert_head, alert_lines
from tui.following_screen import FollowingScreen
from tui.keys import ALERTS_HELP
from tui.pod.tab import AskCluster
from widgets.confirm import ConfirmDialog, PlanLine
from widgets.key_and_filter_bars import KeyBar
from widgets.line_widget import TextBlock
from widgets.table import LiveTable
from widgets.text_view import TextView

if TYPE_CHECKING:
    from config.settings import Settings

ALERT_RANGES = {"1 d": 86400.0, "7 d": 7 * 86400.0, "30 d": 30 * 86400.0}
HEAD_LINES = 4
MOST_ROWS, FEW_ROWS = 14, 5
"""Rules in sight, on a high screen and on a low one; they scroll."""
SHORT_HEIGHT = 30
DONE_WORDS = {"POST": "created", "PATCH": "configured", "DELETE": "deleted"}


class AlertsScreen(FollowingScreen):
    """Alert rules for one workload, or for all of its namespace. Leaving it ends every request.

    Args:
        ref: The workload.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        settings: Every option.
        log: Where every plan is written down.
        warnings: What the header must always say.
        context: The kubeconfig's context.
        speed: Seconds of cluster time per second here.
        folder: Where files go; None for the folder that memtop was started in.

    Attributes:
        told: The rules, with their past as soon as it is known; None before anything is.
    """

    DEFAULT_CSS = """
    AlertsScreen TextView { height: 1fr; min-height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply", "Apply as a plan"),
        Binding("F", "write", "Write files"),
        Binding("t", "thresholds", "Thresholds"),
        Binding("n", "scope", "Workload or namespace"),
        Binding("g", "next_range", "Range", priority=True),
        Binding("u", "undo", "Undo"),
        Binding("tab", "app.focus_next", show=False),
        Binding("r", "again", "Ask again now", show=False),
    ]
    WORDS = ("Keys of the alert rules", ALERTS_HELP)

    def __init__(
        self,
        ref: ObjectRef,
        ask: AskCluster,
        now: Callable[[], float],
        settings: Settings,
        log: AuditLog,
        warnings: tuple[str, ...] = (),
        *,
        context: str = "",
        speed: float = 1.0,
        folder: Path | None = None,
    ) -> None:
        super().__init__(ref, ask, now, settings.ui.symbols, warnings, "Alert rules", folder)
        self.told: AlertProposal | None = None
        self._settings = settings
        self._log = log
        self._context_name = context
        self._speed = speed
        self._asking = "Asking what this cluster's Prometheus has …"
        self._problem = ""
        self._range = "7 d"
        self._learned = True
        self._whole_namespace = False
        ascii_only = settings.ui.symbols == "ascii"
        self.head = TextBlock(lambda width, height: self._head_lines(width)[:height], HEAD_LINES)
        self.table = LiveTable(ALERT_COLUMNS, empty="No rule yet", ascii_only=ascii_only)
        self.document = TextView(ascii_only=ascii_only)

    def compose(self) -> ComposeResult:
        """Header, sentence, a row a rule, all of the selected one, keys."""
        yield self.header
        yield self.title_line
        yield self.head
        yield self.table
        yield self.document
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins to ask."""
        self.set_interval(1.0, self.tick)
        self.table.focus()
        self._gather()

    def on_resize(self) -> None:
        """Leaves the lower part some room."""
        self._draw()

    # -- what is asked

    @property
    def _selection(self) -> PodSelection:
        if self._whole_namespace:
            return PodSelection((self.ref.namespace,))
        workload = RuleWorkload(self.ref.namespace, self.ref.kind, self.ref.name)
        return PodSelection((self.ref.namespace,), (workload,))

    @work(exclusive=True, group="alerts")
    async def _gather(self) -> None:
        selection, seconds = self._selection, ALERT_RANGES[self._range]

        async def gather(client: Client) -> None:
            async with connect_rules(client, self._settings, selection, self._speed) as source:
                thresholds = RuleThresholds.of(self._settings)
                await self._tell(ProposedRules(source.scope, thresholds))
                await self._tell(await propose_rules(source, thresholds, seconds, self._say_asking))

        try:
            await self._keep_following(gather)
        except CLUSTER_FAILURES as error:
            self.post_message(self.Told(str(error)))

    async def _tell(self, proposed: ProposedRules) -> None:
        """On the engine's loop: reckons beside it, and tells the screen."""
        self.post_message(self.Told(await run_in_thread(AlertProposal.of, proposed)))

    def _say_asking(self, what: str) -> None:
        """On a thread of its own."""
        self._asking = f"Asking Prometheus what the rules would have done in {self._range}: {what} …"
        with suppress(RuntimeError):  # the app ends
            self.app.call_from_thread(self.head.redraw)

    @on(FollowingScreen.Told)
    def _on_told(self, message: FollowingScreen.Told) -> None:
        """Shows what is known now."""
        message.stop()
        if isinstance(message.told, AlertProposal):
            self.told, self._problem = message.told, ""
        else:
            self._problem = str(message.told)
        self._draw()

    # -- keys

    def action_thresholds(self) -> None:
        """Shows the thresholds of the settings, or those that are learned."""
        self._learned = not self._learned
        self._draw()

    def action_scope(self) -> None:
        """Proposes rules for the whole namespace, or for the workload alone."""
        self._whole_namespace = not self._whole_namespace
        self._ask_afresh()

    def action_next_range(self) -> None:
        """Tests on another stretch of the past."""
        names = list(ALERT_RANGES)
        self._range = names[(names.index(self._range) + 1) % len(names)]
        self._ask_afresh()

    def action_again(self) -> None:
        """Asks again now."""
        self._ask_afresh()

    def _ask_afresh(self) -> None:
        self.told = None
        self._asking = "Asking again …"
        self._gather()
        self._draw()

    @property
    def shown(self) -> BacktestedRules | None:
        """The set that is shown; None before it is known."""
        if self.told is None:
            return None
        return self.told.learned if self._learned else self.told.as_set

    @work(exclusive=True, group="files")
    async def action_write(self) -> None:
        """Writes the rules and their tests to new files."""
        if self.told is None or self.shown is None:
            self.notify("There are no rules yet")
            return
        rules = self.shown.rules
        folder = self._folder or Path.cwd()
        name = f"{self.ref.namespace if self._whole_namespace else self.ref.name}-alerts"
        text = rules_text(rules, "file", name, self.told.proposed.scope)
        try:
            written = await asyncio.to_thread(write_rules, rules, text, "file", folder, name, tests=True)
        except NewFileError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            names = " and ".join(path.name for path in written)
            self.notify(f"Written to {folder}: {names}", timeout=10, markup=False)

    @work(exclusive=True, group="plan")
    async def action_apply(self) -> None:
        """Plans the rules as an object of the cluster and, after a yes, puts them there."""
        if self.told is None or self.shown is None:
            self.notify("There are no rules yet")
            return
        made = object_of_rules(self.shown.rules, self.told.proposed.scope, self._settings.alerts.name, "auto")
        await self._planned(lambda client: plan_rules(client, made, read_only=self._read_only))

    @work(exclusive=True, group="plan")
    async def action_undo(self) -> None:
        """Plans the way back from the rules applied last and, after a yes, takes it."""
        alerts = self._settings.alerts

        async def plan(client: Client) -> RulesPlan | None:
            entries = await asyncio.to_thread(lambda: list(self._log.entries()))
            last = last_applied(entries, client.target.shown_server, alerts.name, alerts.namespace or "")
            return None if last is None else await plan_undo(client, last, read_only=self._read_only)

        await self._planned(plan)

    @property
    def _read_only(self) -> str:
        return READ_ONLY_SENTENCE if self._settings.safety.read_only else ""

    # -- the plan, the yes, the request

    async def _planned(self, make: Callable[[Client], Coroutine[Any, Any, RulesPlan | None]]) -> None:
        """Shows a plan, and does it after a yes; a no is written down as well."""
        try:
            plan = await asyncio.wrap_future(self._ask(make))
            if plan is None:
                name = self._settings.alerts.name
                self.notify(f"No rules named {name} were applied from this machine", markup=False)
                return
            await self._agreed_and_applied(plan)
        except (*CLUSTER_FAILURES, AuditError) as error:
            self.notify(str(error), title="Nothing is changed", severity="error", markup=False)

    async def _agreed_and_applied(self, plan: RulesPlan) -> None:
        name = f"{plan.ref.kind.lower()}/{plan.ref.name}"
        if not plan.method and not plan.refused:
            self.notify(f"Nothing to do: {name} has these rules already", markup=False)
            return
        if not await self.app.push_screen_wait(self._dialog(plan)):
            outcome: PlanOutcome = "refused" if plan.refused else "declined"
            noted = self._ask(lambda client: record_rules(client, plan, self._log, outcome))
            await asyncio.wrap_future(noted)
            return
        why, warning = await asyncio.wrap_future(
            self._ask(lambda client: apply_rules(client, plan, self._log))
        )
        if why:
            raise Unreachable(why)
        done = f"{name} {DONE_WORDS[plan.method]}"
        self.notify(warning or done, title=f"Done: {plan.title}", markup=False)

    def _dialog(self, plan: RulesPlan) -> ConfirmDialog:
        lines = [PlanLine(line.label, line.text, line.weight) for line in plan.lines]
        if plan.before and plan.after:
            words = "what the object holds now is replaced by the rules on this screen, for these pods alone"
            lines.append(PlanLine("instead", words, "warn"))
        if plan.refused and not any(plan.refused in line.text for line in lines):
            lines.insert(0, PlanLine("refused", plan.refused, "critical"))
        lines += [PlanLine("", line) for line in plan.difference]
        protected = self._settings.safety.protected_contexts
        typed = any(fnmatchcase(self._context_name, pattern) for pattern in protected)
        return ConfirmDialog(
            plan.title,
            lines,
            apply=None if plan.refused else "Apply",
            typed=plan.ref.name if typed else "",
            why_typed=f"{self._context_name} is a protected context",
        )

    # -- drawing

    @on(LiveTable.Selected)
    def _selected(self, message: LiveTable.Selected) -> None:
        message.stop()
        self._show_rule()

    def _draw(self) -> None:
        self.tick()
        shown = self.shown
        whom = (
            f"all of {self.ref.namespace}" if self._whole_namespace else f"{self.ref} in {self.ref.namespace}"
        )
        self.title_line.subtitle = (
            f"{whom}, {'learned' if self._learned else 'set'} thresholds, {self._range}"
        )
        self.title_line.redraw()
        self.head.redraw()
        histories = shown.backtest.histories if shown is not None and shown.backtest is not None else ()
        rows = AlertRows(shown.rules.rules if shown is not None else (), histories)
        most = FEW_ROWS if self.size.height < SHORT_HEIGHT else MOST_ROWS
        self.table.styles.height = 1 + min(most, max(1, len(rows)))
        self.head.styles.height = max(1, len(self._head_lines(max(20, self.size.width))))
        self.table.show(rows, empty=self._problem or "No rule yet")
        self._show_rule()

    def _show_rule(self) -> None:
        rows = self.table.rows
        if not isinstance(rows, AlertRows) or not len(rows):
            self.document.clear()
            return
        at = min(self.table.cursor_row, len(rows) - 1)
        seconds = ALERT_RANGES[self._range]
        lines = alert_lines(rows.rules[at], rows.history(at), seconds, self.size.width)
        self.document.show(lines)

    def _head_lines(self, width: int) -> list[Text]:
        lines = alert_head(self.told, self._problem or self._asking, width, learned=self._learned)
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines[:HEAD_LINES]
