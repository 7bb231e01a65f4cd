"""Follows the events of a pod, of the objects that own it, and of its node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.core_events import CoreEvent, EventCollector, KnownEvents
from memtop.kube.json_object import Json, decode_object, mapping, objects, selector_words, text, uid_of
from memtop.kube.list_watch import (
    ApiCollection,
    FullList,
    ObjectChange,
    WatchExpired,
    WatchPosition,
    list_and_watch,
)
from memtop.kube.object_ref import ObjectRef, fetch_object, owner_chain, owner_of, reference_to
from memtop.retry import Backoff

MAX_PODS = 20
"""Of a workload's pods so many are followed; each takes a watch."""
REVIEW_SECONDS = 30.0
GATHER_SECONDS = 0.2
"""Changes that come closer together are told together."""
RETRY_SECONDS = 10.0
_NODE_NAMESPACE = "default"  # where Kubernetes keeps the events of objects that have no namespace


class _RelatedChanged(Exception):  # noqa: N818  (news and not a failure)
    """The object has other pods, another node or another owner than before."""


async def follow_events(client: Client, ref: ObjectRef, publish: Callable[[KnownEvents], None]) -> None:
    """Tells the events of an object, of its owners, pods and node, until it is cancelled.

    Args:
        client: The connection.
        ref: The pod or the workload; with its uid, its events can be had even when it is gone.
        publish: Gets all events known so far whenever there are more; must return at once.
    """
    log = EventCollector(())
    while True:
        about, note = await _related_objects(client, ref)
        log.follow(about)
        log.notes = {"about": note} if note else {}
        news = asyncio.Event()
        news.set()
        try:
            async with asyncio.TaskGroup() as group:
                for one in about:
                    group.create_task(_watch_object(client, one, log, news))
                group.create_task(_review_related(client, ref, (about, note)))
                group.create_task(_publish_news(log, news, publish))
        except* _RelatedChanged:
            log.notes.clear()  # and begin again with those there are now


async def _publish_news(
    log: EventCollector, news: asyncio.Event, publish: Callable[[KnownEvents], None]
) -> None:
    while True:
        await news.wait()
        await asyncio.sleep(GATHER_SECONDS)
        news.clear()
        publish(log.known_events())


async def _review_related(client: Client, ref: ObjectRef, known: tuple[list[ObjectRef], str]) -> None:
    """Looks now and then whether the same objects still belong together."""
    while True:
        await asyncio.sleep(REVIEW_SECONDS)
        if await _related_objects(client, ref) != known:
            raise _RelatedChanged


async def _related_objects(client: Client, ref: ObjectRef) -> tuple[list[ObjectRef], str]:
    """The object, its pods if it is a workload, its owners and its node; and why that may not be all."""
    try:
        _, found = await fetch_object(client, ref)
        pods = await _pods_of(client, ref, found)
    except CLUSTER_FAILURES as error:
        return [ref], str(error)
    owners, note = await owner_chain(client, found)
    node = text(found, "spec", "nodeName")
    nodes = [ObjectRef("Node", "", node)] if node else []
    return [reference_to(found, ref.kind), *pods, *owners, *nodes], note


async def _pods_of(client: Client, ref: ObjectRef, found: Json) -> list[ObjectRef]:
    """A workload's pods and what stands between it and them; the first `MOST_PODS` by name."""
    selector = selector_words(mapping(found, "spec", "selector"))
    if ref.kind in {"Pod", "Node"} or not selector:
        return []
    path = f"/api/v1/namespaces/{ref.namespace}/pods"
    answer = decode_object(await client.get(path, {"labelSelector": selector, "limit": str(MAX_PODS)}), path)
    pods = objects(answer, "items")
    between = {owner for pod in pods if (owner := owner_of(pod)) is not None and owner.uid != uid_of(found)}
    return [*sorted(between, key=str), *(reference_to(pod, "Pod") for pod in pods)]


async def _watch_object(client: Client, ref: ObjectRef, log: EventCollector, news: asyncio.Event) -> None:
    namespace, position, backoff = ref.namespace, WatchPosition(), Backoff()
    while True:
        backoff.begin()
        try:
            async for step in list_and_watch(client, _event_collection(ref, namespace), position):
                if isinstance(step, FullList):
                    log.listed(ref, step.items)
                elif isinstance(step, ObjectChange):
                    log.changed(ref, step.type, step.object)
                backoff.succeeded()
                log.notes.pop(str(ref), None)
                news.set()
        except WatchExpired as expired:
            await backoff.wait(expired)
        except CLUSTER_FAILURES as error:
            if isinstance(error, ApiError) and error.status == 403 and not namespace:
                namespace = _NODE_NAMESPACE
                continue
            log.notes[str(ref)] = str(error)
            news.set()
            await backoff.wait(error, at_least=RETRY_SECONDS)


def _event_collection(ref: ObjectRef, namespace: str) -> ApiCollection[CoreEvent]:
    path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
    if ref.kind == "Node" or not ref.uid:  # the kubelet puts the node's name where others put its uid
        selector = f"involvedObject.kind={ref.kind},involvedObject.name={ref.name}"
    else:
        selector = f"involvedObject.uid={ref.uid}"
    return ApiCollection(path, CoreEvent, {"fieldSelector": selector})
