"""What the alerts screen shows: a row a rule with what it would have done, and all of the selected one."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from rich.text import Text

from memtop.rules.alert_rules import AlertRule
from memtop.rules.backtest import advice_words
from memtop.rules.proposed_rules import (
    BacktestedRules,
    ProposedRules,
    backtest_sentence,
    own_threshold_words,
    threshold_words,
)
from memtop.rules.rule_history import FORECASTS, RuleHistory
from memtop.wording import UNKNOWN, counted, duration
from widgets.styled_text import literal
from widgets.table_parts import Cell, PlacedColumn, TableColumn

ALERT_COLUMNS = (
    TableColumn("rule", "RULE", 14, flex=2, max_width=40, sortable=False),
    TableColumn("fires", "FIRES", 15, flex=1, max_width=24, drop_order=2, sortable=False),
    TableColumn("pages", "PAGES", 5, justify="right", sortable=False),
    TableColumn("vain", "IN VAIN", 7, justify="right", sortable=False),
    TableColumn("kills", "KILLS ANNOUNCED", 15, justify="right", drop_order=3, sortable=False),
    TableColumn("lead", "AHEAD", 10, justify="right", sortable=False),
    TableColumn("pods", "PODS", 12, flex=4, max_width=80, drop_order=1, sortable=False),
)
MOST_PAGES = 12
"""Pages that are told one by one, the newest."""


@dataclass(frozen=True)
class AlertRows:
    """The rules of a set.

    Attributes:
        rules: In order.
        histories: What each would have done; empty before that is known.
    """

    rules: Sequence[AlertRule]
    histories: Sequence[RuleHistory] = ()

    def __len__(self) -> int:
        return len(self.rules)

    def key(self, i: int) -> Hashable:
        """The rule, and the workload that it alone is about."""
        return self.rules[i].id, self.rules[i].workload

    def index(self, key: Hashable) -> int | None:
        """Finds a rule; there are few."""
        return next((i for i in range(len(self.rules)) if self.key(i) == key), None)

    def history(self, i: int) -> RuleHistory | None:
        """What a rule would have done; None before that is known."""
        return self.histories[i] if i < len(self.histories) else None

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """The cells of one line."""
        return [_CELLS[placed.column.key](self.rules[i], self.history(i)) for placed in columns]


def _rule_cell(rule: AlertRule, history: RuleHistory | None) -> Cell:
    own = "" if rule.workload is None else f" of {literal(rule.workload.name)}"
    role = {"critical": "critical", "warning": "warn"}.get(rule.severity, "")
    return Text(rule.id, role).append(own, "strong")


def _known(tell: Callable[[RuleHistory], Cell]) -> Callable[[AlertRule, RuleHistory | None], Cell]:
    def cell(rule: AlertRule, history: RuleHistory | None) -> Cell:
        return Text(UNKNOWN, "dim") if history is None or history.problem else tell(history)

    return cell


def _vain(one: RuleHistory) -> Cell:
    if one.rule.id not in FORECASTS:
        return Text("–", "dim")
    words = f"! {len(one.false_alarms)}" if one.noisy else str(len(one.false_alarms))
    return Text(words, "warn" if one.noisy else "")


def _kills(one: RuleHistory) -> Cell:
    return f"{len(one.leads)} of {one.kills}" if one.rule.id in FORECASTS else Text("–", "dim")


def _lead(one: RuleHistory) -> Cell:
    return duration(float(np.median(one.leads))) if one.leads else Text("–", "dim")


_CELLS: dict[str, Callable[[AlertRule, RuleHistory | None], Cell]] = {
    "rule": _rule_cell,
    "fires": lambda rule, _: Text(threshold_words(rule)),
    "pages": _known(lambda one: str(len(one.pages))),
    "vain": _known(_vain),
    "kills": _known(_kills),
    "lead": _known(_lead),
    "pods": _known(lambda one: Text(literal(", ".join(one.pods)) or "–", "dim")),
}


@dataclass(frozen=True, eq=False)
class AlertProposal:
    """What the screen shows, made beside it.

    Attributes:
        proposed: The rules and their past.
        as_set: With the thresholds of the settings.
        learned: With thresholds learned from what was healthy.
    """

    proposed: ProposedRules
    as_set: BacktestedRules
    learned: BacktestedRules

    @classmethod
    def of(cls, proposed: ProposedRules) -> AlertProposal:
        """Both sets; takes its time where there are many pods."""
        return cls(proposed, proposed.tested(learned=False), proposed.tested(learned=True))


def alert_head(told: AlertProposal | None, asking: str, width: int, *, learned: bool) -> list[Text]:
    """What the rules would have done, which thresholds they have, and what is to be known."""
    if told is None:
        return [Text(f" {literal(asking)}", "dim")]
    proposed, shown = told.proposed, told.learned if learned else told.as_set
    rules, found = shown.rules, shown.backtest
    if found is None:
        words = proposed.problem or asking
        lines = [Text(f" {literal(words)}", "warn" if proposed.problem else "dim")]
    else:
        words = f"{backtest_sentence(found)} (by {literal(proposed.where)})."
        lines = [Text(f" {line}", "strong") for line in _folded(words, width)[:2]]
    own = [one for one in rules.rules if one.workload is not None]
    if own:
        words = "; ".join(own_threshold_words(one) for one in own)
    elif learned and found is not None:
        words = "nothing had to be learned: no healthy workload would have paged anybody"
    else:
        words = "thresholds are those of the settings"
    lines.append(Text(f"   {literal(words)}", "dim"))
    left = [f"no {name}: {why}" for name, why in rules.left_out.items()]
    left += proposed.scope.notes
    if left:
        lines.append(Text(f"   {literal('; '.join(left))}", "dim"))
    return lines


def alert_lines(rule: AlertRule, history: RuleHistory | None, seconds: float, width: int) -> list[str | Text]:
    """All of one rule: what it would have done, its pages, its expression, and what its alert says to do."""
    lines: list[str | Text] = [Text(f" {rule.alert}", "strong").append(f"  {rule.severity}", "dim")]
    if history is not None:
        lines += _history_lines(history, seconds, width)
    hold = f", after it was true for {duration(rule.hold)}" if rule.hold else ""
    lines += ["", Text(f" Expression{hold}", "strong")]
    lines += [f"   {line}" for line in rule.expression.splitlines()]
    lines += ["", Text(" What the alert says", "strong")]
    lines += [f"   {part}" for part in (rule.description, *rule.steps)]
    return lines


def _history_lines(one: RuleHistory, seconds: float, width: int) -> Iterator[Text]:
    if one.problem:
        yield Text(f"   not known: {literal(one.problem)}", "warn")
        return
    if advice := advice_words(one, seconds):
        yield from (Text(f"   ! {line}", "warn") for line in _folded(advice, width))
    if one.offered is not None:
        yield Text("   t takes thresholds that are learned from what was healthy", "accent")
    if not one.pages:
        yield Text(f"   it would have paged nobody in {duration(seconds)}", "ok")
        return
    wrong = set(one.false_alarms)
    yield Text(f"   {counted(len(one.pages), 'page')} in {duration(seconds)}, the newest first:", "dim")
    for page in reversed(one.pages[-MOST_PAGES:]):
        at = datetime.fromtimestamp(page.at, UTC).astimezone()
        line = Text(f"   {at:%m-%d %H:%M}  ", "dim")
        line.append(literal(f"{page.container.pod} {page.container.container}".strip()))
        line.append(f"  true for {duration(page.until - page.at + one.rule.hold)}", "dim")
        if page in wrong:
            line.append("  in vain: no OOM kill followed and memtop sees no leak", "warn")
        yield line
    if len(one.pages) > MOST_PAGES:
        yield Text(f"   and {len(one.pages) - MOST_PAGES} before", "dim")


def _folded(words: str, width: int) -> list[str]:
    return textwrap.wrap(literal(words), max(20, width - 6))
