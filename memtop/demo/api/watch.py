"""Watches: a stream of changes, one JSON line each, that can be resumed from a version."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from memtop.demo.api.forms import Form
from memtop.demo.api.selectors import Test, selection
from memtop.demo.api.status import gone, number_of
from memtop.demo.resources import Resource
from memtop.demo.store import Change, Entry, Store

BACKLOG = 50_000  # changes a slow watcher may be behind before it is cut off
DEFAULT_TIMEOUT = 2400.0  # seconds, when the request names none


class Watch:
    """One watch request being served.

    Args:
        store: what is watched.
        resource: the resource watched.
        namespace: the namespace watched, None for all.
        query: the request's parameters.
        form: how objects are written.
        now: gives the simulated time.
    """

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str | None,
        query: Mapping[str, str],
        form: Form,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._test: Test | None = selection(resource, query)
        self._version = number_of(query, "resourceVersion")
        self._bookmarks = query.get("allowWatchBookmarks", "") in ("true", "1")
        self._timeout = number_of(query, "timeoutSeconds") or DEFAULT_TIMEOUT
        self._form = form
        self._now = now
        self._pending: deque[bytes] = deque()
        self._woken = asyncio.Event()
        self._ended = False

    def end(self) -> None:
        """Close the stream in good order, as the API server does after a while."""
        self._ended = True
        self._woken.set()

    def expire(self) -> None:
        """Tell the client that its version is too old, then close."""
        self._pending.append(self._error(0))
        self.end()

    async def serve(self, response: web.StreamResponse, bookmark_every: float) -> None:
        """Write events to a prepared response until time-out, `end`, or the client leaves.

        Args:
            response: prepared.
            bookmark_every: real seconds between bookmarks.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._timeout
        marks = loop.time() + bookmark_every
        collection = self._store[self._resource]
        collection.listeners.add(self._heard)
        try:
            self._begin()
            while True:
                if self._pending:
                    lines = b"".join(self._pending)
                    self._pending.clear()
                    await response.write(lines)
                    continue
                if self._ended or loop.time() >= ends:
                    return
                self._woken.clear()
                try:
                    async with asyncio.timeout_at(min(ends, marks) if self._bookmarks else ends):
                        await self._woken.wait()
                except TimeoutError:
                    if self._bookmarks and loop.time() >= marks:
                        marks = loop.time() + bookmark_every
                        self._pending.append(self._bookmark())
        finally:
            collection.listeners.discard(self._heard)

    def _begin(self) -> None:
        collection = self._store[self._resource]
        if self._version == 0:
            for entry in collection.select(self._namespace):
                if self._test is None or self._test(entry):
                    self._pending.append(self._line(b"ADDED", entry))
            return
        changes = collection.since(self._version)
        if changes is None:
            self._pending.append(self._error(self._version))
            self.end()
            return
        for change in changes:
            self._heard(change)

    def _heard(self, change: Change) -> None:
        if self._namespace is not None and change.entry.key[0] != self._namespace:
            return
        kind = change.type
        if self._test is not None:
            matched = change.before is not None and self._test(change.before)
            matches = kind != "DELETED" and self._test(change.entry)
            if not matched and not matches:
                return
            kind = "DELETED" if not matches else "MODIFIED" if matched else "ADDED"
        if len(self._pending) >= BACKLOG:
            self._pending.clear()
            self.end()
            return
        self._pending.append(self._line(kind.encode(), change.entry))
        self._woken.set()

    def _line(self, kind: bytes, entry: Entry) -> bytes:
        body = self._form.one(self._resource, entry, self._now())
        return b'{"type":"' + kind + b'","object":' + body.rstrip() + b"}\n"

    def _bookmark(self) -> bytes:
        return (
            b'{"type":"BOOKMARK","object":'
            + self._form.bookmark(self._resource, self._store.version)
            + b"}\n"
        )

    def _error(self, version: int) -> bytes:
        status = gone(version, self._store[self._resource].forgotten).document()
        return b'{"type":"ERROR","object":' + msgspec.json.encode(status) + b"}\n"
