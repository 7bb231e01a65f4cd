"""Which rows a pane shows, and in what order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memtop.analysis.judgement import (
    LEAK_CODE,
    OOM_LOOP_CODE,
    UNJUDGED_CODE,
    VERDICTS,
    Verdict,
)
from memtop.kube.pod_facts import StateSeverity
from memtop.observe.frame import Floats, FrameRows, Slots, WorkloadIdentity
from memtop.observe.slots import SEVERITY_CODES, ContainerIdentity
from memtop.observe.view import OverviewPane, RowCondition, RowFilter, RowSort, SortColumn

MIN_SEVERITY_CODE = SEVERITY_CODES[StateSeverity.FAILING]
DONE_CODE = SEVERITY_CODES[StateSeverity.DONE]
_RANKS = {
    Verdict.LEAK: 6,
    Verdict.OOM_LOOP: 5.5,
    Verdict.WARMUP: 4,
    Verdict.STEP: 3,
    Verdict.SPIKE: 2,
    Verdict.SAWTOOTH: 1,
}
_VERDICT_RANK = np.array(
    [_RANKS.get(verdict, 0) for verdict in VERDICTS],
    np.float64,
)
_VERDICT_RANK[UNJUDGED_CODE] = -1


class NameRanks:
    """Where each row stands in the alphabet; kept while the identities stay, since sorting texts is slow."""

    def __init__(self) -> None:
        self._ranks: dict[SortColumn, Floats] = {}

    def ranks(self, column: SortColumn, rows: FrameRows) -> Floats:
        """The rank of every row's text; equal texts have equal ranks.

        Args:
            column: Namespace, name, workload or node.
            rows: The rows, with the same identities at every call.
        """
        found = self._ranks.get(column)
        if found is None:
            found = self._ranks[column] = _alphabetical_ranks(
                [_text_of(column, who) for who in rows.identities]
            )
        return found


def filter_rows(rows: FrameRows, candidates: Slots, wanted: RowFilter, near_limit: float) -> Slots:
    """Those of the candidates that match the filter.

    Args:
        rows: The rows.
        candidates: Those to look at.
        wanted: The filter.
        near_limit: The share of the limit, 0..1, from which a row is near it.
    """
    if not wanted or not len(candidates):  # before the first pod no state has a name yet
        return candidates
    for condition, must in wanted.conditions:
        candidates = candidates[_condition_holds(condition, rows, candidates, near_limit) == must]
    identities, states, matches = rows.identities, list(rows.states), wanted.matcher()
    return np.array(
        [
            row
            for row in candidates.tolist()
            if (identity := identities[row]) is not None and matches(identity, states[row])
        ],
        np.intp,
    )


def _condition_holds(
    condition: RowCondition, rows: FrameRows, candidates: Slots, near_limit: float
) -> npt.NDArray[np.bool_]:
    match condition:
        case RowCondition.LEAKING:
            holds = rows.judgements.leaks(candidates)[0]
        case RowCondition.SUSPECTED:
            holds = rows.judgements.leaks(candidates)[1]
        case RowCondition.NEAR_LIMIT:
            holds = rows.share[candidates] >= near_limit
        case RowCondition.OOM_KILLED:
            holds = rows.ooms_hour[candidates] > 0
        case RowCondition.EVICTED:
            holds = np.array([rows.states[row] == "Evicted" for row in candidates.tolist()], np.bool_)
    return np.asarray(holds, np.bool_)


def order_rows(
    pane: OverviewPane, rows: FrameRows, candidates: Slots, sort: RowSort, names: NameRanks
) -> Slots:
    """The rows of one pane in their order; rows without a value come last, whichever way it is sorted.

    Args:
        pane: Which pane.
        rows: The rows.
        candidates: Those in view, ascending.
        sort: The order asked for.
        names: The alphabet of the rows.
    """
    shown = candidates[_belongs_in_pane(pane, rows, candidates)]
    if sort.column in _TEXT_COLUMNS:
        keys = [names.ranks(sort.column, rows)[shown]]
    else:
        keys = _sort_keys(sort.column, rows, shown)
    ranked = [np.where(np.isnan(key), np.inf, -key if sort.descending else key) for key in keys]
    # Stable: what is equal keeps the order of its slots from frame to frame, so that rows do not dance.
    return shown[np.lexsort(ranked[::-1]) if len(ranked) > 1 else stable_argsort(ranked[0])]


def stable_argsort(key: Floats) -> Slots:
    """What ``np.argsort(key, kind="stable")`` answers, in a quarter of its time: 2 ms for 60,000 rows.

    Args:
        key: What to sort by; not a number must not be in it.
    """
    order = np.argsort(key)
    ranked = key[order]
    same = ranked[1:] == ranked[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        part, run = order[tied], np.append(0, np.cumsum(~same))[tied]
        order[tied] = part[np.lexsort((part, run))]
    return order


def most_urgent_row(rows: FrameRows, shown: Slots, critical: float) -> int:
    """Where in a pane the row is that needs somebody first.

    A leak that is sure comes before an OOM kill within the last hour, that before a container beyond the
    critical share of its limit, and that before one that fails; of two leaks the one that is sooner at its
    limit.

    Args:
        rows: The rows.
        shown: Those of the pane, in their order.
        critical: The share of the limit, 0..1, that is critical.

    Returns:
        Its position in the pane; 0, the first, where nothing is urgent.
    """
    leak, _ = rows.judgements.leaks(shown)
    urgency = np.zeros(len(shown), np.intp)
    for rank, urgent in enumerate(
        (
            rows.severities.codes[shown] >= MIN_SEVERITY_CODE,
            rows.share[shown] >= critical,
            rows.ooms_hour[shown] > 0,
            leak,
        ),
        start=1,
    ):
        urgency[urgent] = rank
    if not len(shown):
        return 0
    most = np.flatnonzero(urgency == urgency.max())
    left = np.where(leak[most], rows.seconds_to_limit[shown[most]], np.inf)
    return int(most[np.argmin(np.where(np.isfinite(left), left, np.inf))])


def _belongs_in_pane(pane: OverviewPane, rows: FrameRows, candidates: Slots) -> npt.NDArray[np.bool_]:
    match pane:
        case OverviewPane.TOP:
            return rows.holds_memory[candidates]
        case OverviewPane.RESTARTS:
            failing = rows.severities.codes[candidates] >= MIN_SEVERITY_CODE
            return np.asarray((rows.restarts[candidates] > 0) | failing | rows.failed[candidates], np.bool_)
        case OverviewPane.GROWTH:
            verdict = rows.verdict[candidates]
            dying = (verdict == LEAK_CODE) | (verdict == OOM_LOOP_CODE)
            return np.asarray(dying | ((verdict != UNJUDGED_CODE) & (rows.rate[candidates] > 0)), np.bool_)


_TEXT_COLUMNS = {SortColumn.NAMESPACE, SortColumn.NAME, SortColumn.WORKLOAD, SortColumn.NODE}


def _sort_keys(column: SortColumn, rows: FrameRows, shown: Slots) -> list[Floats]:
    """What to sort by, most important first."""
    match column:
        case SortColumn.STATE:
            words = _alphabetical_ranks([rows.states[row] for row in shown.tolist()])
            return [rows.severities.codes[shown].astype(np.float64), words]
        case SortColumn.LIMIT:
            return [rows.limit[shown]]
        case SortColumn.SHARE:
            return [rows.share[shown]]
        case SortColumn.RATE:
            return [rows.rate[shown]]
        case SortColumn.TIME_TO_LIMIT:
            return [rows.seconds_to_limit[shown]]
        case SortColumn.VERDICT:
            return _urgency(rows, shown)
        case SortColumn.RESTARTS:
            return [rows.restarts[shown].astype(np.float64)]
        case SortColumn.LAST_HOUR:
            return [
                rows.restarts_hour[shown].astype(np.float64),
                rows.ooms_hour[shown].astype(np.float64),
                rows.restarts[shown].astype(np.float64),
            ]
        case SortColumn.LAST_END:
            return [rows.last_end[shown]]
        case SortColumn.PRESSURE:
            return [rows.pressure[shown]]
        case SortColumn.PODS:
            return [rows.pods[shown].astype(np.float64)]
        case _:
            return [_memory_held_last(rows, shown)]


def _memory_held_last(rows: FrameRows, shown: Slots) -> Floats:
    """What each holds; of what is between two lives, what it held last.

    A container that dies every few minutes would otherwise go from the top of the list to its end and back,
    and take the cursor with it.
    """
    held = rows.working_set[shown].copy()
    between_lives = np.isnan(held) & (rows.severities.codes[shown] != DONE_CODE)
    past = np.nan_to_num(rows.sparkline[shown[between_lives]])
    if past.size:
        newest = past.shape[1] - 1 - np.argmax(past[:, ::-1] > 0, axis=1)
        last = past[np.arange(len(past)), newest].astype(np.float64)
        held[between_lives] = np.where(last > 0, last, np.nan)
    return held


def _urgency(rows: FrameRows, shown: Slots) -> list[Floats]:
    """By verdict, certainty and nearness of the limit: what a person should look at first."""
    verdict = _VERDICT_RANK[rows.verdict[shown]]
    _, suspected = rows.judgements.leaks(shown)
    with np.errstate(divide="ignore", invalid="ignore"):
        nearness = np.nan_to_num(1.0 / rows.seconds_to_limit[shown], nan=0.0, posinf=np.finfo(float).max)
    return [verdict - suspected, nearness, rows.rate[shown]]


def _text_of(column: SortColumn, identity: ContainerIdentity | WorkloadIdentity | None) -> str:
    if identity is None:
        return ""
    if column is SortColumn.NAMESPACE:
        return identity.namespace
    if column is SortColumn.WORKLOAD or isinstance(identity, WorkloadIdentity):
        return str(identity.workload)
    return identity.node if column is SortColumn.NODE else f"{identity.pod}/{identity.container}"


def _alphabetical_ranks(texts: list[str]) -> Floats:
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    return np.array([ranks[text] for text in texts], np.float64)
