"""Which rows a pane shows, and in what order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memtop.cluster.containers import Kind, Mood
from memtop.growth.judgement import CODES, SURE, VERDICTS, Verdict
from memtop.observe.frame import Floats, Rows, Slots, WorkloadIdentity
from memtop.observe.store import Identity
from memtop.observe.view import Column, Pane, Sort, View

LEAK = CODES[Verdict.LEAK]
UNJUDGED = CODES[Verdict.NOT_ENOUGH_DATA]
_INTERESTING = {Mood.FAILING, Mood.OOM}
_MOOD_RANK = {mood: rank for rank, mood in enumerate(Mood)}
_VERDICT_RANK = np.array(
    [
        {Verdict.LEAK: 6, Verdict.WARMUP: 4, Verdict.STEP: 3, Verdict.SPIKE: 2, Verdict.SAWTOOTH: 1}.get(v, 0)
        for v in VERDICTS
    ],
    np.float64,
)
_VERDICT_RANK[UNJUDGED] = -1


def in_view(rows: Rows, view: View) -> Slots:
    """The rows of the namespaces in view, before the text filter, ascending."""
    wanted = view.namespaces
    return np.array(
        [
            row
            for row, identity in enumerate(rows.identities)
            if identity is not None and (not wanted or identity.namespace in wanted)
        ],
        np.intp,
    )


def matching(rows: Rows, view: View, candidates: Slots) -> Slots:
    """Those of the candidates that match the text filter."""
    if not view.filter:
        return candidates
    return np.array(
        [
            row
            for row in candidates
            if (identity := rows.identities[row]) is not None
            and view.filter.matches(identity, rows.states[row])
        ],
        np.intp,
    )


def order(pane: Pane, rows: Rows, candidates: Slots, sort: Sort) -> Slots:
    """The rows of one pane in their order; rows without a value come last, whichever way it is sorted."""
    shown = candidates[_belongs(pane, rows, candidates)]
    keys = _keys(sort.column, rows, shown)
    ranked = [np.where(np.isnan(key), np.inf, -key if sort.descending else key) for key in keys]
    # What is equal keeps one order from frame to frame, by the row's slot, so that rows do not dance.
    return shown[np.lexsort((shown, *reversed(ranked)))]


def _belongs(pane: Pane, rows: Rows, candidates: Slots) -> npt.NDArray[np.bool_]:
    match pane:
        case Pane.TOP:
            return np.array([_holds_memory(rows.identities[row]) for row in candidates], np.bool_)
        case Pane.RESTARTS:
            return np.array([_has_failed(rows, row) for row in candidates], np.bool_)
        case Pane.GROWTH:
            leak = rows.verdict[candidates] == LEAK
            judged = rows.verdict[candidates] != UNJUDGED
            return np.asarray(leak | (judged & (rows.rate[candidates] > 0)), np.bool_)


def _holds_memory(identity: Identity | WorkloadIdentity | None) -> bool:
    return isinstance(identity, WorkloadIdentity) or (identity is not None and identity.kind is not Kind.INIT)


def _has_failed(rows: Rows, row: int) -> bool:
    last = rows.lasts[row]
    return (
        bool(rows.restarts[row])
        or rows.moods[row] in _INTERESTING
        or (last is not None and last.exit_code != 0)
    )


def _keys(column: Column, rows: Rows, shown: Slots) -> list[Floats]:
    """What to sort by, most important first."""
    match column:
        case Column.NAMESPACE | Column.NAME | Column.WORKLOAD | Column.NODE:
            return [_alphabetical([_text(column, rows.identities[row]) for row in shown])]
        case Column.STATE:
            return [
                np.array([_MOOD_RANK[rows.moods[row]] for row in shown], np.float64),
                _alphabetical([rows.states[row] for row in shown]),
            ]
        case Column.MEMORY:
            return [rows.working_set[shown]]
        case Column.LIMIT:
            return [rows.limit[shown]]
        case Column.SHARE:
            return [rows.share[shown]]
        case Column.RATE:
            return [rows.rate[shown]]
        case Column.TIME_TO_LIMIT:
            return [rows.seconds_to_limit[shown]]
        case Column.VERDICT:
            return _urgency(rows, shown)
        case Column.RESTARTS:
            return [rows.restarts[shown].astype(np.float64)]
        case Column.LAST_HOUR:
            return [
                rows.restarts_hour[shown].astype(np.float64),
                rows.ooms_hour[shown].astype(np.float64),
                rows.restarts[shown].astype(np.float64),
            ]
        case Column.LAST_END:
            return [rows.last_end[shown]]
        case Column.PODS:
            return [rows.pods[shown].astype(np.float64)]


def _urgency(rows: Rows, shown: Slots) -> list[Floats]:
    """By verdict, certainty and nearness of the limit: what a person should look at first."""
    verdict = _VERDICT_RANK[rows.verdict[shown]]
    suspected = (rows.verdict[shown] == LEAK) & (rows.confidence[shown] < SURE)
    with np.errstate(divide="ignore", invalid="ignore"):
        nearness = np.nan_to_num(1.0 / rows.seconds_to_limit[shown], nan=0.0, posinf=np.finfo(float).max)
    return [verdict - suspected, nearness, rows.rate[shown]]


def _text(column: Column, identity: Identity | WorkloadIdentity | None) -> str:
    if identity is None:
        return ""
    if column is Column.NAMESPACE:
        return identity.namespace
    if column is Column.WORKLOAD or isinstance(identity, WorkloadIdentity):
        return str(identity.workload)
    return identity.node if column is Column.NODE else f"{identity.pod}/{identity.container}"


def _alphabetical(texts: list[str]) -> Floats:
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    return np.array([ranks[text] for text in texts], np.float64)
