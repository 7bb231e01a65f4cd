"""List once, then watch: how memtop keeps a copy of what the API server knows.

The rules are the API's (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes):
a list with ``resourceVersion=0`` comes from the server's cache; a watch continues from the list's version; a
bookmark moves that version without a change; 410 Gone, as a status or as an ERROR event inside a watch that
answered 200, means that the version is too old and only a new list helps.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, Unreadable
from memtop.kube.api_objects import (
    ACCEPT_METADATA,
    ACCEPT_METADATA_LIST,
    ApiStatus,
    ListMeta,
    ListReader,
    Node,
    ObjectMeta,
    PartialObjectMetadata,
    Pod,
    WatchEvent,
)
from memtop.kube.client import MAX_BODY, Client
from memtop.kube.lenient_decoding import decode_lenient
from memtop.retry import Backoff

WATCH_SECONDS = (300, 600)
"""A watch asks to be ended after a time in this range, so that many clients do not return at once."""
SILENCE_SECONDS = 100.0
"""Bookmarks come about once a minute; a connection that says nothing for longer is taken for dead."""
PAGE_SIZE = 100
"""Objects to show while the rest is on its way. A hundred pods take an API server 10 ms; the 500 that kubectl
asks for take 60 ms or more, and the whole list comes that much later."""
LIST_TIMEOUT = 60.0
MAX_UNREAD = 99
"""Objects that a watch could not read, as far as they are counted."""
EMPTY_PAUSE = 1.0
"""Seconds from the beginning of one watch to that of the next, at least."""
MAX_GAP = 5.0
"""Seconds between two watches where each ends soon and without a failure: a proxy that ends every stream at
once must not be asked as fast as it answers, and changes should not wait for long."""
MAX_EMPTY_WATCHES = 5
"""Watches in a row that end at once and say nothing, some fifteen seconds of them. A quiet collection behind
a proxy that ends streams does that, and so does something that answers all it is asked with nothing: a list
tells the two apart."""


class _HasMetadata(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...


T = TypeVar("T", bound=_HasMetadata)


@dataclass(frozen=True, slots=True)
class FullList(Generic[T]):
    """The whole collection, to replace what was known.

    Attributes:
        items: All objects, to be gone through once: each is decoded when its turn comes, so that thousands
            of them need not be there at the same time. One that cannot be read is left out.
        count: How many there are.
        date: The ``Date`` header of the answer.
    """

    items: Iterator[T]
    count: int
    date: str | None = None


@dataclass(frozen=True, slots=True)
class FirstPage(Generic[T]):
    """The first page of a large collection, to be shown while the whole is on its way."""

    items: Iterator[T]
    remaining: int


@dataclass(frozen=True, slots=True)
class ListPart(Generic[T]):
    """Some of the whole of a large collection, as it comes in; the `Listed` after it ends the collection."""

    items: list[T]


@dataclass(frozen=True, slots=True)
class ObjectChange(Generic[T]):
    """One object was ADDED, MODIFIED or DELETED."""

    type: str
    object: T


@dataclass(frozen=True, slots=True)
class WatchAlive:
    """The watch is open and has said so: it was opened, or a bookmark came."""


class WatchExpired(Exception):  # noqa: N818  (the API's word for it)
    """410 Gone: the version is too old to continue from; only a new list helps."""


@dataclass(frozen=True)
class ApiCollection(Generic[T]):
    """What to list and watch, and how to read it.

    Attributes:
        path: The collection's path, such as ``/api/v1/pods``.
        item_type: The struct of one object.
        params: Selectors, sent with every request.
        accept_list: Media type of a list.
        accept_watch: Media type of a watch.
        unreadable: Why each object that was left out of the newest list, or of the watch since, was left out.
    """

    path: str
    item_type: type[T]
    params: Mapping[str, str] = field(default_factory=dict)
    accept_list: str = "application/json"
    accept_watch: str = "application/json"
    unreadable: list[str] = field(default_factory=list, compare=False)

    async def page(self, client: Client, params: Mapping[str, str]) -> tuple[ListMeta, FullList[T]]:
        """Asks for one page.

        Raises:
            ApiError: The API refused.
            Unreachable: There was no whole, readable answer.
        """
        answer = await client.request(
            "GET", self.path, {**self.params, **params}, accept=self.accept_list, timeout=LIST_TIMEOUT
        )
        page = decode_lenient(answer.body, _ListPage, f"the list {self.path}")
        items = page.items or []
        self.unreadable.clear()
        return page.metadata, FullList(self._readable(items), len(items), answer.headers.get("Date"))

    async def parts(
        self, client: Client, params: Mapping[str, str]
    ) -> AsyncGenerator[list[T] | _ListEnd, None]:
        """Asks for everything and yields it as it comes, at the end what the list says of itself.

        Raises:
            ApiError: The API refused.
            Unreachable: There was no whole, readable answer.
        """
        async with client.answer(
            self.path, {**self.params, **params}, accept=self.accept_list, timeout=LIST_TIMEOUT
        ) as answer:
            listing = ListReader(self.decode_item, f"the list {self.path}", MAX_BODY)
            async with contextlib.aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    if items := listing.feed(chunk):
                        yield items
            items, metadata = listing.end()
            self.unreadable[:] = listing.unread
            yield items
            yield _ListEnd(metadata, answer.headers.get("Date"))

    def decode_item(self, raw: bytes | msgspec.Raw) -> T:
        """Reads one object; what of it is of another type is left out.

        Raises:
            Unreadable: It is not of the promised kind.
        """
        return decode_lenient(raw, self.item_type, f"an object of {self.path}")

    def _readable(self, items: Iterable[bytes | msgspec.Raw]) -> Iterator[T]:
        for raw in items:
            try:
                yield self.decode_item(raw)
            except Unreadable as error:
                self.unreadable.append(str(error))


@dataclass(frozen=True, slots=True)
class _ListEnd:
    """What a list says of itself, and when it was sent."""

    metadata: ListMeta
    date: str | None


class _ListPage(msgspec.Struct):
    """A page of any collection, its objects not yet decoded."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


