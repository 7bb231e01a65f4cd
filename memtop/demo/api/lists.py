"""Lists: whole, paged, as tables, or as metadata only."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from memtop.demo.api.forms import Form
from memtop.demo.api.selectors import selection
from memtop.demo.api.status import ApiStatusError, number_of
from memtop.demo.resources import Resource
from memtop.demo.store import Entry, Key, Store

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
    store: Store, resource: Resource, namespace: str | None, query: Mapping[str, str], form: Form, now: float
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
        limit = 0  # served from the watch cache, which knows no pages
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
    return form.list(resource, page, metadata, now)


def _check_version(store: Store, forgotten: int, asked: int, exact: bool) -> None:
    if asked > store.version:
        details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
        message = f"Timeout: Too large resource version: {asked}, current: {store.version}"
        raise ApiStatusError(504, message, details={**details, "retryAfterSeconds": 1})
    if exact and asked < forgotten:
        raise ApiStatusError(410, "The resourceVersion for the provided list is too old.")
