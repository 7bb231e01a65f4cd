"""The sources of the past: Prometheus, and the archive on disk that live samples are also written to.

Prometheus itself is asked by `memtop.observe.prometheus_source`, which is imported when the present is
known.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memtop.analysis.memory_series import Series
from memtop.background import run_in_thread
from memtop.history.past_requests import SETTLE_SECONDS, LookBack, PastCache, PastRequest
from memtop.history.past_series import (
    ORIGIN_DISK,
    ORIGIN_PROMETHEUS,
    ContainerName,
    Metric,
    PastSeries,
    merge_past_and_live,
)
from memtop.history.sample_archive import (
    LATE_END_SECONDS,
    SAMPLE_SPACING,
    SPACED_CONTAINERS,
    ArchivedSamples,
    ArchiveTick,
    ArchiveWriter,
    SampleOwner,
    read_archive,
)
from memtop.kube.client import Client
from memtop.kube.pod_facts import ContainerKind
from memtop.observe.container_store import ContainerStore
from memtop.observe.past_verdicts import LiveJudge, PastVerdicts
from memtop.observe.source import Source
from memtop.observe.watchlist import HistorySettings

if TYPE_CHECKING:
    from memtop.observe.prometheus_source import PrometheusPast

DISK_RETRY_SECONDS = 600.0
"""Seconds until a disk that was full is tried again."""


class DiskSamples:
    """Reads and writes one cluster's samples.

    Args:
        folder: Where they are.
        store: Whose samples are kept.
        pasts: Where requests come from and what is remembered goes.
        hours: How far back.
        now: The cluster's time.
        on_change: Called whenever something is remembered.

    Attributes:
        problem: Why nothing could be written last time; empty if it could, or if another memtop does.
    """

    def __init__(
        self,
        folder: Path,
        store: ContainerStore,
        pasts: PastCache,
        *,
        hours: float,
        now: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.problem = ""
        self._folder = folder
        self._store = store
        self._pasts = pasts
        self._requested = pasts.listen()
        self._window = hours * 3600.0
        self._now = now
        self._on_change = on_change
        self._writer = ArchiveWriter(folder)
        self._read: set[SampleOwner] = set()
        self._written_at = float("-inf")
        self._next = float("-inf")

    async def run(self) -> None:
        """Reads what is wished for and writes what is new, until cancelled."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SAMPLE_SPACING / 4):
                        await self._requested.wait()
                        await asyncio.sleep(SETTLE_SECONDS)
                self._requested.clear()
                await self._remember()
                await self._record()
        finally:
            self._writer.close()

    async def _remember(self) -> None:
        wanted = {
            SampleOwner(request.uid, request.name.container): request.name
            for request in self._pasts.requests
            if request.uid and (SampleOwner(request.uid, request.name.container) not in self._read)
        }
        if not wanted:
            return
        self._read.update(wanted)
        kept = await run_in_thread(read_archive, self._folder, list(wanted), self._now() - self._window)
        found: dict[tuple[ContainerName, Metric], PastSeries] = {
            (wanted[whose], "working_set"): _past_from_archive(of) for whose, of in kept.items()
        }
        if found:
            self._pasts.add(found)
            self._on_change()

    async def _record(self) -> None:
        """Writes the newest sample of every container, if it is time and there are any."""
        now = self._now()
        if now < self._next or (tick := self._tick(now)) is None:
            return
        self._next = now + SAMPLE_SPACING * max(1.0, len(tick.owners) / SPACED_CONTAINERS)
        try:
            await run_in_thread(self._writer.append, tick)
        except OSError as error:
            self.problem = f"samples cannot be kept in {self._folder}: {error.strerror or error}"
            self._next = now + DISK_RETRY_SECONDS
        else:
            self.problem = ""
            self._written_at = now

    def _tick(self, now: float) -> ArchiveTick | None:
        store, columns = self._store, self._store.columns
        slots = [
            slot
            for slot in np.flatnonzero(columns.sampled_at > self._written_at).tolist()
            if store.identities[slot] is not None
        ]
        if not slots:
            return None
        place = {slot: index for index, slot in enumerate(slots)}
        identities = [identity for slot in slots if (identity := store.identities[slot]) is not None]
        ends, since = [], self._written_at - LATE_END_SECONDS
        for slot, lives in store.lives.items():
            if slot in place:
                ends += [(place[slot], at, False) for at in lives.starts if at > since]
                ends += [(place[slot], at, True) for at in lives.oom_times() if at > since]
        return ArchiveTick(
            now,
            [SampleOwner(identity.key.uid, identity.container) for identity in identities],
            columns.sampled_at[slots],
            columns.working_set[slots].astype(np.float32),
            ends,
            [(identity.namespace, identity.pod) for identity in identities],
        )


def _past_from_archive(kept: ArchivedSamples) -> PastSeries:
    known = np.isfinite(kept.values)
    return PastSeries(
        "working_set", ORIGIN_DISK, kept.times[known], kept.values[known], kept.restarts, kept.oom_kills
    )


LOOK_SECONDS = 0.1
"""Seconds between two looks whether the present is known, before the past is asked for."""
PATIENCE_SECONDS = 5.0
"""Seconds after which the past is asked for whether or not the present is known."""
JUDGE_EVERY = 1.0
"""Seconds between two looks for verdicts that are due."""


