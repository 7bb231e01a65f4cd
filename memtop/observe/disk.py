"""Keeps live samples on disk, and remembers from there what is wished for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memtop.aside import aside
from memtop.observe.archive import LATE, MANY, SPACING, Kept, Tick, Whose, Writer, read
from memtop.observe.past import SETTLE, Pasts
from memtop.observe.store import Store
from memtop.past import DISK, ContainerName, Metric, Past

AFTER_FAILURE = 600.0
"""Seconds until a disk that was full is tried again."""


class DiskPast:
    """Reads and writes one cluster's samples.

    Args:
        folder: Where they are.
        store: Whose samples are kept.
        pasts: Where wishes come from and what is remembered goes.
        hours: How far back.
        now: The cluster's time.
        on_change: Called whenever something is remembered.

    Attributes:
        problem: Why nothing could be written last time; empty if it could, or if another memtop does.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        pasts: Pasts,
        *,
        hours: float,
        now: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.problem = ""
        self._folder = folder
        self._store = store
        self._pasts = pasts
        self._wished = pasts.listen()
        self._window = hours * 3600.0
        self._now = now
        self._on_change = on_change
        self._writer = Writer(folder)
        self._read: set[Whose] = set()
        self._written_at = float("-inf")
        self._next = float("-inf")

    async def run(self) -> None:
        """Reads what is wished for and writes what is new, until cancelled."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SPACING / 4):
                        await self._wished.wait()
                        await asyncio.sleep(SETTLE)
                self._wished.clear()
                await self._remember()
                await self._record()
        finally:
            self._writer.close()

    async def _remember(self) -> None:
        wanted = {
            Whose(wish.uid, wish.name.container): wish.name
            for wish in self._pasts.wishes
            if wish.uid and (Whose(wish.uid, wish.name.container) not in self._read)
        }
        if not wanted:
            return
        self._read.update(wanted)
        kept = await aside(read, self._folder, list(wanted), self._now() - self._window)
        found: dict[tuple[ContainerName, Metric], Past] = {
            (wanted[whose], "working_set"): _past(of) for whose, of in kept.items()
        }
        if found:
            self._pasts.keep(found)
            self._on_change()

    async def _record(self) -> None:
        """Writes the newest sample of every container, if it is time and there are any."""
        now = self._now()
        if now < self._next or (tick := self._tick(now)) is None:
            return
        self._next = now + SPACING * max(1.0, len(tick.whose) / MANY)
        try:
            await aside(self._writer.append, tick)
        except OSError as error:
            self.problem = f"samples cannot be kept in {self._folder}: {error.strerror or error}"
            self._next = now + AFTER_FAILURE
        else:
            self.problem = ""
            self._written_at = now

    def _tick(self, now: float) -> Tick | None:
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
        ends, since = [], self._written_at - LATE
        for slot, lives in store.lives.items():
            if slot in place:
                ends += [(place[slot], at, False) for at in lives.starts if at > since]
                ends += [(place[slot], at, True) for at in lives.oom_times() if at > since]
        return Tick(
            now,
            [Whose(identity.key.uid, identity.container) for identity in identities],
            columns.sampled_at[slots],
            columns.working_set[slots].astype(np.float32),
            ends,
            [(identity.namespace, identity.pod) for identity in identities],
        )


def _past(kept: Kept) -> Past:
    known = np.isfinite(kept.values)
    return Past("working_set", DISK, kept.times[known], kept.values[known], kept.restarts, kept.oom_kills)
