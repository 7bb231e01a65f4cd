"""What grew between two heap files, how much of the rise of memory that explains, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from memtop.analysis.likely_causes import GrownPart
from memtop.heap_files.heap_contents import (
    HeapContents,
    HeapFileError,
    HeapFileKind,
    HeapType,
    add_known,
)
from memtop.wording import bytes_, counted, duration, rate, share

_COMPARABLE = ({HeapFileKind.JVM_DUMP, HeapFileKind.CLASS_HISTOGRAM},)
"""Kinds whose types have the same names and sizes: a dump counts as a histogram does."""
LEAST_PART = 0.05
"""Part of all growth from which a type is named in a sentence."""
FLAT_BYTES = 64 * 1024
"""Growth of a whole heap below which nothing grew: a JVM's own bookkeeping is 20 KiB."""


class TypeGrowth(msgspec.Struct, frozen=True):
    """How one type changed.

    Attributes:
        name: The type.
        bytes: How much more it takes; None where that is not known.
        objects: How many more there are; None where that is not known.
        bytes_after: What it takes in the second file.
        objects_after: How many there are in the second file.
        path: What keeps them, in the second file.
        retained: What they retain, in the second file.
    """

    name: str
    bytes: int | None
    objects: int | None
    bytes_after: int | None
    objects_after: int | None
    path: tuple[str, ...] = ()
    retained: int | None = None


class HeapGrowth(msgspec.Struct, frozen=True):
    """How a heap changed between two files.

    Attributes:
        kind: What the second file is.
        bytes: How much more there is in all; None where that is not known.
        objects: How many more objects there are; None where that is not known.
        bytes_after: What there is in the second file.
        types: What grew most comes first; what shrank comes last.
        seconds: The time between the two; None where that is not known.
        notes: What else to know, a sentence each.
    """

    kind: HeapFileKind
    bytes: int | None
    objects: int | None
    bytes_after: int | None
    types: tuple[TypeGrowth, ...]
    seconds: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def growers(self) -> tuple[TypeGrowth, ...]:
        """What grew, the most first."""
        return tuple(one for one in self.types if _weight(one) > 0)


def compare_heaps(before: HeapContents, after: HeapContents, seconds: float | None = None) -> HeapGrowth:
    """Compares two summaries.

    Args:
        before: The earlier.
        after: The later.
        seconds: The time between the two, where it is known.

    Raises:
        HeapFileError: They are of kinds that cannot be compared.
    """
    if before.kind is not after.kind and not any({before.kind, after.kind} <= some for some in _COMPARABLE):
        raise HeapFileError(f"a {before.kind} and a {after.kind} cannot be compared")
    old = {one.name: one for one in before.types}
    new = {one.name: one for one in after.types}
    types = [_type_growth(name, old.get(name), new.get(name)) for name in {**new, **old}]
    changed = [one for one in types if one.bytes or one.objects]
    changed.sort(key=lambda one: (-_weight(one), one.name))
    notes = list(dict.fromkeys((*before.notes, *after.notes)))
    return HeapGrowth(
        after.kind,
        _difference(before.total_bytes, after.total_bytes),
        _difference(before.total_objects, after.total_objects),
        after.total_bytes,
        tuple(changed),
        seconds,
        tuple(notes),
    )


def _type_growth(name: str, old: HeapType | None, new: HeapType | None) -> TypeGrowth:
    known_bytes = any(one is not None and one.bytes is not None for one in (old, new))
    known_objects = any(one is not None and one.objects is not None for one in (old, new))
    old_bytes = (old.bytes if old is not None else 0) or 0
    new_bytes = (new.bytes if new is not None else 0) or 0
    old_objects = (old.objects if old is not None else 0) or 0
    new_objects = (new.objects if new is not None else 0) or 0
    return TypeGrowth(
        name,
        new_bytes - old_bytes if known_bytes else None,
        new_objects - old_objects if known_objects else None,
        new_bytes if known_bytes else None,
        new_objects if known_objects else None,
        new.path if new is not None else (),
        new.retained if new is not None else None,
    )


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _weight(one: TypeGrowth) -> int:
    return one.bytes if one.bytes is not None else one.objects or 0


def signed_bytes(value: int | None) -> str:
    """A change in bytes with its sign: ``+412 MiB``."""
    if value is None:
        return "?"
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{bytes_(abs(value))}"


def signed_count(value: int | None) -> str:
    """A change in number with its sign: ``+1,204``."""
    if value is None:
        return "?"
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{abs(value):,}"


