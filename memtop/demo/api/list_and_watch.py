"""Lists and watches, with label and field selectors."""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from memtop.demo.api.response_formats import ResponseFormat
from memtop.demo.api.status_errors import ApiStatusError, gone, number_of
from memtop.demo.api_resources import Resource
from memtop.demo.object_store import Change, Entry, Key, Store

EntryTest = Callable[[Entry], bool]

_SET = re.compile(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*")
_COMMAS = re.compile(r",(?![^(]*\))")
_EQUALITY = re.compile(r"\s*([^\s=!]+)\s*(==|!=|=)\s*([^\s=!]*)\s*")

_FIELDS = {
    "Pod": {
        "metadata.name",
        "metadata.namespace",
        "spec.nodeName",
        "spec.restartPolicy",
        "status.phase",
        "status.podIP",
    },
    "Event": {
        "metadata.name",
        "metadata.namespace",
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.fieldPath",
        "reason",
        "type",
        "source",
    },
}


def label_test(selector: str) -> Callable[[Mapping[str, str]], bool]:
    """Return a test of labels for a selector such as `app=a,tier in (b,c),!d`.

    Raises:
        ApiStatusError: 400, the selector cannot be parsed.
    """
    tests = [_requirement(part) for part in _COMMAS.split(selector) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _requirement(part: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.fullmatch(part):
        key, operator, listed = match[1], match[2], {value.strip() for value in match[3].split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in listed
        return lambda labels: labels.get(key) not in listed
    if match := _EQUALITY.fullmatch(part):
        key, operator, value = match[1], match[2], match[3]
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    key = part.strip()
    if key.startswith("!"):
        return lambda labels: key[1:] not in labels
    if " " in key:
        raise ApiStatusError(
            400, f"unable to parse requirement: found '{key}', expected: in, notin, =, ==, !="
        )
    return lambda labels: key in labels


def field_test(resource: Resource, selector: str) -> EntryTest:
    """Return a test of entries for a field selector such as `spec.nodeName=a,status.phase!=Failed`.

    Raises:
        ApiStatusError: 400, the resource has no such field selector.
    """
    tests: list[EntryTest] = []
    allowed = _FIELDS.get(resource.kind, {"metadata.name", "metadata.namespace"})
    for part in filter(None, (part.strip() for part in selector.split(","))):
        match = _EQUALITY.fullmatch(part)
        if match is None:
            raise ApiStatusError(400, f"invalid field selector: {part!r}")
        if match[1] not in allowed:
            message = (
                f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match label '
                f'selector "", field selector "{selector}": field label not supported: {match[1]}'
            )
            raise ApiStatusError(400, message)
        tests.append(_field(tuple(match[1].split(".")), match[2] == "!=", match[3]))
    return lambda entry: all(test(entry) for test in tests)


def _field(path: tuple[str, ...], negated: bool, value: str) -> EntryTest:
    def test(entry: Entry) -> bool:
        found: Any = entry.object
        for step in path:
            found = found.get(step, "") if isinstance(found, dict) else ""
        return (found == value) is not negated

    return test


def selection(resource: Resource, query: Mapping[str, str]) -> EntryTest | None:
    """Return the test for a request's `labelSelector` and `fieldSelector`, None without either."""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not labels and not fields:
        return None
    by_label, by_field = label_test(labels), field_test(resource, fields)
    return lambda entry: by_label(entry.labels) and by_field(entry)


EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now may show "
    "up in the list."
)


def continue_token(version: int, last: Key) -> str:
    """Return the token that continues a list after `last`."""
    raw = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": version, "start": list(last)})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_token(token: str) -> tuple[int, Key]:
    """Return the version and the last key of a token; raises ApiStatusError (400) if it is none."""
    try:
        raw = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(raw["rv"]), (str(raw["start"][0]), str(raw["start"][1]))
    except (binascii.Error, msgspec.DecodeError, KeyError, TypeError, ValueError, IndexError):
        raise ApiStatusError(400, "continue key is not valid") from None


def list_body(
    store: Store,
    resource: Resource,
    namespace: str | None,
    query: Mapping[str, str],
    response_format: ResponseFormat,
    now: float,
) -> bytes:
    """Return the encoded answer to a list request.

    Raises:
        ApiStatusError: 400 for bad selectors or tokens, 410 for versions no longer known, 504 for future
            ones.
    """
    collection = store[resource]
    version, after = store.version, None
    asked = query.get("resourceVersion", "")
    limit = number_of(query, "limit")
    if query.get("continue"):
        version, after = read_token(query["continue"])
        if version < collection.forgotten:
            raise ApiStatusError(410, EXPIRED, metadata={"continue": continue_token(-1, after)})
    elif asked == "0":
        limit = 0  # the watch cache ignores the limit
    elif asked:
        _check_version(
            store,
            collection.forgotten,
            number_of(query, "resourceVersion"),
            query.get("resourceVersionMatch") == "Exact",
        )
    chosen: Iterable[Entry] = collection.select(namespace, after)
    test = selection(resource, query)
    if test is not None:
        chosen = filter(test, chosen)
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    page = list(itertools.islice(chosen, limit) if limit else chosen)
    if limit and len(page) == limit:
        rest = sum(1 for _ in chosen)
        if rest:
            metadata["continue"] = continue_token(version, page[-1].key)
            if test is None:
                metadata["remainingItemCount"] = rest
    return response_format.list(resource, page, metadata, now)


def _check_version(store: Store, forgotten: int, asked: int, exact: bool) -> None:
    if asked > store.version:
        details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
        message = f"Timeout: Too large resource version: {asked}, current: {store.version}"
        raise ApiStatusError(504, message, details={**details, "retryAfterSeconds": 1})
    if exact and asked < forgotten:
        raise ApiStatusError(410, "The resourceVersion for the provided list is too old.")


BACKLOG = 50_000  # unsent changes after which a slow watch is closed
DEFAULT_TIMEOUT = 2400.0  # seconds, when the request names none


class Watch:
    """One watch request being served.

    Args:
        store: what is watched.
        resource: the resource watched.
        namespace: the namespace watched, None for all.
        query: the request's parameters.
        response_format: how objects are written.
        now: gives the simulated time.
    """

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str | None,
        query: Mapping[str, str],
        response_format: ResponseFormat,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._test: EntryTest | None = selection(resource, query)
        self._version = number_of(query, "resourceVersion")
        self._bookmarks = query.get("allowWatchBookmarks", "") in ("true", "1")
        self._timeout = number_of(query, "timeoutSeconds") or DEFAULT_TIMEOUT
        self._form = response_format
        self._now = now
        self._pending: deque[bytes] = deque()
        self._woken = asyncio.Event()
        self._ended = False

    def end(self) -> None:
        """Close the stream, as the API server does after the time-out."""
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
