"""Turns rows of a frame into cells of a table, for the visible lines only."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from memtop import wording
from memtop.analysis.judgement import MIN_STALLED, SURE_CONFIDENCE, VERDICTS, Verdict
from memtop.kube.pod_facts import ContainerKind, StateSeverity
from memtop.observe.frame import Frame, FrameRows, WorkloadIdentity
from memtop.observe.frame_rows import time_to_limit_words
from memtop.observe.slots import ContainerIdentity
from memtop.observe.view import OverviewPane
from memtop.observe.view import SortColumn as Order
from tui.live_screen import FigureStyle
from widgets.cell_graphs import memory_shape, usage_bar, usage_level
from widgets.styled_text import cut, shorten
from widgets.table_parts import Cell, PlacedColumn

_MOOD_ROLES = {
    StateSeverity.RUNNING: "",
    StateSeverity.DONE: "dim",
    StateSeverity.WAITING: "dim",
    StateSeverity.FAILING: "warn",
    StateSeverity.OOM: "critical",
}
_KIND_NOTES = {
    ContainerKind.CONTAINER: "",
    ContainerKind.INIT: " (init)",
    ContainerKind.SIDECAR: " (sidecar)",
    ContainerKind.EPHEMERAL: " (ephemeral)",
}


STALLED_WARN = 0.10
"""Share of the time from which stalls are shown as a warning: as the alert rule *pressure* has it."""


@dataclass(slots=True)
class RowHint:
    """Which of a frame's rows was named last: in the next frame its key is nearly always there again."""

    row: int = 0


def has_pressure(frame: Frame) -> bool:
    """Whether anybody exports how long processes wait for memory."""
    return bool(np.isfinite(frame.rows.pressure).any())


@dataclass
class PaneRows:
    """The rows of one pane of one frame, as a table asks for them.

    Attributes:
        frame: The frame.
        pane: Which pane of it.
        look: How figures are drawn.
        cursor_hint: Where the cursor's row was; shared by the rows of one pane from frame to frame.
        marked: The keys of the rows that were marked for one change of all of them.
    """

    frame: Frame
    pane: OverviewPane
    look: FigureStyle
    cursor_hint: RowHint = field(default_factory=RowHint)
    marked: Collection[Hashable] = frozenset()

    def __len__(self) -> int:
        return len(self.frame.pane_rows[self.pane])

    def key(self, i: int) -> Hashable:
        """The row's key."""
        self.cursor_hint.row = int(self.frame.pane_rows[self.pane][i])
        return self.identity(self.cursor_hint.row).key

    def index(self, key: Hashable) -> int | None:
        """Where a row is; only one that has gone or moved to another row of the frame is searched for."""
        row = self.cursor_hint.row if self._is(self.cursor_hint.row, key) else self._search(key)
        if row is None:
            return None
        found = np.flatnonzero(self.frame.pane_rows[self.pane] == row)
        return int(found[0]) if len(found) else None

    def _is(self, row: int, key: Hashable) -> bool:
        identities = self.rows.identities
        who = identities[row] if row < len(identities) else None
        return who is not None and who.key == key

    def _search(self, key: Hashable) -> int | None:
        return next((row for row in range(len(self.rows.identities)) if self._is(row, key)), None)

    @property
    def one_namespace(self) -> bool:
        """Whether all rows are of one namespace, which the header names."""
        return len(self.frame.view.namespaces or self.frame.namespaces) == 1

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """The cells of one line."""
        row = int(self.frame.pane_rows[self.pane][i])
        told_apart = any(column.key == Order.NAMESPACE for column, _ in columns)
        return [
            _CELLS[column.key](self, row, width)
            if column.key not in _NAMES
            else self._name_cell(row, width, _name if told_apart else _name_with_namespace)
            for column, width in columns
        ]

    def _name_cell(self, row: int, width: int, name: Callable[[PaneRows, int, int], Cell]) -> Cell:
        """The name, behind a sign where the row is marked."""
        if not self.marked or self.identity(row).key not in self.marked:
            return name(self, row, width)
        sign = "* " if self.look.symbols == "ascii" else "● "
        rest = name(self, row, max(1, width - len(sign)))
        text = Text(no_wrap=True, end="").append(sign, "accent")
        words = shorten(rest, max(1, width - len(sign))) if isinstance(rest, str) else rest.plain
        return text.append(words, "accent")

    def identity_at(self, i: int) -> ContainerIdentity | WorkloadIdentity:
        """Who line ``i`` is."""
        return self.identity(int(self.frame.pane_rows[self.pane][i]))

    @property
    def rows(self) -> FrameRows:
        """The frame's rows."""
        return self.frame.rows

    def identity(self, row: int) -> ContainerIdentity | WorkloadIdentity:
        """Who a row is."""
        identity = self.rows.identities[row]
        if identity is None:
            raise IndexError(row)
        return identity


