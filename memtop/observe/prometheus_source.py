"""The source "prometheus": asks for the past of the containers on screen, and of the fastest growers."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from memtop.background import run_in_thread
from memtop.history import prometheus_past, prometheus_queries
from memtop.history.past_requests import (
    MAX_REMEMBERED,
    SETTLE_SECONDS,
    LookBack,
    LookBackRequest,
    PastCache,
    PastRequest,
)
from memtop.history.past_series import ORIGIN_PROMETHEUS, ContainerName, KernelFigures, Metric, PastSeries
from memtop.history.prometheus_client import PrometheusClient
from memtop.history.prometheus_connection import (
    NotFoundReason,
    PrometheusConnection,
    PrometheusNotFoundError,
    connect_prometheus,
)
from memtop.history.prometheus_past import LOOKBACK_DELTA
from memtop.history.prometheus_queries import MetricSchema, QueryGrid, probe_schema
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client

if TYPE_CHECKING:
    from config.settings import PrometheusSettings
    from memtop.observe.source import Source

CONTAINERS_PER_BATCH = 50
"""Containers asked for together; what is selected comes with the first of them."""
MAX_GROWERS = 100
GROWERS_SECONDS = 300.0
"""Seconds of the cluster's clock between two looks for growers, and two probes of an unknown schema."""
GROWERS_WINDOW = 6 * 3600.0
REFRESH_SECONDS = 60.0
"""Seconds of the cluster's clock after which a container is asked for again: the usual scrape interval at
most, so that what is on screen is judged by what a fresh ``memtop --once`` would be told."""
WHOLE_SECONDS = 240.0
"""Seconds after which what restarts is asked for as a whole again: once for each verdict."""
FIRST_ROUND_TIMEOUT = 10.0
"""Seconds after which the first answers count as complete although not every container has been asked for."""
MIN_ROUND_SECONDS = 2.0
"""Seconds between two rounds of questions, at least."""
KILLS_SECONDS = 3600.0
FIRST_REQUEST_SECONDS = 2.0
"""Seconds to wait for somebody to look at something."""


