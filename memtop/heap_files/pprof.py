"""Go's profiles (``/debug/pprof/heap``, ``goroutine``): what is held, by function and line.

The format is pprof's ``profile.proto``: a protobuf message, usually in gzip. Of its thirteen fields memtop
needs five, and none nested deeper than two messages; so they are read by the forty lines below. The
`protobuf` library would want code that is generated from a schema, which would have to be copied here, and
takes longer to import than a profile takes to read. What is foreign or hostile ends in one sentence here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from memtop.heap_files.heap_contents import (
    HeapContents,
    HeapFileError,
    HeapFileKind,
    HeapType,
    summarise_types,
)

MOST_PROFILE_BYTES = 64 << 20
"""Bytes of a profile without its compression: one of 20,000 places is 4 MiB."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT = 10
_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING = 1, 2, 4, 5, 6
_RUNTIME = ("runtime.", "runtime/")
MOST_CALLERS = 6
"""Functions of a stack that are kept as the path to the line that allocated."""


@dataclass(slots=True)
class _Profile:
    """What is kept of a profile; strings by their places."""

    sample_types: list[tuple[int, int]] = field(default_factory=list)
    samples: list[tuple[list[int], list[int]]] = field(default_factory=list)
    lines: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    functions: dict[int, tuple[int, int]] = field(default_factory=dict)
    strings: list[bytes] = field(default_factory=list)

    def text(self, place: int) -> str:
        """A string of the table; empty where there is none."""
        return self.strings[place].decode("utf-8", "replace") if place < len(self.strings) else ""


def looks_like_profile(data: bytes) -> bool:
    """Whether bytes begin as a profile does: a field of it, of the kind that it has."""
    return data[:1] != b"" and (data[0] >> 3) in range(1, 15) and data[0] & 7 in (_VARINT, _BYTES)


def read_profile(data: bytes) -> HeapContents:
    """Reads a profile without its compression.

    Raises:
        HeapFileError: It is none, or cut short, or not of memory or goroutines.
    """
    profile = _decode(data)
    names = [(profile.text(kind), profile.text(unit)) for kind, unit in profile.sample_types]
    kinds = [kind for kind, _ in names]
    if "inuse_space" in kinds:
        space = kinds.index("inuse_space")
        count = kinds.index("inuse_objects") if "inuse_objects" in kinds else -1
        return _summary(profile, HeapFileKind.GO_HEAP, space, count)
    if "goroutine" in kinds or "goroutineleak" in kinds:
        return _summary(profile, HeapFileKind.GO_GOROUTINES, -1, 0)
    if not names:
        raise HeapFileError("it is no profile: it does not say what it counts")
    counted = ", ".join(kind for kind in kinds if kind)[:200]
    raise HeapFileError(f"it is a profile of {counted}, not of the heap or of goroutines")


def _summary(profile: _Profile, kind: HeapFileKind, space: int, count: int) -> HeapContents:
    found: dict[str, list[int]] = {}
    paths: dict[str, tuple[int, tuple[str, ...]]] = {}
    for locations, values in profile.samples:
        if len(values) <= max(space, count):
            raise HeapFileError("it is damaged: a sample has fewer values than it should")
        stack = [line for location in locations[:256] for line in profile.lines.get(location, ())]
        name, path = _place(profile, stack, kind)
        size, number = values[space] if space >= 0 else 0, values[count] if count >= 0 else 0
        sums = found.setdefault(name, [0, 0])
        sums[0] += size
        sums[1] += number
        weight = size if space >= 0 else number
        if weight >= paths.get(name, (0, ()))[0]:
            paths[name] = weight, path
    types = (
        HeapType(
            name,
            size if space >= 0 else None,
            number if count >= 0 else None,
            path=paths.get(name, (0, ()))[1],
        )
        for name, (size, number) in found.items()
        if size or number
    )
    note = "Sampled: Go notes one allocation in every 512 KiB, unless the program sets another rate."
    return summarise_types(kind, types, [note] if kind is HeapFileKind.GO_HEAP else [])


def _place(
    profile: _Profile, stack: list[tuple[int, int]], kind: HeapFileKind
) -> tuple[str, tuple[str, ...]]:
    """The line of a stack that a person would name, and those who called it, the outermost first.

    That is the innermost one; for goroutines the innermost that is not Go's own (which says only that it
    waits).
    """
    if not stack:
        return "(no stack)", ()
    names = [profile.functions.get(function, (0, 0)) for function, _ in stack]
    chosen = 0
    if kind is HeapFileKind.GO_GOROUTINES:
        own = (at for at, (name, _) in enumerate(names) if not profile.text(name).startswith(_RUNTIME))
        chosen = next(own, 0)
    name, file = names[chosen]
    line = stack[chosen][1]
    where = profile.text(file).rpartition("/")[2]
    callers = [profile.text(caller) for caller, _ in names[chosen + 1 : chosen + 1 + MOST_CALLERS]]
    return f"{profile.text(name) or '(unknown)'} {where}:{line}", tuple(reversed(callers))


# -- protobuf


def _decode(data: bytes) -> _Profile:
    profile = _Profile()
    for number, value in _fields(data):
        if number == _STRING and isinstance(value, bytes):
            profile.strings.append(value)
        elif not isinstance(value, bytes):
            continue
        elif number == _SAMPLE_TYPE:
            parts = _numbers(value)
            profile.sample_types.append((parts.get(1, 0), parts.get(2, 0)))
        elif number == _SAMPLE:
            profile.samples.append(_sample(value))
        elif number == _FUNCTION:
            parts = _numbers(value)
            profile.functions[parts.get(1, 0)] = parts.get(2, 0), parts.get(4, 0)
        elif number == _LOCATION:
            identifier, lines = 0, []
            for inner, part in _fields(value):
                if inner == 1 and isinstance(part, int):
                    identifier = part
                elif inner == 4 and isinstance(part, bytes):
                    parts = _numbers(part)
                    lines.append((parts.get(1, 0), parts.get(2, 0)))
            profile.lines[identifier] = lines
    return profile


def _sample(data: bytes) -> tuple[list[int], list[int]]:
    """A sample's locations, the innermost first, and its values."""
    locations: list[int] = []
    values: list[int] = []
    for number, value in _fields(data):
        if number in (1, 2):
            into = locations if number == 1 else values
            into += [value] if isinstance(value, int) else _packed(value)
    return locations, [value - (1 << 64) if value >> 63 else value for value in values]


def _numbers(data: bytes) -> dict[int, int]:
    return {number: value for number, value in _fields(data) if isinstance(value, int)}


def _packed(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number and value."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        value: int | bytes
        if kind == _VARINT:
            value, at = _varint(data, at)
        else:
            if kind == _BYTES:
                length, at = _varint(data, at)
            elif kind in (_FIXED64, _FIXED32):
                length = 8 if kind == _FIXED64 else 4
            else:
                raise HeapFileError("it is no profile: what it holds is no protobuf")
            if length > len(data) - at:
                raise HeapFileError("it is no whole profile: it ends in the middle of a field")
            value = data[at : at + length]
            at += length
        if not number:
            raise HeapFileError("it is no profile: what it holds is no protobuf")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_MOST_VARINT):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise HeapFileError("it is no whole profile: it ends in the middle of a number")