def figure_text(words: str, role: str = "") -> Text:
    """A number with its unit; the unit is dim, so that the digits stand out."""
    number, gap, unit = words.rpartition(" ")
    text = Text(no_wrap=True, end="")
    if not gap:
        return text.append(words, role or ("dim" if words == wording.UNKNOWN else ""))
    return text.append(number, role).append(gap + unit, role or "dim")


def row_name(identity: ContainerIdentity | WorkloadIdentity) -> str:
    """What a person calls the row."""
    if isinstance(identity, WorkloadIdentity):
        return str(identity.workload)
    if identity.is_only_container:
        return identity.pod
    return f"{identity.pod}/{identity.container}"


def verdict_words(frame: Frame, row: int) -> tuple[str, str]:
    """A row's verdict in words, and the role it is shown in."""
    rows = frame.rows
    if row in frame.awaited:
        return f"{frame.awaited[row].partition(' ')[0]} …", "dim"
    verdict = VERDICTS[rows.verdict[row]]
    if verdict is Verdict.LEAK:
        return ("leak", "critical") if rows.confidence[row] >= SURE_CONFIDENCE else ("suspected leak", "warn")
    if verdict is Verdict.OOM_LOOP:
        return verdict.value, "critical"
    if verdict is Verdict.NOT_ENOUGH_DATA:
        return "too early" if math.isfinite(rows.working_set[row]) else wording.UNKNOWN, "dim"
    return verdict.value, "dim" if verdict is Verdict.STEADY else ""


def _namespace(pane: PaneRows, row: int, width: int) -> Cell:
    return Text(pane.identity(row).namespace, "dim")


def _name(pane: PaneRows, row: int, width: int) -> Cell:
    identity = pane.identity(row)
    if isinstance(identity, WorkloadIdentity) or identity.is_only_container:
        return row_name(identity)
    note = _KIND_NOTES[identity.kind]
    pod = shorten(identity.pod, max(4, width - cell_len(identity.container) - len(note) - 1))
    text = Text(no_wrap=True, end="").append(f"{pod}/", "dim")
    return text.append(identity.container).append(note, "dim")


_POD_SUFFIX = len("…-gmkkg")
_LEAST_NAMESPACE = len("pro…")
"""One letter tells two namespaces apart, and names none."""


def _name_with_namespace(pane: PaneRows, row: int, width: int) -> Cell:
    """The name where there is no room for a column of namespaces: with its own, unless all rows share one."""
    identity = pane.identity(row)
    if pane.one_namespace:
        return _name(pane, row, width)
    # The workload's name says most; what tells its pods apart comes next, as in ``user-service…-gmkkg``.
    needed = cell_len(identity.workload.name)
    if not isinstance(identity, WorkloadIdentity):
        needed += _POD_SUFFIX + (0 if identity.is_only_container else cell_len(identity.container) + 1)
    namespace = cut(identity.namespace, max(_LEAST_NAMESPACE, width - needed - 1))
    rest = max(4, width - cell_len(namespace) - 1)
    name = _name(pane, row, rest)
    if isinstance(identity, WorkloadIdentity) and cell_len(str(name)) > rest:
        name = identity.workload.name  # its kind says least of it
    text = Text(no_wrap=True, end="").append(f"{namespace}/", "dim")
    return text.append(shorten(name, rest)) if isinstance(name, str) else text.append_text(name)


def _state(pane: PaneRows, row: int, width: int) -> Cell:
    rows = pane.rows
    last = rows.last_terminations[row]
    if (
        rows.severities[row] is StateSeverity.RUNNING
        and last is not None
        and last.oom
        and last.finished_at is not None
    ):
        since = pane.frame.time - last.finished_at
        if since < 60:
            return Text("OOMKilled just now", "critical")
    return Text(rows.states[row], _MOOD_ROLES[rows.severities[row]])


def _node(pane: PaneRows, row: int, width: int) -> Cell:
    identity = pane.identity(row)
    if isinstance(identity, WorkloadIdentity):
        return ""
    if identity.node in pane.frame.pressured_nodes:
        return Text(f"! {identity.node}", "warn")
    return Text(identity.node, "dim")


