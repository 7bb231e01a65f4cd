"""Heap flags of a container beside its memory limit: a heap that cannot use it, or does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from memtop.change.change_plan import ChangePlanLine
from memtop.kube.json_object import Json, objects, text, texts
from memtop.quantity import bytes_or_none
from memtop.wording import bytes_

USABLE_SHARE = 0.75
"""A heap below this share of the limit leaves more than a runtime needs beside it: three quarters is what
OpenJDK's container guides set as -XX:MaxRAMPercentage."""
_JVM_SIZE = re.compile(r"(?:^|\s)(-Xmx|-XX:MaxHeapSize=)(\d+)([kKmMgGtT]?)(?=\s|$)")
_NODE_SIZE = re.compile(r"(?:^|\s)(--max[-_]old[-_]space[-_]size[= ])(\d+)(?=\s|$)")
_JVM_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_FLAG_VARIABLES = re.compile(r"JAVA|JVM|JDK|CATALINA|NODE_OPTIONS|OPTS$")
"""Variables whose value is a command line: JAVA_TOOL_OPTIONS, JAVA_OPTS, JDK_JAVA_OPTIONS, NODE_OPTIONS."""


@dataclass(frozen=True, slots=True)
class HeapFlag:
    """The size of a heap, as the container's command or environment sets it.

    Attributes:
        text: The flag as it is written: ``-Xmx1843m``.
        size: Bytes.
    """

    text: str
    size: int


def heap_flag(container: Json) -> HeapFlag | None:
    """The heap flag of a container of a pod template; None where none is seen there.

    The last one counts, as for the JVM and Node; the command line comes after the environment. Variables
    whose value comes from elsewhere (``valueFrom``) are not seen.
    """
    found: list[HeapFlag] = []
    for variable in objects(container, "env"):
        name, value = text(variable, "name"), text(variable, "value")
        if name == "GOMEMLIMIT" and (size := _go_size(value)) is not None:
            found.append(HeapFlag(f"GOMEMLIMIT={value}", size))
        elif name.upper() in {"DOTNET_GCHEAPHARDLIMIT", "COMPLUS_GCHEAPHARDLIMIT"}:
            found += _read_flag(value, name)
        elif _FLAG_VARIABLES.search(name):
            found += _flags_in(value)
    found += _flags_in(" ".join([*texts(container, "command"), *texts(container, "args")]))
    return found[-1] if found else None


def _go_size(value: str) -> int | None:
    """Go writes binary units with a B at their end: ``1750MiB``."""
    return bytes_or_none(value.removesuffix("B")) if value[:1].isdigit() else None


def _read_flag(value: str, name: str) -> list[HeapFlag]:
    """.NET reads it as hexadecimal."""
    try:
        return [HeapFlag(f"{name}={value}", int(value, 16))]
    except ValueError:
        return []


def _flags_in(line: str) -> list[HeapFlag]:
    found = [
        (
            match.start(),
            HeapFlag(f"{match[1]}{match[2]}{match[3]}", int(match[2]) * _JVM_UNITS[match[3].lower()]),
        )
        for match in _JVM_SIZE.finditer(line)
    ]
    found += [
        (match.start(), HeapFlag(f"{match[1]}{match[2]}", int(match[2]) * 2**20))
        for match in _NODE_SIZE.finditer(line)
    ]
    return [flag for _, flag in sorted(found, key=lambda one: one[0])]


def heap_lines(before: Json, after: Json) -> Iterator[ChangePlanLine]:
    """What a plan says of heaps whose container gets another limit, or another flag.

    Args:
        before: The pod template as it is.
        after: As it would be.
    """
    old = {text(one, "name"): one for one in objects(before, "spec", "containers")}
    for container in objects(after, "spec", "containers"):
        name, flag, limit = text(container, "name"), heap_flag(container), _limit(container)
        was = old.get(name)
        unchanged = was is not None and (_limit(was), heap_flag(was)) == (limit, flag)
        if flag is None or limit is None or unchanged:
            continue
        if flag.size >= limit:
            yield ChangePlanLine(
                "heap",
                f"{flag.text} of {name} lets the heap grow to {bytes_(flag.size)}, and the limit is "
                f"{bytes_(limit)}: it is OOM-killed before the heap is full",
                "critical",
            )
        elif flag.size < USABLE_SHARE * limit:
            yield ChangePlanLine(
                "heap",
                f"{flag.text} of {name} ends its heap at {bytes_(flag.size)}: of {bytes_(limit)} it cannot "
                "use more than that and what it needs beside the heap; the flag has to be raised too",
                "warn",
            )


def _limit(container: Json) -> int | None:
    return bytes_or_none(text(container, "resources", "limits", "memory"))
