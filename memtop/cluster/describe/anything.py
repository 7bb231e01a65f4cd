"""Objects of kinds that memtop has no words of its own for, field by field: custom resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from memtop.cluster.describe.columns import aligned
from memtop.cluster.describe.event_table import event_lines
from memtop.cluster.describe.labels import annotation_lines, label_lines
from memtop.cluster.describe.moment import Moment
from memtop.cluster.tree import Json, labels, name_of, namespace_of

_SAID_BEFORE = frozenset(
    {".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"}
)
_FOLDED = frozenset({".metadata.managedFields"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|-")
_ACRONYMS = frozenset({"API", "URL", "UID", "OSB", "GUID"})
DEEPEST = 60
"""Levels that are shown; deeper ones no one can read."""


def describe_any(found: Json, events: Sequence[Json] | None, moment: Moment) -> list[str]:
    """An object as ``kubectl describe`` prints what it has no description of, without its managed fields.

    Args:
        found: The object, sanitised.
        events: Its events; None where they could not be had.
        moment: When, and in which time zone.
    """
    lines = [
        f"Name:\t{name_of(found)}",
        f"Namespace:\t{namespace_of(found)}",
        *label_lines("Labels", labels(found, "metadata", "labels")),
        *annotation_lines("Annotations", labels(found, "metadata", "annotations")),
        *_fields(found, "", 0),
        *event_lines(events, moment),
    ]
    return aligned(lines)


def _fields(value: Mapping[str, object], path: str, level: int) -> Iterator[str]:
    """The fields of an object, sorted by name."""
    if level > DEEPEST:
        return
    indent = "  " * level
    for name in sorted(value):
        part, where = value[name], f"{path}.{name}"
        if where in _SAID_BEFORE or where in _FOLDED:
            continue
        if isinstance(part, Mapping):
            yield f"{indent}{label(name)}:"
            yield from _fields(part, where, level + 1)
        elif isinstance(part, list):
            yield f"{indent}{label(name)}:"
            for one in part:
                if isinstance(one, Mapping):
                    yield from _fields(one, where, level + 1)
                else:
                    yield f"{indent}  {_go(one)}"
        else:
            yield f"{indent}{label(name)}:\t{_go(part)}"


def label(name: str) -> str:
    """A field's name as a title: ``resourceVersion`` is ``Resource Version``.

    Names that hold more than letters and dashes are somebody's keys and stay as they are.
    """
    if not all(letter.isalpha() or letter == "-" for letter in name):
        return name
    words = _WORDS.findall(name)
    return " ".join(
        word.upper() if word.upper() in _ACRONYMS else word[:1].upper() + word[1:] for word in words
    )


def _go(value: object) -> str:
    """A value as Go's ``%v`` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return f"[{' '.join(_go(one) for one in value)}]"
        case Mapping():
            return f"map[{' '.join(f'{key}:{_go(value[key])}' for key in sorted(value))}]"
        case _:
            return str(value)
