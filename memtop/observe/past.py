"""What is remembered of containers from before memtop looked, bounded, and whose past is wished for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memtop.past import PROMETHEUS, ContainerName, Metric, Past

MOST = 400
"""Containers whose past is kept; what was remembered longest ago and is no longer wished for goes first."""
SETTLE = 0.3
"""Seconds that wishes may go on coming in before they are asked for: rows move while a screen fills."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A container whose past matters.

    Attributes:
        name: What metrics call it.
        restarted: Whether it has ever restarted; its ends are asked for only then.
        uid: The pod's, which tells it from an earlier one of the same name.
    """

    name: ContainerName
    restarted: bool = False
    uid: str = ""


class Pasts:
    """What is remembered, bounded, and what is wished for.

    Args:
        metric: The memory that verdicts are made on.
        most: Containers kept.

    Attributes:
        wishes: What is looked at now, what matters most first.
    """

    def __init__(self, metric: Metric = "rss", most: int = MOST) -> None:
        self.metric = metric
        self.wishes: tuple[Wish, ...] = ()
        self._most = most
        self._listeners: list[asyncio.Event] = []
        self._kept: dict[ContainerName, dict[tuple[Metric, str], Past]] = {}
        self._seen: set[ContainerName] = set()
        self._changed: set[ContainerName] = set()
        self._wished: frozenset[ContainerName] = frozenset()

    def wish(self, wishes: Iterable[Wish]) -> None:
        """Says what is looked at now, what matters most first."""
        self.wishes = tuple(dict.fromkeys(wishes))[: self._most]
        self._wished = names = frozenset(wish.name for wish in self.wishes)
        if not names <= self._seen:
            self._seen = set(names) | (self._seen if len(self._seen) < 10 * self._most else set())
            for listener in self._listeners:
                listener.set()

    def is_wished(self, name: ContainerName) -> bool:
        """Whether a container is looked at now."""
        return name in self._wished

    def listen(self) -> asyncio.Event:
        """An event that is set whenever something is wished for that was not before."""
        listener = asyncio.Event()
        self._listeners.append(listener)
        return listener

    def of(
        self, name: ContainerName, metric: Metric = "working_set", origin: str | None = None
    ) -> Past | None:
        """A container's past; of two memories Prometheus', unless the other reaches back twice as far."""
        kept = [
            past
            for (of, by), past in self._kept.get(name, {}).items()
            if of == metric and origin in (None, by) and len(past)
        ]
        return max(kept, key=lambda past: past.span * (1 + (past.origin == PROMETHEUS)), default=None)

    def keep(self, pasts: Mapping[tuple[ContainerName, Metric], Past]) -> None:
        """Takes in what was remembered."""
        for (name, metric), past in pasts.items():
            entry = self._kept.pop(name, {})
            entry[metric, past.origin] = past
            self._kept[name] = entry
            self._changed.add(name)
        forgettable = [name for name in self._kept if name not in self._wished]
        for name in forgettable[: max(0, len(self._kept) - self._most)]:
            del self._kept[name]

    def has_news_of(self, name: ContainerName) -> bool:
        """Whether something was remembered of a container that `changes` has not told of."""
        return name in self._changed

    def changes(self) -> set[ContainerName]:
        """The containers of which something was remembered since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def __contains__(self, name: ContainerName) -> bool:
        return name in self._kept
