"""The source "prometheus": keeps the past of the containers looked at, and of the fastest growers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.past import ContainerName, Metric, Past
from memtop.prometheus import history, queries
from memtop.prometheus.connection import Prometheus
from memtop.prometheus.labels import Schema, probe
from memtop.prometheus.reach import Found, NotFoundError, Why, reach

if TYPE_CHECKING:
    from config.settings import Prometheus as PrometheusSettings
    from memtop.observe.source import Source

MOST = 400
"""Containers whose past is kept; what was remembered longest ago and is no longer wished for goes first."""
AT_A_TIME = 50
"""Containers asked for together; what is selected comes with the first of them."""
GROWERS = 30
GROWERS_EVERY = 300.0
"""Seconds of the cluster's clock between two looks for growers, and two probes of an unknown schema."""
GROWERS_OVER = 6 * 3600.0
SOONEST = 2.0
"""Seconds between two rounds of questions, at least."""
SETTLE = 0.3
"""Seconds that wishes may go on coming in before they are asked for: rows move while a screen fills."""
FIRST_WISHES = 2.0
"""Seconds to wait for somebody to look at something."""


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

    def wish(self, wishes: Iterable[Wish]) -> None:
        """Says what is looked at now, what matters most first."""
        self.wishes = tuple(dict.fromkeys(wishes))[: self._most]
        names = {wish.name for wish in self.wishes}
        if not names <= self._seen:
            self._seen = names | (self._seen if len(self._seen) < 10 * self._most else set())
            for listener in self._listeners:
                listener.set()

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
        return max(kept, key=lambda past: past.span * (1 + (past.origin == history.ORIGIN)), default=None)

    def keep(self, pasts: Mapping[tuple[ContainerName, Metric], Past]) -> None:
        """Takes in what was remembered."""
        for (name, metric), past in pasts.items():
            entry = self._kept.pop(name, {})
            entry[metric, past.origin] = past
            self._kept[name] = entry
            self._changed.add(name)
        wished = {wish.name for wish in self.wishes}
        forgettable = [name for name in self._kept if name not in wished]
        for name in forgettable[: max(0, len(self._kept) - self._most)]:
            del self._kept[name]

    def changes(self) -> set[ContainerName]:
        """The containers of which something was remembered since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def __contains__(self, name: ContainerName) -> bool:
        return name in self._kept


class PrometheusPast:
    """Asks Prometheus, again and again, for what is wished.

    Args:
        client: The connection to the API server.
        settings: Those of Prometheus.
        pasts: Where wishes come from and answers go.
        hours: How far back.
        speed: Seconds of cluster time per second here.
        now: The cluster's time.
        live: The containers that live now.
        pods_seen: Set once there are any.
        namespaces: Those observed; empty for all.
        on_change: Called whenever something new is remembered.

    Attributes:
        asked_once: Whether the first answers have come, or are known not to come for now.
    """

    def __init__(
        self,
        client: Client,
        settings: PrometheusSettings,
        pasts: Pasts,
        *,
        hours: float,
        speed: float,
        now: Callable[[], float],
        live: Callable[[], Collection[Wish]],
        pods_seen: asyncio.Event,
        namespaces: Sequence[str],
        on_change: Callable[[], None],
    ) -> None:
        self.asked_once = False
        self._client = client
        self._settings = settings
        self._pasts = pasts
        self._wished = pasts.listen()
        self._window = hours * 3600.0
        self._speed = speed
        self._now = now
        self._live = live
        self._pods_seen = pods_seen
        self._namespaces = tuple(namespaces)
        self._on_change = on_change
        self._known_until: dict[ContainerName, float] = {}
        self._asked_at: dict[ContainerName, float] = {}
        self._growers: tuple[Wish, ...] = ()
        self._growers_at = float("-inf")

    async def run(self, source: Source) -> None:
        """Works until something fails; raises what a `Source` understands."""
        await self._pods_seen.wait()
        try:
            async with reach(self._client, self._settings) as found:
                await self._serve(source, found)
        except NotFoundError as error:
            if error.why is Why.SILENT:
                raise Unreachable(str(error)) from None
            raise ApiError(403 if error.why is Why.FORBIDDEN else 404, "", str(error)) from None
        finally:
            self.asked_once = True

    async def _serve(self, source: Source, found: Found) -> None:
        prometheus = found.prometheus
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._pasts.wishes else FIRST_WISHES):
                await self._wished.wait()
        schema = await self._schema(prometheus)
        probed = self._now()
        while True:
            self._wished.clear()
            grid = queries.grid(self._now(), self._window)
            warnings = await self._ask_for(prometheus, schema, self._pasts.wishes, grid)
            self.asked_once = True
            warnings += await self._find_growers(prometheus, schema)
            warnings += await self._ask_for(prometheus, schema, self._growers, grid)
            self._tell(source, found, list(dict.fromkeys(warnings)))
            if not schema.known and self._now() - probed > GROWERS_EVERY:
                schema, probed = await self._schema(prometheus), self._now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(SOONEST, grid.step / self._speed)):
                    await self._wished.wait()
                    await asyncio.sleep(SETTLE)

    def _tell(self, source: Source, found: Found, warnings: list[str]) -> None:
        newest = max(self._known_until.values(), default=None)
        if newest is None and self._asked_at:
            warnings = ["knows none of these pods", *warnings]
        if newest is not None:
            source.live(newest)
        source.waiting("; ".join([found.where, *warnings]))

    async def _schema(self, prometheus: Prometheus) -> Schema:
        wishes = (*self._pasts.wishes, *self._live())[: 4 * AT_A_TIME]
        schema = await aside(probe, prometheus, {wish.name.pod for wish in wishes}, self._now())
        if not schema.memory:
            raise ApiError(
                404, "", "it knows no memory of containers: it does not scrape the kubelets (cAdvisor)"
            )
        return schema

    async def _ask_for(
        self, prometheus: Prometheus, schema: Schema, wishes: Sequence[Wish], grid: queries.Grid
    ) -> list[str]:
        """Asks for what is not known, then for what is known and no longer fresh; the warnings.

        What Prometheus has never heard of is asked for as a whole each time: it may be a new pod.
        """
        due = [wish for wish in wishes if self._asked_at.get(wish.name, grid.start) <= grid.end - grid.step]
        known = {
            wish.name: self._known_until.get(wish.name, grid.start)
            for wish in due
            if wish.name in self._pasts  # else it was forgotten meanwhile
        }
        whole = [wish for wish in due if known.get(wish.name, grid.start) <= grid.start]
        newest = [wish for wish in due if known.get(wish.name, grid.start) > grid.start]
        warnings: list[str] = []
        for part in _parts(whole):
            warnings += await self._ask(prometheus, schema, part, grid)
        for part in _parts(newest):
            since = min(known[wish.name] for wish in part)
            warnings += await self._ask(prometheus, schema, part, history.overlap(grid, since))
        return warnings

    async def _ask(
        self, prometheus: Prometheus, schema: Schema, wishes: Sequence[Wish], grid: queries.Grid
    ) -> list[str]:
        names = [wish.name for wish in wishes]
        restarted = [wish.name for wish in wishes if wish.restarted]
        metrics: tuple[Metric, ...] = tuple(dict.fromkeys(("working_set", self._pasts.metric)))
        told = await aside(history.ask, prometheus, schema, names, metrics, grid, restarted)
        oldest = grid.end - self._window - grid.step
        self._pasts.keep(
            {
                (name, metric): history.extended(old, news, grid.start, oldest)
                if (old := self._pasts.of(name, metric, history.ORIGIN)) is not None
                else news
                for (name, metric), news in told.pasts.items()
            }
        )
        for name in names:
            self._asked_at[name] = grid.end
        for (name, _), past in told.pasts.items():
            if len(past):
                self._known_until[name] = float(past.times[-1])
        self._on_change()
        return told.warnings

    async def _find_growers(self, prometheus: Prometheus, schema: Schema) -> list[str]:
        """A slow leak need not be on any screen: Prometheus knows who grew most. Warnings, if it does not."""
        if self._now() - self._growers_at < GROWERS_EVERY:
            return []
        self._growers_at = self._now()
        live = {wish.name: wish for wish in self._live()}
        for known in (self._asked_at, self._known_until):
            for name in known.keys() - live.keys():
                del known[name]
        found: list[ContainerName] = []
        for seconds in {min(GROWERS_OVER, self._window), self._window}:
            try:
                found += await aside(history.fastest, prometheus, schema, self._namespaces, GROWERS, seconds)
            except (ApiError, Unreachable) as error:  # too much for it, perhaps; the rest it has answered
                return [f"cannot say what grows: {error}"]
        self._growers = tuple(live[name] for name in dict.fromkeys(found) if name in live)
        return []


def _parts(wishes: Sequence[Wish]) -> list[Sequence[Wish]]:
    return [wishes[first : first + AT_A_TIME] for first in range(0, len(wishes), AT_A_TIME)]