def grew_per_hour(growth: HeapGrowth, value: int | None) -> float | None:
    """Bytes an hour; None where the time or the bytes are not known."""
    if value is None or not growth.seconds:
        return None
    return value * 3600 / growth.seconds


def whole_sentence(growth: HeapGrowth, floor_rate: float | None = None) -> str:
    """What the whole heap did, and whether that is the rise that the verdict tells of.

    Args:
        growth: What grew.
        floor_rate: Bytes an hour by which the container's memory rises; None where it does not or that is
            not known.
    """
    if growth.bytes is None:
        words = f"{signed_count(growth.objects)} {_counted_word(growth)}"
        return f"{words} in {duration(growth.seconds)}." if growth.seconds else f"{words}."
    words = f"{_whole_word(growth)} grew by {bytes_(growth.bytes)} to {bytes_(growth.bytes_after)}"
    if growth.bytes < FLAT_BYTES:
        words = f"{_whole_word(growth)} did not grow: {signed_bytes(growth.bytes)}"
    if growth.seconds:
        words += f" in {duration(growth.seconds)}"
    hourly = grew_per_hour(growth, growth.bytes)
    if hourly is None or floor_rate is None or floor_rate <= 0:
        return f"{words}."
    if hourly <= 0.2 * floor_rate:
        return f"{words}; memory rises by {rate(floor_rate)}, so what leaks is not in it."
    part = _share_of_rise(hourly, floor_rate)
    return f"{words}, {rate(hourly)}: {part} of the {rate(floor_rate)} by which memory rises."


def _share_of_rise(hourly: float, floor_rate: float) -> str:
    """Part of the rise; what filled room that was there already can be more than all of it."""
    return "all" if hourly > 1.2 * floor_rate else share(hourly / floor_rate)


def grower_sentence(growth: HeapGrowth, floor_rate: float | None = None) -> str:
    """What grew most, in one sentence with its part of all; says so where nothing did.

    Args:
        growth: What grew.
        floor_rate: As for `whole_sentence`.
    """
    growers = growth.growers
    if not growers or (growth.bytes is not None and sum(one.bytes or 0 for one in growers) < FLAT_BYTES):
        return "Nothing grew."
    first = suspect(growth)
    if first.bytes is None:
        words = f"{first.name} {signed_count(first.objects)} {_counted_word(growth)}"
        return f"{words}; {kept_by(growth.kind, first.path)}." if first.path else f"{words}."
    words = f"{first.name} {signed_bytes(first.bytes)}"
    if first.objects:
        words += f" ({signed_count(first.objects)} {_counted_word(growth)})"
    together, grown = in_step(growth, first), first.bytes
    if together:
        grown += sum(one.bytes or 0 for one, _ in together)
        each = ", ".join(f"{many} {one.name}" for one, many in together[:MOST_NAMED])
        words += f", each with {each}: {signed_bytes(grown)} in all"
    hourly = grew_per_hour(growth, grown)
    if hourly is not None and floor_rate and floor_rate > 0:
        words += f", {_share_of_rise(hourly, floor_rate)} of the {rate(floor_rate)}"
    elif growth.bytes and growth.bytes > 0:
        words += f", {share(grown / growth.bytes)} of the growth"
    return f"{words}; {kept_by(growth.kind, first.path)}." if first.path else f"{words}."


MOST_NAMED = 4
"""Types that a sentence names beside the first."""
_MOST_IN_EACH = 16
_STEP_SLACK = 0.03
"""By how much a number of objects may miss a whole multiple: some are new at the moment of a capture."""


def in_step(growth: HeapGrowth, first: TypeGrowth) -> list[tuple[TypeGrowth, int]]:
    """The types that grew by a whole number of objects for each one of a type: what it consists of.

    Returns:
        Those types and how many there are in each, the largest first; none where few objects were added: then
        anything is a multiple.
    """
    base = first.objects or 0
    if base < 50 or growth.kind in (HeapFileKind.GO_HEAP, HeapFileKind.MEMORY_MAP):
        return []
    found = []
    for one in growth.growers[:MOST_COMPARED]:
        many = round((one.objects or 0) / base)
        if one is first or not 1 <= many <= _MOST_IN_EACH or not one.bytes:
            continue
        if abs((one.objects or 0) - many * base) <= _STEP_SLACK * base:
            found.append((one, many))
    return found


MOST_COMPARED = 40