class PrometheusPast:
    """Asks Prometheus, again and again, for what is wished.

    Args:
        client: The connection to the API server.
        settings: Those of Prometheus.
        pasts: Where requests come from and answers go.
        hours: How far back.
        speed: Seconds of cluster time per second here.
        now: The cluster's time.
        live: The containers that live now, those that started last first.
        namespaces: Those observed; empty for all.
        on_change: Called whenever something new is remembered.
        back: What is looked at further back.
        on_kernel_figures: Told what the kernel counts beside memory: kills of children within the last hour,
            stalls on memory, swap.

    Attributes:
        asked_once: Whether the first answers have come, or are known not to come for now.
    """

    def __init__(
        self,
        client: Client,
        settings: PrometheusSettings,
        pasts: PastCache,
        *,
        hours: float,
        speed: float,
        now: Callable[[], float],
        live: Callable[[], Collection[PastRequest]],
        namespaces: Sequence[str],
        on_change: Callable[[], None],
        back: LookBack,
        on_kernel_figures: Callable[[KernelFigures], None] = lambda figures: None,
    ) -> None:
        self.asked_once = False
        self._client = client
        self._settings = settings
        self._pasts = pasts
        self._requested = pasts.listen()
        self._window = hours * 3600.0
        self._speed = speed
        self._now = now
        self._live = live
        self._namespaces = tuple(namespaces)
        self._on_change = on_change
        self._on_kernel_figures = on_kernel_figures
        self._known_until: dict[ContainerName, float] = {}
        self._asked_at: dict[ContainerName, float] = {}
        self._whole_at: dict[ContainerName, float] = {}
        self._back = back
        self._serving = False
        self._growers: tuple[ContainerName, ...] = ()
        self._growers_at = float("-inf")

    def is_outstanding(self, name: ContainerName) -> bool:
        """Whether a container's past has not been asked for, and will be."""
        return name not in self._asked_at and (self._serving or not self.asked_once)

    async def run(self, source: Source) -> None:
        """Works until something fails; raises what a `Source` understands."""
        try:
            async with connect_prometheus(self._client, self._settings) as found:
                await self._serve(source, found)
        except PrometheusNotFoundError as error:
            if error.reason is NotFoundReason.SILENT:
                raise Unreachable(str(error), error.retry_after) from None
            status = 403 if error.reason is NotFoundReason.FORBIDDEN else 404
            raise ApiError(status, "", str(error), error.retry_after) from None
        finally:
            self.asked_once, self._serving = True, False

    async def _serve(self, source: Source, found: PrometheusConnection) -> None:
        prometheus, self._serving = found.prometheus, True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._pasts.requests else FIRST_REQUEST_SECONDS):
                await self._requested.wait()
        schema = await self._schema(prometheus)
        far = asyncio.ensure_future(self._back.serve(partial(self._ask_back, prometheus, schema)))
        try:
            await self._keep_asking(source, found, schema)
        finally:
            far.cancel()

    async def _keep_asking(self, source: Source, found: PrometheusConnection, schema: MetricSchema) -> None:
        prometheus, probed = found.prometheus, self._now()
        while True:
            self._requested.clear()
            later = asyncio.get_running_loop().call_later(FIRST_ROUND_TIMEOUT, self._answered)
            warnings = await self.ask_for(prometheus, schema, self._pasts.requests)
            self._tell(source, found, warnings)
            warnings += await self._ask_for_others(prometheus, schema)
            warnings += await self._ask_kernel_figures(prometheus, schema)
            self._tell(source, found, warnings)
            later.cancel()
            self._answered()
            if (schema.pods_only or not schema.known) and self._now() - probed > GROWERS_SECONDS:
                schema, probed = await self._schema(prometheus), self._now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(MIN_ROUND_SECONDS, REFRESH_SECONDS / self._speed)):
                    await self._requested.wait()
                    await asyncio.sleep(SETTLE_SECONDS)

    async def _ask_for_others(self, prometheus: PrometheusClient, schema: MetricSchema) -> list[str]:
        """Asks for the containers that nobody looks at, as many as are kept; the warnings.

        Where they are more than that, those that started last come first, for they are young or restart; and
        Prometheus is asked which of the others grow.
        """
        live = {request.name: request for request in self._live()}
        for known in (self._asked_at, self._known_until, self._whole_at):
            for name in known.keys() - live.keys():
                del known[name]
        looked_at = {request.name for request in self._pasts.requests}
        others = [request for name, request in live.items() if name not in looked_at]
        room = MAX_REMEMBERED - len(looked_at)
        if len(others) <= room:
            return await self.ask_for(prometheus, schema, others)
        warnings = await self._find_growers(prometheus, schema)
        growers = [live[name] for name in self._growers if name in live and name not in looked_at]
        chosen = list(dict.fromkeys([*growers, *others]))[:room]
        warnings += await self.ask_for(prometheus, schema, chosen)
        asked = len(looked_at) + len(chosen)
        words = f"asked for {asked:,} of {len(live):,} containers: those in view, growing or started last"
        return [*warnings, words]

    async def _ask_kernel_figures(self, prometheus: PrometheusClient, schema: MetricSchema) -> list[str]:
        """Asks what the kernel counts beside memory: kills of children, stalls, swap; the warnings."""
        try:
            figures = await run_in_thread(
                prometheus_past.kernel_figures, prometheus, schema, self._namespaces, KILLS_SECONDS
            )
        except (ApiError, Unreachable) as error:
            return [f"cannot say which child processes were OOM-killed, nor who stalls on memory: {error}"]
        self._on_kernel_figures(figures)
        return []

    def _answered(self) -> None:
        if not self.asked_once:
            self.asked_once = True
            self._on_change()

    def _tell(self, source: Source, found: PrometheusConnection, warnings: list[str]) -> None:
        newest = max(self._known_until.values(), default=None)
        if newest is None and self._asked_at:
            warnings = ["knows none of these pods", *warnings]
        words = "; ".join(dict.fromkeys([f"{found.where} (found by {found.found_by})", *warnings]))
        if newest is None:
            source.waiting(words)
        else:
            source.set_live(newest, words)

    async def _schema(self, prometheus: PrometheusClient) -> MetricSchema:
        requests = (*self._pasts.requests, *self._live())[: 4 * CONTAINERS_PER_BATCH]
        schema = await run_in_thread(
            probe_schema, prometheus, {request.name.pod for request in requests}, self._now()
        )
        if not schema.memory:
            raise ApiError(
                404, "", "it knows no memory of containers: it does not scrape the kubelets (cAdvisor)"
            )
        return schema

    async def ask_for(
        self, prometheus: PrometheusClient, schema: MetricSchema, requests: Sequence[PastRequest]
    ) -> list[str]:
        """Asks for what is not known, then for what is known and no longer fresh; the warnings.

        What Prometheus has never heard of is asked for as a whole each time: it may be a new pod.
        """
        now = self._now()
        grid = prometheus_queries.query_grid(now, self._window)
        due = [
            request
            for request in requests
            if now - self._asked_at.get(request.name, -math.inf) >= REFRESH_SECONDS
        ]
        known = {
            request.name: self._known_until.get(request.name, grid.start)
            for request in due
            if request.name in self._pasts  # else it was forgotten meanwhile
        }
        # What restarted long ago is told less exactly as it grows old, and everybody is to be told the same.
        stale = {
            request.name
            for request in due
            if request.restarted and now - self._whole_at.get(request.name, now) >= WHOLE_SECONDS
        }
        horizon = max(grid.start, now - prometheus_queries.RECENT_SECONDS + 2 * LOOKBACK_DELTA)
        fresh = {name for name, until in known.items() if until > horizon and name not in stale}
        whole = [request for request in due if request.name not in fresh]
        newest = [request for request in due if request.name in fresh]
        warnings: list[str] = []
        recent = prometheus_queries.recent_grid(now, schema.interval)
        for part in _request_batches(whole):
            grids = (grid, recent) if recent.step < grid.step else (grid,)
            warnings += await self._ask(prometheus, schema, part, grids)
            self._whole_at.update(dict.fromkeys((request.name for request in part), now))
        for part in _request_batches(newest):
            since = min(known[request.name] for request in part)
            newer = prometheus_past.overlapping_grid(recent, since)
            warnings += await self._ask(prometheus, schema, part, (newer,), grid)
        return warnings

    async def _ask(
        self,
        prometheus: PrometheusClient,
        schema: MetricSchema,
        requests: Sequence[PastRequest],
        grids: Sequence[QueryGrid],
        whole: QueryGrid | None = None,
    ) -> list[str]:
        """Asks for the moments of some grids, each finer than the one before, and keeps the answers as one.

        Args:
            prometheus: Whom to ask.
            schema: What it calls things.
            requests: The containers.
            grids: The moments.
            whole: The grid of what is known, where the answers extend that.

        Returns:
            The warnings.
        """
        now = self._now()
        names = [request.name for request in requests]
        restarted = [request.name for request in requests if request.restarted]
        alone = [request.name for request in requests if request.alone]
        metrics: tuple[Metric, ...] = tuple(dict.fromkeys(("working_set", self._pasts.metric)))
        pasts: dict[tuple[ContainerName, Metric], PastSeries] = {}
        if whole is not None:
            known = {key: self._pasts.get(*key, ORIGIN_PROMETHEUS) for key in product(names, metrics)}
            pasts = {key: past for key, past in known.items() if past is not None}
        warnings: list[str] = []
        for grid in grids:
            told = await run_in_thread(
                prometheus_past.ask_past, prometheus, schema, names, metrics, grid, restarted, alone
            )
            warnings += told.warnings
            dense_since = grid.end - prometheus_queries.RECENT_SECONDS
            for key, news in told.pasts.items():
                pasts[key] = (
                    prometheus_past.extend_past(pasts[key], news, grid.start, whole or grids[0], dense_since)
                    if key in pasts
                    else news
                )
        self._pasts.add(pasts, now)
        for name in names:
            self._asked_at[name] = now
        for (name, _), past in pasts.items():
            if len(past):
                self._known_until[name] = float(past.times[-1])
        self._on_change()
        return warnings

    async def _ask_back(
        self, prometheus: PrometheusClient, schema: MetricSchema, asked: LookBackRequest
    ) -> dict[ContainerName, PastSeries]:
        """Asks once for the working set of what is looked at further back, as coarse as that is drawn."""
        grid = prometheus_queries.query_grid(self._now(), asked.seconds)
        names = [request.name for request in asked.requests]
        restarted = [request.name for request in asked.requests if request.restarted]
        alone = [request.name for request in asked.requests if request.alone]
        told = await run_in_thread(
            prometheus_past.ask_past, prometheus, schema, names, ("working_set",), grid, restarted, alone
        )
        return {name: past for (name, _), past in told.pasts.items()}

    async def _find_growers(self, prometheus: PrometheusClient, schema: MetricSchema) -> list[str]:
        """A slow leak need not be on any screen: Prometheus knows who grew most. Warnings, if it does not."""
        if self._now() - self._growers_at < GROWERS_SECONDS:
            return []
        self._growers_at = self._now()
        found: list[ContainerName] = []
        for seconds in {min(GROWERS_WINDOW, self._window), self._window}:
            try:
                found += await run_in_thread(
                    prometheus_past.fastest_growers,
                    prometheus,
                    schema,
                    self._namespaces,
                    MAX_GROWERS,
                    seconds,
                )
            except (ApiError, Unreachable) as error:  # too much for it, perhaps; the rest it has answered
                return [f"cannot say what grows: {error}"]
        self._growers = tuple(dict.fromkeys(found))
        return []


def _request_batches(requests: Sequence[PastRequest]) -> list[Sequence[PastRequest]]:
    return [
        requests[first : first + CONTAINERS_PER_BATCH]
        for first in range(0, len(requests), CONTAINERS_PER_BATCH)
    ]
