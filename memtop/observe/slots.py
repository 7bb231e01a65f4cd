"""What is kept of each slot of the store: its identity, its numbers in columns, its ends and starts.

Columns have one entry a slot, so that a frame is arithmetic on arrays and no walk over objects. Containers
that are gone and were OOM-killed not long before still count, for a while.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import force_setattr

from memtop.analysis.memory_series import EndCause, LifeEnd
from memtop.history.past_series import NOTICED_WITHIN, Floats, match_times
from memtop.kube.pod_facts import (
    EVICTED,
    SIGKILL_EXIT,
    ContainerFacts,
    ContainerKind,
    StateSeverity,
    Termination,
    Workload,
)

T = TypeVar("T")

CONTAINER_KINDS = tuple(ContainerKind)
"""The kind of each code in `SlotColumns.kind`."""
KIND_CODES = {kind: code for code, kind in enumerate(CONTAINER_KINDS)}
SEVERITIES = tuple(StateSeverity)
"""The severity of each code in `SlotColumns.severity`; a higher code asks for more attention."""
SEVERITY_CODES = {severity: code for code, severity in enumerate(SEVERITIES)}


class WordNumbers:
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

    def find(self, word: str) -> int:
        """The word's number, or −1 if it has none."""
        return self._numbers.get(word, -1)


