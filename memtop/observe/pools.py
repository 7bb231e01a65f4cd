"""The verdict on workloads: a leak belongs to the workload, and its pods are pooled.

Pooling takes milliseconds for each, so only what is looked at is pooled, and no more often than is news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from memtop.growth import Judgement, Judgements, Series, Verdict, pool
from memtop.growth.judgement import CODES
from memtop.observe.frame import WorkloadKey
from memtop.observe.identity import Identity
from memtop.observe.store import Store

EVERY = 60.0
"""Seconds of the cluster's clock between two verdicts on one workload."""
MOST_PODS = 12
"""Containers pooled at most: those that hold the most memory; more add little to what is known."""
REVISION_LABELS = ("pod-template-hash", "controller-revision-hash")
Part = tuple[str, str]
"""A container's name, and the value of the revision label of its pod; empty for pods without one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A workload that somebody looks at.

    Attributes:
        key: Which one.
        slots: Where its containers are.
    """

    key: WorkloadKey
    slots: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Judged:
    at: float
    told: int
    worst: Judgement
    parts: Mapping[Part, Judgement]


class Pools:
    """What is judged of the workloads that are looked at.

    Args:
        store: Their containers; only read.
        series: What there is to judge a slot by.
        now: The cluster's time.
        told: Whether all that is known of a slot has come; what comes later is a reason to judge again.
    """

    def __init__(
        self,
        store: Store,
        series: Callable[[int], Series],
        now: Callable[[], float],
        told: Callable[[int], bool] = lambda slot: True,
    ) -> None:
        self._store = store
        self._series = series
        self._now = now
        self._told = told
        self._wanted: list[Wanted] = []
        self._judged: dict[WorkloadKey, _Judged] = {}

    def look_at(self, wanted: Iterable[Wanted]) -> None:
        """Says which workloads are looked at, what matters most first; others are forgotten."""
        self._wanted = list(wanted)
        keys = {one.key for one in self._wanted}
        self._judged = {key: judged for key, judged in self._judged.items() if key in keys}

    def judge_next(self) -> bool:
        """Judges one that is due; false if none is."""
        now = self._now()
        for wanted in self._wanted:
            judged = self._judged.get(wanted.key)
            told = sum(self._told(slot) for slot in wanted.slots[:MOST_PODS].tolist())
            if judged is None or now - judged.at >= EVERY or told > judged.told:
                parts = self._judge(wanted.slots)
                worst = max(parts.values(), key=_leakiness, default=pool(()))
                self._judged[wanted.key] = _Judged(now, told, worst, parts)
                return True
        return False

    def of(self, key: WorkloadKey) -> Judgement | None:
        """What is judged of a workload, or None before it is."""
        judged = self._judged.get(key)
        return None if judged is None else judged.worst

    def parts(self, key: WorkloadKey) -> Mapping[Part, Judgement]:
        """What is judged of each of a workload's containers in each of its revisions."""
        judged = self._judged.get(key)
        return {} if judged is None else judged.parts

    def laid_over(self, live: Judgements, identities: Iterable[object]) -> Judgements:
        """The judgements of rows with the pooled ones in place of what one container says.

        Args:
            live: Of every row; not changed.
            identities: Whose rows they are.
        """
        if not self._judged:
            return live
        columns = {field.name: getattr(live, field.name).copy() for field in fields(Judgements)}
        for row, identity in enumerate(identities):
            found = self._judged.get(getattr(identity, "key", None))  # type: ignore[arg-type]
            if found is not None:
                _place(columns, row, found.worst)
        return replace(live, **columns)

    def _judge(self, slots: npt.NDArray[np.intp]) -> dict[Part, Judgement]:
        """Containers of one name in pods of one revision are pooled together."""
        held = np.nan_to_num(self._store.columns.working_set[slots])
        parts: dict[Part, list[Series]] = {}
        for slot in slots[np.argsort(-held, kind="stable")].tolist():
            identity = self._store.identities[slot]
            if identity is None:
                continue
            part = parts.setdefault((identity.container, revision_of(identity)), [])
            if len(part) < MOST_PODS:
                part.append(self._series(slot))
        return {part: pool(series) for part, series in parts.items()}


def revision_of(identity: Identity) -> str:
    """The hash that tells the revision of a container's pod; empty where its pod carries none."""
    return next((identity.labels[label] for label in REVISION_LABELS if label in identity.labels), "")


def _leakiness(judgement: Judgement) -> float:
    """Leaks first; among the others the first stays, which is of the part that holds the most memory."""
    return judgement.confidence if judgement.verdict is Verdict.LEAK else -1.0


def _place(columns: dict[str, npt.NDArray[np.generic]], row: int, judgement: Judgement) -> None:
    columns["codes"][row] = CODES[judgement.verdict]
    for name, column in columns.items():
        if name != "codes":
            value = getattr(judgement, name)
            column[row] = np.nan if value is None else value
