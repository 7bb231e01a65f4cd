"""The observer: every source of one cluster, feeding one store, on one event loop.

It knows nothing of threads or screens: `memtop.observe.engine` runs it beside a screen and
`memtop.commands.once` without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import msgspec

from memtop.background import freeze_collector, release_memory, run_throttled, unfreeze_collector
from memtop.kube import list_watch
from memtop.kube.api_errors import ApiError, Unreadable
from memtop.kube.api_objects import METRICS_PATH, PartialObjectMetadata, Pod, PodMetrics, RawList
from memtop.kube.client import Client
from memtop.kube.connection_target import ClusterTarget
from memtop.kube.credentials import Credentials
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.list_watch import (
    ApiCollection,
    FirstPage,
    FullList,
    ListPart,
    ObjectChange,
    WatchAlive,
    WatchPosition,
)
from memtop.observe.container_store import INITIAL_SLOTS, ContainerStore
from memtop.observe.frame import SPARK_BINS
from memtop.observe.last_words import LastWords
from memtop.observe.live_verdicts import LiveVerdicts, WorkloadVerdicts
from memtop.observe.past_sources import PastSources
from memtop.observe.sample_rings import SampleHistory
from memtop.observe.source import NamespacesForbidden, ServerClock, Source
from memtop.observe.view import Scope, SourceCondition, SourceStatus, merge_statuses
from memtop.observe.watchlist import MIN_POLL_SECONDS, HistorySettings

SPARKLINE_SECONDS = 3600.0
"""Seconds that a sparkline covers."""
NO_HISTORY = HistorySettings()
METRICS_TIMEOUT = 30.0
POOL_PAUSE = 0.5
"""Seconds between two looks for workloads that are due."""
PODS_PER_BATCH = 500
"""Pods taken in at a time: some 10 ms of work."""


class Observer:
    """Keeps one store up to date.

    Args:
        target: Which cluster.
        scope: What of it.
        interval: Seconds of the cluster's clock between polls of the metrics.
        hours: Hours of samples kept.
        speed: Seconds of cluster time per second here; 1 but for a simulated cluster.
        credentials: Shared with other connections to the cluster; by default the observer's own.
        remember: Who knows the past.
        on_change: Called on the observer's loop whenever a new frame would differ.
    """

    def __init__(
        self,
        target: ClusterTarget,
        scope: Scope,
        *,
        interval: float,
        hours: float,
        speed: float = 1.0,
        credentials: Credentials | None = None,
        remember: HistorySettings = NO_HISTORY,
        on_change: Callable[[], None],
    ) -> None:
        self.target = target
        self.scope = scope
        self.interval = interval
        self.clock = ServerClock(speed)
        self.store = ContainerStore(
            SampleHistory(INITIAL_SLOTS, interval, SPARKLINE_SECONDS, hours, SPARK_BINS)
        )
        self.verdicts = LiveVerdicts(self.store, interval, hours)
        self.remaining = 0
        self.ticks = 0
        self._speed = speed
        self._on_change = on_change
        self._client = Client(target, credentials)
        self._sources: list[Source] = []
        self._unlisted: set[str | None] = set()
        self._pods_of: dict[str | None, Source] = {}
        self._waiting_metrics: list[msgspec.Raw] | None = None
        self._unread_samples = ""
        self._pods_seen = asyncio.Event()
        self._tick = asyncio.Event()
        self._poll_now = asyncio.Event()
        self.past_sources = PastSources(
            self._client,
            self.store,
            self.verdicts,
            remember,
            hours=hours,
            speed=speed,
            now=self.clock.now,
            present=lambda: self.settled,
            namespaces=scope.namespaces,
            on_change=on_change,
        )
        self.last_words = LastWords(
            self._client,
            self.store,
            self.clock.now,
            on_change,
            judged=lambda: not self.past_sources.verdicts.pending,
        )
        self.workload_verdicts = WorkloadVerdicts(
            self.store,
            self.past_sources.verdicts.held_series,
            self.clock.now,
            lambda slot: not self.past_sources.is_asking(slot),
        )

    # -- running

    async def run(self) -> None:
        """Observes until cancelled.

        Raises:
            Forbidden: All namespaces were asked for and may not be listed.
        """
        namespaces: tuple[str | None, ...] = self.scope.namespaces or (None,)
        self._unlisted = set(namespaces)
        self._sources = [self._source("metrics", self._poll_metrics)]
        for namespace in namespaces:
            self._pods_of[namespace] = self._source(
                "pods", partial(self._watch_pods, namespace, WatchPosition())
            )
            self._sources += [self._pods_of[namespace], *self._owners_of(namespace)]
        self._sources.append(self._source("nodes", partial(self._watch_nodes, WatchPosition())))
        self._sources += self.past_sources.sources(self._source)
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(source.loop())
                group.create_task(self._judge())
                group.create_task(self._pool())
                group.create_task(self.past_sources.keep())
                group.create_task(self.last_words.run())
        except* NamespacesForbidden as several:
            raise NamespacesForbidden(str(several.exceptions[0])) from several
        finally:
            unfreeze_collector()
            await self._client.close()

    def _owners_of(self, namespace: str | None) -> list[Source]:
        return [
            self._source("owners", partial(self._watch_owners, kind, WatchPosition()))
            for kind in (list_watch.replica_set_collection(namespace), list_watch.job_collection(namespace))
        ]

    def _source(self, name: str, run: Callable[[Source], object]) -> Source:
        return Source(name, run, self.clock.now, self._on_change)  # type: ignore[arg-type]

    def retry(self) -> None:
        """Tries at once whatever waits to be tried again, and asks for the metrics."""
        for source in self._sources:
            source.retry_now()
        self._poll_now.set()

    def set_interval(self, interval: float) -> None:
        """Changes how often the metrics are asked for, in seconds of the cluster's clock."""
        self.interval = interval
        self._poll_now.set()

    # -- how it is

    def statuses(self) -> tuple[SourceStatus, ...]:
        """How each source is, one status a name."""
        names = dict.fromkeys(source.status.name for source in self._sources)
        return tuple(
            merge_statuses([source.status for source in self._sources if source.status.name == name])
            for name in names
        )

    @property
    def settled(self) -> bool:
        """Whether pods, metrics and verdicts have come, or are known not to come for now."""
        if self._lists_to_come:
            return False
        if len(self._unlisted) == len(self._pods_of):
            return bool(self._pods_of)  # there are no pods to have metrics of
        metrics_known = all(
            source.status.state is not SourceCondition.CONNECTING
            for source in self._sources
            if source.status.name == "metrics"
        )
        return metrics_known and not (self._tick.is_set() or self.verdicts.pending)

    @property
    def _lists_to_come(self) -> bool:
        """Whether pods of some namespace are still on their way, and nothing is known to be in the way."""
        return any(
            namespace in self._unlisted
            and source.status.state in {SourceCondition.CONNECTING, SourceCondition.LIVE}
            for namespace, source in self._pods_of.items()
        )

    # -- sources

    async def _watch_pods(self, namespace: str | None, position: WatchPosition, source: Source) -> None:
        collection = list_watch.pod_collection(namespace, self.scope.selector)
        seen: set[str] = set()
        expected = 0
        try:
            async for update in list_watch.list_and_watch(self._client, collection, position, in_parts=True):
                match update:
                    case FirstPage(items, remaining):
                        expected = remaining + len(await self._take_pods(items))
                        self.store.reserve(expected)
                        self.remaining = remaining
                    case ListPart(pods):
                        seen |= await self._take_pods(iter(pods))
                        self.remaining = min(max(expected - len(seen), 0), self.remaining)
                    case FullList(items, count, date):
                        self.clock.observe(date)
                        if namespace is not None and not count:
                            await self._require_namespace(namespace)
                        self.store.keep_only(seen | await self._take_pods(items), namespace)
                        self.remaining = 0
                        self._unlisted.discard(namespace)
                        self._arrived()
                        del update, items
                        seen = set()
                        release_memory()
                        freeze_collector()
                    case ObjectChange("DELETED", pod):
                        self.store.remove_pod(pod.metadata.uid)
                    case ObjectChange(_, pod):
                        self.store.put_pod(pod, self.clock.now())
                    case WatchAlive():
                        pass
                source.set_live(
                    words=_unread_words(len(collection.unreadable), "pod", collection.unreadable[-1:])
                )
                self._on_change()
        except ApiError as error:
            # Once they have been listed, a refusal is a state of the source as any other, and may pass.
            if error.status == 403 and namespace is None and namespace in self._unlisted:
                raise NamespacesForbidden(error.message) from error
            raise

    async def _take_pods(self, pods: Iterator[Pod]) -> set[str]:
        """Takes in a list a bit at a time, so that frames are built and requests answered meanwhile.

        Returns:
            The uids of all.
        """
        seen: set[str] = set()
        while batch := list(islice(pods, PODS_PER_BATCH)):
            now = self.clock.now()
            for pod in batch:
                seen.add(pod.metadata.uid)
                self.store.put_pod(pod, now)
            self._arrived()
            self._on_change()
            await asyncio.sleep(0)
        return seen

    async def _require_namespace(self, namespace: str) -> None:
        """A namespace that does not exist lists as one without pods: only asking for itself tells.

        Raises:
            ApiError: 404, there is no such namespace.
        """
        try:
            await self._client.get(f"/api/v1/namespaces/{namespace}")
        except ApiError as error:
            if error.status == 404:
                raise ApiError(404, error.reason, f"there is no namespace {namespace!r}") from error
            # Most often 403: whoever may see one namespace's pods need not be allowed to see the namespace.

    def _arrived(self) -> None:
        self._pods_seen.set()
        waiting = self._waiting_metrics
        if waiting is not None and not self._lists_to_come:
            self._waiting_metrics = None
            self._take_metrics(waiting)

    async def _watch_owners(
        self, collection: ApiCollection[PartialObjectMetadata], position: WatchPosition, source: Source
    ) -> None:
        async for update in list_watch.list_and_watch(self._client, collection, position):
            match update:
                case FullList(items) | FirstPage(items):
                    self.store.learn_owners(items)
                case ObjectChange("DELETED", owner):
                    self.store.forget_owner(owner.metadata.uid)
                case ObjectChange(_, owner):
                    self.store.learn_owners([owner])
                case WatchAlive():
                    pass
            source.set_live()
            self._on_change()

    async def _watch_nodes(self, position: WatchPosition, source: Source) -> None:
        async for update in list_watch.list_and_watch(self._client, list_watch.node_collection(), position):
            match update:
                case FullList(items):
                    self.store.put_nodes(items)
                case ObjectChange(kind, node):
                    self.store.put_node(node, gone=kind == "DELETED")
                case FirstPage() | WatchAlive():
                    pass
            source.set_live()
            self._on_change()

    async def _poll_metrics(self, source: Source) -> None:
        while True:
            metrics, refusal = await self._ask_metrics()
            await self._pods_seen.wait()
            self._waiting_metrics = metrics if self._lists_to_come else None
            newest = self._take_metrics(metrics)
            if newest is None:
                silence = self._unread_samples if metrics else "metrics-server has no samples yet"
                source.waiting(refusal or silence)
            else:
                source.set_live(newest, refusal or self._unread_samples)
            del metrics
            release_memory()
            self._poll_now.clear()
            try:
                await asyncio.wait_for(
                    self._poll_now.wait(), max(MIN_POLL_SECONDS, self.interval / self._speed)
                )
            except TimeoutError:
                continue

    async def _ask_metrics(self) -> tuple[list[msgspec.Raw], str]:
        """The newest samples, and where they are refused in one of several namespaces, in which words."""
        namespaces: tuple[str | None, ...] = self.scope.namespaces or (None,)
        found: list[msgspec.Raw] = []
        refusals: list[ApiError] = []
        for namespace in namespaces:
            try:
                found += await self._metrics_of(namespace)
            except ApiError as error:
                refusals.append(error)
        if len(refusals) == len(namespaces):
            raise refusals[0]
        return found, refusals[0].message if refusals else ""

    async def _metrics_of(self, namespace: str | None) -> list[msgspec.Raw]:
        path = f"{METRICS_PATH}/namespaces/{namespace}/pods" if namespace else f"{METRICS_PATH}/pods"
        params = {"labelSelector": self.scope.selector} if self.scope.selector else None
        try:
            response = await self._client.request("GET", path, params, timeout=METRICS_TIMEOUT)
        except ApiError as error:
            if error.status == 404:
                words = "this cluster has no metrics API; metrics-server provides it"
                raise ApiError(404, error.reason, words) from error
            raise
        self.clock.observe(response.headers.get("Date"))
        return decode_lenient(response.body, RawList, f"the answer to {path}").items or []

    def _take_metrics(self, metrics: list[msgspec.Raw]) -> float | None:
        """Takes in one answer, a sample at a time: decoded all at once they would leave holes in the heap.

        One that cannot be read costs its own pod its sample, and `_unread_samples` says so.
        """
        now = self.clock.now()
        unread: list[str] = []
        tick = self.store.put_metrics(_readable_samples(metrics, unread), now)
        unread += tick.unread
        self._unread_samples = _unread_words(len(unread), "sample", unread)
        self.verdicts.take_samples(tick, now)
        self.ticks += 1
        self._tick.set()
        self._on_change()
        return tick.newest

    async def _judge(self) -> None:
        """Judges what is due after each tick."""
        while True:
            await self._tick.wait()
            self._tick.clear()
            await run_throttled(self.verdicts.judge_next)
            self._on_change()

    async def _pool(self) -> None:
        """Judges the workloads that are looked at."""
        while True:
            if await run_throttled(self.workload_verdicts.judge_next):
                self._on_change()
            await asyncio.sleep(POOL_PAUSE)


def _readable_samples(metrics: list[msgspec.Raw], unread: list[str]) -> Iterator[PodMetrics]:
    for raw in metrics:
        try:
            yield decode_lenient(raw, PodMetrics, "a sample")
        except Unreadable as error:
            unread.append(str(error))


def _unread_words(count: int, what: str, examples: list[str]) -> str:
    """What is left out because it cannot be read; empty for nothing."""
    if not count:
        return ""
    return f"{count} {what}{'s' if count > 1 else ''} left out: {examples[0]}"