def swap_room(swap_limit: float, limit: float, swapped: float) -> float:
    """Bytes that a container may swap out yet, when its memory is at its limit.

    The kubelet hands on what the runtime reports: with cgroup v2 the limit of swap alone, with v1 that of
    memory and swap together, which equals the memory limit where it may not swap. What is as much as the
    memory limit is read as the latter: at worst the limit seems nearer than it is.

    Args:
        swap_limit: ``container_swap_limit_bytes``.
        limit: The memory limit in bytes; NaN without one, where swap moves no limit.
        swapped: Bytes that are swapped out already; NaN where that is not known.
    """
    if not np.isfinite(limit):
        return 0.0
    allowed = swap_limit - limit if swap_limit >= limit else swap_limit
    return max(0.0, allowed - (swapped if np.isfinite(swapped) else 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class CodedColumn(Sequence[T], Generic[T]):
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
            return CodedColumn(self.codes[row], self.table)
        word: T = self.table[self.codes[row]]
        return word

    def __iter__(self) -> Iterator[T]:
        return map(self.table.__getitem__, self.codes.tolist())


class SlotColumns:
    """What is known of every slot; NaN is unknown.

    Attributes:
        working_set: Bytes.
        sampled_at: Time of the newest sample, Unix seconds.
        limit: Memory limit in bytes; the pod's where the container has none.
        held_by_others: Bytes that the pod's other containers hold, where the limit is the pod's; else 0.
        pod_limit: Whether the limit is the pod's.
        limit_counts: Whether the limit counts where limits are added up: that of a pod counts once.
        request: Memory request in bytes.
        started_at: Start of the current run, Unix seconds; NaN while it does not run.
        last_end: When it last ended, Unix seconds.
        recheck_at: When one of the next three may change by the passing of time alone, Unix seconds.
        restarts_hour: Restarts within the last hour, as far as known.
        restarts_exact: Whether that is exact, else it is a lower bound.
        ooms_hour: OOM kills within the last hour, as far as known.
        child_ooms_hour: OOM kills of child processes of a container that lives on, within the last hour; NaN
            where nobody counts them.
        pressure: Share of the last minutes, 0..1, in which some process waited for memory; NaN where nobody
            exports it.
        swap: Bytes that are swapped out; NaN where nobody exports it.
        swap_room: Bytes that may be swapped out yet, on top of the limit; 0 where it may not swap or that is
            not known.
        restarts: Restarts since the pod was created.
        failed: Whether its last end was a failure.
        kind: Index into `KINDS`.
        severity: Index into `SEVERITIES`.
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
        "held_by_others": (0.0, np.float64),
        "pod_limit": (False, np.bool_),
        "limit_counts": (True, np.bool_),
        "request": (np.nan, np.float64),
        "started_at": (np.nan, np.float64),
        "last_end": (np.nan, np.float64),
        "recheck_at": (np.inf, np.float64),
        "restarts_hour": (0, np.int32),
        "restarts_exact": (True, np.bool_),
        "ooms_hour": (0, np.int32),
        "child_ooms_hour": (np.nan, np.float64),
        "pressure": (np.nan, np.float64),
        "swap": (np.nan, np.float64),
        "swap_room": (0.0, np.float64),
        "restarts": (0, np.int32),
        "failed": (False, np.bool_),
        "kind": (0, np.uint8),
        "severity": (0, np.uint8),
        "state": (0, np.int32),
        "namespace": (-1, np.int32),
        "workload": (-1, np.int32),
        "first": (False, np.bool_),
    }

    working_set: npt.NDArray[np.float64]
    sampled_at: npt.NDArray[np.float64]
    limit: npt.NDArray[np.float64]
    held_by_others: npt.NDArray[np.float64]
    pod_limit: npt.NDArray[np.bool_]
    limit_counts: npt.NDArray[np.bool_]
    request: npt.NDArray[np.float64]
    started_at: npt.NDArray[np.float64]
    last_end: npt.NDArray[np.float64]
    recheck_at: npt.NDArray[np.float64]
    restarts_hour: npt.NDArray[np.int32]
    restarts_exact: npt.NDArray[np.bool_]
    ooms_hour: npt.NDArray[np.int32]
    child_ooms_hour: npt.NDArray[np.float64]
    pressure: npt.NDArray[np.float64]
    swap: npt.NDArray[np.float64]
    swap_room: npt.NDArray[np.float64]
    restarts: npt.NDArray[np.int32]
    failed: npt.NDArray[np.bool_]
    kind: npt.NDArray[np.uint8]
    severity: npt.NDArray[np.uint8]
    state: npt.NDArray[np.int32]
    namespace: npt.NDArray[np.int32]
    workload: npt.NDArray[np.int32]
    first: npt.NDArray[np.bool_]
    generation: npt.NDArray[np.int64]

    def __init__(self, slots: int) -> None:
        for name, (empty, kind) in self.EMPTY.items():
            setattr(self, name, np.full(slots, empty, kind))
        self.generation = np.zeros(slots, np.int64)

    def usable_limit(self, slots: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """What these containers may hold: their limit, less what others in the pod hold of it."""
        usable: npt.NDArray[np.float64] = np.maximum(self.limit[slots] - self.held_by_others[slots], 0.0)
        return usable

    def grow(self, slots: int) -> None:
        """Makes room for more slots."""
        extra = SlotColumns(slots - len(self.generation))
        for name in (*self.EMPTY, "generation"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(extra, name)]))

    def clear(self, slot: int) -> None:
        """Forgets a slot, but for its generation."""
        for name, (empty, _) in self.EMPTY.items():
            getattr(self, name)[slot] = empty


MAX_ENDS = 200
HEAP_EXIT_CODES = frozenset({1, 3, 134, 137, 139})
"""How runtimes end that have run out of heap: uncaught error, ExitOnOutOfMemoryError, abort, kill -9 by
OnOutOfMemoryError, abort of a process 1."""
HOUR = 3600.0


@dataclass(slots=True)
class ContainerLives:
    """What has been seen of one container's ends and starts.

    Attributes:
        created_at: Creation of the pod, Unix seconds.
        first_seen: When memtop saw the container first, Unix seconds.
        ends: Known ends, oldest first.
        starts: Known starts after an end, Unix seconds, oldest first.
        last_words: Whether its log spoke of memory when it last ended with each exit code; what ends the same
            way again is taken to have the same cause, for one log is asked for and not one for each end.
    """

    created_at: float
    first_seen: float
    ends: list[Termination] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    last_words: dict[int, bool] = field(default_factory=dict)
    _counts: list[tuple[float, int]] = field(default_factory=list)
    _told_kills: list[float] = field(default_factory=list)

    def observe(self, facts: ContainerFacts, now: float) -> bool:
        """Takes in one status; what is already known is not counted twice. True if it tells of a new end."""
        news = False
        for end in facts.terminations:
            if all(end != known for known in self.ends[-4:]):
                self.ends.append(end)
                news = True
        if facts.restarts and facts.started_at is not None and facts.started_at not in self.starts[-2:]:
            self.starts.append(facts.started_at)
        if not self._counts or self._counts[-1][1] != facts.restarts:
            self._counts.append((now, facts.restarts))
        del self.ends[:-MAX_ENDS], self.starts[:-MAX_ENDS], self._counts[:-MAX_ENDS]
        return news

    def take_past(self, times: Floats, counts: Floats, oom_kills: Floats) -> None:
        """Takes in what somebody else counted before the container was first seen here.

        A count that falls, or that is higher than what was seen first, was of an earlier pod of that name.

        Args:
            times: Unix seconds, ascending.
            counts: Restarts by then.
            oom_kills: When it was OOM-killed, as near as its samples tell, Unix seconds, ascending.
        """
        if len(oom_kills) and not self._told_kills:
            here = np.array([end.finished_at or self.first_seen for end in self.ends if end.oom])
            told = oom_kills[(oom_kills >= self.created_at) & (oom_kills < self.first_seen)]
            self._told_kills = told[match_times(told, here, NOTICED_WITHIN) < 0].tolist()
        known: list[tuple[float, int]] = []
        ceiling = self._counts[0][1] if self._counts else 0
        for at, count in zip(times[::-1].tolist(), counts[::-1].astype(int).tolist(), strict=True):
            if at >= self.first_seen:
                continue
            if at < self.created_at or count > ceiling:
                break
            known.append((at, count))
            ceiling = count
        if known:
            self._counts = [*reversed(known), *self._counts][-MAX_ENDS:]
            self.first_seen = self._counts[0][0] if len(self._counts) == MAX_ENDS else known[-1][0]

    @property
    def last(self) -> Termination | None:
        """The newest end, or None."""
        return self.ends[-1] if self.ends else None

    def restarts_within(self, now: float, window: float = HOUR) -> tuple[int, bool]:
        """Restarts between `now` − `window` and `now`, and whether that is exact or only a lower bound.

        It is exact for a pod younger than the window, for a container observed for the whole of it, and
        where the last end is older than the window.
        """
        total = self._counts[-1][1] if self._counts else 0
        since = now - window
        if self.created_at >= since:
            return total, True
        if self.first_seen <= since:
            index = bisect_right(self._counts, since, key=lambda entry: entry[0]) - 1
            return total - self._counts[max(index, 0)][1], True
        known_ends = sum(1 for end in self.ends if end.finished_at is not None and end.finished_at > since)
        last = self.last
        if not known_ends and last is not None and last.finished_at is not None:
            return 0, True
        seen = total - self._counts[0][1]
        return max(seen, min(known_ends, total)), total == 0

    def oom_kills_within(self, now: float, window: float = HOUR) -> int:
        """OOM kills known to have happened between `now` − `window` and `now`."""
        seen = sum(
            1 for end in self.ends if end.oom and (end.finished_at is None or end.finished_at > now - window)
        )
        return seen + sum(1 for at in self._told_kills if at > now - window)

    def next_change(self, now: float, window: float = HOUR) -> float:
        """When a figure of the last `window` may change by the passing of time alone; infinity for never."""
        moments = [self.created_at, self.first_seen]
        moments += [moment for moment, _ in self._counts]
        moments += [end.finished_at for end in self.ends if end.finished_at is not None]
        moments += self._told_kills
        return min((moment + window for moment in moments if moment + window >= now), default=inf)

    def restarts_in_all(self) -> int:
        """Restarts since the pod was created, by the kubelet's count."""
        return self._counts[-1][1] if self._counts else 0

    def cause_of(self, end: Termination) -> EndCause | None:
        """Why a life ended; None where only its log can tell, and has not been read."""
        if end.oom:
            return EndCause.OOM_KILL
        if end.reason == EVICTED:
            return EndCause.EVICTION if end.evicted_for_memory else EndCause.OTHER
        if end.exit_code not in HEAP_EXIT_CODES:
            return EndCause.OTHER
        spoke = end.out_of_memory or self.last_words.get(end.exit_code)
        if spoke:
            return EndCause.HEAP_LIMIT
        # A SIGKILL that was no OOM kill came from elsewhere, unless its log says more.
        return None if spoke is None and end.exit_code != SIGKILL_EXIT else EndCause.OTHER

    def unread_end(self) -> Termination | None:
        """The last end, if its log may tell that it ran out of memory, and has not been read."""
        last = self.last
        if last is None or last.oom or last.reason == EVICTED or last.out_of_memory:
            return None
        unread = last.exit_code in HEAP_EXIT_CODES and last.exit_code not in self.last_words
        return last if unread else None

    def life_ends(self) -> tuple[LifeEnd, ...]:
        """The ends whose time and cause are known, oldest first."""
        return tuple(
            LifeEnd(end.finished_at, end.started_at, cause)
            for end in self.ends
            if end.finished_at is not None and (cause := self.cause_of(end)) is not None
        )

    def oom_times(self) -> list[float]:
        """When it was OOM-killed, as far as known, Unix seconds, oldest first."""
        return [end.finished_at for end in self.ends if end.oom and end.finished_at is not None]


MAX_DEPARTED = 2000
"""Containers remembered at most; the oldest go first."""


class DepartedContainers:
    """When containers of pods that are gone were last OOM-killed, within bounds."""

    def __init__(self) -> None:
        self._killed: dict[tuple[str, str], tuple[float, str]] = {}

    def add(self, uid: str, container: str, namespace: str, lives: ContainerLives) -> None:
        """Takes in that a container is gone.

        Args:
            uid: Its pod's.
            container: Its name.
            namespace: Its pod's.
            lives: How its lives ended.
        """
        kills = lives.oom_times()
        if kills:
            self._killed.pop((uid, container), None)
            self._killed[uid, container] = kills[-1], namespace
            while len(self._killed) > MAX_DEPARTED:
                del self._killed[next(iter(self._killed))]

    def oom_killed(self, now: float, namespaces: Collection[str]) -> int:
        """How many of them were OOM-killed within the hour before `now`; those that were not are forgotten.

        Args:
            now: The cluster's time, Unix seconds.
            namespaces: Only of these; empty for all.
        """
        for key in [key for key, (at, _) in self._killed.items() if at <= now - HOUR]:
            del self._killed[key]
        return sum(not namespaces or namespace in namespaces for _, namespace in self._killed.values())


class ContainerKey(Struct, frozen=True):
    """Names a row for as long as its pod lives."""

    uid: str
    container: str


class ContainerIdentity(Struct, frozen=True):
    """What of a row does not change while its pod lives, but for the node and what is learned of its owner.

    Attributes:
        key: The row's name.
        namespace: The pod's namespace.
        pod: The pod's name.
        container: The container's name.
        kind: What part the container has in the pod.
        is_only_container: Whether the pod has no other ordinary container; the pod's name is enough then.
        workload: The controller a person would name.
        node: The node's name, empty before the pod is scheduled.
        labels: The pod's labels.
    """

    key: ContainerKey
    namespace: str
    pod: str
    container: str
    kind: ContainerKind
    is_only_container: bool
    workload: Workload
    node: str
    labels: dict[str, str]
    _haystack: str = ""

    def haystack(self) -> str:
        """What a text filter looks through, in lower case; made for the first filter, and then kept."""
        if not self._haystack:
            text = f"{self.namespace}/{self.pod}/{self.container} {self.workload} {self.node}"
            force_setattr(self, "_haystack", text.lower())
        return self._haystack