def pod_collection(namespace: str | None, selector: str | None = None) -> ApiCollection[Pod]:
    """The pods of one namespace, or of all."""
    return ApiCollection(_collection_path("/api/v1", namespace, "pods"), Pod, _selector_params(selector))


def node_collection() -> ApiCollection[Node]:
    """The nodes, for their conditions."""
    return ApiCollection("/api/v1/nodes", Node)


def replica_set_collection(namespace: str | None) -> ApiCollection[PartialObjectMetadata]:
    """The metadata of ReplicaSets: all that is needed to know the Deployment behind a pod."""
    return _metadata_collection(_collection_path("/apis/apps/v1", namespace, "replicasets"))


def job_collection(namespace: str | None) -> ApiCollection[PartialObjectMetadata]:
    """The metadata of Jobs: all that is needed to know the CronJob behind a pod."""
    return _metadata_collection(_collection_path("/apis/batch/v1", namespace, "jobs"))


@dataclass(slots=True)
class WatchPosition:
    """How far a collection is known; it outlives a connection that breaks.

    Attributes:
        version: The resource version to go on from; None before the first list, or once it is too old.
        patience: Watches in a row that may end at once and without a word before a list is asked for. It
            doubles each time: a collection that is only quiet is not listed every few seconds.
        gap: The waits between watches.
    """

    version: str | None = None
    patience: int = MAX_EMPTY_WATCHES
    gap: Backoff = field(default_factory=lambda: Backoff(longest=MAX_GAP))


async def list_and_watch(
    client: Client,
    collection: ApiCollection[T],
    position: WatchPosition | None = None,
    *,
    in_parts: bool = False,
) -> AsyncIterator[FullList[T] | FirstPage[T] | ListPart[T] | ObjectChange[T] | WatchAlive]:
    """Yields the whole collection, then each change, for as long as the server keeps to its word.

    Called again with the same position after a failure, it goes on where it was: a connection that breaks
    costs a new watch and no new list. A collection that fits on one page costs one request. A larger one is
    asked for a second time, whole and from the server's cache: ``resourceVersion=0`` ignores ``limit``, but
    is five times faster than paging.

    Args:
        client: The connection.
        collection: What to follow.
        position: Where to go on.
        in_parts: Whether a large collection is handed over as it comes in, in `Part`s, and the `Listed` at
            its end is empty and only says how many there were.

    Raises:
        WatchExpired: The version became too old; call again for a new list.
        ApiError: The API refused (401, 403, 429, 5xx …).
        Unreachable: The connection failed, was cut, fell silent, or has nothing to say again and again.
    """
    position = position or WatchPosition()
    backoff, loop, empty = position.gap, asyncio.get_running_loop(), 0
    try:
        if position.version is None:
            async with contextlib.aclosing(
                _list_collection(client, collection, position, in_parts=in_parts)
            ) as listed:
                async for step in listed:
                    yield step
        while position.version is not None:
            begun, events = loop.time(), -1  # the watch says first that it is open
            backoff.begin()
            async with contextlib.aclosing(_watch_once(client, collection, position.version)) as changes:
                async for change in changes:
                    backoff.succeeded()
                    events += 1
                    if isinstance(change, str):
                        position.version = change
                        yield WatchAlive()
                    else:
                        position.version = change.object.metadata.resource_version or position.version
                        yield change
            if events > 0:
                position.patience = MAX_EMPTY_WATCHES
            empty = 0 if events > 0 or loop.time() - begun > EMPTY_PAUSE else empty + 1
            if empty >= position.patience:
                position.patience *= 2
                _give_up_watching(collection.path, empty)
            await backoff.wait(at_least=EMPTY_PAUSE - (loop.time() - begun))
    except (WatchExpired, Unreadable):
        position.version = None
        raise


