"""Reading other people's JSON without trusting its shape: what is missing or of another type is absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from memtop.cluster.errors import Unreachable
from memtop.cluster.sanitize import sanitize_text

Json = Mapping[str, object]
"""A decoded JSON object."""

_NOTHING: Json = {}


def decode(raw: bytes, what: str = "the answer") -> Json:
    """Decodes a JSON object, every text in it free of what a terminal would act upon.

    Raises:
        Unreachable: It is no JSON object.
    """
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreachable(f"{what} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Unreachable(f"{what} is not an object")
    return mapping(clean(found))


def clean(value: object) -> object:
    """The same value with every text in it sanitised; newlines and tabs stay."""
    if isinstance(value, str):
        return sanitize_text(value)
    if isinstance(value, Mapping):
        return {sanitize_text(str(key)): clean(part) for key, part in value.items()}
    if isinstance(value, list):
        return [clean(part) for part in value]
    return value


def at(value: object, *path: str) -> object:
    """What lies at the end of a path of keys; None where a step is missing."""
    for step in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def text(value: object, *path: str) -> str:
    """A text, or a number or boolean as Go prints it; empty where there is none."""
    found = at(value, *path)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    return str(found) if isinstance(found, str | int | float) else ""


def number(value: object, *path: str) -> int | None:
    """A whole number, or None."""
    found = at(value, *path)
    if isinstance(found, float) and found.is_integer():
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: object, *path: str) -> bool:
    """Whether a boolean is there and true."""
    return at(value, *path) is True


def has(value: object, *path: str) -> bool:
    """Whether there is anything but null."""
    return at(value, *path) is not None


def mapping(value: object, *path: str) -> Json:
    """An object, empty where there is none."""
    found = at(value, *path)
    return cast("Json", found) if isinstance(found, Mapping) else _NOTHING


def objects(value: object, *path: str) -> list[Json]:
    """A list of objects, without what in it is none."""
    found = at(value, *path)
    return [part for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []


def texts(value: object, *path: str) -> list[str]:
    """A list of texts."""
    found = at(value, *path)
    return [str(part) for part in found if part is not None] if isinstance(found, list) else []


def labels(value: object, *path: str) -> dict[str, str]:
    """An object whose values are texts, sorted by key."""
    found = mapping(value, *path)
    return {key: text(found, key) for key in sorted(found)}


def name_of(value: object) -> str:
    """``metadata.name``."""
    return text(value, "metadata", "name")


def namespace_of(value: object) -> str:
    """``metadata.namespace``."""
    return text(value, "metadata", "namespace")


def uid_of(value: object) -> str:
    """``metadata.uid``."""
    return text(value, "metadata", "uid")


def controller_of(value: object) -> Json:
    """The owner reference of the controller, empty where there is none."""
    owners = objects(value, "metadata", "ownerReferences")
    return next((owner for owner in owners if flag(owner, "controller")), _NOTHING)