class PastSources:
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
        cache: What is remembered.
        verdicts: What is judged by it.
        look_backs: What is looked at further back than that.
    """

    def __init__(
        self,
        client: Client,
        store: ContainerStore,
        live: LiveJudge,
        remember: HistorySettings,
        *,
        hours: float,
        speed: float,
        now: Callable[[], float],
        present: Callable[[], bool],
        namespaces: tuple[str, ...],
        on_change: Callable[[], None],
    ) -> None:
        self.cache = PastCache(
            remember.prometheus.metric if remember.prometheus is not None else "working_set"
        )
        self.verdicts = PastVerdicts(store, self.cache, live, now)
        self.look_backs = LookBack(on_change)
        self._client = client
        self._store = store
        self._history = remember
        self._hours = hours
        self._speed = speed
        self._now = now
        self._present = present
        self._namespaces = namespaces
        self._on_change = on_change
        self._asking: PrometheusPast | None = None
        self._disk = (
            DiskSamples(remember.folder, store, self.cache, hours=hours, now=now, on_change=on_change)
            if remember.folder is not None
            else None
        )

    @property
    def settled(self) -> bool:
        """Whether the first of what Prometheus knows has come and is judged, or will not come for now."""
        if self._history.prometheus is None:
            return True
        return self._asking is not None and self._asking.asked_once and not self.verdicts.pending

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of it."""
        return (self._disk.problem,) if self._disk is not None and self._disk.problem else ()

    def sources(self, make: Callable[[str, Callable[[Source], Awaitable[None]]], Source]) -> list[Source]:
        """The sources that tell how they are.

        Args:
            make: Makes one of a name and of what it runs.
        """
        return [make("prometheus", self._ask)] if self._history.prometheus is not None else []

    def set_wanted(self, slots: Iterable[int]) -> None:
        """Says which containers are looked at, what matters most first."""
        self.cache.request(request for slot in slots if (request := self._request_of(slot)) is not None)

    def set_look_back(self, slots: Iterable[int], seconds: float) -> None:
        """Says whose past is looked at from how many seconds ago on; nobody's, where that much is kept."""
        far = self._history.prometheus is not None and seconds > self._hours * 3600.0
        self.look_backs.set_wanted(
            (request for slot in slots if far and (request := self._request_of(slot)) is not None), seconds
        )

    def series_to_draw(self, slot: int) -> Series:
        """One container's working set over the whole time known, and further back if that was asked for."""
        request, whole = self._request_of(slot), self.verdicts.series(slot)
        return whole if request is None else merge_past_and_live(self.look_backs.get(request.name), whole)

    def is_asking(self, slot: int) -> bool:
        """Whether what is looked at will be judged by more as soon as Prometheus has answered."""
        request = self._request_of(slot) if self._history.prometheus is not None else None
        if request is None or not self.cache.is_requested(request.name):
            return False
        return (
            self._asking is None
            or self._asking.is_outstanding(request.name)
            or self.verdicts.has_unjudged_news(slot)
        )

    async def keep(self) -> None:
        """Keeps samples on disk and verdicts up to date, until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._disk is not None:
                group.create_task(self._disk.run())
            group.create_task(self._judge())

    async def _judge(self) -> None:
        while True:
            if self.verdicts.pending:
                while judged := self.verdicts.judge_next():
                    self._take_past(judged)
                    await asyncio.sleep(0)
                self._on_change()
            await asyncio.sleep(JUDGE_EVERY if self.settled else LOOK_SECONDS)

    def _take_past(self, judged: Iterable[tuple[ContainerName, int]]) -> None:
        """Has the store show containers also from the time before it saw them."""
        for name, slot in judged:
            whole = self.verdicts.series(slot)
            self._store.history.peaks.take_past(slot, whole.timestamps, whole.values)
            if (told := self.cache.get(name, origin=ORIGIN_PROMETHEUS)) is not None:
                self._store.take_past_ends(slot, told, self._now())

    async def _ask(self, source: Source) -> None:
        if self._history.prometheus is None:
            return
        if self._asking is None:
            waited = 0.0
            while not self._present() and waited < PATIENCE_SECONDS:
                await asyncio.sleep(LOOK_SECONDS)
                waited += LOOK_SECONDS
            # What speaks HTTP the blocking way takes a sixth of a second to import; the first frame has no
            # use for it.
            module = await run_in_thread(importlib.import_module, "memtop.observe.prometheus_source")
            self._asking = module.PrometheusPast(
                self._client,
                self._history.prometheus,
                self.cache,
                hours=self._hours,
                speed=self._speed,
                now=self._now,
                live=self._live,
                namespaces=self._namespaces,
                on_change=self._on_change,
                back=self.look_backs,
                on_kernel_figures=lambda figures: self._store.note_kernel_figures(figures, self._now()),
            )
        await self._asking.run(source)

    def _live(self) -> list[PastRequest]:
        """Every container, those that started last first; what is down has no start, and comes before all."""
        slots = self._store.live_slots()
        slots = slots[np.argsort(-np.nan_to_num(self._store.columns.started_at[slots], nan=np.inf))].tolist()
        return [request for slot in slots if (request := self._request_of(slot)) is not None]

    def _request_of(self, slot: int) -> PastRequest | None:
        identity = self._store.identities[slot]
        if identity is None or identity.kind is ContainerKind.INIT:
            return None
        name = ContainerName(identity.namespace, identity.pod, identity.container)
        restarted = bool(self._store.columns.restarts[slot] > 0)
        return PastRequest(name, restarted, identity.key.uid, identity.is_only_container)
