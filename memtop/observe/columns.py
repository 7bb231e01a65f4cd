"""The store's columns: one entry a slot, so that a frame is arithmetic on arrays and no walk over objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from memtop.cluster.containers import Kind, Mood

T = TypeVar("T")

KINDS = tuple(Kind)
"""The kind of each code in `Columns.kind`."""
KIND_CODES = {kind: code for code, kind in enumerate(KINDS)}
MOODS = tuple(Mood)
"""The mood of each code in `Columns.mood`; the higher the code, the more it asks for attention."""
MOOD_CODES = {mood: code for code, mood in enumerate(MOODS)}


class Vocabulary:
    """Numbers for words of which there are few: namespaces, states."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, word: str) -> int:
        """The word's number; a new one if it is new."""
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self.words)
            self.words.append(word)
        return number

    def known(self, word: str) -> int:
        """The word's number, or −1 if it has none."""
        return self._numbers.get(word, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Coded(Sequence[T], Generic[T]):
    """A column of codes, read as what they stand for.

    Attributes:
        codes: One a row.
        table: What each code stands for; may grow, but never changes.
    """

    codes: npt.NDArray[np.uint8] | npt.NDArray[np.int32]
    table: Sequence[T]

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[T]: ...
    def __getitem__(self, row: int | slice) -> T | Sequence[T]:
        if isinstance(row, slice):
            return Coded(self.codes[row], self.table)
        word: T = self.table[self.codes[row]]
        return word

    def __iter__(self) -> Iterator[T]:
        return map(self.table.__getitem__, self.codes.tolist())


class Columns:
    """What is known of every slot; NaN is unknown.

    Attributes:
        working_set: Bytes.
        sampled_at: Time of the newest sample, Unix seconds.
        limit: Memory limit in bytes.
        request: Memory request in bytes.
        started_at: Start of the current run, Unix seconds; NaN while it does not run.
        last_end: When it last ended, Unix seconds.
        recheck_at: When one of the next three may change by the passing of time alone, Unix seconds.
        restarts_hour: Restarts within the last hour, as far as known.
        restarts_exact: Whether that is exact, else it is a lower bound.
        ooms_hour: OOM kills within the last hour, as far as known.
        restarts: Restarts since the pod was created.
        failed: Whether its last end was a failure.
        kind: Index into `KINDS`.
        mood: Index into `MOODS`.
        state: Number of the state's words.
        namespace: Number of the namespace.
        workload: Number of the workload; −1 marks a slot that is not in use.
        first: Whether it stands for its pod where pods are counted.
        generation: Which container in turn has the slot; 0 before the first.
    """

    EMPTY = {  # noqa: RUF012  (never changed)
        "working_set": (np.nan, np.float64),
        "sampled_at": (np.nan, np.float64),
        "limit": (np.nan, np.float64),
        "request": (np.nan, np.float64),
        "started_at": (np.nan, np.float64),
        "last_end": (np.nan, np.float64),
        "recheck_at": (np.inf, np.float64),
        "restarts_hour": (0, np.int32),
        "restarts_exact": (True, np.bool_),
        "ooms_hour": (0, np.int32),
        "restarts": (0, np.int32),
        "failed": (False, np.bool_),
        "kind": (0, np.uint8),
        "mood": (0, np.uint8),
        "state": (0, np.int32),
        "namespace": (-1, np.int32),
        "workload": (-1, np.int32),
        "first": (False, np.bool_),
    }

    working_set: npt.NDArray[np.float64]
    sampled_at: npt.NDArray[np.float64]
    limit: npt.NDArray[np.float64]
    request: npt.NDArray[np.float64]
    started_at: npt.NDArray[np.float64]
    last_end: npt.NDArray[np.float64]
    recheck_at: npt.NDArray[np.float64]
    restarts_hour: npt.NDArray[np.int32]
    restarts_exact: npt.NDArray[np.bool_]
    ooms_hour: npt.NDArray[np.int32]
    restarts: npt.NDArray[np.int32]
    failed: npt.NDArray[np.bool_]
    kind: npt.NDArray[np.uint8]
    mood: npt.NDArray[np.uint8]
    state: npt.NDArray[np.int32]
    namespace: npt.NDArray[np.int32]
    workload: npt.NDArray[np.int32]
    first: npt.NDArray[np.bool_]
    generation: npt.NDArray[np.int64]

    def __init__(self, slots: int) -> None:
        for name, (empty, kind) in self.EMPTY.items():
            setattr(self, name, np.full(slots, empty, kind))
        self.generation = np.zeros(slots, np.int64)

    def grow(self, slots: int) -> None:
        """Makes room for more slots."""
        extra = Columns(slots - len(self.generation))
        for name in (*self.EMPTY, "generation"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(extra, name)]))

    def clear(self, slot: int) -> None:
        """Forgets a slot, but for its generation."""
        for name, (empty, _) in self.EMPTY.items():
            getattr(self, name)[slot] = empty