async def await_change(
    client: Client,
    path: str,
    params: Mapping[str, str],
    backoff: Backoff,
    *,
    at_least: float,
    idle_timeout: float | None = None,
) -> bool:
    """Watches until something changes; waits before it returns where that cannot be watched.

    Args:
        client: The connection.
        path: The collection's path.
        params: Selectors, the version to go on from, and how long the watch may take.
        backoff: Of this watch; it outlives the call.
        at_least: Seconds to wait after a failure.
        idle_timeout: Seconds of silence after which the connection is taken for dead; None for never.

    Returns:
        Whether there was a change.
    """
    backoff.begin()
    failure: Exception | None = None
    try:
        async with client.stream(path, {**params, "watch": "true"}, idle_timeout=idle_timeout) as lines:
            backoff.succeeded()
            async for line in lines:
                event = decode_lenient(line, WatchEvent, f"an event of {path}")
                if event.type == "ERROR":
                    raise _status_error(decode_lenient(event.object, ApiStatus, "an error event"))
                backoff.reset()
                return True
    except CLUSTER_FAILURES as error:
        failure = error
    await backoff.wait(failure, at_least=at_least if failure is not None else 0.0)
    return False


async def _list_collection(
    client: Client, collection: ApiCollection[T], position: WatchPosition, *, in_parts: bool
) -> AsyncGenerator[FullList[T] | FirstPage[T] | ListPart[T], None]:
    try:
        metadata, listed = await collection.page(client, {"limit": str(PAGE_SIZE)})
        if not metadata.continue_:
            handed_over = [listed]
            del listed
            yield handed_over.pop()  # what is yielded by name would be kept here while it is worked on
            position.version = metadata.resource_version
            return
        async with contextlib.aclosing(collection.parts(client, {"resourceVersion": "0"})) as parts:
            # Asked for before the first page is handed over, so that the server works meanwhile.
            first = asyncio.ensure_future(anext(parts))
            try:
                yield FirstPage(listed.items, metadata.remaining_item_count or 0)
                del listed
                async for step in _rest_of_list(await first, parts, position, in_parts=in_parts):
                    yield step
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
    except ApiError as error:
        raise _expired_or_same(error) from error


async def _rest_of_list(
    first: list[T] | _ListEnd,
    rest: AsyncIterator[list[T] | _ListEnd],
    position: WatchPosition,
    *,
    in_parts: bool,
) -> AsyncIterator[FullList[T] | ListPart[T]]:
    """A large collection, either way."""
    collected: list[T] = []
    count, part = 0, first
    while not isinstance(part, _ListEnd):
        count += len(part)
        if in_parts:
            yield ListPart(part)
        else:
            collected += part
        part = await anext(rest)
    yield FullList(iter(collected), count, part.date)
    position.version = part.metadata.resource_version


async def _watch_once(
    client: Client, collection: ApiCollection[T], version: str
) -> AsyncGenerator[ObjectChange[T] | str, None]:
    """One watch request: yields changes, and at a bookmark the version it carries."""
    params = {
        **collection.params,
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),
    }
    try:
        async with client.stream(
            collection.path, params, accept=collection.accept_watch, idle_timeout=SILENCE_SECONDS
        ) as lines:
            yield version
            async for line in lines:
                event = decode_lenient(line, WatchEvent, f"an event of {collection.path}")
                if event.type == "BOOKMARK":
                    bookmark = decode_lenient(event.object, _Bookmark, "a bookmark")
                    yield bookmark.metadata.resource_version
                elif event.type == "ERROR":
                    raise _status_error(decode_lenient(event.object, ApiStatus, "an error event"))
                else:
                    try:
                        changed = collection.decode_item(event.object)
                    except Unreadable as error:  # costs this object; the version goes on with the next event
                        del collection.unreadable[:-MAX_UNREAD]
                        collection.unreadable.append(str(error))
                    else:
                        yield ObjectChange(event.type, changed)
    except ApiError as error:
        raise _expired_or_same(error) from error


def _give_up_watching(path: str, times: int) -> None:
    raise Unreadable(f"{times} watches of {path} in a row ended at once, without a word", EMPTY_PAUSE)


class _BookmarkMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Bookmark(msgspec.Struct):
    metadata: _BookmarkMetadata


def _status_error(status: ApiStatus) -> ApiError:
    return ApiError(status.code, status.reason, status.message)


def _expired_or_same(error: ApiError) -> Exception:
    too_new = error.status == 504 and "resource version" in error.message.lower()  # etcd was set back
    if error.status == 410 or error.reason in {"Expired", "Gone"} or too_new:
        return WatchExpired(error.message)
    return error


def _collection_path(group: str, namespace: str | None, resource: str) -> str:
    return f"{group}/namespaces/{namespace}/{resource}" if namespace else f"{group}/{resource}"


def _selector_params(selector: str | None) -> dict[str, str]:
    return {"labelSelector": selector} if selector else {}


def _metadata_collection(path: str) -> ApiCollection[PartialObjectMetadata]:
    return ApiCollection(
        path, PartialObjectMetadata, accept_list=ACCEPT_METADATA_LIST, accept_watch=ACCEPT_METADATA
    )
