"""Keeping a copy of a small collection, whatever happens to its watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, TypeVar

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable, Unreadable
from memtop.cluster.events import CoreEvent
from memtop.cluster.objects import PartialObject, Pod
from memtop.cluster.reflector import (
    Changed,
    Collection,
    Listed,
    Position,
    WatchExpired,
    list_and_watch,
)
from memtop.cluster.tree import mapping
from memtop.retry import Backoff
from memtop.rollout.seen import Whole

RETRY_SECONDS = 2.0
"""Least pause after a failure, and between two looks where watching is forbidden."""
FAILURES = (ApiError, Unreachable, CredentialError, KubeconfigError)
"""What can go wrong with a cluster, and is tried again."""

T = TypeVar("T", Whole, Pod, CoreEvent)


@dataclass(frozen=True)
class Wholes(Collection[Whole]):
    """A collection whose objects are wanted whole."""

    def item(self, raw: bytes | msgspec.Raw) -> Whole:
        """Reads one object, all of it."""
        try:
            metadata = msgspec.json.decode(raw, type=PartialObject).metadata
            return Whole(metadata, mapping(msgspec.json.decode(raw)))
        except msgspec.MsgspecError as error:
            raise Unreadable(f"an object of {self.path} cannot be read: {error}") from error


class Keeper(Generic[T]):
    """Keeps objects by name.

    Args:
        into: Where to.
        most: How many at most; those that came first are given up first.

    Attributes:
        heard: Whether the collection, or why it cannot be had, has been told at all.
    """

    def __init__(self, into: MutableMapping[str, T], most: int | None = None) -> None:
        self._into: MutableMapping[str, T] = into
        self._most = most
        self.heard = False

    def listed(self, items: Iterable[T]) -> None:
        """These are all there are."""
        found = {item.metadata.name: item for item in items}
        self._into.clear()
        self._into.update(found)
        self._bound()

    def changed(self, how: str, item: T) -> None:
        """One was ADDED, MODIFIED or DELETED."""
        if how == "DELETED":
            self._into.pop(item.metadata.name, None)
        else:
            self._into[item.metadata.name] = item
            self._bound()

    async def otherwise(self) -> bool:
        """Where list and watch are forbidden: whether there was another way to learn the same.

        Raises:
            Exception: One of `FAILURES`.
        """
        return False

    def _bound(self) -> None:
        while self._most is not None and len(self._into) > self._most:
            del self._into[next(iter(self._into))]


async def keep(
    client: Client,
    collection: Collection[T],
    keeper: Keeper[T],
    notes: MutableMapping[str, str],
    news: asyncio.Event,
) -> None:
    """Follows a collection until it is cancelled.

    Args:
        client: The connection.
        collection: What to follow.
        keeper: Who takes in what is told.
        notes: Where it is said why nothing can be learned at present, by the collection's path.
        news: Is set whenever something was learned, or could not be.
    """
    position, backoff = Position(), Backoff()
    while True:
        backoff.begin()
        try:
            async for step in list_and_watch(client, collection, position):
                if isinstance(step, Listed):
                    keeper.listed(step.items)
                elif isinstance(step, Changed):
                    keeper.changed(step.type, step.object)
                backoff.works()
                notes.pop(collection.path, None)
                keeper.heard = True
                news.set()
        except WatchExpired as expired:
            position.version = None
            await backoff.rest(expired)
        except FAILURES as error:
            got_otherwise = await _failed(error, collection, keeper, notes)
            keeper.heard = True
            news.set()
            if got_otherwise:
                backoff.reset()
            await backoff.rest(error, at_least=RETRY_SECONDS)


async def _failed(
    error: Exception, collection: Collection[T], keeper: Keeper[T], notes: MutableMapping[str, str]
) -> bool:
    """Says why nothing can be learned; returns whether the same was learned in another way."""
    why = str(error)
    if isinstance(error, ApiError) and error.status == HTTPStatus.FORBIDDEN:
        try:
            why = "" if await keeper.otherwise() else why
        except FAILURES as other:
            why = str(other)
    if why:
        notes[collection.path] = why
    else:
        notes.pop(collection.path, None)
    return not why
