"""Fields of an object: what they are called, whether they differ, and how ``managedFields`` names them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from memtop.change.plan import Change
from memtop.cluster.tree import text
from memtop.quantity import QuantityError, parse_bytes

Step = str | tuple[str, str]
"""A key, or of a list's element the key that identifies it and its value: ``("name", "app")``."""
Steps = tuple[Step, ...]


def written(steps: Steps) -> str:
    """``spec.template.spec.containers[app].image``."""
    words = ""
    for step in steps:
        if isinstance(step, tuple):
            words += f"[{step[1]}]"
        elif "." in step or "/" in step:
            words += f"[{step}]"
        else:
            words += f".{step}" if words else step
    return words


def field_label(path: str) -> str:
    """What a field is called in a few words: ``limit of app``; else its path without what all have."""
    if found := re.search(r"\.(?:containers|initContainers)\[([^\]]*)\]\.(.+)$", path):
        container, rest = found.groups()
        name = {
            "image": "image",
            "resources.limits.memory": "memory limit",
            "resources.requests.memory": "memory request",
        }.get(rest, rest)
        return f"{name} of {container}"
    if path.endswith("[kubectl.kubernetes.io/restartedAt]"):
        return "restarted at"
    return re.sub(r"^spec\.(jobTemplate\.spec\.)?(template\.(spec\.)?)?", "", path)


def managed(steps: Steps) -> tuple[str, ...]:
    """The keys under which a field stands in ``fieldsV1``: ``f:spec``, ``k:{"name":"app"}``."""
    return tuple(
        f"f:{step}" if isinstance(step, str) else f"k:{msgspec.json.encode(dict([step])).decode()}"
        for step in steps
    )


def change(steps: Steps, old: str, new: str) -> Change:
    """A change of one field."""
    return Change(written(steps), old, new)


def differences(old: object, new: object, steps: Steps = ()) -> Iterator[tuple[Steps, str, str]]:
    """The fields in which two values differ: where, the old and the new value; missing ones are empty.

    Elements of a list are told apart by their name where all have one, else by their place. What is empty is
    as good as missing, as it is for the API.
    """
    if _same(old, new):
        return
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        before, after = _mapping(old), _mapping(new)
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), (*steps, key))
        return
    if _of_objects(old) or _of_objects(new):
        before, after = _by_name(old, new), _by_name(new, old)
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), (*steps, ("name", key)))
        return
    yield steps, _value(old), _value(new)


def equal(one: str, other: str) -> bool:
    """Whether two values are the same; a quantity may be written in several ways."""
    if one == other:
        return True
    try:
        return parse_bytes(one) == parse_bytes(other)
    except QuantityError:
        return False


def _same(old: object, new: object) -> bool:
    return old == new or (_nothing(old) and _nothing(new))


def _nothing(value: object) -> bool:
    return value is None or (isinstance(value, Mapping | list | str) and not value)


def _mapping(value: object) -> dict[str, object]:
    return {str(key): part for key, part in value.items()} if isinstance(value, Mapping) else {}


def _of_objects(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(part, Mapping) for part in value)


def _by_name(value: object, other: object) -> dict[str, object]:
    parts, others = _parts(value), _parts(other)
    if all(text(part, "name") for part in (*parts, *others)):
        return {text(part, "name"): part for part in parts}
    return {str(place): part for place, part in enumerate(parts)}


def _parts(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _value(value: object) -> str:
    if value is None:
        return ""
    return (
        text({"": value}, "") if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()
    )
