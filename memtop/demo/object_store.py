"""The store of API objects: their versions and recent changes, as etcd and the watch cache keep them.

Each object is also kept encoded: a list of ten thousand pods joins bytes and encodes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from memtop.demo.api_resources import STORED, Resource

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for cluster-wide kinds) and name."""

HISTORY = 4096  # changes of one resource kept for watches that resume

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one object.

    Attributes:
        key: namespace and name.
        version: its resourceVersion.
        object: the object without kind and apiVersion; not to be changed in place.
        body: the same, encoded.
    """

    key: Key
    version: int
    object: Object
    body: bytes

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.object["metadata"].get("labels") or {}

    def plain(self) -> Object:
        """Return a copy that may be changed."""
        decoded: Object = msgspec.json.decode(self.body)
        return decoded


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `ADDED`, `MODIFIED` or `DELETED`; `before` is the version it replaced."""

    version: int
    type: str
    entry: Entry
    before: Entry | None


Listener = Callable[[Change], None]


class Collection:
    """All objects of one resource."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.entries: dict[Key, Entry] = {}
        self.changes: deque[Change] = deque(maxlen=HISTORY)
        self.forgotten = 0
        self.listeners: set[Listener] = set()
        self._sorted: list[Key] | None = None

    def keys(self) -> list[Key]:
        """Return the keys in the order of lists."""
        if self._sorted is None:
            self._sorted = sorted(self.entries)
        return self._sorted

    def select(self, namespace: str | None = None, after: Key | None = None) -> Iterator[Entry]:
        """Yield the entries in order, of one namespace if given, from the one after `after`."""
        keys = self.keys()
        begin = 0 if after is None else bisect_right(keys, after)
        for key in keys[begin:]:
            if namespace is None or key[0] == namespace:
                yield self.entries[key]

    def since(self, version: int) -> list[Change] | None:
        """Return the changes after `version`, or None if they are no longer known."""
        if version < self.forgotten:
            return None
        return [change for change in self.changes if change.version > version]

    def record(self, change: Change) -> None:
        """Apply one change and tell the listeners."""
        key = change.entry.key
        if change.type == "DELETED":
            self.entries.pop(key, None)
            self._sorted = None
        else:
            if key not in self.entries:
                self._sorted = None
            self.entries[key] = change.entry
        if len(self.changes) == HISTORY:
            self.forgotten = self.changes[0].version
        self.changes.append(change)
        for listener in tuple(self.listeners):
            listener(change)

    def forget(self, version: int) -> None:
        """Forget all changes up to `version`, as compaction does: older watches are answered with 410."""
        self.forgotten = max(self.forgotten, version)
        self.changes.clear()


class Store:
    """All collections and the one counter of versions."""

    def __init__(self) -> None:
        self.version = 1
        self._collections = {resource: Collection(resource) for resource in STORED}

    def __getitem__(self, resource: Resource) -> Collection:
        """Return the collection of a resource."""
        return self._collections[resource]

    def get(self, resource: Resource, namespace: str, name: str) -> Entry | None:
        """Return one object's entry, or None."""
        return self._collections[resource].entries.get((namespace, name))

    def encode(self, obj: Object, version: int) -> Entry:
        """Return an entry for `obj` without storing it (the metadata is copied, the rest is shared)."""
        metadata = {**obj["metadata"], "resourceVersion": str(version)}
        stored = {**obj, "metadata": metadata}
        stored.pop("kind", None)
        stored.pop("apiVersion", None)
        return Entry((metadata.get("namespace", ""), metadata["name"]), version, stored, _encode(stored))

    def put(self, resource: Resource, obj: Object) -> Entry:
        """Store a new version of an object and tell the listeners."""
        self.version += 1
        entry = self.encode(obj, self.version)
        collection = self._collections[resource]
        before = collection.entries.get(entry.key)
        collection.record(Change(self.version, "MODIFIED" if before else "ADDED", entry, before))
        return entry

    def edit(self, resource: Resource, key: Key, edit: Callable[[Object], None]) -> Entry | None:
        """Change a copy of an object with `edit` and store it if anything changed; None if it is gone."""
        entry = self._collections[resource].entries.get(key)
        if entry is None:
            return None
        edited = entry.plain()
        edit(edited)
        return entry if _encode(edited) == entry.body else self.put(resource, edited)

    def delete(self, resource: Resource, key: Key) -> None:
        """Remove an object; the deletion has a version of its own."""
        collection = self._collections[resource]
        before = collection.entries.get(key)
        if before is None:
            return
        self.version += 1
        last = self.encode(before.object, self.version)
        collection.record(Change(self.version, "DELETED", last, before))

    def compact(self) -> None:
        """Forget all past changes: watches and lists from earlier versions are answered with 410."""
        self.version += 1
        for collection in self._collections.values():
            collection.forget(self.version)
