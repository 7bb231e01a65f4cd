"""The past that is asked for and what is remembered of it, within bounds.

The past of what is on screen is kept for every metric; further back it is asked for only while somebody
looks at it, and only for that row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from memtop.history.past_series import ContainerName, Metric, PastSeries, merge_pasts
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable

MAX_REMEMBERED = 500
"""Containers whose past is asked for and kept; what was asked longest ago and is not looked at goes first.

A day of one container is about 30 KiB in two metrics, so all of them are 15 MiB; they are ten batches of
requests, which a Prometheus of usual size answers within the 20 s that ``memtop --once`` waits.
"""
SETTLE_SECONDS = 0.3
"""Seconds that requests may go on coming in before they are asked for: rows move while a screen fills."""


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A container whose past matters.

    Attributes:
        name: What metrics call it.
        restarted: Whether it has ever restarted; its ends are asked for only then.
        uid: The pod's, which tells it from an earlier one of the same name.
        alone: Whether it is the only container of its pod.
    """

    name: ContainerName
    restarted: bool = False
    uid: str = ""
    alone: bool = False


class PastCache:
    """What is remembered, bounded, and what is wished for.

    Args:
        metric: The memory that verdicts are made on.
        most: Containers kept.

    Attributes:
        requests: What is looked at now, what matters most first.
    """

    def __init__(self, metric: Metric = "rss", most: int = MAX_REMEMBERED) -> None:
        self.metric = metric
        self.requests: tuple[PastRequest, ...] = ()
        self._most = most
        self._listeners: list[asyncio.Event] = []
        self._kept: dict[ContainerName, dict[tuple[Metric, str], PastSeries]] = {}
        self._told_at: dict[ContainerName, float] = {}
        self._merged: dict[tuple[ContainerName, Metric], PastSeries] = {}
        self._seen: set[ContainerName] = set()
        self._changed: set[ContainerName] = set()
        self._requested: frozenset[ContainerName] = frozenset()

    def request(self, requests: Iterable[PastRequest]) -> None:
        """Says what is looked at now, what matters most first."""
        self.requests = tuple(dict.fromkeys(requests))[: self._most]
        self._requested = names = frozenset(request.name for request in self.requests)
        if not names <= self._seen:
            self._seen = set(names) | (self._seen if len(self._seen) < 10 * self._most else set())
            for listener in self._listeners:
                listener.set()

    def is_requested(self, name: ContainerName) -> bool:
        """Whether a container is looked at now."""
        return name in self._requested

    def listen(self) -> asyncio.Event:
        """An event that is set whenever something is wished for that was not before."""
        listener = asyncio.Event()
        self._listeners.append(listener)
        return listener

    def get(
        self, name: ContainerName, metric: Metric = "working_set", origin: str | None = None
    ) -> PastSeries | None:
        """What one origin remembers of a container; without an origin, what all of them do, as one series."""
        kept = self._kept.get(name, {})
        if origin is not None:
            found = kept.get((metric, origin))
            return found if found is not None and len(found) else None
        merged = self._merged.get((name, metric))
        if merged is None:
            pasts = [past for (of, _), past in kept.items() if of == metric and past.has_data]
            if not pasts:
                return None
            merged = self._merged[name, metric] = merge_pasts(pasts)
        return merged

    def add(
        self, pasts: Mapping[tuple[ContainerName, Metric], PastSeries], told_at: float | None = None
    ) -> None:
        """Takes in what was remembered.

        Args:
            pasts: What was answered.
            told_at: When it was asked for, Unix seconds; None where it is not asked for again and again.
        """
        for (name, metric), past in pasts.items():
            entry = self._kept.pop(name, {})
            entry[metric, past.origin] = past
            if told_at is not None:
                self._told_at[name] = told_at
            self._merged.pop((name, metric), None)
            self._kept[name] = entry
            self._changed.add(name)
        forgettable = [name for name in self._kept if name not in self._requested]
        for name in forgettable[: max(0, len(self._kept) - self._most)]:
            self._told_at.pop(name, None)
            for metric, _ in self._kept.pop(name):
                self._merged.pop((name, metric), None)

    def told_at(self, name: ContainerName) -> float | None:
        """When somebody was last asked for a container's past, Unix seconds; None for never."""
        return self._told_at.get(name)

    def has_news_of(self, name: ContainerName) -> bool:
        """Whether something was remembered of a container that `changes` has not told of."""
        return name in self._changed

    def changes(self) -> set[ContainerName]:
        """The containers of which something was remembered since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def __contains__(self, name: ContainerName) -> bool:
        return name in self._kept


MAX_LOOK_BACK = 50
"""Containers of one row that are asked for: one batch."""


@dataclass(frozen=True, slots=True)
class LookBackRequest:
    """What somebody looks at.

    Attributes:
        requests: Whose past.
        seconds: How far back.
    """

    requests: tuple[PastRequest, ...]
    seconds: float


LookBackAnswer = Callable[[LookBackRequest], Awaitable[Mapping[ContainerName, PastSeries]]]


class LookBack:
    """The far past of what is looked at now; what is no longer looked at is forgotten.

    Args:
        on_change: Called whenever there is news.

    Attributes:
        request: What is looked at; None for nothing.
        version: Changes whenever what `get` returns may have.
        problem: Why it cannot be said what was so far back; empty where it can, or nobody has asked yet.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.request: LookBackRequest | None = None
        self.problem = ""
        self.version = 0
        self._on_change = on_change
        self._known: Mapping[ContainerName, PastSeries] | None = None
        self._changed = asyncio.Event()

    def set_wanted(self, requests: Iterable[PastRequest], seconds: float) -> None:
        """Says whose past is looked at, and from how many seconds ago on; nobody's, where there are none."""
        chosen = tuple(requests)[:MAX_LOOK_BACK]
        asked = LookBackRequest(chosen, seconds) if chosen else None
        if asked != self.request:
            self.request, self.problem, self._known = asked, "", None
            self.version += 1
            self._changed.set()

    @property
    def waiting(self) -> bool:
        """Whether an answer is still on its way."""
        return self.request is not None and self._known is None and not self.problem

    def get(self, name: ContainerName) -> PastSeries | None:
        """A container's working set, once it has been told."""
        return None if self._known is None else self._known.get(name)

    async def serve(self, answer: LookBackAnswer) -> None:
        """Has answered what is looked at, until cancelled; who looks elsewhere cancels what was asked."""
        self.problem = ""
        while True:
            self._changed.clear()
            task = asyncio.ensure_future(self._take(answer))
            try:
                await self._changed.wait()
            finally:
                task.cancel()
                await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def _take(self, answer: LookBackAnswer) -> None:
        asked = self.request
        if asked is None or self._known is not None:
            return
        await asyncio.sleep(SETTLE_SECONDS)
        try:
            known = await answer(asked)
        except (ApiError, Unreachable, CredentialError) as error:
            if asked == self.request:  # who looked elsewhere as the answer came has yet to be answered
                self.problem = str(error)
        else:
            if asked == self.request:
                self._known = known
                self.version += 1
        self._on_change()
