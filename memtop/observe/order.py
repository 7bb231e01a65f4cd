"""Which rows a pane shows, and in what order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memtop.cluster.containers import Mood
from memtop.growth.judgement import CODES, SURE, VERDICTS, Verdict
from memtop.observe.columns import MOOD_CODES
from memtop.observe.frame import Floats, Rows, Slots, WorkloadIdentity
from memtop.observe.identity import Identity
from memtop.observe.view import Column, Filter, Pane, Sort

LEAK = CODES[Verdict.LEAK]
UNJUDGED = CODES[Verdict.NOT_ENOUGH_DATA]
INTERESTING = MOOD_CODES[Mood.FAILING]
_VERDICT_RANK = np.array(
    [
        {Verdict.LEAK: 6, Verdict.WARMUP: 4, Verdict.STEP: 3, Verdict.SPIKE: 2, Verdict.SAWTOOTH: 1}.get(v, 0)
        for v in VERDICTS
    ],
    np.float64,
)
_VERDICT_RANK[UNJUDGED] = -1


class Names:
    """Where each row stands in the alphabet; kept while the identities stay, since sorting texts is slow."""

    def __init__(self) -> None:
        self._ranks: dict[Column, Floats] = {}

    def ranks(self, column: Column, rows: Rows) -> Floats:
        """The rank of every row's text; equal texts have equal ranks.

        Args:
            column: Namespace, name, workload or node.
            rows: The rows, with the same identities at every call.
        """
        found = self._ranks.get(column)
        if found is None:
            found = self._ranks[column] = _alphabetical([_text(column, who) for who in rows.identities])
        return found


def matching(rows: Rows, candidates: Slots, wanted: Filter) -> Slots:
    """Those of the candidates that match the text filter."""
    if not wanted or not len(candidates):  # before the first pod no state has a name yet
        return candidates
    identities, states, matches = rows.identities, list(rows.states), wanted.matcher()
    return np.array(
        [
            row
            for row in candidates.tolist()
            if (identity := identities[row]) is not None and matches(identity, states[row])
        ],
        np.intp,
    )


def order(pane: Pane, rows: Rows, candidates: Slots, sort: Sort, names: Names) -> Slots:
    """The rows of one pane in their order; rows without a value come last, whichever way it is sorted.

    Args:
        pane: Which pane.
        rows: The rows.
        candidates: Those in view, ascending.
        sort: The order asked for.
        names: The alphabet of the rows.
    """
    shown = candidates[_belongs(pane, rows, candidates)]
    if sort.column in _TEXTS:
        keys = [names.ranks(sort.column, rows)[shown]]
    else:
        keys = _keys(sort.column, rows, shown)
    ranked = [np.where(np.isnan(key), np.inf, -key if sort.descending else key) for key in keys]
    # Stable: what is equal keeps the order of its slots from frame to frame, so that rows do not dance.
    return shown[np.lexsort(ranked[::-1]) if len(ranked) > 1 else np.argsort(ranked[0], kind="stable")]


def _belongs(pane: Pane, rows: Rows, candidates: Slots) -> npt.NDArray[np.bool_]:
    match pane:
        case Pane.TOP:
            return rows.holds_memory[candidates]
        case Pane.RESTARTS:
            failing = rows.moods.codes[candidates] >= INTERESTING
            return np.asarray((rows.restarts[candidates] > 0) | failing | rows.failed[candidates], np.bool_)
        case Pane.GROWTH:
            leak = rows.verdict[candidates] == LEAK
            judged = rows.verdict[candidates] != UNJUDGED
            return np.asarray(leak | (judged & (rows.rate[candidates] > 0)), np.bool_)


_TEXTS = {Column.NAMESPACE, Column.NAME, Column.WORKLOAD, Column.NODE}


def _keys(column: Column, rows: Rows, shown: Slots) -> list[Floats]:
    """What to sort by, most important first."""
    match column:
        case Column.STATE:
            words = _alphabetical([rows.states[row] for row in shown.tolist()])
            return [rows.moods.codes[shown].astype(np.float64), words]
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
        case _:
            return [rows.working_set[shown]]


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
