"""The three kinds of patches: JSON patch, merge patch, strategic merge patch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from memtop.demo.api.status import ApiStatusError
from memtop.demo.ownership import MERGE_KEYS

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_DIRECTIVES = ("$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch")


def patched(kind: str, original: Any, patch: Any) -> Any:  # noqa: ANN401  any JSON
    """Return `original` with `patch` applied; neither is changed.

    Args:
        kind: the patch's content type.
        original: an object.
        patch: an operation list for JSON patches, a partial object for the others.

    Raises:
        ApiStatusError: 415 for another kind, 400 or 422 for a patch that does not apply.
    """
    appliers: dict[str, Callable[[Any, Any], Any]] = {
        JSON_PATCH: json_patched,
        MERGE_PATCH: merge_patched,
        STRATEGIC_PATCH: strategic_patched,
    }
    if kind not in appliers:
        raise ApiStatusError(415, "415: Unsupported Media Type", details={})
    if isinstance(patch, list) is not (kind == JSON_PATCH):
        raise ApiStatusError(400, f"error decoding patch: unexpected {type(patch).__name__}")
    return appliers[kind](copy.deepcopy(original), copy.deepcopy(patch))


def merge_patched(original: Any, patch: Any) -> Any:  # noqa: ANN401  any JSON
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = original if isinstance(original, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patched(result.get(name), value)
    return result


def strategic_patched(original: Any, patch: Any) -> Any:  # noqa: ANN401  any JSON
    """Apply a strategic merge patch: known lists are merged by key, directives are obeyed."""
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    result = original if isinstance(original, dict) else {}
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        result = {name: value for name, value in result.items() if name in retained}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [item for item in result.get(field, []) if item not in value]
        elif name.startswith(_DIRECTIVES):
            continue
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, list) and name in MERGE_KEYS:
            order = patch.get(f"$setElementOrder/{name}")
            result[name] = _merged_list(result.get(name) or [], value, MERGE_KEYS[name], order)
        else:
            result[name] = strategic_patched(result.get(name), value)
    return result


def _merged_list(original: list[Any], patch: list[Any], key: str, order: list[Any] | None) -> list[Any]:
    if {"$patch": "replace"} in patch:
        return [item for item in patch if item != {"$patch": "replace"}]
    result = list(original)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise ApiStatusError(400, f"map: {item} does not contain declared merge key: {key}")
        place = next((index for index, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(key) != item[key]]
        elif place is None:
            result.append(strategic_patched({}, item))
        else:
            result[place] = strategic_patched(result[place], item)
    if order:
        wanted = [item.get(key) if isinstance(item, dict) else item for item in order]
        result.sort(key=lambda item: wanted.index(item[key]) if item[key] in wanted else len(wanted))
    return result


def json_patched(original: Any, operations: list[Any]) -> Any:  # noqa: ANN401  any JSON
    """Apply a JSON patch (RFC 6902)."""
    document = original
    for operation in operations:
        try:
            document = _operated(document, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ApiStatusError(
                422, f"the server rejected our request due to an error in our request: {operation}: {error}"
            ) from None
    return document


def _operated(document: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401  any JSON
    name = operation["op"]
    path = _pointer(operation["path"])
    if name == "test":
        if _found(document, path) != operation["value"]:
            raise ValueError("testing path failed")
        return document
    if name in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_found(document, source))
        if name == "move":
            _removed(document, source)
        return _added(document, path, value)
    if name == "remove":
        return _removed(document, path)
    if name == "replace":
        _found(document, path)
        if not path:
            return operation["value"]
        parent = _found(document, path[:-1])
        parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = operation["value"]
        return document
    if name == "add":
        return _added(document, path, operation["value"])
    raise ValueError(f"unexpected kind: {name}")


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    if not text.startswith("/"):
        raise ValueError(f"not a JSON pointer: {text}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _found(document: Any, path: list[str]) -> Any:  # noqa: ANN401  any JSON
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _added(document: Any, path: list[str], value: Any) -> Any:  # noqa: ANN401  any JSON
    if not path:
        return value
    parent = _found(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else int(path[-1]), value)
    else:
        parent[path[-1]] = value
    return document


def _removed(document: Any, path: list[str]) -> Any:  # noqa: ANN401  any JSON
    parent = _found(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return document
