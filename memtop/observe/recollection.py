"""All that remembers: Prometheus, the disk, and the verdicts over what they tell."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.containers import Kind
from memtop.growth import Series
from memtop.observe.disk import DiskPast
from memtop.observe.lookback import LookBack
from memtop.observe.overlay import Live, Overlay
from memtop.observe.past import Pasts, Wish
from memtop.observe.plan import Remember
from memtop.observe.source import Source
from memtop.observe.store import Store
from memtop.past import PROMETHEUS, ContainerName, joined

if TYPE_CHECKING:
    from memtop.observe.prometheus import PrometheusPast

LOOK = 0.1
"""Seconds between two looks whether the present is known, before the past is asked for."""
PATIENCE = 5.0
"""Seconds after which the past is asked for whether or not the present is known."""
JUDGE_EVERY = 1.0
"""Seconds between two looks for verdicts that are due."""


class Recollection:
    """What is remembered of one cluster's containers.

    Args:
        client: The connection to the API server.
        store: The containers; only read, but for the sparklines, which what is remembered fills in.
        live: What is judged by live samples alone.
        remember: Who is asked.
        hours: How far back.
        speed: Seconds of cluster time per second here.
        now: The cluster's time.
        present: Whether pods, metrics and verdicts have come; the past comes after them.
        namespaces: Those observed; empty for all.
        on_change: Called whenever something is remembered, or judged by it.

    Attributes:
        pasts: What is remembered.
        overlay: What is judged by it.
        back: What is looked at further back than that.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        live: Live,
        remember: Remember,
        *,
        hours: float,
        speed: float,
        now: Callable[[], float],
        present: Callable[[], bool],
        namespaces: tuple[str, ...],
        on_change: Callable[[], None],
    ) -> None:
        self.pasts = Pasts(remember.prometheus.metric if remember.prometheus is not None else "working_set")
        self.overlay = Overlay(store, self.pasts, live, now)
        self.back = LookBack(on_change)
        self._client = client
        self._store = store
        self._remember = remember
        self._hours = hours
        self._speed = speed
        self._now = now
        self._present = present
        self._namespaces = namespaces
        self._on_change = on_change
        self._asking: PrometheusPast | None = None
        self._disk = (
            DiskPast(remember.folder, store, self.pasts, hours=hours, now=now, on_change=on_change)
            if remember.folder is not None
            else None
        )

    @property
    def settled(self) -> bool:
        """Whether the first of what Prometheus knows has come and is judged, or will not come for now."""
        if self._remember.prometheus is None:
            return True
        return self._asking is not None and self._asking.asked_once and not self.overlay.pending

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of it."""
        return (self._disk.problem,) if self._disk is not None and self._disk.problem else ()

    def sources(self, make: Callable[[str, Callable[[Source], Awaitable[None]]], Source]) -> list[Source]:
        """The sources that tell how they are.

        Args:
            make: Makes one of a name and of what it runs.
        """
        return [make("prometheus", self._ask)] if self._remember.prometheus is not None else []

    def look_at(self, slots: Iterable[int]) -> None:
        """Says which containers are looked at, what matters most first."""
        self.pasts.wish(wish for slot in slots if (wish := self._wish(slot)) is not None)

    def look_back(self, slots: Iterable[int], seconds: float) -> None:
        """Says whose past is looked at from how many seconds ago on; nobody's, where that much is kept."""
        far = self._remember.prometheus is not None and seconds > self._hours * 3600.0
        self.back.look((wish for slot in slots if far and (wish := self._wish(slot)) is not None), seconds)

    def drawn(self, slot: int) -> Series:
        """One container's working set over the whole time known, and further back if that was asked for."""
        wish, whole = self._wish(slot), self.overlay.series(slot)
        return whole if wish is None else joined(self.back.of(wish.name), whole)

    def asking(self, slot: int) -> bool:
        """Whether what is looked at will be judged by more as soon as Prometheus has answered."""
        wish = self._wish(slot) if self._remember.prometheus is not None else None
        if wish is None or not self.pasts.is_wished(wish.name):
            return False
        return self._asking is None or self._asking.has_yet_to_ask(wish.name) or self.overlay.awaits(slot)

    async def keep(self) -> None:
        """Keeps samples on disk and verdicts up to date, until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._disk is not None:
                group.create_task(self._disk.run())
            group.create_task(self._judge())

    async def _judge(self) -> None:
        while True:
            if self.overlay.pending:
                while judged := self.overlay.judge_next():
                    self._recall(judged)
                    await asyncio.sleep(0)
                self._on_change()
            await asyncio.sleep(JUDGE_EVERY if self.settled else LOOK)

    def _recall(self, judged: Iterable[tuple[ContainerName, int]]) -> None:
        """Has the store show containers also from the time before it saw them."""
        for name, slot in judged:
            whole = self.overlay.series(slot)
            self._store.history.peaks.recall(slot, whole.timestamps, whole.values)
            if (told := self.pasts.of(name, origin=PROMETHEUS)) is not None:
                self._store.recall_ends(slot, told, self._now())

    async def _ask(self, source: Source) -> None:
        if self._remember.prometheus is None:
            return
        if self._asking is None:
            waited = 0.0
            while not self._present() and waited < PATIENCE:
                await asyncio.sleep(LOOK)
                waited += LOOK
            # What speaks HTTP the blocking way takes a sixth of a second to import; the first frame has no
            # use for it.
            module = await aside(importlib.import_module, "memtop.observe.prometheus")
            self._asking = module.PrometheusPast(
                self._client,
                self._remember.prometheus,
                self.pasts,
                hours=self._hours,
                speed=self._speed,
                now=self._now,
                live=self._live,
                namespaces=self._namespaces,
                on_change=self._on_change,
                back=self.back,
            )
        await self._asking.run(source)

    def _live(self) -> list[Wish]:
        slots = self._store.live_slots().tolist()
        return [wish for slot in slots if (wish := self._wish(slot)) is not None]

    def _wish(self, slot: int) -> Wish | None:
        identity = self._store.identities[slot]
        if identity is None or identity.kind is Kind.INIT:
            return None
        name = ContainerName(identity.namespace, identity.pod, identity.container)
        return Wish(name, bool(self._store.columns.restarts[slot] > 0), identity.key.uid)
