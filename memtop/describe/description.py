"""From all that is known of an object to the lines a person reads, with what matters for memory first.

Kinds that memtop has no words of its own for (custom resources) are described field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from memtop.describe.description_facts import DescribedObject
from memtop.describe.formatting import ZonedNow, align_columns, annotation_lines, event_lines, label_lines
from memtop.describe.memory_section import memory_lines
from memtop.describe.node_description import describe_node
from memtop.describe.pod_description import describe_pod
from memtop.describe.workload_description import DESCRIBED_KINDS, describe_workload
from memtop.kube.json_object import Json, labels, name_of, namespace_of

_SHOWN_ABOVE = frozenset(
    {".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"}
)
_HIDDEN = frozenset({".metadata.managedFields"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|-")
_ACRONYMS = frozenset({"API", "URL", "UID", "OSB", "GUID"})
MAX_DEPTH = 60
"""Levels that are shown; deeper ones no one can read."""


def describe_any(found: Json, events: Sequence[Json] | None, moment: ZonedNow) -> list[str]:
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
        *_field_lines(found, "", 0),
        *event_lines(events, moment),
    ]
    return align_columns(lines)


def _field_lines(value: Mapping[str, object], path: str, level: int) -> Iterator[str]:
    """The fields of an object, sorted by name."""
    if level > MAX_DEPTH:
        return
    indent = "  " * level
    for name in sorted(value):
        part, where = value[name], f"{path}.{name}"
        if where in _SHOWN_ABOVE or where in _HIDDEN:
            continue
        if isinstance(part, Mapping):
            yield f"{indent}{field_title(name)}:"
            yield from _field_lines(part, where, level + 1)
        elif isinstance(part, list):
            yield f"{indent}{field_title(name)}:"
            for one in part:
                if isinstance(one, Mapping):
                    yield from _field_lines(one, where, level + 1)
                else:
                    yield f"{indent}  {_go_value(one)}"
        else:
            yield f"{indent}{field_title(name)}:\t{_go_value(part)}"


def field_title(name: str) -> str:
    """A field's name as a title: ``resourceVersion`` is ``Resource Version``.

    Names that hold more than letters and dashes are somebody's keys and stay as they are.
    """
    if not all(letter.isalpha() or letter == "-" for letter in name):
        return name
    words = _WORDS.findall(name)
    return " ".join(
        word.upper() if word.upper() in _ACRONYMS else word[:1].upper() + word[1:] for word in words
    )


def _go_value(value: object) -> str:
    """A value as Go's ``%v`` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return f"[{' '.join(_go_value(one) for one in value)}]"
        case Mapping():
            return f"map[{' '.join(f'{key}:{_go_value(value[key])}' for key in sorted(value))}]"
        case _:
            return str(value)


def describe_object(known: DescribedObject, moment: ZonedNow) -> list[str]:
    """An object as ``kubectl describe`` prints it."""
    kind, moment = known.ref.kind, replace(moment, minor=known.minor)
    if kind == "Pod":
        return describe_pod(known.object, known.events, moment)
    if kind == "Node":
        pods = None if isinstance(known.related, str) else known.related
        return describe_node(known.object, pods, known.lease, known.events, moment)
    if kind in DESCRIBED_KINDS:
        return describe_workload(kind, known.object, known.related, known.events, moment)
    return describe_any(known.object, known.events, moment)


def description_lines(known: DescribedObject, moment: ZonedNow) -> list[str]:
    """A description with what matters for memory first.

    Args:
        known: All that is known of the object.
        moment: When, and in which time zone.

    Returns:
        The lines, without newlines.
    """
    first: list[str] = []
    if known.ref.kind == "Pod":
        first = memory_lines(known.object, known.surroundings, moment)
    elif known.surroundings.autoscalers:
        first = ["Memory:", *(f"  {sentence}" for sentence in known.surroundings.autoscalers)]
    if known.events is None:
        first = [*(first or ["Memory:"]), f"  Events cannot be read: {known.events_note}"]
    return [*first, "", *describe_object(known, moment)] if first else describe_object(known, moment)
