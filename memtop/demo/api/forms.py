"""The forms an object can be asked for in: whole, as a row of a table, or as metadata only."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Any

import msgspec

from memtop.demo.api.tables import columns_of, row_of
from memtop.demo.resources import Resource
from memtop.demo.store import Entry

_PARTIAL = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'


def partial(entry: Entry) -> bytes:
    """Return an object's metadata as a PartialObjectMetadata."""
    return _PARTIAL + msgspec.json.encode(entry.object["metadata"]) + b"}"


class Form(abc.ABC):
    """How objects are written."""

    @abc.abstractmethod
    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return one object, as for a get or a watch event."""

    @abc.abstractmethod
    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return many objects with the list's metadata."""

    def bookmark(self, resource: Resource, version: int) -> bytes:
        """Return the object of a bookmark event."""
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        return msgspec.json.encode(
            {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        )


def _listed(kind: str, api_version: str, metadata: dict[str, Any], items: Iterable[bytes]) -> bytes:
    head = f'{{"kind":"{kind}","apiVersion":"{api_version}","metadata":'.encode()
    return b"".join((head, msgspec.json.encode(metadata), b',"items":[', b",".join(items), b"]}\n"))


class Whole(Form):
    """Objects as they are."""

    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return the object with its kind."""
        return f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'.encode() + entry.body[1:]

    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return the objects, joined as they are stored."""
        return _listed(
            f"{resource.kind}List", resource.api_version, metadata, (entry.body for entry in entries)
        )


class Metadata(Form):
    """Metadata only."""

    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return the object's metadata."""
        return partial(entry)

    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return the metadata of all."""
        return _listed("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, map(partial, entries))

    def bookmark(self, resource: Resource, version: int) -> bytes:
        """Return the object of a bookmark event."""
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        document = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        return msgspec.json.encode(document)


class Table(Form):
    """Rows for a person to read.

    Args:
        objects: what each row carries besides its cells: `Metadata`, `Object` or `None`.
    """

    def __init__(self, objects: str = "Metadata") -> None:
        self.objects = objects

    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return a table of one row."""
        return self.list(resource, [entry], {"resourceVersion": str(entry.version)}, now)

    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return a table."""
        rows = [self._row(resource, entry, now) for entry in entries]
        document = {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": columns_of(resource),
            "rows": rows,
        }
        return msgspec.json.encode(document) + b"\n"

    def _row(self, resource: Resource, entry: Entry, now: float) -> dict[str, Any]:
        row: dict[str, Any] = {"cells": row_of(resource, entry.object, now)}
        if self.objects == "Metadata":
            row["object"] = msgspec.Raw(partial(entry))
        elif self.objects == "Object":
            row["object"] = msgspec.Raw(Whole().one(resource, entry, now))
        return row


def form_of(accept: str, include: str = "Metadata") -> Form:
    """Return the first form of an Accept header that is served."""
    for offer in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in offer.split(";")[1:])
        if parameters.get("as") == "Table" and parameters.get("v") == "v1":
            return Table(include)
        if parameters.get("as", "").startswith("PartialObjectMetadata"):
            return Metadata()
        if not parameters.get("as"):
            return Whole()
    return Whole()
