"""Following a rollout: one watch each for the workload, its revisions, its pods and what is said of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.describe.labels import selector_words
from memtop.cluster.errors import ApiError
from memtop.cluster.events import CoreEvent
from memtop.cluster.objects import Node, Pod, PodMetricsList
from memtop.cluster.reflector import Collection
from memtop.cluster.refs import ROLLING, ObjectRef, fetch
from memtop.cluster.tree import clean, mapping
from memtop.quantity import QuantityError, parse_bytes
from memtop.retry import Backoff
from memtop.rollout.keep import FAILURES, RETRY_SECONDS, Keeper, Wholes, keep
from memtop.rollout.model import Rollout
from memtop.rollout.pods import leaving, ready
from memtop.rollout.seen import Seen, Whole

GATHER_SECONDS = 0.2
"""Changes that come closer together are told together."""
REVIEW_SECONDS = 5.0
"""Without any change it is judged anew so often: time alone makes a slow pod one that does not get ready."""
MEASURE_SECONDS = 5.0
"""Between two looks at memory and nodes; metrics-server itself measures every 15 s at best."""
MOST_EVENTS = 2000
MOST_NODES = 5
_Work = Coroutine[Any, Any, None]


async def follow(
    client: Client, ref: ObjectRef, now: Callable[[], float] = time.time, *, measure: bool = True
) -> AsyncGenerator[Rollout | str, None]:
    """Tells how a rollout stands, and again whenever that has changed; ends when the caller does.

    Ends of watches, versions that are too old and a server that restarts are got over; what was known stays.

    Args:
        client: The connection.
        ref: The Deployment, StatefulSet or DaemonSet.
        now: The cluster's clock, Unix seconds.
        measure: Whether to ask for the pods' memory and for nodes as well.

    Yields:
        The rollout; or, while nothing at all is known of it, in one sentence why.
    """
    if ref.kind not in ROLLING:
        yield f"a {ref.kind} is not rolled out"
        return
    seen = Seen(ref)
    async for why in _begun(client, seen):
        yield why
    news = asyncio.Event()
    news.set()
    works, enough = _collections(client, seen, news)
    tasks = [asyncio.ensure_future(work) for work in works]
    if measure:
        tasks.append(asyncio.ensure_future(_measure(client, seen, news)))
    told: Rollout | None = None
    try:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), REVIEW_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)
            news.clear()
            for task in tasks:
                if task.done():
                    task.result()  # a mistake of memtop's own is not kept quiet
            rollout = seen.rollout(now()) if enough() else None
            if rollout is not None and rollout != told:
                told = rollout
                yield rollout
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _begun(client: Client, seen: Seen) -> AsyncIterator[str]:
    """Reads the workload for the first time; yields why that fails until it does not."""
    backoff = Backoff()
    while seen.workload is None:
        try:
            _, seen.workload = await fetch(client, seen.ref)
        except FAILURES as error:
            yield str(error)
            await backoff.rest(error, at_least=RETRY_SECONDS)


def _collections(client: Client, seen: Seen, news: asyncio.Event) -> tuple[list[_Work], Callable[[], bool]]:
    """The watches, and whether all that a first judgement needs has been told."""
    ref, scope, selected = seen.ref, f"namespaces/{seen.ref.namespace}", _selected(seen)
    histories = "replicasets" if ref.kind == "Deployment" else "controllerrevisions"
    workload = _Workload(client, seen)
    kept, pods, events = Keeper(seen.kept), Keeper(seen.pods), Keeper(seen.events, MOST_EVENTS)
    own = {"fieldSelector": f"metadata.name={ref.name}"}
    warnings = {"fieldSelector": "type!=Normal"}
    rest = (seen.notes, news)
    works = [
        keep(client, Wholes(ref.collections()[0], Whole, own), workload, *rest),
        keep(client, Wholes(f"/apis/apps/v1/{scope}/{histories}", Whole, selected), kept, *rest),
        keep(client, Collection(f"/api/v1/{scope}/pods", Pod, selected), pods, *rest),
        keep(client, Collection(f"/api/v1/{scope}/events", CoreEvent, warnings), events, *rest),
    ]
    return works, lambda: workload.heard and kept.heard and pods.heard


def _selected(seen: Seen) -> dict[str, str]:
    selector = selector_words(mapping(seen.workload, "spec", "selector"))
    return {"labelSelector": selector} if selector else {}


class _Workload(Keeper[Whole]):
    """Keeps the workload itself, which may be got by its name where listing is forbidden."""

    def __init__(self, client: Client, seen: Seen) -> None:
        super().__init__({})
        self._client = client
        self._seen = seen

    def listed(self, items: Iterable[Whole]) -> None:
        """It, or nothing."""
        found = next(iter(items), None)
        self._seen.gone = found is None
        if found is not None:
            self._seen.workload = mapping(clean(found.json))

    def changed(self, how: str, item: Whole) -> None:
        """It has changed, is gone, or is there again."""
        self._seen.gone = how == "DELETED"
        self._seen.workload = mapping(clean(item.json))

    async def otherwise(self) -> bool:
        """Gets it by its name."""
        try:
            _, self._seen.workload = await fetch(self._client, self._seen.ref)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                return False
            self._seen.gone = True
        return True


async def _measure(client: Client, seen: Seen, news: asyncio.Event) -> None:
    """Asks for the memory of the pods, and for the nodes of those that are not ready."""
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{seen.ref.namespace}/pods"
    backoff = Backoff(first=MEASURE_SECONDS)
    while True:
        failure: Exception | None = None
        try:
            answer = msgspec.json.decode(await client.get(path, _selected(seen)), type=PodMetricsList)
            seen.memory = _memory(answer)
            backoff.reset()
        except (*FAILURES, msgspec.MsgspecError) as error:
            failure = error
            seen.memory = {}  # unknown; the header of every screen says why
        troubled = {pod.spec.node_name for pod in seen.own_pods() if not leaving(pod) and not ready(pod)}
        seen.nodes = await _nodes(client, sorted(name for name in troubled if name)[:MOST_NODES])
        news.set()
        if failure is None:
            await asyncio.sleep(MEASURE_SECONDS)
        else:
            await backoff.rest(failure, at_least=MEASURE_SECONDS)


def _memory(answer: PodMetricsList) -> dict[str, float]:
    found: dict[str, float] = {}
    for pod in answer.items or []:
        with suppress(QuantityError):
            found[pod.metadata.name] = sum(parse_bytes(one.usage.memory) for one in pod.containers)
    return found


async def _nodes(client: Client, names: Sequence[str]) -> dict[str, Node]:
    """The nodes that may be read; the others have nothing to say."""
    found: dict[str, Node] = {}
    for name in names:
        with suppress(*FAILURES, msgspec.MsgspecError):
            raw = await client.get(f"/api/v1/nodes/{quote(name, safe='')}")
            found[name] = msgspec.json.decode(raw, type=Node)
    return found
