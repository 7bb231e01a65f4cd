"""Reading a list while it is still coming: each object is decoded as soon as its last byte is there.

A list of 10,000 pods is 64 MB of JSON on one line. Waiting for its end costs the time of decoding it on top
of the server's, and the memory of all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from memtop.cluster.errors import Unreadable
from memtop.cluster.objects import ListMetadata

T = TypeVar("T")

_ITEMS = b'"items":['
_METADATA = b'"metadata":{'
LONGEST_LEAD = 256
"""Bytes in front of an object's metadata: its kind and API version, if they are there at all."""
MAX_ITEM = 16 * 1024 * 1024
"""Bytes of one object; etcd takes 1.5 million."""


class _Envelope(msgspec.Struct):
    """A list without what is in it, or with all of it where it could not be taken apart."""

    metadata: ListMetadata
    items: list[msgspec.Raw] | None = None


class Listing(Generic[T]):
    """Takes a list's bytes as they come and hands out its objects.

    Every object of a list begins with the same bytes, up to its metadata. Those bytes after a comma may be
    the beginning of the next one, and are if what is in front of them is a complete object: JSON that can be
    decoded is never part of a longer value. A list whose objects begin otherwise is decoded at its end.

    Args:
        read: Decodes one object; raises `Unreadable` for what is none of its kind.
        what: What is read, for sentences.
        most: Bytes that a list may have which could not be taken apart.
    """

    def __init__(self, read: Callable[[bytes], T], what: str, most: int) -> None:
        self._read = read
        self._what = what
        self._most = most
        self._head: bytes | None = None
        self._lead = b""
        self._rest = b""

    def feed(self, chunk: bytes) -> list[T]:
        """Takes in some bytes.

        Returns:
            The objects that they complete.

        Raises:
            Unreadable: An object is not of its kind, or there is too much of it.
        """
        self._rest += chunk
        if len(self._rest) > (MAX_ITEM if self._lead else self._most) + len(chunk):
            raise Unreadable(f"{self._what} holds an object that does not end")
        if (self._head is None and not self._begin()) or not self._lead:
            return []
        pieces = self._rest.split(b"}," + self._lead)
        found: list[T] = []
        pending = pieces[0]
        for piece in pieces[1:]:
            whole = pending + b"}"
            if (item := self._complete(whole)) is not None:
                found.append(item)
                pending = self._lead + piece
            else:
                pending = whole + b"," + self._lead + piece
        self._rest = pending
        return found

    def end(self) -> tuple[list[T], ListMetadata]:
        """The list is complete.

        Returns:
            The objects that are left, and the list's own metadata.

        Raises:
            Unreadable: It is no list, or one of its objects is not of its kind.
        """
        close = self._rest.rfind(b"]") if self._lead else -1
        while close > 0:
            last = self._complete(self._rest[:close])
            if last is not None:
                return [last], self._envelope(self._rest[close:]).metadata
            close = self._rest.rfind(b"]", 0, close)
        envelope = self._envelope(self._rest)
        return [self._read(bytes(raw)) for raw in envelope.items or ()], envelope.metadata

    def _begin(self) -> bool:
        """Finds where the objects begin, and how; false if that has not come yet."""
        at = self._rest.find(_ITEMS)
        first = at + len(_ITEMS)
        if at < 0 or len(self._rest) < first + LONGEST_LEAD:
            return False
        self._head, self._rest = self._rest[:first], self._rest[first:]
        end = self._rest.find(_METADATA, 0, LONGEST_LEAD)
        if end > 0:
            self._lead = self._rest[: end + len(_METADATA)]
        return True

    def _complete(self, raw: bytes) -> T | None:
        """The object, or None if the bytes are only a part of one."""
        try:
            return self._read(raw)
        except Unreadable:
            try:
                msgspec.json.decode(raw, type=msgspec.Raw)
            except msgspec.MsgspecError:
                return None
            raise

    def _envelope(self, rest: bytes) -> _Envelope:
        try:
            return msgspec.json.decode((self._head or b"") + rest, type=_Envelope)
        except msgspec.MsgspecError as error:
            raise Unreadable(f"{self._what} cannot be read: {error}") from error