def _memory(pane: PaneRows, row: int, width: int) -> Cell:
    return figure_text(wording.bytes_(pane.rows.working_set[row]))


def _limit(pane: PaneRows, row: int, width: int) -> Cell:
    limit = pane.rows.limit[row]
    if not math.isfinite(limit):
        return Text("none", "dim")
    words = wording.bytes_(limit)
    return Text(f"{words.replace(' ', '')}*") if pane.rows.pod_limit[row] else figure_text(words)


def _share(pane: PaneRows, row: int, width: int) -> Cell:
    share = float(pane.rows.share[row])
    judged = usage_level(share, pane.look.warn, pane.look.critical)
    return figure_text(wording.share(share), judged if judged in {"warn", "critical"} else "")


def _pressure(pane: PaneRows, row: int, width: int) -> Cell:
    stalled = float(pane.rows.pressure[row])
    role = "dim" if not stalled >= MIN_STALLED else "warn" if stalled >= STALLED_WARN else ""
    return figure_text(wording.share(stalled), role)


def _bar(pane: PaneRows, row: int, width: int) -> Cell:
    share = float(pane.rows.share[row])
    if math.isfinite(pane.rows.limit[row]) and not math.isfinite(share):
        return ""
    ratio = share if math.isfinite(share) else None
    return usage_bar(ratio, width, pane.look.warn, pane.look.critical, pane.look.symbols)


def _trend(pane: PaneRows, row: int, width: int) -> Cell:
    limit = float(pane.rows.limit[row])
    known = limit if math.isfinite(limit) else None
    look = pane.look
    return memory_shape(
        pane.rows.sparkline[row].tolist(), width, known, look.warn, look.critical, look.symbols
    )


def _rate(pane: PaneRows, row: int, width: int) -> Cell:
    words = wording.rate(pane.rows.rate[row])
    # The slope of what is no leak is noise, and must not look like news.
    return figure_text(words) if VERDICTS[pane.rows.verdict[row]] is Verdict.LEAK else Text(words, "dim")


def _time_to_limit(pane: PaneRows, row: int, width: int) -> Cell:
    seconds = float(pane.rows.seconds_to_limit[row])
    words = time_to_limit_words(pane.rows, row)
    return Text(words, "critical" if seconds < 3600 else "" if math.isfinite(seconds) else "dim")


def _verdict(pane: PaneRows, row: int, width: int) -> Cell:
    return Text(*verdict_words(pane.frame, row))


def _restarts(pane: PaneRows, row: int, width: int) -> Cell:
    return str(pane.rows.restarts[row])


def _last_hour(pane: PaneRows, row: int, width: int) -> Cell:
    number = int(pane.rows.restarts_hour[row])
    words = wording.at_least(number, bool(pane.rows.restarts_exact[row]))
    return Text(words, "warn" if number else "dim")


def _reason(pane: PaneRows, row: int, width: int) -> Cell:
    last = pane.rows.last_terminations[row]
    if last is None:
        return Text(wording.UNKNOWN, "dim")
    if not last.oom:
        return last.words()
    return Text(f"{'X' if pane.look.symbols == 'ascii' else '✖'} OOMKilled", "critical")


def _exit(pane: PaneRows, row: int, width: int) -> Cell:
    last = pane.rows.last_terminations[row]
    return Text(wording.UNKNOWN, "dim") if last is None else str(last.exit_code)


def _ago(pane: PaneRows, row: int, width: int) -> Cell:
    return wording.ago(pane.frame.time - float(pane.rows.last_end[row]))


def _pods(pane: PaneRows, row: int, width: int) -> Cell:
    return str(pane.rows.pods[row])


_NAMES = {Order.NAME, Order.WORKLOAD}
_CELLS: dict[str, Callable[[PaneRows, int, int], Cell]] = {
    Order.NAMESPACE: _namespace,
    Order.NAME: _name,
    Order.WORKLOAD: _name,
    Order.STATE: _state,
    Order.NODE: _node,
    Order.MEMORY: _memory,
    Order.LIMIT: _limit,
    Order.SHARE: _share,
    "bar": _bar,
    "trend": _trend,
    Order.RATE: _rate,
    Order.TIME_TO_LIMIT: _time_to_limit,
    Order.VERDICT: _verdict,
    Order.RESTARTS: _restarts,
    Order.LAST_HOUR: _last_hour,
    "reason": _reason,
    "exit": _exit,
    Order.LAST_END: _ago,
    Order.PODS: _pods,
    Order.PRESSURE: _pressure,
}
