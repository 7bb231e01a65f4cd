"""Further back than samples are kept: asked for while somebody looks at it, and only for that row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from memtop.cluster.errors import ApiError, CredentialError, Unreachable
from memtop.observe.past import SETTLE, Wish
from memtop.past import ContainerName, Past

MOST = 50
"""Containers of one row that are asked for: one batch."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody looks at.

    Attributes:
        wishes: Whose past.
        seconds: How far back.
    """

    wishes: tuple[Wish, ...]
    seconds: float


Answer = Callable[[Asked], Awaitable[Mapping[ContainerName, Past]]]


class LookBack:
    """The far past of what is looked at now; what is no longer looked at is forgotten.

    Args:
        on_change: Called whenever there is news.

    Attributes:
        asked: What is looked at; None for nothing.
        version: Changes whenever what `of` returns may have.
        problem: Why it cannot be said what was so far back; empty where it can, or nobody has asked yet.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.asked: Asked | None = None
        self.problem = ""
        self.version = 0
        self._on_change = on_change
        self._known: Mapping[ContainerName, Past] | None = None
        self._changed = asyncio.Event()

    def look(self, wishes: Iterable[Wish], seconds: float) -> None:
        """Says whose past is looked at, and from how many seconds ago on; nobody's, where there are none."""
        chosen = tuple(wishes)[:MOST]
        asked = Asked(chosen, seconds) if chosen else None
        if asked != self.asked:
            self.asked, self.problem, self._known = asked, "", None
            self.version += 1
            self._changed.set()

    @property
    def waiting(self) -> bool:
        """Whether an answer is still on its way."""
        return self.asked is not None and self._known is None and not self.problem

    def of(self, name: ContainerName) -> Past | None:
        """A container's working set, once it has been told."""
        return None if self._known is None else self._known.get(name)

    async def serve(self, answer: Answer) -> None:
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

    async def _take(self, answer: Answer) -> None:
        asked = self.asked
        if asked is None or self._known is not None:
            return
        await asyncio.sleep(SETTLE)
        try:
            known = await answer(asked)
        except (ApiError, Unreachable, CredentialError) as error:
            if asked == self.asked:  # who looked elsewhere as the answer came has yet to be answered
                self.problem = str(error)
        else:
            if asked == self.asked:
                self._known = known
                self.version += 1
        self._on_change()