_JDK_PACKAGES = ("java.util.", "java.lang.", "java.security.", "java.io.", "jdk.", "sun.")
_PLAIN_TYPES = frozenset(
    {
        *(
            "byte[]",
            "char[]",
            "int[]",
            "long[]",
            *("double[]", "float[]", "short[]", "boolean[]", "java.lang.Object[][]"),
            "java.lang.Object[]",
            "java.lang.String",
            "java.lang.Object",
        ),
        *(
            "(array)",
            "(string)",
            "(compiled code)",
            "(system)",
            "(number)",
            "(object shape)",
            "Object",
            "Array",
        ),
        *(
            "builtins.dict",
            "builtins.list",
            "builtins.tuple",
            "builtins.str",
            "builtins.bytes",
            "builtins.int",
        ),
    }
)
"""Types that anything is made of: of two that grew together, the other one tells more."""


def suspect(growth: HeapGrowth) -> TypeGrowth:
    """The grower that tells most: the first that is not just what anything is made of, if it is large enough.

    A leak of a million sessions shows as strings, arrays and sessions; a person can look for the sessions.
    Their number of objects is like that of the first; a type that only happens to grow has fewer.
    """
    growers = growth.growers
    first = growers[0]
    if not _is_plain(first.name):
        return first
    alike = [one for one, many in in_step(growth, first) if many == 1 and not _is_plain(one.name)]
    if alike:
        return alike[0]
    for one in growers[:12]:
        if _is_plain(one.name):
            continue
        # An instance of Python is small beside the lists that it holds.
        part = LEAST_PART / 10 if growth.kind is HeapFileKind.PYTHON_OBJECTS else LEAST_PART
        if (one.objects or 0) * 5 >= (first.objects or 0) and _weight(one) >= part * _weight(first):
            return one
    return first


def _is_plain(name: str) -> bool:
    return name in _PLAIN_TYPES or name.startswith(_JDK_PACKAGES)


def kept_by(kind: HeapFileKind, path: Sequence[str]) -> str:
    """What keeps a type, in words; of a profile it is who called."""
    if kind in (HeapFileKind.GO_HEAP, HeapFileKind.GO_GOROUTINES):
        return f"called by {' → '.join(path)}"
    return f"kept by {' → '.join(path)}"


def _counted_word(growth: HeapGrowth) -> str:
    return {HeapFileKind.GO_GOROUTINES: "goroutines", HeapFileKind.MEMORY_MAP: "mappings"}.get(
        growth.kind, "objects"
    )


def _whole_word(growth: HeapGrowth) -> str:
    return "Resident memory" if growth.kind is HeapFileKind.MEMORY_MAP else "The heap"


def grown_parts(growth: HeapGrowth, floor_rate: float | None = None) -> tuple[GrownPart, ...]:
    """What grew as evidence for a cause: what tells most first; none where nothing grew that stands out.

    Args:
        growth: What grew.
        floor_rate: As for `whole_sentence`.
    """
    growers = growth.growers
    if not growers or not stands_out(growth):
        return ()
    first = suspect(growth)
    together = [one for one, _ in in_step(growth, first)][:MOST_NAMED]
    ordered = [first, *together]
    ordered += [one for one in growers[:MOST_NAMED] if one not in ordered]
    found = []
    for one in ordered:
        hourly = grew_per_hour(growth, one.bytes)
        part = None
        if hourly is not None and floor_rate and floor_rate > 0:
            part = hourly / floor_rate
        elif growth.bytes and growth.bytes > 0 and one.bytes is not None:
            part = one.bytes / growth.bytes
        if one is first or one in together or _weight(one) >= LEAST_PART * _weight(growers[0]):
            found.append(
                GrownPart(one.name, float(one.bytes or 0), part, " → ".join(one.path), one.objects or 0)
            )
    return tuple(found)


LEAST_GROWTH, LEAST_GROWTH_SHARE, LEAST_COUNT = 2**20, 0.02, 20
"""A heap that grew by less than 1 MiB, or by less than a fiftieth, does what healthy ones do: of ten healthy
programs of the table in `benchmarks/README.md` none grew by more; goroutines likewise by number."""


def stands_out(growth: HeapGrowth) -> bool:
    """Whether a heap grew by more than healthy ones do between two captures."""
    if growth.bytes is None:
        return (growth.objects or 0) >= LEAST_COUNT
    before = (growth.bytes_after or 0) - growth.bytes
    return growth.bytes >= max(LEAST_GROWTH, LEAST_GROWTH_SHARE * before)


def join_growth(parts: Sequence[HeapGrowth]) -> int | None:
    """Bytes that several kinds of memory grew by together; None where none of them is known."""
    total: int | None = None
    for one in parts:
        total = add_known(total, one.bytes)
    return total


def growth_count_words(growth: HeapGrowth) -> str:
    """How many types grew: ``3 types grew``."""
    return f"{counted(len(growth.growers), 'type')} grew"
